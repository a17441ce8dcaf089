"""Amounts as a shop writes them to amounts in units of their currency, rounded where the description says so.

Between reading and typing: the columns of `records` come in, and go out with Decimals for what are numbers. What is
none stays as it is, so that its fault shows what was sent.
"""

import decimal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import TypeVar

from analytics_pipeline.shop.money import Money, Rounding
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.charge_entries import ChargeEntries
from analytics_pipeline.transforms.currencies import EXPONENTS
from analytics_pipeline.transforms.records import Columns, Entries, OrderRecords
from analytics_pipeline.transforms.values import UNIT, ZERO, means_nothing, number

OF_ORDERS = ("order_discount", "discounts", "shipping", "shipping_tax", "taxes", "total")
OF_LINES = ("unit_price", "line_total", "discount", "tax")
OF_REFUNDS = ("shipping", "shipping_tax", "adjustment")
OF_REFUND_LINES = OF_CHARGES = ("amount", "tax")
Listed = TypeVar("Listed", bound=Entries)
_ROUNDINGS: dict[Rounding, str] = {
    "half_up": decimal.ROUND_HALF_UP,
    "half_even": decimal.ROUND_HALF_EVEN,
    "down": decimal.ROUND_DOWN,
}
_EXACT = Context(prec=100, traps=[InvalidOperation, Overflow, Inexact])
_ROUNDED = Context(prec=100, traps=[InvalidOperation, Overflow])
_MOST_DIGITS = 60


@dataclass
class Rounded:
    """How many amounts were rounded, and by how much in all, without signs."""

    amounts: int = 0
    by: Decimal = ZERO


class AmountReader:
    """Reads the amounts of one shop, and counts what it rounds."""

    def __init__(self, money: Money, rounded: Rounded) -> None:
        self._money, self._rounded = money, rounded
        self._rounding = _ROUNDINGS[money.rounding]

    def knows(self, currency: str) -> bool:
        """Whether amounts of a currency can be read."""
        return not self._money.needs_currency or currency in EXPONENTS

    def read(self, values: Sequence[object], currencies: Sequence[str]) -> list[object]:
        """Return amounts in units of their currencies; None where the currency is none whose minor unit is known."""
        pairs = zip(values, currencies, strict=True)
        return [value if means_nothing(value) else self._amount(value, currency) for value, currency in pairs]

    def value(self, price: object, units: object, currency: str) -> object:
        """Return the value of a whole line from a price that may have any number of decimals; None without one."""
        each, count = _number(price), _number(units)
        if each is None or count is None:
            return None
        try:
            return self._amount(_EXACT.multiply(each, count), currency)
        except ArithmeticError:
            return None

    def price(self, value: object, currency: str) -> object:
        """Return a price of one unit to four decimals, which nothing is calculated with."""
        each = None if means_nothing(value) else _number(value)
        if each is None:
            return value
        exact = self._major(each, currency)
        return None if exact is None else exact.quantize(UNIT, decimal.ROUND_HALF_UP, _ROUNDED)

    def _amount(self, value: object, currency: str) -> object:
        given = _number(value)
        if given is None:
            return value
        exact = self._major(given, currency)
        if exact is None or self._money.round_to is None:
            return exact
        places = EXPONENTS.get(currency) if self._money.round_to == "currency" else self._money.round_to
        if places is None:
            return None
        found = exact.quantize(Decimal(1).scaleb(-places), self._rounding, _ROUNDED)
        if found != exact:
            self._rounded.amounts += 1
            self._rounded.by += _ROUNDED.abs(_ROUNDED.subtract(found, exact))
        return found

    def _major(self, amount: Decimal, currency: str) -> Decimal | None:
        if self._money.unit == "major":
            return amount
        exponent = EXPONENTS.get(currency)
        return None if exponent is None else amount.scaleb(-exponent, _EXACT)


def _number(value: object) -> Decimal | None:
    """Return a number that is not beyond all amounts; what is gets its fault where columns are typed."""
    found = number(value)
    if found is None or abs(found.adjusted()) > _MOST_DIGITS or len(found.as_tuple().digits) > _MOST_DIGITS:
        return None
    return found


class InUnits:
    """Puts what was read of some records into units of their currencies, rounded as the description says."""

    def __init__(self, currencies: Sequence[str], shop: Shop) -> None:
        """Take the currency of each record, empty where it is none, and the shop, which says how it writes amounts."""
        self.rounded = Rounded()
        self._currencies, self._money = currencies, shop.money
        self._reader = AmountReader(shop.money, self.rounded)

    def records(self, records: OrderRecords) -> OrderRecords:
        """Return records with all their amounts in units.

        Where amounts are rounded, the value of a line is, and not its price of one unit, which may need more decimals.
        """
        if self._money.is_as_written:
            return records
        lines, priced = records.lines, Columns()
        if self._money.round_to is not None and "unit_price" in lines.columns:
            priced = dict(_priced(lines.columns, self._of(lines.owners), self._reader))
        fields = [name for name in OF_LINES if name not in priced]
        return replace(
            records,
            orders=self._read(records.orders, self._currencies, OF_ORDERS),
            lines=replace(lines, columns=self._read(lines.columns, self._of(lines.owners), fields) | priced),
            refunds=self._entries(records.refunds, OF_REFUNDS),
            refund_lines=self._entries(records.refund_lines, OF_REFUND_LINES),
        )

    def charges(self, entries: Sequence[ChargeEntries], records: Sequence[int] | None = None) -> list[ChargeEntries]:
        """Return charges with their amounts in units; `records` are the positions of their owners' records."""
        if self._money.is_as_written:
            return list(entries)
        return [self._entries(one, OF_CHARGES, records) for one in entries]

    def _of(self, owners: Sequence[int], records: Sequence[int] | None = None) -> list[str]:
        return [self._currencies[owner if records is None else records[owner]] for owner in owners]

    def _entries(self, of: Listed, fields: Sequence[str], records: Sequence[int] | None = None) -> Listed:
        return replace(of, columns=self._read(of.columns, self._of(of.owners, records), fields))

    def _read(self, columns: Columns, of: Sequence[str], fields: Sequence[str]) -> Columns:
        return columns | {name: self._reader.read(columns[name], of) for name in fields if name in columns}


def _priced(columns: Columns, currencies: Sequence[str], reader: AmountReader) -> Iterator[tuple[str, list[object]]]:
    """Yield the prices of lines as they are shown, and the lines' values."""
    prices = columns["unit_price"]
    yield "unit_price", [reader.price(price, currency) for price, currency in zip(prices, currencies, strict=True)]
    each = zip(prices, columns["quantity"], currencies, strict=True)
    yield "line_total", [reader.value(price, units, currency) for price, units, currency in each]
