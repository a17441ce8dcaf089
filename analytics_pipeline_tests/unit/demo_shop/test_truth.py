"""The truth about a day: identities, and a recount from nothing but the public JSON."""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.demo_shop import DemoShop, DemoShopSettings, Happening, HappeningKind, RevenueTruth, RunningShop
from analytics_pipeline.demo_shop.model import ZERO, LineMoney, OrderLine, line_money
from analytics_pipeline.demo_shop.truth import order_events
from analytics_pipeline_tests.unit.demo_shop.conftest import EVENTFUL, NOW, OPENED, Clock, days_from, read_all

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = days_from(OPENED, 70)
MONEY = ("gross_sales", "discounts", "returns", "net_sales")
UNITS = ("units_sold", "units_returned")
INCLUSIVE = replace(EVENTFUL, prices_include_tax=True)
UNRULY = replace(
    INCLUSIVE,
    delete_share=0.1,
    late_share=0.1,
    happenings=tuple(Happening(day, kind) for day, kind in zip(DAYS[-30::4], HappeningKind, strict=False)),
)

Sums = defaultdict[tuple[date, str], defaultdict[str, Decimal]]


def _day(stamp: str) -> date:
    return datetime.fromisoformat(stamp).astimezone(BERLIN).date()


def _is_sound(record: dict[str, Any]) -> bool:
    """Whether a record of the API can be read and adds up."""
    try:
        lines = record["lines"]
        goods = sum(line["quantity"] * Decimal(line["unit_price"]) for line in lines)
        taxes = sum(Decimal(line["tax"]) for line in lines) + Decimal(record["shipping_tax"])
    except (KeyError, ArithmeticError):
        return False
    discounts = sum(Decimal(line["discount"]) for line in lines) + Decimal(record["order_discount"])
    total = goods - discounts + Decimal(record["shipping"]) + (0 if record["prices_include_tax"] else taxes)
    return (
        re.fullmatch("[A-Z]{3}", record["currency"]) is not None
        and all(line["quantity"] > 0 for line in lines)
        and discounts == Decimal(record["discount_total"])
        and taxes == Decimal(record["tax_total"])
        and total == Decimal(record["total"])
    )


