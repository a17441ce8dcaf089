"""From the API's values to typed columns, exactly: money, whole numbers, text and flags.

A value that cannot be read comes back as null together with its position; what follows from that is decided by the
caller. Where nothing is meant (an empty text, and `false` for anything but a flag) it is null, and no fault.
"""

import re
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.tables.shape import COUNT, FLAG, MONEY, TEXT

ZERO = Decimal("0.0000")
UNIT = Decimal("0.0001")
MONEY_LIMIT = Decimal(10) ** 11
"""Amounts lie below this, so that the sums of an order fit the fifteen digits that `MONEY` has before the point."""
COUNT_LIMIT = 10**12
"""Quantities lie below this, so that quantity times price fits the 38 digits of Arrow's decimals."""
ORDER_LIMIT = Decimal(10) ** 12
"""What an order adds up to lies below this, so that the sums of a day's orders fit `MONEY` too."""

WHOLE = pa.decimal128(19, 0)
"""The only decimals that Arrow casts integers to."""

Column = tuple[pd.Series, list[int]]
"""A typed column, and the positions of the values that are null since they could not be read."""

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)
_SHORT_COUNT = r"^-?[0-9]{1,9}$"
"""Texts that are whole numbers without doubt, and nowhere near the limit."""
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def arrow_series(
    values: "Sequence[object] | pa.Array[Any] | pa.ChunkedArray[Any]", kind: pa.DataType, index: pd.Index | None = None
) -> pd.Series:
    """Return values as a pandas series with the Arrow dtype `kind`."""
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, type=kind)
    return pd.Series(pd.arrays.ArrowExtensionArray(array if array.type == kind else array.cast(kind)), index=index)


def repeated(value: object, count: int, kind: pa.DataType) -> pd.Series:
    """Return a column that holds `value` (None for null) `count` times."""
    scalar: Any = pa.scalar(value, kind)
    return arrow_series(pa.repeat(scalar, count), kind)


def money(amounts: pd.Series) -> pd.Series:
    """Return a sum or difference of amounts, which Arrow widens, as `decimal128(19,4)` again."""
    return arrow_series(pa.array(amounts), MONEY, amounts.index)


def or_zero(amounts: pd.Series) -> pd.Series:
    """Return amounts with zero for null."""
    return arrow_series(pc.fill_null(pa.array(amounts), ZERO), MONEY, amounts.index)


def decimals(amounts: pd.Series) -> list[Decimal]:
    """Return amounts, none of which is null, as a list."""
    listed: list[Decimal] = pa.array(amounts).to_pylist()
    return listed


def places(mask: pd.Series) -> list[int]:
    """Return the positions at which a mask is true; null is false."""
    found: list[int] = np.flatnonzero(mask.fillna(value=False).to_numpy(dtype=bool)).tolist()
    return found


def money_column(values: Sequence[object]) -> Column:
    """Read amounts, given as decimal strings, integers or Decimals, into `decimal128(19,4)`.

    Not an amount: what has more than four decimals that are not zero, and what reaches `MONEY_LIMIT`.
    """
    try:
        amounts = plain_array(values).cast(MONEY)
    except pa.ArrowInvalid:
        return _one_by_one([None if means_nothing(value) else value for value in values], exact_amount, MONEY)
    largest: Decimal | None = pc.max(pc.abs(amounts)).as_py()
    if largest is not None and largest >= MONEY_LIMIT:
        return _one_by_one([None if means_nothing(value) else value for value in values], exact_amount, MONEY)
    return arrow_series(amounts, MONEY), []


def plain_array(values: Sequence[object]) -> "pa.Array[Any]":
    """Return amounts as whole decimals where all are whole numbers, else as texts; a text for what is no number."""
    kind = next((type(value) for value in values if value is not None), str)
    if kind is str or kind is int:  # others are nowhere near as fast without their texts
        try:
            array: pa.Array[Any] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            pass  # values of different kinds, or beyond 64 bits
        else:
            if kind is str or pa.types.is_integer(array.type):  # whole numbers among others make an array of Decimals
                return array.cast(WHOLE if kind is int else TEXT)
    return pa.array(
        [value if type(value) is str or value is None else _number_text(value) for value in values], type=TEXT
    )


