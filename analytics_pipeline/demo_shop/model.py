"""What the demo shop's orders, customers and products are, and the money of an order that follows from them.

Values only: how they come about stands in `generator` and `fates`, how they look as JSON in `records`, what they count
for in `truth`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

ZERO = Decimal(0)
CENT = Decimal("0.01")
FINE = Decimal("0.0001")
WRONG_BY = Decimal("0.50")


def rounded(amount: Decimal, unit: Decimal = CENT) -> Decimal:
    """The amount rounded half up to a unit: to cents, or to four decimals with `FINE`."""
    return amount.quantize(unit, ROUND_HALF_UP)


class Defect(StrEnum):
    """What is broken about a bad record. Its id, its `created_at` and its total stay readable."""

    TOTAL_DOES_NOT_ADD_UP = "total_does_not_add_up"
    TAXES_DO_NOT_ADD_UP = "taxes_do_not_add_up"
    UNIT_PRICE_NOT_A_NUMBER = "unit_price_not_a_number"
    QUANTITY_MISSING = "quantity_missing"
    QUANTITY_ZERO = "quantity_zero"
    CURRENCY_NOT_A_CODE = "currency_not_a_code"


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One product position. Discount and tax are of the whole line; the tax is after all discounts."""

    line_id: int
    product_id: str
    title: str
    quantity: int
    unit_price: Decimal
    discount: Decimal
    tax: Decimal
    tax_rate: Decimal

    @property
    def value(self) -> Decimal:
        """Quantity times unit price, before discounts; with tax if the shop's prices contain it."""
        return self.quantity * self.unit_price


@dataclass(frozen=True, slots=True)
class RefundLine:
    """Units of one order line taken back. The amount is the goods' value after discounts, without tax."""

    line_id: int
    quantity: int
    amount: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back at one moment. Shipping contains its tax if the shop's prices do; the adjustment never does."""

    refund_id: str
    refunded_at: datetime
    lines: tuple[RefundLine, ...]
    shipping: Decimal
    shipping_tax: Decimal
    adjustment: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """One version of an order: what the shop knows of it from `updated_at` until the next version.

    The stamp that the shop shows is that moment, unless `shown_stamp` is another one.
    """

    order_id: str
    created_at: datetime
    updated_at: datetime
    currency: str
    prices_include_tax: bool
    customer_id: str | None
    email: str | None
    country: str
    lines: tuple[OrderLine, ...]
    order_discount: Decimal
    shipping: Decimal
    shipping_tax: Decimal
    is_test: bool = False
    cancelled_at: datetime | None = None
    refunds: tuple[Refund, ...] = ()
    defect: Defect | None = None
    shown_stamp: datetime | None = None

    @property
    def stamp(self) -> datetime:
        """The change stamp that the shop shows."""
        return self.shown_stamp or self.updated_at

    @property
    def record_id(self) -> str:
        """The id that lists are ordered by."""
        return self.order_id

    @property
    def discount_total(self) -> Decimal:
        """Discounts of the lines and of the whole order."""
        return sum((line.discount for line in self.lines), self.order_discount)

    @property
    def stated_tax_total(self) -> Decimal:
        """All taxes, shipping's included, as the record states them: wrong if that is its defect."""
        taxes = sum((line.tax for line in self.lines), self.shipping_tax)
        return taxes + WRONG_BY if self.defect is Defect.TAXES_DO_NOT_ADD_UP else taxes

    @property
    def stated_total(self) -> Decimal:
        """What the order comes to, refunds apart, as the record states it: wrong if that is its defect."""
        goods = sum((line.value for line in self.lines), ZERO)
        total = goods - self.discount_total + self.shipping
        if not self.prices_include_tax:
            total += self.stated_tax_total
        return total + WRONG_BY if self.defect is Defect.TOTAL_DOES_NOT_ADD_UP else total


