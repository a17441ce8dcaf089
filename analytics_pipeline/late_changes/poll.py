"""One poll of the shop: what changed since the last one, put on the list of stale days together with the new cursor.

A poll that fails leaves list and cursor as they were, and is no "nothing changed": whoever called it sees the error.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from analytics_pipeline.days import Days, business_day
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.history.proofs import renew
from analytics_pipeline.history.proving import days_to_prove
from analytics_pipeline.history.rules import days_by_other_rules
from analytics_pipeline.history.stale import (
    MISSING,
    RULES,
    TODAY,
    UNFINISHED,
    StaleDay,
    forget_finished,
    mark,
    unpark,
)
from analytics_pipeline.history.undated import judged_table, keep_undated
from analytics_pipeline.history.unfinished import unfinished_days
from analytics_pipeline.history.written import database_clock, written_days
from analytics_pipeline.late_changes.affected import merged
from analytics_pipeline.late_changes.asking import AskedChanges
from analytics_pipeline.late_changes.changes import ChangeFinder
from analytics_pipeline.late_changes.file_changes import LookedAtChanges
from analytics_pipeline.late_changes.files import Look
from analytics_pipeline.late_changes.gaps import gaps_of
from analytics_pipeline.late_changes.related import Cursors, cursors_at_commit
from analytics_pipeline.late_changes.reread import Reread
from analytics_pipeline.shop.calendar import loadable_days
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.opening import SeveralSources
from analytics_pipeline.sources.source import Source
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS, POLLS
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.undated import judge_undated
from analytics_pipeline.warehouse.connection import Database
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
        files: What a look into the folder found, of a shop that is read from files.
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
    files: Look | None = None


def finder_of(source: Source, database: Database, now: datetime) -> ChangeFinder:
    """Return what finds out which orders of a source changed."""
    of_orders = source.of_orders if isinstance(source, SeveralSources) else source
    if isinstance(of_orders, ApiSource):
        return AskedChanges(of_orders.client, database, now)
    return LookedAtChanges(source.shop, database, now)


def poll(
    source: Source,
    database: Database,
    marts: Sequence[Table],
    *,
    in_flight: Collection[date] = (),
    now: datetime | None = None,
) -> Poll | None:
    """Ask the shop what changed, and mark the days that have to be loaded again.

    Args:
        source: Where the records come from.
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
        FolderRefusedError, FolderUnavailableError: The folder of files cannot be looked into.
    """
    shop = source.shop
    open_warehouse(database, shop)
    before = source.statistics.requests
    began = database_clock(database)
    now = (now or began).astimezone(UTC)
    today = business_day(now, shop.zone)
    written = written_days(database, RAW_ORDERS.table)
    loadable = loadable_days(shop, today)
    loaded = {day: as_of for day, as_of in written.items() if day in loadable}
    if not loaded and not shop.intraday:
        return None
    finder = finder_of(source, database, now)
    changes = finder.changes(loaded, loadable, today)
    stale = list(changes.stale)
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
    stale += finder.differing_in_number(loaded, {*by_other_rules, *(day.day for day in stale), today})
    again = finder.read_again(loaded, {*in_flight, *by_other_rules, today, *(day.day for day in stale)})
    found = Poll(
        changes.asked_since,
        changes.newest_change,
        changes.orders_seen,
        changes.orders_changed,
        merged([*stale, *again.stale]),
        source.statistics.requests - before,
        gaps.too_large,
        again,
        as_of=now,
        undated=judge_undated(changes.undated, today, shop),
        related=changes.related,
        files=finder.seen if isinstance(finder, LookedAtChanges) else None,
    )
    record(database, found, began, written, unfinished)
    return found


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
