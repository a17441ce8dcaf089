"""All money of the ledger: on the days of daily_revenue, and on days that lie outside them, named. One scan of each.

The reconciliation by day compares the days of a run; what stands on a day that no mart has would be in none of them.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from analytics_pipeline.history.unfinished import behind
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query

REVENUE = "marts.daily_revenue"
INSIDE = "inside"
PLACES = {
    "before": "before the first loaded day",
    "gap": "on days that are not loaded",
    "after": "after the last loaded day",
    "waiting": "on days to be computed again",
}
"""Where money of the ledger may lie outside the days that are compared."""

PLACED = f"""
    with ledger as (
        select event_date as day, currency, sum(total_sales) as money from {CLEAN_SALES.table.sql_name}
        group by 1, 2
    ),
    revenue as (
        select event_date as day, currency, sum(total_sales) as money from "@marts".daily_revenue group by 1, 2
    ),
    days as (select distinct day from revenue),
    bounds as (select min(day) as first, max(day) as last from days),
    behind as ({behind(f"'{REVENUE}'")})
    select
        day, currency, coalesce(ledger.money, 0) as ledger,
        coalesce(revenue.money, case when revenue.day is not null then ledger.money end, 0) as revenue,
        case
            when day in (select day from behind) then 'waiting'
            when day in (select day from days) then '{INSIDE}'
            when day < bounds.first then 'before'
            when day > bounds.last then 'after'
            else 'gap'
        end as place
    from ledger full join revenue using (day, currency) cross join bounds
"""
"""Money of each day and currency in the ledger and in daily_revenue, and where the day lies; where daily_revenue cannot
tell it, that of the ledger stands for both."""

DIFFERENCES = f"""
    select day || ' ' || currency as example, ledger - revenue as difference
    from ({PLACED}) as placed where place = '{INSIDE}' and ledger <> revenue
"""


@dataclass(frozen=True)
class Part:
    """What the ledger and daily_revenue have of one currency on the days of one place."""

    currency: str
    place: str
    ledger: Decimal
    revenue: Decimal
    days: int
    first: date
    last: date


def ledger_parts(database: Database) -> list[Part]:
    """Return all money of the ledger by currency and place; both tables are there."""
    rows = query(
        database,
        "select currency, place, sum(ledger)::text as ledger, sum(revenue)::text as revenue, count(*) as days, "
        f"min(day) as first, max(day) as last from ({PLACED}) as placed group by 1, 2 order by 1, 2",
    )
    return [Part(**{**row, "ledger": Decimal(row["ledger"]), "revenue": Decimal(row["revenue"])}) for row in rows]
