"""Customers and products: one typed row each, newest version, unreadable values told and null."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics_pipeline.tables import contracts
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.promises import violations
from analytics_pipeline.transforms.dimensions import CleanDimension, clean_customers, clean_products
from analytics_pipeline_tests.unit.transforms.conftest import EMAILS, EXTRACTED_AT, money, rows_of, shop

CUSTOMER = {
    "id": "C1",
    "created_at": "2025-03-01T08:00:00Z",
    "updated_at": "2025-03-02T08:00:00Z",
    "email": " Ada@Example.com",
    "name": "Ada Engel",
    "country": "DE",
    "first_order_at": "2025-03-01T23:30:00Z",
}
PRODUCT = {
    "id": "P1",
    "title": "Mug",
    "category": "Tableware",
    "price": "14.90",
    "cost": 8.7,
    "updated_at": "2025-03-02T08:00:00Z",
}
Version = tuple[str, str | None, int, Mapping[str, Any]]
"""Id, day of March of the change stamp if any, minute of the extraction, record."""


def _raw(contract: Contract, versions: Sequence[Version]) -> pd.DataFrame:
    schema = contract.table.arrow_schema
    rows = [
        (
            record_id,
            None if day is None else datetime(2025, 3, int(day), tzinfo=UTC),
            EXTRACTED_AT.replace(minute=minute),
            json.dumps(record),
        )
        for record_id, day, minute, record in versions
    ]
    table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def customers(*versions: Version) -> CleanDimension:
    result = clean_customers(_raw(contracts.RAW_CUSTOMERS, versions), shop(), EMAILS)
    assert violations(contracts.CLEAN_CUSTOMERS, result.rows) == []
    return result


def products(*versions: Version) -> CleanDimension:
    result = clean_products(_raw(contracts.RAW_PRODUCTS, versions), shop())
    assert violations(contracts.CLEAN_PRODUCTS, result.rows) == []
    return result


def test_a_customer_has_a_hash_for_the_address_and_the_business_day_of_the_first_order() -> None:
    result = customers(("C1", "2", 0, CUSTOMER))
    assert rows_of(result.rows, "customer_id", "email_hash", "country", "first_order_date") == [
        ("C1", EMAILS.hash("ada@example.com"), "DE", date(2025, 3, 2))
    ]
    assert rows_of(result.rows, "registered_at") == [(datetime(2025, 3, 1, 8, tzinfo=UTC),)]
    assert result.unreadable == []
    assert "ada" not in result.rows.to_csv().lower()


def test_a_product_has_its_price_and_its_cost_exactly() -> None:
    result = products(("P1", "2", 0, PRODUCT), ("P2", None, 0, {"id": "P2", "price": ""}))
    assert rows_of(result.rows, "product_id", "title", "category", "price", "cost") == [
        ("P1", "Mug", "Tableware", *money("14.90", "8.70")),
        ("P2", None, None, None, None),
    ]
    assert result.unreadable == []


def test_the_newest_version_wins_by_change_stamp_and_then_by_extraction() -> None:
    def titled(title: str) -> dict[str, object]:
        return PRODUCT | {"title": title}

    result = products(
        ("P1", "9", 0, titled("newest")),
        ("P1", "8", 5, titled("older")),
        ("P2", "8", 5, titled("newest")),
        ("P2", "8", 1, titled("older")),
        ("P3", None, 9, titled("without stamp")),
        ("P3", "1", 0, titled("newest")),
    )
    assert rows_of(result.rows, "product_id", "title") == [("P1", "newest"), ("P2", "newest"), ("P3", "newest")]


def test_a_value_that_cannot_be_read_is_null_and_told_with_its_record() -> None:
    bad = PRODUCT | {"id": "P2", "price": "call us", "category": ["a"], "updated_at": "?", "title": "a\x00b"}
    result = products(("P1", "2", 0, PRODUCT), ("P2", "2", 0, bad))
    assert rows_of(result.rows, "title", "category", "price", "updated_at")[1] == ("a\ufffdb", None, None, None)
    assert sorted(result.unreadable) == [
        "P2: category: neither text nor number, but a list",
        "P2: price: not an amount with at most four decimals, but a string of 7 characters",
        "P2: updated_at: not a stamp, but a string of 1 characters",
    ]
    strange = CUSTOMER | {"first_order_at": "0001-01-01T00:00:00Z", "created_at": 5}
    assert customers(("C1", "2", 0, strange)).unreadable == [
        "C1: first_order_at: not a stamp, but a string of 20 characters",
        "C1: created_at: not a stamp, but a number",
    ]


def test_a_path_that_cannot_be_looked_up_is_reported_and_harms_no_other_record() -> None:
    described = shop()
    fields = described.products.fields.model_copy(update={"title": "starts_with(title, 'M') && title"})
    described = described.model_copy(update={"products": described.products.model_copy(update={"fields": fields})})
    raw = _raw(contracts.RAW_PRODUCTS, [("P1", "2", 0, PRODUCT), ("P2", "2", 0, PRODUCT | {"title": 5})])
    result = clean_products(raw, described)
    assert rows_of(result.rows, "title") == [("Mug",), (None,)]
    why = "invalid type of a value: starts_with() takes string, not number"
    assert result.unreadable == [f"P2: title: its path cannot be looked up ({why})"]


def test_empty_tables_stay_empty_and_inputs_unchanged() -> None:
    assert len(customers().rows) == len(products().rows) == 0
    raw = _raw(contracts.RAW_PRODUCTS, [("P2", "2", 0, PRODUCT), ("P1", "1", 0, PRODUCT)])
    before = raw.copy(deep=True)
    clean_products(raw, shop())
    pd.testing.assert_frame_equal(raw, before)
