"""Checks as steps of a run: all of them are evaluated, a warning stops nothing, a blocking one stops the marts."""

from pathlib import Path

import dagster as dg

from analytics_pipeline.orchestration.checks.freshness import ON_TIME
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import (
    FIRST,
    LAST,
    evaluations,
    hashes,
    materialised,
    redescribed,
    with_job,
)
from analytics_pipeline_tests.integration.tables import execute

CHECK_KEY = dg.AssetCheckKey(dg.AssetKey(["clean", "orders"]), "order_totals_equal_their_parts")


def test_a_run_evaluates_exactly_the_defined_checks_all_hold_and_nothing_is_unexplained(loaded: Pipeline) -> None:
    summary = loaded.run(FIRST, LAST)
    found = evaluations(loaded, summary.run_id)
    defined = set(loaded.definitions.resolve_asset_graph().asset_check_keys) - {ON_TIME}

    assert summary.succeeded
    assert set(found) == defined
    assert summary.checks == len(defined)
    assert [key for key, one in found.items() if not one.passed] == []
    assert (summary.failures, summary.warnings) == ([], [])
    before_the_write = {
        "rows_fit_the_contract",
        "keys_are_unique",
        "all_records_are_readable",
        "every_day_is_proved",
        "days_are_made_by_the_same_rules",
        "all_values_are_readable",
        "fields_are_the_known_ones",
        "mapped_paths_are_found",
        "quarantine_stays_below_the_limit",
        "quarantine_holds_little_of_a_day",
        "quarantine_is_rare",
        "figures_are_as_expected",
        "the_shops_report_was_read",
    }
    compared = {key: one for key, one in found.items() if key.name not in before_the_write}
    assert {one.metadata["unexplained_difference"].value for one in compared.values()} == {0}
    assert len(compared) == len(found) - sum(key.name in before_the_write for key in found)


def test_a_warning_is_reported_and_the_run_succeeds(loaded: Pipeline, tmp_path: Path) -> None:
    only_three: dict[str, object] = {"pagination": {"type": "single"}, "params": {"limit": "3"}, "count": None}
    pipeline = redescribed(loaded, tmp_path, products=only_three)
    summary = pipeline.run(FIRST, LAST)

    assert summary.succeeded
    (warning,) = summary.warnings
    assert warning.startswith("check extracted_records_equal_the_shops_count of raw/products: arrived 3, ")
    assert "the shop gives no count" in warning
    assert "marts/daily_revenue" in materialised(pipeline, summary.run_id)


def test_values_that_cannot_be_read_are_reported_and_stored_as_null(loaded: Pipeline, tmp_path: Path) -> None:
    fields = {"product_id": "id", "title": "title", "category": "category", "price": "title"}
    pipeline = redescribed(loaded, tmp_path, products={"fields": fields})
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


def test_a_blocking_check_about_stored_rows_stops_the_marts(loaded: Pipeline) -> None:
    before = hashes(loaded.database)
    trigger = "create trigger damage before insert on clean.orders for each row execute function damage()"
    execute(loaded.database, DAMAGE, trigger)

    summary = loaded.run(FIRST, LAST)

    assert not summary.succeeded
    assert any(text.startswith("check order_totals_equal_their_parts of clean/orders: ") for text in summary.failures)
    assert any("unexplained_difference" in text and "examples" in text for text in summary.failures)
    assert {key for key in materialised(loaded, summary.run_id) if key.startswith("marts/")} == set()
    after = hashes(loaded.database)
    assert {name for name in before if before[name] != after[name]} == {"clean.orders"}
    execute(loaded.database, "drop trigger damage on clean.orders")
    assert loaded.run(FIRST, LAST).succeeded
    assert hashes(loaded.database) == before


def test_checks_alone_without_a_partition_examine_all_that_is_stored(loaded: Pipeline) -> None:
    """The UI's button for a check starts such a run."""
    job = with_job(loaded, dg.AssetSelection.checks(CHECK_KEY))

    def examine() -> dg.AssetCheckEvaluation:
        (found,) = job.execute_in_process(instance=loaded.instance, raise_on_error=False).get_asset_check_evaluations()
        return found

    holds = examine()
    execute(loaded.database, "update clean.orders set taxes = taxes + 1 where order_date = '2025-01-02'")
    fails = examine()
    execute(loaded.database, "delete from clean.orders")
    nothing = examine()

    assert [holds.passed, fails.passed, nothing.passed] == [True, False, True]
    assert holds.metadata["business_days"].value == "2025-01-01 to 2025-01-03"
    assert nothing.metadata["business_days"].value == "none is stored"


def test_a_check_about_a_table_that_was_never_made_warns_instead_of_crashing(loaded: Pipeline) -> None:
    execute(loaded.database, "drop table clean.customers", "drop table clean.products")
    tables = (
        *("raw/orders", "clean/orders", "clean/order_lines", "clean/sales"),
        *("ops/quarantine", "ops/exclusions", "ops/accounting"),
    )
    job = with_job(loaded, dg.AssetSelection.assets(*tables))
    result = job.execute_in_process(instance=loaded.instance, partition_key="2025-01-02", raise_on_error=False)

    assert result.success
    failed = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert {one.check_name for one in failed} == {"customers_are_known", "products_are_known"}
    assert {str(one.metadata["not_examined"].value) for one in failed} == {
        'relation "clean.customers" does not exist; materialise it first',
        'relation "clean.products" does not exist; materialise it first',
    }
