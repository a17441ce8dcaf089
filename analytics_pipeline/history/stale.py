"""Stale business days of orders: marked when the shop has other orders than we do, gone once they are written anew.

What changed is found elsewhere (`late_changes`); here is the table, and the choice of what to load next.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime

from analytics_pipeline.days import Days
from analytics_pipeline.tables.history import DAY_PROOFS, MATERIALISED_DAYS, STALE_DAYS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline.warehouse.turns import take_turns

STALE = STALE_DAYS.sql_name
FAILURES_TO_PARK = 3
DAYS_OF_A_RUN = 31
MOVED, RULES = "moved", "rules"
RELATED, RELATED_LIST = "related", "related_list"
WEBHOOK = "webhook"
FILE = "file"
FIRST_WAIT, LONGEST_WAIT = "15 minutes", "4 hours"
"""Between two attempts at a day for which the shop has not answered; in between as long as it has been stale."""
REREAD, TODAY, UNFINISHED, MISSING = "reread", "today", "unfinished", "missing"
UNSEEN = (REREAD, TODAY, UNFINISHED, MISSING, RULES)
"""Reasons of days that are loaded again without the shop having named a change."""
_MOVED_AWAY = f"select distinct id, day from {STALE} cross join unnest(order_ids) as ids (id) where reason = '{MOVED}'"


@dataclass(frozen=True)
class StaleDay:
    """A business day that has to be loaded again, for one reason.

    Attributes:
        day: The business day of the orders.
        reason: Why, a word of `ops.stale_days`.
        order_ids: The orders that changed.
        event_days: Business days whose figures they affect.
        needs_dimensions: Whether customers and products have to be read with it; None where nobody has looked.
    """

    day: date
    reason: str
    order_ids: tuple[str, ...] = ()
    event_days: frozenset[date] = field(default=frozenset())
    needs_dimensions: bool | None = None


@dataclass(frozen=True)
class StaleUnmarked:
    """Takes the days off the list that are written now, if their orders were read after they had gone stale.

    An unfinished day that has failed stays until it is finished (`forget_finished`): its marts fail after this. Comes
    after the day's own entry (`DaysWritten`).

    Attributes:
        are_orders_alone: Whether the run asks for no customers and products. A day that has come to need them since the
            run was asked for then stays for one that does.
    """

    are_orders_alone: bool = False

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Take them off."""
        if part is not None:
            lock_list(cursor)
            cursor.execute(
                f"delete from {STALE} as stale using {MATERIALISED_DAYS.sql_name} as days "
                f"where days.table_name = $1 and days.day = stale.day and {part.where('stale.day')} "
                "and stale.seen_at < days.as_of and not (stale.reason = $2 and stale.failures > 0) "
                "and not ($3 and stale.needs_dimensions is true)",
                (table.qualified_name, UNFINISHED, self.are_orders_alone),
            )


def has_moved_away(order: str) -> str:
    """Return a condition in SQL: a row with `order_id` and `order_date` is of an order that moved, as the shop said."""
    return f"({order}.order_id, {order}.order_date) in ({_MOVED_AWAY})"


def orders_moved_away(cursor: Connection) -> frozenset[tuple[str, date]]:
    """Return the orders that moved, as the shop said, with the days that are to be read again for that."""
    cursor.execute(_MOVED_AWAY)
    return frozenset((order_id, day) for order_id, day in cursor.fetchall())


def mark(cursor: Connection, days: Iterable[StaleDay]) -> None:
    """Put days on the list, in the caller's transaction; what is on it already is seen again and keeps its failures.

    What nobody has seen to change (`UNSEEN`) stays as it stands: it is as stale as before.
    """
    lock_list(cursor)
    unseen = ", ".join(f"'{reason}'" for reason in UNSEEN)
    for stale in days:
        cursor.execute(
            f"""
            insert into {STALE} as stored (
                day, reason, order_ids, event_days, needs_dimensions, first_seen_at, seen_at, failures
            )
            values (
                $1, $2, $3::text[], $4::date[], $5, clock_timestamp(), clock_timestamp(),
                coalesce((select max(failures) from {STALE} where day = $1), 0)
            )
            on conflict (day, reason) do update set
                order_ids = array(
                    select distinct id from unnest(stored.order_ids || excluded.order_ids) as ids (id) order by id
                ),
                event_days = array(
                    select distinct day from unnest(stored.event_days || excluded.event_days) as days (day) order by day
                ),
                -- True if either is; otherwise null, not known, if either is.
                needs_dimensions = stored.needs_dimensions or excluded.needs_dimensions,
                seen_at = case when stored.reason in ({unseen}) then stored.seen_at else excluded.seen_at end
            """,
            (
                stale.day,
                stale.reason,
                list(stale.order_ids),
                sorted(stale.event_days),
                stale.needs_dimensions,
            ),
        )
        cursor.execute(
            f"update {STALE} set parked_at = (select min(parked_at) from {STALE} where day = $1) where day = $1",
            (stale.day,),
        )


