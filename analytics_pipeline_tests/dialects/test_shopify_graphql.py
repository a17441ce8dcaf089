"""The shop answers as Shopify's GraphQL Admin API does, with the demo shop's orders as Shopify keeps them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from analytics_pipeline.demo_shop.model import ZERO
from analytics_pipeline_tests.dialects.base import Serving
from analytics_pipeline_tests.dialects.numbers import iso
from analytics_pipeline_tests.dialects.playing import (
    DAYS,
    NOW,
    SETTINGS,
    midnights,
    numbers_between,
    numbers_of,
    serving,
)
from analytics_pipeline_tests.dialects.shopify import TOKEN
from analytics_pipeline_tests.dialects.shopify_graphql import BUCKET, MOST, PATH, ShopifyGraphQL

Shop = Serving[ShopifyGraphQL]
ORDERS = """
query ($cursor: String, $filter: String, $size: Int = 15) {
  orders(first: $size, after: $cursor, query: $filter, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor }
    edges { node {
      legacyResourceId createdAt cancelledAt updatedAt id
      totalPriceSet { shopMoney { amount } } totalTaxSet { shopMoney { amount } }
      totalDiscountsSet { shopMoney { amount } } totalShippingPriceSet { shopMoney { amount } }
      lineItems(first: 2) {
        pageInfo { hasNextPage endCursor }
        nodes { ...on LineItem { id quantity originalTotalSet { shopMoney { amount } } } }
      }
      refunds(first: 5) { id refundLineItems(first: 3) { nodes { quantity lineItem { id } } } }
    } }
  }
}
"""
REST_OF_LINES = """
query ($id: ID!, $cursor: String) { order(id: $id) { lineItems(first: 2, after: $cursor) {
  pageInfo { hasNextPage endCursor } nodes { id quantity originalTotalSet { shopMoney { amount } } } } } }
"""
COUNT = "query ($filter: String) { ordersCount(query: $filter, limit: null) { count } }"
METRICS = ("orders", "gross_sales", "discounts", "returns", "net_sales", "shipping_charges", "taxes", "total_sales")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with serving(ShopifyGraphQL) as running:
        yield running


def ask(shop: Shop, query: str, **variables: object) -> dict[str, Any]:
    headers = {"X-Shopify-Access-Token": TOKEN}
    answer = requests.post(
        f"{shop.url}{PATH}", json={"query": query, "variables": variables}, headers=headers, timeout=5
    )
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def orders(shop: Shop, **variables: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: object = None
    while True:
        page = ask(shop, ORDERS, cursor=cursor, **variables)["data"]["orders"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        cursor = page["pageInfo"]["endCursor"]


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return sorted(int(one["legacyResourceId"]) for one in found)


def all_lines(shop: Shop, one: dict[str, Any]) -> list[dict[str, Any]]:
    page, found = one["lineItems"], [*one["lineItems"]["nodes"]]
    while page["pageInfo"]["hasNextPage"]:
        page = ask(shop, REST_OF_LINES, id=one["id"], cursor=page["pageInfo"]["endCursor"])["data"]["order"][
            "lineItems"
        ]
        found += page["nodes"]
    return found


def amount(bag: dict[str, Any]) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"])


def test_cursors_lead_to_the_end_and_the_count_is_a_query_of_its_own(shop: Shop) -> None:
    found = orders(shop)
    assert numbers(found) == numbers_of(shop.dialect)
    assert [one["updatedAt"] for one in found] == sorted(one["updatedAt"] for one in found)
    assert ask(shop, COUNT)["data"]["ordersCount"]["count"] == len(found)


def test_a_filter_is_a_text_with_bounds(shop: Shop) -> None:
    start, end = midnights(DAYS[12], DAYS[14])
    window = f"created_at:>='{iso(start)}' AND created_at:<'{iso(end)}'"
    found = orders(shop, filter=window)
    assert numbers(found) == numbers_between(shop.dialect, DAYS[12], DAYS[14])
    assert ask(shop, COUNT, filter=window)["data"]["ordersCount"]["count"] == len(found)
    assert numbers(orders(shop, filter=f"(created_at:>={iso(start)}) AND created_at:<{iso(end)}")) == numbers(found)
    since = NOW - timedelta(days=5)
    changed = orders(shop, filter=f"updated_at:>='{iso(since)}'")
    assert len(changed) == len(shop.dialect.shop.orders_updated_since(since))


def test_nested_connections_go_on_at_their_own_cursors_and_hold_line_totals(shop: Shop) -> None:
    longer = 0
    for one in orders(shop):
        lines = all_lines(shop, one)
        longer += len(lines) > 2
        goods = sum((amount(line["originalTotalSet"]) for line in lines), ZERO)
        rest = amount(one["totalShippingPriceSet"]) + amount(one["totalTaxSet"]) - amount(one["totalDiscountsSet"])
        assert goods + rest == amount(one["totalPriceSet"])
    assert longer > 10


def test_what_fails_is_told_with_http_200(shop: Shop) -> None:
    assert "nothing" in ask(shop, "{ orders(first: 1) { nodes { nothing } } }")["errors"][0]["message"]
    assert ask(shop, "{ orders { nodes { id } } }")["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    dear = "{ orders(first: 250) { nodes { id lineItems(first: 50) { nodes { id } } } } }"
    assert ask(shop, dear)["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    url = f"{shop.url}{PATH}"
    assert (
        requests.post(url, json={"query": ORDERS}, headers={"X-Shopify-Access-Token": "no"}, timeout=5).status_code
        == 401
    )


def test_a_spent_budget_throttles_until_it_is_restored() -> None:
    query = f"{{ orders(first: {MOST}) {{ nodes {{ id lineItems(first: 3) {{ nodes {{ id }} }} }} }} }}"
    with serving(ShopifyGraphQL) as shop:
        shop.dialect.restore_rate, shop.dialect.available = 0.0, float(BUCKET)
        costs = [ask(shop, query)["extensions"]["cost"] for _ in range(2)]
        assert [one["throttleStatus"]["currentlyAvailable"] for one in costs] == [1_250, 500]
        refused = ask(shop, query)
        assert (refused["data"], refused["errors"][0]["extensions"]["code"]) == (None, "THROTTLED")
        assert refused["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 500
        shop.dialect.restore_rate = 1e6
        assert "errors" not in ask(shop, query)


BULK = """
mutation ($inner: String!) { bulkOperationRunQuery(query: $inner) {
  bulkOperation { id status } userErrors { field message } } }
