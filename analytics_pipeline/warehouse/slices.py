"""Reading and writing slices of tables: one transaction a write, exactly the asked-for rows a read.

Which rows, and whether they are right, is decided elsewhere; so is when a table exists (`layout`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeAlias

import adbc_driver_manager
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.days import Days
from analytics_pipeline.errors import ContractError
from analytics_pipeline.tables.shape import DAY, Table
from analytics_pipeline.warehouse.connection import UNIQUE_VIOLATION, Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection, fetched, in_schemas, sqlstate
from analytics_pipeline.warehouse.layout import ensure_schema, ensure_table
from analytics_pipeline.warehouse.numerics import asked, typed
from analytics_pipeline.warehouse.turns import take_turns

UNDEFINED_TABLE = "42P01"
INVALID_SCHEMA = "3F000"


@dataclass(frozen=True)
class Query:
    """Rows that Postgres itself computes: one `select` with the columns of the table, in its order."""

    sql: str


@dataclass(frozen=True)
class DailyQuery:
    """Rows by business day that Postgres computes: a `select` with the columns of the table, for any days."""

    of: Callable[[Days], str]


@dataclass(frozen=True)
class Changes:
    """Changed records of a table with a merge column: they replace the stored rows of the same id, others stay."""

    rows: pa.RecordBatchReader


Rows: TypeAlias = pa.Table | pa.RecordBatchReader | Query | Changes
"""What can be written."""

Ask: TypeAlias = Callable[[str], list[dict[str, Any]]]
"""Answers a `select` with its rows, as `query` does."""


class Hook(Protocol):
    """What runs inside the write of a slice, in its transaction; `part` is None for a whole table."""

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Look at the old rows, which are still there."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Write what follows from the new rows, which are in."""


def write(
    database: Database,
    table: Table,
    rows: Rows,
    part: Days | None,
    *,
    hooks: Sequence[Hook] = (),
    along: Sequence[tuple[Table, Rows]] = (),
) -> int:
    """Replace a slice of a table, or all of it, in one transaction; an empty `rows` clears the old ones.

    Writers of the same table wait for each other; readers see the old rows until the commit.

    Args:
        database: Where the table lies; it is created when missing.
        table: The table's shape.
        rows: New rows. An exception out of the stream leaves the old rows in place.
        part: The slice to replace; None for the whole table.
        hooks: What runs inside the write; a failure of theirs leaves the old rows in place.
        along: Other tables with their rows of the same slice, which are replaced at the same moment.

    Returns:
        Number of rows written to the table itself.

    Raises:
        TableMismatchError: The stored table does not fit its shape.
        ContractError: Two of the rows, or one of them and a row outside the slice, have the same key, a column has
            another type than the table's, or rows are of a day outside the slice.
    """
    beside, keeps_rows = {table.qualified_name: hooks}, isinstance(rows, Changes)
    tables = [*(other for other, _ in along), table]
    with replacing(database, tables, part, beside, keeps_rows=keeps_rows) as replacement:
        for other, others in along:
            put_rows(replacement.cursor, other, others, part)
        with keys_of(table):
            written = put_rows(replacement.cursor, table, rows, part)
        replacement.finish()
    return written


class Replacement:
    """A slice of one or several tables that is being replaced in one transaction; made by `replacing`.

    Attributes:
        cursor: In the transaction, in which the old rows are gone.
        part: The slice; None for whole tables.
    """

    def __init__(
        self,
        connection: Connection,
        cursor: Connection,
        tables: Sequence[Table],
        part: Days | None,
        hooks: Mapping[str, Sequence[Hook]],
    ) -> None:
        self.cursor, self.part = cursor, part
        self._connection, self._tables, self._hooks = connection, tables, hooks
        self._key_statements: list[tuple[Table, str]] = []

    def begin(self, *, keeps_rows: bool) -> None:
        """Wait for others that write the tables, make those that are missing, and delete the slice.

        Args:
            keeps_rows: Leave the deletion to whoever merges rows by their ids.
        """
        take_turns(self.cursor, *(table.qualified_name for table in self._tables))
        for table in self._tables:
            self._key_statements += [(table, statement) for statement in ensure_table(self._connection, table)]
        # All look before anything is gone: what one table held may explain what changes in another.
        for table in self._tables:
            for hook in self._hooks.get(table.qualified_name, ()):
                hook.before(self.cursor, table, self.part)
        for table in self._tables if not keeps_rows else ():
            delete_rows(self.cursor, table, self.part)

    def finish(self) -> None:
        """Build keys and indexes of new tables, let hooks write, in the order of the tables, and commit."""
        self.prepare_commit()
        self.commit()

    def prepare_commit(self) -> None:
        """Do everything but commit: what can fail has failed then."""
        for table, statement in self._key_statements:
            with keys_of(table):
                self.cursor.execute(statement)
        for table in self._tables:
            for hook in self._hooks.get(table.qualified_name, ()):
                hook.after(self.cursor, table, self.part)

    def commit(self) -> None:
        """Make the new rows of all tables visible at one moment."""
        self._connection.commit()


