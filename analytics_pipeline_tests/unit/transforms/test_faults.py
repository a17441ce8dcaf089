"""Why a record goes into quarantine: each reason, and the healthy twin that does not."""

from typing import Any

import pytest

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline_tests.unit.transforms.conftest import (
    cleaned,
    fault,
    fields,
    line,
    line_fields,
    money,
    one_mug,
    order,
    refund,
    rows_of,
    shop,
)

MISSING = "missing"
NOT_AN_AMOUNT = "not an amount with at most four decimals"
NOT_THE_SUM = "does not equal the sum of its parts"

LINE_FAULTS = [
    ({"product_id": None}, "product_id", MISSING, None),
    ({"product_id": ""}, "product_id", MISSING, ""),
    ({"product_id": {"id": 5}}, "product_id", "neither text nor number", "{'id': 5}"),
    ({"quantity": None}, "quantity", MISSING, None),
    ({"quantity": "two"}, "quantity", "not a whole number", "two"),
    ({"quantity": 1.5}, "quantity", "not a whole number", "1.5"),
    ({"quantity": True}, "quantity", "not a whole number", "True"),
    ({"quantity": 10**12}, "quantity", "not a whole number", "1000000000000"),
    ({"quantity": 0}, "quantity", "not above zero for a line with a price", "0"),
    ({"quantity": -2}, "quantity", "not above zero for a line with a price", "-2"),
    ({"unit_price": None}, "unit_price", MISSING, None),
    ({"unit_price": "N/A"}, "unit_price", NOT_AN_AMOUNT, "N/A"),
    ({"unit_price": "-10.00"}, "unit_price", "negative", "-10.00"),
    ({"unit_price": "90000000000", "quantity": 2}, "unit_price", "too large with its quantity", "90000000000"),
    ({"discount": "-1.00"}, "discount", "negative", "-1.00"),
    ({"discount": "1.00001"}, "discount", NOT_AN_AMOUNT, "1.00001"),
    ({"tax": "NaN"}, "tax", NOT_AN_AMOUNT, "NaN"),
    ({"id": None}, "line_id", MISSING, None),
    ({"id": [1]}, "line_id", "neither text nor number", "[1]"),
    ({"title": {"de": "Becher"}}, "title", "neither text nor number", "{'de': 'Becher'}"),
]


@pytest.mark.parametrize(("change", "column", "reason", "value"), LINE_FAULTS)
def test_a_line_that_breaks_a_rule_quarantines_its_order_and_no_other(
    change: dict[str, Any], column: str, reason: str, value: str | None
) -> None:
    bad = order("BAD", lines=[line(1), line(2, **change)])
    assert fault(order("A"), bad, order("B")) == ("clean.order_lines", column, reason, value)


ORDER_FAULTS = [
    ({"updated_at": "yesterday"}, "updated_at", "not a stamp", "yesterday"),
    ({"cancelled_at": 5}, "cancelled_at", "not a stamp", "5"),
    ({"created_at": ""}, "created_at", MISSING, ""),
    ({"customer": {"id": True}}, "customer_id", "neither text nor number", "True"),
    ({"country": ["DE"]}, "country", "neither text nor number", "['DE']"),
    ({"currency": "E"}, "currency", "not a three-letter currency code", "E"),
    ({"currency": "EURO"}, "currency", "not a three-letter currency code", "EURO"),
    ({"currency": 978}, "currency", "not a three-letter currency code", "978"),
    ({"prices_include_tax": "perhaps"}, "prices_include_tax", "neither true nor false", "perhaps"),
    ({"order_discount": "-1.00"}, "order_discount", "negative", "-1.00"),
    ({"shipping": "free"}, "shipping", NOT_AN_AMOUNT, "free"),
    ({"shipping_tax": []}, "shipping_tax", NOT_AN_AMOUNT, "[]"),
    ({"discount_total": "1.01"}, "discounts", NOT_THE_SUM, "1.0100, its parts add up to 1.0000"),
    ({"tax_total": "4.55"}, "taxes", NOT_THE_SUM, "4.5500, its parts add up to 4.5600"),
    ({"total": "28.57"}, "total", NOT_THE_SUM, "28.5700, its parts add up to 28.5600"),
    ({"total": "28.56.1"}, "total", NOT_AN_AMOUNT, "28.56.1"),
]


@pytest.mark.parametrize(("change", "column", "reason", "value"), ORDER_FAULTS)
def test_an_order_that_breaks_a_rule_is_quarantined(
    change: dict[str, Any], column: str, reason: str, value: str | None
) -> None:
    assert fault(order("A"), order("BAD", **change)) == ("clean.orders", column, reason, value)


