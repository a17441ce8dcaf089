"""The server answers as Vendure does, with the demo shop's orders and figures."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from analytics_pipeline_tests.dialects.base import Serving, moment_of
from analytics_pipeline_tests.dialects.numbers import iso, order_id
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, midnights, numbers_between, numbers_of, serving
from analytics_pipeline_tests.dialects.vendure import PASSWORD, TOKEN_HEADER, USER, Vendure

Server = Serving[Vendure]
LOG_IN = (
    'mutation { login(username: "%s", password: "%s") { ... on CurrentUser { id } ... on ErrorResult { errorCode } } }'
)
ORDERS = """
query Orders($skip: Int = 0, $take: Int = 40, $filter: OrderFilterParameter) {
  orders(options: {skip: $skip, take: $take, filter: $filter, sort: {id: ASC}}) {
    totalItems
    items {
      id state createdAt updatedAt totalWithTax subTotal shipping shippingWithTax
      lines { id quantity unitPrice linePrice lineTax proratedLinePrice discounts { amount } }
      surcharges { price priceWithTax }
      payments { refunds { id createdAt total items shipping adjustment lines { orderLineId quantity } } }
    }
  }
}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(Vendure) as running:
        yield running


def log_in(server: Server) -> str:
    answer = requests.post(f"{server.url}/admin-api", json={"query": LOG_IN % (USER, PASSWORD)}, timeout=5)
    return answer.headers[TOKEN_HEADER]


def ask(server: Server, query: str = ORDERS, token: str | None = None, **variables: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {token or log_in(server)}"}
    return requests.post(
        f"{server.url}/admin-api", json={"query": query, "variables": variables}, headers=headers, timeout=5
    )


def orders(server: Server, **filters: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = log_in(server)
    while True:
        page = ask(server, token=token, skip=len(found), filter=filters).json()["data"]["orders"]
        found += page["items"]
        if len(found) == page["totalItems"]:
            return found


def test_skip_and_take_lead_to_the_end(server: Server) -> None:
    assert [int(one["id"]) for one in orders(server)] == numbers_of(server.dialect)
    beyond = ask(server, skip=10_000).json()["data"]["orders"]
    assert (beyond["items"], beyond["totalItems"]) == ([], len(numbers_of(server.dialect)))


def test_errors_come_with_http_200(server: Server) -> None:
    answer = ask(server, token="none")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (200, "FORBIDDEN")
    answer = ask(server, take=1_001)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (200, "USER_INPUT_ERROR")
    answer = ask(server, "{ orders { items { nothing } } }")
    assert (answer.status_code, "nothing" in answer.json()["errors"][0]["message"]) == (400, True)


def test_a_log_in_gives_a_token_in_a_header_and_wrong_words_none(server: Server) -> None:
    answer = requests.post(f"{server.url}/admin-api", json={"query": LOG_IN % (USER, "no")}, timeout=5)
    assert answer.json()["data"]["login"]["errorCode"] == "INVALID_CREDENTIALS_ERROR"
    assert TOKEN_HEADER not in answer.headers
    assert log_in(server) in server.dialect.sessions


def test_a_query_may_be_asked_by_get(server: Server) -> None:
    headers = {"Authorization": f"Bearer {log_in(server)}"}
    params = {"query": "{ orders(options: {take: 1}) { totalItems } }"}
    answer = requests.get(f"{server.url}/admin-api", params=params, headers=headers, timeout=5)
    assert answer.json()["data"]["orders"]["totalItems"] == len(numbers_of(server.dialect))


def test_after_and_before_leave_out_their_bound_and_between_holds_both(server: Server) -> None:
    start, end = midnights(DAYS[12], DAYS[14])
    window = {"after": iso(start - timedelta(seconds=1)), "before": iso(end)}
    right = numbers_between(server.dialect, DAYS[12], DAYS[14])
    found = orders(server, orderPlacedAt=window)
    assert [int(one["id"]) for one in found] == right
    between = {"between": {"start": found[0]["createdAt"], "end": found[-1]["createdAt"]}}
    assert orders(server, orderPlacedAt=between) == found
    assert (
        orders(server, orderPlacedAt={"after": found[0]["createdAt"], "before": found[-1]["createdAt"]}) == found[1:-1]
    )
    since = NOW - timedelta(days=5)
    changed = [one.order_id for one in server.dialect.shop.orders_updated_since(since + timedelta(seconds=1))]
    assert [order_id(int(one["id"])) for one in orders(server, updatedAt={"after": iso(since)})] == changed


def test_an_order_adds_up_in_minor_units(server: Server) -> None:
    for one in orders(server):
        lines = one["lines"]
        off = sum(part["amount"] for line in lines for part in line["discounts"])
        assert sum(line["linePrice"] for line in lines) + off == one["subTotal"]
        assert all(line["unitPrice"] * line["quantity"] == line["linePrice"] for line in lines)
        taxes = sum(line["lineTax"] for line in lines)
        assert one["subTotal"] + taxes + one["shippingWithTax"] == one["totalWithTax"]


def test_total_sales_of_a_day_follow_from_orders_and_refunds(server: Server) -> None:
    sums = dict.fromkeys([*DAYS, NOW.date()], 0)

    def count(stamp: str, amount: int) -> None:
        sums[server.dialect.day_of(moment_of(stamp))] += amount

    for one in orders(server):
        if one["state"] == "Draft":
            continue
        count(one["createdAt"], one["totalWithTax"])
        back = [refund for paid in one["payments"] for refund in paid["refunds"]]
        for refund in back:
            assert refund["items"] + refund["shipping"] + refund["adjustment"] == refund["total"]
            count(refund["createdAt"], -refund["total"])
        if one["state"] == "Cancelled":
            count(one["updatedAt"], sum(refund["total"] for refund in back) - one["totalWithTax"])
    for day in DAYS:
        assert server.dialect.truth(day).total_sales * 100 == sums[day]  # type: ignore[operator]


def test_surcharges_are_in_the_total_and_in_the_truth() -> None:
    with serving(Vendure, with_charges=True) as server:
        charged = dict.fromkeys([*DAYS, NOW.date()], 0)
        for one in orders(server):
            lines = one["lines"]
            goods = sum(line["proratedLinePrice"] + line["lineTax"] for line in lines)
            extra = sum(part["priceWithTax"] for part in one["surcharges"])
            assert goods + extra + one["shippingWithTax"] == one["totalWithTax"]
            price = sum(part["price"] for part in one["surcharges"])
            charged[server.dialect.day_of(moment_of(one["createdAt"]))] += price
            if one["state"] == "Cancelled":
                charged[server.dialect.day_of(moment_of(one["updatedAt"]))] -= price
        assert [server.dialect.truth(day).charges * 100 for day in DAYS] == [charged[day] for day in DAYS]  # type: ignore[operator]
        assert any(charged.values())
