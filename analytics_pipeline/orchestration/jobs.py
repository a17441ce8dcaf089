"""The jobs: `daily` for a business day of everything, two for stale ones, a layer's, `replay_quarantine`.

The partitions of the first ones are those of the assets that they select; which days a job runs for is the schedule's
or the caller's. `replay_quarantine` loads nothing: it marks days.
"""

from datetime import date
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg
import pydantic

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.errors import NewerSchemaError, SettingsError, TransientError
from analytics_pipeline.history.quarantine import mark_quarantined_days
from analytics_pipeline.history.stale import are_orders_alone, note_failure
from analytics_pipeline.history.unfinished import unfinished_days
from analytics_pipeline.job_names import CHANGED_ORDERS, DAILY, LATE_CHANGES, REPLAY_QUARANTINE
from analytics_pipeline.orchestration.checks.freshness import ON_TIME
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.orchestration.running import REFUSED, days_of_run
from analytics_pipeline.tables.contracts import ANOMALIES, CLEAN_CUSTOMERS, CLEAN_PRODUCTS, RAW_CUSTOMERS, RAW_PRODUCTS
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.warehouse.connection import Database

if TYPE_CHECKING:  # dagster gives these types no public name
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

AssetJob: TypeAlias = "UnresolvedAssetJobDefinition"

LAYERS = ("raw", "clean", "marts")
ASKING_JOBS = frozenset({DAILY, LATE_CHANGES, CHANGED_ORDERS, "raw"})
"""Jobs that ask the shop."""
_ANOMALIES = dg.AssetSelection.assets(dg.AssetKey(ANOMALIES.table.path))
"""Judged from the marts: what is in `ops` otherwise is made with the clean tables."""
_BETWEEN_RUNS = dg.AssetSelection.checks(ON_TIME)
_CUSTOMERS_AND_PRODUCTS = dg.AssetSelection.assets(
    *(dg.AssetKey(one.table.path) for one in (RAW_CUSTOMERS, RAW_PRODUCTS, CLEAN_CUSTOMERS, CLEAN_PRODUCTS))
)


def _failure_hook(catalogue: Catalogue) -> dg.HookDefinition:
    @dg.failure_hook(required_resource_keys={"database"})
    def count_failure(context: dg.HookContext) -> None:
        """Count a failed run against the stale days that it was to load; not called when the process is killed."""
        run = context.instance.get_run_by_id(context.run_id)
        days = days_of_run(run) if run else None
        if days is not None and run is not None and REFUSED not in run.tags:
            try:
                database = context.resources.database.database()
            except (SettingsError, NewerSchemaError):  # none of this run's to write to
                return
            note_failure(
                database,
                days,
                context.run_id,
                unfinished_days(database, catalogue.daily_marts),
                is_transient=isinstance(context.op_exception, TransientError),
                waits=context.job_name in {LATE_CHANGES, CHANGED_ORDERS},
            )

    return count_failure


def build_jobs(catalogue: Catalogue) -> list[AssetJob]:
    """Return the jobs, the daily one first, then the two for late changes."""
    count_failure = _failure_hook(catalogue)
    daily = dg.define_asset_job(
        DAILY,
        selection=dg.AssetSelection.all() - _BETWEEN_RUNS,
        description="A business day from the shop's API to the marts, with every check.",
        hooks={count_failure},
    )
    late_changes = dg.define_asset_job(
        LATE_CHANGES,
        selection=dg.AssetSelection.all() - _BETWEEN_RUNS,
        description="Business days whose orders changed after they were loaded: all of them again, with every check.",
        hooks={count_failure},
    )
    changed_orders = dg.define_asset_job(
        CHANGED_ORDERS,
        selection=dg.AssetSelection.all() - _CUSTOMERS_AND_PRODUCTS - _BETWEEN_RUNS,
        description="The same where nothing but orders changed: customers and products are neither read nor checked.",
        hooks={count_failure},
    )
    keys = () if catalogue.shop.report is None else (dg.AssetKey(SHOP_REPORTS.table.path),)
    reports = dg.AssetSelection.assets(*keys)  # asked of the shop, as what is raw
    selections = (
        dg.AssetSelection.groups("raw") | reports,
        dg.AssetSelection.groups("clean", "ops") - _ANOMALIES - reports,
        dg.AssetSelection.groups("marts", "seeds") | _ANOMALIES,
    )
    layers = [_layer_job(name, selection) for name, selection in zip(LAYERS, selections, strict=True)]
    return [daily, late_changes, changed_orders, *layers]


def job_of_stale_days(database: Database, days: Days) -> str:
    """Return the name of the job that loads stale days again: one that asks for nothing that need not be read."""
    return CHANGED_ORDERS if are_orders_alone(database, days) else LATE_CHANGES


def _layer_job(name: str, selection: dg.AssetSelection) -> AssetJob:
    return dg.define_asset_job(
        name,
        selection=selection - _BETWEEN_RUNS,
        description=f"The {name} layer of a business day, with its checks.",
    )


class QuarantinedOrders(dg.Config):
    """Which quarantined orders are meant; all of them when nothing is given."""

    reason: str | None = pydantic.Field(default=None, description="Only the orders that broke this rule.")
    first_day: str | None = pydantic.Field(default=None, description="Only from this business day, as in 2026-11-22.")
    last_day: str | None = pydantic.Field(default=None, description="Only to this business day, included.")


@dg.op(description="Marks the business days of quarantined orders in ops.stale_days.")
def mark_days_of_quarantined_orders(
    context: dg.OpExecutionContext, config: QuarantinedOrders, database: DatabaseResource
) -> None:
    """Mark the days; the sensor for late changes loads them again."""
    marked = mark_quarantined_days(
        database.database(),
        reason=config.reason,
        first_day=_day("first_day", config.first_day),
        last_day=_day("last_day", config.last_day),
    )
    context.log.info("marked %s business days: %s", len(marked), ", ".join(map(str, marked)) or "none")
    context.add_output_metadata({"days": len(marked)})


@dg.job(
    name=REPLAY_QUARANTINE,
    description="Marks the days of quarantined orders, so that they are loaded again. Config: reason, first, last day.",
)
def replay_quarantine() -> None:
    """Bring quarantined orders back through the normal path."""
    mark_days_of_quarantined_orders()


def _day(name: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{name} of {REPLAY_QUARANTINE}: {text!r} is no day such as 2026-11-22") from None