@contextmanager
def replacing(
    database: Database,
    tables: Sequence[Table],
    part: Days | None,
    hooks: Mapping[str, Sequence[Hook]],
    *,
    keeps_rows: bool = False,
) -> Iterator[Replacement]:
    """Begin to replace a slice of some tables; what is not committed when the block ends is undone.

    Args:
        database: Where the tables lie; those that are missing are created.
        tables: Their shapes, in the order in which hooks write.
        part: The slice; None for whole tables.
        hooks: What runs inside the write, by the table's name.
        keeps_rows: Leave the old rows to whoever merges new ones by their ids.

    Raises:
        TableMismatchError: A stored table does not fit its shape.
    """
    for schema in dict.fromkeys(table.schema for table in tables):
        ensure_schema(database, schema)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        replacement = Replacement(connection, cursor, tables, part, hooks)
        replacement.begin(keeps_rows=keeps_rows)
        yield replacement


@contextmanager
def keys_of(table: Table) -> Iterator[None]:
    """Turn the server's refusal of a repeated key into the error that says so."""
    try:
        yield
    except psycopg.Error as error:
        if sqlstate(error) == UNIQUE_VIOLATION:
            raise duplicate_key(table, error) from None
        raise


def replace_rows(cursor: Connection, table: Table, rows: Rows, part: Days | None) -> int:
    """Delete a slice, or several, and put rows in its place, in the caller's transaction; returns how many."""
    delete_rows(cursor, table, part)
    return put_rows(cursor, table, rows, part)


def delete_rows(cursor: Connection, table: Table, part: Days | None) -> None:
    """Delete a slice, several, or all rows, in the caller's transaction."""
    cursor.execute(f"delete from {table.sql_name}" + (f" where {table.where(part)}" if part is not None else ""))


def put_rows(cursor: Connection, table: Table, rows: Rows, part: Days | None) -> int:
    """Add rows of a slice in the caller's transaction; changed ones replace those of the same id. Returns how many.

    Raises:
        ContractError: A column has another type than the table's, or a row is of a day outside the slice: nothing has
            deleted such a day, so that its rows would stand beside those that are there.
    """
    if isinstance(rows, Changes):
        _refuse_other_types(table, rows.rows.schema)
        return _merge(cursor, table, rows.rows)
    if isinstance(rows, Query):
        names = ", ".join(column.name for column in table.columns)
        cursor.execute(f"insert into {table.sql_name} ({names}) {rows.sql}")
        return int(cursor.rowcount)
    _refuse_other_types(table, rows.schema)
    return copy_rows(cursor, table.sql_name, rows if part is None else _within(table, rows, part))


def _within(table: Table, rows: pa.Table | pa.RecordBatchReader, part: Days) -> pa.RecordBatchReader:
    """Pass rows on that are of days of a slice."""
    wanted = pa.array(part, DAY)

    def checked() -> Iterator[pa.RecordBatch]:
        for batch in rows.to_batches() if isinstance(rows, pa.Table) else rows:
            days = batch.column(table.day_column)
            others = pc.filter(days, pc.invert(pc.is_in(days, value_set=wanted)))
            if len(others):
                message = f"some are of {others[0].as_py()}"
                raise ContractError(f"rows meant for {part} of {table.qualified_name} were not written: {message}.")
            yield batch

    return pa.RecordBatchReader.from_batches(rows.schema, checked())


def _refuse_other_types(table: Table, given: pa.Schema) -> None:
    """Refuse columns of another type than the table's: the server would take their bytes for values of its own."""
    wanted = table.arrow_schema
    for field in given:
        place = wanted.get_field_index(field.name)
        kind = wanted.types[place] if place >= 0 else "not there"
        if kind != field.type:
            message = f"its column {field.name} is {kind}, and the rows have the column {field.name} as {field.type}"
            raise ContractError(f"rows meant for {table.qualified_name} were not written: {message}.")


