"""What a load says of days before it that are not there: returns of their orders are missing from its figures."""

from datetime import timedelta

from analytics_pipeline.days import Days
from analytics_pipeline.history.written import written_days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.connection import Database

DAYS_OF_RETURNS = 60
"""Days before a day whose orders may be returned on it; what comes later than that is rare."""


def missing_returns(database: Database, shop: Shop, days: Days) -> str | None:
    """Say that returns of older orders are not in the figures of some loaded days; None where they are.

    Args:
        database: Where the tables lie.
        shop: Its first day is where there are no older orders.
        days: The days just loaded.
    """
    begin = max(shop.first_day, days.first - timedelta(days=DAYS_OF_RETURNS))
    if begin >= days.first:
        return None
    loaded = written_days(database, RAW_ORDERS.table)
    absent = [day for day in Days(begin, days.first - timedelta(days=1)) if day not in loaded]
    if not absent:
        return None
    return (
        f"Returns and cancellations of orders placed before {days.first} are not all in these figures: "
        f"{len(absent)} of the {(days.first - begin).days} days before are not loaded. "
        f"Before comparing returns: analytics-pipeline run --from {absent[0]}"
    )
