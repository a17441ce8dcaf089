"""What is written beside the raw orders: what their extraction brought and cost, and which orders were deleted."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.errors import OutdatedError
from analytics_pipeline.history.stale import has_moved_away
from analytics_pipeline.history.written import Writing
from analytics_pipeline.tables.history import DELETED_ORDERS, EXTRACTIONS, MATERIALISED_DAYS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import query


@dataclass(frozen=True)
class ExtractionFigures:
    """What an extraction brought and cost; the names are those of `ops.extractions`."""

    records: int
    orders: int
    records_of_other_days: int
    source_count: int | None
    requests: int
    retries: int
    bytes: int
    milliseconds_waited: int


@dataclass(frozen=True)
class Extracted:
    """Keeps the book of extractions, and of orders that an extraction of their day no longer finds."""

    writing: Writing
    asked: Days
    """The days that were asked for, those among them that are not written."""
    figures: ExtractionFigures
    ids: Collection[str]
    """Ids of the orders that came."""

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Keep the newest record of each order that did not come this time.

        Raises:
            OutdatedError: Orders of these days that were read later are stored.
        """
        if part is not None:
            refuse_outdated(cursor, table, part, self.writing.as_of[self.asked.first])
            came = pa.table({"order_id": pa.array(self.ids, pa.string())})
            cursor.execute("create temporary table orders_that_came (order_id text) on commit drop")
            copy_rows(cursor, "orders_that_came", came)
            cursor.execute(
                f"create temporary table orders_before on commit drop as select distinct on (order_id) * "
                f"from {table.sql_name} where {table.where(part)} "
                "and order_id not in (select order_id from orders_that_came) order by order_id, extracted_at desc"
            )

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Note the extraction, the orders that were deleted and those that are back."""
        if part is None:
            return
        asked, figures = self.asked, vars(self.figures)
        names = ", ".join(figures)
        places = ", ".join(f"${number}" for number in range(5, 5 + len(figures)))
        cursor.execute(
            f"insert into {EXTRACTIONS.sql_name} (run_id, first_day, last_day, as_of, {names}) "
            f"values ($1, $2, $3, $4, {places}) "
            f"on conflict (run_id, first_day) do update set (last_day, as_of, {names}) = "
            f"(excluded.last_day, excluded.as_of, {', '.join(f'excluded.{name}' for name in figures)})",
            (self.writing.run_id, asked.first, asked.last, self.writing.as_of[asked.first], *figures.values()),
        )
        cursor.execute(
            f"insert into {DELETED_ORDERS.sql_name} "
            "(order_id, order_date, deleted_at, run_id, extracted_at, payload) "
            "select order_id, order_date, clock_timestamp(), $1, extracted_at, payload from orders_before as old "
            f"where not exists (select from {table.sql_name} as new where new.order_id = old.order_id) "
            # The shop has named it with another day, which may not be loaded.
            f"and not {has_moved_away('old')}",
            (self.writing.run_id,),
        )
        cursor.execute(
            f"update {DELETED_ORDERS.sql_name} as gone set reappeared_at = clock_timestamp() "
            f"from (select order_id from {table.sql_name} where {table.where(part)}) as new "
            "where gone.reappeared_at is null and new.order_id = gone.order_id"
        )


@dataclass(frozen=True)
class NotOutdated:
    """Lets rows of a list be written unless later ones are stored."""

    began: datetime
    """When their extraction began."""

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Refuse the write where they are; raises as `refuse_outdated`."""
        if part is not None:
            refuse_outdated(cursor, table, part, self.began)

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing follows from the new rows."""


def refuse_outdated(cursor: Connection, table: Table, part: Days, began: datetime) -> None:
    """Refuse to write rows of some days whose extraction began before that of the stored ones.

    Raises:
        OutdatedError: Rows of these days that were read later are stored.
    """
    cursor.execute(
        f"select day, run_id from {MATERIALISED_DAYS.sql_name} "
        f"where table_name = $1 and {part.where('day')} and as_of > $2 "
        "and as_of <= clock_timestamp() "  # the clock may have been set back
        "order by day limit 1",
        (table.qualified_name, began),
    )
    newer = cursor.fetchone()
    if newer:
        raise OutdatedError(
            f"{table.name.removeprefix('order_')} of {newer[0]} that run {newer[1]} read later than this one are "
            "stored already, and were not replaced by older ones. Nothing is left to do for them; run the other days "
            "again."
        )


def deleted_count(database: Database) -> int:
    """Return how many orders have been deleted and not come back."""
    found = query(database, f"select count(*) as orders from {DELETED_ORDERS.sql_name} where reappeared_at is null")
    return int(found[0]["orders"])
