"""Keeps `ops.held_back_sales`: what held back orders would add to each day, judged anew when these were written.

What a record comes to is `transforms.held_back`'s part.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.history.cancellations import cancellations_seen
from analytics_pipeline.history.related import read_children
from analytics_pipeline.history.written import DaysWritten, Writing, database_clock
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_SALES, EXCLUSIONS, MOVED, ORDER, QUARANTINE, RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.tables.reports import HELD_BACK_SALES
from analytics_pipeline.transforms.held_back import held_back_sales
from analytics_pipeline.transforms.related import orders_of
from analytics_pipeline.transforms.version import code_version
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query, write

QUARANTINED = "quarantine"
DAYS_AT_ONCE = 366


def judge_held_back(database: Database, shop: Shop, run_id: str) -> int:
    """Judge the held back orders of all days whose orders were written since the last time; returns how many rows."""
    written = 0
    stale = _stale(database)
    for start in range(0, len(stale), DAYS_AT_ONCE):
        part = Days.of(stale[start : start + DAYS_AT_ONCE])
        made_at = database_clock(database)
        rows = [{**row, "made_at": made_at} for row in _rows(database, shop, part)]
        table = pa.Table.from_pylist(rows, schema=HELD_BACK_SALES.arrow_schema)
        hooks = (DaysWritten(Writing(run_id, code_version(shop))),)
        written += write(database, HELD_BACK_SALES, table, part, hooks=hooks)
    return written


def _stale(database: Database) -> list[date]:
    book = MATERIALISED_DAYS.sql_name
    rows = query(
        database,
        f"select sales.day from {book} as sales left join {book} as judged "
        f"on judged.table_name = '{HELD_BACK_SALES.qualified_name}' and judged.day = sales.day "
        f"where sales.table_name = '{CLEAN_SALES.table.qualified_name}' "
        "and sales.written_at > coalesce(judged.written_at, '-infinity') order by sales.day",
    )
    return [row["day"] for row in rows]


def _rows(database: Database, shop: Shop, part: Days) -> Iterator[dict[str, Any]]:
    held, left_out = QUARANTINE.table, EXCLUSIONS.table
    names = query(
        database,
        f"select order_date, order_id, '{QUARANTINED}' as rule from {held.sql_name} "
        f"where {held.where(part)} and kind = '{ORDER}' union all "
        f"select order_date, order_id, reason from {left_out.sql_name} "
        f"where {left_out.where(part)} and reason <> '{MOVED}'",
    )
    rules = {(row["order_date"], row["order_id"]): row["rule"] for row in names}
    if not rules:
        return
    raw = RAW_ORDERS.table
    listed = ", ".join(f"(date '{day}', {_literal(order_id)})" for day, order_id in rules)
    records = query(
        database,
        f"select order_id, order_date, extracted_at, payload::text as payload from {raw.sql_name} "
        f"where {raw.where(part)} and (order_date, order_id) in ({listed})",
    )
    frame: pd.DataFrame = pa.Table.from_pylist(records, schema=raw.arrow_schema).to_pandas(types_mapper=pd.ArrowDtype)
    children = read_children(database, shop, orders_of(frame))
    seen = cancellations_seen(database, shop, {order_id for _, order_id in rules})
    for one in held_back_sales(frame, shop, children, seen):
        yield from one.rows(rule=rules[one.order_date, one.order_id])


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"'{quoted}'"
