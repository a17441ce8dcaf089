"""Records of related lists: which belong to which orders, and which orders have to be cleaned again for them.

A record lies on its own business day, its order on another one. Whoever writes such records marks the days of their
orders (`RelatedChanged`); whoever cleans orders reads the records by the orders' ids, cleans the marked days along, and
takes these marks off the list (`Joined`).
"""

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime

from analytics_pipeline.days import NO_DAYS, Days
from analytics_pipeline.history.stale import RELATED, STALE, StaleDay, lock_list, mark
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.related import NO_CHILDREN, Children, Order
from analytics_pipeline.transforms.version import code_version
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import is_there
from analytics_pipeline.warehouse.turns import take_turns

DAYS, RAW, SALES = MATERIALISED_DAYS.sql_name, RAW_ORDERS.table.sql_name, CLEAN_SALES.table.qualified_name
MOST_ALONG = 366
"""Days that one cleaning takes along: they cost no request, but time."""
Marks = Mapping[date, datetime]
"""Days that are marked for a related record, each with the moment at which it was last marked."""


def read_children(database: Database, shop: Shop, orders: Collection[Order]) -> Children:
    """Return the related records of some orders, as they are stored: one query a list.

    A record that came several times counts once, as it was read last; on a day that has moved, too.
    """
    if not shop.orders.joined or not orders:
        return NO_CHILDREN
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        related = {name: _of_related(cursor, name, orders) for name in shop.orders.related}
        followed = {name: _of_followed(cursor, name, orders) for name in shop.orders.follow}
    return Children({**related, **followed})


def _of_related(cursor: Connection, name: str, orders: Collection[Order]) -> dict[Order, list[str]]:
    """Return records by order, whatever their own days are."""
    table = related_contract(name).table
    if not is_there(cursor, table):
        return {}
    days: dict[str, list[date]] = {}
    for order_id, day in orders:
        days.setdefault(order_id, []).append(day)
    # All versions of each record: the newest one may have gone to another order.
    cursor.execute(
        f"select parent_id, payload from (select distinct on (record_id) record_id, parent_id, record_date, "
        f"payload::text as payload from {table.sql_name} where record_id in "
        f"(select record_id from {table.sql_name} where parent_id = any($1)) "
        "order by record_id, extracted_at desc, payload::text desc) as newest where parent_id = any($1) "
        "order by record_date, length(record_id), record_id",
        (list(days),),
    )
    found: dict[Order, list[str]] = {}
    for parent_id, payload in cursor.fetchall():
        for day in days[parent_id]:
            found.setdefault((parent_id, day), []).append(payload)
    return found


def _of_followed(cursor: Connection, name: str, orders: Collection[Order]) -> dict[Order, list[str]]:
    """Return records by order, of the days under which the orders stand."""
    table = related_contract(name, is_followed=True).table
    if not is_there(cursor, table):
        return {}
    found: dict[Order, list[str]] = {}
    cursor.execute(
        f"select parent_id, record_date, payload::text from {table.sql_name} "
        "where parent_id = any($1) and record_date = any($2) order by length(record_id), record_id",
        (sorted({order_id for order_id, _ in orders}), sorted({day for _, day in orders})),
    )
    for order_id, day, payload in cursor.fetchall():
        found.setdefault((order_id, day), []).append(payload)
    return found


def needs_dimensions(shop: Shop, name: str) -> bool | None:
    """Return whether customers and products may have to be read for a record of a list; None where nobody knows.

    Refunds name none that their order does not.
    """
    refunds = shop.orders.refunds
    return False if refunds is not None and refunds.records == shop.orders.related[name].into else None


