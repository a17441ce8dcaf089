"""One poll of the shop: what changed since the last one, put on the list of stale days together with the new cursor.

A poll that fails leaves list and cursor as they were, and is no "nothing changed": whoever called it sees the error.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from analytics_pipeline.days import Days, business_day, start_of_day
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.history.proofs import COUNT, read_proofs, renew
from analytics_pipeline.history.proving import days_to_prove
from analytics_pipeline.history.rules import days_by_other_rules
from analytics_pipeline.history.stale import (
    MISSING,
    RULES,
    TODAY,
    UNFINISHED,
    StaleDay,
    forget_finished,
    listed_days,
    mark,
    unpark,
)
from analytics_pipeline.history.undated import judged_table, keep_undated
from analytics_pipeline.history.unfinished import unfinished_days
from analytics_pipeline.history.written import database_clock, written_days
from analytics_pipeline.late_changes.affected import merged
from analytics_pipeline.late_changes.budget import held_days, pages_of, read_budget
from analytics_pipeline.late_changes.compare import Comparison
from analytics_pipeline.late_changes.due import aged_days, differing_days
from analytics_pipeline.late_changes.feed import read_feed
from analytics_pipeline.late_changes.gaps import gaps_of
from analytics_pipeline.late_changes.related import Cursors, cursors_at_commit, read_related_feeds
from analytics_pipeline.late_changes.reread import Reread, reread
from analytics_pipeline.late_changes.rounds import days_to_hold, shortest_rounds
from analytics_pipeline.shop.calendar import loadable_days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.order_counts import can_count_orders, count_orders
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, RAW_ORDERS
from analytics_pipeline.tables.history import EXTRACTIONS, MATERIALISED_DAYS, POLLS
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.undated import judge_undated
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query
from analytics_pipeline.warehouse.turns import take_turns


@dataclass(frozen=True)
class Poll:
    """What a poll found.

    Attributes:
        asked_since: Changes since then were asked for; None where the shop cannot be asked.
        newest_change: The cursor after it.
        orders_seen: Different orders that the shop named as changed.
        orders_changed: Those that differ from what is stored.
        stale: Days that were put on the list.
        requests: Requests that it cost.
        gaps: Days that were never loaded, in gaps too large to be loaded unasked.
        again: What reading loaded days again has found.
        as_of: What counted as now.
        undated: Orders that belong to no day, judged.
        related: How far the lists of changes of related lists are known.
    """

    asked_since: datetime | None
    newest_change: datetime | None
    orders_seen: int
    orders_changed: int
    stale: list[StaleDay]
    requests: int = 0
    gaps: list[Days] = field(default_factory=list)
    again: Reread = field(default_factory=Reread)
    as_of: datetime | None = None
    undated: Sequence[Mapping[str, Any]] = ()
    related: Cursors = field(default_factory=dict)


def poll(
    client: ShopClient,
    database: Database,
    marts: Sequence[Table],
    *,
    in_flight: Collection[date] = (),
    now: datetime | None = None,
) -> Poll | None:
    """Ask the shop what changed, and mark the days that have to be loaded again.

    Args:
        client: Asks the shop.
        database: Where the tables lie.
        marts: Tables of the marts by business day, of which some days may be unfinished.
        in_flight: Days that runs are loading; without any, what is unfinished was left so.
        now: What counts as now for what is due, an aware stamp; the database's time when None.

    Returns:
        What was found; None when no day is loaded yet, so that nothing can have changed.

    Raises:
        SettingsError: The database is bound to another shop; nothing was asked.
        ShopUnavailableError, ShopRefusedError, AnswerError, PaginationError, FeedError: The poll failed, and changed
            nothing.
    """
    shop = client.shop
    open_warehouse(database, shop)
    before = client.statistics.requests
    began = database_clock(database)
    now = (now or began).astimezone(UTC)
    today = business_day(now, shop.zone)
    written = written_days(database, RAW_ORDERS.table)
    loadable = loadable_days(shop, today)
    loaded = {day: as_of for day, as_of in written.items() if day in loadable}
    if not loaded and not shop.intraday:
        return None
    feed = _Feed(client, database, now)
    comparison = Comparison(database, shop, {*loaded, *([today] if shop.intraday else [])})
    if shop.notices_changes:
        feed.read(comparison)
    related = read_related_feeds(client, database, loadable, now)
    stale = [*comparison.stale, *related.stale]
    if shop.intraday and (today not in loaded or not shop.notices_changes):
        stale.append(StaleDay(today, TODAY))
    gaps = gaps_of(shop, loaded, now)
    stale += [StaleDay(day, MISSING) for day in gaps.days if day not in in_flight]
    due = [day for day in days_to_prove(database, now) if day.day in loadable]
    unpark(database, [day.day for day in due])
    stale += due
    unfinished = unfinished_days(database, marts)
    if not in_flight:
        stale += [StaleDay(day, UNFINISHED, event_days=frozenset({day})) for day in unfinished if day in loadable]
    # What the shop shows is of days as they are cut now: others cannot be held against it.
    by_other_rules = [day for day in days_by_other_rules(database, shop) if day in loaded]
    chosen = by_other_rules[: shop.late_changes.most_days]
    stale += [StaleDay(day, RULES, event_days=frozenset({day})) for day in chosen]
    if can_count_orders(shop):
        known = {*listed_days(database), *by_other_rules, *(day.day for day in stale), today}
        counted = {day for day, proof in read_proofs(database).items() if proof.basis == COUNT}
        stale += _differing_in_number(client, database, [day for day in loaded if day in counted - known])
    without = {*in_flight, *by_other_rules, today, *(day.day for day in stale)}
    again = _read_again(client, database, loaded, now, without=without)
    found = Poll(
        feed.asked_since,
        feed.newest_change,
        feed.orders_seen,
        len(comparison.changed),
        merged([*stale, *again.stale]),
        client.statistics.requests - before,
        gaps.too_large,
        again,
        as_of=now,
        undated=judge_undated(list(comparison.undated.values()), today, shop),
        related=related.cursors,
    )
    record(database, found, began, written, unfinished)
    return found


def _read_again(
    client: ShopClient, database: Database, loaded: dict[date, datetime | None], now: datetime, without: set[date]
) -> Reread:
    """Hold loaded days against the shop again: those that have to be, and what fits into the budget."""
    shop = client.shop
    days = held_days(database, shop, loaded, now)
    listed = listed_days(database)
    free = {day: held for day, held in days.items() if held.is_proved and day not in without and day not in listed}
    due = aged_days(
        {day: held.held_at for day, held in free.items()},
        now,
        today=business_day(now, shop.zone),
        reread_days=0 if shop.notices_changes else shop.late_changes.reread_days,
        sweep_days=shop.sweep_days,
    )[: shop.late_changes.most_days]
    ranges = Days.of(due).ranges
    if shop.late_changes.reread_share:
        ranges += days_to_hold(
            {day: held for day, held in free.items() if day not in set(due)},
            now,
            budget=read_budget(database, shop, now),
            pages=pages_of(shop),
            shortest=shortest_rounds(shop.late_changes.sweep_days),
        )
    return reread(client, database, ranges, free)


def record(
    database: Database, found: Poll, began: datetime, loaded: Collection[date], unfinished: Collection[date]
) -> None:
    """Mark the days and move the cursor, in one transaction.

    Days that were loaded for the first time while the poll went on were left out of it: the cursor stops before them.
    Their transactions are over, or begin when this one has ended (`_loads_since_the_last_poll`).
    """
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        lists = [RAW_ORDERS.table, *(related_contract(name).table for name in found.related)]
        take_turns(cursor, *(table.qualified_name for table in lists))
        related = cursors_at_commit(cursor, found.related)
        known = ", ".join(f"date '{day}'" for day in loaded) or "null"
        cursor.execute(
            f"select min(as_of) from {MATERIALISED_DAYS.sql_name} "
            f"where table_name = $1 and (day in ({known})) is not true",
            (RAW_ORDERS.table.qualified_name,),
        )
        meanwhile = cursor.fetchone()[0]
        newest_change = min(filter(None, [found.newest_change, meanwhile]), default=None)
        forget_finished(cursor, unfinished, began)
        mark(cursor, found.stale)
        keep_undated(cursor, judged_table(found.undated))
        as_of = found.as_of or began
        renew(cursor, found.again.held, as_of, found.again.basis)
        days, held = len({stale.day for stale in found.stale}), len(found.again.held)
        cursor.execute(
            f"insert into {POLLS.sql_name} (polled_at, asked_since, newest_change, orders_seen, orders_changed, "
            "days_marked, as_of, requests, requests_again, days_held, related) "
            "values (clock_timestamp(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::json)",
            (
                *(found.asked_since, newest_change, found.orders_seen, found.orders_changed),
                *(days, as_of, found.requests, found.again.requests, held, related),
            ),
        )
        connection.commit()


class _Feed:
    """The shop's list of changed orders, and how far it is known."""

    def __init__(self, client: ShopClient, database: Database, now: datetime) -> None:
        self.asked_since: datetime | None = None
        self.newest_change = _cursor(database)
        self.orders_seen = 0
        self._client, self._database, self._now = client, database, now

    def read(self, comparison: Comparison) -> None:
        """Read it and move the cursor: never past the shop's time at the first answer, less the overlap.

        An order may change while the list is read, or be shown later than its stamp says.
        """
        shop = self._client.shop
        if self.newest_change is None:  # no order is known
            self.newest_change = datetime.combine(shop.first_day, datetime.min.time(), shop.zone)
        overlap = timedelta(minutes=shop.late_changes.overlap_minutes)
        self.asked_since = min([self.newest_change, *_loads_since_the_last_poll(self._database)]) - overlap
        found = read_feed(self._client, self.asked_since, self._now, comparison)
        self.orders_seen = found.orders
        self.newest_change = min(max(found.newest or self.newest_change, self.newest_change), found.began_at - overlap)


