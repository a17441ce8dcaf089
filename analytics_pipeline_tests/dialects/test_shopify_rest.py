"""The shop answers as Shopify's Admin REST API does, with the demo shop's orders as Shopify keeps them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from analytics_pipeline.demo_shop.model import ZERO
from analytics_pipeline_tests.dialects.base import Serving
from analytics_pipeline_tests.dialects.numbers import iso
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, Clock, midnights, numbers_between, numbers_of, serving
from analytics_pipeline_tests.dialects.shopify import CLIENT_ID, CLIENT_SECRET, TOKEN, is_removal
from analytics_pipeline_tests.dialects.shopify_rest import BASE, BUCKET, ShopifyRest

Shop = Serving[ShopifyRest]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with serving(ShopifyRest) as running:
        yield running


def get(url: str, **params: str | int) -> requests.Response:
    return requests.get(url, params=params, headers={"X-Shopify-Access-Token": TOKEN}, timeout=5)


def ask(shop: Shop, name: str, **params: str | int) -> requests.Response:
    return get(f"{shop.url}{BASE}/{name}.json", **params)


def all_of(shop: Shop, name: str = "orders", **params: str | int) -> list[dict[str, Any]]:
    answer = ask(shop, name, **{"status": "any", "order": "id asc", "limit": 40, **params})
    found: list[dict[str, Any]] = answer.json()[name]
    while "next" in answer.links:
        answer = get(answer.links["next"]["url"])
        found += answer.json()[name]
    return found


def test_links_lead_to_the_end_and_take_no_other_parameters(shop: Shop) -> None:
    assert [one["id"] for one in all_of(shop)] == numbers_of(shop.dialect)
    link = ask(shop, "orders", status="any", limit=10).links["next"]["url"]
    assert get(link).status_code == 200
    assert get(link, status="any").status_code == 400
    assert get(link.replace("page_info=", "page_info=x")).status_code == 400


def test_only_open_orders_are_listed_unless_any_are_asked_for(shop: Shop) -> None:
    listed = ask(shop, "orders", limit=250).json()["orders"]
    assert 0 < len(listed) < len(all_of(shop)) / 2
    assert not any(one["cancelled_at"] or one["closed_at"] for one in listed)


def test_the_count_is_that_of_the_query(shop: Shop) -> None:
    start, end = midnights(DAYS[3], DAYS[9])
    window = {"status": "any", "created_at_min": iso(start), "created_at_max": iso(end)}
    assert ask(shop, "orders/count", **window).json() == {"count": len(all_of(shop, **window))}


def test_both_bounds_of_a_window_belong_to_it(shop: Shop) -> None:
    start, end = midnights(DAYS[12], DAYS[14])
    window = {"created_at_min": iso(start), "created_at_max": iso(end - timedelta(seconds=1))}
    found = all_of(shop, **window)
    assert [one["id"] for one in found] == numbers_between(shop.dialect, DAYS[12], DAYS[14])
    ends = {"created_at_min": found[1]["created_at"], "created_at_max": found[3]["created_at"]}
    assert all_of(shop, **ends) == found[1:4]


def test_wrong_tokens_are_refused_and_client_credentials_give_one_for_a_day() -> None:
    clock = Clock()
    with serving(ShopifyRest, clock=clock) as shop:
        url, token_url = f"{shop.url}{BASE}/orders.json", f"{shop.url}/admin/oauth/access_token"
        assert requests.get(url, headers={"X-Shopify-Access-Token": "no"}, timeout=5).status_code == 401
        asked = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        wrong = {**asked, "client_secret": "no"}
        assert requests.post(token_url, data=wrong, timeout=5).status_code == 400
        given = requests.post(token_url, data=asked, timeout=5).json()
        assert requests.post(token_url, json=asked, timeout=5).status_code == 200
        headers = {"X-Shopify-Access-Token": given["access_token"]}
        clock.now += timedelta(seconds=given["expires_in"] - 1)
        assert requests.get(url, headers=headers, timeout=5).status_code == 200
        clock.now += timedelta(seconds=1)
        assert requests.get(url, headers=headers, timeout=5).status_code == 401


def test_a_full_bucket_is_told_and_refused() -> None:
    with serving(ShopifyRest) as shop:
        shop.dialect.leaks_per_second = 0.0
        said = [ask(shop, "orders/count").headers["X-Shopify-Shop-Api-Call-Limit"] for _ in range(BUCKET)]
        assert said == [f"{used}/40" for used in range(1, BUCKET + 1)]
        refused = ask(shop, "orders/count")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2.0")
        shop.dialect.leaks_per_second = 1e6
        assert ask(shop, "orders/count").status_code == 200


def test_an_order_adds_up_and_allocations_are_all_discounts(shop: Shop) -> None:
    shared = 0
    for one in all_of(shop):
        lines = one["line_items"]
        goods = sum((Decimal(line["price"]) * line["quantity"] for line in lines), ZERO)
        allocated = [Decimal(part["amount"]) for line in lines for part in line["discount_allocations"]]
        shipping = sum((Decimal(line["price"]) for line in one["shipping_lines"]), ZERO)
        assert goods == Decimal(one["total_line_items_price"])
        assert sum(allocated, ZERO) == Decimal(one["total_discounts"])
        assert goods - sum(allocated, ZERO) + shipping + Decimal(one["total_tax"]) == Decimal(one["total_price"])
        shared += sum((Decimal(line["total_discount"]) for line in lines), ZERO) != Decimal(one["total_discounts"])
    assert shared > 5


def given_back(refund: dict[str, Any]) -> Decimal:
    goods = [Decimal(str(line[name])) for line in refund["refund_line_items"] for name in ("subtotal", "total_tax")]
    shipping = [
        Decimal(part[name]["shop_money"]["amount"])
        for part in refund["refund_shipping_lines"]
        for name in ("subtotal_amount_set", "tax_amount_set")
    ]
    return sum([*goods, *shipping], ZERO) - sum((Decimal(one["amount"]) for one in refund["order_adjustments"]), ZERO)


def test_a_refund_is_its_lines_shipping_and_adjustments_together(shop: Shop) -> None:
    paid = [
        (given_back(refund), sum((Decimal(part["amount"]) for part in refund["transactions"]), ZERO))
        for one in all_of(shop)
        for refund in one["refunds"]
        if refund["transactions"]
    ]
    assert all(back == amount for back, amount in paid)
    assert len(paid) > 20


def test_units_that_an_edit_took_off_stay_in_the_quantity_and_are_refunded_without_money(shop: Shop) -> None:
    removals = 0
    for one in all_of(shop):
        removals += any(not refund["transactions"] for refund in one["refunds"])
        back = [part for refund in one["refunds"] for part in refund["refund_line_items"]]
        for line in one["line_items"]:
            units = sum(part["quantity"] for part in back if part["line_item_id"] == line["id"])
            assert line["current_quantity"] == line["quantity"] - units
    kept = [order for order in shop.dialect.orders() if any(map(is_removal, order.refunds))]
    assert removals == len(kept) > 0


def test_the_truth_of_all_days_together_is_the_demo_shops_but_for_what_edits_took_off(shop: Shop) -> None:
    def total(name: str, *, of_demo_shop: bool) -> Decimal:
        figures = [
            shop.dialect.shop.truth(day).revenue["EUR"] if of_demo_shop else shop.dialect.truth(day)
            for day in [*DAYS, DAYS[-1] + timedelta(days=1)]
        ]
        return sum((Decimal(getattr(one, name)) for one in figures), ZERO)

    for name in ("net_sales", "shipping", "taxes", "total_sales"):
        assert total(name, of_demo_shop=False) == total(name, of_demo_shop=True)
    assert total("gross_sales", of_demo_shop=False) > total("gross_sales", of_demo_shop=True)


def test_changed_orders_with_one_stamp_come_once_each_across_pages() -> None:
    with serving(ShopifyRest) as shop:
        everything = [one.order_id for one in shop.dialect.shop.orders_between()]
        shop.dialect.touched = dict.fromkeys(everything, NOW)
        found = all_of(shop, updated_at_min=iso(NOW), order="updated_at asc", limit=30)
        assert [one["id"] for one in found] == numbers_of(shop.dialect)
        assert all_of(shop, updated_at_min=iso(NOW + timedelta(seconds=1))) == []


def test_orders_of_sixty_days_are_shown_without_the_scope_for_all() -> None:
    with serving(ShopifyRest, clock=Clock(NOW + timedelta(days=50))) as shop:
        shop.dialect.reads_all_orders = False
        oldest = min(datetime.fromisoformat(one["created_at"]) for one in all_of(shop))
        assert NOW - timedelta(days=10) <= oldest < NOW - timedelta(days=9)


def test_tips_and_duties_are_in_the_total_and_gift_cards_are_lines() -> None:
    with serving(ShopifyRest, with_charges=True) as shop:
        tips: dict[date, Decimal] = {}
        cards = 0
        for one in all_of(shop):
            lines = one["line_items"]
            goods = sum((Decimal(line["price"]) * line["quantity"] for line in lines), ZERO)
            duties = one["original_total_duties_set"]
            charged = Decimal(one["total_tip_received"])
            charged += Decimal(duties["shop_money"]["amount"]) if duties else ZERO
            rest = Decimal(one["total_shipping_price_set"]["shop_money"]["amount"]) + Decimal(one["total_tax"])
            assert goods - Decimal(one["total_discounts"]) + rest + charged == Decimal(one["total_price"])
            cards += any(line["gift_card"] for line in lines)
            for moment, sign in ((one["created_at"], 1), (one["cancelled_at"], -1)):
                day = date.fromisoformat(moment[:10]) if moment and not one["test"] else NOW.date()
                tips[day] = tips.get(day, ZERO) + sign * charged
        assert cards > 5
        assert [shop.dialect.truth(day).charges for day in DAYS] == [tips.get(day, ZERO) for day in DAYS]
