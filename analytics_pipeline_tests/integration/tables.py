"""A small table of the tests' own, and shorthands for its rows."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT, Column, Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query, read_table

THINGS = Table(
    schema="probe",
    name="things",
    description="Things.",
    columns=(
        Column("day", DAY, "Day."),
        Column("name", TEXT, "It's a name."),
        Column("amount", MONEY, "Amount.", is_nullable=True),
        Column("count", COUNT, "Count."),
        Column("seen_at", STAMP, "Seen."),
        Column("is_new", FLAG, "New."),
        Column("payload", TEXT, "Payload.", is_json=True, is_nullable=True),
    ),
    key=("name",),
    day_column="day",
    indexes=("day",),
)
STAMPED = datetime(2025, 3, 30, 1, 30, tzinfo=UTC)


def first_days(number: int) -> date:
    """The `number`th of January 2025."""
    return date(2025, 1, number)


def part(first: int, last: int | None = None) -> Days:
    """The slice from one day of January to another."""
    return Days(first_days(first), first_days(last or first))


def things(*named: tuple[int, str], amount: str = "1.2500") -> pa.Table:
    """Rows of `THINGS`, given as day of January and name."""
    rows = [
        {
            "day": first_days(number),
            "name": name,
            "amount": Decimal(amount),
            "count": number,
            "seen_at": STAMPED,
            "is_new": True,
            "payload": '{"b": 1,  "a": 2}',
        }
        for number, name in named
    ]
    return pa.Table.from_pylist(rows, schema=THINGS.arrow_schema)


def stream_that_breaks(*named: tuple[int, str]) -> pa.RecordBatchReader:
    """A stream of the rows, which fails after the last of them."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield from things(*named).to_batches(max_chunksize=1)
        raise ConnectionResetError("the shop hung up")

    return pa.RecordBatchReader.from_batches(THINGS.arrow_schema, batches())


def names(database: Database, table: Table = THINGS) -> list[str]:
    """All stored names, as `day name`."""
    rows = read_table(database, table, columns=["day", "name"]).to_pylist()
    return sorted(f"{row['day'].day} {row['name']}" for row in rows)


def execute(database: Database, *statements: str) -> None:
    """Run statements, one transaction."""
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


def make_older(database: Database, *statements: str) -> None:
    """Make a database one of before some columns, by statements that take them away; names and meanings stay."""
    execute(database, *statements, "delete from ops.installation where name = 'schema_shapes'")


def value(database: Database, sql: str) -> object:
    """The only value of a query's only row."""
    ((found,),) = [tuple(row.values()) for row in query(database, sql)]
    return found


def end_sessions(database: Database) -> None:
    """End all sessions of a database but the one that does it."""
    with database.connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
