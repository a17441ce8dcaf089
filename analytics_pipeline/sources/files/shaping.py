"""From the cells of a table to records: names of columns, numbers and dates in one form, totals left out.

What all formats with columns share; where cells come from is in delimited.py, parquet.py and excel.py.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from analytics_pipeline.errors import MissingColumnError
from analytics_pipeline.shop.reading import OWN_COLUMNS, ColumnType, Reading
from analytics_pipeline.sources.files.rows import UNREADABLE, Fault, Record, Rows, is_blank, is_total, shown, storable
from analytics_pipeline.sources.files.types import Cached, date_of, number_of, plain_value, reader_of

Cells = Sequence[Any]
MOST_NAMED, MOST_LIKENED = 100, 1_000
"""Columns that a message names, and that are compared with one that is missing."""
_REASONS: dict[ColumnType, str] = {"number": "unreadable_number", "date": "unreadable_date"}


def columns_of(cells: Cells, reading: Reading, needed: Collection[str], path: str, line: int) -> tuple[str, ...]:
    """Return the names of the columns of a header.

    Args:
        cells: The header as it stands there.
        reading: How the file is described.
        needed: Columns that the description reads; those with a type are needed, too.
        path: The file.
        line: The line of the header.

    Raises:
        MissingColumnError: A needed column is missing, or is there twice.
    """
    texts = (storable(str("" if cell is None else cell)) for cell in cells)
    bare = [" ".join(text.replace("\ufeff", "").split()) for text in texts]
    while bare and not bare[-1]:
        bare.pop()
    names = [our_name(name, reading) or f"column_{place}" for place, name in enumerate(bare, 1)]
    wanted = [*dict.fromkeys([*needed, *reading.columns])]
    counts = Counter(names)
    for name in wanted:
        if name not in counts and name not in reading.optional:
            raise MissingColumnError(missing_column(name, names, wanted), path=path, column=name, line=line)
        if counts[name] > 1:
            fault = f"has {counts[name]} columns {name}: name all but one otherwise; those under renamed count, too"
            raise MissingColumnError(fault, path=path, column=name, line=line)
    return _different(names)


def our_name(name: str, reading: Reading) -> str:
    """The name of a column, as the description calls it."""
    return reading.renamed.get(name, name)


def missing_column(name: str, names: Sequence[str], wanted: Sequence[str]) -> str:
    """What to do about a column that is not there: it may be called otherwise now."""
    read = {*wanted}
    unread = [one for one in names if one not in read]
    if len(names) == 1:
        return f"has no column {name}, and only one at all ({names[0][:60]!r}): check csv.delimiter and csv.header_row"
    near = sorted(unread[:MOST_LIKENED], key=lambda other: -_likeness(name, other))[:1]
    remedy = f"; if it is called {near[0]} there, write `renamed: {{{near[0]}: {name}}}`" if near else ""
    others = f" and {len(names) - MOST_NAMED} others" if len(names) > MOST_NAMED else ""
    return f"has no column {name}; it has: {', '.join(names[:MOST_NAMED])}{others}{remedy}"


def _likeness(name: str, other: str) -> float:
    """How much two names are alike: letters in order, and words in common, such as of price and unit_price."""
    one, two = name.lower(), other.lower()
    words = {*re.findall(r"[^\W_]+", one)} & {*re.findall(r"[^\W_]+", two)}
    return difflib.SequenceMatcher(None, one, two).ratio() + len(words)


def _different(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns with a number behind those that are there already, or that the project adds itself."""
    found: dict[str, None] = dict.fromkeys(OWN_COLUMNS)
    numbers: dict[str, int] = {}
    for name in names:
        number, one = numbers.get(name, 1), name if name not in numbers else ""
        while one in found or not one:
            number += 1
            one = f"{name}_{number}"
        numbers[name] = number
        found[one] = None
    return tuple(found)[len(OWN_COLUMNS) :]


def readers_of(names: Sequence[str], reading: Reading) -> dict[int, Cached]:
    """What reads the columns of numbers and dates, by their place."""
    found = ((place, reader_of(reading.columns.get(name, "text"), reading)) for place, name in enumerate(names))
    return {place: reader for place, reader in found if reader is not None}


