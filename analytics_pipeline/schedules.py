"""The schedules: the daily run after the shop's midnight."""

from typing import TYPE_CHECKING

import dagster as dg

from analytics_pipeline.jobs import AssetJob
from analytics_pipeline.sources.spec import Shop

if TYPE_CHECKING:  # dagster gives this type no public name
    from dagster._core.definitions.partitions.partitioned_schedule import UnresolvedPartitionedAssetScheduleDefinition


def build_daily_schedule(
    daily: AssetJob, shop: Shop
) -> "UnresolvedPartitionedAssetScheduleDefinition | dg.ScheduleDefinition":
    """Return the schedule of yesterday's business day, at the hour that the shop description sets, in its zone."""
    return dg.build_schedule_from_partitioned_job(
        daily,
        name="daily",
        description=f"Yesterday's business day, at {shop.daily_run_hour:02}:00 in {shop.timezone}.",
        hour_of_day=shop.daily_run_hour,
        minute_of_hour=0,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