def _fine(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _discounts(record: dict[str, Any]) -> list[Decimal]:
    """Each line's discount with its share of the order-wide one; the dearest line takes what rounding leaves over."""
    own = [Decimal(line["discount"]) for line in record["lines"]]
    rest = [
        line["quantity"] * Decimal(line["unit_price"]) - discount
        for line, discount in zip(record["lines"], own, strict=True)
    ]
    whole = Decimal(record["order_discount"])
    if not whole:
        return own
    shares = [_fine(whole * weight / sum(rest)) for weight in rest]
    shares[rest.index(max(rest))] += whole - sum(shares)
    return [discount + share for discount, share in zip(own, shares, strict=True)]


def _goods(record: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """Gross sales and net value of an order's goods, without tax."""
    gross = net = ZERO
    for line, discount in zip(record["lines"], _discounts(record), strict=True):
        value = line["quantity"] * Decimal(line["unit_price"])
        tax = Decimal(line["tax"]) if record["prices_include_tax"] else ZERO
        if not tax and record["prices_include_tax"] and value == discount:
            freed = _fine(discount / (1 + Decimal(line["tax_rate"])))
        else:
            freed = _fine(discount * (value - discount - tax) / (value - discount)) if discount and tax else discount
        gross += value - discount - tax + freed
        net += value - discount - tax
    return gross, net


def _count(record: dict[str, Any], sums: Sums) -> None:
    """Add one sound order to the sums of the days that it touches."""
    inclusive = record["prices_include_tax"]
    gross, net = _goods(record)
    placed = sums[_day(record["created_at"]), record["currency"]]
    shipping_left = Decimal(record["shipping"]) - (Decimal(record["shipping_tax"]) if inclusive else 0)
    goods_left, taxes_left = net, Decimal(record["tax_total"])
    placed["gross_sales"] += gross
    placed["discounts"] += gross - net
    placed["shipping"] += shipping_left
    placed["taxes"] += taxes_left
    for refund in record["refunds"]:
        refunded = sums[_day(refund["created_at"]), record["currency"]]
        returned = sum(Decimal(line["amount"]) for line in refund["lines"]) + Decimal(refund["adjustment"])
        taxes = sum(Decimal(line["tax"]) for line in refund["lines"]) + Decimal(refund["shipping_tax"])
        shipping = Decimal(refund["shipping"]) - (Decimal(refund["shipping_tax"]) if inclusive else 0)
        refunded["returns"] += returned
        refunded["taxes"] -= taxes
        refunded["shipping"] -= shipping
        goods_left, taxes_left, shipping_left = goods_left - returned, taxes_left - taxes, shipping_left - shipping
    if record["cancelled_at"]:
        cancelled = sums[_day(record["cancelled_at"]), record["currency"]]
        cancelled["returns"] += goods_left
        cancelled["taxes"] -= taxes_left
        cancelled["shipping"] -= shipping_left


def _buyer(record: dict[str, Any]) -> str | None:
    if record["customer"]:
        return str(record["customer"]["id"])
    return record["email"].strip().lower() if record["email"] else None


@pytest.mark.parametrize("settings", [EVENTFUL, INCLUSIVE, UNRULY], ids=["without tax", "with tax", "unruly"])
def test_money_orders_and_customers_agree_with_a_recount_of_the_public_json(
    settings: DemoShopSettings, start: Callable[..., RunningShop]
) -> None:
    running = start(settings)
    records = read_all(f"{running.url}/orders", limit="500")
    sums: Sums = defaultdict(lambda: defaultdict(Decimal))
    orders: defaultdict[tuple[date, str], set[str]] = defaultdict(set)
    buyers: defaultdict[tuple[date, str], set[str]] = defaultdict(set)
    first: dict[str, date] = {}
    for record in records:
        if record["is_test"] or not _is_sound(record):
            continue
        _count(record, sums)
        if _goods(record)[0] > 0:
            key = (_day(record["created_at"]), record["currency"])
            orders[key].add(record["id"])
            if buyer := _buyer(record):
                buyers[key].add(buyer)
                first.setdefault(buyer, key[0])

    compared = 0
    for day in DAYS[-30:]:
        for currency, truth in running.shop.truth(day).revenue.items():
            key = (day, currency)
            for measure in ("gross_sales", "discounts", "returns", "shipping", "taxes"):
                assert getattr(truth, measure) == sums[key][measure], (key, measure)
            assert truth.orders == len(orders[key])
            assert truth.customers == len(buyers[key])
            assert truth.new_customers == sum(first[buyer] == day for buyer in buyers[key])
            compared += 1
    assert compared > 45


@pytest.mark.parametrize("settings", [EVENTFUL, UNRULY], ids=["as ever", "unruly"])
def test_every_record_is_clean_quarantined_or_excluded_as_the_public_json_shows(
    settings: DemoShopSettings, start: Callable[..., RunningShop]
) -> None:
    running = start(settings)
    records = read_all(f"{running.url}/orders", limit="500")
    for day in DAYS:
        truth = running.shop.truth(day)
        of_day = [record for record in records if _day(record["created_at"]) == day]
        tests = {record["id"]: "test_order" for record in of_day if record["is_test"]}
        bad = {record["id"]: Decimal(record["total"]) for record in of_day if not _is_sound(record)}
        assert truth.excluded == tests
        assert truth.quarantined == bad
        assert truth.orders == {record["id"] for record in of_day} - tests.keys() - bad.keys()


@pytest.mark.parametrize("settings", [EVENTFUL, UNRULY], ids=["as ever", "unruly"])
def test_first_orders_of_customers_agree_with_a_recount_of_the_public_json(
    settings: DemoShopSettings, start: Callable[..., RunningShop]
) -> None:
    running = start(settings)
    first: dict[str, str] = {}
    for record in read_all(f"{running.url}/orders", limit="500"):
        if record["customer"] and not record["is_test"] and _is_sound(record) and _goods(record)[0] > 0:
            first.setdefault(record["customer"]["id"], record["created_at"])
    customers = read_all(f"{running.url}/customers", limit="500")
    assert {customer["id"]: customer["first_order_at"] for customer in customers if customer["first_order_at"]} == first
    assert all(customer["created_at"] <= (customer["first_order_at"] or "9") for customer in customers)


@pytest.mark.parametrize("settings", [EVENTFUL, INCLUSIVE], ids=["without tax", "with tax"])
def test_the_measures_of_a_row_fit_each_other(settings: DemoShopSettings) -> None:
    shop = DemoShop(settings, Clock())
    for day in DAYS:
        for row in shop.truth(day).revenue.values():
            assert row.net_sales == row.gross_sales - row.discounts - row.returns
            assert row.total_sales == row.net_sales + row.shipping + row.taxes
            assert row.customers == row.new_customers + row.returning_customers
            assert row.customers <= row.orders
            assert (row.average_order_value is None) == (row.orders == 0)


@pytest.mark.parametrize("settings", [EVENTFUL, INCLUSIVE], ids=["without tax", "with tax"])
def test_product_sales_add_up_to_revenue(settings: DemoShopSettings) -> None:
    shop = DemoShop(settings, Clock())
    adjustments = 0
    for day in DAYS:
        truth = shop.truth(day)
        for currency, row in truth.revenue.items():
            products = [sold for (_, of), sold in truth.product_sales.items() if of == currency]
            for measure in (*MONEY, *UNITS):
                assert getattr(row, measure) == sum(getattr(sold, measure) for sold in products), (day, measure)
        adjustments += any(product_id == "(none)" for product_id, _ in truth.product_sales)
    assert adjustments > 5


@pytest.mark.parametrize("settings", [EVENTFUL, INCLUSIVE], ids=["without tax", "with tax"])
def test_a_cancelled_order_sums_to_zero_over_all_days_and_another_order_does_not(settings: DemoShopSettings) -> None:
    orders = [order for order in DemoShop(settings, Clock()).orders_between() if not order.is_test and not order.defect]
    cancelled = [order for order in orders if order.cancelled_at]
    assert any(refund.adjustment for order in cancelled for refund in order.refunds)
    for order in cancelled:
        events = order_events(order, BERLIN)
        for measure in ("net_sales", "shipping", "taxes", "units"):
            assert sum(getattr(event, measure) for event in events) == 0, (order.order_id, measure)
    kept = next(order for order in orders if not order.cancelled_at and order.stated_total)
    assert sum(event.net_sales for event in order_events(kept, BERLIN)) > 0


def _line(*, value: str, discount: str, tax: str) -> OrderLine:
    return OrderLine(1, "P001", "Mug", 1, Decimal(value), Decimal(discount), Decimal(tax), Decimal("0.19"))


@pytest.mark.parametrize(
    ("value", "discount", "tax", "order_discount", "gross", "discounts"),
    [
        ("11.90", "0", "1.90", "0", "10.00", "0"),  # no discount: nothing is made out of rounding
        ("11.99", "0", "1.91", "0", "10.08", "0"),
        ("11.90", "1.19", "1.71", "0", "10.0000", "1.0000"),
        ("11.90", "0", "1.71", "1.19", "10.0000", "1.0000"),  # an order-wide discount counts like the line's own
        ("10.00", "3.33", "1.07", "0", "8.3958", "2.7958"),
        ("11.90", "11.90", "0", "0", "10.0000", "10.0000"),  # given away: freed of tax at the stated rate
        ("0", "0", "0", "0", "0", "0"),
    ],
)
def test_a_discount_that_contains_tax_is_freed_of_it_at_the_lines_own_rate(
    *, value: str, discount: str, tax: str, order_discount: str, gross: str, discounts: str
) -> None:
    order = next(order for order in DemoShop(INCLUSIVE, Clock()).orders_between() if not order.is_test)
    line = _line(value=value, discount=discount, tax=tax)
    money = line_money(replace(order, lines=(line,), order_discount=Decimal(order_discount)))
    net = Decimal(value) - Decimal(discount) - Decimal(order_discount) - Decimal(tax)
    assert money == [LineMoney(gross=Decimal(gross), discounts=Decimal(discounts), net=net)]


def test_a_shop_without_prices_that_include_tax_and_one_with_them_differ_in_gross_sales_only_by_rounding() -> None:
    quiet = DemoShopSettings(opened=OPENED, foreign_share=0, line_discount_share=0, order_discount_share=0)
    day = OPENED + timedelta(days=5)
    without, included = (
        DemoShop(replace(quiet, prices_include_tax=inclusive), Clock()).truth(day).revenue["EUR"]
        for inclusive in (False, True)
    )
    assert without.units_sold == included.units_sold
    assert 0 < abs(without.gross_sales - included.gross_sales) < 2


def test_a_day_on_which_nothing_happened_is_a_row_of_zeros() -> None:
    closed = OPENED + timedelta(days=2)
    quiet = replace(EVENTFUL, closed_days=frozenset({closed}), refund_share=0, cancel_share=0)
    zeros = RevenueTruth(0, 0, 0, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, None, 0, 0, 0)
    truth = DemoShop(quiet, Clock()).truth(closed)
    assert truth.revenue == {"EUR": zeros}
    assert [*truth.product_sales, *truth.quarantined, *truth.excluded, *truth.orders] == []
    assert DemoShop(quiet, Clock()).truth(closed + timedelta(days=1)).revenue["EUR"].orders > 0


def test_refunds_count_on_a_closed_day() -> None:
    closed = OPENED + timedelta(days=40)
    row = DemoShop(replace(EVENTFUL, closed_days=frozenset({closed})), Clock()).truth(closed).revenue["EUR"]
    assert row.orders == 0
    assert row.gross_sales == 0
    assert row.returns > 0


def test_days_before_the_opening_and_days_to_come_are_zeros(eventful: DemoShop) -> None:
    for day in (OPENED - timedelta(days=1), NOW.date() + timedelta(days=1)):
        assert eventful.truth(day).revenue["EUR"].gross_sales == 0
        assert not eventful.truth(day).orders


def test_a_refund_changes_its_own_day_and_leaves_the_order_day_alone() -> None:
    clock = Clock()
    shop = DemoShop(replace(EVENTFUL, edit_share=0, bad_share=0), clock)
    order = next(order for order in shop.orders_between() if order.refunds and order.refunds[0].lines)
    refunded_at = order.refunds[0].refunded_at

    def figures() -> tuple[Decimal, Decimal]:
        returns = shop.truth(refunded_at.astimezone(BERLIN).date()).revenue[order.currency].returns
        gross_sales = shop.truth(order.created_at.astimezone(BERLIN).date()).revenue[order.currency].gross_sales
        return returns, gross_sales

    returns, gross_sales = figures()
    clock.now = refunded_at - timedelta(seconds=1)
    returns_before, gross_sales_before = figures()
    assert returns_before < returns
    assert gross_sales_before == gross_sales


def test_an_edit_changes_the_order_day() -> None:
    clock = Clock()
    shop = DemoShop(replace(EVENTFUL, edit_share=0.3, refund_share=0, cancel_share=0, bad_share=0), clock)
    order = next(order for order in shop.orders_between() if order.updated_at > order.created_at)
    day = order.created_at.astimezone(BERLIN).date()
    clock.now = order.updated_at
    after = shop.truth(day).revenue[order.currency].gross_sales
    clock.now -= timedelta(seconds=1)
    assert shop.truth(day).revenue[order.currency].gross_sales != after


def test_a_repaired_record_leaves_quarantine_and_enters_the_figures() -> None:
    clock = Clock()
    shop = DemoShop(EVENTFUL, clock)
    clock.now = NOW - timedelta(days=12)
    bad = {order.order_id: order for order in shop.orders_between() if order.defect}
    clock.now = NOW
    repaired = next(order for order in shop.orders_between() if order.order_id in bad and not order.defect)
    day = repaired.created_at.astimezone(BERLIN).date()
    assert repaired.order_id in shop.truth(day).orders
    clock.now = NOW - timedelta(days=12)
    assert repaired.order_id in shop.truth(day).quarantined


def test_both_clock_change_days_hold_exactly_their_own_orders() -> None:
    clock = Clock(datetime(2025, 11, 20, tzinfo=UTC))
    shop = DemoShop(replace(EVENTFUL, opened=date(2025, 3, 1)), clock)
    for day, hours in ((date(2025, 3, 30), 23), (date(2025, 10, 26), 25)):
        start = datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(UTC)
        orders = shop.orders_between(start, start + timedelta(hours=hours))
        truth = shop.truth(day)
        assert {order.order_id for order in orders} == truth.orders | truth.quarantined.keys() | truth.excluded.keys()
        assert len(orders) >= 20


def test_orders_that_cost_nothing_count_only_with_gross_sales(eventful: DemoShop) -> None:
    """A fully discounted order is an order; one of free samples only is none."""
    free = [order for order in eventful.orders_between() if not order.is_test and not order.defect]
    discounted = [order for order in free if order.lines[0].value and order.lines[0].value == order.lines[0].discount]
    samples = [order for order in free if not sum(line.value for line in order.lines)]
    assert any(event.is_sale for order in discounted for event in order_events(order, BERLIN))
    assert samples
    assert not any(event.is_sale for order in samples for event in order_events(order, BERLIN))


def test_each_of_sixty_days_has_a_truth() -> None:
    shop = DemoShop(DemoShopSettings(opened=NOW.date() - timedelta(days=120)), Clock())
    truths = [shop.truth(day) for day in days_from(NOW.date() - timedelta(days=59), 60)]
    assert all(truth.orders for truth in truths)
