"""What a rewritten order changes on business days that a mart already has, noted in the write of the ledger.

A mart's day is stale from here on until it is computed anew (`publishing`), and its restatements name these changes as
their cause. Nothing is noted of days that no mart has: there is no number yet that could change. What counts as a
change, and its cause, is decided in `transforms.changes`; here is the SQL that finds the orders.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.days import Days
from analytics_pipeline.history.first_orders import IS_SOLD, keep_first_orders_moved
from analytics_pipeline.history.noting import (
    DAYS,
    FOUND_SCHEMA,
    first_order_changes,
    keep,
    lock_marts,
    marts_days,
    note_changes,
)
from analytics_pipeline.history.stale import orders_moved_away
from analytics_pipeline.history.written import Writing
from analytics_pipeline.tables.contracts import CLEAN_SALES, EXCLUSIONS, ORDER, QUARANTINE, RAW_ORDERS
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, Table
from analytics_pipeline.transforms.changes import COUNTED, EDIT, EVENTS, ORDER_DAY, Circumstances, differences
from analytics_pipeline.transforms.whole_days import in_whole_days
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import is_there

SALES, RAW = CLEAN_SALES.table.sql_name, RAW_ORDERS.table.sql_name
OLD, BETWEEN, NEW = -1, 0, 1
"""Versions of an order: as stored before, its old record under the new rules, as stored now."""
EVENTS_AT_A_TIME = 100_000
_EVENTS = pa.schema(
    [
        ("version", COUNT),
        ("was_stored", FLAG),
        ("remains", FLAG),
        ("stored_on", DAY),
        *((one.name, one.type) for one in EVENTS),
    ]
)
"""An event of a version of an order, with whether that was there before, on which day, and whether it is there now."""


@dataclass(frozen=True)
class SalesChanged:
    """Notes what the new rows of the ledger change, order by order, with the cause.

    Where the rules have changed as well, there is a step between: the old records under the new rules. What differs up
    to there is the new code version's doing, the rest the shop's.

    Attributes:
        writing: The run, and the code version of its rows.
        marts: Tables of the marts by business day.
        replaced: Ids of orders whose old record has been kept since it came otherwise or no more.
        replaced_sales: What these records come to in the ledger under the new rules.
    """

    writing: Writing
    marts: Sequence[Table]
    replaced: Sequence[str] = ()
    replaced_sales: pa.Table | None = None

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Keep the old rows: whether a mart could change is known only when none is being computed any more."""
        if part is not None:
            keep(cursor, "sales_before", f"select {', '.join(EVENTS.names)} from {SALES} where {table.where(part)}")
            # These are replaced in the same transaction, before this looks at what changed.
            keep(cursor, "held_before", _held(cursor, lambda source: source.where(part)))

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Compare, and note the differences; no mart is computed meanwhile, so that none misses them."""
        if not lock_marts(cursor, self.marts) or part is None or not self._keep_changed(cursor, table.where(part)):
            return
        keep_first_orders_moved(cursor, table.where(part), self.marts)
        around = self._circumstances(cursor, part)
        changes = pa.concat_tables(
            [
                FOUND_SCHEMA.empty_table(),
                *(self._changes(events, around) for events in self._events(cursor, table.where(part))),
            ]
        )
        changes = pa.concat_tables([changes, _of_first_orders(cursor, changes)])
        note_changes(cursor, changes, self.writing, self.marts)

    def _keep_changed(self, cursor: Connection, slice_: str) -> bool:
        """Keep the orders that differ; return whether there are any.

        Old and new events are reduced to one number an order and side, so that the slice is read once and nothing of it
        is joined; all that follows looks at these orders alone.
        """
        keep(cursor, "sales_between", f"select {', '.join(EVENTS.names)} from {SALES} where false")
        if self.replaced_sales:
            events = self.replaced_sales.select(EVENTS.names)
            copy_rows(cursor, "sales_between", events)
        # Of which customer the order is one, and of which day, is for first orders.
        event = (
            f"case when {IS_SOLD} then order_date end as sold_on, case when {IS_SOLD} then customer_key end as buyer, "
            f"hash_record_extended(row({', '.join((*ORDER_DAY, *COUNTED))}), 0) as event"
        )
        keep(
            cursor,
            "orders_changed",
            f"""
            select
                order_id, count(*) filter (where version = {OLD}) > 0 as was_stored,
                count(*) filter (where version = {NEW}) > 0 as remains,
                min(order_date) filter (where version = {OLD}) as stored_on,
                min(sold_on) filter (where version = {OLD}) as sold_on_before,
                min(sold_on) filter (where version = {NEW}) as sold_on_after,
                min(buyer) filter (where version = {OLD}) as buyer_before,
                min(buyer) filter (where version = {NEW}) as buyer_after
            from (
                select order_id, order_date, {OLD} as version, {event} from sales_before
                union all
                select order_id, order_date, {NEW} as version, {event} from {SALES} where {slice_}
                union all
                select unnest($1::text[]), null, {BETWEEN}, null, null, null
            ) as events
            group by order_id
            -- An order that rules and shop have changed may be the same in the end, and has changed twice.
            having sum(event) filter (where version = {OLD}) is distinct from sum(event) filter (where version = {NEW})
            or bool_or(version = {BETWEEN})
            """,
            list(self.replaced),
            counted="order_id, was_stored, remains",
        )
        cursor.execute("select exists (select from orders_changed)")
        return bool(cursor.fetchone()[0])

    def _events(self, cursor: Connection, slice_: str) -> Iterator[pa.Table]:
        """Yield the events of the orders that differ, in all versions, by whole days of orders.

        Only those on days that a mart has, since an order that differs elsewhere only is no change; but all of those
        that moved a first order, whose cause is theirs. In pieces, since new rules may change years at once.
        """
        names = ", ".join(EVENTS.names)
        # All of it is fetched; Postgres would plan for the first rows to come fast, and look orders up one by one.
        cursor.execute("set local cursor_tuple_fraction = 1")
        cursor.execute(
            f"""
            declare events_changed no scroll cursor for
            select version, was_stored, remains, stored_on, {names}
            from (
                select {OLD} as version, {names} from sales_before
                union all
                select {BETWEEN} as version, {names} from sales_between
                union all
                select {NEW} as version, {names} from {SALES} where {slice_}
            ) as events
            join orders_changed using (order_id)
            where event_date in ({marts_days(self.marts)})
            or order_id in (select order_id from first_orders_moved)
            order by order_date
            """
        )
        events = pa.RecordBatchReader.from_batches(_EVENTS, _fetched_events(cursor))
        yield from in_whole_days(events, "order_date", days=EVENTS_AT_A_TIME, rows=EVENTS_AT_A_TIME)

    def _changes(self, events: pa.Table, around: Circumstances) -> pa.Table:
        """Return what differs between versions of some orders, with the causes."""
        others = [day for day, made_with in around.code_versions.items() if made_with != around.code_version]
        is_ruled = pc.is_in(events["stored_on"], value_set=pa.array(others, pa.date32()))
        is_replaced = pc.is_in(events["order_id"], value_set=pa.array(self.replaced, pa.string()))
        is_old, is_between, is_new = (pc.equal(events["version"], version) for version in (OLD, BETWEEN, NEW))
        # An order of other rules whose record is the same is between what it is now: all that differs is their doing.
        is_as_now = pc.and_not(is_ruled, is_replaced)
        is_apart = pc.or_(is_ruled, is_replaced)
        by_rules = differences(
            events.filter(pc.and_(is_old, is_apart)),
            events.filter(pc.or_(is_between, pc.and_(is_new, is_as_now))),
        )
        by_shop = differences(
            events.filter(pc.or_(is_between, pc.and_not(is_old, is_apart))),
            events.filter(pc.and_not(is_new, is_as_now)),
        )
        around = replace(
            around,
            stored=frozenset(events.filter(events["was_stored"])["order_id"].to_pylist()),
            remaining=frozenset(events.filter(events["remains"])["order_id"].to_pylist()),
        )
        return pa.concat_tables(
            [_with_causes(by_rules, around, by_rules=True), _with_causes(by_shop, around, by_rules=False)]
        )

    def _circumstances(self, cursor: Connection, part: Days) -> Circumstances:
        """Return what is known of the orders that differ; of those that came or went, where they were or are."""
        cursor.execute(
            f"select order_date, code_version from (select day as order_date, code_version from {DAYS} "
            f"where table_name = '{CLEAN_SALES.table.qualified_name}') as days where {CLEAN_SALES.table.where(part)}"
        )
        around = Circumstances(dict(cursor.fetchall()), self.writing.code_version, replaced=frozenset(self.replaced))
        if not around.code_versions:  # all is history that is loaded later
            return around
        held_elsewhere = _held(cursor, lambda source: f"not ({source.where(part)})")
        cursor.execute(
            f"select distinct order_id, is_quarantined from (table held_before union all {held_elsewhere}) as held "
            "join orders_changed using (order_id) where not was_stored"
        )
        held = cursor.fetchall()
        sent: dict[str, set[date]] = {}
        if is_there(cursor, RAW_ORDERS.table):
            cursor.execute(
                f"select distinct order_id, order_date from {RAW} join orders_changed using (order_id) "
                "where not remains"
            )
            for order_id, day in cursor.fetchall():
                sent.setdefault(order_id, set()).add(day)
        return replace(
            around,
            quarantined=frozenset(order_id for order_id, is_quarantined in held if is_quarantined),
            excluded=frozenset(order_id for order_id, is_quarantined in held if not is_quarantined),
            sent=sent,
            moved=orders_moved_away(cursor),
        )


def _fetched_events(cursor: Connection) -> Iterator[pa.RecordBatch]:
    """Fetch what `events_changed` has, piece by piece; numbers come as text."""
    while True:
        cursor.execute(f"fetch {EVENTS_AT_A_TIME} from events_changed")
        if not (rows := cursor.fetchall()):
            break
        columns = zip(zip(*rows, strict=True), _EVENTS, strict=True)
        arrays = [
            pa.array(values, pa.string()).cast(field.type)
            if pa.types.is_decimal(field.type)
            else pa.array(values, field.type)
            for values, field in columns
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=_EVENTS)
    cursor.execute("close events_changed")


def _held(cursor: Connection, condition: Callable[[Table], str]) -> str:
    """Select the orders that quarantine holds whole or that were left out, and which of both it is."""
    found = [
        f"select order_id, {is_quarantined} as is_quarantined from {table.sql_name} where {only} and {condition(table)}"
        for table, only, is_quarantined in (
            (QUARANTINE.table, f"kind = '{ORDER}'", "true"),
            (EXCLUSIONS.table, "true", "false"),
        )
        if is_there(cursor, table)
    ]
    return " union all ".join(found) or "select null::text as order_id, null::boolean as is_quarantined where false"


def _with_causes(found: pa.Table, around: Circumstances, *, by_rules: bool) -> pa.Table:
    """Return differences as changes to note."""
    recorded = (found[name].to_pylist() for name in ("order_id", "order_date", "cause"))
    causes = [around.cause(*one, by_rules=by_rules) for one in zip(*recorded, strict=True)]
    found = found.set_column(found.column_names.index("cause"), "cause", pa.array(causes, pa.string()))
    found = found.append_column("is_first_order", pa.array([False] * len(found), pa.bool_()))
    return found.select(FOUND_SCHEMA.names).cast(FOUND_SCHEMA)


def _of_first_orders(cursor: Connection, changes: pa.Table) -> pa.Table:
    """Return the days of first orders that moved as changes to note, with the cause of the order that did it."""
    cursor.execute("select order_id, before, after from first_orders_moved")
    moved = cursor.fetchall()
    ids = pa.array([order_id for order_id, *_ in moved], pa.string())
    own = changes.filter(pc.is_in(changes["order_id"], value_set=ids)).select(["order_id", "order_date", "cause"])
    causes: dict[str, tuple[date, str]] = {}
    for row in own.to_pylist():
        day, cause = causes.get(row["order_id"], (row["order_date"], row["cause"]))
        causes[row["order_id"]] = (min(day, row["order_date"]), min(cause, row["cause"]))
    rows = []
    for order_id, *days in moved:
        day, cause = causes.get(order_id, (None, EDIT))
        known = {"order_id": order_id, "order_date": day, "cause": cause}
        rows += [known | {"event_date": affected} for affected in days if affected is not None]
    return first_order_changes(rows)
