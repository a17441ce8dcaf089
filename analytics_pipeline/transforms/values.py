"""From the API's values to typed columns, exactly: money, whole numbers, text, and the hash of personal data.

A value that is none comes back as null together with its position; what follows from that is decided by the caller.
"""

import hashlib
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

import pandas as pd
import pyarrow as pa

from analytics_pipeline.tables import COUNT, MONEY, TEXT

ZERO = Decimal("0.0000")
UNIT = Decimal("0.0001")
MONEY_LIMIT = Decimal(10) ** 15
COUNT_LIMIT = 10**12
"""Quantities below this keep quantity times price within the 38 digits of Arrow's decimals."""


def arrow_series(values: Sequence[object] | pa.Array, kind: pa.DataType) -> pd.Series:
    """Return values as a pandas series with the Arrow dtype `kind`."""
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, type=kind)
    return pd.Series(array, dtype=pd.ArrowDtype(kind))


def money_column(values: Sequence[object]) -> tuple[pa.Array, list[int]]:
    """Read amounts, given as decimal strings, integers or Decimals, into `decimal128(19,4)`.

    Args:
        values: None is an absent amount.

    Returns:
        The amounts, and the positions of values that are no amount with at most four decimals; both of these and None are null.
    """
    texts = [value if type(value) is str or value is None else _amount_text(value) for value in values]
    try:
        return pa.array(texts, type=TEXT).cast(MONEY), []
    except pa.ArrowInvalid:
        amounts = [None if text is None else _amount(text) for text in texts]
        bad = [place for place, (text, amount) in enumerate(zip(texts, amounts, strict=True)) if text is not None and amount is None]
        return pa.array(amounts, type=MONEY), bad


def _amount_text(value: object) -> str:
    # A boolean is an int in Python and is no amount; floats never reach this point (JSON is decoded into Decimals).
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else "not an amount"


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not amount.is_finite() or abs(amount) >= MONEY_LIMIT:
        return None
    exact = amount.quantize(UNIT)
    return exact if exact == amount else None


def count_column(values: Sequence[object]) -> tuple[pa.Array, list[int]]:
    """Read whole numbers, given as integers or as their digits, into `int64`.

    Args:
        values: None is an absent number.

    Returns:
        The numbers, and the positions of values that are no whole number; both of these and None are null.
    """
    if all(type(value) is int and -COUNT_LIMIT < value < COUNT_LIMIT for value in values):
        return pa.array(values, type=COUNT), []
    numbers = [_whole(value) for value in values]
    bad = [place for place, (value, number) in enumerate(zip(values, numbers, strict=True)) if value is not None and number is None]
    return pa.array(numbers, type=COUNT), bad


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    whole = number.is_finite() and abs(number) < COUNT_LIMIT and number == number.to_integral_value()
    return int(number) if whole else None


def text_or_none(value: object) -> str | None:
    """Return a text or number as text, None for what is absent or empty."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


def hash_email(address: object) -> str | None:
    """Return the SHA-256 of an e-mail address, trimmed and in lower case, as 64 hex digits; None without an address."""
    normal = address.strip().lower() if isinstance(address, str) else ""
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest() if normal else None


def round_money(amount: Decimal) -> Decimal:
    """Round to four decimals, halves away from zero, as Postgres' numeric does."""
    return amount.quantize(UNIT, ROUND_HALF_UP)


def spread(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Split an amount in proportion to weights, to four decimals, so that the shares sum up to it exactly.

    What rounding leaves over goes to the heaviest weight, the first of them where several weigh the same. Without any weight, the whole
    amount goes to the first place.
    """
    total = sum(weights, ZERO)
    if not weights:
        return []
    if not total:
        return [amount, *[ZERO] * (len(weights) - 1)]
    shares = [round_money(amount * weight / total) for weight in weights]
    shares[weights.index(max(weights))] += amount - sum(shares, ZERO)
    return shares
