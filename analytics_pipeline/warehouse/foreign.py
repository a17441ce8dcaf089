"""Tables and views that others have put into the database: their columns, looked up and never changed."""

from collections.abc import Collection
from contextlib import closing

from analytics_pipeline.warehouse.connection import Database

Columns = dict[str, str]
"""Postgres' types by name, in the order of the table."""


def columns_of(database: Database, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], Columns]:
    """Return the columns of those tables, given as (schema, name), that are there."""
    found: dict[tuple[str, str], Columns] = {}
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            "select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid "
            "where n.nspname || '.' || c.relname = any($1) and c.relkind = any('{r,p,v,m,f}') "
            "and a.attnum > 0 and not a.attisdropped order by c.oid, a.attnum",
            ([f"{schema}.{name}" for schema, name in names],),
        )
        for schema, name, column, kind in cursor.fetchall():
            found.setdefault((schema, name), {})[column] = kind
    return found