def ask_for(database: Database, days: Days) -> None:
    """Put days on the list that a run is about to load: they leave it when they are written, however the run ends.

    Days that are on it already stay as they are.
    """
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        lock_list(cursor)
        cursor.execute(
            f"""
            insert into {STALE} (day, reason, order_ids, event_days, first_seen_at, seen_at, failures)
            select series.day::date, $3, '{{}}', '{{}}', clock_timestamp(), clock_timestamp(), 0
            from generate_series($1::date::timestamp, $2::date::timestamp, interval '1 day') as series (day)
            where not exists (select from {STALE} as stale where stale.day = series.day::date)
            """,
            (days.first, days.last, MISSING),
        )
        connection.commit()


def forget_finished(cursor: Connection, unfinished: Iterable[date], as_of: datetime) -> None:
    """Take unfinished days off the list that are finished now, in the caller's transaction.

    Args:
        cursor: In the transaction.
        unfinished: The days that are unfinished.
        as_of: A moment before they were looked for, by the database's clock; what was listed later stays.
    """
    lock_list(cursor)
    kept = ", ".join(f"date '{day}'" for day in unfinished) or "null"
    cursor.execute(
        f"delete from {STALE} where reason = $1 and seen_at < $2 and (day in ({kept})) is not true",
        (UNFINISHED, as_of),
    )


def lock_list(cursor: Connection) -> None:
    """Wait for whoever else changes the list: two that lock rows in different orders would wait for each other."""
    take_turns(cursor, STALE_DAYS.qualified_name)


def listed_days(database: Database) -> dict[date, datetime]:
    """Return all stale days, parked ones too, each with the moment at which it was last seen to be stale."""
    rows = query(database, f"select day, max(seen_at) as seen_at from {STALE} group by day order by day")
    return {row["day"]: row["seen_at"] for row in rows}


def is_to_wait(database: Database, run_id: str) -> bool:
    """Return whether the days of a failed run are tried again only later, since the shop did not answer."""
    found = query(
        database,
        f"select exists (select from {STALE} where failed_run_id = '{run_id}' and again_at > clock_timestamp()) as it",
    )
    return bool(found[0]["it"])


def days_that_wait(database: Database) -> dict[date, datetime]:
    """Return the days that are tried again only later, since the shop did not answer, each with the time."""
    rows = query(
        database,
        f"select day, max(again_at) as again_at from {STALE} where again_at > clock_timestamp() "
        "group by day order by day",
    )
    return {row["day"]: row["again_at"] for row in rows}


def are_orders_alone(database: Database, days: Days) -> bool:
    """Return whether days can be loaded without customers and products: all their changes were compared, and need none.

    A day that is not on the list is none of these: who loads it has another reason.
    """
    rows = query(
        database,
        f"select count(distinct day) as listed, bool_and(coalesce(not needs_dimensions, false)) as known from {STALE} "
        f"where {days.where('day')}",
    )
    return rows[0]["listed"] == len(days) and bool(rows[0]["known"])


def days_that_need_dimensions(database: Database, days: Days) -> list[Days]:
    """Return those of some days that are on the list since customers and products have to be read for them."""
    rows = query(database, f"select distinct day from {STALE} where needs_dimensions and {days.where('day')}")
    return Days.of(row["day"] for row in rows).ranges


def parked_days(database: Database) -> list[date]:
    """Return the days that were given up after too many failures."""
    rows = query(database, f"select distinct day from {STALE} where parked_at is not null order by day")
    return [row["day"] for row in rows]


