"""The schedules: the daily run after the shop's midnight."""

import dagster as dg

from analytics_pipeline.orchestration.jobs import AssetJob
from analytics_pipeline.orchestration.namespaces import SHOP, named
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import refuse_missing_secrets


def build_daily_schedule(daily: AssetJob, shop: Shop) -> dg.ScheduleDefinition:
    """Return the schedule of yesterday's business day, at the hour that the shop description sets, in its zone."""

    @dg.schedule(
        name=named("daily", shop.namespace),
        job=daily,
        cron_schedule=f"0 {shop.daily_run_hour} * * *",
        execution_timezone=shop.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        tags={SHOP: shop.name},
        description=f"Yesterday's business day, at {shop.daily_run_hour:02}:00 in {shop.timezone}.",
    )
    def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # Not the last partition: where today is loaded too (intraday), that is today.
        day = last_complete_day(shop, context.scheduled_execution_time)
        if day < shop.first_day:
            return dg.SkipReason(f"{day} lies before {shop.first_day}, the shop's first day.")
        if shop.last_day is not None and day > shop.last_day:
            return dg.SkipReason(f"{day} lies after {shop.last_day}, the shop's last day.")
        # A tick that fails is red in the UI; a run that cannot begin would be an incident of its own every day.
        refuse_missing_secrets(shop)
        return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())

    return daily_schedule