@dataclass(frozen=True)
class RelatedChanged:
    """Marks the days of orders of which a record is new, changed, gone, or now another order's.

    Comes in the write of a related list. Days of the same run are marked as well: their cleaning, which comes later,
    takes the mark away, and without one nothing does.

    Attributes:
        needs_dimensions: Whether the orders may name other customers or products for it; None where nobody knows.
    """

    needs_dimensions: bool | None = None

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Keep what the slice holds."""
        if part is not None:
            cursor.execute(f"create temporary table related_before on commit drop as {_versions(table, part)}")

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Mark them."""
        if part is None:
            return
        # An order that is being written becomes visible before it is looked for, or is cleaned after this.
        take_turns(cursor, RAW_ORDERS.table.qualified_name)
        if not is_there(cursor, RAW_ORDERS.table):
            return
        after = _versions(table, part)
        cursor.execute(
            f"""
            create temporary table related_changed on commit drop as
            (select * from related_before except all {after})
            union all
            ({after} except all select * from related_before)
            """
        )
        cursor.execute(
            f"""
            select distinct order_id, order_date, record_date
            from (
                select parent_id, record_date from related_changed
                union
                select parent_id, record_date from {table.sql_name}
                where record_id in (select record_id from related_changed)
            ) as changed
            join {RAW} as orders on orders.order_id = changed.parent_id
            """
        )
        orders: dict[date, tuple[set[str], set[date]]] = {}
        for order_id, day, record_day in cursor.fetchall():
            ids, days = orders.setdefault(day, (set(), {day}))
            ids.add(order_id)
            days.add(record_day)
        mark(
            cursor,
            [
                StaleDay(day, RELATED, tuple(sorted(ids)), frozenset(days), self.needs_dimensions)
                for day, (ids, days) in sorted(orders.items())
            ],
        )


def _versions(table: Table, part: Days) -> str:
    return (
        f"select record_id, parent_id, record_date, md5(payload::text) as version from {table.sql_name} "
        f"where {table.where(part)}"
    )


@dataclass(frozen=True)
class ToJoin:
    """What has to be known of related records to clean the orders of some days.

    Attributes:
        marks: Days that are marked for them.
        along: Those whose orders are cleaned along, beside the run's days.
        lacking: Days of the run that are not cleaned, since a related list of theirs has never been loaded.
    """

    marks: Marks = field(default_factory=dict)
    along: Days = NO_DAYS
    lacking: Days = NO_DAYS


def find_related(cursor: Connection, part: Days, shop: Shop) -> ToJoin:
    """Return what related records mean for the cleaning of some days.

    Days are cleaned along that were cleaned before by the rules of now, the newest `MOST_ALONG`. Others stay marked and
    are loaded again in their turn.

    Args:
        cursor: Sees one state of `raw.orders`; nobody marks days for related records meanwhile.
        part: The days to clean.
        shop: Its description has the lists and the rules.
    """
    lists = [related_contract(name).table.qualified_name for name in shop.orders.related]
    if not lists:
        return ToJoin()
    cursor.execute(f"select day, seen_at from {STALE} where reason = $1", (RELATED,))
    marks = dict(cursor.fetchall())
    cursor.execute(
        f"select day from {DAYS} where table_name = any($1) and {part.where('day')} group by day having count(*) = $2",
        (lists, len(lists)),
    )
    loaded = {day for (day,) in cursor.fetchall()}
    others = Days.of(day for day in marks if day not in part)
    cursor.execute(
        f"select day from {DAYS} where table_name = $1 and code_version = $2 and {others.where('day')} "
        "order by day desc limit $3",
        (SALES, code_version(shop), MOST_ALONG),
    )
    along = [day for (day,) in cursor.fetchall()]
    return ToJoin(marks, Days.of(along), Days.of(day for day in part if day not in loaded))


@dataclass(frozen=True)
class Joined:
    """Takes the marks off the list of days that are cleaned now, as they were when the cleaning began."""

    marks: Marks

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Take them off."""
        del table
        joined = [(day, seen_at) for day, seen_at in self.marks.items() if part is not None and day in part]
        if joined:
            lock_list(cursor)
            values = ", ".join(f"(date '{day}', timestamptz '{seen_at.isoformat()}')" for day, seen_at in joined)
            cursor.execute(
                f"delete from {STALE} as stale using (values {values}) as joined (day, seen_at) "
                "where stale.day = joined.day and stale.reason = $1 and stale.seen_at <= joined.seen_at",
                (RELATED,),
            )
