"""Days that a run has left unfinished: killed between two layers, or failed in a later one. Nothing is written here."""

from collections.abc import Sequence
from datetime import date

from analytics_pipeline.contracts import CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import Ask, query
from analytics_pipeline.ops_tables import MATERIALISED_DAYS, ORDER_CHANGES
from analytics_pipeline.tables import Table

DAYS, CHANGES = MATERIALISED_DAYS.qualified_name, ORDER_CHANGES.qualified_name


def waiting_days(ask: Ask) -> set[date]:
    """Return the days of marts that do not know all changes of orders yet."""
    rows = ask(
        f"select distinct changes.event_date as day from {CHANGES} as changes join {DAYS} as days "
        "on days.day = changes.event_date and changes.change_id > days.through_change "
        "where not changes.is_first_order",
    )
    return {row["day"] for row in rows}


def unfinished_days(database: Database, marts: Sequence[Table]) -> list[date]:
    """Return the days of which a later layer lacks what an earlier one has, in order.

    The ledger is of another extraction than the raw orders; a mart lacks a day that was loaded since the mart exists;
    or a mart's day does not know a change of an order that touches it.

    Args:
        database: Where the tables lie.
        marts: Tables of the marts by business day.
    """
    listed = ", ".join(f"('{mart.qualified_name}')" for mart in marts)
    raw, sales = RAW_ORDERS.table.qualified_name, CLEAN_SALES.table.qualified_name
    rows = query(
        database,
        f"""
        with marts (name) as (values {listed}),
        raw as (select * from {DAYS} where table_name = '{raw}'),
        sales as (select * from {DAYS} where table_name = '{sales}'),
        begun as (
            select name, min(first_written_at) as since from marts join {DAYS} on table_name = name group by name
        )
        select raw.day from raw left join sales on sales.day = raw.day
        where sales.read_at is distinct from raw.read_at
        union
        select sales.day from sales cross join begun
        where sales.first_written_at > begun.since
        and not exists (select from {DAYS} as days where days.table_name = begun.name and days.day = sales.day)
        union
        select changes.event_date from {CHANGES} as changes
        join {DAYS} as days on days.day = changes.event_date
        join marts on marts.name = days.table_name
        where changes.change_id > coalesce(days.through_change, 0) and not changes.is_first_order
        order by day
        """,
    )
    return [row["day"] for row in rows]