def test_lists_that_are_none_are_faults_and_empty_ones_are_not() -> None:
    nones: list[object] = [None, {}, "none"]
    for absent in nones:
        assert fault(order(lines=absent))[:3] == ("clean.order_lines", "lines", "not a list")
    nothing_sold = {"discount_total": "0", "tax_total": "0.95", "total": "5.95"}
    assert len(cleaned(order(lines=[], **nothing_sold)).orders) == 1
    assert len(cleaned(order(refunds=None), order("B", refunds=[refund(lines=None)])).orders) == 2


@pytest.mark.parametrize("entry", [None, 5, "line", []])
def test_an_entry_that_is_no_object_is_a_line_without_values(entry: object) -> None:
    assert fault(order(lines=[line(), entry]))[:3] == ("clean.order_lines", "product_id", MISSING)


def test_a_line_id_may_occur_in_many_orders_and_only_once_in_each() -> None:
    twice = order("BAD", lines=[line(), line()])
    assert fault(order("A"), order("B"), twice) == ("clean.order_lines", "line_id", "occurs twice in the order", "1")


def test_a_free_line_may_have_any_quantity() -> None:
    free = {"unit_price": "0.00", "discount": "0.00", "tax": "0.00"}
    result = cleaned(order(lines=[line(), line(2, quantity=0, **free), line(3, quantity=-1, **free)]))
    assert rows_of(result.orders, "units", "gross_sales") == [(1, *money("20"))]


REFUND_FAULTS = [
    (refund(created_at=None), "refunded_at", MISSING, None),
    (refund(created_at="soon"), "refunded_at", "not a stamp", "soon"),
    (refund(shipping="x"), "shipping", NOT_AN_AMOUNT, "x"),
    (refund(shipping="-1"), "shipping", "negative", "-1"),
    (refund(shipping_tax="-1"), "shipping_tax", "negative", "-1"),
    (refund(adjustment="-0.01"), "adjustment", "negative", "-0.01"),
    (refund(one_mug(), adjustment="-11.31"), "adjustment", "negative", "-11.31"),
    (refund(one_mug(line_id=7)), "line_id", "refund of a line that the order lacks", "7"),
    (refund(one_mug(line_id=None)), "line_id", "refund of a line that the order lacks", None),
    (refund(one_mug(quantity=None)), "quantity", MISSING, None),
    (refund(one_mug(quantity="one")), "quantity", "not a whole number", "one"),
    (refund(one_mug(quantity=-1)), "quantity", "negative", "-1"),
    (refund(one_mug(amount=None)), "amount", MISSING, None),
    (refund(one_mug(amount="9.50001")), "amount", NOT_AN_AMOUNT, "9.50001"),
    (refund(one_mug(amount="-9.50")), "amount", "negative", "-9.50"),
    (refund(one_mug(tax="-1.80")), "tax", "negative", "-1.80"),
]


@pytest.mark.parametrize(("given", "column", "reason", "value"), REFUND_FAULTS)
def test_a_refund_that_breaks_a_rule_is_quarantined_and_its_order_is_clean(
    given: dict[str, Any], column: str, reason: str, value: str | None
) -> None:
    healthy = order("A", refunds=[refund(one_mug(), one_mug())])
    result = cleaned(healthy, order("BAD", refunds=[given]))
    assert rows_of(result.quarantine, "order_id", "kind", "column_name", "reason", "value") == [
        ("BAD", "refund", column, reason, value)
    ]
    assert rows_of(result.orders, "order_id", "has_quarantined_events", "refunded_total") == [
        ("A", False, *money("22.6")),
        ("BAD", True, *money("0")),
    ]


def test_an_order_wide_amount_without_lines_is_a_fault() -> None:
    mapped = shop(fields=fields(discounts=None, total=None, taxes=None))
    assert fault(order(lines=[], order_discount="2.00"), of=mapped)[1:] == (
        "discount",
        "has no lines to spread over",
        "2.0000",
    )


def test_a_tax_above_the_price_that_contains_it_is_a_fault() -> None:
    mapped = shop(fields=fields(discounts=None, total=None, taxes=None))
    inclusive = order("BAD", prices_include_tax=True, lines=[line(tax="19.50")])
    healthy = order("A", prices_include_tax=True)
    assert fault(healthy, inclusive, of=mapped) == ("clean.order_lines", "gross_sales", "less than zero", "-0.5263")


def test_a_rate_is_needed_only_where_nothing_else_reports_it() -> None:
    mapped = shop(fields=fields(discounts=None, total=None, taxes=None))

    def inclusive(order_id: str, discount: str, rate: object) -> dict[str, Any]:
        taxed = line(discount=discount, tax="0.00" if discount == "20.00" else "1.00", tax_rate=rate)
        return order(order_id, prices_include_tax=True, lines=[taxed])

    healthy = [inclusive("A", "1.00", "?"), inclusive("B", "20.00", None), inclusive("C", "20.00", "0.07")]
    for rate in ("?", "19", 1, "-0.19", True, "NaN", "1E+999999999"):
        found = fault(*healthy, inclusive("BAD", "20.00", rate), of=mapped)
        assert found == ("clean.order_lines", "tax_rate", "no rate from 0 up to 1", str(rate))


