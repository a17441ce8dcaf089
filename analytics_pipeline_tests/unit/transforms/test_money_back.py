"""What an order may give back, and when: at each bound, and a cent or a day beyond it."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline_tests.unit.transforms.conftest import (
    cleaned,
    fields,
    fits_contracts,
    line,
    line_fields,
    money,
    one_mug,
    order,
    raw_rows,
    refund,
    rows_of,
    shop,
)

KEPT = ("event_id", "money_at_risk", "payload")
MORE = "more money given back than was sold"
PLAIN = {"discount_total": "0", "shipping": "0", "shipping_tax": "0", "tax_total": "0", "total": "73.50"}
"""An order of one line of 73.50 and nothing else."""


def plain(*refunds: Mapping[str, Any], order_id: str = "A", **changes: object) -> dict[str, Any]:
    only = line(quantity=1, unit_price="73.50", discount="0", tax="0")
    return order(order_id, **{**PLAIN, "lines": [only], "refunds": list(refunds), **changes})


def back(amount: str, refund_id: str | None = "R1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """A refund of an amount without naming goods."""
    return {**refund(adjustment=amount, **changes), "id": refund_id}


def the_line(amount: str, quantity: int = 1, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    return refund({"line_id": 1, "quantity": quantity, "amount": amount, "tax": "0"}, **changes)


def held(result: CleanOrders) -> list[tuple[Any, ...]]:
    """Kind, event, reason and money of what is in quarantine; every order is clean and its events add up."""
    assert all(row[0] != "order" for row in rows_of(result.quarantine, "kind"))
    kept = {row[0]: row[1] - row[2] for row in rows_of(result.orders, "order_id", "order_total", "refunded_total")}
    for order_id, total in kept.items():
        of_order = result.sales[result.sales["order_id"] == order_id]
        assert sum(row[0] for row in rows_of(of_order, "total_sales")) == total
    marked = {row[0] for row in rows_of(result.orders, "order_id", "has_quarantined_events") if row[1]}
    assert marked == {row[0] for row in rows_of(result.quarantine, "order_id")}
    return rows_of(result.quarantine, "kind", "event_id", "reason", "money_at_risk")


@pytest.mark.parametrize("odd", ["all", {"R1": {"amount": "5.00"}}, 5, True])
def test_refunds_and_refund_lines_that_are_no_list_are_held_back_alone(odd: object) -> None:
    missing = ("refund", "#1", "missing", None), ("refund", "R1", "missing", None)
    assert held(cleaned({**plain(), "refunds": odd})) == [missing[0]]
    assert held(cleaned(plain({**back("5.00"), "lines": odd}))) == [missing[1]]


@pytest.mark.parametrize("nothing", [{}, "", False, None])
def test_what_stands_for_no_refunds_is_none(nothing: object) -> None:
    assert held(cleaned({**plain(), "refunds": nothing})) == []


def test_a_refund_that_is_no_list_of_one_is_a_refund() -> None:
    result = cleaned({**plain(), "refunds": back("5.00")})
    assert held(result) == []
    assert rows_of(result.sales, "event_type")[-1] == ("adjustment",)


# How much


@pytest.mark.parametrize(
    ("given", "money_back"),
    [
        (the_line("500.00"), "500"),
        (the_line("73.51"), "73.51"),
        (back("80.00"), "80"),
        (back("73.51"), "73.51"),
        (the_line("73.50", adjustment="0.01"), "73.51"),
        (the_line("70.00", shipping="3.51"), "73.51"),
        (the_line("73.50", quantity=2), "73.50"),
    ],
)
def test_C30_a_refund_beyond_what_was_sold_is_in_quarantine_and_the_sale_is_clean(  # noqa: N802
    given: dict[str, Any], money_back: str
) -> None:
    result = cleaned(plain(given))
    reason = "more units taken back than were sold" if given["lines"] and given["lines"][0]["quantity"] == 2 else MORE
    assert held(result) == [("refund", "R1", reason, *money(money_back))]
    assert rows_of(result.orders, "order_total", "refunded_total") == [money("73.5", "0")]


@pytest.mark.parametrize(
    "given",
    [
        [the_line("73.50")],
        [back("73.50")],
        [the_line("70.00", adjustment="3.50")],
        [back("73.49"), back("0.01", "R2")],
        [back("0")],
    ],
)
def test_what_was_sold_may_be_given_back_to_the_cent(given: list[dict[str, Any]]) -> None:
    result = cleaned(plain(*given))
    assert held(result) == []
    assert rows_of(result.orders, "has_quarantined_events") == [(False,)]


def test_of_several_refunds_the_one_that_goes_beyond_is_held_and_those_that_fit_count() -> None:
    first = back("40.00", "R3", created_at="2025-03-12T00:00:00Z")
    beyond = back("33.51", "R1", created_at="2025-03-13T00:00:00Z")
    last = back("33.50", "R2", created_at="2025-03-14T00:00:00Z")
    for listed in ([first, beyond, last], [last, beyond, first]):
        result = cleaned(plain(*listed))
        assert held(result) == [("refund", "R1", MORE, *money("33.51"))]
        assert rows_of(result.orders, "refunded_total") == [money("73.5")]
    assert rows_of(result.quarantine, "value") == [("33.5100, of which 33.5000 was left",)]


def test_a_line_gives_back_what_it_sold_with_its_tax_whatever_the_order_sold_beside() -> None:
    """The lines are 19.00 and 3.61 tax each; shipping is 5.00 and 0.95."""
    sold: dict[str, Any] = {"lines": [line(), line(2)], "discount_total": "2.00", "tax_total": "8.17", "total": "51.17"}
    exact = {"line_id": 1, "quantity": 2, "amount": "19.00", "tax": "3.61"}
    assert held(cleaned(order(refunds=[refund(exact)], **sold))) == []
    # A shop that gives amounts with their tax, and one that rounds between the two.
    assert held(cleaned(order(refunds=[refund({**exact, "amount": "22.61", "tax": "0"})], **sold))) == []
    beyond = refund({**exact, "amount": "19.01"})
    assert held(cleaned(order(refunds=[beyond], **sold))) == [("refund", "R1", MORE, *money("22.62"))]
    # Twice in one refund, and in two.
    half = {"line_id": 1, "quantity": 1, "amount": "11.31", "tax": "0"}
    assert held(cleaned(order(refunds=[refund(half, half)], **sold))) == [("refund", "R1", MORE, *money("22.62"))]
    second = refund(half, refund_id="R2")
    assert held(cleaned(order(refunds=[refund(half), second], **sold))) == [("refund", "R2", MORE, *money("11.31"))]


def test_shipping_gives_back_what_it_was_with_its_tax() -> None:
    assert held(cleaned(order(refunds=[refund(shipping="5.00", shipping_tax="0.95")]))) == []
    beyond = refund(shipping="5.01", shipping_tax="0.95")
    assert held(cleaned(order(refunds=[beyond]))) == [("refund", "R1", MORE, *money("5.96"))]
    untaxed = shop(fields=fields(shipping_tax=None, taxes=None, total=None))
    assert held(cleaned(order(refunds=[refund(shipping="5.00", shipping_tax="0.95")]), of=untaxed)) == []


def test_with_prices_that_include_tax_the_bounds_are_what_was_paid() -> None:
    paid: dict[str, Any] = {"prices_include_tax": True, "total": "24.00"}  # 20.00 - 1.00 + 5.00, of which 4.56 is tax
    whole = {"line_id": 1, "quantity": 2, "amount": "15.39", "tax": "3.61"}
    assert held(cleaned(order(refunds=[refund(whole, shipping="5.00", shipping_tax="0.95")], **paid))) == []
    beyond = refund({**whole, "amount": "15.40"}, shipping="5.00", shipping_tax="0.95")
    assert held(cleaned(order(refunds=[beyond], **paid))) == [("refund", "R1", MORE, *money("24.01"))]


def test_a_line_is_not_held_to_our_share_of_what_the_shop_gives_per_order() -> None:
    """Thirds of the order's tax and discount: the shop's refund has them in cents, and the whole is exact."""
    mapped = shop(lines=line_fields(tax=None, discount=None), fields=fields(discounts=None, shipping_tax=None))
    lines = [line(number, quantity=1, unit_price="10.00") for number in (1, 2, 3)]
    sold: dict[str, Any] = {
        "lines": lines,
        "order_discount": "1.00",
        "shipping": "0",
        "tax_total": "5.51",
        "total": "34.51",
    }
    parts = [{"line_id": number, "quantity": 1, "amount": "9.67", "tax": "1.84"} for number in (1, 2)]
    assert held(cleaned(order(refunds=[refund(*parts)], **sold), of=mapped)) == []
    last = {"line_id": 3, "quantity": 1, "amount": "9.66", "tax": "1.83"}
    assert held(cleaned(order(refunds=[refund(*parts, last)], **sold), of=mapped)) == []
    over = {**last, "tax": "1.84"}
    assert held(cleaned(order(refunds=[refund(*parts, over)], **sold), of=mapped)) == [
        ("refund", "R1", MORE, *money("34.52"))
    ]


def test_units_are_counted_over_all_refunds_of_a_line_and_not_those_of_a_held_one() -> None:
    too_many = "more units taken back than were sold"
    three = [refund(one_mug(), refund_id=f"R{number}") for number in (1, 2, 3)]
    assert held(cleaned(order(refunds=three))) == [("refund", "R3", too_many, *money("11.30"))]
    greedy = refund(one_mug(quantity=3), created_at="2025-03-11T00:00:00Z")
    result = cleaned(order(refunds=[greedy, *three[1:]]))
    assert held(result) == [("refund", "R1", too_many, *money("11.30"))]
    assert rows_of(result.orders, "refunded_total") == [money("22.6")]


def test_a_credit_note_is_not_bound_by_what_it_sold() -> None:
    returned = order(is_return=True, lines=[line(quantity=-2, discount="-1.00", tax="-3.61")], total="-28.56")
    returned |= {"discount_total": "-1.00", "shipping": "-5.00", "shipping_tax": "-0.95", "tax_total": "-4.56"}
    result = cleaned({**returned, "refunds": [back("1.00")]}, of=shop(returns_when="is_return"))
    assert held(result) == []


# Which


def test_C30_of_two_refunds_without_an_id_the_first_counts() -> None:  # noqa: N802
    first, second = back("10.00", None), back("12.00", None, created_at="2025-03-21T00:00:00Z")
    result = cleaned(plain(second, first))
    assert held(result) == [("refund", "#1", "without an id, as another refund of the order", *money("12"))]
    assert rows_of(result.orders, "refunded_total") == [money("10")]
    assert held(cleaned(plain(first, back("12.00", "R2")))) == []


@pytest.mark.parametrize("amount", ["10.00", "12.00"])
def test_an_id_that_is_listed_twice_counts_once_whatever_it_gives_back(amount: str) -> None:
    result = cleaned(plain(back("10.00"), back(amount), back("1.00", "R2")))
    assert held(result) == [("refund", "R1 #2", "occurs twice in the order", *money(amount))]
    assert rows_of(result.orders, "refunded_total") == [money("11")]
    assert held(cleaned(plain(back("10.00"), back("10.00", "R2")))) == []


def test_a_long_id_fits_the_key_and_stays_apart_from_others() -> None:
    ids = ["R" * 6000, "R" * 5999 + "S"]
    found = held(cleaned(plain(*(back("80.00", refund_id) for refund_id in ids))))
    assert len({event_id for _, event_id, *_ in found}) == 2
    assert all(len(event_id) < 200 for _, event_id, *_ in found)


# When


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("1900-01-01T00:00:00Z", "before its order"),
        ("2025-03-09T22:59:59Z", "before its order"),  # the shop's midnight is 23:00
        ("2025-03-09T23:00:00Z", None),
        ("2025-03-10T09:00:00Z", None),  # the moment of the order
        ("2025-04-02T21:59:59Z", None),  # read on 1 April
        ("2025-04-02T22:00:00Z", "in the future"),
        ("2999-12-31T00:00:00Z", "in the future"),
    ],
)
def test_a_refund_and_a_cancellation_lie_between_the_orders_day_and_the_day_after_it_was_read(
    moment: str, reason: str | None
) -> None:
    result = cleaned(plain(back("10.00", created_at=moment)))
    assert held(result) == ([("refund", "R1", reason, *money("10"))] if reason else [])
    result = cleaned(plain(back("10.00", created_at="2025-03-10T09:00:00Z"), cancelled_at=moment))
    assert held(result) == ([("cancellation", "", reason, *money("63.5"))] if reason else [])
    [(cancelled_at, kept)] = rows_of(result.orders, "cancelled_at", "refunded_total")
    assert (cancelled_at is None, kept) == (reason is not None, *money("10" if reason else "73.5"))


def test_a_cancellation_reverses_what_the_refunds_that_count_have_left() -> None:
    result = cleaned(plain(back("80.00"), back("10.00", "R2"), cancelled_at="2025-03-25T00:00:00Z"))
    assert held(result) == [("refund", "R1", MORE, *money("80"))]
    assert rows_of(result.orders, "order_total", "refunded_total") == [money("73.5", "73.5")]


# What is kept


def test_a_held_refund_is_kept_as_the_shop_sent_it_and_an_unknown_amount_is_null() -> None:
    odd = {**back("80.00"), "note": 1.50, "by": {"name": "Zoë"}}
    result = cleaned(plain(odd, back("N/A", "R2"), the_line("?", refund_id="R3")))
    found = {event_id: (amount, payload) for event_id, amount, payload in rows_of(result.quarantine, *KEPT)}
    assert {event_id: amount for event_id, (amount, _) in found.items()} == {
        "R1": money("80")[0],
        "R2": None,
        "R3": None,
    }
    assert json.loads(found["R1"][1]) == odd


def test_events_of_orders_that_are_held_or_left_out_are_no_rows_of_their_own() -> None:
    result = cleaned(
        plain(back("80.00"), order_id="BAD", total="1"), plain(back("80.00"), order_id="T", is_test=True), plain()
    )
    assert rows_of(result.quarantine, "order_id", "kind") == [("BAD", "order")]
    assert rows_of(result.exclusions, "order_id") == [("T",)]


def test_events_are_in_no_balance_of_orders() -> None:
    result = cleaned(plain(back("80.00")))
    assert (result.accounting.quarantined_orders, result.accounting.quarantined_money) == (0, {})
    assert rows_of(result.balances, "raw_money", "clean_money", "quarantined_money") == [money("73.5", "73.5", "0")]


@pytest.mark.parametrize("description", [shop(), shop(refunds=None)])
def test_ten_thousand_refunds_take_no_square_of_their_number(description: Shop) -> None:
    many = plain(*(back("0.01", f"R{number}") for number in range(10_002)))
    result = clean_orders(raw_rows([many]), description)
    fits_contracts(result)
    assert len(result.quarantine) == (10_002 - 7_350 if description.orders.refunds else 0)
    assert date(2025, 3, 10) == rows_of(result.orders, "order_date")[0][0]
