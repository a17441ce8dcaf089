"""Computing days of a mart: those of the run and those that a changed order has made stale, in one transaction.

In the same transaction the numbers of a watched mart that were published before and are others now are put on record.
When a day became stale is reported by `order_changes`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise

import adbc_driver_manager

from analytics_pipeline.days import DayRange
from analytics_pipeline.history.restatements import NumbersOnRecord
from analytics_pipeline.history.written import Writing, contiguous, each_day
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.history import MATERIALISED_DAYS, ORDER_CHANGES
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import UNIQUE_VIOLATION, Connection, Database, sqlstate
from analytics_pipeline.warehouse.layout import ensure_schema, ensure_table
from analytics_pipeline.warehouse.slices import Query, Slice, SomeDays, duplicate_key, replace_rows, take_turns

DAYS, CHANGES = MATERIALISED_DAYS.qualified_name, ORDER_CHANGES.qualified_name
NEAR = timedelta(days=7)


@dataclass(frozen=True)
class MartDays:
    """Days of a mart by business day, to be computed.

    Attributes:
        statement: The mart's `select` for a slice.
        days: The run's days.
        code_version: Hash of the statement.
        zone: IANA name of the shop's time zone: a number is published once its day was over when it was read.
        watched: Columns whose published numbers are kept on record.
        reads_first_orders: Whether it depends on the days of customers' first orders.
        reads_marts: Names of the marts by business day that it reads, and whether each depends on first orders: it
            knows no change that concerns these and that they do not know.
        closed_until: Last business day of the closed period, if one is closed.
        state: How far a day's figures can still move, from the day and the time when its orders were read.
    """

    statement: Callable[[Slice], str]
    days: DayRange
    code_version: str
    zone: str
    watched: tuple[str, ...] = ()
    reads_first_orders: bool = True
    reads_marts: Mapping[str, bool] = field(default_factory=dict)
    closed_until: date | None = None
    state: Callable[[date, datetime | None], str] = lambda _, __: "settling"


@dataclass(frozen=True)
class Published:
    """What was computed.

    Attributes:
        rows: Rows written.
        days: The days, those of the run and the stale ones, as the fewest ranges.
    """

    rows: int
    days: list[DayRange]


def publish(database: Database, table: Table, mart: MartDays, run_id: str) -> Published:
    """Compute the run's days of a mart and its stale ones.

    Raises:
        TableMismatchError: The stored table does not fit its shape.
        ContractError: Two rows have the same key.
    """
    ensure_schema(database, table.schema)
    writing = Writing(run_id, mart.code_version)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, table.qualified_name)  # with changed orders, too: see order_changes.lock_marts
        key_statements = ensure_table(connection, table)
        days = [*_loaded(cursor, mart.days), *stale_days(cursor, table, reads_first_orders=mart.reads_first_orders)]
        ranges = contiguous(days)
        rows = 0
        if not ranges:
            return Published(0, [])
        try:
            record = NumbersOnRecord(cursor, table, mart.watched, ranges, writing, mart.closed_until)
            record.before()
            _keep_what_is_known(cursor, ranges, mart)
            for near in neighbours(ranges):
                rows += _compute(cursor, table, mart, near)
            for statement in key_statements:
                cursor.execute(statement)
            _note_days(cursor, table, mart, writing)
            record.after()
            connection.commit()
        except adbc_driver_manager.Error as error:
            if sqlstate(error) == UNIQUE_VIOLATION:
                raise duplicate_key(table, error) from None
            raise
    return Published(rows, ranges)


def _loaded(cursor: Connection, days: DayRange) -> list[date]:
    """Return the days whose orders are loaded, or that have events of other days' orders.

    A day that was refused and never loaded has no figure, not even 0.
    """
    sales = CLEAN_SALES.table.qualified_name
    cursor.execute(
        f"select day from {DAYS} where table_name = $1 and day between $2 and $3 "
        f"union select event_date from {sales} where event_date between $2 and $3",
        (sales, days.first, days.last),
    )
    return [row[0] for row in cursor.fetchall()]


def stale_days(cursor: Connection, table: Table, *, reads_first_orders: bool) -> list[date]:
    """Return the days of a mart that do not know all changes of orders yet."""
    concerns = "true" if reads_first_orders else "not is_first_order"
    cursor.execute(
        f"""
        select distinct event_date from {CHANGES} as changes
        join {DAYS} as days on days.table_name = $1 and days.day = changes.event_date
        where changes.change_id > coalesce(days.through_change, 0) and {concerns}
        """,
        (table.qualified_name,),
    )
    return [row[0] for row in cursor.fetchall()]


def neighbours(ranges: Sequence[DayRange]) -> list[list[DayRange]]:
    """Return ranges, oldest first, in groups between whose members lies less than a week.

    A group is computed by one statement over all its days and those between, of which nothing is kept: a mart that
    reads the whole ledger, for the first orders of customers, takes longer to begin than for a week of days.
    """
    groups = [[ranges[0]]]
    for before, days in pairwise(ranges):
        if days.first - before.last > NEAR:
            groups.append([])
        groups[-1].append(days)
    return groups


def _compute(cursor: Connection, table: Table, mart: MartDays, ranges: Sequence[DayRange]) -> int:
    statement = mart.statement(Slice(ranges[0].first, ranges[-1].last))
    wanted = SomeDays(tuple(Slice(days.first, days.last) for days in ranges))
    if len(ranges) > 1:
        statement = f"select * from ({statement}) as computed where {wanted.where(table)}"
    return replace_rows(cursor, table, Query(statement), wanted)


def _keep_what_is_known(cursor: Connection, ranges: Sequence[DayRange], mart: MartDays) -> None:
    """Keep which changes the days to compute will know: all that there are, or what the marts that are read know.

    These are computed by other runs meanwhile, perhaps after they have been read here.
    """
    through = f"(select coalesce(max(change_id), 0) from {CHANGES})"
    if mart.reads_marts:
        concerned = " or ".join(
            f"read.table_name = '{name}'" + ("" if reads_first_orders else " and not is_first_order")
            for name, reads_first_orders in mart.reads_marts.items()
        )
        through = (
            f"least({through}, (select min(change_id) - 1 from {DAYS} as read join {CHANGES} as changes "
            "on changes.event_date = read.day and changes.change_id > coalesce(read.through_change, 0) "
            f"where read.day = series.day and ({concerned})))"
        )
    cursor.execute(
        "create temporary table known on commit drop as "
        f"select day, {through} as through_change from ({each_day(ranges)}) as series"
    )


def _note_days(cursor: Connection, table: Table, mart: MartDays, writing: Writing) -> None:
    """Keep the book of the mart's days, and mark as published the ones that were over when they were read."""
    is_over = f"sales.as_of >= (series.day + 1)::timestamp at time zone '{mart.zone}'"
    cursor.execute(
        f"""
        insert into {DAYS} as stored (
            table_name, day, first_written_at, written_at, run_id, as_of, code_version, through_change, published_at
        )
        select
            $1, series.day, clock_timestamp(), clock_timestamp(), $2, sales.as_of, $3,
            series.through_change, case when {is_over} then clock_timestamp() end
        from known as series
        left join {DAYS} as sales
            on sales.table_name = '{CLEAN_SALES.table.qualified_name}' and sales.day = series.day
        on conflict (table_name, day) do update set
            written_at = excluded.written_at, run_id = excluded.run_id, as_of = excluded.as_of,
            code_version = excluded.code_version, through_change = excluded.through_change,
            published_at = coalesce(stored.published_at, excluded.published_at)
        """,
        (table.qualified_name, writing.run_id, writing.code_version),
    )
