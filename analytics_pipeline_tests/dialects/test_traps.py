"""Traps of platforms that their test servers lay in no other test, against the packaged descriptions."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.lists import extract_changed_orders
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline_tests.dialects.cleaning import cleaned, client_of, differences, figures_by_day
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, serving
from analytics_pipeline_tests.dialects.stripe import Stripe
from analytics_pipeline_tests.dialects.test_descriptions import NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if load_shop(name).notices_changes])
def test_orders_that_a_bulk_edit_gave_one_stamp_all_come(name: str) -> None:
    played = NAMES[name]
    before = NOW - timedelta(seconds=1)
    with serving(played.kind) as running, client_of(name, played.environment(running.url)) as client:
        everything = [one.order_id for one in running.dialect.orders()]
        running.dialect.touched = dict.fromkeys(everything, NOW)
        found = [row["order_id"] for batch in extract_changed_orders(client, before) for row in batch.to_pylist()]
        assert len(set(found)) == len(everything)


def refunded(*adjustments: dict[str, str], lines: int = 0, shipping: str | None = None) -> CleanOrders:
    """A Shopify order of two pieces at 10.00 with 5.00 of shipping, and a refund, as its REST API writes them."""
    back = [{"line_item_id": 1, "quantity": lines, "subtotal": 10.0 * lines, "total_tax": 0.0}] if lines else []
    of_shipping = [{"subtotal_amount_set": {"shop_money": {"amount": shipping}}}] if shipping else []
    at = "2025-03-18T09:00:00+01:00"
    refund = {"id": 7, "created_at": at, "refund_line_items": back, "refund_shipping_lines": of_shipping}
    order = {
        "id": 5,
        "created_at": at,
        "updated_at": at,
        "total_tax": "0.00",
        "total_price": "25.00",
        "line_items": [{"id": 1, "product_id": 2, "quantity": 2, "price": "10.00"}],
        "shipping_lines": [{"discounted_price": "5.00"}],
        "refunds": [{**refund, "order_adjustments": list(adjustments)}],
    }
    return cleaned_by("shopify-rest", order)


def cleaned_by(name: str, order: dict[str, Any]) -> CleanOrders:
    """What a packaged description makes of an order of the second day."""
    row = {"order_id": str(order["id"]), "order_date": DAYS[1], "extracted_at": NOW, "payload": json.dumps(order)}
    raw = pa.Table.from_pylist([row], schema=RAW_ORDERS.table.arrow_schema)
    return clean_orders(raw.to_pandas(types_mapper=pd.ArrowDtype), load_shop(name))


DISCREPANCY = "refund_discrepancy"


@pytest.mark.parametrize(
    ("adjustments", "lines", "shipping", "given_back"),
    [
        ([{"kind": "shipping_refund", "amount": "-5.00"}], 1, "5.00", 15),
        ([{"kind": DISCREPANCY, "amount": "-3.00"}], 1, None, 13),
        ([{"kind": DISCREPANCY, "amount": "3.00"}], 1, None, 7),
        ([{"kind": DISCREPANCY, "amount": "5.00"}, {"kind": "shipping_refund", "amount": "-5.00"}], 0, "5.00", 0),
    ],
    ids=["shipping told twice", "more than the lines", "a fee for restocking", "not paid out yet"],
)
def test_adjustments_of_a_shopify_refund_count_once_whatever_their_sign(
    adjustments: list[dict[str, str]], lines: int, shipping: str | None, given_back: int
) -> None:
    clean = refunded(*adjustments, lines=lines, shipping=shipping)
    assert clean.quarantine.to_dict("records") == []
    assert [*clean.orders["refunded_total"]] == [given_back]
    assert sum(clean.sales["total_sales"]) == 25 - given_back


@pytest.mark.parametrize(
    ("currency", "amount", "right"),
    [("eur", 500, 5), ("jpy", 500, 500), ("isk", 500, 5), ("ugx", 500, 5), ("mga", 500, 500), ("kwd", 500, "0.5")],
)
def test_stripe_counts_three_currencies_otherwise_than_their_minor_units(
    currency: str, amount: int, right: object
) -> None:
    created = int(datetime.combine(DAYS[1], datetime.min.time()).timestamp()) + 40_000
    refund = {"id": "re_1", "created": created, "currency": currency, "amount": amount, "status": "succeeded"}
    charge = {"id": "ch_1", "created": created, "currency": currency, "amount": amount, "refunds": {"data": [refund]}}
    clean = cleaned_by("stripe", {**charge, "status": "succeeded"})
    assert clean.quarantine.to_dict("records") == []
    found = clean.orders.to_dict("records")[0]
    assert found["order_total"] == found["refunded_total"] == Decimal(str(right))


def test_refunds_of_stripe_that_a_charge_does_not_list_are_asked_for() -> None:
    with serving(Stripe) as running:
        running.dialect.shown_refunds = 1
        clean = cleaned("stripe", NAMES["stripe"].environment(running.url), DAYS[0], DAYS[-1])
        figures = figures_by_day(clean)
        assert [day for day in DAYS if differences(figures.get(day, {}), running.dialect.truth(day))] == []
        assert any(call.params.get("charge") for call in running.dialect.asked)
