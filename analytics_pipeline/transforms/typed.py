"""Typed columns of raw ones: a value that cannot be read becomes null and is noted, with the reason, by its position.

How single kinds of values are read is in `values`; who is notified of a fault is the caller's choice.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.decoding.mapping import LONGEST_ID, parse_stamp
from analytics_pipeline.shop.spec import Times
from analytics_pipeline.tables.shape import FLAG, STAMP
from analytics_pipeline.transforms.amounts import OwnedAmounts
from analytics_pipeline.transforms.records import Columns
from analytics_pipeline.transforms.values import (
    Column,
    arrow_series,
    count_column,
    flag_column,
    means_nothing,
    places,
    text_column,
)

_ZEROS = re.compile(r"0000-00-00([ T]00:00(:00(\.0+)?)?)?(Z|[+-]00:?00)?", re.ASCII)
"""How databases write a stamp that is none."""
NO_AMOUNT = "not an amount with at most four decimals"
TOO_LARGE = "too large with its quantity"
Note = Callable[[int, str, str, object], None]
"""Takes position, reason, field and value of what could not be read."""


class TypedColumns:
    """The columns of some records or entries by field; a field that is not mapped is null throughout."""

    def __init__(self, columns: Columns, amounts: OwnedAmounts, note: Note, times: Times | None = None) -> None:
        """Take the columns, and what reads amounts of the records that they belong to, whichever fields these are."""
        shop = amounts.amounts.shop
        self._columns, self._amounts, self._note = columns, amounts, note
        self._times, self._zone = times or shop.times, shop.zone

    def has(self, field: str) -> bool:
        """Whether the field is mapped."""
        return field in self._columns

    def values(self, field: str) -> list[object]:
        """Return a field as the API gave it, None where it is absent."""
        return self._columns.get(field) or [None] * len(self._amounts.owners)

    def money(self, field: str) -> pd.Series:
        """Return a field as amounts, in units of their currencies and rounded where the shop's description says so."""
        return self._read(field, self._amounts.money, NO_AMOUNT)

    def prices(self, field: str) -> pd.Series:
        """Return a field as prices of one unit to four decimals, which nothing is calculated with."""
        return self._read(field, self._amounts.prices, NO_AMOUNT)

    def products(self, prices: str, units: str) -> pd.Series:
        """Return units times prices that may have any number of decimals, as amounts are rounded."""
        column, bad = self._amounts.products(self.values(prices), self.values(units))
        self.note(bad, TOO_LARGE, prices)
        return column

    def counts(self, field: str) -> pd.Series:
        """Return a field as whole numbers."""
        return self._read(field, count_column, "not a whole number")

    def texts(self, field: str) -> pd.Series:
        """Return a field as texts, null where it is empty."""
        return self._read(field, text_column, "neither text nor number")

    def ids(self, field: str) -> pd.Series:
        """Return a field as texts that are not too long for an index."""
        texts = self.texts(field)
        longest = pc.max(pc.binary_length(pa.array(texts))).as_py()
        if longest is not None and longest > LONGEST_ID:
            too_long = places(arrow_series(pc.greater(pc.binary_length(pa.array(texts)), LONGEST_ID), FLAG))
            self.note(too_long, f"longer than {LONGEST_ID} bytes", field)
            texts = texts.copy()
            texts.iloc[too_long] = None
        return texts

    def flags(self, field: str) -> pd.Series:
        """Return a field as booleans."""
        return self._read(field, flag_column, "neither true nor false")

    def stamps(self, field: str) -> pd.Series:
        """Return a field as UTC stamps, null where it is absent, empty or all zeros."""
        return arrow_series([self._stamp(place, field, value) for place, value in enumerate(self.values(field))], STAMP)

    def note(self, places: Sequence[int], reason: str, field: str) -> None:
        """Note that the values of a field at some positions break a rule."""
        values = self.values(field) if places else []
        for place in places:
            self._note(place, reason, field, values[place])

    def _read(self, field: str, read: Callable[[Sequence[object]], Column], reason: str) -> pd.Series:
        column, bad = read(self.values(field))
        self.note(bad, reason, field)
        return column

    def _stamp(self, place: int, field: str, value: object) -> datetime | None:
        if means_nothing(value) or (isinstance(value, str) and _ZEROS.fullmatch(value)):
            return None
        try:
            return parse_stamp(value, self._times, self._zone)
        except ValueError:
            self._note(place, "not a stamp", field, value)
            return None
