"""Other charges of an order, which the demo shop has none of: derived from the order's number, the same every time.

Each kind comes with the orders whose number one prime divides, on every order that is no test. A charge counts on the
order's day and is taken back with the cancellation; refunds leave it.
"""

from collections.abc import Iterable
from decimal import Decimal

from analytics_pipeline.demo_shop.model import CENT, ZERO, Order, rounded
from analytics_pipeline_tests.dialects.numbers import order_number

TIP, FEE, DUTY, HANDLING, SURCHARGE = "tip", "fee", "duty", "handling", "surcharge"
GIFT_CARD_SOLD, GIFT_CARD_REDEEMED = "gift_card_sold", "gift_card_redeemed"
OUTSIDE_SALES = frozenset({GIFT_CARD_SOLD, GIFT_CARD_REDEEMED})
"""Kinds that are in what an order comes to, and in no figure of sales."""
_EVERY = {TIP: 5, FEE: 7, DUTY: 11, HANDLING: 13, SURCHARGE: 7, GIFT_CARD_SOLD: 17, GIFT_CARD_REDEEMED: 19}
_AMOUNT = {TIP: 2, FEE: 1, DUTY: 3, HANDLING: 4, SURCHARGE: 2, GIFT_CARD_SOLD: 25, GIFT_CARD_REDEEMED: 1}
_TAXED = frozenset({FEE, HANDLING, SURCHARGE})
_RATE = Decimal("0.19")


def charge(order: Order, kind: str) -> tuple[Decimal, Decimal]:
    """What an order is charged of a kind, without tax, and the tax on it; zeros where it is not. Never negative."""
    number = order_number(order.order_id) // 10_000
    if order.is_test or number % _EVERY[kind]:
        return ZERO, ZERO
    amount = _AMOUNT[kind] + number % 100 * CENT
    if kind == GIFT_CARD_REDEEMED:
        amount = min(amount, order.stated_total)
    return amount, rounded(amount * _RATE) if kind in _TAXED else ZERO


def total_charged(order: Order, kinds: Iterable[str]) -> Decimal:
    """What all charges of some kinds add to what an order comes to, tax included; what is redeemed takes away."""
    amounts = ((kind, sum(charge(order, kind), ZERO)) for kind in kinds)
    return sum((-amount if kind == GIFT_CARD_REDEEMED else amount for kind, amount in amounts), ZERO)
