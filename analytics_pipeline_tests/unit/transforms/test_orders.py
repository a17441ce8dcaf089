"""Healthy records: what orders, lines and the newest versions become."""

from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pandas as pd
import pytest

from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline.transforms.version import code_version
from analytics_pipeline_tests.unit.transforms.conftest import (
    EMAILS,
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
    refunds_with,
    rows_of,
    shop,
)

AMOUNTS = ("gross_sales", "discounts", "returns", "shipping", "taxes", "order_total", "refunded_total")
LINE_AMOUNTS = ("gross_sales", "discounts", "net_sales", "taxes")
UNCHECKED = fields(discounts=None, total=None, taxes=None)


def test_an_order_becomes_one_row_with_the_sums_of_its_lines() -> None:
    two = order(lines=[line(), line(2, quantity="1", discount=None)], discount_total=1, tax_total=8.17, total="42.17")
    result = cleaned(two)
    assert rows_of(result.orders, "units", *AMOUNTS) == [(3, *money("30", "1", "0", "5", "8.17", "42.17", "0"))]
    assert rows_of(result.order_lines, "line_id", "quantity", *LINE_AMOUNTS) == [
        ("1", 2, *money("20", "1", "19", "3.61")),
        ("2", 1, *money("10", "0", "10", "3.61")),
    ]


def test_an_empty_slice_gives_empty_tables_of_the_right_types() -> None:
    empty = raw_rows([order()]).iloc[:0]
    for mapped in (shop(), shop(refunds=None, exclude=None), shop(lines=line_fields(tax=None, line_id=None))):
        result = clean_orders(empty, mapped)
        fits_contracts(result)
        assert result.accounting.raw_records == len(result.orders) == len(result.sales) == len(result.quarantine) == 0


def test_a_slice_of_faulty_and_excluded_records_only_has_no_clean_rows() -> None:
    result = cleaned(order("BAD", total="1"), order("T", is_test=True))
    assert [len(rows) for rows in (result.orders, result.order_lines, result.sales)] == [0, 0, 0]
    assert [len(rows) for rows in (result.quarantine, result.exclusions)] == [1, 1]


def test_the_raw_rows_are_not_changed() -> None:
    raw = raw_rows([order(), order(total="1"), order("B", refunds=[refund(adjustment="1")])])
    before = raw.copy(deep=True)
    clean_orders(raw, shop())
    pd.testing.assert_frame_equal(raw, before)


def test_a_part_of_a_larger_frame_is_cleaned_like_a_frame_of_its_own() -> None:
    raw = raw_rows([order(f"O{number}") for number in range(6)])
    assert rows_of(clean_orders(raw.iloc[4:], shop()).orders, "order_id") == [("O4",), ("O5",)]


def test_the_newest_change_wins_whatever_came_last() -> None:
    old = order(updated_at="2025-03-10T09:00:00Z", country="AT")
    new = order(updated_at="2025-03-11T10:00:00+01:00", country="DE")
    for records in ([old, new], [new, old]):
        result = clean_orders(raw_rows([order("B"), *records]), shop())
        assert rows_of(result.orders, "order_id", "country") == [("B", "DE"), ("A", "DE")]
        assert (result.accounting.raw_records, result.accounting.raw_orders) == (3, 2)


def test_of_equal_changes_the_latest_extraction_wins_and_a_stamp_beats_none() -> None:
    first, second = order(country="AT"), order(country="DE")
    for records, minutes in (([first, second], [1, 2]), ([second, first], [2, 1])):
        assert rows_of(clean_orders(raw_rows(records, minutes=minutes), shop()).orders, "country") == [("DE",)]
    unstamped = order(updated_at=None, country="AT")
    assert rows_of(clean_orders(raw_rows([unstamped, first], minutes=[5, 1]), shop()).orders, "updated_at") != [(None,)]
    without = shop(fields=fields(updated_at=None))
    assert rows_of(clean_orders(raw_rows([first, second], minutes=[2, 1]), without).orders, "country") == [("AT",)]


