"""The business days that a changed order affects, before and after the change."""

from datetime import date

import pytest

from analytics_pipeline.history.stale import StaleDay
from analytics_pipeline.late_changes.affected import affected_days, merged, reason_of
from analytics_pipeline.transforms.changes import OrderState


def day(number: int) -> date:
    return date(2025, 3, number)


def state(order_day: int, *event_days: int, refunds: int = 0, cancellations: int = 0) -> OrderState:
    return OrderState(day(order_day), frozenset(map(day, event_days)), refunds, cancellations)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (None, state(1, 1), "late_order"),
        (state(1, 1), state(1, 1), "edit"),
        (state(1, 1), state(1, 1, 5, refunds=1), "refund"),
        (state(1, 1, 5, refunds=1), state(1, 1, 5, refunds=1), "edit"),
        (state(1, 1, 5, refunds=2), state(1, 1, 5, refunds=1), "edit"),
        (state(1, 1), state(1, 1, 5, cancellations=2), "cancellation"),
        (state(1, 1, 3, refunds=1), state(1, 1, 3, 5, refunds=2, cancellations=2), "cancellation"),
        (state(1, 1, 5, cancellations=2), state(1, 1, 5, cancellations=2), "edit"),
        (state(1), state(1, 1), "edit"),  # it was in quarantine
    ],
)
def test_the_reason_is_what_happened_to_the_order(before: OrderState | None, after: OrderState, reason: str) -> None:
    assert reason_of(before, after) == reason


def test_an_order_affects_its_own_day_and_the_days_of_its_events_before_and_after() -> None:
    assert affected_days("A", state(1, 1, 4, refunds=1), state(1, 1, 9, refunds=1)) == [
        StaleDay(day(1), "edit", ("A",), frozenset({day(1), day(4), day(9)}))
    ]


def test_an_order_that_moved_to_another_day_has_both_days_loaded_again() -> None:
    found = affected_days("A", state(1, 1), state(3, 3))

    assert [(stale.day, stale.reason) for stale in found] == [(day(1), "moved"), (day(3), "moved")]
    assert {stale.event_days for stale in found} == {frozenset({day(1), day(3)})}


def test_a_new_order_affects_its_own_day_even_where_it_counts_nowhere() -> None:
    assert affected_days("A", None, state(2)) == [StaleDay(day(2), "late_order", ("A",), frozenset({day(2)}))]


def test_days_are_merged_by_reason_and_keep_every_order_once() -> None:
    found = merged(
        [
            StaleDay(day(2), "edit", ("B",), frozenset({day(2)})),
            StaleDay(day(1), "refund", ("A",), frozenset({day(5)})),
            StaleDay(day(2), "edit", ("A", "B"), frozenset({day(7)})),
            StaleDay(day(2), "refund", ("C",)),
        ]
    )

    assert found == [
        StaleDay(day(1), "refund", ("A",), frozenset({day(5)})),
        StaleDay(day(2), "edit", ("B", "A"), frozenset({day(2), day(7)})),
        StaleDay(day(2), "refund", ("C",)),
    ]
