"""Write, audit, publish: outputs come after the results, and only when all of them passed."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd
import pytest

from analytics_pipeline.orchestration.assets.publish import ContractAudit, contract_specs, publish
from analytics_pipeline.tables.contracts import CLEAN_PRODUCTS, RAW_ORDERS
from analytics_pipeline_tests.unit.test_contracts import rows_of

KEY = dg.AssetKey(["clean", "products"])


def result(
    name: str, *, passed: bool, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=KEY, check_name=name, passed=passed, severity=severity, metadata={"rows": 3, "cases": 1}
    )


def audited(*batches: pd.DataFrame) -> dict[str | None, dg.AssetCheckResult]:
    audit = ContractAudit(CLEAN_PRODUCTS)
    for batch in batches:
        audit.look_at(batch)
    return {found.check_name: found for found in audit.results()}


def test_results_come_first_and_outputs_after_them() -> None:
    passed, output = result("one", passed=True), dg.Output(1)

    assert list(publish([passed], [output])) == [passed, output]


def test_a_failed_result_ends_the_step_before_any_output_is_even_asked_for() -> None:
    asked = []

    def outputs() -> Iterator[dg.Output[int]]:
        asked.append(1)
        yield dg.Output(1)

    stream = publish([result("one", passed=True), result("two", passed=False)], outputs())

    assert [next(stream), next(stream)] != []
    with pytest.raises(dg.Failure) as raised:
        next(stream)
    assert "two of clean/products" in str(raised.value.description)
    assert "one of clean/products" not in str(raised.value.description)
    assert "The stored rows are the last good ones." in str(raised.value.description)
    assert raised.value.allow_retries is False
    assert set(raised.value.metadata) == {"two: cases"}
    assert asked == []


def test_all_results_are_reported_when_the_first_one_failed() -> None:
    stream = publish([result("one", passed=False), result("two", passed=False)], [])

    assert [next(stream).check_name, next(stream).check_name] == ["one", "two"]  # type: ignore[union-attr]
    with pytest.raises(dg.Failure, match="one of clean/products; two of clean/products"):
        next(stream)


def test_an_audit_of_right_rows_passes_and_counts_them() -> None:
    right = rows_of(CLEAN_PRODUCTS, {}, {"product_id": "y"})
    found = audited(right, rows_of(CLEAN_PRODUCTS, {"product_id": "z"}))

    assert {name: (one.passed, one.metadata["rows"].value) for name, one in found.items()} == {
        "rows_fit_the_contract": (True, 3),
        "keys_are_unique": (True, 3),
    }


def test_an_audit_reports_wrong_rows_and_repeated_keys_apart() -> None:
    wrong = audited(rows_of(CLEAN_PRODUCTS, {}), rows_of(CLEAN_PRODUCTS, {"product_id": ""}))
    repeated = audited(rows_of(CLEAN_PRODUCTS, {}, {}))

    assert {name: one.passed for name, one in wrong.items()} == {
        "rows_fit_the_contract": False,
        "keys_are_unique": True,
    }
    assert wrong["rows_fit_the_contract"].metadata["violations"].value == 1
    assert "product_id: is not empty" in str(wrong["rows_fit_the_contract"].metadata["examples"].value)
    assert {name: one.passed for name, one in repeated.items()} == {
        "rows_fit_the_contract": True,
        "keys_are_unique": False,
    }
    assert "such as x" in str(repeated["keys_are_unique"].metadata["examples"].value)


def test_a_table_without_key_has_no_check_of_its_key() -> None:
    assert [spec.name for spec in contract_specs(RAW_ORDERS.table)] == ["rows_fit_the_contract"]
    assert [spec.name for spec in contract_specs(CLEAN_PRODUCTS.table)] == ["rows_fit_the_contract", "keys_are_unique"]
    assert [found.check_name for found in ContractAudit(RAW_ORDERS).results()] == ["rows_fit_the_contract"]
