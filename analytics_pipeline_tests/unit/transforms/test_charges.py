"""Other charges: an order with a tip is right, each kind counts where it should, refunds give back what was charged."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline_tests.unit.transforms.conftest import (
    DAY,
    cleaned,
    fault,
    fields,
    line,
    money,
    one_mug,
    order,
    refund,
    rows_of,
    shop,
)

ORDER = ("gross_sales", "discounts", "charges", "taxes", "outside_sales", "order_total", "refunded_total")
EVENT = ("event_type", "gross_sales", "discounts", "returns", "charges", "taxes", "outside_sales", "total_sales")
REFUND_DAY = date(2025, 3, 21)
REFUNDS = {
    "records": "refunds",
    "fields": {"refund_id": "id", "refunded_at": "created_at", "shipping": "shipping"},
    "lines": {
        "records": "lines",
        "fields": {"line_id": "line_id", "quantity": "quantity", "amount": "amount", "tax": "tax"},
    },
}


def charging(*charges: dict[str, str], back: list[dict[str, str]] | None = None, **changes: Any) -> Shop:  # noqa: ANN401
    """The demo shop with charges, and what its refunds give back of them."""
    return shop(charges=list(charges), refunds=REFUNDS | {"charges": back or []}, **changes)


TIP = {"kind": "tip", "amount": "tip"}
FEE = {"kind": "fee", "records": "fees", "amount": "total", "tax": "tax"}
CARD = {"kind": "gift_card_sold", "amount": "card"}
PAID = {"kind": "gift_card_redeemed", "amount": "paid_by_card"}


def test_an_order_with_a_tip_is_clean_where_it_is_mapped_and_in_quarantine_where_not() -> None:
    tipped = order(tip="3.00", total="31.56")
    assert fault(tipped)[1:3] == ("total", "does not equal the sum of its parts")
    result = cleaned(tipped, order("B"), of=charging(TIP))
    assert rows_of(result.orders, *ORDER) == [
        money("20", "1", "3", "4.56", "0", "31.56", "0"),
        money("20", "1", "0", "4.56", "0", "28.56", "0"),
    ]
    assert rows_of(result.sales, "order_id", "event_number", "event_date", *EVENT)[2] == (
        *("A", 3, DAY, "tip_charged"),
        *money("0", "0", "0", "3", "0", "0", "3"),
    )
    assert result.sales["total_sales"].sum() == Decimal("31.56") + Decimal("28.56")


def test_charges_that_a_record_lacks_or_gives_as_nothing_make_no_event() -> None:
    records = [order("A"), order("B", tip=None), order("C", tip="0.00"), order("D", tip=""), order("E", fees=[])]
    result = cleaned(*records, of=charging(TIP, FEE))
    assert set(result.sales["event_type"]) == {"line_sold", "shipping_charged"}
    assert rows_of(result.orders, "charges", "outside_sales") == [money("0", "0")] * 5


def test_each_entry_of_a_list_is_an_event_and_a_negative_fee_in_net_sales_a_discount() -> None:
    fees = [{"total": "4.00", "tax": "0.76"}, {"total": "-2.50", "tax": "-0.48"}]
    given = order(fees=fees, tax_total="4.84", total="30.34")
    in_total = cleaned(given, of=charging(FEE))
    assert rows_of(in_total.sales, *EVENT)[2:] == [
        ("fee_charged", *money("0", "0", "0", "4", "0.76", "0", "4.76")),
        ("fee_charged", *money("0", "0", "0", "-2.5", "-0.48", "0", "-2.98")),
    ]
    in_net = cleaned(given, of=charging(FEE | {"counts_in": "net_sales"}))
    assert rows_of(in_net.sales, *EVENT)[2:] == [
        ("fee_charged", *money("4", "0", "0", "0", "0.76", "0", "4.76")),
        ("fee_charged", *money("0", "2.5", "0", "0", "-0.48", "0", "-2.98")),
    ]
    assert rows_of(in_net.orders, *ORDER) == [money("24", "3.5", "0", "4.84", "0", "30.34", "0")]
    assert rows_of(in_total.orders, *ORDER) == [money("20", "1", "1.5", "4.84", "0", "30.34", "0")]


def test_gift_cards_and_store_credit_stand_outside_of_sales() -> None:
    credit = {"kind": "store_credit", "amount": "credit"}
    given = order(card="50.00", paid_by_card="30.00", credit="8.00", total="40.56")
    result = cleaned(given, of=charging(CARD, PAID, credit))
    assert rows_of(result.orders, *ORDER) == [money("20", "1", "0", "4.56", "12", "40.56", "0")]
    assert rows_of(result.sales, "event_type", "outside_sales", "total_sales")[2:] == [
        ("gift_card_sold_charged", *money("50", "0")),
        ("gift_card_redeemed_charged", *money("-30", "0")),
        ("store_credit_charged", *money("-8", "0")),
    ]
    assert result.sales["total_sales"].sum() == Decimal("28.56")


def test_charges_contain_tax_where_the_orders_prices_do() -> None:
    given = order(prices_include_tax=True, fees=[{"total": "5.95", "tax": "0.95"}], tax_total="5.51", total="29.95")
    result = cleaned(given, of=charging(FEE))
    assert rows_of(result.sales, "charges", "taxes")[2] == money("5", "0.95")


def test_taxes_of_the_order_are_spread_over_the_lines_without_those_of_charges() -> None:
    names = ("product_id", "quantity", "unit_price", "discount")
    lines = {"records": "lines", "fields": {name: name for name in names}}
    given = order(fees=[{"total": "5.00", "tax": "0.95"}], tax_total="5.51", total="34.51")
    result = cleaned(given, of=shop(charges=[FEE], lines=lines, refunds=None))
    assert rows_of(result.order_lines, "taxes") == [money("3.61")]
    assert rows_of(result.orders, "taxes", "order_total") == [money("5.51", "34.51")]


def test_a_refund_gives_charges_back_on_its_own_day() -> None:
    given = refund(one_mug(), tip="1.00", fees=[{"total": "2.00", "tax": "0.38"}])
    of = charging(TIP, FEE, back=[TIP, FEE])
    charged = order(tip="3.00", fees=[{"total": "4.00", "tax": "0.76"}], tax_total="5.32", total="36.32")
    result = cleaned(charged | {"refunds": [given]}, of=of)
    assert rows_of(result.sales, "event_date", *EVENT)[-2:] == [
        (REFUND_DAY, "tip_refunded", *money("0", "0", "0", "-1", "0", "0", "-1")),
        (REFUND_DAY, "fee_refunded", *money("0", "0", "0", "-2", "-0.38", "0", "-2.38")),
    ]
    assert rows_of(result.orders, "refunded_total") == [money("14.68")]


@pytest.mark.parametrize(
    ("given", "column", "value"),
    [
        ({"tip": "3.01"}, "charges.tip", "3.0100, of which 3.0000 was left"),
        ({"fees": [{"total": "4.00", "tax": "0.77"}]}, "charges.fee", "4.7700, of which 4.7600 was left"),
        ({"tip": "-1.00"}, "charges.tip", "-1.00"),
        ({"tip": "much"}, "charges.tip", "much"),
        ({"fees": [{"total": "1.00", "tax": "-0.19"}]}, "charges.fee.tax", "-0.19"),
    ],
)
def test_a_refund_of_more_than_was_charged_of_the_kind_or_of_no_amount_is_held_alone(
    given: dict[str, Any], column: str, value: str
) -> None:
    charged = order(tip="3.00", fees=[{"total": "4.00", "tax": "0.76"}], tax_total="5.32", total="36.32")
    of = charging(TIP | {"tax": "tip_tax"}, FEE, back=[TIP, FEE])
    result = cleaned(charged | {"refunds": [refund(one_mug(), **given)]}, of=of)
    assert rows_of(result.quarantine, "kind", "column_name", "value") == [("refund", column, value)]
    assert rows_of(result.orders, "refunded_total", "has_quarantined_events") == [(Decimal(0), True)]
    right = cleaned(charged | {"refunds": [refund(one_mug(), tip="3.00")]}, of=of)
    assert len(right.quarantine) == 0


def test_two_refunds_together_give_back_at_most_what_was_charged() -> None:
    halves = [refund(refund_id=name, tip="2.00") for name in ("R1", "R2")]
    of = charging(TIP | {"tax": "tip_tax"}, back=[TIP])
    result = cleaned(order(tip="3.00", total="31.56", refunds=halves), of=of)
    assert rows_of(result.quarantine, "event_id", "column_name") == [("R2", "charges.tip")]


def test_a_refund_onto_the_gift_card_that_paid_takes_less_off_the_total() -> None:
    of = charging(PAID, back=[PAID])
    paid = order(paid_by_card="20.00", total="8.56")
    result = cleaned(paid | {"refunds": [refund(one_mug(), paid_by_card="11.30")]}, of=of)
    assert rows_of(result.orders, "order_total", "refunded_total") == [money("8.56", "0")]
    assert rows_of(result.sales, *EVENT)[-1] == (
        "gift_card_redeemed_refunded",
        *money("0", "0", "0", "0", "0", "11.3", "0"),
    )
    # The shop need not say that it went onto the card: the goods were sold at their whole price.
    assert rows_of(cleaned(paid | {"refunds": [refund(one_mug())]}, of=of).orders, "refunded_total") == [money("11.3")]
    more = cleaned(paid | {"refunds": [refund(one_mug(), paid_by_card="11.31")]}, of=of)
    assert rows_of(more.quarantine, "kind", "column_name") == [("refund", "charges")]


def test_a_cancellation_reverses_what_refunds_have_left_of_each_charge() -> None:
    back = [TIP, PAID, CARD]
    of = charging(TIP, FEE | {"counts_in": "net_sales"}, CARD, PAID, back=back)
    charged = order(
        tip="3.00",
        card="50.00",
        paid_by_card="10.00",
        fees=[{"total": "4.00", "tax": "0.76"}, {"total": "-1.00", "tax": "0"}],
        tax_total="5.32",
        total="75.32",
        cancelled_at="2025-03-12T08:00:00Z",
        refunds=[refund(tip="1.00", created_at="2025-03-11T08:00:00Z")],
    )
    result = cleaned(charged, of=of)
    for name in ("quantity", "net_sales", "shipping", "charges", "taxes", "outside_sales", "total_sales"):
        assert result.sales[name].sum() == 0, name
    assert rows_of(result.orders, "order_total", "refunded_total") == [money("75.32", "75.32")]
    events = {row[0]: row[1:] for row in rows_of(result.sales, *EVENT)[-4:]}
    assert events["tip_refunded"] == money("0", "0", "0", "-2", "0", "0", "-2")
    assert events["fee_refunded"] == money("0", "0", "3", "0", "-0.76", "0", "-3.76")
    assert events["gift_card_sold_refunded"][-2:] == money("-50", "0")
    assert events["gift_card_redeemed_refunded"][-2:] == money("10", "0")


def test_a_charge_of_a_credit_note_is_given_back_with_it() -> None:
    note = order("N", type="credit_note", lines=[line(quantity=-2, discount="-1.00", tax="-3.61")], tip="-3.00")
    note |= {"fees": [{"total": "-4.00", "tax": "0"}], "shipping": "0", "shipping_tax": "0", "total": "-29.61"}
    of = charging(
        TIP,
        FEE | {"counts_in": "net_sales"},
        returns_when="type == 'credit_note'",
        fields=fields(discounts=None, taxes=None),
    )
    result = cleaned(note, of=of)
    assert rows_of(result.orders, "returns", "charges", "order_total") == [money("23", "-3", "-29.61")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tip": "three"}, ("clean.orders", "charges.tip", "not an amount with at most four decimals", "three")),
        (
            {"fees": [{"total": "1", "tax": "x"}]},
            ("clean.orders", "charges.fee.tax", "not an amount with at most four decimals", "x"),
        ),
        ({"paid_by_card": "-5.00"}, ("clean.orders", "charges.gift_card_redeemed", "negative", "-5.00")),
    ],
)
def test_a_charge_that_cannot_be_read_quarantines_its_order(
    given: dict[str, object], expected: tuple[str, ...]
) -> None:
    assert fault(order("BAD", **given), order("A"), of=charging(TIP, FEE, PAID)) == expected


def test_empty_names_what_stands_for_no_charge() -> None:
    of = charging(TIP, empty={"charges.tip": ["none"]})
    assert len(cleaned(order(tip="none"), of=of).orders) == 1
    assert fault(order(tip="none"), of=charging(TIP))[1] == "charges.tip"


def test_many_charges_are_too_large_together() -> None:
    fees = [{"total": "90000000000", "tax": "0"}] * 12
    result = cleaned(order(fees=fees, total=None), order("B"), of=charging(FEE))
    assert rows_of(result.quarantine, "order_id", "column_name") == [("A", "charges")]


@pytest.mark.parametrize(
    ("charges", "back", "message"),
    [
        ([TIP], [FEE], "refunds.charges has a fee, which orders.charges has none of: add it there"),
        ([TIP], [TIP | {"counts_in": "net_sales"}], "a tip in net_sales, the order's is in total_sales"),
        ([FEE, FEE | {"counts_in": "net_sales"}], [FEE], "net_sales and total_sales: say counts_in"),
        ([PAID | {"counts_in": "total_sales"}], [], "it has no tax and counts in no sales figure"),
        ([{"kind": "bribe", "amount": "x"}], [], "'tip', 'fee', 'duty'"),
    ],
)
def test_charges_that_do_not_fit_together_are_refused(
    charges: list[dict[str, str]], back: list[dict[str, str]], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        charging(*charges, back=back)


SHOPIFY: dict[str, Any] = {
    "fields": {
        "order_id": "id",
        "created_at": "created_at",
        "discounts": "total_discounts",
        "shipping": "total_shipping_price_set.shop_money.amount",
        "taxes": "total_tax",
        "total": "total_price",
        "prices_include_tax": "taxes_included",
    },
    "lines": {
        "records": "line_items[?!gift_card]",
        "fields": {
            "product_id": "to_string(product_id)",
            "quantity": "quantity",
            "unit_price": "price",
            "discount": "sum(discount_allocations[].to_number(amount))",
            "tax": "sum(tax_lines[].to_number(price))",
        },
    },
    "charges": [
        {"kind": "tip", "amount": "total_tip_received"},
        {"kind": "duty", "amount": "current_total_duties_set.shop_money.amount"},
        {"kind": "fee", "amount": "current_total_additional_fees_set.shop_money.amount"},
        {"kind": "gift_card_sold", "records": "line_items[?gift_card]", "amount": "price"},
    ],
    "exclude": None,
    "refunds": None,
}


def test_shopifys_identity_holds_with_tips_duties_fees_and_gift_cards() -> None:
    """total_price = subtotal_price + shipping + total_tax + duties + additional fees + tips, as documented."""
    lines: list[dict[str, Any]] = [
        {"product_id": 1, "quantity": 2, "price": "30.00", "discount_allocations": [{"amount": "6.00"}]},
        {"product_id": 2, "quantity": 1, "price": "25.00", "gift_card": True, "discount_allocations": []},
    ]
    lines[0]["tax_lines"], lines[1]["tax_lines"] = [{"price": "5.40"}], []
    placed: dict[str, Any] = {"id": "450789469", "created_at": "2025-03-10T09:00:00+01:00", "line_items": lines}
    placed |= {"total_discounts": "6.00", "total_tax": "5.40", "taxes_included": False, "total_tip_received": "4.00"}
    placed |= {
        "total_shipping_price_set": {"shop_money": {"amount": "9.90"}},
        "current_total_duties_set": {"shop_money": {"amount": "3.20"}},
        "current_total_additional_fees_set": {"shop_money": {"amount": "1.50"}},
        "subtotal_price": "79.00",
    }
    total = Decimal("79.00") + Decimal("9.90") + Decimal("5.40") + Decimal("3.20") + Decimal("1.50") + Decimal("4.00")
    result = cleaned(placed | {"total_price": str(total)}, of=shop(**SHOPIFY))
    assert rows_of(result.orders, *ORDER) == [money("60", "6", "8.7", "5.4", "25", "103", "0")]
    assert result.sales["total_sales"].sum() == Decimal("78.00")  # without the gift card
    assert fault(placed | {"total_price": "102.99"}, of=shop(**SHOPIFY))[1] == "total"


WOOCOMMERCE: dict[str, Any] = {
    "fields": {
        "order_id": "id",
        "created_at": "date_created_gmt",
        "shipping": "shipping_total",
        "shipping_tax": "shipping_tax",
        "taxes": "total_tax",
        "total": "total",
    },
    "lines": {
        "records": "line_items",
        "fields": {
            "product_id": "to_string(product_id)",
            "quantity": "quantity",
            "unit_price": "subtotal",
            "tax": "total_tax",
        },
    },
    "charges": [{"kind": "fee", "records": "fee_lines", "amount": "total", "tax": "total_tax"}],
    "exclude": None,
    "refunds": None,
}


@pytest.mark.parametrize("counts_in", ["total_sales", "net_sales"])
def test_woocommerces_identity_holds_with_fees_of_either_sign(counts_in: str) -> None:
    """Total = lines + shipping + fees + total_tax; net revenue = total - total_tax - shipping_total: fees are in it."""
    charges = [WOOCOMMERCE["charges"][0] | {"counts_in": counts_in}]
    placed = {
        "id": "727",
        "date_created_gmt": "2025-03-10T08:00:00",
        "line_items": [{"product_id": 93, "quantity": 1, "subtotal": "21.99", "total_tax": "4.18"}],
        "fee_lines": [{"total": "3.00", "total_tax": "0.57"}, {"total": "-5.00", "total_tax": "-0.95"}],
        "shipping_total": "10.00",
        "shipping_tax": "1.90",
        "total_tax": "5.70",
        "total": "35.69",
    }
    result = cleaned(placed, of=shop(**WOOCOMMERCE | {"charges": charges}))
    net = Decimal("35.69") - Decimal("5.70") - Decimal("10.00")
    ours = {name: result.sales[name].sum() for name in ("net_sales", "charges", "total_sales")}
    assert ours["total_sales"] == Decimal("35.69")
    assert ours["net_sales"] + ours["charges"] == net
    assert ours["net_sales"] == (net if counts_in == "net_sales" else Decimal("21.99"))


@pytest.mark.parametrize("fees", ["abc", [5], ["x"], [{"sum": "1.00"}], [{"total": None}], {"sum": "1.00"}])
def test_an_entry_of_a_list_of_charges_without_an_amount_is_a_fault_and_no_charge_of_nothing(fees: object) -> None:
    described = charging(FEE, fields=fields(total=None, taxes=None))
    assert fault(order(fees=fees), of=described)[1:3] == ("charges.fee", "missing")
    of_nothing = [order(fees=None), order("B", fees=[]), order("C", fees=""), order("D", fees={})]
    assert len(cleaned(*of_nothing, of=described).quarantine) == 0


def test_what_is_said_to_be_empty_is_no_amount_of_a_charge() -> None:
    described = charging(FEE, empty={"charges.fee": ["-"]})
    assert len(cleaned(order(fees=[{"total": "-"}]), of=described).quarantine) == 0


def test_a_refund_with_a_charge_without_an_amount_is_held_alone() -> None:
    described = charging(FEE, back=[FEE])
    given = order(
        fees=[{"total": "3.00", "tax": "0.57"}],
        total="32.13",
        taxes="5.13",
        tax_total="5.13",
        refunds=[refund(fees=[{"sum": 1}])],
    )
    result = cleaned(given, of=described)
    assert rows_of(result.quarantine, "kind", "column_name", "reason") == [("refund", "charges.fee", "missing")]
