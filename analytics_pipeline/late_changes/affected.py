"""Which business days a changed order touches, and why: from how it is stored and how the shop shows it now. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from analytics_pipeline.history.stale import MOVED, StaleDay


@dataclass(frozen=True)
class OrderState:
    """An order as one side knows it.

    Attributes:
        order_date: Its business day.
        event_days: Business days of its events: sale, returns, cancellation. Empty where it counts nowhere.
        refunds: Number of events that took something back, a cancellation apart.
        is_cancelled: Whether a cancellation reversed it.
    """

    order_date: date
    event_days: frozenset[date] = field(default=frozenset())
    refunds: int = 0
    is_cancelled: bool = False


def reason_of(before: OrderState | None, after: OrderState) -> str:
    """Return why an order that differs from its stored state has to be loaded again."""
    if before is None:
        return "late_order"
    if after.is_cancelled and not before.is_cancelled:
        return "cancellation"
    return "refund" if after.refunds > before.refunds else "edit"


def affected_days(order_id: str, before: OrderState | None, after: OrderState) -> list[StaleDay]:
    """Return the business days to load again for one changed order: its own, before and after the change.

    Each names the days whose figures the order touches: those of its sale, returns and cancellation, before and after.
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
        known = found.get(key, StaleDay(*key))
        ids = dict.fromkeys([*known.order_ids, *stale.order_ids])
        found[key] = StaleDay(*key, tuple(ids), known.event_days | stale.event_days)
    return [found[key] for key in sorted(found)]
