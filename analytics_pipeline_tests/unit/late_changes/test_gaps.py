"""Days that nobody has loaded."""

from datetime import UTC, date, datetime, timedelta

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.late_changes.gaps import describe_gap, gaps, gaps_of
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline_tests.cases.small_shop import DESCRIPTION

FIRST = date(2026, 11, 1)


def days(*numbers: int) -> list[date]:
    return [FIRST + timedelta(days=number) for number in numbers]


def test_gaps_lie_between_loaded_days_and_after_them_and_not_before() -> None:
    found = gaps(days(3, 4, 6, 9), FIRST + timedelta(days=10), most=5)

    assert found.days == days(5, 7, 8, 10)
    assert found.too_large == []
    assert gaps([], FIRST, most=5).days == []
    assert gaps(days(3), FIRST, most=5).days == []


def test_a_gap_of_more_days_than_are_loaded_by_themselves_is_reported_with_its_command() -> None:
    found = gaps(days(0, 4, 20), FIRST + timedelta(days=20), most=3)

    assert found.days == days(1, 2, 3)
    assert found.too_large == [Days(*days(5, 19))]
    assert describe_gap(found.too_large[0]) == (
        "2026-11-06 to 2026-11-20 (15 days) never loaded, and too many to be loaded unasked: "
        "analytics-pipeline run --from 2026-11-06 --to 2026-11-20"
    )


@pytest.mark.parametrize(("hour", "missing"), [(3, []), (5, [21])])
def test_yesterday_counts_from_the_time_when_it_is_due(hour: int, missing: list[int]) -> None:
    shop = Shop.model_validate({**DESCRIPTION, "base_url": "http://localhost", "first_day": "2026-11-01"})

    found = gaps_of(shop, [date(2026, 11, 20)], datetime(2026, 11, 22, hour - 1, tzinfo=UTC))

    assert [day.day for day in found.days] == missing


def test_nothing_is_missing_after_the_last_day_of_a_shop() -> None:
    described = {**DESCRIPTION, "base_url": "http://localhost", "first_day": "2026-11-01", "last_day": "2026-11-21"}
    shop, now = Shop.model_validate(described), datetime(2027, 11, 22, 12, tzinfo=UTC)

    assert gaps_of(shop, [date(2026, 11, 19)], now).days == [date(2026, 11, 20), date(2026, 11, 21)]
    assert gaps_of(shop, [date(2026, 11, 21)], now).too_large == []
