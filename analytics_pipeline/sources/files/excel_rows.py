"""Rows of an Excel workbook; the line of a row is its number in the sheet. A row at a time, whatever the sheet's size.

Numbers have the fifteen digits that Excel shows. A row in merged cells is a fault: whose a value is, and whether it
counts once or for each row, nobody can tell.
"""

import math
import re
import warnings
import zipfile
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.cell import column_index_from_string
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from analytics_pipeline.errors import DamagedFileError
from analytics_pipeline.sources.files.opening import Content
from analytics_pipeline.sources.files.packing import check_workbook
from analytics_pipeline.sources.files.rows import (
    ANOTHER_HEADER,
    UNREADABLE,
    Fault,
    Rows,
    is_another_header,
    is_blank,
    leave_out,
    record_of,
    shown,
    why_left_out,
)
from analytics_pipeline.sources.files.shaping import Shaper, columns_of, places_of
from analytics_pipeline.sources.files.types import plain_value

CHUNK = 5_000
_BROKEN = (zipfile.BadZipFile, LookupError, ValueError, ParseError, EOFError, OSError, TypeError, AttributeError)
_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!"})
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^<>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_NO_VALUE = re.compile(
    rb'<(?:\w+:)?c\s(?![^<>]*\bt="str")[^<>]*?\br="([A-Z]{1,3}\d{1,7})"[^<>]*>\s*'
    rb"<(?:\w+:)?f\b(?:[^<>]*/>|[^<>]*>[^<]*</(?:\w+:)?f>)\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
"""A formula that nobody has computed: programs write workbooks like that."""
_BLOCK, _OVERLAP = 1 << 20, 1 << 14
_LATEST_HEADER, MOST_ROWS = 1_000, 1_048_576
Range = tuple[int, int, int, int]
"""First column, first row, last column and last row of merged cells, from 1."""


class ExcelRows:
    """A sheet of a workbook.

    Attributes:
        names: Its columns.
    """

    def __init__(self, content: Content, needed: Collection[str]) -> None:
        """Reads the header; see `columns_of` for what is needed.

        Raises:
            DamagedFileError: It is no workbook, has no header or several sheets, or a cell of the header spans columns.
            UnsafeFileError: It holds too much.
            MissingColumnError: A needed column is missing, or is there twice.
        """
        self._content, self._path = content, content.found.path
        check_workbook(self._path, content.binary(), content.reading.largest_gb)
        with self._sheet() as sheet, self._faults():
            self._is_1904 = sheet.parent.epoch == CALENDAR_MAC_1904
            merged = self._merged_ranges(sheet)
            self._header, self._first_row = self._read_header(sheet, merged)
        self._merged = _joined([(top, bottom) for _, top, _, bottom in merged])
        self.names = columns_of(self._header, content.reading, needed, self._path, self._first_row - 1)
        self._dates = places_of("date", self.names, content.reading)
        self._numbers = places_of("number", self.names, content.reading)

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows from the first one on.

        Raises:
            DamagedFileError: The sheet ends too early, or breaks its format.
        """
        shaper = Shaper(self.names, self._content.reading, is_text=False, is_1904=self._is_1904)
        with self._sheet() as sheet:
            rows = enumerate(sheet.iter_rows(min_row=self._first_row, values_only=True), self._first_row)
            while chunk := self._next_rows(rows):
                if chunk[-1][0] > MOST_ROWS + CHUNK:
                    raise DamagedFileError(
                        f"names rows after row {MOST_ROWS}, the last that Excel has", path=self._path
                    )
                yield self._rows(chunk, shaper)

    def _next_rows(self, rows: Iterator[tuple[int, Sequence[Any]]]) -> list[tuple[int, list[Any]]]:
        with self._faults():
            return [(number, [_native(cell) for cell in _trimmed(row)]) for number, row in islice(rows, CHUNK)]

    def _rows(self, chunk: list[tuple[int, list[Any]]], shaper: Shaper) -> Rows:
        result, good = Rows([], []), list[list[Any]]()
        width = len(self.names)
        # A stray cell far below makes a million of blank rows.
        blank = [number for number, cells in chunk if not cells and not self._is_merged(number)]
        for number, cells in (one for one in chunk if one[1] or self._is_merged(one[0])):
            if self._is_merged(number):
                result.faults.append(self._fault(number, "merged_cells", cells))
            elif reason := why_left_out(cells, self._header, self._dates, self._numbers):
                leave_out(result.excluded, self._fault(number, reason, cells))
            elif isinstance(cells[0], str) and is_another_header(cells, self._header):
                raise DamagedFileError(ANOTHER_HEADER, path=self._path, line=number)
            elif len(cells) > width:
                result.faults.append(self._fault(number, "too_many_columns", cells))
            else:
                result.lines.append(number)
                good.append(cells + [None] * (width - len(cells)))
        for first, last in _joined([(number, number) for number in blank]):
            result.excluded.append(Fault(first, "blank_row", "", last_line=int(last)))
        result.excluded.sort(key=lambda fault: fault.line)
        records, unreadable = shaper.records(good, result.lines)
        result.records.extend(records)
        result.unreadable.extend(unreadable)
        for line, record in zip(result.lines, records, strict=True):
            for name, value in record.items():
                if isinstance(value, str) and value in _ERRORS:
                    record[name] = {UNREADABLE: value}
                    result.unreadable.append(Fault(line, "formula_error", value, name, line, record))
        return result

    def _fault(self, number: int, reason: str, cells: Sequence[Any]) -> Fault:
        text = shown("\t".join("" if cell is None else str(cell) for cell in cells))
        record = record_of(self.names, map(plain_value, cells))
        return Fault(number, reason, text, last_line=number, record=record)

    @contextmanager
    def _sheet(self) -> Iterator[Any]:
        with self._faults(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like, which say nothing about values
            book = openpyxl.load_workbook(self._content.binary(), read_only=True, data_only=True, keep_links=False)
            chosen = self._chosen(book)
        try:
            yield chosen
        finally:
            book.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turns what openpyxl raises of a damaged workbook into our error: about anything."""
        try:
            yield
        except _BROKEN as error:
            fault = f"is no whole workbook ({type(error).__name__}); save or copy it anew"
            raise DamagedFileError(fault, path=self._path) from None

    def _chosen(self, book: Any) -> Any:  # noqa: ANN401  # openpyxl has no type of read-only sheets
        wanted = self._content.reading.excel.sheet
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible" or sheet.title == wanted]
        for sheet in sheets:
            sheet.reset_dimensions()  # what some programs write as a sheet's size is wrong, and would cut it
        if wanted is not None:
            found = [sheet for sheet in sheets if sheet.title == wanted]
            fault = f"has no sheet {wanted!r}"
        else:
            found = [sheet for sheet in sheets if any(not is_blank(row) for row in _first_rows(sheet))]
            fault = "has several sheets" if found else "has no sheet with cells"
        if len(found) != 1:
            names = ", ".join(repr(sheet.title) for sheet in sheets)
            raise DamagedFileError(f"{fault}; name one of {names} as excel.sheet", path=self._path)
        return found[0]

    def _read_header(self, sheet: Any, merged: Sequence[Range]) -> tuple[list[Any], int]:  # noqa: ANN401
        """The cells of the header, and the row after it."""
        begin = self._content.reading.excel.header_row
        for number, row in enumerate(islice(sheet.iter_rows(min_row=begin, values_only=True), _LATEST_HEADER), begin):
            cells = [plain_value(_native(cell)) for cell in _trimmed(row)]
            if cells:
                return self._whole_header(sheet, cells, number, merged), number + 1
        raise DamagedFileError(f"has no header at row {begin} or after it; check excel.header_row", path=self._path)

    def _whole_header(self, sheet: Any, cells: list[Any], number: int, merged: Sequence[Range]) -> list[Any]:  # noqa: ANN401
        """A header with what cells that are merged with those above hold."""
        for left, top, right, _ in (one for one in merged if one[1] <= number <= one[3]):
            if right > left:
                fault = f"a cell of the header spans columns {left} to {right}: unmerge it, or check excel.header_row"
                raise DamagedFileError(fault, path=self._path, line=number)
            if top < number:
                above = next(sheet.iter_rows(min_row=top, max_row=top, values_only=True))
                cells += [None] * (left - len(cells))
                cells[left - 1] = above[left - 1] if left <= len(above) else None
        return cells

    def _is_merged(self, number: int) -> bool:
        if not self._merged:
            return False
        place = bisect_right(self._merged, (number, math.inf)) - 1
        return place >= 0 and self._merged[place][1] >= number

    def _merged_ranges(self, sheet: Any) -> list[Range]:  # noqa: ANN401
        """Merged cells, which stand behind all rows; openpyxl does not tell them of a sheet that it does not load.

        Nor does it tell an empty cell from a formula without a value, which would be read as empty.
        """
        found: list[Range] = []
        with zipfile.ZipFile(self._content.binary()) as archive, archive.open(vars(sheet)["_worksheet_path"]) as file:
            rest = b""
            while block := file.read(_BLOCK):
                rest += block
                found += [_range(*match.groups()) for match in _MERGED.finditer(rest)]
                if uncomputed := _NO_VALUE.search(rest):
                    fault = (
                        f"cell {uncomputed[1].decode()} holds a formula without its value: open it in a spreadsheet "
                        "program and save it"
                    )
                    raise DamagedFileError(fault, path=self._path)
                rest = rest[-_OVERLAP:]
        return found


def _range(first: bytes, top: bytes, last: bytes, bottom: bytes) -> Range:
    return column_index_from_string(first.decode()), int(top), column_index_from_string(last.decode()), int(bottom)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, float]]:
    """Spans of rows in order, those that overlap or follow each other as one."""
    found: list[tuple[int, float]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _trimmed(row: Sequence[Any]) -> list[Any]:
    """A row without empty cells at its end."""
    width = len(row)
    while width and (row[width - 1] is None or row[width - 1] == ""):
        width -= 1
    return [*row[:width]]


def _first_rows(sheet: Any) -> Iterator[Sequence[Any]]:  # noqa: ANN401
    return islice(sheet.iter_rows(values_only=True), _LATEST_HEADER)


def _native(cell: Any) -> Any:  # noqa: ANN401
    """A cell with the digits that Excel shows; a stamp at midnight is a day."""
    if isinstance(cell, float):
        return float(f"{cell:.15g}")
    return cell.date() if isinstance(cell, datetime) and cell.time() == time() else cell
