"""When a business day is there: every daily mart holds it as the shop knew it once the day was over.

A pure function of what has been written, and its reader. Who is notified of it, and when, stands in `alerts`.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from analytics_pipeline.days import start_of_day
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

HOURS_TO_FINISH = 2
"""Hours after the daily run's start until a day is due, where the description does not say when."""


QUIET_DAYS = 30
"""A shop without an order for so long is over, or history: nobody waits for its days."""


@dataclass(frozen=True)
class Past:
    """What decides whether a day has to be there at all.

    Attributes:
        first_writes: When each daily mart was first written, by table.
        newest_order: Business day of the newest order; None where there is none.
    """

    first_writes: Mapping[str, datetime] = field(default_factory=dict)
    newest_order: date | None = None


@dataclass(frozen=True)
class WrittenDay:
    """A business day of a table, as it was last written.

    Attributes:
        table: The table, as in marts.daily_revenue.
        day: The business day.
        as_of: When the extraction began that the rows come from; None when unknown.
        whole_at: When the table first held the whole day.
    """

    table: str
    day: date
    as_of: datetime | None
    whole_at: datetime


@dataclass(frozen=True)
class Freshness:
    """Whether a business day is on time.

    Attributes:
        day: The business day.
        due_at: When it has to be there.
        is_due: Whether that time has come.
        missing: Daily marts that do not hold the whole day.
        whole_at: When the last of them had it; None while one is missing.
        unawaited: Why nobody waits for the day; empty where somebody does.
        is_first_load: Whether nothing at all was loaded before the day was due.
    """

    day: date
    due_at: datetime
    is_due: bool
    missing: tuple[str, ...]
    whole_at: datetime | None
    unawaited: str = ""
    is_first_load: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether no mart lacks it."""
        return not self.missing

    @property
    def is_late(self) -> bool:
        """Whether it should be there and is not."""
        return self.is_due and not self.is_whole

    @property
    def was_late(self) -> bool:
        """Whether it is there, and has been only since after it was due."""
        return self.whole_at is not None and self.whole_at > self.due_at and not self.is_first_load


def due_time(shop: Shop) -> time:
    """Return the time of day by which yesterday has to be there, the shop's time."""
    if shop.due_by is not None:
        return shop.due_by
    hour = shop.daily_run_hour + HOURS_TO_FINISH
    return time(hour) if hour < 24 else time(23, 59)  # noqa: PLR2004 - hours of a day


def freshness(
    shop: Shop,
    now: datetime,
    rows: Iterable[WrittenDay],
    *,
    tables: Sequence[str],
    day: date | None = None,
    past: Past = Past(),
) -> Freshness:
    """Say whether a business day is on time.

    A mart that was first written after the day was over is younger than it, and need not hold it, where others were
    there before.

    Args:
        shop: Its zone bounds the day.
        now: An aware stamp.
        rows: What has been written; other days and tables do not count.
        tables: Names of the daily marts, which have to hold the day.
        day: The business day; the last one that is over when None.
        past: What is known of the time before.
    """
    asked = last_complete_day(shop, now) if day is None else day
    over_at = start_of_day(asked + timedelta(days=1), shop.zone)
    due_at = datetime.combine(asked + timedelta(days=1), due_time(shop), shop.zone).astimezone(UTC)
    whole = {
        row.table: row.whole_at for row in rows if row.day == asked and row.as_of is not None and row.as_of >= over_at
    }
    older = [table for table in tables if table in past.first_writes and past.first_writes[table] <= over_at]
    wanted = [table for table in tables if table in older or table in whole] if older else tables
    unawaited = _unawaited(shop, asked, past)
    missing = tuple(table for table in wanted if table not in whole)
    return Freshness(
        day=asked,
        due_at=due_at,
        is_due=now >= due_at and not unawaited,
        missing=missing,
        whole_at=None if missing else max(whole[table] for table in wanted),
        unawaited=unawaited,
        is_first_load=bool(past.first_writes) and min(past.first_writes.values()) > due_at,
    )


def _unawaited(shop: Shop, day: date, past: Past) -> str:
    if day < shop.first_day:
        return f"the shop's first_day is {shop.first_day}"
    if shop.last_day is not None and day > shop.last_day:
        return f"the shop's last_day is {shop.last_day}"
    if past.newest_order is not None and day - past.newest_order > timedelta(days=QUIET_DAYS):
        return f"the newest order is of {past.newest_order}, over {QUIET_DAYS} days earlier"
    return ""


def read_written_days(database: Database, days: Sequence[date], tables: Sequence[str]) -> list[WrittenDay]:
    """Read what tables hold of some business days; nothing while no day has been written at all."""
    if not days or not exists(database, MATERIALISED_DAYS):
        return []
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            "select table_name, day, as_of, coalesce(published_at, written_at) "
            f"from {MATERIALISED_DAYS.sql_name} where table_name = any($1) and day = any($2)",
            (list(tables), list(days)),
        )
        return [WrittenDay(*row) for row in cursor.fetchall()]


def read_past(database: Database, tables: Sequence[str]) -> Past:
    """Read what decides whether a day has to be there in some tables."""
    first_writes: dict[str, datetime] = {}
    if exists(database, MATERIALISED_DAYS):
        marts = ", ".join(f"'{table}'" for table in tables) or "null"
        rows = query(
            database,
            f"select table_name, min(first_written_at) as at from {MATERIALISED_DAYS.sql_name} "
            f"where table_name in ({marts}) group by table_name",
        )
        first_writes = {row["table_name"]: row["at"] for row in rows}
    newest: date | None = None
    if exists(database, CLEAN_ORDERS.table):
        newest = query(database, f"select max(order_date) as day from {CLEAN_ORDERS.table.sql_name}")[0]["day"]
    return Past(first_writes, newest)


def last_freshness(database: Database, shop: Shop, now: datetime, tables: Sequence[str]) -> Freshness:
    """Return how the last business day that is over stands in the daily marts, given by name."""
    written = read_written_days(database, [last_complete_day(shop, now)], tables)
    return freshness(shop, now, written, tables=tables, past=read_past(database, tables))


def describe(found: Freshness, shop: Shop) -> str:
    """Describe it in a line, in the shop's time."""
    due = f"due {_clock(found.due_at, shop, found.day)}"
    if found.whole_at is not None:
        at = _clock(found.whole_at, shop, found.day)
        return f"{found.day}, there since {at} ({due})" if found.was_late else f"{found.day} by {at} ({due})"
    if found.unawaited:
        return f"{found.day} is not awaited: {found.unawaited}"
    return f"{found.day} is not whole in {', '.join(missing_of(found, shop))} ({due})"


def missing_of(found: Freshness, shop: Shop) -> list[str]:
    """Name the tables that lack the day as the database has them, with the shop's namespace."""
    return [f"{shop.namespace}_{table}" if shop.namespace else table for table in found.missing]


def freshness_line(database: Database, shop: Shop, now: datetime, tables: Sequence[str]) -> str:
    """Return the line of `analytics-pipeline status`."""
    found = last_freshness(database, shop, now, tables)
    is_there = found.is_whole or found.unawaited
    heading = "LATE" if found.is_late else "was late" if found.was_late else "on time" if is_there else "awaited"
    return f"{heading:12} {describe(found, shop)}"


def _clock(stamp: datetime, shop: Shop, day: date) -> str:
    """Show a time of the morning after the day without its date."""
    local = stamp.astimezone(shop.zone)
    is_next_morning = local.date() == day + timedelta(days=1)
    return f"{local:%H:%M}" if is_next_morning else f"{local:%Y-%m-%d %H:%M}"
