"""The store answers as BigCommerce does, with the demo shop's orders and figures."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest
import requests

from analytics_pipeline.demo_shop.model import ZERO
from analytics_pipeline_tests.dialects.base import Serving, moment_of
from analytics_pipeline_tests.dialects.bigcommerce import STORE, TOKEN, BigCommerce
from analytics_pipeline_tests.dialects.numbers import order_id
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, midnights, numbers_between, numbers_of, serving

Store = Serving[BigCommerce]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serving(BigCommerce) as running:
        yield running


def ask(store: Store, path: str, **params: str | int) -> requests.Response:
    headers = {"X-Auth-Token": TOKEN}
    return requests.get(f"{store.url}/stores/{STORE}/{path}", params=params, headers=headers, timeout=5)


def orders(store: Store, **params: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = ask(store, "v2/orders", **{"limit": 40, "include": "consignments.line_items", **params}, page=page)
        if answer.status_code == 204:
            assert answer.content == b""
            return found
        found += answer.json()
        page += 1


def lines_of(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [line for part in one["consignments"] for sent in part["shipping"] for line in sent["line_items"]]


def refunds(store: Store, **params: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = ask(store, "v3/orders/payment_actions/refunds", limit=20, page=len(found) // 20 + 1, **params).json()
        found += answer["data"]
        if not answer["meta"]["pagination"]["links"]:
            assert len(found) == answer["meta"]["pagination"]["total"]
            return found


def test_pages_lead_to_a_204_and_the_answer_is_a_bare_list(store: Store) -> None:
    assert [one["id"] for one in orders(store)] == numbers_of(store.dialect)
    assert ask(store, "v2/orders", min_date_created=(NOW + timedelta(days=1)).isoformat()).status_code == 204
    assert len(ask(store, "v2/orders").json()) == 50


def test_stamps_and_bounds_are_in_rfc_2822_and_both_bounds_belong_to_the_window(store: Store) -> None:
    start, end = midnights(DAYS[12], DAYS[14])
    last = end - timedelta(seconds=1)
    window = {"min_date_created": format_datetime(start), "max_date_created": format_datetime(last)}
    found = orders(store, **window)
    assert [one["id"] for one in found] == numbers_between(store.dialect, DAYS[12], DAYS[14])
    ends = {"min_date_created": found[1]["date_created"], "max_date_created": found[3]["date_created"]}
    assert [one["id"] for one in orders(store, **ends)] == [one["id"] for one in found[1:4]]
    iso_window = {"min_date_created": start.isoformat(), "max_date_created": last.isoformat()}
    assert orders(store, **iso_window) == found


def test_changed_orders_are_found_by_their_stamp(store: Store) -> None:
    since = NOW - timedelta(days=5)
    right = [one.order_id for one in store.dialect.shop.orders_updated_since(since)]
    assert [order_id(one["id"]) for one in orders(store, min_date_modified=since.isoformat())] == right


def test_wrong_tokens_and_unknown_fields_are_refused(store: Store) -> None:
    url = f"{store.url}/stores/{STORE}/v2/orders"
    assert requests.get(url, headers={"X-Auth-Token": "no"}, timeout=5).status_code == 401
    assert "'updated_after'" in ask(store, "v2/orders", updated_after="x").json()[0]["message"]


def test_a_spent_budget_is_refused_and_says_in_milliseconds_when_it_is_new() -> None:
    with serving(BigCommerce) as store:
        store.dialect.requests_left = 1
        assert ask(store, "v2/orders/count").headers["X-Rate-Limit-Requests-Left"] == "0"
        refused = ask(store, "v2/orders/count")
        assert (refused.status_code, refused.headers["X-Rate-Limit-Time-Reset-Ms"]) == (429, "1500")


def test_the_count_knows_no_window(store: Store) -> None:
    counted = ask(store, "v2/orders/count", min_date_created=NOW.isoformat()).json()
    assert counted["count"] == len(numbers_of(store.dialect))
    assert sum(one["count"] for one in counted["statuses"]) == counted["count"]


def test_lines_come_where_they_are_asked_for_and_an_order_adds_up(store: Store) -> None:
    assert "url" in ask(store, "v2/orders").json()[0]["consignments"]
    for one in orders(store):
        lines = lines_of(one)
        goods = sum((Decimal(line["total_ex_tax"]) for line in lines), ZERO)
        off = sum((Decimal(part["amount"]) for line in lines for part in line["applied_discounts"]), ZERO)
        assert goods == Decimal(one["subtotal_ex_tax"])
        assert off == Decimal(one["discount_amount"]) + Decimal(one["coupon_discount"])
        tax = sum((Decimal(line["total_tax"]) for line in lines), Decimal(one["shipping_cost_tax"]))
        assert tax == Decimal(one["total_tax"])
        assert goods - off + Decimal(one["shipping_cost_ex_tax"]) + tax == Decimal(one["total_inc_tax"])


def test_refunds_are_a_list_of_their_own_by_their_own_day(store: Store) -> None:
    everything = refunds(store)
    assert len(everything) == sum(len(one.refunds) for one in store.dialect.orders())
    start, end = midnights(DAYS[10], DAYS[20])
    window = {"created:min": start.isoformat(), "created:max": end.isoformat()}
    assert refunds(store, **window) == [one for one in everything if start <= moment_of(one["created"]) <= end]
    of_one = everything[0]["order_id"]
    assert {one["order_id"] for one in refunds(store, **{"order_id:in": of_one})} == {of_one}
    for one in everything:
        assert abs(sum(part["requested_amount"] for part in one["items"]) - one["total_amount"]) < 0.001


def test_total_sales_of_a_day_follow_from_orders_and_refunds(store: Store) -> None:
    sums = dict.fromkeys([*DAYS, NOW.date()], ZERO)
    back: dict[int, Decimal] = {}
    for one in refunds(store):
        amount = Decimal(str(one["total_amount"]))
        sums[store.dialect.day_of(moment_of(one["created"]))] -= amount
        back[one["order_id"]] = back.get(one["order_id"], ZERO) + amount
    for one in orders(store):
        if one["status"] == "Incomplete":
            continue
        created, changed = (parsedate_to_datetime(one[name]) for name in ("date_created", "date_modified"))
        sums[store.dialect.day_of(created)] += Decimal(one["total_inc_tax"])
        if one["status"] == "Cancelled":
            sums[store.dialect.day_of(changed)] -= Decimal(one["total_inc_tax"]) - back.get(one["id"], ZERO)
    for day in DAYS:
        assert sums[day] == store.dialect.truth(day).total_sales


def test_handling_is_in_the_total_and_in_the_truth() -> None:
    with serving(BigCommerce, with_charges=True) as store:
        charged = dict.fromkeys([*DAYS, NOW.date()], ZERO)
        for one in orders(store):
            parts = [Decimal(one[name]) for name in ("subtotal_ex_tax", "shipping_cost_ex_tax", "handling_cost_ex_tax")]
            off = Decimal(one["discount_amount"]) + Decimal(one["coupon_discount"])
            assert sum(parts, Decimal(one["total_tax"])) - off == Decimal(one["total_inc_tax"])
            handling = Decimal(one["handling_cost_ex_tax"])
            charged[store.dialect.day_of(parsedate_to_datetime(one["date_created"]))] += handling
            if one["status"] == "Cancelled":
                charged[store.dialect.day_of(parsedate_to_datetime(one["date_modified"]))] -= handling
        assert [store.dialect.truth(day).charges for day in DAYS] == [charged[day] for day in DAYS]
        assert any(charged.values())
