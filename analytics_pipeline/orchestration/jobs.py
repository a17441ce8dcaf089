"""The jobs: `daily` for a business day of everything, two for stale ones, a layer's, `replay_quarantine`.

The partitions of the first ones are those of the assets that they select; which days a job runs for is the schedule's
or the caller's. `replay_quarantine` loads nothing: it marks days.
"""

from collections.abc import Set as AbstractSet
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
from analytics_pipeline.orchestration.checks.freshness import on_time
from analytics_pipeline.orchestration.namespaces import SHOP, job_of, key_in, named
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.orchestration.running import REFUSED, days_of_run
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import ANOMALIES, CLEAN_CUSTOMERS, CLEAN_PRODUCTS, RAW_CUSTOMERS, RAW_PRODUCTS
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.warehouse.connection import Database

if TYPE_CHECKING:  # dagster gives these types no public name
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

AssetJob: TypeAlias = "UnresolvedAssetJobDefinition"

ASKING_JOBS = frozenset({DAILY, LATE_CHANGES, CHANGED_ORDERS, "raw"})
"""Jobs that ask the shop."""
_CUSTOMERS_AND_PRODUCTS = (RAW_CUSTOMERS, RAW_PRODUCTS, CLEAN_CUSTOMERS, CLEAN_PRODUCTS)


def _failure_hook(catalogue: Catalogue) -> dg.HookDefinition:
    namespace = catalogue.namespace

    @dg.failure_hook(name=named("count_failure", namespace), required_resource_keys={"database"})
    def count_failure(context: dg.HookContext) -> None:
        """Count a failed run against the stale days that it was to load; not called when the process is killed."""
        run = context.instance.get_run_by_id(context.run_id)
        days = days_of_run(run) if run else None
        if days is not None and run is not None and REFUSED not in run.tags:
            try:
                database = context.resources.database.of(namespace).database()
            except (SettingsError, NewerSchemaError):  # none of this run's to write to
                return
            note_failure(
                database,
                days,
                context.run_id,
                unfinished_days(database, catalogue.daily_marts),
                is_transient=isinstance(context.op_exception, TransientError),
                waits=job_of(context.job_name, namespace) in {LATE_CHANGES, CHANGED_ORDERS},
            )

    return count_failure


def build_jobs(catalogue: Catalogue) -> list[AssetJob]:
    """Return a shop's jobs, the daily one first, then the two for late changes."""
    count_failure = _failure_hook(catalogue)
    every = _groups(catalogue, "raw", "clean", "ops", "marts", "seeds") - _between_runs(catalogue)
    anomalies = _tables(catalogue, ANOMALIES)  # judged from the marts; else `ops` is made with the clean tables
    reports = _tables(catalogue, *([] if catalogue.shop.report is None else [SHOP_REPORTS]))  # asked of the shop
    return [
        _job(
            catalogue,
            DAILY,
            every,
            "A business day from the shop's API to the marts, with every check.",
            hooks={count_failure},
        ),
        _job(
            catalogue,
            LATE_CHANGES,
            every,
            "Business days whose orders changed after they were loaded: all of them again, with every check.",
            hooks={count_failure},
        ),
        _job(
            catalogue,
            CHANGED_ORDERS,
            every - _tables(catalogue, *_CUSTOMERS_AND_PRODUCTS),
            "The same where nothing but orders changed: customers and products are neither read nor checked.",
            hooks={count_failure},
        ),
        *(
            _job(
                catalogue,
                layer,
                selection - _between_runs(catalogue),
                f"The {layer} layer of a business day, with its checks.",
            )
            for layer, selection in {
                "raw": _groups(catalogue, "raw") | reports,
                "clean": _groups(catalogue, "clean", "ops") - anomalies - reports,
                "marts": _groups(catalogue, "marts", "seeds") | anomalies,
            }.items()
        ),
    ]


def _groups(catalogue: Catalogue, *names: str) -> dg.AssetSelection:
    return dg.AssetSelection.groups(*(named(name, catalogue.namespace) for name in names))


def _tables(catalogue: Catalogue, *contracts: Contract) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(key_in(one.table.path, catalogue.namespace) for one in contracts))


def _between_runs(catalogue: Catalogue) -> dg.AssetSelection:
    return dg.AssetSelection.checks(on_time(catalogue.shop))


def _job(
    catalogue: Catalogue,
    name: str,
    selection: dg.AssetSelection,
    description: str,
    hooks: AbstractSet[dg.HookDefinition] | None = None,
) -> AssetJob:
    shop = catalogue.shop
    return dg.define_asset_job(
        named(name, shop.namespace), selection=selection, description=description, hooks=hooks, tags={SHOP: shop.name}
    )


def job_of_stale_days(database: Database, days: Days) -> str:
    """Return which of `job_names.JOBS` loads stale days again: one that asks for nothing that need not be."""
    return CHANGED_ORDERS if are_orders_alone(database, days) else LATE_CHANGES


class QuarantinedOrders(dg.Config):
    """Which quarantined orders are meant; all of them when nothing is given."""

    reason: str | None = pydantic.Field(default=None, description="Only the orders that broke this rule.")
    first_day: str | None = pydantic.Field(default=None, description="Only from this business day, as in 2026-11-22.")
    last_day: str | None = pydantic.Field(default=None, description="Only to this business day, included.")


def build_replay_job(catalogue: Catalogue) -> dg.JobDefinition:
    """Return the job that brings quarantined orders back through the normal path."""
    namespace, shop = catalogue.namespace, catalogue.shop

    @dg.op(
        name=named("mark_days_of_quarantined_orders", namespace),
        description="Marks the business days of quarantined orders in ops.stale_days.",
    )
    def mark_days_of_quarantined_orders(
        context: dg.OpExecutionContext, config: QuarantinedOrders, database: DatabaseResource
    ) -> None:
        marked = mark_quarantined_days(
            database.of(namespace).database(),
            reason=config.reason,
            first_day=_day("first_day", config.first_day),
            last_day=_day("last_day", config.last_day),
        )
        context.log.info("marked %s business days: %s", len(marked), ", ".join(map(str, marked)) or "none")
        context.add_output_metadata({"days": len(marked)})

    @dg.job(
        name=named(REPLAY_QUARANTINE, namespace),
        description="Marks the days of quarantined orders, so that they are loaded again by the sensor for late "
        "changes. Config: reason, first, last day.",
        tags={SHOP: shop.name},
    )
    def replay_quarantine() -> None:
        mark_days_of_quarantined_orders()

    return replay_quarantine


def _day(name: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{name} of {REPLAY_QUARANTINE}: {text!r} is no day such as 2026-11-22") from None
