"""Everything that Dagster loads: assembly only.

Importing this module reads the settings, the shop descriptions, marts and seeds: no network, no secret, and no database
but where a mart reads a table from outside, whose columns are looked up.
"""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dagster as dg

from analytics_pipeline.catalogue import Catalogue, Installation, Opening, build_installation
from analytics_pipeline.orchestration.alert_sensors import build_alert_sensors
from analytics_pipeline.orchestration.all_shops import build_all_shops
from analytics_pipeline.orchestration.assets.anomalies import build_anomalies_asset
from analytics_pipeline.orchestration.assets.clean import build_clean_assets
from analytics_pipeline.orchestration.assets.describe import IO_MANAGER
from analytics_pipeline.orchestration.assets.history import history_specs
from analytics_pipeline.orchestration.assets.marts import broken_mart_specs, build_mart_assets
from analytics_pipeline.orchestration.assets.raw import build_raw_assets
from analytics_pipeline.orchestration.assets.related import build_related_assets, followed_specs
from analytics_pipeline.orchestration.assets.seeds import build_seed_assets, outside_specs
from analytics_pipeline.orchestration.assets.shop_reports import build_report_assets
from analytics_pipeline.orchestration.assets.shops import broken_shop_specs
from analytics_pipeline.orchestration.checks.freshness import build_freshness_check
from analytics_pipeline.orchestration.checks.marts import mart_checks
from analytics_pipeline.orchestration.checks.orders import order_checks, reference_checks
from analytics_pipeline.orchestration.checks.own import build_own_checks
from analytics_pipeline.orchestration.checks.reconciliation import RECONCILIATION_CHECKS
from analytics_pipeline.orchestration.checks.related import related_checks
from analytics_pipeline.orchestration.checks.stored import build_check
from analytics_pipeline.orchestration.io_manager import PostgresIOManager
from analytics_pipeline.orchestration.jobs import build_jobs, build_replay_job
from analytics_pipeline.orchestration.namespaces import spec_in
from analytics_pipeline.orchestration.partitions import daily_partitions
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.orchestration.schedules import build_daily_schedule
from analytics_pipeline.orchestration.sensors import build_late_changes_sensor
from analytics_pipeline.orchestration.webhooks import build_webhook_sensors
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import data_database


def build_definitions(
    shops: str | Sequence[str], project: Path | None = None, database: Opening | None = None, *, is_whole: bool = True
) -> dg.Definitions:
    """Assemble the code location of one shop, or of several.

    Args:
        shops: Names of packaged shop descriptions, or paths of some; of several at most one has no namespace.
        project: The user's own folder, whose marts and seeds stand beside the packaged marts; none when None.
        database: Opens the database in which tables from outside are looked up; asked only if a mart reads one.
        is_whole: Whether these are all shops that there are; without one of them, no mart is over all.

    Raises:
        DescriptionError: The description of the only shop is wrong; of several, such a shop is left out and shown.
        SettingsError: Two shops have the same names of tables.
    """
    references = [shops] if isinstance(shops, str) else shops
    with warnings.catch_warnings():
        # Backfill policies, owners and code references are beta in Dagster; whoever starts a run need not read that
        # each time.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _assemble(build_installation(references, project, database, is_whole=is_whole))


def _assemble(installation: Installation) -> dg.Definitions:
    plain = next((one.reference for one in installation.shops if one.namespace is None), None)
    others = {one.namespace: one.reference for one in installation.shops if one.namespace is not None}
    database = DatabaseResource(shop=plain, others=others)
    outside = {spec.key: spec for one in installation.shops for spec in outside_specs(one.outside)}
    shared = dg.Definitions(
        assets=[*outside.values(), *broken_shop_specs(installation.broken)],
        resources={
            "database": database,
            "shop": ShopResource(reference=plain or "", others=others),
            IO_MANAGER: PostgresIOManager(database, *installation.shops, of_all=installation),
        },
        # In one process a run of one day takes seconds; a process per step would import everything again for each.
        executor=dg.in_process_executor,
    )
    shops = [_of_one_shop(catalogue) for catalogue in installation.shops]
    return dg.Definitions.merge(*shops, build_all_shops(installation), shared)


def _of_one_shop(catalogue: Catalogue) -> dg.Definitions:
    shop, marts = catalogue.shop, catalogue.marts
    partitions = daily_partitions(shop)
    jobs, references = build_jobs(catalogue), reference_checks(shop)
    specs = [
        *followed_specs(shop),
        *broken_mart_specs(catalogue.broken),
        *history_specs(shop),
    ]
    return dg.Definitions(
        assets=[
            *build_raw_assets(partitions, shop),
            *build_related_assets(partitions, shop),
            *build_clean_assets(partitions, shop),
            *build_mart_assets(marts, partitions, shop),
            *build_seed_assets(catalogue.seeds, shop),
            *build_report_assets(partitions, shop),
            *build_anomalies_asset(partitions, catalogue),
            *(spec_in(spec, shop) for spec in specs),
        ],
        asset_checks=[
            build_check("check_orders", order_checks(shop), catalogue),
            *([build_check("check_references", references, catalogue)] if references else []),
            build_check("check_marts", mart_checks(shop.cannot_tell), catalogue),
            build_check("check_reconciliation", RECONCILIATION_CHECKS, catalogue),
            *([build_check("check_related", related_checks(shop), catalogue)] if shop.orders.related else []),
            *build_own_checks(catalogue),
            build_freshness_check(catalogue),
        ],
        jobs=[*jobs, build_replay_job(catalogue)],
        schedules=[build_daily_schedule(jobs[0], shop)],
        sensors=[
            build_late_changes_sensor(jobs[1:3], catalogue),
            *build_webhook_sensors(jobs[1:3], catalogue),
            *build_alert_sensors(catalogue),
        ],
    )


_settings = Settings.from_environment()
defs = build_definitions(
    _settings.shops, _settings.project, partial(data_database, _settings), is_whole=_settings.is_whole
)
