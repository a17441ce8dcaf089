"""Records that an extraction replaces on days made by other rules: kept until the ledger of their day is written.

A reload after a change of the description shows two changes at once: what the new rules do to the old record, and what
the shop has edited since. Held against the old record under the new rules, each is reported for what it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.history.written import Writing
from analytics_pipeline.tables.contracts import CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS, REPLACED_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection

DAYS, REPLACED = MATERIALISED_DAYS.sql_name, REPLACED_ORDERS.sql_name
SALES = CLEAN_SALES.table.qualified_name


@dataclass(frozen=True)
class ReplacedKept:
    """Keeps the records that change or go while the rules do; an order that only lies on another day now is not gone.

    Comes before the book of orders that were deleted (`Extracted`).

    Attributes:
        writing: The run, and the code version of its rows.
        day_of: Returns the business day of a record by the new rules, None where it is unreadable.
    """

    writing: Writing
    day_of: Callable[[str], date | None]

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Keep the newest record of each order on days whose ledger is made by other rules."""
        if part is not None:
            cursor.execute(
                "create temporary table records_replaced on commit drop as "
                "select distinct on (order_id) order_id, order_date, extracted_at, payload::text as payload "
                f"from {table.sql_name} join {DAYS} as days on days.table_name = $1 and days.day = order_date "
                f"where {table.where(part)} and days.code_version <> $2 order by order_id, extracted_at desc",
                (SALES, self.writing.code_version),
            )

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Keep those that came otherwise, or not at all."""
        if part is None:
            return
        cursor.execute(
            f"delete from records_replaced as old using {table.sql_name} as new "
            f"where new.order_id = old.order_id and {table.where(part, 'new')} and new.payload::text = old.payload"
        )
        cursor.execute("select order_id, order_date, payload from records_replaced")
        rows = [(order_id, self.day_of(payload) or day) for order_id, day, payload in cursor.fetchall()]
        if not rows:
            return
        days = pa.table({"order_id": [row[0] for row in rows], "day": pa.array([row[1] for row in rows], pa.date32())})
        cursor.execute("create temporary table replaced_days (order_id text, day date) on commit drop")
        copy_rows(cursor, "replaced_days", days)
        cursor.execute(
            f"delete from orders_before where order_id in "
            f"(select order_id from replaced_days where not {part.where('day')})"
        )
        # A day that has no ledger yet has no figure that could change.
        cursor.execute(
            f"insert into {REPLACED} (order_id, order_date, extracted_at, payload) "
            "select order_id, replaced_days.day, extracted_at, payload::json "
            "from records_replaced join replaced_days using (order_id) "
            f"join {DAYS} as days on days.table_name = $1 and days.day = replaced_days.day "
            f"where {part.where('replaced_days.day')} "
            f"or not exists (select from {table.sql_name} as new where new.order_id = records_replaced.order_id) "
            "on conflict (order_id) do nothing",
            (SALES,),
        )


def replaced_records(cursor: Connection, part: Days) -> pa.Table:
    """Return the kept records of some days as rows of `raw.orders`; the table is there."""
    cursor.execute(
        f"select order_id, order_date, extracted_at, payload::text from {REPLACED} where {RAW_ORDERS.table.where(part)}"
    )
    names = RAW_ORDERS.table.arrow_schema.names
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return pa.Table.from_pylist(rows, schema=RAW_ORDERS.table.arrow_schema)


@dataclass(frozen=True)
class ReplacedForgotten:
    """Forgets the kept records of days whose ledger is written; comes after what is held against them."""

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Forget them."""
        if part is not None:
            cursor.execute(f"delete from {REPLACED} where {table.where(part)}")
