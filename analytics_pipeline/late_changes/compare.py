"""What came from the shop held against what is stored, order by order: which days differ, and why.

Records are compared, not what they come to: a poll asks whether an order has to be loaded again, and knows no e-mail
key. Which days a differing one affects, and why, follows from its events (`transforms.changes`), as in the write.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics_pipeline.decoding.mapping import is_same_record
from analytics_pipeline.history.cancellations import cancellations_seen
from analytics_pipeline.history.related import read_children
from analytics_pipeline.history.stale import StaleDay
from analytics_pipeline.late_changes.affected import affected_days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.following import order_calls
from analytics_pipeline.tables.contracts import (
    CLEAN_CUSTOMERS,
    CLEAN_ORDERS,
    CLEAN_SALES,
    RAW_CUSTOMERS,
    RAW_ORDERS,
    RAW_PRODUCTS,
)
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.changes import REFUND, OrderState, states
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline.transforms.raw import UndatedRecord, keys_of
from analytics_pipeline.transforms.records import decoded
from analytics_pipeline.transforms.related import NO_CHILDREN, Children, Order
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import fetched
from analytics_pipeline.warehouse.slices import exists

Row = Mapping[str, Any]


class Comparison:
    """Holds records against the stored ones, page by page.

    Attributes:
        changed: Ids of the orders that differ from what is stored.
        stale: The days that they affect, of those that are loaded.
        undated: Orders that belong to no day and are stored under none, by key.
    """

    def __init__(
        self, database: Database, shop: Shop, loaded: Collection[date], client: ShopClient | None = None
    ) -> None:
        """Prepares it.

        Args:
            database: Where the tables lie.
            shop: Maps the records.
            loaded: The loaded days.
            client: Asks for what belongs to an order whose record is the same, where the description has that asked for
                order by order; it is taken to be the same when None.
        """
        self.changed: set[str] = set()
        self.stale: list[StaleDay] = []
        self.undated: dict[str, UndatedRecord] = {}
        self._database, self._shop, self._loaded = database, shop, frozenset(loaded)
        self._calls = order_calls(client) if client else {}

    def take(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Compare the rows of one page."""
        self.stale += [stale for stale in self._affected(rows) if stale.day in self._loaded]

    def take_undated(self, records: Sequence[UndatedRecord]) -> None:
        """Compare orders whose day cannot be read with the days under which they are stored; keep the others apart."""
        keyed = list(zip(keys_of(records), records, strict=True))
        stored = _stored_records(self._database, [key for key, _ in keyed])
        now = datetime.now(UTC)
        for key, record in keyed:
            for day in dict.fromkeys(day for day, _ in stored.get(key, [])):
                self.take([{"order_id": key, "order_date": day, "extracted_at": now, "payload": record.payload}])
        self.undated |= {key: record for key, record in keyed if key not in stored}

    def _affected(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[StaleDay]:
        stored, volatile = (
            _stored_records(self._database, [row["order_id"] for row in rows]),
            self._shop.orders.volatile,
        )
        changed = [
            row
            for row in rows
            if (row["order_date"] in self._loaded or row["order_id"] in stored)
            and not any(
                day == row["order_date"] and is_same_record(payload, row["payload"], volatile)
                for day, payload in stored.get(row["order_id"], [])
            )
        ]
        children = NO_CHILDREN
        if self._shop.orders.joined:
            children = read_children(self._database, self._shop, {(row["order_id"], row["order_date"]) for row in rows})
        if self._calls:
            known = {id(row) for row in changed}
            same = [row for row in rows if id(row) not in known and row["order_date"] in self._loaded]
            children, followed_otherwise = self._followed(same, children)
            changed += followed_otherwise
        if not changed:
            return
        self.changed.update(row["order_id"] for row in changed)
        before = _stored_states(self._database, stored)
        seen = cancellations_seen(self._database, self._shop, {row["order_id"] for row in changed})
        shown = pa.Table.from_pylist(changed, schema=RAW_ORDERS.table.arrow_schema)
        cleaned = clean_orders(
            shown.to_pandas(types_mapper=pd.ArrowDtype), self._shop, children=children, cancellations=seen
        )
        after, strange = _shown_states(shown, cleaned), _naming_unknown(self._database, cleaned)
        first = first_orders(self._database, {order_id: state.order_date for order_id, state in before.items()})
        for row in changed:
            order_id: str = row["order_id"]
            days = affected_days(order_id, before.get(order_id), after[order_id])
            needs_dimensions = order_id in strange or (order_id in first and days[0].reason != REFUND)
            yield from (replace(day, needs_dimensions=needs_dimensions) for day in days)

    def _followed(self, rows: Sequence[Row], children: Children) -> tuple[Children, list[Row]]:
        """Ask for what belongs to orders whose records are the same; return it, and the orders of which it differs."""
        differing = []
        found: defaultdict[str, dict[Order, list[str]]] = defaultdict(dict)
        for row in rows:
            order, document = (row["order_id"], row["order_date"]), decoded(row["payload"])
            for name, calls in self._calls.items():
                if not calls.is_asked(row["order_id"], document):
                    continue
                stored, shown = children.of(name, order), calls.ask(row["order_id"], document)
                if len(stored) != len(shown) or not all(map(is_same_record, stored, shown)):
                    differing.append(row)
                    found[name][order] = shown
        return children.having(found), list({id(row): row for row in differing}.values())


def _stored_records(database: Database, ids: Sequence[str]) -> dict[str, list[tuple[date, str]]]:
    """Return business day and record of each stored version of some orders."""
    found: dict[str, list[tuple[date, str]]] = {}
    if ids and exists(database, RAW_ORDERS.table):
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                f"select order_id, order_date, payload::text from {RAW_ORDERS.table.sql_name} where order_id = any($1)",
                (list(ids),),
            )
            for order_id, day, payload in cursor.fetchall():
                found.setdefault(order_id, []).append((day, payload))
    return found


