"""Which segment is told to carry a difference, on rows made for the purpose."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from analytics_pipeline.anomalies.explanation import Difference, Part, Segment, carrier, cause, headline, is_inside
from analytics_pipeline.anomalies.metrics import METRICS, Unit

DAY = date(2025, 3, 3)
EARLIER = [DAY - timedelta(weeks=week) for week in range(1, 5)]
METRIC = {metric.name: metric for metric in METRICS}
HUNDRED = Decimal(100)


def order(day: date, number: int, gross: str, **more: str) -> Part:
    """An order of one day: every third from abroad, every second of a returning customer."""
    segments = {
        "order": f"{day}-{number}",
        "customer": more.get("customer", f"c{number}"),
        "country": more.get("country", "AT" if number % 3 == 0 else "DE"),
        "customer kind": "returning" if number % 2 else "new",
        "discount": more.get("discount", "no discount"),
    }
    amounts = {"orders": "1", "gross_sales": gross, "discounts": "0", "returns": "0"}
    changed = {name: Decimal(more.get(name, value)) for name, value in amounts.items()}
    return Part(day, segments, changed)


def usual_days(numbers: Iterable[int] = range(1, 11)) -> list[Part]:
    return [order(day, number, "100") for day in EARLIER for number in numbers]


def usual(numbers: Iterable[int] = range(1, 11), gross: str = "100") -> list[Part]:
    return [order(DAY, number, gross) for number in numbers]


def difference(metric: str, value: str, expected: str) -> Difference:
    return Difference(METRIC[metric], DAY, Decimal(value), Decimal(expected))


def test_one_big_order_carries_what_is_above() -> None:
    parts = [*usual_days(), *usual(), order(DAY, 11, "5000")]
    found = carrier(difference("gross_sales", "6000", "1000"), parts, EARLIER)
    assert found == Segment("order", "2025-03-03-11", Decimal(5000), Decimal(1))


def test_a_country_that_is_missing_carries_what_is_below() -> None:
    parts = [*usual_days(), *(part for part in usual() if part.segments["country"] == "DE")]
    found = carrier(difference("gross_sales", "700", "1000"), parts, EARLIER)
    assert found == Segment("country", "AT", Decimal(-300), Decimal(1))


def test_a_drop_of_everything_is_carried_by_nothing_though_most_of_it_is_the_largest_countrys() -> None:
    parts = [*usual_days(), *usual(gross="50")]
    assert carrier(difference("gross_sales", "500", "1000"), parts, EARLIER) is None


def test_the_narrowest_segment_is_reported_a_customer_before_its_country() -> None:
    bought = [order(DAY, number, "300", customer="bulk", country="FR") for number in range(20, 25)]
    found = carrier(difference("gross_sales", "2500", "1000"), [*usual_days(), *usual(), *bought], EARLIER)
    assert found is not None
    assert (found.kind, found.name, found.share) == ("customer", "bulk", Decimal(1))


def test_orders_are_carried_by_a_kind_of_customers_but_not_by_single_orders() -> None:
    more = [order(DAY, number, "100", country="DE") for number in range(100, 120, 2)]
    found = carrier(difference("orders", "20", "10"), [*usual_days(), *usual(), *more], EARLIER)
    assert found is not None
    assert (found.kind, found.name, found.change) == ("country", "DE", Decimal(10))


def test_a_share_is_carried_by_the_orders_that_have_it_beyond_what_is_expected() -> None:
    slipped = [
        order(DAY, number, "100", discounts="50", discount="a discount of 30 to 60 %") for number in range(1, 10)
    ]
    parts = [*usual_days(), *slipped, order(DAY, 10, "100")]
    found = carrier(difference("discount_share", "0.45", "0"), parts, EARLIER)
    assert found == Segment("discount", "a discount of 30 to 60 %", Decimal(450), Decimal(1))


def test_a_share_that_rose_in_all_orders_alike_is_carried_by_none() -> None:
    risen = [order(DAY, number, "100", discounts="9", discount="a discount below 10 %") for number in range(1, 11)]
    before = [
        order(day, number, "100", discounts="3", discount="a discount below 10 %")
        for day in EARLIER
        for number in range(1, 11)
    ]
    assert carrier(difference("discount_share", "0.09", "0.03"), [*before, *risen], EARLIER) is None


def test_a_product_is_reported_where_no_order_and_no_customer_carries_the_difference() -> None:
    products = [Part(day, {"product": "P1"}, {"gross_sales": HUNDRED}) for day in EARLIER]
    today = [Part(DAY, {"product": "P1"}, {"gross_sales": Decimal(1100)})]
    parts = [*usual_days(), *usual(gross="200"), *products, *today]
    found = carrier(difference("gross_sales", "2000", "1000"), parts, EARLIER)
    assert found == Segment("product", "P1", Decimal(1000), Decimal(1))


def test_without_comparable_days_the_whole_of_a_segment_counts() -> None:
    found = carrier(difference("quarantined_orders", "4", "0"), _broken(4), [])
    assert found == Segment("reason", "total in orders", Decimal(4), Decimal(1))


def _broken(count: int) -> list[Part]:
    return [
        Part(DAY, {"order": str(number), "reason": "total in orders"}, {"orders": Decimal(1)})
        for number in range(count)
    ]


def test_no_difference_has_no_carrier() -> None:
    assert carrier(difference("gross_sales", "1000", "1000"), [*usual_days(), *usual()], EARLIER) is None


@pytest.mark.parametrize(
    ("metric", "value", "expected", "messages"),
    [
        ("orders", "17", "116.4", "orders 99 below expectation (17; 116 expected, 10 to 200 usual)"),
        (
            "net_sales",
            "1234.5",
            "1000",
            "net_sales 234.50 above expectation (1,234.50; 1,000.00 expected, 10.00 to 200.00 usual)",
        ),
    ],
)
def test_the_headline_reports_figure_expectation_and_range(
    metric: str, value: str, expected: str, messages: str
) -> None:
    assert headline(difference(metric, value, expected), Decimal(10), Decimal(200)) == messages


def test_shares_are_reported_in_per_cent() -> None:
    messages = headline(difference("discount_share", "0.453", "0.05"), Decimal("0.01"), Decimal("0.09"))
    assert messages == "discount_share 40.3 points above expectation (45.3 %; 5.0 % expected, 1.0 % to 9.0 % usual)"


def test_a_cause_names_the_segment_its_change_and_its_share_and_no_hash_of_a_guest() -> None:
    returned = difference("returns", "1000", "10")
    assert cause(returned, Segment("order", "C1", Decimal(990), Decimal("0.98")), "a guest") == (
        "returns of order C1 (+990.00, 98 % of the difference), a guest"
    )
    guest = cause(returned, Segment("customer", "email:abcdef", Decimal(990), Decimal(1)))
    assert guest == "returns of a guest (+990.00, 100 % of the difference)"
    assert cause(returned, None).startswith("spread over all: no single order")


def test_a_segment_that_is_the_whole_shop_explains_nothing() -> None:
    at_home = [order(DAY, number, "300", country="DE") for number in range(2, 22, 2)]
    assert carrier(difference("gross_sales", "3000", "1000"), at_home, []) is None
    abroad = [order(DAY, number, "300", country="AT") for number in range(22, 62, 2)]
    found = carrier(difference("gross_sales", "9000", "1000"), [*at_home, *abroad], [])
    assert found is not None
    assert (found.kind, found.name) == ("country", "AT")


@pytest.mark.parametrize(
    ("unit", "value", "low", "high", "inside"),
    [
        (Unit.COUNT, "13", "12.3", "40", True),
        (Unit.COUNT, "12", "12.3", "40", False),
        (Unit.COUNT, "7", "0", "6.55", False),
        (Unit.COUNT, "6", "0", "6.55", True),
        (Unit.MONEY, "100.006", "100.0040", "200", True),
        (Unit.MONEY, "99.996", "100.0040", "200", False),
        (Unit.MONEY, "200.02", "100", "200.0101", False),
        (Unit.SHARE, "0.1234", "0.1", "0.12339", True),
        (Unit.SHARE, "0.13", "0.1", "0.12339", False),
        (Unit.SHARE, "0.1234", "0.12341", "0.12349", True),
    ],
)
def test_a_figure_that_is_printed_within_its_range_is_no_finding(
    unit: Unit, value: str, low: str, high: str, *, inside: bool
) -> None:
    assert is_inside(unit, Decimal(value), Decimal(low), Decimal(high)) is inside


def test_the_ends_of_a_range_are_printed_rounded_inwards() -> None:
    messages = headline(difference("orders", "7", "2"), Decimal("-0.3"), Decimal("6.55"))
    assert "(7; 2 expected, 0 to 6 usual)" in messages
