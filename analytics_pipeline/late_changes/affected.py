"""Which business days a changed order affects, and why: from how it is stored and how the shop shows it now. Pure."""

from collections.abc import Iterable
from datetime import date

from analytics_pipeline.history.stale import MOVED, StaleDay
from analytics_pipeline.transforms.changes import LATE_ORDER, OrderState, what_happened


def reason_of(before: OrderState | None, after: OrderState) -> str:
    """Return why an order that differs from its stored state has to be loaded again."""
    if before is None:
        return LATE_ORDER
    return what_happened(after.cancellations - before.cancellations, after.refunds - before.refunds)


def affected_days(order_id: str, before: OrderState | None, after: OrderState) -> list[StaleDay]:
    """Return the business days to load again for one changed order: its own, before and after the change.

    Each names the days whose figures the order affects: those of its sale, returns and cancellation, before and after.
    """
    states = [after] if before is None else [before, after]
    event_days = frozenset(day for state in states for day in state.event_days)
    has_moved = before is not None and before.order_date != after.order_date
    reason = MOVED if has_moved else reason_of(before, after)
    order_days = sorted({state.order_date for state in states})
    return [StaleDay(day, reason, (order_id,), event_days | {day}) for day in order_days]


def merged(days: Iterable[StaleDay]) -> list[StaleDay]:
    """Return one entry per day and reason, oldest first."""
    found: dict[tuple[date, str], StaleDay] = {}
    for stale in days:
        key = (stale.day, stale.reason)
        known = found.get(key, StaleDay(*key, needs_dimensions=False))
        ids = dict.fromkeys([*known.order_ids, *stale.order_ids])
        needs_dimensions = _or(known.needs_dimensions, stale.needs_dimensions)
        found[key] = StaleDay(*key, tuple(ids), known.event_days | stale.event_days, needs_dimensions)
    return [found[key] for key in sorted(found)]


def _or(*known: bool | None) -> bool | None:
    """Return what SQL's `or` does: null is not known."""
    return True if True in known else None if None in known else False
