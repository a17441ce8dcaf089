"""What a packaged description makes of a dialect's answers, in process: asked for, cleaned, and summed by day."""

import os
import time
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics_pipeline.cli.children import ask_for_children
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline_tests.dialects.base import Figures

ZERO = Decimal(0)
_MONEY = (
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "shipping",
    "charges",
    "outside_sales",
    "taxes",
    "total_sales",
)


def cleaned(name: str, environment: Mapping[str, str], first: date, last: date) -> CleanOrders:
    """The clean orders of some business days, read from a running dialect by the packaged description of a name.

    Args:
        name: The description.
        environment: The address and the secrets that it refers to.
        first: First business day.
        last: Last one.
    """
    with client_of(name, environment) as client:
        extraction = extract_orders(client, first, last)
        table = pa.Table.from_batches(list(extraction), schema=extraction.schema)
        raw: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        assert extraction.source_count is None or extraction.agrees
        return clean_orders(raw, client.shop, children=ask_for_children(client, raw, first, last))


def client_of(name: str, environment: Mapping[str, str]) -> ShopClient:
    """A client whose waits pass at once."""
    waited = [0.0]

    def wait(seconds: float) -> None:
        waited[0] += seconds

    known = {**os.environ, **environment}
    return ShopClient(load_shop(name), environment=known, sleep=wait, clock=lambda: time.monotonic() + waited[0])


def figures_by_day(clean: CleanOrders) -> dict[date, dict[str, Any]]:
    """The ledger summed by business day of its events, in the words of `Figures`."""
    days: dict[date, dict[str, Any]] = {}
    for event in clean.sales.to_dict("records"):
        sums = days.setdefault(event["event_date"], {"orders": set(), "units_sold": 0, "units_returned": 0})
        for column in (
            "gross_sales",
            "discounts",
            "returns",
            "net_sales",
            "shipping",
            "charges",
            "outside_sales",
            "taxes",
        ):
            sums[column] = sums.get(column, ZERO) + event.get(column, ZERO)
        sums["total_sales"] = sums.get("total_sales", ZERO) + event["total_sales"]
        if event["gross_sales"] > 0 and event["quantity"] > 0:
            sums["orders"].add(event["order_id"])
            sums["units_sold"] += event["quantity"]
        sums["units_returned"] -= min(event["quantity"], 0)
    return {day: {**sums, "orders": len(sums["orders"])} for day, sums in days.items()}


def differences(found: Mapping[str, Any], right: Figures) -> dict[str, tuple[object, object]]:
    """What was found and what is right, by figure, where they differ; what the dialect cannot express is left out."""
    expected = {name: value for name, value in vars(right).items() if value is not None}
    return {name: (found.get(name, 0), value) for name, value in expected.items() if found.get(name, 0) != value}
