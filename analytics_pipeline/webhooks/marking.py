"""What a call does: it is stored, and the business days that it affects go stale, in one transaction.

A call is a hint. Whether its order is stored just so is asked of the tables, and what an order comes to of the shop, by
the run that loads the day. So calls may come twice, late, in any order or not at all: only freshness depends on them.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.mapping import compile_path, decode, parse_stamp
from analytics_pipeline.history.stale import MOVED, WEBHOOK, StaleDay, lock_list, mark
from analytics_pipeline.shop.calendar import loadable_days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.tables.webhooks import WEBHOOK_CALLS, WEBHOOK_REFUSALS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection, fetched
from analytics_pipeline.warehouse.slices import is_there
from analytics_pipeline.warehouse.turns import take_turns
from analytics_pipeline.webhooks.dialects import Call

MARKED, KNOWN, NOT_LOADED, POLL, UNKNOWN, OTHER, WAITING = (
    *("marked", "known", "not_loaded", "poll", "unknown", "other", "waiting"),
)
REPEATED = "repeated"
"""Of a call that came before; the others are words of `ops.webhook_calls`."""
CALLS = WEBHOOK_CALLS.sql_name
SECONDS_TO_STORE = 4
"""For what is stored by one statement: later nobody waits for it, and who is waited for may hold it for long."""
SECONDS_TO_WAIT = 2
"""For the list of stale days, which a run holds while it commits; platforms give up after five."""
SLACK = timedelta(minutes=5)
"""By how much a record may have been read before what a call reports, as far as clocks tell, and contain it not yet."""
MOST_AT_ONCE = 500
HOURS_ALIKE = 24
"""Within which the same content without a moment in it is the same call, where ids are not signed: what somebody has
recorded neither fills the table nor has a day loaded again and again."""
DAYS_KEPT = 30
"""For which calls are known when they come again: platforms retry for three days at most."""


@dataclass(frozen=True)
class _Version:
    """A stored version of an order: its day, its record, and when that was read."""

    day: date
    payload: str
    extracted_at: datetime


@dataclass(frozen=True)
class _Judgement:
    """What a call does, and the days that it makes stale."""

    outcome: str
    days: tuple[StaleDay, ...] = ()


def take_call(database: Database, shop: Shop, call: Call) -> str:
    """Store a call and mark what it affects; it is on disk when this returns.

    Returns:
        What it did.
    """
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor)
        cursor.execute(f"set local synchronous_commit = on; set local statement_timeout = '{SECONDS_TO_STORE}s'")
        if not _is_new(cursor, call):
            connection.commit()
            return REPEATED
        cursor.execute(f"set local lock_timeout = '{SECONDS_TO_WAIT}s'")
        try:
            with connection.transaction():  # what is stored stays if the list of stale days is busy
                outcome = _judge_and_mark(cursor, shop, call)
        except psycopg.errors.LockNotAvailable:
            outcome = WAITING
        _keep_outcome(cursor, call.call_id, outcome)
        connection.commit()
        return outcome


def judge_waiting(database: Database, shop: Shop) -> int:
    """Judge the calls that were stored while the list of stale days was busy; returns how many there were."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor)
        cursor.execute(
            "select call_id, content, topic, order_id, order_date, changed_at, happened_at, is_deletion "
            f"from {CALLS} where outcome = $1 order by received_at limit {MOST_AT_ONCE}",
            (WAITING,),
        )
        waiting = [Call(**row) for row in fetched(cursor)]
        for call in waiting:
            _keep_outcome(cursor, call.call_id, _judge_and_mark(cursor, shop, call))
        connection.commit()
    return len(waiting)


