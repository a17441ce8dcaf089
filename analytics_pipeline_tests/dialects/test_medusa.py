"""The back end answers as Medusa does, with the demo shop's orders and figures."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from analytics_pipeline.demo_shop.model import ZERO
from analytics_pipeline_tests.dialects.base import Serving, moment_of
from analytics_pipeline_tests.dialects.medusa import EMAIL, PASSWORD, SECRET_KEY, Medusa
from analytics_pipeline_tests.dialects.numbers import iso, order_number
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, Clock, midnights, serving

BackEnd = Serving[Medusa]
FIELDS = (
    "id,display_id,created_at,updated_at,canceled_at,total,original_total,credit_line_total,shipping_subtotal,"
    "shipping_tax_total,summary,*items,*items.detail,*items.adjustments,*payment_collections.payments.refunds"
)


@pytest.fixture(scope="module")
def back_end() -> Iterator[BackEnd]:
    with serving(Medusa) as running:
        yield running


def ask(back_end: BackEnd, name: str, **params: str | int) -> requests.Response:
    return requests.get(f"{back_end.url}/admin/{name}", params=params, auth=(SECRET_KEY, ""), timeout=5)


def all_of(back_end: BackEnd, name: str = "orders", **params: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = ask(back_end, name, **{"limit": 40, "order": "id", **params}, offset=len(found)).json()
        if not answer[name]:
            return found
        found += answer[name]


def exact(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("0.000001"))


def test_paging_to_the_end_gives_the_orders_once(back_end: BackEnd) -> None:
    found = all_of(back_end)
    assert [one["display_id"] for one in found] == [order_number(one.order_id) for one in back_end.dialect.orders()]
    assert ask(back_end, "orders").json()["count"] == len(found)
    assert len(ask(back_end, "orders").json()["orders"]) == 20


def test_a_window_is_a_pair_of_operators(back_end: BackEnd) -> None:
    start, end = midnights(DAYS[12], DAYS[14])
    window = {"created_at[$gte]": iso(start), "created_at[$lt]": iso(end)}
    right = [order_number(one.order_id) for one in back_end.dialect.orders() if start <= one.created_at < end]
    assert [one["display_id"] for one in all_of(back_end, **window)] == right
    first = all_of(back_end)[0]
    stamp = first["created_at"]
    assert first["id"] in [one["id"] for one in all_of(back_end, **{"created_at[$lte]": stamp})]
    assert first["id"] not in [one["id"] for one in all_of(back_end, **{"created_at[$gt]": stamp})]


def test_unknown_parameters_and_sortings_are_refused(back_end: BackEnd) -> None:
    answer = ask(back_end, "orders", updated_after=iso(NOW))
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid_data")
    assert ask(back_end, "orders", order="-total").status_code == 400


def test_a_secret_key_goes_without_password_and_a_token_lives_a_day() -> None:
    clock = Clock()
    with serving(Medusa, clock=clock) as back_end:
        url = f"{back_end.url}/admin/orders"
        assert requests.get(url, auth=(SECRET_KEY, "x"), timeout=5).status_code == 401
        assert requests.get(url, timeout=5).json() == {"message": "Unauthorized"}
        wrong = {"email": EMAIL, "password": "wrong"}
        assert requests.post(f"{back_end.url}/auth/user/emailpass", json=wrong, timeout=5).status_code == 401
        right = {"email": EMAIL, "password": PASSWORD}
        token = requests.post(f"{back_end.url}/auth/user/emailpass", json=right, timeout=5).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert requests.get(url, headers=bearer, timeout=5).status_code == 200
        clock.now += timedelta(hours=24)
        assert requests.get(url, headers=bearer, timeout=5).status_code == 401


def test_relations_come_only_where_they_are_asked_for(back_end: BackEnd) -> None:
    assert "items" not in ask(back_end, "orders").json()["orders"][0]
    item = ask(back_end, "orders", fields="*items").json()["orders"][0]["items"][0]
    assert "title" in item
    assert "adjustments" not in item
    assert "total" not in ask(back_end, "orders", fields="-total").json()["orders"][0]
    assert [*ask(back_end, "orders", fields="email").json()["orders"][0]] == ["id", "email"]


def test_returns_are_netted_out_of_both_totals_and_can_be_added_back(back_end: BackEnd) -> None:
    netted = 0
    for one, order in zip(all_of(back_end, fields=FIELDS), back_end.dialect.orders(), strict=True):
        back = sum((exact(item["return_received_total"]) for item in one["items"]), ZERO)
        assert abs(exact(one["total"]) + back - order.stated_total) < Decimal("0.00001")
        for item, line in zip(one["items"], order.lines, strict=True):
            discount = sum((exact(part["amount"]) for part in item["adjustments"]), ZERO)
            whole = exact(item["total"]) + exact(item["return_received_total"])
            assert round(whole - item["quantity"] * exact(item["unit_price"]) + discount, 2) == line.tax
        returned = sum(item["detail"]["return_received_quantity"] for item in one["items"])
        netted += returned > 0
        assert (one["total"] < float(order.stated_total) - 0.001) == (back > Decimal("0.001"))
        assert returned or back == 0
    assert netted > 5


def refunds_of(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [refund for held in one["payment_collections"] for paid in held["payments"] for refund in paid["refunds"]]


def test_refunds_leave_the_change_stamp_and_cancellations_move_it(back_end: BackEnd) -> None:
    for one, order in zip(all_of(back_end, fields=FIELDS), back_end.dialect.orders(), strict=True):
        if order.cancelled_at:
            assert one["updated_at"] == one["canceled_at"] == iso(order.cancelled_at)
        elif refunds_of(one):
            assert one["updated_at"] < max(refund["created_at"] for refund in refunds_of(one))
    since = NOW - timedelta(days=4)
    changed = {one["id"] for one in all_of(back_end, **{"updated_at[$gte]": iso(since)})}
    refunded = {
        one["id"]
        for one in all_of(back_end, fields=FIELDS)
        if any(refund["created_at"] >= iso(since) for refund in refunds_of(one))
    }
    assert refunded - changed


def test_total_sales_of_a_day_follow_from_totals_and_refunds(back_end: BackEnd) -> None:
    sums = dict.fromkeys(DAYS, ZERO)

    def count(moment: str, amount: Decimal) -> None:
        day = back_end.dialect.day_of(moment_of(moment))
        if day in sums:
            sums[day] += amount

    for one in all_of(back_end, fields=FIELDS):
        total = exact(one["total"]) + sum((exact(item["return_received_total"]) for item in one["items"]), ZERO)
        count(one["created_at"], total)
        given_back = [(refund["created_at"], exact(refund["amount"])) for refund in refunds_of(one)]
        for moment, amount in given_back:
            count(moment, -amount)
        if one["canceled_at"]:
            count(one["canceled_at"], sum((amount for _, amount in given_back), -total))
    for day in DAYS:
        assert round(sums[day], 2) == back_end.dialect.truth(day).total_sales
    assert back_end.dialect.truth(DAYS[0]).returns is None


def test_sorting_by_a_stamp_that_many_orders_share_loses_some_and_by_id_none() -> None:
    with serving(Medusa) as back_end:
        everything = [one.order_id for one in back_end.dialect.orders()]
        back_end.dialect.touched = dict.fromkeys(everything, NOW)
        by_stamp = all_of(back_end, order="updated_at", limit=30)
        assert len(by_stamp) == len(everything)
        assert len({one["id"] for one in by_stamp}) < len(everything)
        assert len({one["id"] for one in all_of(back_end, limit=30)}) == len(everything)


def test_an_order_may_be_shown_after_its_stamp() -> None:
    with serving(Medusa) as back_end:
        late = back_end.dialect.orders()[-1].order_id
        back_end.dialect.hidden.add(late)
        before = all_of(back_end)
        back_end.dialect.hidden.clear()
        after = all_of(back_end)
        assert len(after) == len(before) + 1


def test_gift_cards_are_credit_lines_that_lower_the_total() -> None:
    with serving(Medusa, with_charges=True) as back_end:
        redeemed: dict[date, Decimal] = {}
        for one in all_of(back_end, fields=FIELDS):
            if one["credit_line_total"] and not one["canceled_at"]:
                day = back_end.dialect.day_of(moment_of(one["created_at"]))
                redeemed[day] = redeemed.get(day, ZERO) + exact(one["credit_line_total"])
        some_day = max(redeemed, key=lambda day: redeemed[day])
        assert back_end.dialect.truth(some_day).outside_sales == -redeemed[some_day]
