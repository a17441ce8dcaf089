"""Orders of each dialect with hostile values in random places: right rows or quarantined ones, no crash and no loss.

The records are those that the packaged descriptions read; hypothesis draws which place of which one holds what, always
the same ones.
"""

import copy
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_pipeline.cli.children import ask_for_children
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.tables import contracts
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.promises import violations
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline.transforms.related import Children, Order
from analytics_pipeline_tests.dialects.cleaning import client_of
from analytics_pipeline_tests.dialects.playing import DAYS, serving
from analytics_pipeline_tests.dialects.test_descriptions import NAMES

EXAMPLES, ORDERS = 12, 10
GONE = object()
HOSTILE = [
    *(
        GONE,
        None,
        True,
        False,
        "",
        " ",
        "abc",
        "NaN",
        "-1",
        -1,
        0,
        "0.00",
        10**30,
        "1e5",
        "9" * 40,
        "1.000001",
        "-0.004",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        [{}],
        ["x"],
        {"x": 1},
        [1, 2],
        "2025-13-45T00:00:00Z",
        "0000-00-00",
        99999999999,
        "EUR",
        "xx",
    ),
]
EXTRACTED_AT = datetime(2025, 4, 13, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """What a dialect sent of some orders: the description, each order, and the records that belong to it by list."""

    shop: Shop
    orders: list[tuple[str, date, Any]]
    children: dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module", params=NAMES)
def sent(request: pytest.FixtureRequest) -> Sent:
    name = request.param
    played = NAMES[name]
    with serving(played.kind, with_charges=True) as running, client_of(name, played.environment(running.url)) as client:
        extraction = extract_orders(client, DAYS[0], DAYS[-1])
        table = pa.Table.from_batches(list(extraction), schema=extraction.schema)
        raw: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        found = ask_for_children(client, raw, DAYS[0], DAYS[-1])
        rows = list(zip(raw["order_id"], raw["order_date"], raw["payload"], strict=True))
        lists = {
            one: {order_id: list(found.of(one, (order_id, day))) for order_id, day, _ in rows}
            for one in client.shop.orders.joined
        }
        return Sent(client.shop, [(order_id, day, json.loads(payload)) for order_id, day, payload in rows], lists)


def places_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401 - JSON
    """Return all places of a record but the record itself."""
    below = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for step, part in below for place in ((*path, step), *places_of(part, (*path, step)))]


def damaged(record: Any, path: tuple[str | int, ...], value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a record with another value at a place, or without it."""
    changed = copy.deepcopy(record)
    around = changed
    for step in path[:-1]:
        around = around[step]
    if value is GONE:
        del around[path[-1]]
    else:
        around[path[-1]] = value
    return changed


def cleaned(sent: Sent, drawn: list[tuple[int, int, int]]) -> CleanOrders:
    """Clean one order as it is, and some of which the order or a record that belongs to it is damaged in one place."""
    rows = []
    children: dict[str, dict[Order, list[str]]] = {name: {} for name in sent.children}
    for number, (which, where, what) in enumerate([(0, 0, -1), *drawn]):
        order_id, day, document = sent.orders[which % len(sent.orders)]
        key = f"{order_id}-{number}"
        belongs = {
            name: [json.loads(text) for text in found.get(order_id, [])] for name, found in sent.children.items()
        }
        whole = {"order": document, **belongs}
        places = [place for place in places_of(whole) if len(place) > 1]
        if what >= 0:
            whole = damaged(whole, places[where % len(places)], HOSTILE[what % len(HOSTILE)])
        for name in belongs:
            children[name][key, day] = [json.dumps(one) for one in whole[name]]
        payload = json.dumps(whole["order"])
        rows.append({"order_id": key, "order_date": day, "extracted_at": EXTRACTED_AT, "payload": payload})
    raw = pa.Table.from_pylist(rows, schema=RAW_ORDERS.table.arrow_schema)
    return clean_orders(raw.to_pandas(types_mapper=pd.ArrowDtype), sent.shop, children=Children(children))


def test_hostile_orders_are_right_or_in_quarantine_and_nothing_is_lost(sent: Sent) -> None:
    numbers = st.integers(0, 10**6)
    draws = st.lists(st.tuples(numbers, numbers, numbers), min_size=ORDERS, max_size=ORDERS)
    fates: set[str] = set()

    def is_whole(drawn: list[tuple[int, int, int]]) -> None:
        found = cleaned(sent, drawn)
        orders = found.quarantine[found.quarantine["kind"] == "order"]
        fates.update({"clean"} if len(found.orders) > 1 else (), {"quarantine"} if len(orders) else ())
        assert found.accounting.raw_orders == len(drawn) + 1
        assert len(found.orders) + len(orders) + len(found.exclusions) == len(drawn) + 1
        assert found.accounting.unexplained_orders == found.accounting.unexplained_difference == 0
        for contract, rows in (
            (contracts.CLEAN_ORDERS, found.orders),
            (contracts.CLEAN_ORDER_LINES, found.order_lines),
            (contracts.CLEAN_SALES, found.sales),
            (contracts.QUARANTINE, found.quarantine),
        ):
            assert violations(contract, rows) == []
        events = found.sales.assign(money=found.sales["total_sales"] + found.sales["outside_sales"])
        by_order = events.groupby("order_id")["money"].sum().to_dict()
        for order in found.orders.to_dict("records"):
            kept = order["order_total"] - order["refunded_total"]
            assert by_order.get(order["order_id"], Decimal(0)) == kept, order["order_id"]

    drawn_alike = settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    drawn_alike(given(draws)(is_whole))()
    assert fates == {"clean", "quarantine"}


def test_the_records_that_are_damaged_are_clean_as_they_are(sent: Sent) -> None:
    found = cleaned(sent, [(number, 0, -1) for number in range(1, len(sent.orders))])
    assert found.quarantine.to_dict("records") == []