def _merge(cursor: Connection, table: Table, rows: pa.RecordBatchReader) -> int:
    staged = f"changed_{table.name}"
    cursor.execute(f"create temporary table {staged} (like {table.sql_name}) on commit drop")
    written = copy_rows(cursor, staged, rows)
    column = table.merge_column
    cursor.execute(f"delete from {table.sql_name} where {column} in (select {column} from {staged})")
    cursor.execute(f"insert into {table.sql_name} select * from {staged}")
    return written


def duplicate_key(table: Table, error: Exception) -> ContractError:
    """Say that rows repeat a key; the excerpt has which, in the server's own words."""
    detail = (
        next((line for line in str(error).splitlines() if line.startswith("DETAIL:")), "")
        .removeprefix("DETAIL:")
        .strip()
    )
    return ContractError(
        f"rows meant for {table.qualified_name} repeat its key ({', '.join(table.key)}) and were not written.",
        excerpt=detail or str(error),
    )


@contextmanager
def read(
    database: Database,
    table: Table,
    part: Days | None = None,
    columns: Sequence[str] | None = None,
    *,
    in_order: bool = True,
) -> Iterator[pa.RecordBatchReader]:
    """Stream a slice of a table, or all of it, ordered by its business day.

    A table that does not exist yet is empty.

    Args:
        database: Where the table lies.
        table: The table's shape; the batches have its Arrow types.
        part: The slice to read; None for the whole table.
        columns: Names to read, in this order; all when None.
        in_order: Whether days come one after the other; sorting takes longer than reading.
    """
    wanted = table.columns if columns is None else tuple(table.column(name) for name in columns)
    statement = f"select {', '.join(asked(column.name, column.type) for column in wanted)} from {table.sql_name}"
    if part is not None:
        statement += f" where {table.where(part)}"
    if in_order and table.day_column and (part is None or len(part) > 1):
        statement += f" order by {table.day_column}"
    schema = pa.schema([pa.field(column.name, column.type) for column in wanted])
    with database.reading() as cursor:
        try:
            cursor.execute(in_schemas(statement, database.namespace))
        except adbc_driver_manager.Error as error:
            if sqlstate(error) not in {UNDEFINED_TABLE, INVALID_SCHEMA}:
                raise
            yield pa.RecordBatchReader.from_batches(schema, [])
            return
        with closing(cursor.fetch_record_batch()) as stored:
            yield pa.RecordBatchReader.from_batches(schema, (typed(batch, schema) for batch in stored))


def read_table(
    database: Database, table: Table, part: Days | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return a slice of a table, or all of it, in memory: see `read`."""
    day, names = table.day_column, list(columns or table.arrow_schema.names)
    beside = [] if day is None or day in names else [day]
    with read(database, table, part, [*names, *beside], in_order=False) as reader:
        rows = reader.read_all()
    # Rows of a slice nearly always lie in order: to look costs less than to let the server sort them.
    is_sorted = day is None or not (np.diff(rows[day].cast(pa.int32()).to_numpy()) < 0).any()
    return (rows if is_sorted else rows.sort_by(day)).select(names)


def query(database: Database, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a `select` as dictionaries; numerics come as text, exactly as Postgres prints them."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        return _answer(cursor, sql)


@contextmanager
def snapshot(database: Database) -> Iterator[Ask]:
    """Answer several `select`s from one state of the database, whatever is written meanwhile; see `query`."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        yield partial(_answer, cursor)


def _answer(cursor: Connection, sql: str) -> list[dict[str, Any]]:
    cursor.execute(sql)
    return fetched(cursor)


def newest_change(database: Database, table: Table) -> datetime | None:
    """Return the latest of the shop's change stamps in a raw table, None when it has none.

    Stamps that lie after the extraction of their record do not count: nothing that comes would be newer.
    """
    if not exists(database, table):
        return None
    stamp: datetime | None = query(
        database, f"select max(changed_at) as stamp from {table.sql_name} where changed_at <= extracted_at"
    )[0]["stamp"]
    return stamp


def exists(database: Database, table: Table) -> bool:
    """Return whether the table has been created."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        return is_there(cursor, table)


def is_there(cursor: Connection, table: Table) -> bool:
    """Return whether the table has been created, in the caller's transaction."""
    cursor.execute(f"select to_regclass('{table.sql_name}') is not null")
    return bool(cursor.fetchone()[0])