@dataclass(frozen=True, slots=True)
class History:
    """All versions of one order, oldest first; the first one's `updated_at` is the moment it reached the shop.

    From `deleted_at` on, later than the first version, the shop knows nothing of the order any more.
    """

    versions: tuple[Order, ...]
    deleted_at: datetime | None = None

    @property
    def order_id(self) -> str:
        """The order's id."""
        return self.versions[0].order_id

    def at(self, now: datetime) -> Order | None:
        """The version that held at a moment, None before the order reached the shop and after it was deleted."""
        return None if self.is_deleted(now) else self.newest(now)

    def newest(self, now: datetime) -> Order | None:
        """The newest version that was to be seen up to a moment, even if the order is deleted by then."""
        return next((version for version in reversed(self.seen()) if version.updated_at <= now), None)

    def is_deleted(self, now: datetime) -> bool:
        """Whether the order was deleted by a moment."""
        return self.deleted_at is not None and self.deleted_at <= now

    def seen(self) -> tuple[Order, ...]:
        """The versions that are ever to be seen: those before the deletion."""
        if self.deleted_at is None:
            return self.versions
        return tuple(version for version in self.versions if version.updated_at < self.deleted_at)

    def changes(self) -> Iterator[datetime]:
        """The moments from which on the shop shows something else."""
        yield from (version.updated_at for version in self.seen())
        if self.deleted_at is not None:
            yield self.deleted_at

    def sound_since(self) -> datetime:
        """The moment of the first version without a defect. Raises StopIteration if there is none."""
        return next(version.updated_at for version in self.versions if version.defect is None)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer account. `first_order_at` is the first order with gross sales, test orders and bad records apart."""

    customer_id: str
    created_at: datetime
    updated_at: datetime
    email: str
    name: str
    country: str
    first_order_at: datetime | None

    @property
    def record_id(self) -> str:
        """The id that lists are ordered by."""
        return self.customer_id


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the catalogue shows it at one moment."""

    product_id: str
    title: str
    category: str
    price: Decimal
    cost: Decimal
    updated_at: datetime

    @property
    def record_id(self) -> str:
        """The id that lists are ordered by."""
        return self.product_id


@dataclass(frozen=True, slots=True)
class LineMoney:
    """What one order line counts for, without tax, at four decimals: net = gross - discounts."""

    gross: Decimal
    discounts: Decimal
    net: Decimal


def spread(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Split an amount in proportion to weights, shares rounded half up to four decimals, together exactly the amount.

    What rounding leaves over goes to the heaviest weight, the first of them if several weigh the same.
    """
    total = sum(weights, ZERO)
    if not amount or not total:
        return [ZERO] * len(weights)
    shares = [rounded(amount * weight / total, FINE) for weight in weights]
    shares[weights.index(max(weights))] += amount - sum(shares)
    return shares


def line_discounts(lines: Sequence[OrderLine], order_discount: Decimal) -> list[Decimal]:
    """Each line's own discount plus its share of the order's."""
    shares = spread(order_discount, [line.value - line.discount for line in lines])
    return [line.discount + share for line, share in zip(lines, shares, strict=True)]


def line_money(order: Order) -> list[LineMoney]:
    """What each line of an order counts for, in the lines' order."""
    discounts = line_discounts(order.lines, order.order_discount)
    return [_money(order, line, discount) for line, discount in zip(order.lines, discounts, strict=True)]


def _money(order: Order, line: OrderLine, discount: Decimal) -> LineMoney:
    """A line's money after its whole discount; a discount that contains tax has the same share of it as the rest."""
    paid = line.value - discount
    if not order.prices_include_tax:
        return LineMoney(gross=line.value, discounts=discount, net=paid)
    net = paid - line.tax
    if not discount:
        without_tax = ZERO
    elif paid:
        without_tax = rounded(discount * net / paid, FINE)
    else:
        without_tax = rounded(discount / (1 + line.tax_rate), FINE)
    return LineMoney(gross=net + without_tax, discounts=without_tax, net=net)
