"""Noting changes of orders on days that a mart has, while no mart is computed; what changed is found elsewhere."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from analytics_pipeline.history.written import Writing, listed
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.history import LEDGER_MEASURES, MATERIALISED_DAYS, ORDER_CHANGES
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import is_there
from analytics_pipeline.warehouse.turns import key_of_lock

CHANGES, DAYS = ORDER_CHANGES.sql_name, MATERIALISED_DAYS.sql_name
FOUND = ("order_id", "order_date", "event_date", "currency", "cause", "is_first_order", *LEDGER_MEASURES)
"""Columns of a change before it has its number."""
FOUND_SCHEMA = pa.schema([ORDER_CHANGES.arrow_schema.field(name) for name in FOUND])


def lock_marts(cursor: Connection, marts: Iterable[Table]) -> bool:
    """Wait for marts that are being computed, let none begin until this transaction ends; return whether one has days.

    A mart that is computed at the same moment would neither see the new rows nor be known to need them.
    """
    names = sorted(mart.qualified_name for mart in marts)
    for name in names:
        cursor.execute(f"select pg_advisory_xact_lock({key_of_lock(0)})", (name,))
    cursor.execute(f"select exists (select from {DAYS} where table_name in ({listed(names)}))")
    return bool(cursor.fetchone()[0]) and is_there(cursor, CLEAN_SALES.table)


def marts_days(marts: Iterable[Table]) -> str:
    """Select the days that a mart has: nobody knows numbers of others, so that changes of these are none."""
    return f"select day from {DAYS} where table_name in ({listed(mart.qualified_name for mart in marts)})"


def keep(cursor: Connection, name: str, select: str, *parameters: object, counted: str = "order_id") -> None:
    """Keep the rows of a `select` until the end of the transaction, and count the column that they are joined by.

    Uncounted, Postgres plans for a few rows, and compares each with each: minutes, for years that are loaded at once.
    """
    cursor.execute(f"create temporary table {name} on commit drop as {select}", parameters or None)
    cursor.execute(f"analyze {name} ({counted})")


def first_order_changes(moved: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return changes of which only the day of a first order moves.

    Args:
        moved: Each with order_id, order_date, event_date and cause.
    """
    same = {"currency": None, "is_first_order": True, **dict.fromkeys(LEDGER_MEASURES, 0)}
    return pa.Table.from_pylist([same | dict(one) for one in moved], schema=FOUND_SCHEMA)


def note_changes(cursor: Connection, changes: pa.Table, writing: Writing, marts: Iterable[Table]) -> None:
    """Note changes that concern days which a mart has; the marts are locked, so that numbers are given one by one.

    Args:
        cursor: In the transaction that changes the rows.
        changes: Columns as `FOUND`.
        writing: The run.
        marts: Tables of the marts by business day.
    """
    if not len(changes):
        return
    names = ", ".join(FOUND)
    cursor.execute(f"create temporary table changes_found on commit drop as select {names} from {CHANGES} with no data")
    copy_rows(cursor, "changes_found", changes)
    cursor.execute(
        f"""
        insert into {CHANGES} (change_id, changed_at, run_id, {names})
        select
            (select coalesce(max(change_id), 0) from {CHANGES})
            + row_number() over (order by event_date, order_id, currency),
            clock_timestamp(), $1, {names}
        from changes_found where event_date in ({marts_days(marts)})
        """,
        (writing.run_id,),
    )
