"""From the cells of a table to records: names of columns, numbers and dates in one form, totals left out.

What all formats with columns share; where cells come from is in delimited.py, parquet.py and excel.py.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

from analytics_pipeline.errors import MissingColumnError
from analytics_pipeline.shop.reading import OWN_COLUMNS, ColumnType, Reading
from analytics_pipeline.sources.files.rows import UNREADABLE, Fault, Record, Rows, is_blank, shown
from analytics_pipeline.sources.files.types import Cached, date_of, number_of, reader_of

Cells = Sequence[Any]
_TOTALS = re.compile(
    r"(grand |sub-?)?totals?|sum|sums|summe|gesamt(summe|betrag|umsatz)?|zwischensumme|insgesamt|somme|totaux"
    r"|totale|totaal|suma|razem|celkem|всего|итого|合计|合計|Σ",
    re.IGNORECASE,
)
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
    bare = [" ".join(str("" if cell is None else cell).replace("\ufeff", "").split()) for cell in cells]
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
    others = [other for other in names if other not in wanted]
    if len(names) == 1:
        return f"has no column {name}, and only one at all ({names[0][:60]!r}): check csv.delimiter and csv.header_row"
    near = sorted(others, key=lambda other: -_likeness(name, other))[:1]
    remedy = f"; if it is called {near[0]} there, write `renamed: {{{near[0]}: {name}}}`" if near else ""
    return f"has no column {name}; it has: {', '.join(names)}{remedy}"


def _likeness(name: str, other: str) -> float:
    """How much two names are alike: letters in order, and words in common, such as of price and unit_price."""
    one, two = name.lower(), other.lower()
    words = {*re.findall(r"[^\W_]+", one)} & {*re.findall(r"[^\W_]+", two)}
    return difflib.SequenceMatcher(None, one, two).ratio() + len(words)


def _different(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns with a number behind those that are there already, or that the project adds itself."""
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found or one in OWN_COLUMNS:
            number += 1
            one = f"{name}_{number}"
        found.append(one)
    return tuple(found)


def readers_of(names: Sequence[str], reading: Reading) -> dict[int, Cached]:
    """What reads the columns of numbers and dates, by their place."""
    found = ((place, reader_of(reading.columns.get(name, "text"), reading)) for place, name in enumerate(names))
    return {place: reader for place, reader in found if reader is not None}


class Shaper:
    """Makes records of cells."""

    def __init__(self, names: tuple[str, ...], reading: Reading, *, is_1904: bool = False) -> None:
        """Of the columns with these names; `is_1904`: days are counted from 1904."""
        self.names = names
        self._readers = readers_of(names, reading)
        self._kinds: dict[int, ColumnType] = {place: reading.columns[names[place]] for place in self._readers}
        self._is_1904 = is_1904

    def records(self, rows: Sequence[Cells], lines: Sequence[int]) -> tuple[list[Record], list[Fault]]:
        """Return the records of rows that have a cell for each name, and the values that could not be read."""
        if not rows:
            return [], []
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        bad: list[tuple[int, int, Any]] = []
        for place, cells in enumerate(columns):
            reader = self._readers.get(place)
            if reader is not None:
                columns[place], unread = self._typed(cells, reader, self._kinds[place])
                bad += [(row, place, value) for row, value in unread]
            elif "" in cells:
                columns[place] = [cell if cell != "" else None for cell in cells]
        records = [dict(zip(self.names, values, strict=True)) for values in zip(*columns, strict=True)]
        unreadable = [
            Fault(lines[row], _REASONS[self._kinds[place]], shown(value), self.names[place], lines[row], records[row])
            for row, place, value in sorted(bad, key=lambda one: one[:2])
        ]
        return records, unreadable

    def _typed(self, cells: Cells, reader: Cached, kind: ColumnType) -> tuple[list[Any], list[tuple[int, Any]]]:
        """A column in its one form, and the rows and values of it that have none."""
        reader.forget()
        try:
            found: list[Any] = list(map(reader.__getitem__, cells))
            if not reader.bad:
                return found, []
        except (AttributeError, TypeError):  # not all are texts
            found = [self._one(cell, reader, kind) for cell in cells]
        bad = [
            (row, cell)
            for row, (cell, one) in enumerate(zip(cells, found, strict=True))
            if one is None and cell is not None and not (isinstance(cell, str) and not cell.strip())
        ]
        for row, cell in bad:
            found[row] = {UNREADABLE: shown(cell)}
        return found, bad

    def _one(self, cell: object, reader: Cached, kind: ColumnType) -> str | None:
        return one_form(cell, reader, kind, is_1904=self._is_1904)


class OneByOne:
    """Brings the numbers and dates of single records into their one form, where each has columns of its own."""

    def __init__(self, reading: Reading) -> None:
        self._kinds = {name: kind for name, kind in reading.columns.items() if kind in _REASONS}
        self._readers = {name: reader for name, kind in self._kinds.items() if (reader := reader_of(kind, reading))}

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
    return number_of(cell) if kind == "number" else date_of(cell, is_1904=is_1904)


def is_total(row: Cells) -> bool:
    """Whether the first cell that holds something says that the row is a total, and another one holds nothing."""
    first = next((cell for cell in row if cell is not None and str(cell).strip()), None)
    if not isinstance(first, str) or not _TOTALS.fullmatch(first.strip().rstrip(":").strip()):
        return False
    return any(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in row)


def without_sums(chunks: Callable[[], Iterator[Rows]], names: Sequence[str], reading: Reading) -> Iterator[Rows]:
    """Yield chunks of rows, and leave out the last row of all where it holds nothing but the sums of the others.

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
    if summed and all(last[name] is None for name in last if name not in summed):
        sums = _sums(chunks(), summed, line)
        if any(Decimal(last[name]) == sums[name] for name in summed):
            del waiting.records[-1], waiting.lines[-1]
            waiting.excluded.append(Fault(line, "total_row", shown([*last.values()]), last_line=line, record=last))
    yield waiting


def _sums(chunks: Iterator[Rows], names: Sequence[str], end: int) -> dict[str, Decimal]:
    """Sums of columns over the rows before a line."""
    sums = dict.fromkeys(names, Decimal(0))
    for rows in chunks:
        for record, line in zip(rows.records, rows.lines, strict=True):
            if line < end:
                for name in names:
                    sums[name] += Decimal(record[name]) if isinstance(record[name], str) else 0
    return sums