def events_of(database: Database, orders: Mapping[str, date]) -> dict[str, frozenset[date]]:
    """Return the days of the events of stored orders, given with their business days."""
    states = _stored_states(database, {order_id: [(day, "")] for order_id, day in orders.items()})
    return {order_id: state.event_days for order_id, state in states.items()}


def first_orders(database: Database, orders: Mapping[str, date]) -> set[str]:
    """Return which of some stored orders, given with their business days, are their customer's first one on record.

    The record may name another day once such an order is gone, edited or moved. One that comes needs no record: the
    oldest loaded order counts beside it.
    """
    if not orders or not (exists(database, CLEAN_ORDERS.table) and exists(database, CLEAN_CUSTOMERS.table)):
        return set()
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"select order_id from {CLEAN_ORDERS.table.sql_name} as orders "
            f"join {CLEAN_CUSTOMERS.table.sql_name} as customers using (customer_id) "
            "where order_date = any($1) and order_id = any($2) and order_date <= first_order_date",
            (sorted(set(orders.values())), list(orders)),
        )
        return {order_id for (order_id,) in cursor.fetchall()}


def _stored_states(database: Database, stored: Mapping[str, list[tuple[date, str]]]) -> dict[str, OrderState]:
    """Return how orders stand in the ledger; one that is in no clean table has no event."""
    without_events = {order_id: OrderState(versions[0][0]) for order_id, versions in stored.items()}
    if not stored or not exists(database, CLEAN_SALES.table):
        return without_events
    names = ("order_id", "order_date", "event_date", "event_type", "is_cancellation")
    schema = pa.schema([CLEAN_SALES.table.arrow_schema.field(name) for name in names])
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"select {', '.join(names)} from {CLEAN_SALES.table.sql_name} "
            "where order_date = any($1) and order_id = any($2)",
            (sorted({versions[0][0] for versions in stored.values()}), list(stored)),
        )
        return without_events | states(pa.Table.from_pylist(fetched(cursor), schema=schema))


def _shown_states(raw: pa.Table, cleaned: CleanOrders) -> dict[str, OrderState]:
    """Return how orders would stand in the ledger, as the shop shows them now."""
    days = zip(raw["order_id"].to_pylist(), raw["order_date"].to_pylist(), strict=True)
    without_events = {order_id: OrderState(day) for order_id, day in days}
    return without_events | states(pa.Table.from_pandas(cleaned.sales, preserve_index=False))


def _naming_unknown(database: Database, cleaned: CleanOrders) -> set[str]:
    """Return the orders that name a customer or product that is not stored."""
    found: set[str] = set()
    for rows, contract in ((cleaned.orders, RAW_CUSTOMERS), (cleaned.order_lines, RAW_PRODUCTS)):
        key = contract.table.arrow_schema.names[0]
        named = rows[["order_id", key]].dropna()
        stored = _stored_keys(database, contract.table, key, sorted(set(named[key])))
        found.update(named["order_id"][~named[key].isin(stored)])
    return found


def _stored_keys(database: Database, table: Table, key: str, wanted: Sequence[str]) -> list[str]:
    if not wanted or not exists(database, table):
        return []
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select distinct {key} from {table.sql_name} where {key} = any($1)", (list(wanted),))
        return [stored for (stored,) in cursor.fetchall()]
