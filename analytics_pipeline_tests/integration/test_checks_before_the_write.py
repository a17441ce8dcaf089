"""Checks inside a step: when one fails, the old rows stay, its result is on record, and nothing downstream runs.

That they pass on good data is part of every other run. No cleaning breaks its promises by itself, so one that does is
put in its place.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.history.proofs import DAYS_PROVED
from analytics_pipeline.orchestration.assets import clean
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import evaluations, hashes, materialised, redescribed

DAY = date(2025, 1, 2)


def check_that_nothing_changed(loaded: Pipeline, check: str, asset: str) -> dg.AssetCheckEvaluation:
    """Run the day again, see exactly one check fail, and nothing of or behind its asset change.

    That a day is not proved is said besides.
    """
    before = hashes(loaded.database)
    summary = loaded.run(DAY)
    found = evaluations(loaded, summary.run_id)

    assert not summary.succeeded
    assert any("Nothing was written" in text and f"{check} of {asset}" in text for text in summary.failures)
    assert any(text.startswith(f"check {check} of {asset}: ") for text in summary.failures)
    (failed,) = [one for one in found.values() if not one.passed and one.check_name != DAYS_PROVED]
    assert (failed.check_name, failed.asset_key.to_user_string()) == (check, asset)
    assert hashes(loaded.database) == before
    layers = {"raw", "clean", "ops", "marts"} if asset.startswith("raw/") else {"clean", "ops", "marts"}
    made = materialised(loaded, summary.run_id) - {
        "clean/customers",
        "clean/products",
        "raw/customers",
        "raw/products",
    }
    assert {name for name in made if name.partition("/")[0] in layers} == set()
    return failed


def damage_cleaning(monkeypatch: pytest.MonkeyPatch, damage: Callable[[CleanOrders], CleanOrders]) -> None:
    def damaged(raw: pd.DataFrame, shop: Shop, emails: EmailKey, **beside: Any) -> CleanOrders:  # noqa: ANN401 - what cleaning takes
        cleaned = clean_orders(raw, shop, emails, **beside)
        return cleaned if cleaned.orders.empty else damage(cleaned)  # empty: what replaced records came to

    monkeypatch.setattr(f"{clean.__name__}.clean_orders", damaged)


def test_rows_that_break_their_contract_are_not_written(loaded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(cleaned: CleanOrders) -> CleanOrders:
        wrong = cleaned.sales["event_type"].where(cleaned.sales["gross_sales"] < 0, "sold")
        return replace(cleaned, sales=cleaned.sales.assign(event_type=wrong))

    damage_cleaning(monkeypatch, damage)
    failed = check_that_nothing_changed(loaded, "rows_fit_the_contract", "clean/sales")

    assert failed.metadata["violations"].value == failed.metadata["rows"].value != 0
    assert "event_type: is one of line_sold" in str(failed.metadata["examples"].value)


def test_rows_that_repeat_a_key_are_not_written(loaded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(cleaned: CleanOrders) -> CleanOrders:
        lines = cleaned.order_lines
        return replace(cleaned, order_lines=pd.concat([lines, lines.head(1)], ignore_index=True))

    damage_cleaning(monkeypatch, damage)
    failed = check_that_nothing_changed(loaded, "keys_are_unique", "clean/order_lines")

    assert failed.metadata["violations"].value == 2


def test_an_order_that_got_lost_stops_the_slice(loaded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(cleaned: CleanOrders) -> CleanOrders:
        short = replace(cleaned.accounting, clean_orders=cleaned.accounting.clean_orders - 1)
        return replace(cleaned, orders=cleaned.orders.iloc[1:].reset_index(drop=True), accounting=short)

    damage_cleaning(monkeypatch, damage)
    failed = check_that_nothing_changed(loaded, "raw_orders_are_clean_quarantined_or_excluded", "clean/orders")

    assert failed.metadata["unexplained_orders"].value == 1


def test_a_cent_that_got_lost_stops_the_slice(loaded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(cleaned: CleanOrders) -> CleanOrders:
        money = {"EUR": cleaned.accounting.clean_money["EUR"] - Decimal("0.01")}
        return replace(cleaned, accounting=replace(cleaned.accounting, clean_money=money))

    damage_cleaning(monkeypatch, damage)
    failed = check_that_nothing_changed(loaded, "raw_orders_are_clean_quarantined_or_excluded", "clean/orders")

    assert failed.metadata["unexplained_difference"].value == 0.01
    assert failed.metadata["unexplained_money"].value == "0.0100 EUR"


def test_raw_rows_that_break_their_contract_are_not_written(loaded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Extraction.__next__

    def without_payload(extraction: Extraction) -> pa.RecordBatch:
        batch = sound(extraction)
        if "order_id" not in batch.schema.names:
            return batch
        return pa.RecordBatch.from_arrays([*batch.columns[:-1], pa.array([""] * len(batch))], schema=batch.schema)

    monkeypatch.setattr(Extraction, "__next__", without_payload)
    failed = check_that_nothing_changed(loaded, "rows_fit_the_contract", "raw/orders")

    assert "payload: is not empty" in str(failed.metadata["examples"].value)


def test_a_record_that_did_not_arrive_stops_the_slice(loaded: Pipeline) -> None:
    loaded.shop.shop.misbehave("missing_record", share=1.0, path="/orders")
    failed = check_that_nothing_changed(loaded, "extracted_records_equal_the_shops_count", "raw/orders")

    assert failed.metadata["unexplained_difference"].value == -1
    assert failed.metadata["counted_by_the_shop"].value == int(str(failed.metadata["arrived"].value)) + 1


@pytest.mark.parametrize("count", ["total", None])
def test_a_record_that_comes_twice_is_kept_twice_and_counted_once(
    loaded: Pipeline, tmp_path: Path, count: str | None
) -> None:
    loaded.shop.shop.misbehave("duplicate_record", share=1.0, path="/orders")
    repeated = redescribed(loaded, tmp_path, orders={"count": count})
    summary = repeated.run(DAY)

    assert summary.succeeded
    key = dg.AssetCheckKey(dg.AssetKey(["raw", "orders"]), "extracted_records_equal_the_shops_count")
    messages = evaluations(repeated, summary.run_id)[key].metadata
    assert messages["unexplained_difference"].value == 0
    assert messages["arrived_again"].value == 1
    assert messages["counted_by_the_shop"].value == (messages["arrived"].value if count else "the shop gives no count")
    assert repeated.rows("select count(*) - count(distinct order_id) as twice from raw.orders") == [{"twice": 1}]
    assert repeated.rows("select count(*) - count(distinct order_id) as twice from clean.orders") == [{"twice": 0}]
