"""Which days are held against the shop again within a budget, and how long a round takes."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.late_changes.rounds import (
    Budget,
    HeldDay,
    Pages,
    Rounds,
    days_to_hold,
    rounds_of,
    shortest_rounds,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = NOW.date()
SHORTEST = shortest_rounds(None)


def day(days_ago: int) -> date:
    return TODAY - timedelta(days=days_ago)


def held(days_ago: float | None, orders: int = 20, *, is_settling: bool = True) -> HeldDay:
    return HeldDay(None if days_ago is None else NOW - timedelta(days=days_ago), orders, is_settling)


def chosen(days: dict[date, HeldDay], requests: int = 10, pages: Pages | None = None, largest: int = 0) -> list[Days]:
    budget = Budget(requests, requests, largest)
    return days_to_hold(days, NOW, budget=budget, pages=pages or Pages(100), shortest=SHORTEST)


def test_several_days_fit_one_request_and_the_oldest_proof_comes_first() -> None:
    days = {day(number): held(5 + number / 10) for number in range(1, 13)}

    assert chosen(days, requests=1) == [Days(day(12), day(8))]
    assert chosen(days, requests=2) == [Days(day(12), day(3))]
    assert chosen(days, requests=0) == []


def test_a_day_that_nobody_has_held_against_the_shop_comes_before_all_others() -> None:
    assert chosen({day(1): held(300), day(40): held(None), day(80): held(200)}, requests=1) == [Days(day(40), day(40))]


def test_a_young_proof_is_renewed_only_where_it_costs_nothing() -> None:
    days = {day(3): held(9, 60), day(2): held(1, 60), day(1): held(1, 10), day(4): held(1, 40)}

    assert chosen(days) == [Days(day(4), day(3))]
    assert chosen({day(1): held(1)}) == []


def test_a_day_that_lies_alone_and_one_that_is_not_loaded_break_a_range() -> None:
    days = {day(9): held(9), day(8): held(9), day(6): held(9)}

    assert chosen(days) == [Days(day(9), day(8)), Days(day(6), day(6))]


def test_days_that_are_final_have_their_part_of_a_budget_that_is_too_small() -> None:
    days = {day(number): held(5, 100, is_settling=number < 60) for number in range(1, 60)}
    days |= {day(number): held(200, 100, is_settling=False) for number in range(60, 400)}

    ranges = chosen(days, requests=8)

    read = [one for part in ranges for one in part]
    assert len(read) == 8
    assert sum(days[one].is_settling for one in read) == 6


def test_a_day_that_costs_more_than_is_left_waits_and_the_others_do_not() -> None:
    days = {day(5): held(300, 5_000), day(3): held(9, 10)}

    assert chosen(days, requests=8) == [Days(day(3), day(3))]
    assert chosen(days, requests=8, largest=50) == [Days(day(5), day(5))]


def test_a_shop_that_gives_all_orders_only_is_read_whole() -> None:
    days = {day(number): held(9, 50) for number in (1, 4, 9)}

    assert chosen(days, pages=Pages(100, is_whole=True)) == [Days(day(9), day(1))]
    assert chosen(days, requests=1, pages=Pages(100, is_whole=True)) == []


def test_how_long_a_round_takes_follows_from_budget_and_size_and_is_reported() -> None:
    small = [held(1, 50)] * 60 + [held(1, 50, is_settling=False)] * 300
    large = [held(1, 1_000)] * 60 + [held(1, 1_000, is_settling=False)] * 3_590

    assert (
        str(rounds_of(small, Pages(100), 10, SHORTEST)) == "each settling day every 4 days, every other within 70 days"
    )
    assert str(rounds_of(large, Pages(250), 40, SHORTEST)) == (
        "each settling day every 8 days, every other within 1436 days"
    )
    assert rounds_of([held(1)], Pages(100), 4, SHORTEST).settling == timedelta(days=4)
    assert rounds_of([], Pages(100), 4, SHORTEST) == SHORTEST
    assert shortest_rounds(3) == Rounds(timedelta(days=3), timedelta(days=3))


@pytest.mark.parametrize("seed", range(2))
def test_within_the_budget_every_settling_day_is_read_within_a_week_and_every_other_within_ninety_days(
    seed: int,
) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    orders = {day(number): chance.randint(10, 90) for number in range(1, 400)}
    as_of = {one: NOW - timedelta(days=chance.random() * 3) for one in orders}
    budget, oldest = 14, {True: timedelta(0), False: timedelta(0)}
    for number in range(140):
        now = NOW + timedelta(days=number)
        days = {one: HeldDay(as_of[one], orders[one], (TODAY - one).days <= 60) for one in orders}
        for one in days.values():
            oldest[one.is_settling] = max(oldest[one.is_settling], one.age(now))
        ranges = days_to_hold(days, now, budget=Budget(budget, budget, 0), pages=Pages(100), shortest=SHORTEST)
        assert sum(Pages(100).of(sum(orders[one] for one in part)) for part in ranges) <= budget
        as_of |= {one: now for part in ranges for one in part}

    assert oldest[True] <= timedelta(days=7)
    assert oldest[False] <= timedelta(days=90)


def test_planning_ten_years_of_days_is_no_work() -> None:
    days = {day(number): held(200 + number % 7, is_settling=number < 60) for number in range(1, 3_651)}

    assert sum(map(len, chosen(days, requests=100))) > 100