"""
INNER = """
{ orders(query: "created_at:<'%s'") { edges { node { id createdAt lineItems { edges { node { id quantity } } } } } } }
"""
POLL = "query ($id: ID!) { node(id: $id) { ... on BulkOperation { status errorCode objectCount url partialDataUrl } } }"


def start_bulk(shop: Shop, inner: str = INNER % iso(NOW)) -> dict[str, Any]:
    started: dict[str, Any] = ask(shop, BULK, inner=inner)["data"]["bulkOperationRunQuery"]
    return started


def poll(shop: Shop, number: str) -> dict[str, Any]:
    polled: dict[str, Any] = ask(shop, POLL, id=number)["data"]["node"]
    return polled


def lines_at(url: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in requests.get(url, timeout=5).text.splitlines()]


def test_a_bulk_operation_runs_alone_and_writes_a_line_for_each_record() -> None:
    with serving(ShopifyGraphQL) as shop:
        number = start_bulk(shop)["bulkOperation"]["id"]
        assert "already in progress" in start_bulk(shop)["userErrors"][0]["message"]
        assert (poll(shop, number)["status"], poll(shop, number)["status"]) == ("RUNNING", "COMPLETED")
        done = poll(shop, number)
        lines = lines_at(done["url"])
        assert str(len(lines)) == done["objectCount"]
        parents = [one["id"] for one in lines if "__parentId" not in one]
        assert sorted(int(one.rpartition("/")[2]) for one in parents) == numbers_of(shop.dialect)
        children = [one["__parentId"] for one in lines if "__parentId" in one]
        assert {*children} == {*parents}
        assert len(children) == sum(len(one.lines) for one in shop.dialect.orders())


def test_a_failed_bulk_operation_leaves_half_a_file_and_lists_hold_no_connections() -> None:
    with serving(ShopifyGraphQL) as shop:
        shop.dialect.bulk_polls, shop.dialect.bulk_fails = 0, True
        failed = poll(shop, start_bulk(shop)["bulkOperation"]["id"])
        assert (failed["status"], failed["errorCode"], failed["url"]) == ("FAILED", "INTERNAL_SERVER_ERROR", None)
        assert len(lines_at(failed["partialDataUrl"])) == int(failed["objectCount"])
        in_a_list = "{ orders { edges { node { id refunds { refundLineItems { edges { node { quantity } } } } } } } }"
        assert "within a list" in start_bulk(shop, in_a_list)["userErrors"][0]["message"]


def report(shop: Shop, first: date, last: date) -> dict[date, dict[str, Decimal]]:
    query = f"FROM sales SHOW {', '.join(METRICS)} TIMESERIES day SINCE {first} UNTIL {last}"
    document = "query ($q: String!) { shopifyqlQuery(query: $q) { tableData { columns { name } rows } parseErrors } }"
    answer = ask(shop, document, q=query)["data"]["shopifyqlQuery"]
    assert answer["parseErrors"] == []
    return {
        date.fromisoformat(row["day"]): {name: Decimal(row[name]) for name in METRICS}
        for row in answer["tableData"]["rows"]
    }


def differences(shop: Shop) -> set[date]:
    """The days of which the report says something else than the truth."""
    found = set()
    for day, said in report(shop, DAYS[0], DAYS[-1]).items():
        right = shop.dialect.truth(day)
        figures = (right.gross_sales, right.discounts, right.returns, right.net_sales, right.shipping, right.taxes)
        assert figures[0] is not None
        signed = (
            said["gross_sales"],
            -said["discounts"],
            -said["returns"],
            said["net_sales"],
            said["shipping_charges"],
        )
        if (*signed, said["taxes"]) != figures or said["orders"] != right.orders:
            found.add(day)
    return found


def test_the_report_is_the_truth_but_for_what_edits_added(shop: Shop) -> None:
    with serving(ShopifyGraphQL, settings=replace(SETTINGS, edit_share=0.0)) as without_edits:
        assert differences(without_edits) == set()
    assert 0 < len(differences(shop)) < len(DAYS) / 2
    together = report(shop, DAYS[0], DAYS[-1] + timedelta(days=1)).values()
    days = [*DAYS, DAYS[-1] + timedelta(days=1)]
    total = sum((shop.dialect.shop.truth(day).revenue["EUR"].total_sales for day in days), ZERO)
    assert sum((one["total_sales"] for one in together), ZERO) == total


def test_a_report_that_cannot_be_read_says_so(shop: Shop) -> None:
    document = "query ($q: String!) { shopifyqlQuery(query: $q) { tableData { rows } parseErrors } }"
    for query in ("FROM sales", "FROM sales SHOW nothing TIMESERIES day SINCE 2025-04-01 UNTIL 2025-04-02"):
        answer = ask(shop, document, q=query)["data"]["shopifyqlQuery"]
        assert answer["tableData"] is None
        assert answer["parseErrors"]
