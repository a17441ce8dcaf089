"""Sets of business days: made of any days, kept as the fewest ranges, joined, held against each other, put in SQL."""

from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest

from analytics_pipeline.days import NO_DAYS, Days

FIRST = date(2024, 2, 27)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def some_days(seed: int) -> set[date]:
    """From none to all of 41 days."""
    chance = Random(seed)  # noqa: S311
    share = chance.random()
    return {day(number) for number in range(41) if chance.random() < share}


@pytest.mark.parametrize("seed", range(50))
def test_they_are_sets_like_those_of_python(seed: int) -> None:
    one, other = some_days(seed), some_days(seed // 2)
    left, right = Days.of(one), Days.of(other)
    assert list(left) == sorted(one)
    assert len(left) == len(one)
    assert {found for found in (day(number) for number in range(-2, 44)) if found in left} == one
    assert left | right == Days.of(one | other)
    assert left - right == Days.of(one - other)
    assert (left == right) is (one == other)
    assert bool(left) is bool(one)
    assert not left - left


@pytest.mark.parametrize("seed", range(50))
def test_they_are_kept_as_the_fewest_ranges(seed: int) -> None:
    days = some_days(seed)
    ranges = Days.of(days).ranges
    assert [found for part in ranges for found in part] == sorted(days)
    assert all(after.first - before.last > timedelta(days=1) for before, after in pairwise(ranges))
    assert all(part == Days(part.first, part.last) for part in ranges)


def test_they_may_be_given_twice_in_any_order_and_over_a_leap_day() -> None:
    days = Days.of([day(3), day(2), day(3), day(6), day(1)])
    assert str(days) == "2024-02-28 to 2024-03-01, 2024-03-04"
    assert (days.first, days.last) == (day(1), day(6))
    assert hash(days) == hash(Days(day(1), day(3)) | Days(day(6), day(6)))


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="begins before it ends: 2024-02-28 is after 2024-02-27"):
        Days(day(1), day(0))


def test_the_condition_in_sql_names_each_range_and_holds_for_none_without_a_day() -> None:
    assert Days(day(0), day(1)).where("d") == "d between date '2024-02-27' and date '2024-02-28'"
    assert (Days(day(0), day(0)) | Days(day(2), day(2))).where("t.d") == (
        "(t.d between date '2024-02-27' and date '2024-02-27' or t.d between date '2024-02-29' and date '2024-02-29')"
    )
    assert NO_DAYS.where("d") == "(false)"
    assert str(NO_DAYS) == ""