class Shaper:
    """Makes records of cells."""

    def __init__(
        self, names: tuple[str, ...], reading: Reading, *, is_text: bool = True, is_1904: bool = False
    ) -> None:
        """Makes records of these columns.

        Args:
            names: The columns.
            reading: How the file is described.
            is_text: Whether all cells are text.
            is_1904: Whether days that are numbers are counted from 1904.
        """
        self.names = names
        self._readers = readers_of(names, reading)
        self._kinds: dict[int, ColumnType] = {place: reading.columns[names[place]] for place in self._readers}
        self._others = [] if is_text else [place for place in range(len(names)) if place not in self._readers]
        self._is_1904 = is_1904

    def records(self, rows: Sequence[list[Any]], lines: Sequence[int]) -> tuple[list[Record], list[Fault]]:
        """Return the records of rows, which are changed, and the values that could not be read.

        Args:
            rows: Cells; of each row as many as there are columns.
            lines: The line of each row.
        """
        bad: list[tuple[int, int, str]] = []
        for place, reader in self._readers.items():
            bad += self._read(rows, place, reader)
        for place in self._others:
            for row in rows:
                row[place] = plain_value(row[place])
        for row in rows:
            if "" in row:
                _empty_to_null(row)
        names = self.names
        records = [dict(zip(names, row)) for row in rows]  # noqa: B905  # strict costs a third more, of half a second
        return records, [self._fault(*one, lines, records) for one in sorted(bad)]

    def _read(self, rows: Sequence[list[Any]], place: int, reader: Cached) -> Iterator[tuple[int, int, str]]:
        """Bring a column into its one form; yields row, place and text of the values that have none."""
        reader.forget()
        cells = [row[place] for row in rows]
        try:
            found: list[Any] = list(map(reader.__getitem__, cells))
        except (AttributeError, TypeError):  # not all are texts
            found = [one_form(cell, reader, self._kinds[place], is_1904=self._is_1904) for cell in cells]
        for row, value in zip(rows, found, strict=True):
            row[place] = value
        if None not in found:
            return
        for number, (cell, value) in enumerate(zip(cells, found, strict=True)):
            if value is None and not is_blank([cell]):
                rows[number][place] = {UNREADABLE: shown(cell)}
                yield number, place, shown(cell)

    def _fault(self, row: int, place: int, text: str, lines: Sequence[int], records: Sequence[Record]) -> Fault:
        return Fault(lines[row], _REASONS[self._kinds[place]], text, self.names[place], lines[row], records[row])


def _empty_to_null(row: list[Any]) -> None:
    if row.count("") == 1:
        row[row.index("")] = None
    else:
        row[:] = [None if cell == "" else cell for cell in row]


class OneByOne:
    """Brings the numbers and dates of single records into their one form, where each has columns of its own."""

    def __init__(self, reading: Reading) -> None:
        self._kinds = {name: kind for name, kind in reading.columns.items() if kind in _REASONS}
        found = {name: reader_of(kind, reading) for name, kind in self._kinds.items()}
        self._readers = {name: reader for name, reader in found.items() if reader is not None}

    def read(self, record: Record, line: int) -> list[Fault]:
        """Change the record, and return the values that could not be read."""
        unreadable = []
        for name, reader in self._readers.items():
            value = record.get(name)
            if value is None:
                continue
            record[name] = one_form(value, reader, self._kinds[name])
            if record[name] is None and not is_blank([value]):
                record[name] = {UNREADABLE: shown(value)}
                unreadable.append(Fault(line, _REASONS[self._kinds[name]], shown(value), name, line, record))
        return unreadable


def one_form(cell: object, reader: Cached, kind: ColumnType, *, is_1904: bool = False) -> str | None:
    """A number or date in its one form, None for what is none."""
    if isinstance(cell, str):
        return reader[cell]
    if cell is None:
        return None
    if kind == "number":
        return number_of(plain_value(cell))
    return date_of(cell if isinstance(cell, date) else plain_value(cell), is_1904=is_1904)


def places_of(kind: ColumnType, names: Sequence[str], reading: Reading) -> list[int]:
    """The places of the columns of numbers, or of dates."""
    return [place for place, name in enumerate(names) if reading.columns.get(name) == kind]


def without_sums(chunks: Callable[[], Iterator[Rows]], names: Sequence[str], reading: Reading) -> Iterator[Rows]:
    """Yield chunks of rows, and leave out the last row of all where it holds the sums of the others, and no more.

    Args:
        chunks: Reads the rows, from the first; it is called again where the last row has to be compared.
        names: The columns.
        reading: How the file is described.
    """
    numbers = [name for name in names if reading.columns.get(name) == "number"]
    waiting: Rows | None = None
    for rows in chunks():
        if waiting is not None:
            yield waiting
        waiting = rows
    if waiting is None:
        return
    last, line = (waiting.records[-1], waiting.lines[-1]) if waiting.records else ({}, 0)
    summed = [name for name in numbers if isinstance(last.get(name), str)]
    if summed and _says_nothing_else(last, summed):
        sums = _sums(chunks(), summed, line)
        if any(Decimal(last[name]) == sums[name] for name in summed):
            del waiting.records[-1], waiting.lines[-1]
            waiting.excluded.append(Fault(line, "total_row", shown([*last.values()]), last_line=line, record=last))
    yield waiting


def _says_nothing_else(record: Record, summed: Sequence[str]) -> bool:
    """Whether beside numbers there is nothing, or first of all the word for a total."""
    others = [record[name] for name in record if name not in summed and record[name] is not None]
    first = others[0] if others else None
    return not others or is_total(
        [first[UNREADABLE] if isinstance(first, dict) and UNREADABLE in first else first, None]
    )


def _sums(chunks: Iterator[Rows], names: Sequence[str], end: int) -> dict[str, Decimal]:
    """Sums of columns over the rows before a line."""
    sums = dict.fromkeys(names, Decimal(0))
    for rows in chunks:
        for record, line in zip(rows.records, rows.lines, strict=True):
            if line < end:
                for name in names:
                    sums[name] += Decimal(record[name]) if isinstance(record[name], str) else 0
    return sums
