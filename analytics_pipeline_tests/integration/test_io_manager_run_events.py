"""What a run leaves in Dagster's own tables: figures for each day, and the events that Dagster stores."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import dagster_openlineage
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import loaded_pipeline

FIRST, LAST = date(2025, 1, 1), date(2025, 1, 4)
REVENUE = dg.AssetKey(["marts", "daily_revenue"])


SHOP = DemoShopSettings(
    opened=FIRST,
    orders_per_day=(5, 8),
    foreign_currency="USD",
    foreign_share=0.4,
    closed_days=frozenset({date(2025, 1, 2)}),
)


@pytest.fixture(scope="module")
def pipeline(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that has run over four days, on the second of which the shop was closed."""
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), SHOP, Days(FIRST, LAST)) as loaded:
        yield loaded


def materialisations(pipeline: Pipeline, key: dg.AssetKey) -> dict[str | None, dict[str, object]]:
    (run,) = pipeline.instance.get_runs()
    logs = pipeline.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = [entry.asset_materialization for entry in logs]
    return {
        one.partition: {name: value.value for name, value in one.metadata.items()}
        for one in found
        if one is not None and one.asset_key == key
    }


def test_each_day_of_a_range_reports_its_rows_and_its_net_sales_by_currency(pipeline: Pipeline) -> None:
    messages = materialisations(pipeline, REVENUE)
    stored = pipeline.rows("select event_date::text as day, currency, net_sales::float8 from marts.daily_revenue")

    assert set(messages) == {"2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"}
    for day, figures in messages.items():
        of_the_day = {str(row["currency"]): row["net_sales"] for row in stored if row["day"] == day}
        assert figures["dagster/partition_row_count"] == len(of_the_day)
        assert {name: figures[f"net_sales_{name}"] for name in of_the_day} == of_the_day
    assert any("net_sales_USD" in figures for figures in messages.values())
    assert messages["2025-01-02"]["net_sales_EUR"] == 0.0


def test_each_day_of_each_clean_table_reports_its_rows_even_when_it_has_none(pipeline: Pipeline) -> None:
    for table in ("raw.orders", "clean.orders", "clean.order_lines", "clean.sales", "ops.quarantine", "ops.exclusions"):
        messages = materialisations(pipeline, dg.AssetKey(table.split(".")))
        stored = pipeline.rows(f"select order_date::text as day, count(*) as rows from {table} group by 1")
        counts = {str(row["day"]): row["rows"] for row in stored}
        assert {day: figures["dagster/partition_row_count"] for day, figures in messages.items()} == {
            day.isoformat(): counts.get(day.isoformat(), 0) for day in (FIRST, date(2025, 1, 2), date(2025, 1, 3), LAST)
        }
    (whole,) = materialisations(pipeline, dg.AssetKey(["clean", "customers"])).values()
    assert whole["dagster/row_count"] == pipeline.rows("select count(*) as rows from clean.customers")[0]["rows"]


def test_raw_orders_reports_what_the_extraction_cost(pipeline: Pipeline) -> None:
    messages = materialisations(pipeline, dg.AssetKey(["raw", "orders"]))["2025-01-01"]

    assert messages["records"] == pipeline.rows("select count(*) as rows from raw.orders")[0]["rows"]
    assert (messages["requests"], messages["retries"], messages["records_of_other_days"]) == (1, 0, 0)


def test_the_last_day_of_a_run_reports_columns_and_lineage_and_no_other_day_does(pipeline: Pipeline) -> None:
    messages = materialisations(pipeline, REVENUE)
    spec = next(spec for spec in pipeline.definitions.resolve_all_asset_specs() if spec.key == REVENUE)

    assert messages[LAST.isoformat()]["dagster/column_schema"] == spec.metadata["dagster/column_schema"]
    assert messages[LAST.isoformat()]["dagster/column_lineage"] == spec.metadata["dagster/column_lineage"]
    for day in messages.keys() - {LAST.isoformat()}:
        assert not {"dagster/column_schema", "dagster/column_lineage"} & messages[day].keys()
    (whole,) = materialisations(pipeline, dg.AssetKey(["marts", "daily_revenue_as_closed"])).values()
    assert "dagster/column_lineage" in whole


def test_openlineage_is_reported_columns_and_lineage_of_each_table_and_what_the_checks_found(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the public sensor, which reads materialisations and no definitions."""
    log = tmp_path / "openlineage"
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(log))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    monkeypatch.setattr(dagster_openlineage.sensor, "_ADAPTER", dagster_openlineage.OpenLineageAdapter())
    tail = dagster_openlineage.openlineage_sensor(include_asset_events=True, record_filter_limit=10_000)
    with pytest.warns((DeprecationWarning, UserWarning), match="get_event_records"):  # what the package calls
        tail.evaluate_tick(dg.build_sensor_context(instance=pipeline.instance))

    messages = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    outputs = {
        one["name"]: one["facets"] for event in messages for one in event["outputs"] if "schema" in one["facets"]
    }
    specs = {"/".join(spec.key.path): spec for spec in pipeline.definitions.resolve_all_asset_specs()}
    assert outputs.keys() == {name for name, spec in specs.items() if spec.group_name != "history"}
    for name, facets in outputs.items():
        schema = specs[name].metadata["dagster/column_schema"]
        fields = [(one["name"], one["type"], one["description"]) for one in facets["schema"]["fields"]]
        assert fields == [(column.name, column.type, column.description) for column in schema.columns]
    (source,) = outputs["marts/daily_revenue"]["columnLineage"]["fields"]["net_sales"]["inputFields"]
    assert (source["name"], source["field"]) == ("clean/sales", "net_sales")
    assert (
        sum("dataQualityAssertions" in one.get("inputFacets", {}) for event in messages for one in event["inputs"]) > 50
    )


def test_a_later_plan_is_the_latest_one_of_its_asset(
    start_shop: Callable[..., RunningShop], pipeline_of: Callable[..., Pipeline]
) -> None:
    pipeline = pipeline_of(start_shop(now=datetime(2025, 2, 1, tzinfo=UTC), opened=FIRST, orders_per_day=(5, 8)))
    first, second = pipeline.run(FIRST), pipeline.run(LAST)
    latest = pipeline.instance.get_latest_planned_materialization_info(REVENUE)

    assert first.run_id != second.run_id
    assert latest is not None
    assert latest.run_id == second.run_id
    assert pipeline.instance.get_materialized_partitions(REVENUE) == {"2025-01-01", "2025-01-04"}
