"""Days that are read again without any word from the shop: found by count, or by age."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.late_changes.due import aged_days, differing_days

FIRST = date(2025, 1, 1)
TODAY = date(2025, 3, 1)
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


class Shop:
    """Counts orders, and how often it was asked."""

    def __init__(self, orders: dict[date, int]) -> None:
        self.orders, self.asked = orders, 0

    def __call__(self, days: Days) -> int:
        self.asked += 1
        return sum(self.orders.get(day, 0) for day in days)


def year() -> dict[date, int]:
    return {FIRST + timedelta(days=number): 20 + number % 7 for number in range(365)}


def test_one_question_is_enough_where_nothing_differs() -> None:
    shop = Shop(year())

    assert differing_days(Days(min(year()), max(year())), year(), shop) == []
    assert shop.asked == 1


def test_a_single_day_that_lost_an_order_is_found_in_a_year_by_ten_questions() -> None:
    shop, lost = Shop(year()), FIRST + timedelta(days=217)
    shop.orders[lost] -= 1

    assert differing_days(Days(min(year()), max(year())), year(), shop) == [lost]
    assert shop.asked <= 10


@pytest.mark.parametrize("seed", range(20))
def test_all_days_that_lost_orders_are_found_wherever_they_lie(seed: int) -> None:
    chance, shop = Random(seed), Shop(year())  # noqa: S311 - no secret
    lost = sorted(chance.sample(sorted(shop.orders), chance.randint(1, 30)))
    for day in lost:
        shop.orders[day] -= chance.randint(1, 3)

    assert differing_days(Days(min(year()), max(year())), year(), shop) == lost


def test_a_day_without_stored_orders_counts_as_none() -> None:
    day = Days(FIRST, FIRST)

    assert differing_days(day, {}, Shop({FIRST: 1})) == [FIRST]
    assert differing_days(day, {}, Shop({})) == []


def read(**days: float) -> dict[date, datetime | None]:
    """Days before today by name (`d3` is three days before), and how many hours ago they were read."""
    return {TODAY - timedelta(days=int(name[1:])): NOW - timedelta(hours=hours) for name, hours in days.items()}


def due(as_of: dict[date, datetime | None], reread_days: int = 0, sweep_days: int | None = None) -> list[date]:
    return aged_days(as_of, NOW, today=TODAY, reread_days=reread_days, sweep_days=sweep_days)


def test_the_last_days_are_read_again_daily_and_not_more_often() -> None:
    as_of = read(d1=30, d2=21, d3=19, d4=200)

    assert due(as_of, reread_days=3) == [TODAY - timedelta(days=2), TODAY - timedelta(days=1)]
    assert due(as_of, reread_days=4) == [TODAY - timedelta(days=days) for days in (4, 2, 1)]


def test_every_day_is_swept_once_it_is_old_enough() -> None:
    as_of = read(d10=24 * 31, d11=24 * 29) | {TODAY - timedelta(days=500): None}

    assert due(as_of, sweep_days=30) == [
        TODAY - timedelta(days=500),
        TODAY - timedelta(days=10),
    ]
    assert due(as_of) == []


def test_today_is_never_read_again_for_its_age() -> None:
    assert due({TODAY: None}, reread_days=3, sweep_days=1) == []


def test_days_are_grouped_into_the_fewest_ranges() -> None:
    chosen = [FIRST + timedelta(days=number) for number in (5, 1, 2, 9, 3, 5)]

    assert Days.of(chosen).ranges == [
        Days(FIRST + timedelta(days=1), FIRST + timedelta(days=3)),
        Days(FIRST + timedelta(days=5), FIRST + timedelta(days=5)),
        Days(FIRST + timedelta(days=9), FIRST + timedelta(days=9)),
    ]
    assert Days.of([]).ranges == []
    assert Counter(day for part in Days.of(chosen).ranges for day in part) == Counter(set(chosen))
