"""The steps of docs/shops.md: pasted one under the other they are a description that is right for the answer shown."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline_tests.unit.test_readme import DOCS, blocks_of

DAY = date(2026, 11, 22)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    path = tmp_path / "garden.yaml"
    path.write_text("\n".join(blocks_of(DOCS / "shops.md", "yml")), encoding="utf-8")
    return load_shop(path)


def cleaned(shop: Shop, **changes: object) -> CleanOrders:
    """Clean the order of the answer that the page shows, with changed fields."""
    answer = json.loads(blocks_of(DOCS / "shops.md", "json")[0])
    payload = json.dumps(answer["sales"][0] | changes)
    row = {"order_id": "5001", "order_date": DAY, "extracted_at": datetime(2026, 11, 26, tzinfo=UTC)}
    rows = pa.Table.from_pylist([{**row, "payload": payload}], schema=RAW_ORDERS.table.arrow_schema)
    raw: pd.DataFrame = rows.to_pandas(types_mapper=pd.ArrowDtype)
    return clean_orders(raw, shop)


def test_the_order_of_the_answer_is_clean_and_its_amounts_are_those_of_the_answer(shop: Shop) -> None:
    found = cleaned(shop)
    assert len(found.quarantine) == 0
    order = found.orders.iloc[0]
    names = ("gross_sales", "discounts", "shipping", "charges", "taxes", "order_total", "refunded_total")
    wanted = ("29.70", "2.70", "4.90", "1.00", "6.06", "38.96", "10.71")
    assert [order[name] for name in names] == list(map(Decimal, wanted))
    assert (order["channel"], order["country"], order["units"]) == ("web", "DE", 3)
    returned = found.sales[found.sales["event_type"] == "line_returned"].iloc[0]
    assert (returned["event_date"], returned["returns"], returned["quantity"]) == (
        date(2026, 11, 25),
        Decimal("9.00"),
        -1,
    )


def test_an_order_that_does_not_add_up_is_quarantined_and_a_test_order_is_left_out(shop: Shop) -> None:
    assert cleaned(shop, to_pay=3895).quarantine["reason"].tolist() == ["does not equal the sum of its parts"]
    assert cleaned(shop, sandbox=True).exclusions["reason"].tolist() == ["test_order"]


def test_a_void_order_is_reversed_on_the_day_on_which_it_was_first_seen_void(shop: Shop) -> None:
    sales = cleaned(shop, state="void", credits=[]).sales
    reversed_ = sales[sales["is_cancellation"]]
    assert set(reversed_["event_date"]) == {date(2026, 11, 25)}  # of its change stamp
    assert sales["total_sales"].sum() == 0