def count_column(values: Sequence[object]) -> Column:
    """Read whole numbers below `COUNT_LIMIT`, given as integers, Decimals or their digits, into `int64`."""
    if all(type(value) is int and -COUNT_LIMIT < value < COUNT_LIMIT for value in values):
        return arrow_series(values, COUNT), []
    if all(type(value) is str or value is None for value in values):
        texts = pa.array(values, type=TEXT)
        if pc.all(pc.match_substring_regex(texts, _SHORT_COUNT)).as_py() is not False:
            return arrow_series(texts.cast(COUNT), COUNT), []
    return _one_by_one([None if means_nothing(value) else value for value in values], _whole, COUNT)


def text_column(values: Sequence[object]) -> Column:
    """Read texts and numbers as text; an empty text is null, the zero character, which Postgres refuses, U+FFFD."""
    if all(type(value) is int for value in values):
        return _one_by_one(values, str, TEXT)
    try:
        column, bad = arrow_series(values, TEXT), list[int]()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        column, bad = _one_by_one([None if value is False else value for value in values], _text, TEXT)
    texts = pc.replace_substring(pa.array(column), "\x00", "\ufffd")
    empty: Any = pa.scalar("", TEXT)
    return arrow_series(pc.if_else(pc.equal(texts, empty), pa.scalar(None, TEXT), texts), TEXT), bad


def means_nothing(value: object) -> bool:
    """Return whether a value of anything but a flag stands for none: shops also write it as `""` and `false`."""
    return value is None or value is False or (isinstance(value, str) and not value.strip())


def flag_column(values: Sequence[object]) -> Column:
    """Read booleans, given as such, as 0 and 1, or as their text."""
    given = [None if value is not False and means_nothing(value) else value for value in values]
    return _one_by_one(given, lambda value: _FLAGS.get(str(value).strip().lower()), FLAG)


def _one_by_one(values: Sequence[object], read: Callable[[object], object], kind: pa.DataType) -> Column:
    """Read values that may be faulty; `read` gives None for a faulty one. None is absent, and no fault."""
    found = [None if value is None else read(value) for value in values]
    bad = [place for place, value in enumerate(values) if value is not None and found[place] is None]
    return arrow_series(found, kind), bad


def _number_text(value: object) -> str:
    # A boolean is an int in Python and is no number; floats never reach this point (JSON is decoded into Decimals).
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else "not a number"


def number(value: object) -> Decimal | None:
    """Read a number, given as such or as its digits; None for what is none."""
    text = value if isinstance(value, str) else _number_text(value)
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def exact_amount(value: object) -> Decimal | None:
    """Read one amount as `money_column` does; None for what is none."""
    amount = number(value)
    if amount is None or abs(amount) >= MONEY_LIMIT:
        return None
    exact = amount.quantize(UNIT)
    return exact if exact == amount else None


def _whole(value: object) -> int | None:
    found = number(value)
    is_whole = found is not None and abs(found) < COUNT_LIMIT and found == found.to_integral_value()
    return int(found) if is_whole and found is not None else None


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None


def round_money(amount: Decimal) -> Decimal:
    """Round to four decimals, halves away from zero, as Postgres' numeric does."""
    return amount.quantize(UNIT, ROUND_HALF_UP)


def spread(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Split an amount in proportion to weights, to four decimals, so that the shares sum up to it exactly.

    What rounding leaves over goes to the heaviest weight, the first of them where several weigh the same. Without any
    weight, the whole amount goes to the first place. Nothing is split without places.

    Raises:
        ValueError: A share is too large to be money, since weights of both signs nearly cancel each other.
    """
    total = sum(weights, ZERO)
    if not weights:
        return []
    if not total:
        return [amount, *[ZERO] * (len(weights) - 1)]
    exact = [amount * weight / total for weight in weights]
    if any(abs(share) >= MONEY_LIMIT for share in exact):
        raise ValueError("a share is too large to be money")
    shares = [round_money(share) for share in exact]
    shares[weights.index(max(weights))] += amount - sum(shares, ZERO)
    return shares
