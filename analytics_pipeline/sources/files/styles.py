"""By the values of columns: which of them hold numbers or dates, and how these are written. A guess: guessing.py."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any

from analytics_pipeline.plain import counted
from analytics_pipeline.shop.reading import DateOrder, Numbers
from analytics_pipeline.sources.files.rows import UNREADABLE
from analytics_pipeline.sources.files.types import Cached, Canonical, date_reader, number_reader

CURRENCY_SIGNS = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "₹": "INR", "zł": "PLN", "Kč": "CZK", "₩": "KRW"}
CURRENCIES = frozenset({*CURRENCY_SIGNS.values(), "CHF", "SEK", "NOK", "DKK", "HUF", "RON", "CAD", "AUD", "NZD", "BRL"})
_ENOUGH, _ENOUGH_BY_NAME = 0.9, 0.5
"""Share of the values of a column that are of a type, for it to be taken for that type; of one whose name says so."""
_MOST_DISTINCT, _LOOKED_AT = 200_000, 20_000
_STYLES = ((".", None), (",", None), (".", ","), (",", "."), (".", "'"), (",", " "), (".", " "))
"""Signs before decimals and between thousands, the plainest first."""
_ORDERS: tuple[DateOrder, ...] = ("iso", "ymd", "dmy", "mdy")
_WITH_SHORT_YEARS: tuple[DateOrder, ...] = ("dmy", "mdy")
_LIKE_A_DATE = re.compile(r"\d[-/.]\d|\d[-. ]{0,2}[^\W\d_]{3,9}[-. ]|[^\W\d_]{3,9}\.?[- ]\d")
_COMPACT = re.compile(r"\d{8}", re.ASCII)
_SIGN = re.compile(r"[-+(]?\s?([^\d\s.,()+'-]{1,4})\s?[-+]?\s?[\d.,]|[\d]\s?([^\d\s.,()+'-]{1,4})[)-]?")
_EXAMPLES = 3


@dataclass
class Values:
    """The different values of a column, and how often each is there.

    Attributes:
        counts: Texts, by how many rows have them.
        empty: Rows without a value.
        numbers: Rows with a number that is none of text.
        negative: Those of them in which it is below zero.
    """

    counts: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    numbers: int = 0
    negative: int = 0

    def count(self, cells: Iterable[Any]) -> None:
        """Take the cells of further rows into account."""
        try:
            counted = Counter(cells)
        except TypeError:  # what is unreadable, and lists
            counted = Counter(str(cell[UNREADABLE]) if isinstance(cell, dict) else str(cell) for cell in cells)
        for cell, times in counted.items():
            text = str(cell)
            if cell is None or not text.strip():
                self.empty += times
            elif isinstance(cell, int | Decimal):
                self.numbers += times
                self.negative += times if cell < 0 else 0
            elif text in self.counts or len(self.counts) < _MOST_DISTINCT:
                self.counts[text] += times

    def share(self, reader: Cached) -> tuple[int, int]:
        """How many rows hold a text that can be read, and how many hold a text at all, by some of the texts."""
        looked_at = dict(islice(self.counts.items(), _LOOKED_AT))
        return sum(count for text, count in looked_at.items() if reader[text]), sum(looked_at.values())


@dataclass(frozen=True)
class Dates:
    """How dates are written, and which columns hold them."""

    order: DateOrder
    short_years: bool
    columns: frozenset[str]
    is_ambiguous: bool
    values: Mapping[str, Values]
    reader: Cached

    @property
    def described(self) -> dict[str, Any]:
        """The keys that say so."""
        named = {} if self.order == "iso" else {"dates": self.order}
        return named | ({"short_years": True} if self.short_years else {})

    def canonical(self, seen: Values) -> list[str]:
        """The days and stamps of a column, in their one form."""
        return [found for text in seen.counts if (found := self.reader[text])]

    def doubts(self, used: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Columns and what is unsure about their dates."""
        for name in used:
            if name not in self.columns:
                continue
            if self.is_ambiguous:
                other = "month first" if self.order == "dmy" else "day first"
                yield name, f"every date can be read {other}, too"
            if self.short_years:
                days = sorted(stamp[:10] for stamp in self.canonical(self.values[name]))
                yield name, f"years of two digits are taken for those from 2000 on: {days[0]} to {days[-1]}"
            bad = {text: count for text, count in self.values[name].counts.items() if not self.reader[text]}
            if bad:
                yield (
                    name,
                    f"{counted(sum(bad.values()), 'row')} with dates that are not {self.order}: quarantine",
                )


