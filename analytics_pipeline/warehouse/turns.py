"""Who writes when: locks by name, in a transaction or for as long as a block lasts; writing is `slices`' part."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from analytics_pipeline.tables.shape import Table, in_sql
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import DRIVER_ERRORS, Connection


def key_of_lock(kind: int) -> str:
    """Return the SQL of an advisory lock's key, of the name that is `$1`: each shop of a database has its own locks."""
    return f"hashtextextended('{in_sql('ops', 'locks ')}' || $1, {kind})"


def take_turns(cursor: Connection, *names: str) -> None:
    """Begin a transaction that writes some tables: wait for the others that do, and see what they have written.

    Whatever the server's defaults are, each statement sees what was committed before it, and the transaction may stand
    idle while other ones are prepared.
    """
    cursor.execute("set transaction isolation level read committed")
    cursor.execute("set local idle_in_transaction_session_timeout = 0")
    for name in sorted(names):  # in one order, or two writers of the same tables would wait for each other
        cursor.execute(f"select pg_advisory_xact_lock({key_of_lock(0)})", (name,))


@contextmanager
def unchanged(database: Database, table: Table) -> Iterator[Connection]:
    """Keep everybody from writing a table until the block ends: what begins to read it within sees one state of it."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, table.qualified_name)
        yield cursor


@contextmanager
def exclusive(database: Database, name: str) -> Iterator[None]:
    """Hold the lock `name` against all other processes; it is free again when the block ends or the process dies."""
    with database.connect(autocommit=True, is_kept=True) as connection, closing(connection.cursor()) as cursor:
        # The lock goes with the connection, which is idle meanwhile.
        cursor.execute("set idle_session_timeout = 0")
        cursor.execute(f"select pg_advisory_lock({key_of_lock(1)})", (name,))
        yield
        # An error has the connection closed, which frees the lock as well; so has one that was lost meanwhile.
        with suppress(*DRIVER_ERRORS):
            cursor.execute(f"select pg_advisory_unlock({key_of_lock(1)})", (name,))
            cursor.execute("reset idle_session_timeout")
