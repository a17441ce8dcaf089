"""What becomes of an order after it was placed: edits, refunds, cancellations, repaired records.

Each step takes the newest version of an order and gives the next one, at a later moment. All steps of an order lie
within `LONGEST_FATE` of its placing.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from random import Random

from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.model import (
    CENT,
    ZERO,
    History,
    Order,
    Refund,
    RefundLine,
    line_discounts,
    line_money,
    rounded,
)
from analytics_pipeline.demo_shop.settings import LONGEST_REFUND_DAYS, DemoShopSettings

_HOUR = 3600
_DAY = 24 * _HOUR
LONGEST_FATE = timedelta(days=LONGEST_REFUND_DAYS)


def history_of(settings: DemoShopSettings, order: Order, rng: Random) -> History:
    """The order as placed and every later version. Test orders stay as they are; bad records are at most repaired."""
    versions = [order]
    if order.is_test:
        return History((order,))
    if order.defect:
        if happens(rng, 1 / 3):
            versions.append(replace(order, defect=None, updated_at=_later(order, 2 * _DAY, 10 * _DAY, rng)))
        return History(tuple(versions))
    draw = rng.random()
    is_cancelled = draw < settings.cancel_share
    is_refunded = not is_cancelled and draw < settings.cancel_share + settings.refund_share and goods_value(order) > 0
    if happens(rng, settings.edit_share) and goods_value(order) > 0:
        latest = 20 * _HOUR if is_cancelled or is_refunded else 40 * _DAY
        versions.append(edited(versions[-1], _later(order, 600, latest, rng), rng))
    if is_cancelled:
        versions += _cancelled(versions[-1], rng)
    elif is_refunded:
        versions += _refunded(versions[-1], timedelta(days=settings.longest_refund_days), rng)
    return History(tuple(versions))


def with_line_taxes(order: Order) -> Order:
    """The order with the tax of each line that follows from its value after all discounts."""
    discounts = line_discounts(order.lines, order.order_discount)
    lines = []
    for line, discount in zip(order.lines, discounts, strict=True):
        taxable = (line.value - discount) * line.tax_rate
        tax = rounded(taxable / (1 + line.tax_rate) if order.prices_include_tax else taxable)
        lines.append(replace(line, tax=tax))
    return replace(order, lines=tuple(lines))


def _later(order: Order, earliest: int, latest: int, rng: Random) -> datetime:
    """A moment so many seconds after the order was placed."""
    return order.created_at + timedelta(seconds=rng.randint(earliest, latest))


def goods_value(order: Order) -> Decimal:
    """What the order's goods come to after all discounts."""
    return sum((money.net for money in line_money(order)), ZERO)


def edited(order: Order, moment: datetime, rng: Random) -> Order:
    """One line's quantity changed by one; its discount moves along, its unit price stays."""
    position = rng.choice([position for position, line in enumerate(order.lines) if line.unit_price])
    line = order.lines[position]
    quantity = line.quantity - 1 if line.quantity > 1 and happens(rng, 0.6) else line.quantity + 1
    discount = rounded(line.discount * quantity / line.quantity)
    lines = list(order.lines)
    lines[position] = replace(line, quantity=quantity, discount=discount)
    base = sum((line.value - line.discount for line in lines), ZERO)
    return with_line_taxes(
        replace(order, lines=tuple(lines), order_discount=min(order.order_discount, base), updated_at=moment)
    )


def _cancelled(order: Order, rng: Random) -> list[Order]:
    """The order cancelled within five days; two in five had some of it refunded before, never all."""
    versions = []
    if happens(rng, 0.4) and goods_value(order) > 0:
        refund = _first_part(order, _later(order, _DAY, 2 * _DAY, rng), rng)
        versions.append(_with_refund(order, refund))
        order = versions[-1]
        moment = _later(order, 2 * _DAY + 1, 5 * _DAY, rng)
    else:
        moment = _later(order, 21 * _HOUR if order.updated_at > order.created_at else 600, 5 * _DAY, rng)
    return [*versions, replace(order, cancelled_at=moment, updated_at=moment)]


