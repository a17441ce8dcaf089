"""Computing marts: the days of a run, those that a changed order made stale, and those of another statement or shape.

In the same transaction the numbers of a watched mart that were published before and are others now are put on record.
When a day became stale is reported by `order_changes`; what would change is reported beforehand by `planning`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise

from analytics_pipeline.days import Days
from analytics_pipeline.errors import TableMismatchError
from analytics_pipeline.history.restatements import NumbersOnRecord
from analytics_pipeline.history.written import Writing, each_day
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.history import MATERIALISED_DAYS, ORDER_CHANGES
from analytics_pipeline.tables.reports import HELD_BACK_SALES, SHOP_REPORTS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.layout import ensure_schema, ensure_table, key_statements, stored_columns
from analytics_pipeline.warehouse.reshaping import ShapeChange, beside, refuse_readers, reshape, shape_change
from analytics_pipeline.warehouse.slices import Query, is_there, keys_of, replace_rows
from analytics_pipeline.warehouse.turns import take_turns

DAYS, CHANGES = MATERIALISED_DAYS.sql_name, ORDER_CHANGES.sql_name
NEAR = timedelta(days=7)
MOST_SHOWN = 5
MOST_GROUPS = 8
"""From more groups of days on, one statement over all of them costs less than one each."""


@dataclass(frozen=True)
class MartDays:
    """Days of a mart by business day, to be computed.

    Attributes:
        statement: The mart's `select` for a slice.
        days: The run's days; None where only those are wanted that have to be computed anyway.
        code_version: Hash of the statement and of those of the marts that it reads.
        zone: IANA name of the shop's time zone: a number is published once its day was over when it was read.
        watched: Columns whose published numbers are kept on record.
        reads_first_orders: Whether it depends on the days of customers' first orders.
        reads_reports: Whether it depends on the shop's own report, which is read for other days than the run's, too.
        reads_marts: Names of the marts by business day that it reads, and whether each depends on first orders: it
            knows no change that concerns these and that they do not know.
        closed_until: Last business day of the closed period, if one is closed.
    """

    statement: Callable[[Days], str]
    days: Days | None
    code_version: str
    zone: str
    watched: tuple[str, ...] = ()
    reads_first_orders: bool = True
    reads_reports: bool = False
    reads_marts: Mapping[str, bool] = field(default_factory=dict)
    closed_until: date | None = None


@dataclass(frozen=True)
class Anew:
    """Days of a mart that were computed by another statement than that of now, or stored in another shape.

    Attributes:
        days: The days, as the fewest ranges.
        change: How the mart's shape differs from the stored table, if it does.
        is_gone: Whether the stored table was dropped by somebody else.
    """

    days: tuple[Days, ...] = ()
    change: ShapeChange | None = None
    is_gone: bool = False

    def __str__(self) -> str:
        other = "by another statement" if self.change is None else f"in another shape ({self.change})"
        why = "in a table that is gone" if self.is_gone else other
        count = sum(len(days) for days in self.days)
        if not count:
            return f"all rows, stored {why}"
        return (
            f"{count:,} day{'' if count == 1 else 's'} ({', '.join(map(str, self.days[-MOST_SHOWN:]))}), stored {why}"
        )


@dataclass(frozen=True)
class Published:
    """What was computed.

    Attributes:
        rows: Rows written.
        days: The days, those of the run and the stale ones, as the fewest ranges.
        anew: What was computed beside them, since the mart is another one than it was.
    """

    rows: int
    days: list[Days]
    anew: Anew = Anew()


def publish(database: Database, table: Table, mart: MartDays, run_id: str) -> Published:
    """Compute the run's days of a mart, its stale ones, and those that are of another statement or shape.

    Raises:
        TableMismatchError: The stored table cannot be given its shape.
        TableBusyError: It is to get another shape and is in use.
        ContractError: Two rows have the same key.
    """
    ensure_schema(database, table.schema)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, table.qualified_name)  # with changed orders, too: see order_changes.lock_marts
        change, is_gone = shape_change(cursor, table), _is_gone(cursor, table)
        keys = ensure_table(connection, table) if change is None else []
        with keys_of(table):
            published, rows = compute(cursor, table, mart, run_id, change)
            published = replace(published, anew=replace(published.anew, is_gone=is_gone))
            for statement in keys:
                cursor.execute(statement)
        if change is not None:
            reshape(cursor, table, change, rows)
        if published.days or published.anew.days or change:
            connection.commit()
    return published


def _is_gone(cursor: Connection, table: Table) -> bool:
    """Return whether days of a mart are in the book and its table was dropped; all of them are computed anew then."""
    if is_there(cursor, table):
        return False
    cursor.execute(f"update {DAYS} set code_version = '' where table_name = $1", (table.qualified_name,))
    return int(cursor.rowcount) > 0


def publish_whole(database: Database, table: Table, rows: Query) -> Published:
    """Compute a mart that has no business days; raises as `publish`."""
    ensure_schema(database, table.schema)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, table.qualified_name)
        change = shape_change(cursor, table)
        with keys_of(table):
            if change is None:
                keys = ensure_table(connection, table)
                count = replace_rows(cursor, table, rows, None)
                for statement in keys:
                    cursor.execute(statement)
            else:
                refuse_readers(cursor, table, change)
                count = replace_rows(cursor, made := beside(cursor, table), rows, None)
                reshape(cursor, table, change, made)
        connection.commit()
    return Published(count, [], Anew(change=change))


def compute(
    cursor: Connection,
    table: Table,
    mart: MartDays,
    run_id: str,
    change: ShapeChange | None,
    *,
    is_beside: bool = False,
) -> tuple[Published, Table]:
    """Compute a mart's days in the caller's transaction, which has the mart's turn, and put changed numbers on record.

    Args:
        cursor: In the transaction.
        table: The mart, which is there.
        mart: Its days.
        run_id: The run.
        change: How its shape differs from the stored table; if it does, its rows come into a table beside it.
        is_beside: Leave the stored table as it is, whatever its shape: all rows come into a table beside it.

    Returns:
        What was computed, and the table that has the rows.

    Raises:
        TableMismatchError: The stored table cannot be given its shape.
    """
    if change is not None:
        refuse_readers(cursor, table, change)
    asked = [*_loaded(cursor, mart.days), *stale_days(cursor, table, reads_first_orders=mart.reads_first_orders)]
    asked += _days_reported_anew(cursor, table) if mart.reads_reports else []
    outdated = outdated_days(cursor, table, mart, change)
    if change is not None:
        _refuse_lacking(table, change, outdated.lacking)
    ranges = Days.of([*asked, *outdated.days]).ranges
    published = Published(0, Days.of(asked).ranges, Anew(tuple(Days.of(outdated.days).ranges), change))
    rows = beside(cursor, table) if is_beside or change is not None else table
    if not ranges:
        if rows != table:
            _complete(cursor, table, rows, change, stay="true")
        return published, rows
    writing = Writing(run_id, mart.code_version)
    is_same_grain = change is None or not change.is_of_the_key(table)
    record = NumbersOnRecord(cursor, table, rows, mart.watched, ranges, writing, mart.closed_until, is_same_grain)
    record.before()
    _keep_what_is_known(cursor, ranges, mart)
    groups = neighbours(ranges)
    count = sum(_compute(cursor, rows, mart, near) for near in (groups if len(groups) <= MOST_GROUPS else [ranges]))
    if rows != table:
        _complete(cursor, table, rows, change, stay=f"{table.day_column} not in (select day from known)")
    _note_days(cursor, table, mart, writing)
    record.after()
    cursor.execute("drop table known")
    return replace(published, rows=count), rows


@dataclass(frozen=True)
class Outdated:
    """Days of a mart that are of another statement or shape than now.

    Attributes:
        days: Those that can be computed.
        lacking: Those that cannot be yet, as a mart that is read lacks them, with the name of one such mart.
    """

    days: tuple[date, ...]
    lacking: Mapping[date, str]


def outdated_days(cursor: Connection, table: Table, mart: MartDays, change: ShapeChange | None) -> Outdated:
    """Find the days of a mart that are of another statement or shape than now; of a table without a book, all.

    Args:
        cursor: In a transaction.
        table: The mart.
        mart: Its statement.
        change: How the shape differs from the stored table.
    """
    name = table.qualified_name
    cursor.execute(
        f"select day from {DAYS} where table_name = $1 and ($2 or code_version <> $3)",
        (name, change is not None, mart.code_version),
    )
    days = {row[0] for row in cursor.fetchall()}
    cursor.execute(f"select exists (select from {DAYS} where table_name = $1)", (name,))
    has_book = cursor.fetchone()[0]
    stored = stored_columns(cursor, table) or {}
    if (change is not None or not has_book) and stored.get(table.day_column or "", ("", False))[0] == "date":
        cursor.execute(f"select distinct {table.day_column} from {table.sql_name}")
        days |= {row[0] for row in cursor.fetchall()}
    lacking: dict[date, str] = {}
    for name in mart.reads_marts if days else ():
        cursor.execute(f"select day from {DAYS} where table_name = $1", (name,))
        lacking |= dict.fromkeys(days - {row[0] for row in cursor.fetchall()}, name)
    return Outdated(tuple(sorted(days - lacking.keys())), lacking)


def _refuse_lacking(table: Table, change: ShapeChange, lacking: Mapping[date, str]) -> None:
    """Refuse to give a mart another shape while days of it can neither be computed nor kept."""
    if lacking and not change.is_growth:
        first, last = min(lacking), max(lacking)
        raise TableMismatchError(
            f"{table.qualified_name} does not get its new shape ({change}): {lacking[first]}, which it reads, lacks "
            f"{len(lacking)} of its days. Run analytics-pipeline run --job marts --from {first} --to {last}; nothing "
            "was changed."
        )


def _complete(cursor: Connection, table: Table, rows: Table, change: ShapeChange | None, *, stay: str) -> None:
    """Give the table beside a mart its key, after the rows of days that were not computed (`stay`), where they fit."""
    if change is None or change.is_growth:
        new = {column.name for column in change.added} if change else set()
        names = ", ".join(column.name for column in table.columns if column.name not in new)
        cursor.execute(f"insert into {rows.sql_name} ({names}) select {names} from {table.sql_name} where {stay}")
    for statement in key_statements(rows):
        cursor.execute(statement)
    cursor.execute(f"analyze {rows.sql_name}")


def _loaded(cursor: Connection, days: Days | None) -> list[date]:
    """Return the days whose orders are loaded, or that have events of other days' orders.

    A day that was refused and never loaded has no figure, not even 0.
    """
    if days is None:
        return []
    sales = CLEAN_SALES.table
    cursor.execute(
        f"select day from {DAYS} where table_name = $1 and day between $2 and $3 "
        f"union select event_date from {sales.sql_name} where event_date between $2 and $3",
        (sales.qualified_name, days.first, days.last),
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


def _days_reported_anew(cursor: Connection, table: Table) -> list[date]:
    """Return the days of a mart whose report was read, or whose held back orders were judged, after it was computed."""
    cursor.execute(
        f"""
        select days.day from {DAYS} as days
        join (
            select day, max(read_at) as known_at from {SHOP_REPORTS.table.sql_name} group by day
            union all
            select event_date, max(made_at) from {HELD_BACK_SALES.sql_name} group by event_date
        ) as known on known.day = days.day
        where days.table_name = $1 and known.known_at > days.written_at
        """,
        (table.qualified_name,),
    )
    return [row[0] for row in cursor.fetchall()]


def neighbours(ranges: Sequence[Days]) -> list[list[Days]]:
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


def _compute(cursor: Connection, table: Table, mart: MartDays, ranges: Sequence[Days]) -> int:
    statement = mart.statement(Days(ranges[0].first, ranges[-1].last))
    wanted = Days.of(day for days in ranges for day in days)
    if len(ranges) > 1:
        statement = f"select * from ({statement}) as computed where {table.where(wanted)}"
    return replace_rows(cursor, table, Query(statement), wanted)


def _keep_what_is_known(cursor: Connection, ranges: Sequence[Days], mart: MartDays) -> None:
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