def days_to_load(
    database: Database,
    *,
    in_flight: Collection[date],
    most: int,
    today: date | None = None,
    loadable: Days | None = None,
    among: Collection[date] | None = None,
    is_answering: bool = True,
) -> list[Days]:
    """Return what to load now: stale days, oldest first, contiguous ones in one run; an unproved one in its turn.

    A day that failed twice has a run of its own, so that it takes no other one along: the first time, all days of the
    run have failed with it. So has today, which changes while it is read.

    Args:
        database: Where the list lies.
        in_flight: Days that another run is loading; they are left to it, as are days that only wait to be cleaned.
        most: Most days in all.
        today: The current business day.
        loadable: The days that can be loaded at all; others stay listed. All when None.
        among: The days that are meant; all when None.
        is_answering: Whether the shop has just been asked and has answered. Otherwise one run is to find that out,
            where days have failed because it did not.
    """
    rows = query(
        database,
        "select day, max(failures) as failures, bool_or(failures = 0 and failed_run_id is not null) as is_unanswered, "
        f"bool_and(reason = '{RELATED}') as is_to_be_cleaned "
        f"from {STALE} where not exists (select from {DAY_PROOFS.sql_name} as proofs "
        "where proofs.day = stale_days.day and proofs.state = 'unproved' and proofs.again_at > clock_timestamp()) "
        "group by day having max(parked_at) is null "
        "and coalesce(max(again_at), '-infinity') <= clock_timestamp() order by day",
    )
    eligible = [
        row
        for row in rows
        if row["day"] not in in_flight
        and (loadable is None or row["day"] in loadable)
        and (among is None or row["day"] in among)
        and not (row["is_to_be_cleaned"] and in_flight)
    ]
    free = {row["day"]: row["failures"] for row in eligible}
    chosen = dict(list(free.items())[:most])
    alone = {day for day, failures in chosen.items() if failures > 1 or day == today}
    together = [part for days in Days.of(chosen.keys() - alone).ranges for part in _cut(days)]
    ranges = sorted([*together, *(Days(day, day) for day in alone)], key=lambda days: days.first)
    return ranges if is_answering or not any(row["is_unanswered"] for row in eligible) else ranges[:1]


def _cut(days: Days) -> Sequence[Days]:
    listed = list(days)
    parts = (listed[start : start + DAYS_OF_A_RUN] for start in range(0, len(listed), DAYS_OF_A_RUN))
    return [Days(part[0], part[-1]) for part in parts]


def note_failure(
    database: Database,
    days: Days,
    run_id: str,
    unfinished: Iterable[date],
    *,
    is_transient: bool = False,
    waits: bool = False,
) -> None:
    """Count a failed run against the stale days among its days, once, and park the ones that failed too often.

    A failure that may pass does not count: its days are tried again, for as long as it takes.

    Args:
        database: Where the list lies.
        days: The run's days.
        run_id: The run.
        is_transient: Whether the same attempt may succeed later.
        waits: Whether the next attempt at what is transient has to wait. The one after a scheduled run need not: a poll
            that the shop has answered comes before it.
        unfinished: Days that are unfinished now. Those of the run's come onto the list: their orders are written, which
            has taken them off it, and their marts are not.
    """
    counts = 0 if is_transient else 1
    # As long again as the day has been waiting: attempts become rarer by themselves.
    again_at = (
        "clock_timestamp() + "
        f"least(greatest(clock_timestamp() - first_seen_at, interval '{FIRST_WAIT}'), interval '{LONGEST_WAIT}')"
        if is_transient and waits
        else "null"
    )
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        lock_list(cursor)
        cursor.execute(f"select distinct day from {STALE}")
        listed = {row[0] for row in cursor.fetchall()}
        missing = [day for day in unfinished if day in days and day not in listed]
        mark(cursor, [StaleDay(day, UNFINISHED, event_days=frozenset({day})) for day in missing])
        cursor.execute(
            f"""
            update {STALE} set
                failures = failures + {counts}, failed_run_id = $3,
                parked_at = case
                    when failures + {counts} >= {FAILURES_TO_PARK} then coalesce(parked_at, clock_timestamp())
                end,
                again_at = {again_at}
            where day between $1 and $2 and failed_run_id is distinct from $3
            """,
            (days.first, days.last, run_id),
        )
        connection.commit()


def unpark(database: Database, days: Iterable[date]) -> None:
    """Give parked days another chance: whoever asks for it has mended something."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        give_another_chance(cursor, days)
        connection.commit()


def give_another_chance(cursor: Connection, days: Iterable[date]) -> None:
    """Forget the failures of days, in the caller's transaction."""
    lock_list(cursor)
    for day in days:
        cursor.execute(
            f"update {STALE} set failures = 0, failed_run_id = null, parked_at = null, again_at = null where day = $1",
            (day,),
        )