def _refunded(order: Order, longest: timedelta, rng: Random) -> list[Order]:
    """One refund, or two, within `longest`: goods of some lines, sometimes shipping, sometimes an adjustment."""
    moment = _later(order, _DAY, int(longest.total_seconds()), rng)
    refund = _goods_refund(order, moment, rng) if happens(rng, 0.85) else _adjustment(order, moment, rng)
    versions = [_with_refund(order, refund)]
    second = moment + timedelta(seconds=rng.randint(_HOUR, 10 * _DAY))
    fits = second <= order.created_at + longest and not refund.adjustment and _units_left(versions[0])
    if fits and happens(rng, 0.25):
        versions.append(_with_refund(versions[0], _goods_refund(versions[0], second, rng)))
    return versions


def _first_part(order: Order, moment: datetime, rng: Random) -> Refund:
    """A refund that leaves something: one unit of several, else an adjustment."""
    if sum(line.quantity for line in order.lines) == 1 or happens(rng, 0.4):
        return _adjustment(order, moment, rng)
    line = rng.choice(order.lines)
    return replace(_empty_refund(order, moment), lines=(_returned(order, line.line_id, 1),))


def _goods_refund(order: Order, moment: datetime, rng: Random) -> Refund:
    """Some or all units of some or all lines not yet returned; at times shipping or an adjustment with them."""
    left = _units_left(order)
    chosen = list(left) if happens(rng, 0.3) else [rng.choice(list(left))]
    lines = tuple(_returned(order, line_id, rng.randint(1, left[line_id])) for line_id in chosen)
    refund = replace(_empty_refund(order, moment), lines=lines)
    if happens(rng, 0.25) and not any(earlier.shipping for earlier in order.refunds):
        refund = replace(refund, shipping=order.shipping, shipping_tax=order.shipping_tax)
    if happens(rng, 0.1):
        refund = replace(refund, adjustment=_adjustment(_with_refund(order, refund), moment, rng).adjustment)
    return refund


def partly_refunded(order: Order, moment: datetime, rng: Random) -> Order:
    """The order with a part of it given back."""
    return _with_refund(order, _first_part(order, moment, rng))


def _adjustment(order: Order, moment: datetime, rng: Random) -> Refund:
    """A refund without lines: a part of the goods' value not yet given back."""
    given_back = sum((line.amount for refund in order.refunds for line in refund.lines), ZERO)
    amount = _down_to_cents((goods_value(order) - given_back) * rng.randint(5, 25) / 100)
    return replace(_empty_refund(order, moment), adjustment=max(amount, ZERO))


def _empty_refund(order: Order, moment: datetime) -> Refund:
    refund_id = f"R{order.order_id[1:]}-{len(order.refunds) + 1}"
    return Refund(refund_id, moment, lines=(), shipping=ZERO, shipping_tax=ZERO, adjustment=ZERO)


def _with_refund(order: Order, refund: Refund) -> Order:
    return replace(order, refunds=(*order.refunds, refund), updated_at=refund.refunded_at)


def _units_left(order: Order) -> dict[int, int]:
    """Units not yet returned by line id; lines without any are left out."""
    left = {line.line_id: line.quantity for line in order.lines}
    for refund in order.refunds:
        for line in refund.lines:
            left[line.line_id] -= line.quantity
    return {line_id: quantity for line_id, quantity in left.items() if quantity}


def _returned(order: Order, line_id: int, quantity: int) -> RefundLine:
    """Units of a line at their share of its value and tax, rounded down to cents: parts never exceed the whole."""
    line, money = next(
        (line, money) for line, money in zip(order.lines, line_money(order), strict=True) if line.line_id == line_id
    )
    return RefundLine(
        line_id,
        quantity,
        amount=_down_to_cents(money.net * quantity / line.quantity),
        tax=_down_to_cents(line.tax * quantity / line.quantity),
    )


def _down_to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_DOWN)
