"""Tables come into being here: creation from their shape, comments, added columns, and refusal of what does not fit.

Nothing is ever dropped or retyped here. Rows are `slices`' part, tables that can be computed anew `reshaping`'s.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import psycopg

from analytics_pipeline.errors import TableBusyError, TableMismatchError
from analytics_pipeline.tables.shape import Column, Table, schema_in_sql
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection, sqlstate

DDL_LOCK = "analytics_pipeline ddl"
LOCK_NOT_AVAILABLE = "55P03"
SECONDS_TO_WAIT = 30


def ensure_schema(database: Database, schema: str) -> None:
    """Create a schema when it is missing, in a transaction of its own, so that no other one waits for the caller's."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        name = schema_in_sql(schema)
        cursor.execute(f"select to_regnamespace('{name}') is null")
        if cursor.fetchone()[0]:
            wait_for_turn(connection, cursor)
            cursor.execute(f"create schema if not exists {name}")
            connection.commit()


def wait_for_turn(connection: Connection, cursor: Connection) -> None:
    """Begin a transaction in which no other process makes or changes tables, and that sees what they have done."""
    connection.rollback()
    cursor.execute("set transaction isolation level read committed")
    cursor.execute(f"select pg_advisory_xact_lock(hashtextextended('{DDL_LOCK}', 0))")


@contextmanager
def patiently(cursor: Connection, what: str) -> Iterator[None]:
    """Change tables that others may be using; whoever comes later waits behind the block's statements.

    Args:
        cursor: In the transaction, which is lost when it has to be given up.
        what: What changes and is in use, as a sentence that lacks how long.

    Raises:
        TableBusyError: The others have not let go of a table in time.
    """
    try:
        cursor.execute(f"set local lock_timeout = '{SECONDS_TO_WAIT}s'")
        yield
    except psycopg.Error as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        message = f"{what} for {SECONDS_TO_WAIT} s: try again."
        raise TableBusyError(message) from error


def ensure_table(connection: Connection, table: Table) -> list[str]:
    """Create `table` with comments, or check that the stored one fits and add its new columns.

    Runs in the caller's transaction.

    Returns:
        Statements that give a table created now its key and indexes. They are for the caller to run once the first rows
        are in, still in the same transaction: an index that is built at once takes half as long as one that grows row
        by row.

    Raises:
        TableMismatchError: A stored column has another type, or a change is needed that could lose something.
    """
    with closing(connection.cursor()) as cursor:
        stored = stored_columns(cursor, table)
        if stored is None:
            for statement in create_statements(table):
                cursor.execute(statement)
            return key_statements(table)
        for statement in migration_statements(table, stored, stored_key(cursor, table)):
            cursor.execute(statement)
        return []


def add_columns(database: Database, tables: Iterable[Table]) -> None:
    """Add the new columns of tables that exist, each in a transaction of its own.

    To be called before a transaction that waits for others with such a table in hand: whoever reads a table that is
    being altered waits, too, and may be what is waited for.

    Raises:
        TableMismatchError: A stored table cannot be made to fit by adding columns.
        TableBusyError: Others have been reading or writing a table all the time.
    """
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        for table in tables:
            if not _added(cursor, table):
                continue
            wait_for_turn(connection, cursor)
            with patiently(cursor, f"{table.qualified_name} gets a new column and has been in use"):
                for statement in _added(cursor, table):  # somebody else may have added some
                    cursor.execute(statement)
            connection.commit()


def _added(cursor: Connection, table: Table) -> list[str]:
    """Return the DDL that a stored table needs; nothing where there is none."""
    stored = stored_columns(cursor, table)
    return migration_statements(table, stored, stored_key(cursor, table)) if stored else []


def create_statements(table: Table) -> list[str]:
    """Return the DDL of a new table and its comments; the schema is there: see `ensure_schema`."""
    columns = ", ".join(_definition(column) for column in table.columns)
    return [f"create table {table.sql_name} ({columns})", *comment_statements(table)]


