"""Marts over all shops as Dagster has them: assets, what a shop lacks as their check, their job and its sensor.

Each shop's days are cut by its own zone; a partition is the name of a day, which is the same in all of them.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from analytics_pipeline.catalogue import Installation
from analytics_pipeline.days import Days
from analytics_pipeline.history.all_shops import gaps, stale_days_of_all_marts
from analytics_pipeline.job_names import ALL_SHOPS
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.orchestration.alert_sensors import build_alert_sensor_of_all_shops
from analytics_pipeline.orchestration.assets.describe import IO_MANAGER, OWNER, by_day, mart_metadata
from analytics_pipeline.orchestration.assets.guard import guarded, step_guard
from analytics_pipeline.orchestration.assets.marts import description_of
from analytics_pipeline.orchestration.namespaces import LINEAGE, key_in
from analytics_pipeline.orchestration.partitions import days_of, partitions_of_all_shops
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.orchestration.running import days_in_flight_of, end_dead_runs, range_tags
from analytics_pipeline.tables.all_shops import SHOP_DAYS
from analytics_pipeline.warehouse.connection import Database

NO_GAPS = "no_shop_lacks_a_day"
SECONDS_BETWEEN_LOOKS = 30
AFTER_A_FAILURE = timedelta(minutes=15)
"""Pause after a run that failed: most likely the next one fails too."""
DAYS_OF_A_RUN = 366


def build_all_shops(installation: Installation) -> dg.Definitions:
    """Return the marts over all shops, with their job and its sensor; nothing where there are none."""
    broken = [_broken(one.layer, one.name, one.reason) for one in installation.broken_marts]
    if not installation.marts:
        return dg.Definitions(assets=broken)
    partitions = partitions_of_all_shops([one.shop for one in installation.shops])
    assets = [_mart_asset(mart, installation, partitions) for mart in installation.marts]
    job = dg.define_asset_job(
        ALL_SHOPS,
        selection=dg.AssetSelection.assets(*assets),
        description="Marts over all shops, of days that one of them has written anew.",
    )

    @dg.sensor(
        name=ALL_SHOPS,
        job=job,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Has marts over all shops computed anew where a shop has written a day since.",
    )
    def sensor(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult | dg.SkipReason:
        stored = database.database()
        end_dead_runs(context.instance)
        if days_in_flight_of(context.instance, ALL_SHOPS):
            return dg.SkipReason("A run of them is under way.")
        if (failed_at := _failed_lately(context.instance)) is not None:
            return dg.SkipReason(f"A run of them failed at {failed_at:%H:%M} UTC; a while later it is tried again.")
        with step_guard(stored, ALL_SHOPS, None):
            ranges = stale_ranges(stored, installation)
        if not ranges:
            return dg.SkipReason("Every day is as the shops have it.")
        return dg.SensorResult(run_requests=[dg.RunRequest(tags=range_tags(days)) for days in ranges])

    return dg.Definitions(
        assets=[*assets, *broken], jobs=[job], sensors=[sensor, build_alert_sensor_of_all_shops(installation)]
    )


def _failed_lately(instance: dg.DagsterInstance) -> datetime | None:
    """Return when the last run failed, if that is not long ago."""
    for record in instance.get_run_records(dg.RunsFilter(job_name=ALL_SHOPS), limit=1):
        ended_at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
        if record.dagster_run.status == dg.DagsterRunStatus.FAILURE and datetime.now(UTC) - ended_at < AFTER_A_FAILURE:
            return ended_at
    return None


def stale_ranges(database: Database, installation: Installation) -> list[Days]:
    """Return the days for which marts over all shops have to be computed, as one run takes them."""
    return as_runs(stale_days_of_all_marts(database, installation))


def as_runs(days: Iterable[date]) -> list[Days]:
    """Return some days, given in order, as runs take them, each of a year at most.

    Days between them are computed along: a run for each of many single ones would take far longer.
    """
    ranges: list[Days] = []
    for day in days:
        if ranges and (day - ranges[-1].first).days < DAYS_OF_A_RUN:
            ranges[-1] = Days(ranges[-1].first, day)
        else:
            ranges.append(Days(day, day))
    return ranges


def _broken(layer: str, name: str, reason: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey([layer, name]),
        description=f"**Broken, and not computed:** {reason}",
        group_name=ALL_SHOPS,
        kinds={"sql", "postgres"},
        owners=[OWNER],
    )


def _mart_asset(
    mart: Mart, installation: Installation, partitions: dg.DailyPartitionsDefinition
) -> dg.AssetsDefinition:
    key = dg.AssetKey(mart.table.path)
    made = [place for place in mart.sources if place != (SHOP_DAYS.schema, SHOP_DAYS.name)]
    lacks_none = dg.AssetCheckSpec(NO_GAPS, asset=key, description="Every shop has every day of the run that is over.")

    def mart_of_all_shops(context: dg.AssetExecutionContext, database: DatabaseResource) -> Iterator[Any]:
        days = days_of(context.partition_keys) if mart.is_daily else None
        lacking = gaps(database.database(), installation.shops_of_marts, days)
        yield dg.Output(mart)
        yield _result(key, lacking)

    asset: Callable[[Any], dg.AssetsDefinition] = dg.asset(
        key=key,
        deps=[
            dg.AssetDep(key_in(place, shop.namespace), partition_mapping=dg.IdentityPartitionMapping())
            for shop in installation.shops
            for place in made
        ],
        description=description_of(mart),
        metadata={name: value for name, value in mart_metadata(mart).items() if name != LINEAGE},
        group_name=ALL_SHOPS,
        owners=list(mart.header.owners) or [OWNER],
        kinds={"sql", "postgres"},
        io_manager_key=IO_MANAGER,
        check_specs=[lacks_none],
        **(by_day(partitions) if mart.is_daily else {}),
    )
    return asset(guarded(mart_of_all_shops))


def _result(key: dg.AssetKey, lacking: dict[str, Days]) -> dg.AssetCheckResult:
    named = {shop: str(days) for shop, days in lacking.items() if days}
    return dg.AssetCheckResult(
        asset_key=key, check_name=NO_GAPS, passed=not named, severity=dg.AssetCheckSeverity.WARN, metadata=named
    )
