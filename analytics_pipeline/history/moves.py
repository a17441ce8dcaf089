"""Orders that moved to another business day: found before the clean tables are written, whose key is the order's id.

The shop is asked for one day, and shows an order there that stands on another one. Both days are then cleaned together:
the newest version counts on its day, an older one is left out of the other with a reason. What came stays in `raw`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from analytics_pipeline.days import Days
from analytics_pipeline.history import stale
from analytics_pipeline.history.stale import StaleDay, mark
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, EXCLUSIONS, MOVED, RAW_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.records import Version, superseded_days
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import is_there

RAW, ORDERS, EXCLUDED = (contract.table.sql_name for contract in (RAW_ORDERS, CLEAN_ORDERS, EXCLUSIONS))


@dataclass(frozen=True)
class Moves:
    """What has to be known of orders that stand on several days, to clean some of these.

    Attributes:
        beside: Days that hold another version of an order of those to clean, and are cleaned along.
        superseded: Orders with the days on which an older version stands.
        left: Days beside that orders have left since they were cleaned: their raw rows are outdated.
    """

    beside: Days
    superseded: frozenset[tuple[str, date]]
    left: tuple[date, ...]


@dataclass(frozen=True)
class LeftDaysListed:
    """Has the days read again that an order has left: the shop no longer shows on them what `raw` holds."""

    days: tuple[date, ...]

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Put them on the list, after the run's own days have been taken off it."""
        del table, part
        mark(cursor, [StaleDay(day, stale.MOVED, event_days=frozenset({day})) for day in self.days])


def find_moves(cursor: Connection, part: Days, shop: Shop) -> Moves:
    """Return the moves that concern some days.

    Args:
        cursor: Sees one state of `raw.orders`; nobody cleans orders meanwhile.
        part: The days to clean.
        shop: Names the path of the change stamp.
    """
    held = f"select order_id, order_date from {RAW}"
    if is_there(cursor, CLEAN_ORDERS.table):  # a day whose raw orders were replaced may not have been cleaned since
        held += f" union all select order_id, order_date from {ORDERS}"
    every = part
    while found := Days.of(_beside(cursor, held, every)):
        every |= found
    beside = every - part
    superseded = superseded_days(_versions(cursor, every), shop)
    known = set(_known(cursor, every)) if beside else set()
    left = {day for order_id, day in superseded - known if day in beside}
    return Moves(beside, superseded, tuple(sorted(left)))


def _beside(cursor: Connection, held: str, part: Days) -> Iterator[date]:
    slice_ = RAW_ORDERS.table.where(part)
    cursor.execute(
        f"select distinct other.order_date from (select order_id from ({held}) as held where {slice_}) as mine "
        f"join (select order_id, order_date from ({held}) as held where not {slice_}) as other using (order_id)"
    )
    return (row[0] for row in cursor.fetchall())


def _versions(cursor: Connection, part: Days) -> Iterator[Version]:
    """Return all raw versions of the orders of some days that stand on several ones."""
    slice_ = RAW_ORDERS.table.where(part)
    cursor.execute(
        f"select order_id, order_date, extracted_at, payload::text from {RAW} where order_id in ("
        f"select order_id from {RAW} as mine where {slice_} and exists (select from {RAW} as other "
        "where other.order_id = mine.order_id and other.order_date <> mine.order_date))"
    )
    return iter(cursor.fetchall())


def _known(cursor: Connection, part: Days) -> Iterator[tuple[str, date]]:
    """Return the orders that have been left out of some days already."""
    if not is_there(cursor, EXCLUSIONS.table):
        return iter(())
    cursor.execute(
        f"select order_id, order_date from {EXCLUDED} where reason = $1 and {EXCLUSIONS.table.where(part)}", (MOVED,)
    )
    return ((row[0], row[1]) for row in cursor.fetchall())
