"""Checks as steps of a run: all of them are evaluated, a warning stops nothing, a blocking one stops the marts."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline_tests.conftest import Pipeline, content_hash
from analytics_pipeline_tests.integration.tables import execute

FIRST, LAST = date(2025, 1, 1), date(2025, 1, 3)
CHECK_KEY = dg.AssetCheckKey(dg.AssetKey(["clean", "orders"]), "order_totals_equal_their_parts")


@pytest.fixture
def shop(start_shop: Callable[..., RunningShop]) -> RunningShop:
    return start_shop(now=datetime(2025, 2, 1, tzinfo=UTC), opened=FIRST, orders_per_day=(5, 8), refund_share=0.3)


def evaluations(pipeline: Pipeline, run_id: str) -> dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    logs = pipeline.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.get_dagster_event().asset_check_evaluation_data for entry in logs]
    assert len({one.asset_check_key for one in found}) == len(found)
    return {one.asset_check_key: one for one in found}


def materialised(pipeline: Pipeline, run_id: str) -> set[str]:
    logs = pipeline.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    keys = [entry.get_dagster_event().asset_key for entry in logs]
    return {key.to_user_string() for key in keys if key}


def hashes(pipeline: Pipeline) -> dict[str, str]:
    schemas = "'raw', 'clean', 'ops', 'marts'"
    sql = f"select schemaname || '.' || tablename as name from pg_tables where schemaname in ({schemas})"
    tables = pipeline.rows(sql)
    return {str(table["name"]): content_hash(pipeline.database, str(table["name"])) for table in tables}


def test_a_run_evaluates_exactly_the_defined_checks_all_hold_and_nothing_is_unexplained(
    shop: RunningShop, pipeline_of: Callable[..., Pipeline]
) -> None:
    pipeline = pipeline_of(shop)
    summary = pipeline.run(FIRST, LAST)
    found = evaluations(pipeline, summary.run_id)
    defined = set(pipeline.definitions.resolve_asset_graph().asset_check_keys)

    assert summary.succeeded
    assert set(found) == defined
    assert summary.checks == len(defined)
    assert [key for key, one in found.items() if not one.passed] == []
    assert (summary.failures, summary.warnings) == ([], [])
    before_the_write = {"rows_fit_the_contract", "keys_are_unique", "all_values_are_readable"}
    compared = {key: one for key, one in found.items() if key.name not in before_the_write}
    assert {one.metadata["unexplained_difference"].value for one in compared.values()} == {0}
    assert len(compared) == len(found) - sum(key.name in before_the_write for key in found)


def test_a_warning_is_told_and_the_run_succeeds(shop: RunningShop, pipeline_of: Callable[..., Pipeline]) -> None:
    only_three = {"pagination": {"type": "single"}, "params": {"limit": "3"}, "count": None}
    pipeline = pipeline_of(shop, products=only_three)
    summary = pipeline.run(FIRST, LAST)

    assert summary.succeeded
    (warning,) = summary.warnings
    assert warning.startswith("check products_are_known of clean/order_lines: ")
    assert "contradictions " in warning
    assert "examples " in warning
    assert "marts/daily_revenue" in materialised(pipeline, summary.run_id)


def test_values_that_cannot_be_read_are_told_and_stored_as_null(
    shop: RunningShop, pipeline_of: Callable[..., Pipeline]
) -> None:
    fields = {"product_id": "id", "title": "title", "category": "category", "price": "title"}
    pipeline = pipeline_of(shop, products={"fields": fields})
    summary = pipeline.run(FIRST)

    assert summary.succeeded
    (warning,) = summary.warnings
    assert warning.startswith("check all_values_are_readable of clean/products: unreadable ")
    counts = pipeline.rows("select count(*) as rows, count(price) as prices from clean.products")[0]
    assert counts["rows"] != 0
    assert counts["prices"] == 0


DAMAGE = """
create function damage() returns trigger language plpgsql as $$
begin new.taxes := new.taxes + 0.01; return new; end $$
"""


def test_a_blocking_claim_about_stored_rows_stops_the_marts(
    shop: RunningShop, pipeline_of: Callable[..., Pipeline]
) -> None:
    pipeline = pipeline_of(shop)
    pipeline.run(FIRST, LAST)
    before = hashes(pipeline)
    trigger = "create trigger damage before insert on clean.orders for each row execute function damage()"
    execute(pipeline.database, DAMAGE, trigger)

    summary = pipeline.run(FIRST, LAST)

    assert not summary.succeeded
    assert any(text.startswith("check order_totals_equal_their_parts of clean/orders: ") for text in summary.failures)
    assert any("unexplained_difference" in text and "examples" in text for text in summary.failures)
    assert {key for key in materialised(pipeline, summary.run_id) if key.startswith("marts/")} == set()
    after = hashes(pipeline)
    assert {name for name in before if before[name] != after[name]} == {"clean.orders"}
    execute(pipeline.database, "drop trigger damage on clean.orders")
    assert pipeline.run(FIRST, LAST).succeeded
    assert hashes(pipeline) == before


def test_checks_alone_without_a_partition_examine_all_that_is_stored(
    shop: RunningShop, pipeline_of: Callable[..., Pipeline]
) -> None:
    """The UI's button for a check starts such a run."""
    pipeline = pipeline_of(shop)
    job = dg.define_asset_job("only_checks", selection=dg.AssetSelection.checks(CHECK_KEY))
    definitions = dg.Definitions.merge(pipeline.definitions, dg.Definitions(jobs=[job]))
    alone = definitions.resolve_job_def("only_checks")

    (nothing,) = alone.execute_in_process(instance=pipeline.instance).get_asset_check_evaluations()
    pipeline.run(FIRST, LAST)
    (holds,) = alone.execute_in_process(instance=pipeline.instance).get_asset_check_evaluations()
    execute(pipeline.database, "update clean.orders set taxes = taxes + 1 where order_date = '2025-01-02'")
    (fails,) = alone.execute_in_process(instance=pipeline.instance, raise_on_error=False).get_asset_check_evaluations()

    assert [nothing.passed, holds.passed, fails.passed] == [True, True, False]
    assert nothing.metadata["business_days"].value == "none is stored"
    assert holds.metadata["business_days"].value == "2025-01-01 to 2025-01-03"


def test_a_claim_about_a_table_that_was_never_made_warns_instead_of_crashing(
    shop: RunningShop, pipeline_of: Callable[..., Pipeline]
) -> None:
    pipeline = pipeline_of(shop)
    selection = dg.AssetSelection.assets(
        "raw/orders", "clean/orders", "clean/order_lines", "clean/sales", "ops/quarantine", "ops/exclusions"
    )
    definitions = dg.Definitions.merge(
        pipeline.definitions, dg.Definitions(jobs=[dg.define_asset_job("orders_alone", selection=selection)])
    )
    result = definitions.resolve_job_def("orders_alone").execute_in_process(
        instance=pipeline.instance, partition_key="2025-01-02", raise_on_error=False
    )

    assert result.success
    failed = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert {one.check_name for one in failed} == {"customers_are_known", "products_are_known"}
    assert {str(one.metadata["not_examined"].value) for one in failed} == {
        'relation "clean.customers" does not exist; materialise it first',
        'relation "clean.products" does not exist; materialise it first',
    }
