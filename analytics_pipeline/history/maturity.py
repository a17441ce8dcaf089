"""How far the figures of a business day can still move: provisional, settling or final.

Judged by how late changes have arrived so far: after as many days as 99 % of them took, a day is final. Only days that
were held against the shop once they were old say how late: a change that nobody looked for was not early.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from analytics_pipeline.days import start_of_day
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_ORDERS
from analytics_pipeline.tables.history import DAY_PROOFS, ORDER_CHANGES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

State = Literal["provisional", "settling", "final"]
SHARE = 0.99
OBSERVED_DAYS = 365
SETTLES_AFTER = 60
"""Days that a day is taken to settle until enough is known, and after which it has to have been read to tell."""
ENOUGH = 100
"""Changes from which on their lateness says something."""
OF_THE_SHOP = "refund", "cancellation", "edit", "late_order", "deleted", "quarantine_replay"
"""Causes that are changes in the shop; history that we load late and new code versions say nothing about it."""


@dataclass(frozen=True)
class Lateness:
    """How late changes arrive.

    Attributes:
        days: Days after a business day by which 99 % of its changes had arrived.
        observed: Number of changes that this was observed on; 0 for an assumption.
        basis: What was observed, in words.
    """

    days: int
    observed: int
    basis: str


def lateness(database: Database, shop: Shop) -> Lateness:
    """Return how late changes have arrived: those noticed here, else the orders' own stamps, else an assumption."""
    causes = ", ".join(f"'{cause}'" for cause in OF_THE_SHOP)
    zone = shop.timezone
    # Whoever was not read after so long cannot tell of a change that came later.
    was_read = (
        f"exists (select from {DAY_PROOFS.sql_name} as proofs where proofs.day = {{}} "
        f"and (proofs.held_at at time zone '{zone}')::date - proofs.day >= {SETTLES_AFTER})"
    )
    noticed = (
        f"select (changed_at at time zone '{zone}')::date - event_date as days from {ORDER_CHANGES.sql_name} "
        f"where cause in ({causes}) and {was_read.format('coalesce(order_date, event_date)')}"
    )
    stamped = (
        f"select (updated_at at time zone '{zone}')::date - order_date as days "
        f"from {CLEAN_ORDERS.table.sql_name} where updated_at > ordered_at and order_date > "
        f"(select max(order_date) from {CLEAN_ORDERS.table.sql_name}) - {OBSERVED_DAYS} "
        f"and {was_read.format('order_date')}"
    )
    for select, table, basis in (
        (noticed, ORDER_CHANGES, "changes noticed"),
        (stamped, CLEAN_ORDERS.table, "orders changed after they were placed, by the shop's stamps"),
    ):
        if exists(database, table):
            found = query(
                database,
                "select count(*) as observed, percentile_disc(0.99) within group (order by days) as days "
                f"from ({select}) as changes where days >= 0",
            )[0]
            if found["observed"] >= ENOUGH:
                return Lateness(int(found["days"]), int(found["observed"]), basis)
    return Lateness(SETTLES_AFTER, 0, "assumed until more changes of days that were read again are known")


def state_of(day: date, as_of: datetime | None, today: date, settles_after: int, shop: Shop) -> State:
    """Return how far a day's figures can still move.

    Args:
        day: The business day.
        as_of: When its orders were read last.
        today: The current business day.
        settles_after: Days by which 99 % of the changes arrive.
        shop: For its time zone and its closed period.
    """
    if shop.closed_until is not None and day <= shop.closed_until:
        return "final"
    if as_of is None or as_of < start_of_day(day + timedelta(days=1), shop.zone):
        return "provisional"
    return "settling" if (today - day).days <= settles_after else "final"
