"""Orders that belong to no business day: kept beside the days, once each, until a day has them.

A slice of a day is replaced as a whole, so that they cannot stand in one: each replacement would lose them, and each
poll would bring them again. What became of an order is judged in `transforms`.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.plain import counted
from analytics_pipeline.tables.history import UNDATED_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection, fetched
from analytics_pipeline.warehouse.slices import exists, query

Row = dict[str, Any]
NAME = UNDATED_ORDERS.sql_name
_JUDGED = [column for column in UNDATED_ORDERS.columns if not column.name.endswith("_seen_at")]
JUDGED_SCHEMA = pa.schema([pa.field(column.name, column.type, nullable=column.is_nullable) for column in _JUDGED])
"""Columns of orders that were judged."""
_LISTED = "select order_id, seen_on, is_excluded, reason, column_name, value, currency, money_at_risk::text as money"


@dataclass(frozen=True)
class UndatedKept:
    """Keeps the orders without a day that an extraction of days brought, and drops those that a day has now."""

    judged: pa.Table

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Write both."""
        keep_undated(cursor, self.judged)
        if part is not None:
            cursor.execute(
                f"delete from {NAME} as kept using "
                f"(select order_id from {table.sql_name} where {table.where(part)}) as new "
                "where new.order_id = kept.order_id"
            )


def keep_undated(cursor: Connection, judged: pa.Table) -> None:
    """Keep orders without a day, in the caller's transaction; one that is known is only seen again.

    Args:
        cursor: In a transaction.
        judged: Rows of `JUDGED_SCHEMA`, at most one of each order.
    """
    if not judged.num_rows:
        return
    names = ", ".join(judged.schema.names)
    renewed = [name for name in judged.schema.names if name not in {"order_id", "seen_on"}]
    cursor.execute(f"create temporary table undated_orders_seen on commit drop as select {names} from {NAME} limit 0")
    copy_rows(cursor, "undated_orders_seen", judged)
    cursor.execute(
        f"insert into {NAME} as kept ({names}, first_seen_at, last_seen_at) "
        f"select {names}, clock_timestamp(), clock_timestamp() from undated_orders_seen "
        "on conflict (order_id) do update set last_seen_at = excluded.last_seen_at, "
        + ", ".join(f"{name} = excluded.{name}" for name in renewed)
    )
    cursor.execute("drop table undated_orders_seen")


def replace_undated(cursor: Connection, judged: pa.Table) -> None:
    """Keep orders without a day as `keep_undated` does, and forget all others: these are all that there are."""
    keep_undated(cursor, judged)
    cursor.execute(f"delete from {NAME} where order_id <> all($1)", (judged["order_id"].to_pylist(),))


def undated_line(database: Database) -> list[str]:
    """Report orders without a day; nothing where there are none."""
    rows = query(
        database,
        f"select count(*) filter (where not is_excluded) as held, count(*) filter (where is_excluded) as excluded, "
        f"min(first_seen_at) as since from {NAME}",
    )[0]
    if not rows["held"] and not rows["excluded"]:
        return []
    left_out = f", {rows['excluded']} left out by a rule" if rows["excluded"] else ""
    message = f"{counted(rows['held'], 'order')} in quarantine whose day cannot be read{left_out}"
    return [f"no day       {message}, the first seen {rows['since']:%Y-%m-%d}: analytics-pipeline quarantine list"]


def undated_orders(database: Database, most: int, reason: str | None = None) -> list[Row]:
    """Return the quarantined orders without a day, without their payloads, newest first; of one reason, if given."""
    return _read(
        database,
        f"{_LISTED} from {NAME} where not is_excluded and ($1::text is null or reason = $1) "
        f"order by seen_on desc, order_id limit {most}",
        reason,
    )


def undated_record(database: Database, order_id: str) -> list[Row]:
    """Return an order without a day, payload included; none where there is none of this id."""
    return _read(database, f"{_LISTED}, payload::text as payload from {NAME} where order_id = $1", order_id)


def _read(database: Database, sql: str, parameter: str | None) -> list[Row]:
    if not exists(database, UNDATED_ORDERS):
        return []
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql, (parameter,))
        return fetched(cursor)


def judged_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return judged orders as a table."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=JUDGED_SCHEMA)
