"""The business day: ranges, Dagster's partitions of a shop, and the last day that is over."""

from datetime import UTC, date, datetime, timedelta
from unittest.mock import patch

import dagster as dg
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.orchestration.partitions import daily_partitions, days_of, partitions_of_all_shops
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.shop.spec import Shop, load_shop


@pytest.fixture(scope="module")
def shop() -> Shop:
    return load_shop("demo")


def test_a_range_has_both_its_ends() -> None:
    days = Days(date(2024, 2, 28), date(2024, 3, 1))

    assert [day.isoformat() for day in days] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert (len(days), str(days)) == (3, "2024-02-28 to 2024-03-01")


def test_a_range_of_one_day_is_reported_as_that_day() -> None:
    assert str(Days(date(2025, 1, 1), date(2025, 1, 1))) == "2025-01-01"


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="2025-01-02 is after 2025-01-01"):
        Days(date(2025, 1, 2), date(2025, 1, 1))


def test_the_keys_of_a_run_become_its_range() -> None:
    assert days_of(["2025-01-01", "2025-01-02", "2025-01-03"]) == Days(date(2025, 1, 1), date(2025, 1, 3))
    assert days_of(["2025-01-01"]) == Days(date(2025, 1, 1), date(2025, 1, 1))


def test_the_partitions_begin_with_the_shops_first_day_and_end_with_yesterday(shop: Shop) -> None:
    partitions = daily_partitions(shop)
    keys = partitions.get_partition_keys(current_time=datetime(2025, 1, 4, 12, tzinfo=UTC))

    assert keys == ["2025-01-01", "2025-01-02", "2025-01-03"]


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2025-03-30T22:30:00+00:00", date(2025, 3, 30)),  # Berlin is at summer time since this morning: 00:30
        ("2025-03-29T22:30:00+00:00", date(2025, 3, 28)),  # the same hour a day earlier is 23:30 there
        ("2025-10-26T22:30:00+00:00", date(2025, 10, 25)),
        ("2025-10-26T23:30:00+00:00", date(2025, 10, 26)),
    ],
)
def test_a_day_is_over_at_the_shops_midnight_not_at_that_of_utc(shop: Shop, now: str, last: date) -> None:
    stamp = datetime.fromisoformat(now)

    assert last_complete_day(shop, stamp) == last
    assert daily_partitions(shop).get_partition_keys(current_time=stamp)[-1] == last.isoformat()


def test_the_partitions_are_those_of_dagster_and_are_listed_once_a_day(shop: Shop) -> None:
    partitions = daily_partitions(shop)
    theirs = dg.DailyPartitionsDefinition(
        start_date=partitions.start, timezone=partitions.timezone, fmt=partitions.fmt, end_offset=partitions.end_offset
    )
    before_the_first = datetime(2024, 12, 31, 12, tzinfo=UTC)
    moments = [before_the_first + timedelta(hours=hours) for hours in range(0, 120, 5)]
    expected = [theirs.get_partition_keys(moment) for moment in moments]

    with patch.object(
        dg.DailyPartitionsDefinition,
        "get_partition_keys",
        autospec=True,
        side_effect=dg.DailyPartitionsDefinition.get_partition_keys,
    ) as listed:
        assert [partitions.get_partition_keys(moment) for moment in moments] == expected
        assert listed.call_count == len({len(keys) for keys in expected})
        given = partitions.get_partition_keys(moments[-1])
        assert isinstance(given, list)
        given.clear()
        assert partitions.get_partition_keys(moments[-1]) == expected[-1]
    assert len(expected[-1]) > len(expected[0]) == 0


@pytest.mark.parametrize(("is_intraday", "last"), [(False, "2026-11-26"), (True, "2026-11-27")])
def test_marts_over_all_shops_have_every_day_that_a_shop_far_east_may_write(
    shop: Shop, last: str, *, is_intraday: bool
) -> None:
    eastern = shop.model_copy(update={"timezone": "Pacific/Auckland", "intraday": is_intraday})
    now = datetime(2026, 11, 26, 13, tzinfo=UTC)  # the 27th in Auckland, whose yesterday is the 26th

    keys = partitions_of_all_shops([shop, eastern]).get_partition_keys(now)

    assert keys[-1] == last
