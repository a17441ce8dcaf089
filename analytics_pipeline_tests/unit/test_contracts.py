"""Each promise of a contract, kept and broken, and how a broken one is reported."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import (
    CLEAN_CUSTOMERS,
    CLEAN_ORDER_LINES,
    CLEAN_ORDERS,
    CLEAN_PRODUCTS,
    CLEAN_SALES,
    CONTRACTS,
    EVENT_TYPES,
    ORDER_TOTAL_ADDS_UP,
    QUARANTINE,
    RAW_ORDERS,
)
from analytics_pipeline.tables.promises import violations
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT

PLAIN = {
    MONEY: Decimal(0),
    STAMP: datetime(2025, 1, 1, tzinfo=UTC),
    TEXT: "x",
    DAY: date(2025, 1, 1),
    COUNT: 1,
    FLAG: False,
}
SPECIAL = {"currency": "EUR", "event_type": "line_sold", "direction": "above", "kind": "order"}
ONE = Decimal(1)


def rows_of(contract: Contract, *changes: dict[str, object]) -> pd.DataFrame:
    """One row for each of `changes`, right in all columns that it does not name."""
    plain = {column.name: SPECIAL.get(column.name, PLAIN[column.type]) for column in contract.table.columns}
    schema = pa.schema([(column.name, column.type) for column in contract.table.columns])
    rows: pd.DataFrame = pa.Table.from_pylist([plain | change for change in changes], schema=schema).to_pandas(
        types_mapper=pd.ArrowDtype
    )
    return rows


def describe(contract: Contract, *changes: dict[str, object]) -> list[str]:
    return [str(violation) for violation in violations(contract, rows_of(contract, *changes))]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.table.qualified_name)
def test_right_rows_and_no_rows_fit(contract: Contract) -> None:
    assert violations(contract, rows_of(contract, {})) == []
    assert violations(contract, rows_of(contract)) == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.table.qualified_name)
def test_nullable_columns_may_be_null_and_the_others_may_not(contract: Contract) -> None:
    columns = contract.table.columns
    nullable: dict[str, object] = {column.name: None for column in columns if column.is_nullable}
    assert violations(contract, rows_of(contract, nullable)) == []
    for column in columns:
        if not column.is_nullable:
            found = describe(contract, {column.name: None})
            assert [text for text in found if text.startswith(f"{column.name}: is never null (1 rows, such as null")], (
                column
            )


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.table.qualified_name)
def test_every_column_is_described_and_every_key_is_of_columns_that_are_never_null(contract: Contract) -> None:
    table = contract.table
    assert table.description.endswith(".")
    assert [column.name for column in table.columns if not column.description.endswith(".")] == []
    indexed = [name for names in table.indexes for name in names.split(", ")]
    for name in (*table.key, *indexed, *filter(None, [table.day_column, table.merge_column])):
        assert not table.column(name).is_nullable or name == "customer_key"


@pytest.mark.parametrize(
    ("contract", "change", "expected"),
    [
        (RAW_ORDERS, {"payload": ""}, "payload: is not empty (1 rows, such as an empty text in x)"),
        (CLEAN_CUSTOMERS, {"customer_id": ""}, "customer_id: is not empty (1 rows, such as an empty text)"),
        (CLEAN_ORDERS, {"currency": "eur"}, "currency: is a three-letter currency code (1 rows, such as eur in x)"),
        (CLEAN_ORDERS, {"currency": "EURO"}, "currency: is a three-letter currency code (1 rows, such as EURO in x)"),
        (
            CLEAN_ORDERS,
            {"gross_sales": -ONE, "order_total": -ONE},
            "gross_sales: is not negative (1 rows, such as -1.0000 in x)",
        ),
        (CLEAN_ORDERS, {"refunded_total": -ONE}, "refunded_total: is not negative (1 rows, such as -1.0000 in x)"),
        (
            CLEAN_ORDERS,
            {"order_total": ONE},
            f"{ORDER_TOTAL_ADDS_UP.error} (1 rows, such as x)",
        ),
        (
            CLEAN_ORDER_LINES,
            {"net_sales": ONE},
            "net_sales = gross_sales - discounts - returns (1 rows, such as 2025-01-01 x x)",
        ),
        (
            CLEAN_ORDER_LINES,
            {"unit_price": -ONE},
            "unit_price: is not negative (1 rows, such as -1.0000 in 2025-01-01 x x)",
        ),
        (
            CLEAN_SALES,
            {"event_type": "sold"},
            f"event_type: is one of {', '.join(EVENT_TYPES)} (1 rows, such as sold in 2025-01-01 x 1)",
        ),
        (
            CLEAN_SALES,
            {"net_sales": ONE, "total_sales": ONE},
            "net_sales = gross_sales - discounts - returns (1 rows, such as 2025-01-01 x 1)",
        ),
        (
            CLEAN_SALES,
            {"shipping": ONE},
            "total_sales = net_sales + shipping + charges + taxes (1 rows, such as 2025-01-01 x 1)",
        ),
        (QUARANTINE, {"reason": ""}, "reason: is not empty (1 rows, such as an empty text in 2025-01-01 x order x)"),
    ],
)
def test_a_broken_promise_names_column_rule_value_and_row(
    contract: Contract, change: dict[str, object], expected: str
) -> None:
    assert describe(contract, change) == [expected]


def test_signed_amounts_may_be_negative() -> None:
    """A refund takes back shipping and taxes; a return discovered to be too large is given again."""
    change: dict[str, object] = {
        "shipping": -ONE,
        "taxes": -ONE,
        "returns": -ONE,
        "net_sales": ONE,
        "total_sales": -ONE,
    }

    assert describe(CLEAN_SALES, change) == []


def test_rows_with_the_same_key_are_one_violation_that_shows_the_key_once() -> None:
    found = violations(CLEAN_SALES, rows_of(CLEAN_SALES, {}, {}, {"order_id": "y"}))

    assert [str(violation) for violation in found] == [
        "order_date, order_id, event_number: occurs once (2 rows, such as 2025-01-01 x 1)"
    ]
    assert describe(CLEAN_PRODUCTS, {}, {}) == ["product_id: occurs once (2 rows, such as x)"]


def test_raw_tables_keep_what_the_shop_sent_twice() -> None:
    assert describe(RAW_ORDERS, {}, {}) == []


def test_at_most_five_examples_are_shown_and_all_rows_are_counted() -> None:
    rows: list[dict[str, object]] = [{"order_id": f"order-{number}", "currency": "?"} for number in range(9)]
    (found,) = violations(CLEAN_ORDERS, rows_of(CLEAN_ORDERS, *rows))

    assert found.rows == 9
    assert found.examples == tuple(f"string of 1 characters in order-{number}" for number in range(5))


def test_columns_too_few_too_many_in_disorder_or_of_another_type_are_reported() -> None:
    rows = rows_of(CLEAN_PRODUCTS, {})

    assert "every column is there (1 rows, such as price)" in map(
        str, violations(CLEAN_PRODUCTS, rows.drop(columns="price"))
    )
    assert "no other column is there (1 rows, such as more)" in map(
        str, violations(CLEAN_PRODUCTS, rows.assign(more=1))
    )
    assert "the columns have their order" in str(violations(CLEAN_PRODUCTS, rows[rows.columns[::-1]])[0])
    assert "price: has its contract's type" in str(violations(CLEAN_PRODUCTS, rows.assign(price=1.5))[0])
