"""What `status` says of when the loaded days were last held against the shop, and how old a proof may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from analytics_pipeline.history.written import written_days
from analytics_pipeline.late_changes.budget import held_days, read_budget, rounds
from analytics_pipeline.late_changes.rounds import LATE, HeldDay, Rounds
from analytics_pipeline.plain import counted
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.connection import Database


@dataclass(frozen=True)
class Held:
    """How old the proofs are.

    Attributes:
        days: The loaded days.
        rounds: How long the rounds take.
        now: An aware stamp.
    """

    days: dict[date, HeldDay]
    rounds: Rounds
    now: datetime

    @property
    def overdue(self) -> list[date]:
        """The days whose proof is older than their round, in order."""
        return [day for day, held in sorted(self.days.items()) if held.age(self.now) > self.rounds.of(held) + LATE]


def read_held(database: Database, shop: Shop, now: datetime) -> Held:
    """Read how old the proofs of the loaded days are."""
    days = held_days(database, shop, written_days(database, RAW_ORDERS.table), now)
    return Held(days, rounds(shop, days.values(), read_budget(database, shop, now)), now)


def held_line(held: Held, shop: Shop) -> str:
    """Describe the rounds and the oldest proof of each in a line."""
    oldest = [
        f"oldest proof of {what}: {_oldest(days, held.now, shop)}"
        for what, is_settling in (("a settling day", True), ("another", False))
        if (days := [(day, one) for day, one in held.days.items() if one.is_settling is is_settling])
    ]
    return "; ".join([str(held.rounds) if shop.late_changes.reread_share else "no day is read again", *oldest])


def overdue_note(overdue: Sequence[date]) -> str:
    """Say which days add up by an old proof only; nothing without any."""
    if not overdue:
        return ""
    days = f"{counted(len(overdue), 'day')}, {overdue[0]} to {overdue[-1]},"
    return f" as last held against the shop; {days} by a proof older than the round"


def _oldest(days: Sequence[tuple[date, HeldDay]], now: datetime, shop: Shop) -> str:
    day, held = max(days, key=lambda one: one[1].age(now))
    when = "nobody knows when" if held.held_at is None else f"{held.held_at.astimezone(shop.zone):%Y-%m-%d %H:%M %Z}"
    return f"{day}, {when}"
