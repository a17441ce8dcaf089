"""The right figures of a business day, straight from the shop's own model in plain decimals.

Events of single orders, and their sums by day. What is visible at which moment stands in `shop`; nothing here is
shared with the pipeline that is tested against it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from analytics_pipeline.demo_shop.days import business_day
from analytics_pipeline.demo_shop.model import FINE, ZERO, Order, Refund, line_money, rounded

NO_PRODUCT = "(none)"
TEST_ORDER = "test_order"


@dataclass(frozen=True, slots=True)
class RevenueTruth:
    """The measures of one row of `daily_revenue`. Money at up to four decimals; the average is None without orders.

    The shop has no charges.
    """

    orders: int
    units_sold: int
    units_returned: int
    gross_sales: Decimal
    discounts: Decimal
    returns: Decimal
    net_sales: Decimal
    shipping: Decimal
    taxes: Decimal
    total_sales: Decimal
    average_order_value: Decimal | None
    customers: int
    new_customers: int
    returning_customers: int
    charges: Decimal = ZERO
    tips: Decimal = ZERO
    fees: Decimal = ZERO
    duties: Decimal = ZERO
    gift_cards_sold: Decimal = ZERO
    gift_cards_redeemed: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class ProductTruth:
    """The measures of one product in one currency on one business day."""

    orders: int
    units_sold: int
    units_returned: int
    gross_sales: Decimal
    discounts: Decimal
    returns: Decimal
    net_sales: Decimal


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right about one business day, as of now.

    Attributes:
        day: the business day.
        revenue: by currency, of the day's events; the shop's currency is always there.
        product_sales: by product id and currency; adjustments, which name no product, under `"(none)"`.
        quarantined: total at risk, as the record states it, by id of each bad record among the day's orders.
        excluded: reason by id of each order left out on purpose among the day's orders.
        orders: ids of the day's orders that are neither.
    """

    day: date
    revenue: Mapping[str, RevenueTruth]
    product_sales: Mapping[tuple[str, str], ProductTruth]
    quarantined: Mapping[str, Decimal]
    excluded: Mapping[str, str]
    orders: frozenset[str]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that counts on one business day: `units` sold (positive) or taken back (negative), and money.

    `product_id` is None for shipping, `"(none)"` for adjustments.
    """

    order_id: str
    buyer: str | None
    day: date
    currency: str
    product_id: str | None
    line_id: int | None = None
    units: int = 0
    gross_sales: Decimal = ZERO
    discounts: Decimal = ZERO
    returns: Decimal = ZERO
    shipping: Decimal = ZERO
    taxes: Decimal = ZERO

    @property
    def net_sales(self) -> Decimal:
        """Gross sales less discounts and returns."""
        return self.gross_sales - self.discounts - self.returns

    @property
    def is_sale(self) -> bool:
        """Whether this is an order line sold for more than nothing."""
        return self.gross_sales > 0


def buyer_of(order: Order) -> str | None:
    """Who placed an order: the customer, else the guest's e-mail without blanks in small letters, else nobody known."""
    if order.customer_id:
        return buyer_of_customer(order.customer_id)
    return f"guest {order.email.strip().lower()}" if order.email else None


def buyer_of_customer(customer_id: str) -> str:
    """The buyer behind a customer account; never the same as a guest."""
    return f"customer {customer_id}"


def is_clean(order: Order) -> bool:
    """Whether an order counts in figures: neither a test nor a bad record."""
    return not order.is_test and order.defect is None


def order_events(order: Order, zone: ZoneInfo) -> list[Event]:
    """All events of a clean order as far as this version knows them."""
    events = _placed(order, business_day(order.created_at, zone))
    for refund in order.refunds:
        events += _refunded(order, refund, business_day(refund.refunded_at, zone))
    if order.cancelled_at:
        events += _reversed(order, events, business_day(order.cancelled_at, zone))
    return events


def _placed(order: Order, day: date) -> list[Event]:
    """Each line sold, and shipping charged."""
    event = _event_of(order, day)
    events = [
        event(
            product_id=line.product_id,
            line_id=line.line_id,
            units=line.quantity,
            gross_sales=money.gross,
            discounts=money.discounts,
            taxes=line.tax,
        )
        for line, money in zip(order.lines, line_money(order), strict=True)
    ]
    shipping = _without_tax(order, order.shipping, order.shipping_tax)
    return [*events, event(product_id=None, shipping=shipping, taxes=order.shipping_tax)]


