"""Which days of which table have been written, and by what: one row per table and day, in the writing's transaction."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime

from analytics_pipeline.days import NO_DAYS, Days
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import query


@dataclass(frozen=True)
class Writing:
    """What a run knows of the days that it writes.

    Attributes:
        run_id: Dagster's id of the run.
        code_version: Hash of what the rows are made with.
        as_of: When the extraction behind each day's rows began, by the database's clock; a day may be missing.
    """

    run_id: str
    code_version: str
    as_of: Mapping[date, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class DaysWritten:
    """Keeps the book of a table's days."""

    writing: Writing
    beside: Days = NO_DAYS
    """Days that are written along for the sake of an order that has moved."""

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Note each day of the slice."""
        if part is None:
            return
        stamps = ", ".join(
            f"(date '{day}', timestamptz '{stamp.isoformat()}')" for day, stamp in self.writing.as_of.items()
        )
        cursor.execute(
            f"""
            insert into {MATERIALISED_DAYS.sql_name} as stored
                (table_name, day, first_written_at, written_at, run_id, as_of, code_version)
            select $1, written.day, clock_timestamp(), clock_timestamp(), $2, stamps.as_of, $3
            from ({each_day((part - self.beside).ranges)}) as written
            left join (values {stamps or "(null::date, null::timestamptz)"}) as stamps (day, as_of)
                on stamps.day = written.day
            on conflict (table_name, day) do update set
                written_at = excluded.written_at, run_id = excluded.run_id, as_of = excluded.as_of,
                code_version = excluded.code_version
            """,
            (table.qualified_name, self.writing.run_id, self.writing.code_version),
        )
        # Days beside are as they were but for an order that moved; they count as half written meanwhile.
        cursor.execute(
            f"update {MATERIALISED_DAYS.sql_name} set run_id = $2 where table_name = $1 and {self.beside.where('day')}",
            (table.qualified_name, self.writing.run_id),
        )


def listed(names: Iterable[str]) -> str:
    """Return the names of tables as a list in SQL, one that holds nothing for none."""
    return ", ".join(f"'{name}'" for name in names) or "null"


def each_day(ranges: Iterable[Days]) -> str:
    """Return a `select` of each `day` of some ranges."""
    listed = ", ".join(f"(date '{days.first}', date '{days.last}')" for days in ranges)
    listed = listed or "(null::date, null::date)"
    return (
        f"select series::date as day from (values {listed}) as ranges (first, last), "
        "generate_series(first::timestamp, last::timestamp, interval '1 day') as series"
    )


def database_clock(database: Database) -> datetime:
    """Return the time by the database's clock, which all processes share."""
    now: datetime = query(database, "select clock_timestamp() as now")[0]["now"]
    return now


def read_as_of(database: Database, table: Table, days: Days) -> dict[date, datetime]:
    """Return when the extraction behind each of some days began, where that is known."""
    rows = query(
        database,
        f"select day, as_of from {MATERIALISED_DAYS.sql_name} where table_name = '{table.qualified_name}' "
        f"and {days.where('day')} and as_of is not null",
    )
    return {row["day"]: row["as_of"] for row in rows}


def written_days(database: Database, table: Table) -> dict[date, datetime | None]:
    """Return the days of a table that have been written, each with the time its extraction began."""
    rows = query(
        database,
        f"select day, as_of from {MATERIALISED_DAYS.sql_name} where table_name = '{table.qualified_name}' order by day",
    )
    return {row["day"]: row["as_of"] for row in rows}


def days_written_by(database: Database, table: Table, run_id: str) -> list[date]:
    """Return the days of a table that a run was the last one to write."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"select day from {MATERIALISED_DAYS.sql_name} where table_name = $1 and run_id = $2",
            (table.qualified_name, run_id),
        )
        return [row[0] for row in cursor.fetchall()]