def test_a_cancelled_total_below_zero_is_a_fault() -> None:
    below = {"discount_total": "40.00", "total": "-10.44", "lines": [line(discount="40.00")]}
    cancelled = order("BAD", cancelled_at="2025-03-12T00:00:00Z", **below)
    assert fault(order("A", **below), cancelled)[1:3] == ("cancelled_at", "cancelled with a total below zero")


@pytest.mark.parametrize("payload", ["[]", "5", '"order"', "null", '{"lines": }'])
def test_a_record_that_is_no_object_or_cannot_be_decoded_is_quarantined(payload: str) -> None:
    assert fault(order("A"), payload) == ("clean.orders", "payload", "not an object that can be read", None)


def test_a_path_that_cannot_be_looked_up_names_its_order_and_stops_no_other() -> None:
    strange = order("BAD", country=5, lines=[line(title=7)])
    for mapped, column in (
        (shop(fields=fields(country="length(country)")), "country"),
        (shop(fields=fields(email="country > 'A' && email")), "email"),
        (shop(lines=line_fields(title="starts_with(title, 'M') && title")), "title"),
        (shop(exclude=[{"when": "starts_with(country, 'X')", "reason": "test_order"}]), "reason"),
        (shop(returns_when="contains(country, 'X')"), "is_credit_note"),
    ):
        result = cleaned(order("A"), strange, of=mapped)
        assert rows_of(result.quarantine, "order_id", "column_name", "reason") == [
            ("BAD", column, "its path cannot be looked up")
        ]
        assert rows_of(result.orders, "order_id") == [("A",)]


def test_an_excluded_record_is_never_quarantined_whatever_is_wrong_with_it() -> None:
    result = cleaned(order("A"), order("T", is_test=True, currency="E", lines=None, total="7.00"))
    assert rows_of(result.exclusions, "order_id", "reason", "currency", "order_total") == [
        ("T", "test_order", None, *money("7"))
    ]
    assert len(result.quarantine) == 0


def test_the_first_rule_that_matches_gives_the_reason() -> None:
    rules = [{"when": "country == 'FR'", "reason": "french"}, {"when": "is_test", "reason": "test_order"}]
    result = cleaned(
        order("A"), order("B", is_test=True), order("C", is_test=True, country="FR"), of=shop(exclude=rules)
    )
    assert rows_of(result.exclusions, "order_id", "reason") == [("B", "test_order"), ("C", "french")]


def test_the_first_fault_is_kept_with_the_money_at_risk_and_the_record_as_sent() -> None:
    result = cleaned(order("BAD", lines=[line(quantity=None, unit_price="N/A")], total="77.70"))
    assert rows_of(result.quarantine, "column_name", "money_at_risk", "currency") == [
        ("unit_price", *money("77.70"), "EUR")
    ]
    assert '"N/A"' in rows_of(result.quarantine, "payload")[0][0]


def test_money_at_risk_is_computed_where_the_shop_gives_no_total_and_null_where_it_cannot_be() -> None:
    mapped = shop(fields=fields(total=None))
    bad = order("A", currency="?"), order("B", lines=[line(unit_price="?")]), order("C", lines=[line(quantity=None)])
    result = cleaned(*bad, of=mapped)
    assert rows_of(result.quarantine, "order_id", "money_at_risk") == [("A", *money("28.56")), ("B", None), ("C", None)]


def test_an_offending_value_is_cut_and_holds_no_zero_character() -> None:
    value = fault(order(currency="\x00" + "x" * 500))[3]
    assert value == "\ufffd" + "x" * 199


def test_no_rule_leaves_out_a_row_of_a_file_that_cannot_be_read() -> None:
    of_files = Shop.model_validate(
        {
            "name": "files",
            "timezone": "Europe/Berlin",
            "currency": "EUR",
            "first_day": "2025-01-01",
            "files": {"folder": "incoming"},
            "orders": {
                "files": "*.csv",
                "exclude": [{"when": "price == `null`", "reason": "without_price"}],
                "fields": {"created_at": "date"},
                "lines": {"fields": {"product_id": "'all'", "quantity": "`1`", "unit_price": "price"}},
            },
        }
    )
    row = {"date": "2025-03-10", "_line": 2}
    lacking = {"id": "A", "_id": "A", **row, "price": None, "rows": [{**row, "price": None}]}
    broken = {"id": "B", "_id": "B", "_unreadable": "the row has fewer columns than the header", **row, "rows": [row]}
    result = cleaned(lacking, broken, of=of_files)
    assert rows_of(result.exclusions, "order_id", "reason") == [("A", "without_price")]
    assert rows_of(result.quarantine, "order_id", "reason") == [
        ("B", "of a row of a file: the row has fewer columns than the header")
    ]