def test_a_customer_is_its_id_else_its_address_else_unknown() -> None:
    guest = {"customer": None}
    result = cleaned(
        order("A"),
        order("B", **guest, email=" Ada@EXAMPLE.com "),
        order("C", **guest, email="ada@example.com"),
        order("D", **guest, email=None),
        order("E", customer={"id": 7}),
    )
    key = f"email:{EMAILS.hash('ada@example.com')}"
    assert rows_of(result.orders, "customer_key") == [("C1",), (key,), (key,), (None,), ("7",)]
    assert rows_of(result.sales, "customer_key")[::2] == [("C1",), (key,), (key,), (None,), ("7",)]


def test_a_currency_may_be_absent_or_in_small_letters() -> None:
    result = cleaned(order("A", currency=None), order("B", currency="usd"))
    assert rows_of(result.orders, "currency") == [("EUR",), ("USD",)]
    assert rows_of(cleaned(order(currency="USD"), of=shop(fields=fields(currency=None))).orders, "currency") == [
        ("EUR",)
    ]


def test_json_numbers_are_as_exact_as_decimal_strings() -> None:
    payload = (
        '{"id": "A", "created_at": "2025-03-10T09:00:00Z", "lines": [{"id": 1, "product_id": 5, "quantity": 3.0, '
        '"unit_price": 0.1, "discount": 0.0, "tax": 0.0577}], "shipping": 1, "tax_total": 0.0577, "total": 1.3577}'
    )
    result = cleaned(payload)
    assert rows_of(result.orders, *AMOUNTS) == [money("0.3", "0", "0", "1", "0.0577", "1.3577", "0")]


def test_an_order_wide_discount_is_spread_by_what_the_lines_cost_after_their_own() -> None:
    lines = [line(1, discount="10.00"), line(2, discount="0.00"), line(3, discount="0.00", unit_price="0.00")]
    result = cleaned(order(lines=lines, order_discount="1.00"), of=shop(fields=UNCHECKED))
    assert rows_of(result.order_lines, "discounts") == [money("10.3333"), money("0.6667"), money("0")]


@pytest.mark.parametrize("seed", range(20))
def test_order_wide_amounts_are_in_the_lines_to_the_last_decimal(seed: int) -> None:
    random = Random(seed)  # noqa: S311  # cases, not secrets
    records = []
    for number in range(10):
        lines = [
            line(
                place,
                quantity=random.randrange(1, 9),
                unit_price=f"{random.randrange(1, 9999) / 100:.2f}",
                discount="0",
            )
            for place in range(random.randrange(1, 9))
        ]
        discount, taxes = f"{random.randrange(1000) / 10000:.4f}", f"{random.randrange(9999) / 100 + 1:.2f}"
        records.append(
            order(f"O{number}", lines=lines, order_discount=discount, discount_total=discount, tax_total=taxes)
        )
    mapped = shop(lines=line_fields(tax=None), fields=fields(total=None))
    result = cleaned(*records, of=mapped)
    sums = result.order_lines.groupby("order_id")[["discounts", "taxes"]].sum()
    for record in records:
        assert sums["discounts"][record["id"]] == Decimal(str(record["order_discount"]))
        assert sums["taxes"][record["id"]] + Decimal("0.95") == Decimal(str(record["tax_total"]))


def test_taxes_of_the_order_are_spread_where_lines_carry_none_and_shipping_keeps_its_own() -> None:
    mapped = shop(lines=line_fields(tax=None), fields=fields(total=None))
    result = cleaned(order(tax_total="4.56"), order("B", tax_total=None), order("C", tax_total="0.95"), of=mapped)
    assert rows_of(result.order_lines, "taxes") == [money("3.61"), money("0"), money("0")]
    assert rows_of(result.orders, "taxes") == [money("4.56"), money("0.95"), money("0.95")]


def test_lines_without_an_id_are_counted_from_one_in_each_order() -> None:
    mapped = shop(lines=line_fields(line_id=None), fields=UNCHECKED)
    result = cleaned(order("A", lines=[line(), line()]), order("B", lines=[]), order("C"), of=mapped)
    assert rows_of(result.order_lines, "order_id", "line_id") == [("A", "1"), ("A", "2"), ("C", "1")]


