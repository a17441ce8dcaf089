"""Days that are between two layers: left so by a run that was killed or failed, or about to be finished by one.

Nothing is written here. The times of writing can be compared, since the ledger and the marts lock each other out.
"""

from collections.abc import Collection, Sequence
from datetime import date

from analytics_pipeline.history.written import listed
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS, ORDER_CHANGES
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Ask, query

DAYS, CHANGES = MATERIALISED_DAYS.sql_name, ORDER_CHANGES.sql_name
RAW, ORDERS, SALES = (contract.table.qualified_name for contract in (RAW_ORDERS, CLEAN_ORDERS, CLEAN_SALES))

_NOT_CLEANED = f"""
    select raw.day from {DAYS} as raw
    left join {DAYS} as sales on sales.day = raw.day and sales.table_name = '{SALES}'
    where raw.table_name = '{RAW}' and sales.as_of is distinct from raw.as_of
"""
"""Days whose ledger is of another extraction than the raw orders."""
_HALF_COMMITTED = f"""
    select orders.day from {DAYS} as orders
    left join {DAYS} as sales on sales.day = orders.day and sales.table_name = '{SALES}'
    where orders.table_name = '{ORDERS}' and sales.run_id is distinct from orders.run_id
"""
"""Days of which a run has written the orders and not the ledger, which it commits last."""


def behind(marts: str) -> str:
    """Select the days on which some marts do not know a change of an order, or are older than the ledger."""
    return f"""
        select changes.event_date as day from {CHANGES} as changes
        join {DAYS} as days on days.day = changes.event_date and days.table_name in ({marts})
        where changes.change_id > coalesce(days.through_change, 0) and not changes.is_first_order
        union
        select days.day from {DAYS} as days
        join {DAYS} as sales on sales.day = days.day and sales.table_name = '{SALES}'
        where days.table_name in ({marts}) and days.written_at < sales.written_at
    """


def waiting_days(ask: Ask, tables: Collection[str]) -> set[date]:
    """Return the days on which tables are between two layers, so that they need not agree yet.

    Args:
        ask: Asks the database.
        tables: Qualified names of the tables that are compared.
    """
    late = behind(listed(name for name in tables if name.startswith("marts.")))
    return {row["day"] for row in ask(f"{_NOT_CLEANED} union {_HALF_COMMITTED} union {late}")}


def unfinished_days(database: Database, marts: Sequence[Table]) -> list[date]:
    """Return the days of which a later layer lacks what an earlier one has, in order.

    The clean tables are of another extraction than the raw orders, or of two runs; no mart has the day, or one lacks it
    that is older than the day's first load; or a mart's day is older than the ledger's, or does not know a change of an
    order that affects it.

    Args:
        database: Where the tables lie.
        marts: Tables of the marts by business day.
    """
    daily = listed(mart.qualified_name for mart in marts)
    rows = query(
        database,
        f"""
        with sales as (select * from {DAYS} where table_name = '{SALES}'),
        begun as (select table_name, min(first_written_at) as since from {DAYS} group by table_name)
        {_NOT_CLEANED}
        union
        {_HALF_COMMITTED}
        union
        {behind(daily)}
        union
        select sales.day from sales cross join begun
        where begun.table_name in ({daily}) and sales.first_written_at > begun.since
        and not exists (select from {DAYS} as days where days.table_name = begun.table_name and days.day = sales.day)
        union
        select sales.day from sales
        where {len(marts)} > 0
        and not exists (select from {DAYS} as days where days.table_name in ({daily}) and days.day = sales.day)
        order by day
        """,
    )
    return [row["day"] for row in rows]
