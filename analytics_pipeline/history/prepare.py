"""Makes the tables of the pipeline's own history, and the functions that read them; others say what is in them."""

from contextlib import closing

from analytics_pipeline.history.restatements import AS_REPORTED
from analytics_pipeline.tables.contracts import QUARANTINE
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.layout import DDL_LOCK, add_columns, ensure_schema, ensure_table
from analytics_pipeline.warehouse.slices import query

_prepared: set[Database] = set()
"""Databases whose tables this process has held against their shapes."""


def prepare(database: Database) -> None:
    """Create what is missing.

    Raises:
        TableMismatchError: A stored table does not fit its shape.
        TableBusyError: A table lacks a column and is in use.
    """
    if database in _prepared and _is_there(database):
        return
    ensure_schema(database, "ops")
    # The quarantine is read by commands that may come before the first run of a new version.
    add_columns(database, (*OPS_TABLES, QUARANTINE.table))
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select pg_advisory_xact_lock(hashtextextended('{DDL_LOCK}', 0))")
        for table in OPS_TABLES:
            for statement in ensure_table(connection, table):
                cursor.execute(statement)
        cursor.execute("select to_regproc('ops.as_reported') is null")
        if cursor.fetchone()[0]:
            cursor.execute(AS_REPORTED)
        connection.commit()
    _prepared.add(database)


def _is_there(database: Database) -> bool:
    names = ", ".join(f"('{table.qualified_name}')" for table in OPS_TABLES)
    found = query(
        database, f"select bool_and(to_regclass(name) is not null) as all_there from (values {names}) as t (name)"
    )
    return bool(found[0]["all_there"])
