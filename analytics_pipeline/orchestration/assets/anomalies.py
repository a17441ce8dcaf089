"""ops/anomalies: the run's days judged by the days before them, and the warning that reports it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from analytics_pipeline.anomalies.judging import Finding, judge
from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.orchestration.assets.describe import by_day, table_asset
from analytics_pipeline.orchestration.assets.publish import ContractAudit, contract_specs, publish, shown
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.tables.contracts import ANOMALIES, CLEAN_ORDERS, CLEAN_SALES, EXAMPLES, EXCLUSIONS, QUARANTINE

AS_EXPECTED = "figures_are_as_expected"
DAILY_REVENUE = dg.AssetKey(["marts", "daily_revenue"])


def build_anomalies_asset(partitions: dg.DailyPartitionsDefinition, catalogue: Catalogue) -> list[dg.AssetsDefinition]:
    """Return the table of findings, by business day; nothing where the mart is broken that it judges."""
    if not catalogue.has("/".join(DAILY_REVENUE.path)):
        return []
    table = ANOMALIES.table
    key = dg.AssetKey(table.path)
    as_expected = dg.AssetCheckSpec(
        AS_EXPECTED, asset=key, description="Each figure of each day is as the days before it let expect; 28 at least."
    )
    made_of = (CLEAN_ORDERS, CLEAN_SALES, QUARANTINE, EXCLUSIONS)

    @table_asset(
        table,
        catalogue.shop,
        deps=[DAILY_REVENUE, *(dg.AssetKey(contract.table.path) for contract in made_of)],
        kinds={"pandas", "postgres"},
        check_specs=[*contract_specs(table), as_expected],
        **by_day(partitions),
    )
    def anomalies(context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource) -> Iterator[Any]:
        described = shop.description
        findings = judge(database.database(), described.currency, described.zone, days_of(context.partition_keys))
        rows = pa.Table.from_pylist([asdict(finding) for finding in findings], schema=table.arrow_schema)
        audit = ContractAudit(ANOMALIES)
        audit.look_at(rows.to_pandas(types_mapper=pd.ArrowDtype))
        yield from publish([*audit.results(), _result(key, findings)], [dg.Output(rows)])

    return [anomalies]


def _result(key: dg.AssetKey, findings: Sequence[Finding]) -> dg.AssetCheckResult:
    """Describe the findings that lie furthest off; of each day one."""
    strongest: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda one: abs(one.score), reverse=True):
        strongest.setdefault(finding.day, finding)
    messages = [
        f"{finding.day} {finding.explanation}" + (f" (suspect: {finding.suspicion})" if finding.suspicion else "")
        for finding in list(strongest.values())[:EXAMPLES]
    ]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=AS_EXPECTED,
        passed=not findings,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=shown(
            {
                "anomalies": len(findings),
                "days": len(strongest),
                "days_with_the_pipeline_as_a_suspect": len({one.day for one in findings if one.is_pipeline_suspect}),
                "examples": "; ".join(messages),
            }
        ),
    )
