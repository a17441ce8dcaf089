"""The store answers as WooCommerce does, with the demo shop's orders and figures."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from analytics_pipeline.demo_shop.model import ZERO
from analytics_pipeline_tests.dialects.base import Serving
from analytics_pipeline_tests.dialects.numbers import order_id
from analytics_pipeline_tests.dialects.playing import (
    DAYS,
    NOW,
    SETTINGS,
    midnights,
    numbers_between,
    numbers_of,
    serving,
)
from analytics_pipeline_tests.dialects.woocommerce import KEY, SECRET, WooCommerce

Store = Serving[WooCommerce]
CLOCK_CHANGE = date(2025, 3, 30)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serving(WooCommerce) as running:
        yield running


def ask(store: Store, path: str, **params: str | int) -> requests.Response:
    return requests.get(f"{store.url}/wp-json/{path}", params=params, auth=(KEY, SECRET), timeout=5)


def all_of(store: Store, path: str, **params: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = ask(store, path, per_page=25, page=page, orderby="id", order="asc", **params)
        found += answer.json()
        if page >= int(answer.headers["X-WP-TotalPages"]):
            assert len(found) == int(answer.headers["X-WP-Total"])
            return found
        page += 1


def naive(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def test_paging_to_the_end_gives_the_orders_once(store: Store) -> None:
    assert [one["id"] for one in all_of(store, "wc/v3/orders")] == numbers_of(store.dialect)
    assert ask(store, "wc/v3/orders", page=1_000).json() == []
    assert len(ask(store, "wc/v3/orders").json()) == 10


def test_wrong_keys_and_sizes_are_refused(store: Store) -> None:
    answer = requests.get(f"{store.url}/wp-json/wc/v3/orders", auth=(KEY, "wrong"), timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (401, "woocommerce_rest_cannot_view")
    answer = ask(store, "wc/v3/orders", per_page=101)
    assert (answer.status_code, answer.json()["code"]) == (400, "rest_invalid_param")


def test_a_window_in_gmt_without_offset_gives_the_days_and_leaves_out_both_bounds(store: Store) -> None:
    first, last = CLOCK_CHANGE, CLOCK_CHANGE + timedelta(days=1)
    start, end = midnights(first, last)
    window = {"after": naive(start - timedelta(seconds=1)), "before": naive(end), "dates_are_gmt": "true"}
    found = all_of(store, "wc/v3/orders", **window)
    assert [one["id"] for one in found] == numbers_between(store.dialect, first, last)
    at = found[3]["date_created_gmt"]
    later = all_of(store, "wc/v3/orders", after=at, dates_are_gmt="true")
    assert found[3]["id"] not in [one["id"] for one in later]
    assert found[4]["id"] in [one["id"] for one in later]


def test_a_window_is_read_on_the_sites_own_clock_unless_said_otherwise(store: Store) -> None:
    start, end = midnights(DAYS[20], DAYS[20])
    right = numbers_between(store.dialect, DAYS[20], DAYS[20])
    gmt = {"after": naive(start - timedelta(seconds=1)), "before": naive(end)}
    assert [one["id"] for one in all_of(store, "wc/v3/orders", **gmt)] != right
    local = {"after": f"{DAYS[20] - timedelta(days=1)}T23:59:59", "before": f"{DAYS[21]}T00:00:00"}
    assert [one["id"] for one in all_of(store, "wc/v3/orders", **local)] == right


def test_a_bound_with_an_offset_is_turned_into_the_sites_clock_even_where_dates_are_gmt(store: Store) -> None:
    start, end = midnights(DAYS[20], DAYS[20])
    window = {"after": naive(start - timedelta(seconds=1)) + "Z", "before": naive(end) + "Z"}
    right = numbers_between(store.dialect, DAYS[20], DAYS[20])
    assert [one["id"] for one in all_of(store, "wc/v3/orders", **window)] == right
    assert [one["id"] for one in all_of(store, "wc/v3/orders", **window, dates_are_gmt="true")] != right


def test_changed_orders_are_those_modified_after_a_stamp(store: Store) -> None:
    since = NOW - timedelta(days=5)
    found = all_of(store, "wc/v3/orders", modified_after=naive(since), dates_are_gmt="true")
    right = [one.order_id for one in store.dialect.shop.orders_updated_since(since + timedelta(seconds=1))]
    assert [order_id(one["id"]) for one in found] == right
    assert right


def test_guests_have_the_customer_zero_and_customers_no_filter_by_date(store: Store) -> None:
    orders = {order_id(one["id"]): one for one in all_of(store, "wc/v3/orders")}
    guests = [one for one in store.dialect.shop.orders_between() if one.customer_id is None]
    assert guests
    assert {orders[one.order_id]["customer_id"] for one in guests} == {0}
    everybody = all_of(store, "wc/v3/customers")
    assert all_of(store, "wc/v3/customers", after=naive(NOW)) == everybody
    assert len(everybody) == len(store.dialect.shop.customers())


def test_an_order_adds_up_from_line_totals_and_not_from_prices(store: Store) -> None:
    has_lossy_price = False
    for one in all_of(store, "wc/v3/orders", dp=4):
        lines, shipping = one["line_items"], one["shipping_lines"]
        parts = [Decimal(part["total"]) for part in [*lines, *shipping, *one["fee_lines"]]]
        assert sum(parts, ZERO) + Decimal(one["total_tax"]) == Decimal(one["total"])
        coupons = sum((Decimal(line["subtotal"]) - Decimal(line["total"]) for line in lines), ZERO)
        assert coupons == Decimal(one["discount_total"])
        has_lossy_price |= any(Decimal(line["price"]) * line["quantity"] != Decimal(line["total"]) for line in lines)
    assert has_lossy_price


def test_an_order_names_its_refunds_and_the_lists_of_refunds_tell_their_days_and_lines(store: Store) -> None:
    orders = {one["id"]: one for one in all_of(store, "wc/v3/orders", dp=4)}
    refunds = all_of(store, "wc/v3/refunds", dp=4)
    named = sorted((one["id"], -Decimal(one["total"])) for order in orders.values() for one in order["refunds"])
    assert sorted((one["id"], Decimal(one["amount"])) for one in refunds) == named
    for refund in refunds:
        of_order = ask(store, f"wc/v3/orders/{refund['parent_id']}/refunds", dp=4).json()
        assert refund["id"] in [one["id"] for one in of_order]
        lines = {line["id"] for line in orders[refund["parent_id"]]["line_items"]}
        back = [meta["value"] for line in refund["line_items"] for meta in line["meta_data"]]
        assert set(map(int, back)) <= lines
    start, end = midnights(DAYS[10], DAYS[20])
    window = {"after": naive(start - timedelta(seconds=1)), "before": naive(end), "dates_are_gmt": "true"}
    of_days = [one["id"] for one in all_of(store, "wc/v3/refunds", **window)]
    assert of_days == [one["id"] for one in refunds if naive(start) <= one["date_created_gmt"] < naive(end)]
    assert ask(store, "wc/v3/orders/1/refunds").status_code == 404


def test_cancelled_is_a_status_and_test_orders_are_failed_payments(store: Store) -> None:
    orders = {order_id(one["id"]): one["status"] for one in all_of(store, "wc/v3/orders")}
    shop = store.dialect.shop.orders_between()
    assert {orders[one.order_id] for one in shop if one.cancelled_at} == {"cancelled"}
    assert {orders[one.order_id] for one in shop if one.is_test} == {"failed"}
    assert {*orders.values()} >= {"completed", "refunded"}


def revenue(store: Store, first: date, last: date) -> dict[date, dict[str, Decimal]]:
    found: dict[date, dict[str, Decimal]] = {}
    window = {"after": f"{first}T00:00:00", "before": f"{last}T23:59:59", "interval": "day"}
    for page in range(1, 5):
        answer = ask(store, "wc-analytics/reports/revenue/stats", **window, per_page=10, page=page).json()
        for one in answer["intervals"]:
            found[date.fromisoformat(one["interval"])] = {
                name: Decimal(repr(value)) for name, value in one["subtotals"].items()
            }
    return found


def test_the_report_is_the_truth_without_cancelled_orders() -> None:
    with serving(WooCommerce, settings=replace(SETTINGS, cancel_share=0.0)) as store:
        report = revenue(store, DAYS[0], DAYS[-1])
        assert [*report] == DAYS
        for day in DAYS:
            right, said = store.dialect.truth(day), report[day]
            assert said["gross_sales"] == right.gross_sales
            assert said["coupons"] == right.discounts
            assert said["refunds"] == right.returns
            assert said["net_revenue"] == right.net_sales
            assert said["shipping"] == right.shipping
            assert said["taxes"] == right.taxes
            assert said["total_sales"] == right.total_sales


def test_the_report_leaves_out_what_is_cancelled(store: Store) -> None:
    report = revenue(store, DAYS[0], DAYS[-1])
    cancelled: dict[date, Decimal] = {}
    for one in all_of(store, "wc/v3/orders", status="cancelled", dp=4):
        day = date.fromisoformat(one["date_created"][:10])
        lines = sum((Decimal(line["subtotal"]) for line in one["line_items"]), ZERO)
        cancelled[day] = cancelled.get(day, ZERO) + lines
    assert cancelled
    for day in DAYS:
        assert report[day]["gross_sales"] + cancelled.get(day, ZERO) == store.dialect.truth(day).gross_sales


def test_fees_are_in_the_total_and_in_the_truth() -> None:
    with serving(WooCommerce, with_charges=True) as store:
        fees: dict[date, Decimal] = {}
        for one in all_of(store, "wc/v3/orders", dp=4):
            parts = [*one["line_items"], *one["shipping_lines"], *one["fee_lines"]]
            assert sum((Decimal(part["total"]) for part in parts), Decimal(one["total_tax"])) == Decimal(one["total"])
            for fee in one["fee_lines"]:
                day = date.fromisoformat(one["date_created"][:10])
                fees[day] = fees.get(day, ZERO) + Decimal(fee["total"]) * (one["status"] != "cancelled")
        assert len(fees) > 5
        some_day = max(fees, key=lambda day: fees[day])
        assert store.dialect.truth(some_day).charges == fees[some_day]


def test_an_order_that_appears_between_pages_shifts_newest_first_pages_and_not_those_by_id() -> None:
    with serving(WooCommerce) as store:
        newest = store.dialect.orders()[-1].order_id

        def two_pages(**sorting: str) -> list[int]:
            store.dialect.hidden.add(newest)
            first = [one["id"] for one in ask(store, "wc/v3/orders", page=1, **sorting).json()]
            store.dialect.hidden.clear()
            return first + [one["id"] for one in ask(store, "wc/v3/orders", page=2, **sorting).json()]

        shifted = two_pages()
        assert len(shifted) - len({*shifted}) == 1
        by_id = two_pages(orderby="id", order="asc")
        assert len({*by_id}) == len(by_id) == 20