def forget_old(database: Database) -> None:
    """Forget calls and counts of refusals that have been kept long enough."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"delete from {CALLS} where received_at < clock_timestamp() - interval '{DAYS_KEPT} days'")
        cursor.execute(
            f"delete from {WEBHOOK_REFUSALS.sql_name} "
            f"where day < (clock_timestamp() at time zone 'UTC')::date - {DAYS_KEPT}"
        )
        connection.commit()


def _is_new(cursor: Connection, call: Call) -> bool:
    """Store a call that has not come before.

    One that has the content of another one has come before, whatever id and topic it has: these may be no part of what
    is signed. Unless nothing says when, as of an order that was deleted, restored and deleted again: then two calls of
    one content may be of two changes, and are two under ids that are signed, or a day apart under others.
    """
    cursor.execute(
        f"""
        update {CALLS} set repeats = repeats + 1 where call_id = (
            select call_id from {CALLS} where call_id = $1 or content = $2 and (
                $3 or not $4 and (
                    coalesce(changed_at, happened_at) is not null
                    or received_at > clock_timestamp() - interval '{HOURS_ALIKE} hours'
                )
            ) order by call_id = $1 desc, received_at desc limit 1
        ) returning call_id
        """,
        (call.call_id, call.content, call.is_dated, call.is_id_signed),
    )
    if cursor.fetchone() is not None:
        return False
    cursor.execute(
        f"insert into {CALLS} as stored (call_id, content, topic, order_id, order_date, changed_at, happened_at, "
        "is_deletion, received_at, outcome, repeats) values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), $9, 0) "
        "on conflict (call_id) do update set repeats = stored.repeats + 1 returning repeats = 0",
        (
            *(call.call_id, call.content, call.topic, call.order_id, call.order_date),
            *(call.changed_at, call.happened_at, call.is_deletion, WAITING if call.is_of_order else OTHER),
        ),
    )
    return bool(cursor.fetchone()[0])


def _keep_outcome(cursor: Connection, call_id: str, outcome: str) -> None:
    cursor.execute(f"update {CALLS} set outcome = $2 where call_id = $1", (call_id, outcome))


def _judge_and_mark(cursor: Connection, shop: Shop, call: Call) -> str:
    today = business_day(datetime.now(UTC), shop.zone)
    judged = _judge(cursor, shop, call, today)
    if judged.days:
        lock_list(cursor)
        judged = _judge(cursor, shop, call, today)  # a run may have written the order while the list was waited for
        mark(cursor, judged.days)
    return judged.outcome


def _judge(cursor: Connection, shop: Shop, call: Call, today: date) -> _Judgement:
    if not call.is_of_order:
        return _Judgement(OTHER)
    stored = _stored(cursor, call.order_id)
    if call.is_deletion and not stored and call.order_id is not None:
        return _Judgement(KNOWN)
    if any(_contains(version, call, shop) for version in stored):
        return _Judgement(KNOWN)
    before = {version.day for version in stored}
    days = set(before)
    if call.order_date is not None:
        days.add(call.order_date)
    elif not stored and shop.intraday:
        days.add(today)
    elif not stored:
        return _Judgement(POLL if shop.notices_changes else UNKNOWN)
    loadable = [day for day in sorted(days) if _is_to_be_loaded(cursor, shop, day, today)]
    if not loadable:
        return _Judgement(NOT_LOADED)
    events = _event_days(cursor, call.order_id, stored)
    ids = () if call.order_id is None else (call.order_id,)
    reason = MOVED if before and days > before else WEBHOOK
    # Without customers and products: the write itself lists a day again that turns out to need them.
    marks = (StaleDay(day, reason, ids, events | {day}, needs_dimensions=False) for day in loadable)
    return _Judgement(MARKED, tuple(marks))


def _contains(version: _Version, call: Call, shop: Shop) -> bool:
    """Whether a stored version of the order is at least as new as what the call reports."""
    if call.is_deletion:
        return False
    if call.changed_at is not None:
        stamp = _stamp_of(version.payload, shop)
        return stamp is not None and stamp >= call.changed_at
    return call.happened_at is not None and call.happened_at + SLACK <= version.extracted_at


def _stamp_of(payload: str, shop: Shop) -> datetime | None:
    path = shop.orders.fields.updated_at
    try:
        return parse_stamp(compile_path(path)(decode(payload)), shop.times_of(shop.orders), shop.zone) if path else None
    except ValueError:
        return None


def _stored(cursor: Connection, order_id: str | None) -> list[_Version]:
    if order_id is None or not is_there(cursor, RAW_ORDERS.table):
        return []
    cursor.execute(
        f"select order_date as day, payload::text as payload, extracted_at from {RAW_ORDERS.table.sql_name} "
        "where order_id = $1",
        (order_id,),
    )
    return [_Version(**row) for row in fetched(cursor)]


def _is_to_be_loaded(cursor: Connection, shop: Shop, day: date, today: date) -> bool:
    """Whether a day can be loaded, and has been or is kept current: one that nobody has loaded is not stale."""
    if day not in loadable_days(shop, today):
        return False
    if shop.intraday and day == today:
        return True
    cursor.execute(
        f"select 1 from {MATERIALISED_DAYS.sql_name} where table_name = $1 and day = $2",
        (RAW_ORDERS.table.qualified_name, day),
    )
    return cursor.fetchone() is not None


def _event_days(cursor: Connection, order_id: str | None, stored: Sequence[_Version]) -> frozenset[date]:
    """Return the days of a stored order's events; those of what has changed are known once it is read."""
    if not stored or not is_there(cursor, CLEAN_SALES.table):
        return frozenset()
    cursor.execute(
        f"select distinct event_date from {CLEAN_SALES.table.sql_name} where order_date = any($1) and order_id = $2",
        (sorted({version.day for version in stored}), order_id),
    )
    return frozenset(day for (day,) in cursor.fetchall())