INCLUSIVE = [
    ("11.90", "0", "1.90", "10.0000", "0", "10.0000"),
    ("11.99", "0", "1.91", "10.0800", "0", "10.0800"),
    ("11.90", "1.19", "1.71", "10.0000", "1.0000", "9.0000"),
    ("10.00", "3.33", "1.07", "8.3958", "2.7958", "5.6000"),
    ("11.90", "11.90", "0", "10.0000", "10.0000", "0.0000"),
    ("0.00", "0.00", "0", "0", "0", "0"),
]


@pytest.mark.parametrize("amounts", INCLUSIVE)
def test_gross_sales_never_contain_tax(amounts: tuple[str, ...]) -> None:
    price, discount, tax, gross, discounts, net = amounts
    lines = [line(quantity=1, unit_price=price, discount=discount, tax=tax)]
    result = cleaned(order(lines=lines, prices_include_tax="true"), of=shop(fields=UNCHECKED))
    assert rows_of(result.order_lines, *LINE_AMOUNTS) == [money(gross, discounts, net, tax)]
    assert rows_of(result.orders, "shipping") == [money("4.05")]
    excluding = cleaned(order(lines=lines), of=shop(fields=UNCHECKED))
    assert rows_of(excluding.order_lines, "gross_sales", "discounts") == [money(price, discount)]
    assert rows_of(excluding.orders, "shipping") == [money("5")]


def test_a_shop_may_mix_orders_with_and_without_tax_in_their_prices() -> None:
    inclusive = order("B", prices_include_tax=True, total="24.00")
    result = cleaned(order("A"), inclusive, order("C"))
    assert rows_of(result.orders, "gross_sales", "discounts", "order_total") == [
        money("20", "1", "28.56"),
        money("16.20", "0.81", "24.00"),
        money("20", "1", "28.56"),
    ]


def test_a_credit_note_is_goods_taken_back_on_its_own_day() -> None:
    note = order("N", type="credit_note", lines=[line(quantity=-2, discount="-1.00", tax="-3.61")])
    result = cleaned(order("A"), note, of=shop(returns_when="type == 'credit_note'", fields=UNCHECKED))
    assert rows_of(result.orders, "is_credit_note", "units", "gross_sales", "returns") == [
        (False, 2, *money("20", "0")),
        (True, -2, *money("0", "19")),
    ]
    kinds = rows_of(result.sales, "order_id", "event_type", "quantity", "gross_sales", "returns", "net_sales", "taxes")
    assert kinds[2] == ("N", "line_returned", -2, *money("0", "19", "-19", "-3.61"))


def test_a_credit_note_with_goods_sold_is_a_fault_and_so_is_one_that_takes_money() -> None:
    mapped = shop(returns_when="type == 'credit_note'", fields=UNCHECKED)
    sold = order("N", type="credit_note")
    odd = order("O", type="credit_note", lines=[line(quantity=-1, discount="-50.00")])
    result = cleaned(sold, odd, of=mapped)
    assert rows_of(result.quarantine, "column_name", "reason") == [
        ("quantity", "not below zero in a credit note"),
        ("returns", "less than zero"),
    ]


def test_no_personal_data_stands_in_clean_tables() -> None:
    result = cleaned(order(), order("B", customer=None), order("BAD", total="1"), order("T", is_test=True))
    for rows in (
        result.orders,
        result.order_lines,
        result.sales,
        result.exclusions,
        result.quarantine.drop(columns="payload"),
    ):
        assert "example.com" not in rows.to_csv()


def test_orders_and_their_refunds_may_write_stamps_otherwise_than_the_shop() -> None:
    back = refund(one_mug(), created_at="Thu, 20 Mar 2025 23:30:00 +0000")
    refunds = refunds_with() | {"times": {"format": "rfc2822"}}
    of = shop(times={"format": "unix_seconds"}, refunds=refunds, fields=fields(updated_at=None))
    result = cleaned(order(created_at=1741597200, refunds=[back]), of=of)
    assert rows_of(result.orders, "ordered_at") == [(datetime(2025, 3, 10, 9, tzinfo=UTC),)]
    assert [str(day) for (day,) in rows_of(result.sales, "event_date")] == ["2025-03-10", "2025-03-10", "2025-03-21"]
    assert code_version(of) != code_version(shop(refunds=refunds, fields=fields(updated_at=None)))
