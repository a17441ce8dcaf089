"""Dagster's daily partitions of a shop's business days: the only place that turns partition keys into days and back."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import Shop

DAY_FORMAT = "%Y-%m-%d"


def daily_partitions(shop: Shop) -> dg.DailyPartitionsDefinition:
    """Return one partition per business day, from the shop's first one to yesterday, or to today where it is loaded."""
    return dg.DailyPartitionsDefinition(
        start_date=shop.first_day.isoformat(),
        timezone=shop.timezone,
        fmt=DAY_FORMAT,
        end_offset=1 if shop.intraday else 0,
    )


def days_of(partition_keys: Sequence[str]) -> Days:
    """Return the range of days of a run's partition keys, which Dagster gives in order and without gaps."""
    return Days(date.fromisoformat(partition_keys[0]), date.fromisoformat(partition_keys[-1]))