def comment_statements(table: Table) -> list[str]:
    """Return the DDL of a table's comments."""
    described = f"comment on table {table.sql_name} is {_text(table.description)}"
    return [described, *(_comment(table, column) for column in table.columns)]


def key_statements(table: Table) -> list[str]:
    """Return the DDL of a table's primary key and indexes."""
    key = [f"alter table {table.sql_name} add primary key ({', '.join(table.key)})"] if table.key else []
    return [*key, *(f"create index on {table.sql_name} ({column})" for column in table.indexes)]


def migration_statements(
    table: Table, stored: dict[str, tuple[str, bool]], key: tuple[str, tuple[str, ...]] | None = None
) -> list[str]:
    """Return the DDL that adds the columns which the stored table lacks, and lets its key grow by some of them.

    A column that may be null now is allowed to be.

    A longer key is kept by all rows that keep the shorter one, so that nothing can be lost.

    Args:
        table: The shape that is wanted.
        stored: Type and nullability of each stored column, by name.
        key: Name and columns of the stored primary key, if there is one.

    Raises:
        TableMismatchError: The stored table cannot be made to fit by adding columns alone.
    """
    statements = []
    for column in table.columns:
        found = stored.get(column.name)
        if found is None and not column.is_nullable and column.filler is None:
            raise _mismatch(
                table,
                f"it lacks the column {column.name}, which may not be null, so old rows cannot be kept as they are",
            )
        if found is None:
            filled = "" if column.filler is None else f" default {_text(column.filler)}"
            statements += [
                f"alter table {table.sql_name} add column {_definition(column)}{filled}",
                _comment(table, column),
            ]
        elif found[0] != column.postgres_type:
            raise _mismatch(table, f"its column {column.name} is {found[0]}, the contract says {column.postgres_type}")
        elif column.is_nullable and not found[1]:
            statements.append(f"alter table {table.sql_name} alter column {column.name} drop not null")
    wanted = {column.name for column in table.columns}
    for name, (_, is_nullable) in stored.items():
        if name not in wanted and not is_nullable:
            raise _mismatch(
                table, f"its column {name} may not be null and is not in the contract, so no row could be written"
            )
    if key is not None and set(key[1]) < set(table.key):
        statements.append(
            f"alter table {table.sql_name} drop constraint {key[0]}, add primary key ({', '.join(table.key)})"
        )
    return statements


def _mismatch(table: Table, reason: str) -> TableMismatchError:
    return TableMismatchError(
        f"the stored table {table.qualified_name} does not fit its contract: {reason}. "
        f"Rename it (alter table {table.qualified_name} rename to ..., with the shop's namespace where it has one) and "
        "materialise it again; nothing was changed."
    )


def stored_columns(cursor: Connection, table: Table) -> dict[str, tuple[str, bool]] | None:
    """Return type and nullability of each stored column, by name; None where there is no table."""
    cursor.execute(
        "select a.attname, format_type(a.atttypid, a.atttypmod), not a.attnotnull or a.atthasdef "
        f"from pg_attribute a where a.attrelid = to_regclass('{table.sql_name}') "
        "and a.attnum > 0 and not a.attisdropped order by a.attnum"
    )
    rows = cursor.fetchall()
    return {name: (kind, is_nullable) for name, kind, is_nullable in rows} or None


def stored_key(cursor: Connection, table: Table) -> tuple[str, tuple[str, ...]] | None:
    """Return name and columns of the stored primary key, if there is one."""
    cursor.execute(
        "select quote_ident(k.conname), (select array_agg(a.attname::text order by a.attnum) from pg_attribute a "
        "where a.attrelid = k.conrelid and a.attnum = any(k.conkey)) "
        "from pg_constraint k where k.contype = 'p' and k.conrelid = "
        f"to_regclass('{table.sql_name}')"
    )
    rows = cursor.fetchall()
    return (rows[0][0], tuple(rows[0][1])) if rows else None


def _definition(column: Column) -> str:
    return f"{column.name} {column.postgres_type}{'' if column.is_nullable else ' not null'}"


def _comment(table: Table, column: Column) -> str:
    return f"comment on column {table.sql_name}.{column.name} is {_text(column.description)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
