"""The demo shop's ids as numbers, its money in whole cents by line, and its texts: what most platforms share."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from analytics_pipeline.demo_shop.model import CENT, ZERO, Order, line_discounts

_FIRST = date(2020, 1, 1)


def order_number(order_id: str) -> int:
    """The number behind an order id: twelve digits, ascending with the ids (`D20250310-0007` or `...-0007R0001`)."""
    day, _, rest = order_id[1:].partition("-")
    number, _, further = rest.partition("R")
    days = (date(int(day[:4]), int(day[4:6]), int(day[6:])) - _FIRST).days
    return days * 10**8 + int(number) * 10**4 + int(further or 0)


def order_id(number: int) -> str:
    """The demo shop's id of a number."""
    days, rest = divmod(number, 10**8)
    place, further = divmod(rest, 10**4)
    end = f"R{further:04d}" if further else ""
    return f"D{_FIRST + timedelta(days=days):%Y%m%d}-{place:04d}{end}"


def line_number(order: Order, line_id: int) -> int:
    """The number of one line among all lines."""
    return order_number(order.order_id) * 100 + line_id


def refund_number(refund_id: str) -> int:
    """The number of one refund among all refunds (`R20250310-0007-1`)."""
    order, _, place = refund_id.rpartition("-")
    return order_number(order) * 10 + int(place)


def plain_number(text: str) -> int:
    """The number of a customer or a product (`C00120003`, `P007`), from 1: 0 is a guest on some platforms."""
    return int(text[1:]) + 1


def cent_discounts(order: Order) -> list[tuple[Decimal, Decimal]]:
    """Each line's own discount and its share of the order's, in whole cents: what a shop without fractions has.

    Shares are cut to cents, and the cents left over go to the largest rests, so that no line's share is above the exact
    one's next cent: what the demo shop refunds of a line is never more than the line.
    """
    exact = [
        share - line.discount
        for line, share in zip(order.lines, line_discounts(order.lines, order.order_discount), strict=True)
    ]
    cut = [share // CENT * CENT for share in exact]
    left = int((order.order_discount - sum(cut, ZERO)) / CENT)
    for place in sorted(range(len(exact)), key=lambda place: cut[place] - exact[place])[:left]:
        cut[place] += CENT
    return [(line.discount, share) for line, share in zip(order.lines, cut, strict=True)]


def money(amount: Decimal, places: int = 2) -> str:
    """An amount as a decimal text."""
    return f"{amount:.{places}f}"


def cents(amount: Decimal) -> int:
    """An amount of whole cents in cents.

    Raises:
        ValueError: It is none.
    """
    whole = Fraction(amount) * 100
    if whole.denominator != 1:
        raise ValueError(f"{amount} is no amount of whole cents")
    return int(whole)


def iso(moment: datetime) -> str:
    """A moment in ISO 8601, in UTC with "Z"."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def compact(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what it has not."""
    return {name: value for name, value in record.items() if value is not None}