@dataclass(frozen=True)
class NumberStyle:
    """How numbers are written, and which columns hold them."""

    style: Numbers
    columns: frozenset[str]
    ambiguous: str | None
    values: Mapping[str, Values]

    @property
    def described(self) -> dict[str, Any]:
        """The keys that say so."""
        found = self.style.model_dump(exclude_defaults=True)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}

    def negative(self, name: str) -> int:
        """How many rows of a column hold a number below zero."""
        reader = Cached(number_reader(self.style))
        seen = self.values[name]
        return seen.negative + sum(count for text, count in seen.counts.items() if (reader[text] or "").startswith("-"))

    def other_than_zero(self, name: str) -> bool:
        """Whether a column of numbers holds another one than zero."""
        reader = Cached(number_reader(self.style))
        seen = self.values[name]
        return name in self.columns and bool(seen.numbers or any(Decimal(reader[text] or 0) for text in seen.counts))

    def doubts(self, used: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Columns and what is unsure about their numbers."""
        reader = Cached(number_reader(self.style))
        for name in used:
            if name not in self.columns:
                continue
            if self.ambiguous and self.ambiguous in self.values[name].counts:
                yield name, f"numbers such as {self.ambiguous} may mean thousands or decimals"
            bad = sum(count for text, count in self.values[name].counts.items() if not reader[text])
            if bad:
                yield name, f"{counted(bad, 'row')} with no number that is written so: quarantine"


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a date, and no name."""
    return any(reader(cell.strip()) is not None for reader in _readers_of_values())


@cache
def _readers_of_values() -> tuple[Canonical, ...]:
    dates = (date_reader(order, short_years=short) for order in _ORDERS for short in (False, True))
    return (*map(number_reader, _styles(())), *dates)


def guess_dates(
    values: Mapping[str, Values], expected: Collection[str] = (), *, has_own_dates: bool, is_american: bool
) -> Dates:
    """Return how dates are written, by all columns that hold them.

    Args:
        values: The values of columns.
        expected: Columns whose names say that they hold dates.
        has_own_dates: Whether dates that are none of text come in the ISO form, so that these say nothing.
        is_american: Whether the month comes first where dates can be read both ways.
    """
    readers = {(order, False): Cached(date_reader(order)) for order in _ORDERS}
    readers |= {(order, True): Cached(date_reader(order, short_years=True)) for order in _WITH_SHORT_YEARS}
    found, totals = set[str](), Counter[tuple[DateOrder, bool]]()
    for name, seen in values.items():
        texts = sum(seen.counts.values())
        if not texts or seen.numbers or not _may_be_dates(seen):
            continue
        read = {style: seen.share(reader)[0] for style, reader in readers.items()}
        any_order = sum(count for text, count in seen.counts.items() if any(one[text] for one in readers.values()))
        if any_order < (_ENOUGH_BY_NAME if name in expected else _ENOUGH) * texts:
            continue
        found.add(name)
        native = read["iso", False] if has_own_dates else 0
        totals.update({style: count - (native if style[0] in {"iso", "ymd"} else 0) for style, count in read.items()})
    order, short = max(readers, key=lambda one: totals[one]) if totals else ("iso", False)
    is_ambiguous = order == "dmy" and totals["dmy", short] == totals["mdy", short]
    if is_ambiguous and is_american:
        order = "mdy"
    return Dates(order, short, frozenset(found), is_ambiguous, values, readers[order, short])


def _may_be_dates(seen: Values) -> bool:
    """Whether the first values look like dates; eight digits alone are rather an id."""
    first = [*islice(seen.counts, 50)]
    return sum(bool(_LIKE_A_DATE.search(text)) and not _COMPACT.fullmatch(text) for text in first) * 2 > len(first)


def guess_numbers(values: Mapping[str, Values], signs: Sequence[str], expected: Collection[str] = ()) -> NumberStyle:
    """Return how numbers are written, by all columns that hold them.

    Args:
        values: The values of columns.
        signs: Those of currencies.
        expected: Columns whose names say that they hold numbers.
    """
    styles = _styles(signs)
    readers = [Cached(number_reader(style)) for style in styles]
    found, totals = set[str](), [0] * len(styles)
    for name, seen in values.items():
        shares = [seen.share(reader) for reader in readers]
        texts = shares[0][1]
        if (texts or seen.numbers) and max(read for read, _ in shares) >= (
            _ENOUGH_BY_NAME if name in expected else _ENOUGH
        ) * texts:
            found.add(name)
            totals = [total + read for total, (read, _) in zip(totals, shares, strict=True)]
    best = max(totals)
    equal = [place for place, total in enumerate(totals) if total == best]
    looked_at = (text for name in found for text in islice(values[name].counts, _LOOKED_AT))
    ambiguous = next((text for text in looked_at if len({readers[place][text] for place in equal} - {None}) > 1), None)
    with_thousands = [place for place in equal if ambiguous and (styles[place].group or "none") in ambiguous]
    return NumberStyle(styles[[*with_thousands, *equal][0]], frozenset(found), ambiguous, values)


def signs_of(values: Iterable[Values]) -> tuple[str, ...]:
    """Signs and codes of currencies that stand beside numbers."""
    found = Counter[str]()
    for seen in values:
        for text in islice(seen.counts, 1_000):
            match = _SIGN.search(text.strip())
            sign = (match[1] or match[2]) if match else None
            if sign in CURRENCY_SIGNS or sign in CURRENCIES:
                found[sign] += 1
    return tuple(sorted(found))


def _styles(signs: Sequence[str]) -> list[Numbers]:
    return [
        Numbers.model_validate({"decimal": decimal, "group": group, "signs": list(signs)}) for decimal, group in _STYLES
    ]
