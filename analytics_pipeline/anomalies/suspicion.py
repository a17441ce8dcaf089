"""Whether the pipeline itself may have made a day's difference: what its own tables tell of that day."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from analytics_pipeline.anomalies.segments import dates
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, EXCLUSIONS, ORDER, QUARANTINE, RAW_ORDERS
from analytics_pipeline.tables.history import DELETED_ORDERS, EXTRACTIONS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query


def suspicions(database: Database, days: Sequence[date], zone: ZoneInfo) -> dict[date, list[str]]:
    """Return for each day what speaks against the pipeline; a day without any is missing.

    Args:
        database: Where the tables lie.
        days: The business days.
        zone: The shop's time zone.
    """
    listed = f"unnest(array[{dates(days)}]) as day"
    found: dict[date, list[str]] = defaultdict(list)
    for row in query(database, _facts(listed)):
        reasons = [*_of_extraction(row, zone), *_of_tables(row)]
        if reasons:
            found[row["day"]] = reasons
    return dict(found)


def _facts(days: str) -> str:
    in_quarantine = f"(select count(*) from {QUARANTINE.table.sql_name} where order_date = day and kind = '{ORDER}')"
    others = (
        f"(select count(*) from {contract.table.sql_name} where order_date = day)"
        for contract in (CLEAN_ORDERS, EXCLUSIONS)
    )
    kept = " + ".join([in_quarantine, *others])
    return f"""
        select
            day, extraction.*,
            (select count(distinct order_id) from {RAW_ORDERS.table.sql_name} where order_date = day) as stored,
            {kept} as kept,
            {in_quarantine} as quarantined,
            (
                select count(*) from {DELETED_ORDERS.sql_name}
                where order_date = day and reappeared_at is null
            ) as deleted
        from {days}
        left join lateral (
            select last_day, as_of, records, orders, records_of_other_days, source_count, requests, retries
            from {EXTRACTIONS.sql_name}
            where first_day <= day and last_day >= day
            order by as_of desc, run_id limit 1
        ) as extraction on true
    """


def _of_extraction(row: dict[str, Any], zone: ZoneInfo) -> list[str]:
    """Judge the newest extraction that had the day; retries are no reason where the shop's own count was reached."""
    as_of: datetime | None = row["as_of"]
    if as_of is None:
        return []
    reasons = []
    if as_of < datetime.combine(row["day"] + timedelta(days=1), time(), zone):
        reasons.append(f"the day was read at {as_of.astimezone(zone):%Y-%m-%d %H:%M}, before it was over")
    counted = row["source_count"]
    arrived = row["orders"] + row["records_of_other_days"]
    if counted is not None:
        if arrived != counted:
            reasons.append(f"{arrived:,} records arrived of {counted:,} that the shop counts")
        return reasons
    if row["retries"]:
        reasons.append(
            f"{row['retries']:,} of {row['requests']:,} requests had to be repeated, and the shop gives no count"
        )
    if row["records"] > row["orders"]:
        again = row["records"] - row["orders"]
        reasons.append(f"{again:,} records came twice, as pages that shift bring them, and the shop gives no count")
    return reasons


def _of_tables(row: dict[str, Any]) -> list[str]:
    reasons = []
    if row["stored"] != row["kept"]:
        reasons.append(f"raw has {row['stored']:,} orders of the day, and the tables made of it have {row['kept']:,}")
    if row["deleted"]:
        reasons.append(f"{row['deleted']:,} orders of the day are no longer in the shop's answers")
    return reasons
