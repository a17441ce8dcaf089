"""Which days of a mart are computed by one statement."""

from datetime import date, timedelta

from analytics_pipeline.days import Days
from analytics_pipeline.history.publishing import NEAR, neighbours

FIRST = date(2025, 3, 1)


def days(first: int, last: int) -> Days:
    return Days(FIRST + timedelta(days=first), FIRST + timedelta(days=last))


def test_one_range_is_a_group_of_its_own() -> None:
    assert neighbours([days(0, 3)]) == [[days(0, 3)]]


def test_ranges_with_less_than_a_week_between_them_are_a_group_and_others_are_not() -> None:
    one, near, far = days(0, 1), days(1 + NEAR.days, 20), days(20 + NEAR.days + 1, 40)
    assert neighbours([one, near, far]) == [[one, near], [far]]


def test_a_group_grows_from_neighbour_to_neighbour_however_far_its_ends_lie_apart() -> None:
    chain = [days(number, number) for number in range(0, 70, NEAR.days)]
    assert neighbours(chain) == [chain]
