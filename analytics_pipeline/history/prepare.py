"""Makes the tables of the pipeline's own history, and the functions that read them. What is in them stands elsewhere."""

from contextlib import closing
from functools import cache

from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.layout import DDL_LOCK, ensure_schema, ensure_table
from analytics_pipeline.ops_tables import OPS_TABLES


@cache
def prepare(database: Database) -> None:
    """Create what is missing; once in this process for each database.

    Raises:
        TableMismatchError: A stored table does not fit its shape.
    """
    ensure_schema(database, "ops")
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select pg_advisory_xact_lock(hashtextextended('{DDL_LOCK}', 0))")
        for table in OPS_TABLES:
            for statement in ensure_table(connection, table):
                cursor.execute(statement)
        connection.commit()
