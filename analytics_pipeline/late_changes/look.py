"""One look at the shop: what changed since the last one, put on the list of stale days together with the new cursor.

A look that fails leaves list and cursor as they were, and is no "nothing changed": whoever called it sees the error.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics_pipeline.contracts import CLEAN_ORDERS, CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.database.connection import Connection, Database
from analytics_pipeline.database.slices import exists, query, take_turns
from analytics_pipeline.history.prepare import prepare
from analytics_pipeline.history.stale import TODAY, UNFINISHED, StaleDay, forget_finished, listed_days, mark
from analytics_pipeline.history.undated import judged_table, keep_undated
from analytics_pipeline.history.unfinished import unfinished_days
from analytics_pipeline.history.written import contiguous, database_clock, written_days
from analytics_pipeline.late_changes.due import aged_days, differing_days
from analytics_pipeline.late_changes.touched import OrderState, days_touched, merged
from analytics_pipeline.mart_sql import daily_tables
from analytics_pipeline.ops_tables import EXTRACTIONS, LOOKS, MATERIALISED_DAYS
from analytics_pipeline.partitions import DayRange, loadable_days
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import can_count_orders, count_orders, extract_changed_orders
from analytics_pipeline.sources.mapping import business_day, compile_path, decode, is_same_record, parse_stamp
from analytics_pipeline.sources.records import UndatedRecord, keys_of
from analytics_pipeline.sources.spec import Shop
from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline.transforms.undated import judge_undated


@dataclass(frozen=True)
class Look:
    """What a look found.

    Attributes:
        asked_since: Changes since then were asked for; None where the shop cannot be asked.
        newest_change: The cursor after it.
        orders_seen: Orders that the shop named as changed.
        orders_changed: Those that differ from what is stored.
        stale: Days that were put on the list.
        undated: Orders that belong to no day, judged.
    """

    asked_since: datetime | None
    newest_change: datetime | None
    orders_seen: int
    orders_changed: int
    stale: list[StaleDay]
    undated: Sequence[Mapping[str, Any]] = ()


def look(client: ShopClient, database: Database, *, is_quiet: bool = True) -> Look | None:
    """Ask the shop what changed, and mark the days that have to be loaded again.

    Args:
        client: Asks the shop.
        database: Where the tables lie.
        is_quiet: Whether no run is going on, so that what is unfinished was left so.

    Returns:
        What was found; None when no day is loaded yet, so that nothing can have changed.

    Raises:
        ShopUnavailableError, ShopRefusedError, AnswerError, PaginationError: The look failed, and changed nothing.
    """
    shop = client.shop
    prepare(database)
    now = database_clock(database)
    today = business_day(now, shop.zone)
    written = written_days(database, RAW_ORDERS.table)
    loadable = loadable_days(shop, today)
    loaded = {day: read_at for day, read_at in written.items() if day in loadable}
    if not loaded and not shop.intraday:
        return None
    feed = _Feed(client, database, {*loaded, *([today] if shop.intraday else [])})
    stale = list(feed) if shop.notices_changes else []
    if shop.intraday and (today not in loaded or not shop.notices_changes):
        stale.append(StaleDay(today, TODAY))
    stale += aged_days(
        loaded,
        now,
        today=today,
        reread_days=0 if shop.notices_changes else shop.late_changes.reread_days,
        sweep_days=shop.sweep_days,
    )[: shop.late_changes.most_days]
    unfinished = unfinished_days(database, daily_tables())
    if is_quiet:
        stale += [StaleDay(day, UNFINISHED, event_days=frozenset({day})) for day in unfinished if day in loadable]
    if can_count_orders(shop):
        known = {*listed_days(database), *(day.day for day in stale), today}
        stale += _differing_in_number(client, database, [day for day in loaded if day not in known])
    undated = judge_undated(feed.undated, today, shop)
    found = Look(feed.asked_since, feed.newest_change, feed.orders_seen, feed.orders_changed, merged(stale), undated)
    record(database, found, now, written, unfinished)
    return found


def record(
    database: Database, found: Look, began: datetime, loaded: Collection[date], unfinished: Collection[date]
) -> None:
    """Mark the days and move the cursor, in one transaction.

    Days that were loaded for the first time while the look went on were left out of it: the cursor stops before them.
    Their transactions are over, or begin when this one has ended (`_loads_since_the_last_look`).
    """
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, RAW_ORDERS.table.qualified_name)
        known = ", ".join(f"date '{day}'" for day in loaded) or "null"
        cursor.execute(
            f"select min(read_at) from {MATERIALISED_DAYS.qualified_name} "
            f"where table_name = $1 and (day in ({known})) is not true",
            (RAW_ORDERS.table.qualified_name,),
        )
        meanwhile = cursor.fetchone()[0]
        newest_change = min(filter(None, [found.newest_change, meanwhile]), default=None)
        forget_finished(cursor, unfinished, began)
        mark(cursor, found.stale)
        keep_undated(cursor, judged_table(found.undated))
        days = len({stale.day for stale in found.stale})
        cursor.execute(
            f"insert into {LOOKS.qualified_name} "
            "(looked_at, asked_since, newest_change, orders_seen, orders_changed, days_marked) "
            "values (clock_timestamp(), $1, $2, $3, $4, $5)",
            (found.asked_since, newest_change, found.orders_seen, found.orders_changed, days),
        )
        connection.commit()


class _Feed(Iterator[StaleDay]):
    """The days touched by the orders that the shop names as changed, read page by page.

    The attributes are whole once it is exhausted.
    """

    def __init__(self, client: ShopClient, database: Database, loaded: set[date]) -> None:
        self.asked_since: datetime | None = None
        self.newest_change: datetime | None = _cursor(database)
        self.orders_seen = self.orders_changed = 0
        self.undated: list[UndatedRecord] = []
        self._client, self._shop, self._database, self._loaded = client, client.shop, database, loaded
        self._days = self._read()

    def __next__(self) -> StaleDay:
        return next(self._days)

    def _read(self) -> Iterator[StaleDay]:
        if self.newest_change is None:  # no order is known
            self.newest_change = datetime.combine(self._shop.first_day, datetime.min.time(), self._shop.zone)
        overlap = timedelta(minutes=self._shop.late_changes.overlap_minutes)
        self.asked_since = min([self.newest_change, *_loads_since_the_last_look(self._database)]) - overlap
        extraction = extract_changed_orders(self._client, self.asked_since)
        for batch in extraction:
            rows = batch.to_pylist()
            self.orders_seen += len(rows)
            self._move_cursor(rows)
            yield from (stale for stale in self._touched(rows) if stale.day in self._loaded)
        self.orders_seen += len(extraction.undated)
        yield from self._without_day(extraction.undated)

    def _without_day(self, records: Sequence[UndatedRecord]) -> Iterator[StaleDay]:
        """Orders whose day cannot be read belong to the day under which they are stored; the others are kept apart."""
        keyed = list(zip(keys_of(records), records, strict=True))
        stored = _stored_records(self._database, [key for key, _ in keyed])
        now = datetime.now(UTC)
        rows = [
            {"order_id": key, "order_date": day, "extracted_at": now, "payload": record.payload}
            for key, record in keyed
            for day in dict.fromkeys(day for day, _ in stored.get(key, []))
        ]
        self._move_cursor(rows)
        for row in rows:  # one by one: an order without a day may be stored under several
            yield from (stale for stale in self._touched([row]) if stale.day in self._loaded)
        self.undated = [record for key, record in keyed if key not in stored]

    def _move_cursor(self, rows: Sequence[Mapping[str, Any]]) -> None:
        path = compile_path(self._shop.orders.fields.updated_at or "")
        for row in rows:
            try:
                stamp = parse_stamp(path(decode(row["payload"])), self._shop.times, self._shop.zone)
            except ValueError:
                continue
            # A stamp of the future would hide every change until then.
            if stamp <= row["extracted_at"]:
                self.newest_change = max(stamp, self.newest_change or stamp)

    def _touched(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[StaleDay]:
        stored = _stored_records(self._database, [row["order_id"] for row in rows])
        changed = [
            row
            for row in rows
            if (row["order_date"] in self._loaded or row["order_id"] in stored)
            and not any(
                day == row["order_date"] and is_same_record(payload, row["payload"])
                for day, payload in stored.get(row["order_id"], [])
            )
        ]
        if not changed:
            return
        self.orders_changed += len(changed)
        before = _stored_states(self._database, stored)
        after = _states(pa.Table.from_pylist(changed, schema=RAW_ORDERS.table.arrow_schema), self._shop)
        for row in changed:
            order_id: str = row["order_id"]
            yield from days_touched(order_id, before.get(order_id), after[order_id])


def _cursor(database: Database) -> datetime | None:
    """Return the newest change stamp of the last look; before the first one, what every loaded day knows for sure."""
    last = query(database, f"select newest_change from {LOOKS.qualified_name} order by looked_at desc limit 1")
    if last and last[0]["newest_change"] is not None:
        stamp: datetime = last[0]["newest_change"]
        return stamp
    if not exists(database, CLEAN_ORDERS.table):
        return None
    # A load knows of every change up to the newest stamp that it has seen; the oldest of the loads counts.
    found = query(
        database,
        f"""
        select min(newest) as stamp from (
            select max(updated_at) as newest
            from {MATERIALISED_DAYS.qualified_name} as days
            join {CLEAN_ORDERS.table.qualified_name} as orders on orders.order_date = days.day
            where days.table_name = '{RAW_ORDERS.table.qualified_name}' and orders.updated_at <= days.read_at
            group by days.run_id
        ) as loads
        """,
    )
    oldest: datetime | None = found[0]["stamp"]
    return oldest


def _loads_since_the_last_look(database: Database) -> list[datetime]:
    """Return when the extractions began of days that no look has known as loaded: it has left out their changes."""
    found = query(
        database,
        f"select min(read_at) as began from {MATERIALISED_DAYS.qualified_name} "
        f"where table_name = '{RAW_ORDERS.table.qualified_name}' "
        f"and first_written_at > (select max(looked_at) from {LOOKS.qualified_name})",
    )
    return [row["began"] for row in found if row["began"] is not None]


def _stored_records(database: Database, ids: Sequence[str]) -> dict[str, list[tuple[date, str]]]:
    """Return business day and record of each stored version of some orders."""
    found: dict[str, list[tuple[date, str]]] = {}
    if ids and exists(database, RAW_ORDERS.table):
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                f"select order_id, order_date, payload::text from {RAW_ORDERS.table.qualified_name} "
                "where order_id = any($1)",
                (list(ids),),
            )
            for order_id, day, payload in cursor.fetchall():
                found.setdefault(order_id, []).append((day, payload))
    return found


def _stored_states(database: Database, stored: Mapping[str, list[tuple[date, str]]]) -> dict[str, OrderState]:
    """Return how orders stand in the ledger; one that is in no clean table has no event."""
    states = {order_id: OrderState(versions[0][0]) for order_id, versions in stored.items()}
    if not stored or not exists(database, CLEAN_SALES.table):
        return states
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        _select_events(cursor, list(stored), {versions[0][0] for versions in stored.values()})
        for order_id, order_date, event_days, refunds, is_cancelled in cursor.fetchall():
            states[order_id] = OrderState(order_date, frozenset(event_days), refunds, is_cancelled)
    return states


def _select_events(cursor: Connection, ids: Sequence[str], days: set[date]) -> None:
    cursor.execute(
        "select order_id, order_date, array_agg(distinct event_date), "
        "count(*) filter (where not is_cancellation and event_type not in ('line_sold', 'shipping_charged')), "
        f"bool_or(is_cancellation) from {CLEAN_SALES.table.qualified_name} "
        "where order_date = any($1) and order_id = any($2) group by order_id, order_date",
        (sorted(days), list(ids)),
    )


def _states(raw: pa.Table, shop: Shop) -> dict[str, OrderState]:
    """Return how orders would stand in the ledger, as the shop shows them now."""
    states = {row["order_id"]: OrderState(row["order_date"]) for row in raw.to_pylist()}
    sales = clean_orders(raw.to_pandas(types_mapper=pd.ArrowDtype), shop).sales
    for order_id, events in sales.groupby("order_id"):
        takes_back = ~events["event_type"].isin(["line_sold", "shipping_charged"])
        states[str(order_id)] = OrderState(
            states[str(order_id)].order_date,
            frozenset(events["event_date"]),
            int((takes_back & ~events["is_cancellation"]).sum()),
            bool(events["is_cancellation"].any()),
        )
    return states


def _differing_in_number(client: ShopClient, database: Database, days: Sequence[date]) -> list[StaleDay]:
    """Return the days of which the shop has more or fewer orders than are stored: deleted ones are told so only."""
    rows = query(
        database,
        "select order_date as day, count(distinct order_id) as orders "
        f"from {RAW_ORDERS.table.qualified_name} group by order_date",
    )
    stored = {row["day"]: row["orders"] for row in rows}

    def count(part: DayRange) -> int:
        counted = count_orders(client, part.first, part.last)
        return sum(stored.get(day, 0) for day in part) if counted is None else counted

    found = [day for part in contiguous(days) for day in differing_days(part, stored, count)]
    as_counted = _days_as_counted(database)
    return [
        StaleDay(day, "count", event_days=frozenset({day}))
        for day in found
        if day not in as_counted or as_counted[day] != count(DayRange(day, day))
    ]


def _days_as_counted(database: Database) -> dict[date, int]:
    """Return the shop's count of each day at its last extraction, where that was of this day alone.

    A shop that counts an order of the next midnight with a day does so each time: only another count is news.
    """
    rows = query(
        database,
        f"select extractions.first_day as day, extractions.source_count as orders from {EXTRACTIONS.qualified_name} "
        f"join {MATERIALISED_DAYS.qualified_name} as days on days.run_id = extractions.run_id "
        f"and days.day = extractions.first_day and days.table_name = '{RAW_ORDERS.table.qualified_name}' "
        "where extractions.first_day = extractions.last_day and extractions.source_count is not null",
    )
    return {row["day"]: row["orders"] for row in rows}