def _cursor(database: Database) -> datetime | None:
    """Return the newest change stamp of the last poll; before the first one, what every loaded day knows for sure."""
    last = query(database, f"select newest_change from {POLLS.sql_name} order by polled_at desc limit 1")
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
            from {MATERIALISED_DAYS.sql_name} as days
            join {CLEAN_ORDERS.table.sql_name} as orders on orders.order_date = days.day
            where days.table_name = '{RAW_ORDERS.table.qualified_name}' and orders.updated_at <= days.as_of
            group by days.run_id
        ) as loads
        """,
    )
    oldest: datetime | None = found[0]["stamp"]
    return oldest


def _loads_since_the_last_poll(database: Database) -> list[datetime]:
    """Return when the extractions began of days that no poll has known as loaded: it has left out their changes."""
    found = query(
        database,
        f"select min(as_of) as began from {MATERIALISED_DAYS.sql_name} "
        f"where table_name = '{RAW_ORDERS.table.qualified_name}' "
        f"and first_written_at > (select max(polled_at) from {POLLS.sql_name})",
    )
    return [row["began"] for row in found if row["began"] is not None]


def _differing_in_number(client: ShopClient, database: Database, days: Sequence[date]) -> list[StaleDay]:
    """Return the days of which the shop has more or fewer orders than are stored: deleted ones are reported so only."""
    rows = query(
        database,
        "select order_date as day, count(distinct order_id) as orders "
        f"from {RAW_ORDERS.table.sql_name} group by order_date",
    )
    stored = {row["day"]: row["orders"] for row in rows}

    def count(part: Days) -> int:
        counted = count_orders(client, part.first, part.last)
        return sum(stored.get(day, 0) for day in part) if counted is None else counted

    found = [day for part in Days.of(days).ranges for day in differing_days(part, stored, count)]
    as_counted = _days_as_counted(database)
    # The count of a day that was found is often a difference of two others, of which one may be capped.
    asked = {day: count(Days(day, day)) for day in found}
    # A second before the day is asked for too: an order of that second may be counted, or not.
    before = _orders_of_the_second_before(database, client.shop, found)
    return [
        StaleDay(day, "count", event_days=frozenset({day}))
        for day, counted in asked.items()
        if counted not in {stored.get(day, 0), stored.get(day, 0) + before[day], as_counted.get(day)}
    ]


def _orders_of_the_second_before(database: Database, shop: Shop, days: Sequence[date]) -> dict[date, int]:
    """Return how many stored orders were placed within the last second before each of some days."""
    found = dict.fromkeys(days, 0)
    if days and exists(database, CLEAN_ORDERS.table):
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            for day in days:
                cursor.execute(
                    f"select count(*) from {CLEAN_ORDERS.table.sql_name} "
                    "where order_date = $1 and ordered_at >= $2::timestamptz - interval '1 second'",
                    (day - timedelta(days=1), start_of_day(day, shop.zone)),
                )
                found[day] = cursor.fetchone()[0]
    return found


def _days_as_counted(database: Database) -> dict[date, int]:
    """Return the shop's count of each day at its last extraction, where that was of this day alone.

    A shop that counts an order of the next midnight with a day does so each time: only another count is news.
    """
    rows = query(
        database,
        f"select extractions.first_day as day, extractions.source_count as orders from {EXTRACTIONS.sql_name} "
        f"join {MATERIALISED_DAYS.sql_name} as days on days.run_id = extractions.run_id "
        f"and days.day = extractions.first_day and days.table_name = '{RAW_ORDERS.table.qualified_name}' "
        "where extractions.first_day = extractions.last_day and extractions.source_count is not null",
    )
    return {row["day"]: row["orders"] for row in rows}
