"""What orders that are held back would add to a day: as the ledger would have it, else by their own sums, else null."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from analytics_pipeline.shop import spec
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.transforms.held_back import HeldBack, held_back_sales

DAY, LATER = date(2026, 1, 15), date(2026, 1, 20)
LINE = {
    "id": 1,
    "product_id": "P",
    "title": "T",
    "quantity": 2,
    "unit_price": "10.00",
    "discount": "1.00",
    "tax": "3.61",
}
ORDER: dict[str, Any] = {
    "id": "A",
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-01-15T10:00:00Z",
    "currency": "EUR",
    "prices_include_tax": False,
    "order_discount": "0.00",
    "discount_total": "1.00",
    "shipping": "5.00",
    "shipping_tax": "0.95",
    "tax_total": "4.56",
    "total": "28.56",
    "lines": [LINE],
    "refunds": [],
}
REFUND = {
    "id": "R",
    "created_at": "2026-01-20T10:00:00Z",
    "shipping": "0.00",
    "shipping_tax": "0.00",
    "adjustment": "0.00",
    "lines": [{"line_id": 1, "quantity": 1, "amount": "9.50", "tax": "1.81"}],
}
SOLD = {
    "gross_sales": "20",
    "discounts": "1",
    "net_sales": "19",
    "shipping": "5",
    "taxes": "4.56",
    "total_sales": "28.56",
}
DEMO: dict[str, Any] = yaml.safe_load((Path(spec.__file__).parent / "packaged" / "demo.yaml").read_text("utf-8"))
BROKEN = {"lines": [{**LINE, "unit_price": "N/A"}]}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return load_shop("demo")


def held(shop: Shop, **changes: object) -> dict[tuple[date, bool], HeldBack]:
    record = {**ORDER, **changes}
    row = {
        "order_id": "A",
        "order_date": DAY,
        "extracted_at": datetime(2026, 1, 21, tzinfo=UTC),
        "payload": json.dumps(record),
    }
    table = pa.Table.from_pylist([row], schema=RAW_ORDERS.table.arrow_schema)
    found = held_back_sales(table.to_pandas(types_mapper=pd.ArrowDtype), shop)
    return {(one.event_date, one.is_given_back): one for one in found}


def amounts(one: HeldBack) -> dict[str, str | None]:
    return {
        name: None if value is None else str(value.normalize()) if value != value.to_integral() else str(int(value))
        for name, value in one.amounts.items()
        if value is None or value
    }


@pytest.mark.parametrize("changes", [{"is_test": True}, {"total": "29.06"}, {"discount_total": "7.00"}])
def test_an_order_that_only_a_rule_or_a_sum_holds_back_comes_to_what_the_ledger_would_have(
    shop: Shop, changes: dict[str, object]
) -> None:
    found = held(shop, refunds=[REFUND], **changes)

    assert amounts(found[DAY, False]) == {**SOLD, "orders": "1", "units_sold": "2"}
    assert amounts(found[LATER, True]) == {
        "returns": "9.5",
        "units_returned": "1",
        "net_sales": "-9.5",
        "taxes": "-1.81",
        "total_sales": "-11.31",
    }


def test_one_whose_lines_cannot_be_read_comes_to_its_own_sums_and_units_are_not_known(shop: Shop) -> None:
    found = held(shop, **BROKEN)

    assert amounts(found[DAY, False]) == {**SOLD, "orders": "1", "units_sold": None, "free_units": None}
    assert found[DAY, False].currency == "EUR"


def test_its_refunds_and_its_cancellation_are_given_back_on_their_days(shop: Shop) -> None:
    found = held(shop, refunds=[REFUND], cancelled_at="2026-01-20T12:00:00Z", **BROKEN)

    given = amounts(found[LATER, True])
    assert {name: given[name] for name in ("returns", "net_sales", "taxes", "total_sales")} == {
        "returns": "19",
        "net_sales": "-19",
        "taxes": "-4.56",
        "total_sales": "-28.56",
    }
    assert found[DAY, False].is_cancelled


def test_what_cannot_be_read_is_unknown_and_not_zero(shop: Shop) -> None:
    sold = held(shop, total="a lot", currency="EURO", **BROKEN)[DAY, False]

    assert sold.currency is None
    assert {sold.amounts[name] for name in ("orders", "gross_sales", "net_sales", "total_sales")} == {None}
    assert sold.amounts["taxes"] == Decimal("4.56")


def test_with_prices_that_include_tax_a_discount_is_known_by_the_lines_alone(shop: Shop) -> None:
    sold = held(shop, prices_include_tax=True, **BROKEN)[DAY, False]

    assert (sold.amounts["gross_sales"], sold.amounts["discounts"]) == (None, None)
    assert sold.amounts["net_sales"] == Decimal("28.56") - Decimal("4.56") - Decimal("4.05")


def described(money: dict[str, object] | None = None, **orders: object) -> Shop:
    return Shop.model_validate(
        {**DEMO, "first_day": "2025-01-01", "money": money or {}, "orders": {**DEMO["orders"], **orders}}
    )


def test_amounts_of_an_order_that_cannot_be_cleaned_are_in_units_and_rounded_as_those_of_others() -> None:
    cents = {"discount_total": 100, "shipping": 500, "shipping_tax": 95, "tax_total": 456, "total": 2856}
    refund = REFUND | {"lines": [{"line_id": 1, "quantity": 1, "amount": 950, "tax": 181}]}
    found = held(described({"unit": "minor"}), **cents, **BROKEN, refunds=[refund])
    assert SOLD.items() <= amounts(found[DAY, False]).items()
    assert amounts(found[LATER, True])["total_sales"] == "-11.31"
    floats = held(described({"round_to": 2}), **BROKEN, total="28.5600001")
    assert SOLD.items() <= amounts(floats[DAY, False]).items()
    unknown = held(described({"unit": "minor"}), **cents, **BROKEN, currency="XAU", refunds=[refund])
    assert {*amounts(unknown[DAY, False]).values(), *amounts(unknown[LATER, True]).values()} == {None}


def test_which_amounts_contain_tax_is_obeyed_where_an_order_cannot_be_cleaned() -> None:
    inclusive = described(includes_tax={"shipping": True, "refunds.lines": True})
    refund = REFUND | {"lines": [{"line_id": 1, "quantity": 1, "amount": "11.31", "tax": "1.81"}]}
    found = held(inclusive, **BROKEN, shipping="5.95", refunds=[refund])
    assert SOLD.items() <= amounts(found[DAY, False]).items()
    assert amounts(found[LATER, True])["returns"] == "9.5"


def test_a_held_back_order_is_cancelled_by_the_rule_of_the_description() -> None:
    found = held(described(cancelled_when="state == 'void'"), **BROKEN, state="void")
    assert found[DAY, False].is_cancelled
    assert amounts(found[DAY, True])["total_sales"] == "-28.56"


def test_charges_that_an_order_or_refund_may_have_make_figures_unknown_and_not_wrong() -> None:
    charged = described(
        charges=[{"kind": "gift_card_redeemed", "amount": "card"}],
        refunds=DEMO["orders"]["refunds"] | {"charges": [{"kind": "gift_card_redeemed", "amount": "card"}]},
    )
    found = held(charged, **BROKEN, card="10.00", total="18.56", refunds=[REFUND | {"card": "1.00"}])
    assert amounts(found[DAY, False])["total_sales"] is None
    assert amounts(found[LATER, True])["total_sales"] is None
