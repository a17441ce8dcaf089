"""Amounts as a shop writes them to amounts in units of their currency, rounded where the description says so.

A column is read at once, exactly, in Arrow's decimals; what these cannot hold, one by one. What is none keeps what was
sent for its fault.
"""

import decimal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.shop.money import Money, Rounding
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.shape import MONEY, TEXT
from analytics_pipeline.transforms.currencies import EXPONENTS
from analytics_pipeline.transforms.values import (
    MONEY_LIMIT,
    UNIT,
    ZERO,
    Column,
    arrow_series,
    exact_amount,
    means_nothing,
    money_column,
    number,
    plain_array,
)

_ROUNDINGS: dict[Rounding, tuple[str, Any]] = {
    "half_up": (decimal.ROUND_HALF_UP, "half_towards_infinity"),
    "half_even": (decimal.ROUND_HALF_EVEN, "half_to_even"),
    "down": (decimal.ROUND_DOWN, "towards_zero"),
}
_EXACT = Context(prec=100, traps=[InvalidOperation, Overflow, Inexact])
_ROUNDED = Context(prec=100, traps=[InvalidOperation, Overflow])
_MOST_DIGITS = 60
Array = Any
"""An Arrow array."""


@dataclass(frozen=True)
class _Form:
    """Decimals into which a column is read, the first of them that holds it; and the texts that the last one holds."""

    kinds: Sequence[pa.DataType]
    texts: str


_AMOUNTS = _Form(
    [pa.decimal128(19, 0), pa.decimal128(20, 8), pa.decimal256(48, 28)], r"^[+-]?(\d{1,20}(\.\d{0,28})?|\.\d{1,28})$"
)
_UNITS = _Form([pa.decimal128(10, 0)], r"^[+-]?\d{1,10}$")
_FACTORS = pa.decimal128(5, 4)
"""Of units of a currency in its minor ones. A product of all three fits Arrow's decimals, whichever of each it is."""


@dataclass
class Rounded:
    """How many amounts were rounded, and by how much in all, without signs."""

    amounts: int = 0
    by: Decimal = ZERO

    def add(self, found: Decimal, exact: Decimal) -> None:
        """Count an amount if it was rounded."""
        if found != exact:
            self.amounts += 1
            self.by += _ROUNDED.abs(_ROUNDED.subtract(found, exact))

    def add_all(self, found: Array, exact: Array) -> None:
        """Count a column of amounts, of one type."""
        by = pc.abs(pc.subtract(found.cast(_WIDEST), exact.cast(_WIDEST)))
        self.amounts += pc.sum(pc.not_equal(found, exact)).as_py() or 0
        self.by += pc.sum(by).as_py() or ZERO


_WIDEST = pa.decimal256(75, 32)


class AmountReader:
    """Reads amounts of one shop one by one, and counts what it rounds."""

    def __init__(self, money: Money, rounded: Rounded) -> None:
        self._money, self._rounded = money, rounded
        self._rounding, _ = _ROUNDINGS[money.rounding]

    def amount(self, value: object, currency: str) -> object:
        """Return an amount in units of its currency, what is none as it is, None where no minor unit is known."""
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
        self._rounded.add(found, exact)
        return found

    def value(self, price: object, units: object, currency: str) -> object:
        """Return the value of a whole line from a price that may have any number of decimals; None without one."""
        each, count = _number(price), _number(units)
        if each is None or count is None:
            return None
        try:
            return self.amount(_EXACT.multiply(each, count), currency)
        except ArithmeticError:
            return None

    def price(self, value: object, currency: str) -> object:
        """Return a price of one unit to four decimals, which nothing is calculated with."""
        each = _number(value)
        if each is None:
            return value
        exact = self._major(each, currency)
        return None if exact is None else exact.quantize(UNIT, decimal.ROUND_HALF_UP, _ROUNDED)

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


class Amounts:
    """The amounts of some records of one shop, each in a currency.

    Attributes:
        shop: Says how it writes amounts.
        currencies: The currency of each record, empty where it is none.
        rounded: What was rounded so far.
    """

    def __init__(self, shop: Shop, currencies: Sequence[str]) -> None:
        self.shop, self.currencies, self.rounded = shop, currencies, Rounded()

    def of(self, owners: Sequence[int] | None = None) -> "OwnedAmounts":
        """Return what reads columns of entries that belong to records at some positions; of the records themselves."""
        return OwnedAmounts(self, range(len(self.currencies)) if owners is None else owners)


