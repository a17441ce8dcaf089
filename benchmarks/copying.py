"""The physical limit of storing and reading: the server's own binary COPY between a table and a file on its disk.

No client, no network, no conversion takes part. Nothing that gets rows from elsewhere can be faster on the same server.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.layout import create_statements, ensure_schema, key_statements
from analytics_pipeline.warehouse.slices import query


def copy_out(database: Database, tables: Sequence[Table]) -> None:
    """Write each table into a file of its own in the server's data folder, which its user may write to."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        for table in tables:
            cursor.execute(f"copy {table.qualified_name} to {_file(database, table)} (format binary)")


def copy_in(database: Database, tables: Sequence[Table]) -> None:
    """Read the files into new tables of the same shape, each of which then gets the same key and indexes."""
    for table in tables:
        twin = twin_of(table)
        ensure_schema(database, twin.schema)
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            for statement in create_statements(twin):
                cursor.execute(statement)
            _copy_from(cursor, database, table)
            for statement in key_statements(twin):
                cursor.execute(statement)
            connection.commit()


def copy_over(database: Database, table: Table) -> None:
    """Replace all rows of the table's twin with those of the file, in one transaction."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"delete from {twin_of(table).qualified_name}")
        _copy_from(cursor, database, table)
        connection.commit()


def twin_of(table: Table) -> Table:
    """Return the table of the same shape that is written here: `clean.sales` has `limit_clean.sales`."""
    return replace(table, schema=f"limit_{table.schema}")


def _copy_from(cursor: Connection, database: Database, table: Table) -> None:
    cursor.execute(f"copy {twin_of(table).qualified_name} from {_file(database, table)} (format binary)")


def _file(database: Database, table: Table) -> str:
    folder = query(database, "select current_setting('data_directory') as folder")[0]["folder"]
    return f"'{folder}/bench_{table.schema}_{table.name}.copy'"
