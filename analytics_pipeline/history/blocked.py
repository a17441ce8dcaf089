"""What quarantine would hold of days that it stopped: kept so that it can be seen, and forgotten once a day is written.

The records themselves stand in `raw.orders`.
"""

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.tables.history import BLOCKED_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import replace_rows
from analytics_pipeline.warehouse.turns import take_turns

BLOCKED = BLOCKED_ORDERS.sql_name


@dataclass(frozen=True)
class BlockedForgotten:
    """Forgets what was blocked of the days that are written now."""

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Forget them."""
        del table
        if part is not None:
            take_turns(cursor, BLOCKED_ORDERS.qualified_name)
            cursor.execute(f"delete from {BLOCKED} where {BLOCKED_ORDERS.where(part)}")


def keep_blocked(database: Database, days: Collection[date], held: pd.DataFrame, run_id: str) -> None:
    """Keep what quarantine would hold of some days, in place of what was kept of them before.

    Args:
        database: Where the table lies; it is there.
        days: The days, one at least.
        held: Rows as of `ops/quarantine`.
        run_id: The run that they stopped.
    """
    now = datetime.now(UTC)
    columns = {
        column.name: pa.array(held[column.name]).cast(column.type)
        if column.name in held
        else pa.array([run_id if column.name == "run_id" else now] * len(held), column.type)
        for column in BLOCKED_ORDERS.columns
    }
    rows = pa.table(columns, schema=BLOCKED_ORDERS.arrow_schema)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, BLOCKED_ORDERS.qualified_name)
        replace_rows(cursor, BLOCKED_ORDERS, rows, Days.of(days))
        connection.commit()


def days_blocked_by(database: Database, run_id: str) -> list[date]:
    """Return the days that a run did not write, in order."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select distinct order_date from {BLOCKED} where run_id = $1 order by 1", (run_id,))
        return [row[0] for row in cursor.fetchall()]
