"""Other charges from the shop to the published numbers: the demo shop's shipping, described as a charge of its own."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import serve
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline, describe
from analytics_pipeline_tests.integration.late import (
    LOADED,
    MORNING,
    OPENED,
    SMALL,
    Clock,
    assert_restated_exactly,
    catch_up,
    database_time,
    restated_since,
    revenue_numbers,
)
from analytics_pipeline_tests.unit.transforms.conftest import fields

Start = Callable[[str], Pipeline]


def described(counts_in: str) -> dict[str, Any]:
    """Keys of the orders that take shipping, and what refunds give back of it, for handling."""
    handling = {"kind": "handling", "amount": "shipping", "tax": "shipping_tax"}
    refunds = {
        "records": "refunds",
        "fields": {"refund_id": "id", "refunded_at": "created_at", "adjustment": "adjustment"},
        "lines": {"records": "lines", "fields": {name: name for name in ("line_id", "quantity", "amount", "tax")}},
        "charges": [handling],
    }
    charges = [handling | {"counts_in": counts_in}]
    return {"fields": fields(shipping=None, shipping_tax=None), "charges": charges, "refunds": refunds}


@pytest.fixture
def clock() -> Clock:
    """The shop's."""
    return Clock(MORNING)


@pytest.fixture
def start(database: Database, clock: Clock, tmp_path: Path) -> Iterator[Start]:
    """Load the shop's first two weeks, whose shipping is described as a charge that counts somewhere."""
    with serve(SMALL, now=clock) as shop, dg.DagsterInstance.ephemeral() as instance:

        def begin(counts_in: str) -> Pipeline:
            description = describe(shop, tmp_path, orders=described(counts_in), report={})  # which knows shipping
            pipeline = Pipeline(shop, description, build_definitions(str(description)), instance, database)
            summary = pipeline.run(OPENED, LOADED)
            assert summary.succeeded, summary.failures
            assert summary.warnings == []
            return pipeline

        yield begin


def truths(pipeline: Pipeline) -> dict[date, dict[str, Any]]:
    """What the shop knows to be right of each loaded day, with shipping."""
    found = {day: pipeline.shop.shop.truth(day).revenue["EUR"] for day in Days(OPENED, LOADED)}
    return {day: asdict(row) for day, row in found.items()}


COMPARED = ("orders", "units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales")


def revenue(pipeline: Pipeline) -> dict[date, dict[str, Any]]:
    """The stored rows, in the types of the truth."""
    rows = pipeline.rows("select * from marts.daily_revenue")
    whole = {"orders", "units_sold", "units_returned"}
    return {
        row["event_date"]: {  # type: ignore[misc]  # a date
            name: value if name in whole else Decimal(str(value))
            for name, value in row.items()
            if name not in {"event_date", "currency"} and value is not None
        }
        for row in rows
    }


def holds(pipeline: Pipeline) -> None:
    """Compare each day with the truth, in which the charge is shipping."""
    right, stored = truths(pipeline), revenue(pipeline)
    assert len(right) == len(stored)
    for day, row in stored.items():
        true = right[day]
        assert {name: row[name] for name in (*COMPARED, "taxes", "total_sales")} == {
            name: true[name] for name in (*COMPARED, "taxes", "total_sales")
        }
        assert (row["shipping"], row["charges"], row["fees"]) == (0, true["shipping"], true["shipping"])
        assert {row[name] for name in ("tips", "duties", "gift_cards_sold", "gift_cards_redeemed")} == {0}


def test_a_charge_is_right_to_the_cent_and_stays_so_when_orders_change(start: Start, clock: Clock) -> None:
    pipeline = start("total_sales")
    holds(pipeline)
    moment, before = database_time(pipeline), revenue_numbers(pipeline)

    clock.now = MORNING + timedelta(days=6)
    assert catch_up(pipeline).days

    holds(pipeline)
    restated = restated_since(pipeline, moment)
    assert_restated_exactly(before, revenue_numbers(pipeline), restated)
    assert {"charges", "fees"} <= {row["metric"] for row in restated}
    assert pipeline.rows("select sum(unexplained_difference)::text as sum from marts.daily_reconciliation") == [
        {"sum": "0.0000"}
    ]


def test_a_charge_in_net_sales_adds_up_with_orders_lines_and_products(start: Start) -> None:
    pipeline = start("net_sales")
    right, stored = truths(pipeline), revenue(pipeline)
    for day, row in stored.items():
        assert (row["total_sales"], row["taxes"]) == (right[day]["total_sales"], right[day]["taxes"])
        assert row["net_sales"] == right[day]["net_sales"] + right[day]["shipping"]
        assert (row["shipping"], row["charges"]) == (0, 0)
    assert pipeline.rows("select count(*) from clean.sales where event_type = 'handling_refunded' and returns > 0") != [
        {"count": 0}
    ]
    money = "select sum(gross_sales)::text as money from"
    nobody = pipeline.rows(f"{money} marts.daily_product_sales where product_id = '(none)'")
    charged = pipeline.rows(f"{money} clean.sales where event_type = 'handling_charged'")
    assert nobody == charged != [{"money": None}]
