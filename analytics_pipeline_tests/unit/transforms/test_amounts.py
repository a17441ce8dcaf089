"""Amounts as shops write them: in minor units, with too many decimals, of whole lines, and totals a cent off."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_pipeline.shop.money import Money
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.amounts import AmountReader, Amounts, Rounded
from analytics_pipeline.transforms.currencies import EXPONENTS
from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline.transforms.values import Column, money_column
from analytics_pipeline_tests.unit.transforms.conftest import (
    cleaned,
    fault,
    fields,
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

UNCHECKED = fields(discounts=None, total=None, taxes=None)
BY_LINES = line_fields(unit_price=None, line_total="line_total")


def paid(of: Shop | None = None, **said: Any) -> Shop:  # noqa: ANN401  # YAML
    """The demo shop, or another one, with what is said of its amounts."""
    return (of or shop()).model_copy(update={"money": Money.model_validate(said)})


def minor(currency: str, scale: int, **changes: object) -> dict[str, Any]:
    """The healthy order in whole minor units, `scale` of them for one unit."""
    sold = line(unit_price=10 * scale, discount=scale, tax=3 * scale)
    amounts = {"order_discount": 0, "discount_total": scale, "shipping": 5 * scale, "shipping_tax": scale}
    totals = {"tax_total": 4 * scale, "total": 28 * scale}
    return order("A", currency=currency, lines=[sold], **(amounts | totals | changes))


@pytest.mark.parametrize(("currency", "scale"), [("EUR", 100), ("JPY", 1), ("KWD", 1000), ("CLF", 10_000)])
def test_minor_units_are_those_of_the_records_currency(currency: str, scale: int) -> None:
    given_back = refund(one_mug(amount=9 * scale, tax=scale), shipping=0, shipping_tax=0, adjustment=scale)
    result = cleaned(minor(currency, scale, refunds=[given_back]), of=paid(unit="minor"))
    names = ("currency", "gross_sales", "discounts", "shipping", "taxes", "order_total", "refunded_total", "rounding")
    assert rows_of(result.orders, *names) == [(currency, *money("20", "1", "5", "4", "28", "11", "0"))]
    assert rows_of(result.order_lines, "unit_price") == [money("10")]


def test_minor_units_may_be_texts_and_mixed_currencies_stand_side_by_side() -> None:
    records = [minor("EUR", 100, total="2800") | {"id": "A"}, minor("JPY", 1) | {"id": "B"}]
    assert rows_of(cleaned(*records, of=paid(unit="minor")).orders, "order_total") == [money("28")] * 2


@pytest.mark.parametrize("currency", ["XAU", "BTC"])
def test_a_currency_without_a_known_minor_unit_is_a_fault_where_it_is_needed(currency: str) -> None:
    reason = "no currency with a minor unit that is known"
    assert fault(minor(currency, 100), of=paid(unit="minor"))[1:] == ("currency", reason, currency)
    assert len(cleaned(order(currency=currency)).orders) == 1


def test_every_minor_unit_fits_the_decimals_of_an_amount() -> None:
    assert {EXPONENTS[code] for code in ("EUR", "JPY", "KWD", "CLF")} == {0, 2, 3, 4}
    assert len(EXPONENTS) > 150  # all that are in use
    assert all(len(code) == 3 for code in EXPONENTS)  # ISO 4217


def noisy(**changes: object) -> dict[str, Any]:
    """The healthy order as 32-bit floats would have it."""
    sold = line(unit_price="10.000001", discount="0.9999998", tax="3.61")
    return order("A", lines=[sold], total="28.560002", tax_total="4.5600001", **changes)


def test_float_noise_is_a_fault_unless_amounts_are_rounded_and_then_it_is_counted() -> None:
    assert fault(noisy())[2] == "not an amount with at most four decimals"
    result = cleaned(noisy(), of=paid(round_to=2))
    assert rows_of(result.orders, "gross_sales", "discounts", "order_total", "rounding") == [
        money("20", "1", "28.56", "0")
    ]
    assert (result.accounting.rounded_amounts, result.accounting.rounded_by) == (4, Decimal("0.0000043"))


@pytest.mark.parametrize(
    ("rounding", "shipping"), [("half_up", "5.13"), ("half_even", "5.12"), ("down", "5.12"), (None, "5.13")]
)
def test_halves_are_rounded_as_the_description_says(rounding: str | None, shipping: str) -> None:
    of = paid(round_to=2, rounding=rounding) if rounding else paid(round_to=2)
    result = cleaned(order(shipping="5.125", total=None), of=of)
    assert rows_of(result.orders, "shipping") == [money(shipping)]


@pytest.mark.parametrize(("currency", "shipping"), [("EUR", "5.12"), ("JPY", "5"), ("KWD", "5.123")])
def test_amounts_may_be_rounded_to_the_decimals_of_their_currency(currency: str, shipping: str) -> None:
    sold = line(discount="0", tax="0")
    record = order(currency=currency, lines=[sold], shipping="5.1234", shipping_tax="0", total=None)
    result = cleaned(record, of=paid(shop(fields=UNCHECKED), round_to="currency"))
    assert rows_of(result.orders, "shipping") == [money(shipping)]


def test_the_value_of_a_line_is_rounded_and_not_its_price() -> None:
    sold = line(quantity=3, unit_price="3.3333333333333335", discount="0", tax="0")
    screws = line(2, quantity=100, unit_price="0.0577", discount="0", tax="0")
    result = cleaned(order(lines=[sold, screws]), of=paid(shop(fields=UNCHECKED), round_to=2))
    assert rows_of(result.order_lines, "unit_price", "gross_sales") == [money("3.3333", "10"), money("0.0577", "5.77")]


def test_a_total_within_the_tolerance_is_clean_and_the_difference_is_booked() -> None:
    records = [order("A", total="28.57"), order("B", total="28.55"), order("C"), order("D", total="28.58")]
    result = cleaned(*records, of=paid(tolerance="0.01"))
    assert rows_of(result.orders, "order_id", "order_total", "rounding") == [
        ("A", *money("28.56", "0.01")),
        ("B", *money("28.56", "-0.01")),
        ("C", *money("28.56", "0")),
    ]
    assert rows_of(result.quarantine, "order_id", "reason") == [("D", "does not equal the sum of its parts")]
    assert result.accounting.tolerated_orders == 2  # A and B
    assert result.accounting.clean_money == {"EUR": Decimal("85.68")}
    assert len(cleaned(*records[:2]).quarantine) == 2  # both, without a tolerance


def test_the_balance_of_days_has_what_the_shop_stated() -> None:
    result = cleaned(order("A", total="28.57"), order("B", total="28.59"), of=paid(tolerance="0.02"))
    names = ("raw_money", "clean_money", "quarantined_money")
    assert rows_of(result.balances, *names) == [money("57.16", "28.57", "28.59")]


def test_the_total_of_a_line_stands_for_its_price_and_keeps_the_units() -> None:
    sold = line(quantity=3, line_total="10.00", discount="0", tax="0")
    result = cleaned(order(lines=[sold]), of=shop(lines=BY_LINES, fields=UNCHECKED))
    assert rows_of(result.order_lines, "quantity", "unit_price", "gross_sales") == [(3, None, *money("10"))]
    assert rows_of(result.orders, "units") == [(3,)]


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"line_total": None}, "line_total", "missing"),
        ({"line_total": "?"}, "line_total", "not an amount with at most four decimals"),
        ({"line_total": "-1"}, "line_total", "negative"),
        ({"line_total": "20", "quantity": 0}, "quantity", "not above zero for a line with a price"),
    ],
)
def test_a_line_total_that_cannot_be_is_a_fault(change: dict[str, object], column: str, reason: str) -> None:
    bad = order("B", lines=[line(line_total="20.00") | change])
    good = order("A", lines=[line(line_total="20.00")])
    assert fault(good, bad, of=shop(lines=BY_LINES))[1:3] == (column, reason)


def test_the_lines_of_a_credit_note_have_totals_below_zero() -> None:
    of = shop(lines=BY_LINES, fields=UNCHECKED, returns_when="is_return")
    back = line(quantity=-2, line_total="-20.00", discount="0", tax="0")
    note: dict[str, object] = {"is_return": True, "shipping": "0", "shipping_tax": "0"}
    assert rows_of(cleaned(order("A", lines=[back], **note), of=of).orders, "returns", "units") == [(Decimal(20), -2)]
    forth = back | {"line_total": "373.57"}
    assert fault(order("A", lines=[forth], **note), of=of)[1:3] == ("line_total", "not below zero in a credit note")


@pytest.mark.parametrize("both", [{"line_total": "line_total"}, {"unit_price": None}])
def test_exactly_one_of_price_and_total_is_mapped(both: dict[str, str | None]) -> None:
    with pytest.raises(ValueError, match="give unit_price, the price of one unit, or line_total"):
        shop(lines=line_fields(**both))


@pytest.mark.parametrize("said", [{"tolerance": "-1"}, {"tolerance": "0.00001"}, {"tolerance": "x"}, {"round_to": 5}])
def test_what_is_said_of_amounts_is_looked_at_when_it_is_read(said: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(said))):
        Money.model_validate(said)


amounts = st.one_of(
    st.decimals(-1, 100, places=2).map(str),
    st.integers(0, 9_999),
    st.decimals(0, 100, places=6).map(float),
    st.sampled_from([None, "", "x", "1e400", "-0.00", "٣", True, [], {"a": 1}, "1_0", 10**30, "0." + "1" * 90]),
)
lines = st.fixed_dictionaries({}, optional=dict.fromkeys(("unit_price", "line_total", "discount", "tax"), amounts))
quantities = st.one_of(st.integers(-2, 9), st.sampled_from([None, "2", "1.5", "x", 10**20]))


def test_whatever_amounts_come_each_record_is_clean_or_in_quarantine_and_the_balance_holds() -> None:
    described = [
        paid(shop(lines=lines_by, fields=UNCHECKED), **said)
        for lines_by in (line_fields(), BY_LINES, line_fields(discount="sub(unit_price, discount || 0)"))
        for said in ({}, {"unit": "minor"}, {"round_to": "currency", "rounding": "half_even"}, {"round_to": 2})
    ]

    def is_explained(of: Shop, sold: list[Any], units: list[Any], currency: str, total: object) -> None:
        listed = [line(n) | one | {"quantity": count} for n, (one, count) in enumerate(zip(sold, units, strict=False))]
        result = cleaned(order("A", lines=listed, currency=currency, total=total, shipping=total), order("B"), of=of)
        assert len(result.orders) + len(result.quarantine) == 2  # both of them

    drawn = settings(max_examples=40, deadline=None, derandomize=True, database=None)
    some = st.lists(lines, max_size=3), st.lists(quantities, min_size=3, max_size=3)
    currencies = st.sampled_from(["EUR", "JPY", "KWD", "XAU"])
    drawn(given(st.sampled_from(described), *some, currencies, amounts)(is_explained))()


FEW_PLACES, MANY_PLACES = (
    st.decimals(-(10**12), 10**12, places=places, allow_nan=False).map(lambda amount: f"{amount:f}")
    for places in (3, 19)
)
WHOLE = st.integers(-(10**13), 10**13)
ODD = st.one_of(
    FEW_PLACES,
    MANY_PLACES,
    WHOLE,
    st.decimals(-9, 9, places=30),
    st.sampled_from(["x", "", " 1.5 ", False, True, [], {}, "1e2", "2.5e-9", Decimal("1E+3")]),
    st.sampled_from([10**30, "1e400", "٣", "0." + "1" * 70]),
)
HALVES = st.sampled_from(["0.5", "-2.5", "0.125", "-0.375", "1.005", "-12.34565", "250", "-50"])
COLUMNS = [st.none() | values for values in (HALVES, WHOLE, FEW_PLACES, MANY_PLACES, WHOLE.map(str), ODD)]
UNITS = [st.integers(-9, 99), st.none() | st.sampled_from([1, "2", "1.5", "x", 10**11, Decimal(3)])]
CODES = st.sampled_from(["EUR", "JPY", "KWD", "CLF", "XAU", ""])
SAID = [
    Money.model_validate({"unit": unit, "round_to": places, "rounding": rounding})
    for unit in ("major", "minor")
    for places in (None, 0, 2, 4, "currency")
    for rounding in ("half_up", "half_even", "down")
][3:]  # without the three that take amounts as they are


def is_as_one_by_one(said: Money, rows: list[tuple[Any, Any, str]]) -> None:
    """Hold columns of amounts, units and currencies against the same read one by one."""
    values, counts, codes = ([row[place] for row in rows] for place in range(3))
    rounded = Rounded()
    one = AmountReader(said, rounded)
    read = Amounts(shop().model_copy(update={"money": said}), codes[::-1])
    owned = read.of(range(len(rows))[::-1])

    def same(found: Column, expected: list[object]) -> None:
        typed, bad = money_column(expected)
        assert (found[0].tolist(), found[1]) == (typed.tolist(), bad)
        assert (read.rounded.amounts, read.rounded.by) == (rounded.amounts, rounded.by)

    same(owned.money(values), [one.amount(value, code) for value, code in zip(values, codes, strict=True)])
    same(owned.prices(values), [one.price(value, code) for value, code in zip(values, codes, strict=True)])
    same(owned.products(values, counts), [one.value(*row) for row in rows])


def test_columns_of_amounts_are_what_they_are_one_by_one() -> None:
    drawn = settings(max_examples=200, deadline=None, derandomize=True, database=None)
    rows = st.one_of([st.lists(st.tuples(values, units, CODES), max_size=6) for values in COLUMNS for units in UNITS])
    drawn(given(st.sampled_from(SAID), rows)(is_as_one_by_one))()


def test_whatever_is_read_as_money_is_in_units_of_the_records_currency() -> None:
    of = paid(shop(extra={"fee": {"path": "fee", "type": "money"}}), unit="minor")
    records = [minor("EUR", 100, fee=1234) | {"id": "A"}, minor("JPY", 1, fee=1234, total="?") | {"id": "B"}]
    records.append(minor("KWD", 1000, fee=1234) | {"id": "C"})
    assert rows_of(clean_orders(raw_rows(records), of).orders, "order_id", "extra_fee") == [
        ("A", *money("12.34")),
        ("C", *money("1.234")),
    ]
