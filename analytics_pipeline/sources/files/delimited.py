"""Rows of CSV and TSV: a chunk of lines at a time through the csv module, and line by line around what it refuses.

A quote that is opened and not closed would swallow the rest of a file: reading goes on at the next line that is a row
by itself.
"""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, TextIO

from analytics_pipeline.errors import DamagedFileError
from analytics_pipeline.shop.reading import Csv
from analytics_pipeline.sources.files.opening import Content
from analytics_pipeline.sources.files.rows import (
    ANOTHER_HEADER,
    Fault,
    Rows,
    is_a_name,
    is_another_header,
    is_damaged,
    is_total,
    leave_out,
    may_hold_a_total,
    names_in,
    record_of,
    shown,
    storable,
    why_left_out,
)
from analytics_pipeline.sources.files.shaping import Shaper, columns_of, places_of, readers_of

CHUNK = 64 << 10
"""Characters of a chunk, about: its rows fit the cache of a processor, which is worth a third of the time."""
MOST_LINES_OF_A_ROW = 500
"""Lines that one row may have, within quotes."""
_SEPARATOR_LINE = re.compile(r"sep=.\s*", re.IGNORECASE)
_LATEST_HEADER = 1_000


class Delimited:
    """A CSV or TSV file.

    Attributes:
        names: Its columns.
    """

    def __init__(self, content: Content, needed: Collection[str]) -> None:
        """Reads the header; see `columns_of` for what is needed.

        Raises:
            DamagedFileError: It has no header.
            MissingColumnError: A needed column is missing, or is there twice.
        """
        self._content = content
        form = content.reading.csv
        self._dialect = dialect_of(form, "\t" if content.format == "tsv" else form.delimiter)
        text = content.text()
        try:
            self._header, self._first_line = self._read_header(text, form)
        finally:
            text.detach()
        self.names = columns_of(self._header, content.reading, needed, content.found.path, max(self._first_line - 1, 1))

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows from the first one on."""
        text = self._content.text()
        try:
            for _ in range(self._first_line - 1):
                text.readline()
            yield from self._chunks(text)
        finally:
            text.detach()

    def _chunks(self, text: TextIO) -> Iterator[Rows]:
        shaper = Shaper(self.names, self._content.reading)
        lines_read = _Lines(self.names, self._header, self._dialect, self._content)
        number, fresh = self._first_line, text.readlines(CHUNK)
        rest: list[str] = []
        while fresh or rest:
            upcoming = text.readlines(CHUNK)
            lines = rest + fresh
            rows, numbers = lines_read.parse(lines, number, is_last=not upcoming)
            rest = lines[lines_read.end :]
            number, fresh = number + lines_read.end, upcoming
            records, unreadable = shaper.records(rows, numbers)
            yield Rows(records, numbers, lines_read.faults, unreadable, lines_read.excluded)

    def _read_header(self, text: TextIO, form: Csv) -> tuple[list[str], int]:
        """The cells of the header, and the number of the line after it."""
        if form.header:
            return list(form.header), 1
        for number in range(1, form.header_row + _LATEST_HEADER):
            line = text.readline()
            if not line:
                break
            if number >= form.header_row and line.strip() and not _SEPARATOR_LINE.fullmatch(line):
                return self._cells_of_header(line, text, number)
        fault = f"has no header at line {form.header_row} or after it; check csv.header_row"
        raise DamagedFileError(fault, path=self._content.found.path)

    def _cells_of_header(self, line: str, text: TextIO, number: int) -> tuple[list[str], int]:
        lines = [line]

        def more() -> Iterator[str]:
            yield line
            while len(lines) < MOST_LINES_OF_A_ROW and (following := text.readline()):
                lines.append(following)
                yield following

        try:
            cells = next(csv.reader(more(), **self._dialect))
            if len(cells) > 1 and all(cell.startswith(" ") for cell in cells[1:]):
                self._dialect["skipinitialspace"] = True
                cells = next(csv.reader(lines, **self._dialect))
        except csv.Error:
            fault = "the header has a quote that is opened and not closed; check csv.quote and csv.header_row"
            raise DamagedFileError(fault, path=self._content.found.path, line=number) from None
        return cells, number + len(lines)


def dialect_of(form: Csv, delimiter: str) -> dict[str, Any]:
    """How the csv module is told to read."""
    if form.quote == "none":
        return {"delimiter": delimiter, "quoting": csv.QUOTE_NONE, "quotechar": None}
    return {"delimiter": delimiter, "quotechar": form.quote, "strict": True}


class _Lines:
    """Parses lines into rows of as many cells as there are columns.

    Attributes:
        faults: Rows that could not be read, of the last chunk.
        excluded: Rows that were left out, of the last chunk.
        end: How many lines of the last chunk were used; the rest begins a row that goes on.
    """

    def __init__(self, names: Sequence[str], header: list[str], dialect: dict[str, Any], content: Content) -> None:
        self._names, self._header, self._dialect = names, header, dialect
        self._width = len(names)
        self._is_odd = content.has_nul or (content.encoding is not None and content.encoding.has_damage)
        self._typed = readers_of(names, content.reading)
        self._dates = places_of("date", names, content.reading)
        self._numbers = places_of("number", names, content.reading)
        self._names_of_header, self._path = names_in(header), content.found.path
        self._is_recovering = False
        self.end = 0
        self.faults: list[Fault] = []
        self.excluded: list[Fault] = []

    def parse(self, lines: list[str], first: int, *, is_last: bool) -> tuple[list[list[str]], list[int]]:
        """Return the rows of lines and the number of the first line of each.

        Args:
            lines: The lines.
            first: Number of the first one.
            is_last: Whether no more follow.
        """
        self.faults, self.excluded, self.end = [], [], len(lines)
        rows = None if self._is_odd or self._is_recovering else self._at_once(lines)
        if rows is not None:
            return rows, [*range(first, first + len(rows))]
        return self._one_by_one(lines, first, is_last=is_last)

    def _at_once(self, lines: list[str]) -> list[list[str]] | None:
        """The rows of lines each of which is one, and is nothing but that; None otherwise."""
        try:
            rows = list(csv.reader(lines, **self._dialect))
        except csv.Error:
            return None
        if len(rows) != len(lines):
            return None
        widths = {*map(len, rows)}
        if widths != {self._width}:
            if widths != {len(self._header)} or any(any(row[self._width :]) for row in rows):
                return None
            rows = [row[: self._width] for row in rows]  # a delimiter ends each line, the header too
        firsts = {row[0] for row in rows}
        bare = [row for row in rows if not row[0].strip()] if any(not first.strip() for first in firsts) else []
        if any(map(_begins_a_total, firsts)) or any(is_a_name(first, self._names_of_header) for first in firsts):
            return None
        odd = bare
        if may_hold_a_total("".join(lines)):
            odd = bare + [row for row in rows if may_hold_a_total("\n".join(row))]
        return None if any(why_left_out(row, (), self._dates, self._numbers) for row in odd) else rows

    def _one_by_one(self, lines: list[str], first: int, *, is_last: bool) -> tuple[list[list[str]], list[int]]:
        rows: list[list[str]] = []
        numbers: list[int] = []
        start = self._next_row(lines, 0, first) if self._is_recovering else 0
        while start < len(lines):
            begin = start
            reader = csv.reader(lines[begin:], **self._dialect)
            with suppress(csv.Error):
                for row in reader:
                    end = begin + reader.line_num
                    if end > start + 1 and self._is_swallowing(row, lines, start, end):
                        break
                    if self._is_plain(row) or self._is_row(row, lines[start:end], first + start):
                        rows.append(row[: self._width])
                        numbers.append(first + start)
                    start = end
            if start == len(lines):
                break
            if begin + reader.line_num == len(lines) and not is_last and len(lines) - start < MOST_LINES_OF_A_ROW:
                self.end = start  # a quote is open where the chunk ends: the row goes on in the next one
                break
            self.faults.append(self._broken(lines[start], first + start))
            start = self._next_row(lines, start + 1, first)
        return rows, numbers

    def _is_plain(self, row: list[str]) -> bool:
        """Whether nothing about a row has to be looked at."""
        if len(row) != self._width or self._is_odd or not row[0].strip():
            return False
        if is_a_name(row[0], self._names_of_header) or _begins_a_total(row[0]):
            return False
        return not may_hold_a_total("\n".join(row))

    def _is_swallowing(self, row: list[str], lines: list[str], start: int, end: int) -> bool:
        """Whether a row of several lines is none: a quote that is not closed runs on to the next quote somewhere."""
        if len(row) != self._width:
            return True
        inner = range(start + 1, end) if self._typed else ()
        return any(self._begins_a_row(lines, place, is_sure=True) for place in inner)

    def _next_row(self, lines: list[str], start: int, first: int) -> int:
        """The place of the next line at which a row begins; those before it are faults."""
        self._is_recovering = False
        for place in range(start, len(lines)):
            if self._begins_a_row(lines, place):
                return place
            if lines[place].strip():
                self.faults.append(self._broken(lines[place], first + place))
        self._is_recovering = True
        return len(lines)

    def _begins_a_row(self, lines: list[str], place: int, *, is_sure: bool = False) -> bool:
        """Whether a row begins at a line: as many cells as there are columns, numbers and dates where they belong."""
        try:
            row = next(csv.reader(lines[place : place + (1 if is_sure else MOST_LINES_OF_A_ROW)], **self._dialect))
        except (csv.Error, StopIteration):
            return False
        if len(row) != self._width:
            return False
        typed = [(reader[row[at]], row[at].strip()) for at, reader in self._typed.items()]
        return all(found is not None or not text for found, text in typed) and (
            not is_sure or any(text for _, text in typed)
        )

    def _is_row(self, row: list[str], lines: list[str], line: int) -> bool:
        """Whether a row can be read; otherwise it is among the faults, or left out."""
        text, last = "".join(lines), line + len(lines) - 1
        record = record_of(self._names, row)
        reason = why_left_out(row, self._header, self._dates, self._numbers)
        if reason is None and is_another_header(row, self._header):
            raise DamagedFileError(ANOTHER_HEADER, path=self._path, line=line)
        if reason:
            leave_out(self.excluded, Fault(line, reason, shown(text), last_line=last, record=record))
        elif reason := self._fault_of(row, text):
            self.faults.append(Fault(line, reason, shown(storable(text)), last_line=last, record=record))
        return reason is None

    def _fault_of(self, row: list[str], text: str) -> str | None:
        if self._is_odd and "\x00" in text:
            return "nul_byte"
        if self._is_odd and is_damaged(text):
            return "wrong_encoding"
        if len(row) < self._width:
            return "too_few_columns"
        return "too_many_columns" if any(row[self._width :]) else None

    def _broken(self, line: str, number: int) -> Fault:
        quote = self._dialect["quotechar"]
        is_long = len(line) > csv.field_size_limit() and (quote is None or quote not in line)
        return Fault(number, "too_long" if is_long else "broken_quote", shown(storable(line)), last_line=number)


def _begins_a_total(cell: str) -> bool:
    return not cell[:1].isdigit() and is_total((cell, ""))
