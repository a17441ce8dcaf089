"""ops/shop_reports: the shop's own daily report, read beside the orders. It never stops them: what fails is told."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg
import pandas as pd

from analytics_pipeline.errors import PipelineError
from analytics_pipeline.history.excerpts import keep
from analytics_pipeline.history.held_back import judge_held_back
from analytics_pipeline.history.shop_reports import DueDays, due_days, report_rows
from analytics_pipeline.history.written import database_clock
from analytics_pipeline.orchestration.assets.describe import SHOP_POOL, by_day, table_asset
from analytics_pipeline.orchestration.assets.publish import ContractAudit, contract_specs, publish, shown
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.report import CsvReport
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.report import ReportPart, read_report
from analytics_pipeline.sources.report_files import read_report_files
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, CLEAN_SALES, EXCLUSIONS, QUARANTINE
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.warehouse.connection import Database

WAS_READ = "the_shops_report_was_read"
MOST_RETRIES = 2
"""Further attempts at a report's request: what waits for it are the sales."""


def build_report_assets(partitions: dg.DailyPartitionsDefinition, shop: Shop) -> list[dg.AssetsDefinition]:
    """Return the table of the shop's own report by business day; nothing where none is described."""
    if shop.report is None:
        return []
    key = dg.AssetKey(SHOP_REPORTS.table.path)
    was_read = dg.AssetCheckSpec(
        WAS_READ,
        asset=key,
        description="The shop's own report was read for every day of the run; a failure stops nothing.",
    )

    @table_asset(
        SHOP_REPORTS.table,
        shop,
        deps=[dg.AssetKey(one.table.path) for one in (CLEAN_ORDERS, CLEAN_SALES, QUARANTINE, EXCLUSIONS)],
        kinds={"api", "postgres"},
        pool=SHOP_POOL,
        check_specs=[*contract_specs(SHOP_REPORTS.table), was_read],
        **by_day(partitions),
    )
    def shop_reports(
        context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource
    ) -> Iterator[Any]:
        stored, described = database.database(), shop.description
        report = described.report
        if report is None:  # the definitions are of another description
            return
        metrics = [name for name in _names(report) if name not in {"date", "currency"}]
        due = due_days(stored, days_of(context.partition_keys), metrics, described.zone)
        parts, fault = _read(stored, described, due, context.run.run_id)
        said = [(part.days, part.figures, part.as_of) for part in parts]
        read = report_rows(said, metrics, described.currency, database_clock(stored), context.run.run_id)
        judge_held_back(stored, described, context.run.run_id)
        audit = ContractAudit(SHOP_REPORTS)
        audit.look_at(read.rows.to_pandas(types_mapper=pd.ArrowDtype))
        results = [*audit.results(), _result(key, due, read.days, fault)]
        yield from publish(results, [dg.Output(read, metadata={"days_read": len(read.days)})])

    return [shop_reports]


def _names(report: Any) -> list[str]:  # noqa: ANN401 - of either kind
    return list(report.fields) if isinstance(report, CsvReport) else [name for name, path in report.fields if path]


def _read(database: Database, shop: Shop, due: DueDays, run_id: str) -> tuple[list[ReportPart], str | None]:
    """Return what could be read, and why no more could."""
    parts: list[ReportPart] = []
    try:
        if isinstance(shop.report, CsvReport):
            wanted = {*due.own, *due.beside}
            for part in read_report_files(shop, shop.report, Settings.from_environment().project):
                days = tuple(day for day in part.days if day in wanted)
                parts.append(ReportPart(days, part.figures, part.as_of))
        elif shop.report is not None and due.now:
            patient = shop.limits.model_copy(update={"retries": min(shop.limits.retries, MOST_RETRIES)})
            with ShopClient(shop.model_copy(update={"limits": patient})) as client:
                for part in read_report(client, shop.report, due.now, partial(database_clock, database)):
                    parts.append(part)  # noqa: PERF402 - what came before a failure stays
    except PipelineError as error:
        if error.excerpt:
            keep(database, SHOP_REPORTS.table.name, str(error), error.excerpt, run_id)
        return parts, str(error)
    return parts, None


def _result(key: dg.AssetKey, due: DueDays, read: Any, fault: str | None) -> dg.AssetCheckResult:  # noqa: ANN401 - Days
    missing = [day for day in due.own if day not in read]
    waiting = [day for day in due.beside if day not in read]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=WAS_READ,
        passed=fault is None and not missing,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=shown(
            {
                "days_read": str(read) or "none",
                "days_of_the_run_without_a_report": len(missing),
                "other_days_still_to_be_read": len(waiting),
                **({"fault": fault} if fault else {}),
            }
        ),
    )