def _refunded(order: Order, refund: Refund, day: date) -> list[Event]:
    """Each line taken back, shipping given back, and the adjustment."""
    event = _event_of(order, day)
    products = {line.line_id: line.product_id for line in order.lines}
    events = [
        event(
            product_id=products[line.line_id],
            line_id=line.line_id,
            units=-line.quantity,
            returns=line.amount,
            taxes=-line.tax,
        )
        for line in refund.lines
    ]
    if refund.shipping:
        shipping = _without_tax(order, refund.shipping, refund.shipping_tax)
        events.append(event(product_id=None, shipping=-shipping, taxes=-refund.shipping_tax))
    if refund.adjustment:
        events.append(event(product_id=NO_PRODUCT, returns=refund.adjustment))
    return events


def _reversed(order: Order, so_far: list[Event], day: date) -> list[Event]:
    """The opposite of what is left of each line, of shipping and of adjustments, so that the order sums to zero."""
    event = _event_of(order, day)
    groups: dict[tuple[str | None, int | None], list[Event]] = {}
    for earlier in so_far:
        groups.setdefault((earlier.product_id, earlier.line_id), []).append(earlier)
    events = []
    for (product_id, line_id), group in groups.items():
        opposite = event(
            product_id=product_id,
            line_id=line_id,
            units=-sum(earlier.units for earlier in group),
            returns=sum((earlier.net_sales for earlier in group), ZERO),
            shipping=-sum((earlier.shipping for earlier in group), ZERO),
            taxes=-sum((earlier.taxes for earlier in group), ZERO),
        )
        if opposite.units or opposite.returns or opposite.shipping or opposite.taxes:
            events.append(opposite)
    return events


def _event_of(order: Order, day: date) -> partial[Event]:
    """Events of one order on one day, to be completed with what happened."""
    return partial(Event, order_id=order.order_id, buyer=buyer_of(order), day=day, currency=order.currency)


def _without_tax(order: Order, amount: Decimal, tax: Decimal) -> Decimal:
    return amount - tax if order.prices_include_tax else amount


def revenue(events: Iterable[Event], first_days: Mapping[str, date], shop_currency: str) -> dict[str, RevenueTruth]:
    """One day's revenue by currency.

    Args:
        events: all events of the day.
        first_days: business day of the first order with gross sales, by buyer.
        shop_currency: the currency that has a row even if nothing happened.
    """
    by_currency: dict[str, list[Event]] = {shop_currency: []}
    for event in events:
        by_currency.setdefault(event.currency, []).append(event)
    return {currency: _revenue(group, first_days) for currency, group in by_currency.items()}


def _revenue(events: list[Event], first_days: Mapping[str, date]) -> RevenueTruth:
    sales = [event for event in events if event.is_sale]
    orders = len({event.order_id for event in sales})
    first_sales = {event.buyer: first_days[event.buyer] == event.day for event in sales if event.buyer}
    new = sum(first_sales.values())
    goods = _goods(events)
    shipping = sum((event.shipping for event in events), ZERO)
    taxes = sum((event.taxes for event in events), ZERO)
    return RevenueTruth(
        orders=orders,
        units_sold=goods.units_sold,
        units_returned=goods.units_returned,
        gross_sales=goods.gross_sales,
        discounts=goods.discounts,
        returns=goods.returns,
        net_sales=goods.net_sales,
        shipping=shipping,
        taxes=taxes,
        total_sales=goods.net_sales + shipping + taxes,
        average_order_value=rounded((goods.gross_sales - goods.discounts) / orders, FINE) if orders else None,
        customers=len(first_sales),
        new_customers=new,
        returning_customers=len(first_sales) - new,
    )


def product_sales(events: Iterable[Event]) -> dict[tuple[str, str], ProductTruth]:
    """One day's sales by product id and currency; shipping belongs to no product and is left out."""
    groups: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if event.product_id is not None:
            groups.setdefault((event.product_id, event.currency), []).append(event)
    return {key: _goods(group) for key, group in groups.items()}


def _goods(events: list[Event]) -> ProductTruth:
    gross_sales = sum((event.gross_sales for event in events), ZERO)
    discounts = sum((event.discounts for event in events), ZERO)
    returns = sum((event.returns for event in events), ZERO)
    return ProductTruth(
        orders=len({event.order_id for event in events if event.is_sale}),
        units_sold=sum(event.units for event in events if event.is_sale),
        units_returned=-sum(event.units for event in events if event.units < 0),
        gross_sales=gross_sales,
        discounts=discounts,
        returns=returns,
        net_sales=gross_sales - discounts - returns,
    )