@dataclass(frozen=True)
class OwnedAmounts:
    """Reads columns of amounts, given the position of the record that each value belongs to."""

    amounts: Amounts
    owners: Sequence[int]

    def money(self, values: Sequence[object]) -> Column:
        """Return a column in units, rounded as the description says."""
        if self._said.is_as_written:
            return money_column(values)
        exact, odd = _exact(values, _AMOUNTS)
        found = self._rounded(self._in_units(exact))
        return self._read(found, odd, lambda place: self._one.amount(*self._at(values, place)))

    def prices(self, values: Sequence[object]) -> Column:
        """Return prices of one unit to four decimals, which nothing is calculated with."""
        exact, odd = _exact(values, _AMOUNTS)
        found = _at_places(self._in_units(exact), MONEY.scale, "half_towards_infinity")
        return self._read(found, odd, lambda place: self._one.price(*self._at(values, place)))

    def products(self, prices: Sequence[object], units: Sequence[object]) -> Column:
        """Return the values of lines, rounded, of prices that may have any number of decimals; null without both."""
        (each, odd_prices), (count, odd_units) = _exact(prices, _AMOUNTS), _exact(units, _UNITS)
        found = self._rounded(self._in_units(pc.multiply(each, count)))
        odd = sorted({*odd_prices, *odd_units})
        return self._read(found, odd, lambda place: self._one.value(prices[place], units[place], self._currency(place)))

    @property
    def _said(self) -> Money:
        return self.amounts.shop.money

    @cached_property
    def _one(self) -> AmountReader:
        return AmountReader(self._said, self.amounts.rounded)

    def _currency(self, place: int) -> str:
        return self.amounts.currencies[self.owners[place]]

    def _at(self, values: Sequence[object], place: int) -> tuple[object, str]:
        return values[place], self._currency(place)

    @cached_property
    def _exponents(self) -> Array:
        """The decimals of each owner's currency."""
        of_records = pa.array([EXPONENTS.get(currency) for currency in self.amounts.currencies], type=pa.int32())
        return of_records.take(pa.array(self.owners, type=pa.int64()))

    def _in_units(self, exact: Array) -> Array:
        if self._said.unit == "major":
            return exact
        factors = pa.array([Decimal(1).scaleb(-exponent) for exponent in range(MONEY.scale + 1)], type=_FACTORS)
        return pc.multiply(exact, factors.take(self._exponents))

    def _rounded(self, exact: Array) -> Array:
        places, (_, mode) = self._said.round_to, _ROUNDINGS[self._said.rounding]
        if places is None:
            return exact
        if places == "currency":
            found = pc.round_binary(exact, self._exponents, round_mode=mode)
        else:
            found = _at_places(exact, places, mode)
        if found.type == exact.type:
            self.amounts.rounded.add_all(found, exact)
        return found

    def _read(self, found: Array, odd: Sequence[int], one: Callable[[int], object]) -> Column:
        """Return amounts as money, with those at the odd places read one by one."""
        typed, bad = _as_money(found)
        mended: dict[int, Decimal] = {}
        for place in odd:
            value = one(place)
            amount = None if means_nothing(value) else exact_amount(value)
            if amount is not None:
                mended[place] = amount
            elif not means_nothing(value):
                bad.append(place)
        if mended:
            typed = pc.replace_with_mask(
                typed, np.isin(np.arange(len(typed)), list(mended)), pa.array(list(mended.values()), type=MONEY)
            )
        return arrow_series(typed, MONEY), sorted(bad)


def _exact(values: Sequence[object], form: _Form) -> tuple[Array, list[int]]:
    """Return values as exact decimals, null for those that do not fit, and the positions of the latter."""
    given = plain_array(values)
    for kind in form.kinds:
        try:
            return given.cast(kind), []
        except pa.ArrowInvalid:
            continue
    texts = given.cast(TEXT)
    fitting = pc.if_else(pc.match_substring_regex(texts, form.texts), texts, pa.scalar(None, TEXT)).cast(form.kinds[-1])
    return fitting, pc.indices_nonzero(pc.and_(pc.is_valid(given), pc.is_null(fitting))).to_pylist()


def _at_places(exact: Array, places: int, mode: Any) -> Array:  # noqa: ANN401  # one of Arrow's words
    """Round to some decimals; an array of another type where nothing has to be."""
    try:
        return _at_scale(exact, places)
    except pa.ArrowInvalid:  # which is how Arrow says that digits would be lost
        return pc.round(exact, places, round_mode=mode)


def _at_scale(exact: Array, places: int) -> Array:
    kind = pa.decimal256 if pa.types.is_decimal256(exact.type) else pa.decimal128
    return exact if exact.type.scale <= places else exact.cast(kind(exact.type.precision, places))


def _as_money(found: Array) -> tuple[Array, list[int]]:
    """Return amounts as money, null for what has more decimals or is too large, and the positions of that."""
    cut = _at_places(found, MONEY.scale, "towards_zero")
    fits = pc.less(pc.abs(cut), pa.scalar(MONEY_LIMIT, pa.decimal128(19, 0)))
    if cut.type == found.type:
        fits = pc.and_(fits, pc.equal(cut, found))
    bad: list[int] = pc.indices_nonzero(pc.invert(fits)).to_pylist()
    return (pc.if_else(fits, cut, pa.scalar(None, cut.type)) if bad else cut).cast(MONEY), bad
