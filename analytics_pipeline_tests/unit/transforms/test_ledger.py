"""Events: what was sold, given back and cancelled, each on its own business day."""

from datetime import date
from decimal import Decimal

from analytics_pipeline_tests.unit.transforms.conftest import (
    DAY,
    cleaned,
    fields,
    line,
    money,
    one_mug,
    order,
    refund,
    rows_of,
    shop,
)

EVENT = ("event_number", "event_type", "event_date", "quantity", "returns", "shipping", "taxes")
REFUND_DAY = date(2025, 3, 21)
"""23:30 UTC of the 20th is half past midnight in Berlin."""


def test_a_sale_is_its_lines_and_its_shipping_on_the_order_day() -> None:
    sales = cleaned(order()).sales
    assert rows_of(sales, *EVENT) == [
        (1, "line_sold", DAY, 2, *money("0", "0", "3.61")),
        (2, "shipping_charged", DAY, 0, *money("0", "5", "0.95")),
    ]
    assert rows_of(sales, "gross_sales", "discounts", "net_sales", "total_sales") == [
        money("20", "1", "19", "22.61"),
        money("0", "0", "0", "5.95"),
    ]


def test_an_order_without_shipping_has_no_shipping_event() -> None:
    free = order(shipping="0.00", shipping_tax="0.00", tax_total="3.61", total="22.61")
    assert rows_of(cleaned(free).sales, "event_type") == [("line_sold",)]


def test_a_refund_stands_on_its_own_day_and_is_in_the_order() -> None:
    given = refund(one_mug(), shipping="5.00", shipping_tax="0.95", adjustment="0.50")
    result = cleaned(order(refunds=[given]))
    assert rows_of(result.sales, *EVENT)[2:] == [
        (3, "line_returned", REFUND_DAY, -1, *money("9.5", "0", "-1.8")),
        (4, "shipping_refunded", REFUND_DAY, 0, *money("0", "-5", "-0.95")),
        (5, "adjustment", REFUND_DAY, 0, *money("0.5", "0", "0")),
    ]
    assert rows_of(result.sales, "product_id")[2:] == [("P1",), (None,), (None,)]
    assert rows_of(result.orders, "order_total", "refunded_total") == [money("28.56", "17.75")]
    assert sum(result.sales["total_sales"], Decimal(0)) == Decimal("28.56") - Decimal("17.75")


def test_a_refund_may_give_back_less_than_its_lines_are_worth() -> None:
    result = cleaned(order(refunds=[refund(one_mug(), adjustment="-2.50")]))
    assert rows_of(result.sales, *EVENT)[2:] == [
        (3, "line_returned", REFUND_DAY, -1, *money("9.5", "0", "-1.8")),
        (4, "adjustment", REFUND_DAY, 0, *money("-2.5", "0", "0")),
    ]
    assert rows_of(result.orders, "refunded_total") == [money("8.8")]
    cancelled = cleaned(order(refunds=[refund(one_mug(), adjustment="-2.50")], cancelled_at="2025-03-22T09:00:00Z"))
    assert sum(row[0] for row in rows_of(cancelled.sales, "total_sales")) == 0


def test_refunds_come_in_the_order_of_their_days() -> None:
    later = refund(one_mug(), created_at="2025-03-25T00:00:00Z")
    earlier = refund(one_mug(amount="9.00"), refund_id="R2", created_at="2025-03-12T00:00:00Z")
    days = rows_of(cleaned(order(refunds=[later, earlier])).sales, "event_date", "returns")[2:]
    assert days == [(date(2025, 3, 12), *money("9")), (date(2025, 3, 25), *money("9.5"))]


def test_a_refund_of_shipping_that_contains_tax_is_without_it() -> None:
    given = refund(shipping="5.00", shipping_tax="0.95")
    result = cleaned(order(prices_include_tax=True, total="24.00", refunds=[given]))
    assert rows_of(result.sales, *EVENT)[2] == (3, "shipping_refunded", REFUND_DAY, 0, *money("0", "-4.05", "-0.95"))


