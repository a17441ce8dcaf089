"""When one reading of the list of changed orders proves that it is whole, and when two of them agree."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics_pipeline.late_changes.readings import Reading, Stamp

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
LATER, LAST = NOON + timedelta(hours=1), NOON + timedelta(hours=2)


def reading(*pages: list[tuple[str, Stamp]], count: int | None = None) -> Reading:
    """A reading of some pages, whose answers each give the same count."""
    found = Reading(answers=len(pages))
    for page in pages:
        found.see(page, count)
    return found


def test_a_sorted_list_of_two_pages_with_all_that_it_counts_is_whole() -> None:
    assert reading([("A", NOON)], [("B", LATER)], count=2).fault is None


def test_an_order_that_came_again_with_another_stamp_shows_that_the_list_moved() -> None:
    moved = reading([("A", NOON)], [("A", LATER), ("B", LAST)], count=2)
    assert moved.fault == "an order came again with another change stamp"
    assert not moved.agrees_with(moved, LAST)


def test_an_order_that_came_again_as_it_was_proves_nothing_else() -> None:
    assert reading([("A", NOON)], [("A", NOON), ("B", LAST)], count=2).fault is None


@pytest.mark.parametrize(
    ("earlier", "later", "agrees"),
    [
        ([("A", NOON)], [("A", NOON)], True),
        ([("A", NOON)], [("A", NOON), ("B", NOON)], False),  # the earlier one missed an order
        ([("A", NOON), ("B", NOON)], [("A", NOON)], False),  # the later one did
        ([("A", NOON)], [("A", NOON), ("B", None)], False),  # nobody knows when this one changed
        ([("A", NOON)], [("A", NOON), ("B", LAST)], True),  # it changed after the earlier one began
    ],
)
def test_two_readings_agree_when_each_has_what_had_changed_before_the_first(
    earlier: list[tuple[str, Stamp]], later: list[tuple[str, Stamp]], *, agrees: bool
) -> None:
    assert reading(later).agrees_with(reading(earlier), LATER) is agrees