def _nets_to_zero(*records: dict[str, object]) -> list[tuple[object, ...]]:
    result = cleaned(*records)
    for name in ("quantity", "net_sales", "shipping", "taxes", "total_sales"):
        assert result.sales[name].sum() == 0, name
    assert rows_of(result.orders, "refunded_total") == rows_of(result.orders, "order_total")
    return rows_of(result.sales, *EVENT)


def test_a_cancelled_order_is_a_sale_on_its_day_and_its_reversal_on_another() -> None:
    assert _nets_to_zero(order(cancelled_at="2025-03-12T08:00:00Z"))[2:] == [
        (3, "line_returned", date(2025, 3, 12), -2, *money("19", "0", "-3.61")),
        (4, "shipping_refunded", date(2025, 3, 12), 0, *money("0", "-5", "-0.95")),
    ]


def test_a_cancellation_reverses_only_what_refunds_have_left() -> None:
    earlier = refund(one_mug(), shipping="5.00", shipping_tax="0.95", created_at="2025-03-11T08:00:00Z")
    assert _nets_to_zero(order(cancelled_at="2025-03-12T08:00:00Z", refunds=[earlier]))[4:] == [
        (5, "line_returned", date(2025, 3, 12), -1, *money("9.5", "0", "-1.81"))
    ]


def test_a_cancellation_takes_an_earlier_adjustment_back() -> None:
    earlier = refund(adjustment="2.00", created_at="2025-03-11T08:00:00Z")
    events = _nets_to_zero(order(cancelled_at="2025-03-12T08:00:00Z", refunds=[earlier]))
    assert events[2] == (3, "adjustment", date(2025, 3, 11), 0, *money("2", "0", "0"))
    assert events[-1] == (6, "adjustment", date(2025, 3, 12), 0, *money("-2", "0", "0"))


def test_a_cancellation_of_what_was_wholly_refunded_adds_nothing() -> None:
    everything = one_mug(quantity=2, amount="19.00", tax="3.61")
    given = refund(everything, shipping="5.00", shipping_tax="0.95", created_at="2025-03-11T08:00:00Z")
    assert len(_nets_to_zero(order(cancelled_at="2025-03-12T08:00:00Z", refunds=[given]))) == 4


def test_events_of_faulty_and_excluded_records_are_in_no_ledger() -> None:
    records = [
        order("BAD", total="1", refunds=[refund(one_mug())], cancelled_at="2025-03-12T08:00:00Z"),
        order("A", refunds=[refund(one_mug())]),
        order("T", is_test=True, refunds=[refund(one_mug())]),
        order("B", cancelled_at="2025-03-12T08:00:00Z"),
    ]
    assert rows_of(cleaned(*records).sales, "order_id", "event_number") == [
        *(("A", number) for number in range(1, 4)),
        *(("B", number) for number in range(1, 5)),
    ]


def test_a_shop_may_map_no_refunds_or_refunds_without_lines() -> None:
    given = order(refunds=[refund(one_mug(), adjustment="2.00")])
    assert len(cleaned(given, of=shop(refunds=None)).sales) == 2
    mapped = {
        "records": "refunds",
        "fields": {"refund_id": "id", "refunded_at": "created_at", "adjustment": "adjustment"},
    }
    assert rows_of(cleaned(given, of=shop(refunds=mapped)).sales, "event_type")[2:] == [("adjustment",)]


def test_events_keep_the_order_of_the_records() -> None:
    mapped = shop(fields=fields(discounts=None, total=None, taxes=None))
    records = [order(f"O{number}", lines=[line(1), line(2)]) for number in range(3)]
    events = rows_of(cleaned(*records, of=mapped).sales, "order_id", "event_number")
    assert events == [(f"O{number}", event) for number in range(3) for event in (1, 2, 3)]
