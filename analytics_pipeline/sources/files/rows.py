"""What reading a file yields: chunks of rows with their lines, beside the rows that could not be read.

How a format is read is in delimited.py and its neighbours; here is only what they have in common.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

UNREADABLE = "_unreadable"
"""The only key of what stands for a value that is no number or date: {"_unreadable": "12,5O"}, taken for no value."""
LONGEST_TEXT = 2_000
"""Characters of a row that a fault keeps."""
REASONS = {
    "broken_quote": "a quote is opened and not closed, or closed within a text",
    "too_long": "a cell of the row has more than 131,072 letters",
    "too_few_columns": "the row has fewer columns than the header",
    "too_many_columns": "the row has more columns than the header",
    "nul_byte": "the row holds a NUL byte",
    "wrong_encoding": "the row holds bytes that are not of the file's encoding",
    "unreadable_number": "the value is no number as `numbers` describes it",
    "unreadable_date": "the value is no date as `dates` describes it",
    "no_json_object": "the line is no JSON object",
    "merged_cells": "the row lies in cells that are merged over several rows: unmerge them",
    "formula_error": "a formula gives an error in place of a value",
    "total_row": "the row is a total",
    "repeated_header": "the line repeats the header",
    "blank_row": "the row is blank",
}
"""Why a row is a fault or left out, in words."""

ANOTHER_HEADER = "holds names of columns that are not those of its header: split it there, into files of their own"
"""Why a file is refused in which another one begins: what stands in which column is not known from there on."""
_TOTALS = re.compile(
    r"(grand |sub-?)?totals?|sum|sums|summe|gesamt(summe|betrag|umsatz)?|zwischensumme|insgesamt|somme|totaux"
    r"|totale|totaal|suma|razem|celkem|всего|итого|合计|合計|Σ",
    re.IGNORECASE,
)
_SUBTOTALS = re.compile(
    r"sub[- ]?totals?|grand[- ]?totals?|(zwischen|gesamt|tages|monats|teil)?summen?|zwischentotal|sous-total|subtotaal",
    re.IGNORECASE,
)
"""Words for a total that no product or customer is called."""
_DAMAGED = re.compile("[\ud800-\udfff]")
Record = dict[str, Any]
"""A row: text, None, or what JSON or Parquet know besides (whole numbers, Decimals, truth values, lists, objects)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row, or a value of it, that could not be read, or a row that was left out on purpose.

    Attributes:
        line: The line of the file at which it begins, from 1; of Parquet the row.
        reason: A key of `REASONS`.
        text: What stands there, cut to `LONGEST_TEXT`.
        column: The column of the value; None where it is the row.
        last_line: The line at which it ends.
        record: What could be read of the row, by column; of a row that is among the records, that record.
    """

    line: int
    reason: str
    text: str
    column: str | None = None
    last_line: int = 0
    record: Record | None = None

    @property
    def message(self) -> str:
        """Place and reason in words, without the content."""
        last = f" to {self.last_line}" if self.last_line > self.line else ""
        column = "" if self.column is None else f", column {self.column}"
        return f"line {self.line}{last}{column}: {REASONS[self.reason]}"


@dataclass(frozen=True, slots=True)
class Rows:
    """A chunk of a file.

    Attributes:
        records: The rows that could be read.
        lines: The line at which each begins.
        faults: Rows that could not be read: they are not among the records.
        unreadable: Values that could not be read, of rows that are among the records; see `UNREADABLE`.
        excluded: Rows that were left out on purpose: totals, repeated headers, blank ones.
    """

    records: list[Record]
    lines: list[int]
    faults: list[Fault] = field(default_factory=list)
    unreadable: list[Fault] = field(default_factory=list)
    excluded: list[Fault] = field(default_factory=list)


def record_of(names: Sequence[str], cells: Iterable[object]) -> Record:
    """What can be read of a row with another number of cells than there are names."""
    return {name: (None if cell == "" else cell) for name, cell in zip(names, cells, strict=False)}


def shown(row: object) -> str:
    """A row as the text of a fault."""
    text = row if isinstance(row, str) else repr(row)
    return text.rstrip("\r\n")[:LONGEST_TEXT]


def is_blank(row: Mapping[str, object] | Sequence[object]) -> bool:
    """Whether no cell of a row holds anything."""
    cells = row.values() if isinstance(row, Mapping) else row
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def why_left_out(
    row: Sequence[Any], header: Sequence[Any], dates: Collection[int] = (), numbers: Collection[int] = ()
) -> str | None:
    """Why a row is left out on purpose, a key of `REASONS`; None of one that is not.

    Args:
        row: The cells.
        header: Those of the header.
        dates: Places of the columns of dates.
        numbers: Places of the columns of numbers.
    """
    if is_blank(row):
        return "blank_row"
    if _repeats(row, header):
        return "repeated_header"
    return "total_row" if is_total([*row, *[None] * (len(header) - len(row))], dates, numbers) else None


def _repeats(row: Sequence[Any], header: Sequence[Any]) -> bool:
    """Whether a row holds the names of the header, in whatever letters."""
    if not row or not header or (row[0] != header[0] and not isinstance(row[0], str)):
        return False
    return _plain(row[:1]) == _plain(header[:1]) and _plain(row) == _plain(header)


def is_another_header(row: Sequence[Any], header: Sequence[Any]) -> bool:
    """Whether a row names columns, and not those of the header in their order: another file begins there."""
    cells = [cell for cell in _plain(row) if cell]
    names = {*_plain(header)} - {""}
    known = sum(cell in names for cell in cells)
    return known > 1 and known * 2 >= len(cells) and not any(cell[0].isdigit() for cell in cells)


def names_in(cells: Iterable[object]) -> frozenset[str]:
    """The names of a header's cells, as `is_a_name` compares them."""
    return frozenset(_plain(cells)) - {""}


def is_a_name(cell: str, names: Collection[str]) -> bool:
    """Whether a cell holds one of some names, in whatever letters."""
    return _plain_cell(cell) in names


def _plain(cells: Iterable[object]) -> list[str]:
    plain = [_plain_cell(str("" if cell is None else cell)) for cell in cells]
    while plain and not plain[-1]:
        plain.pop()
    return plain


def _plain_cell(cell: str) -> str:
    return cell.replace("\ufeff", "").strip().casefold()


def is_total(row: Sequence[Any], dates: Collection[int] = (), numbers: Collection[int] = ()) -> bool:
    """Whether a row is a total.

    It is where the first cell that holds something says so, another one holds nothing, and there is no date: a row with
    one is a sale, whatever its product is called. It is with a date too where a word that no product is called stands
    alone beside dates and numbers.

    Args:
        row: The cells.
        dates: Places of the columns of dates.
        numbers: Places of the columns of numbers.
    """
    if _stands_alone(row, dates, numbers):
        return True
    first = next((place for place, cell in enumerate(row) if not is_blank([cell])), None)
    if first is None or not isinstance(row[first], str):
        return False
    if not _TOTALS.fullmatch(_bare(row[first])):
        return False
    has_date = any(place != first and not is_blank([row[place]]) for place in dates if place < len(row))
    return not has_date and any(is_blank([cell]) for cell in row)


def _stands_alone(row: Sequence[Any], dates: Collection[int], numbers: Collection[int]) -> bool:
    """Whether the only cell beside dates and numbers says that the row is a total."""
    others = [cell for place, cell in enumerate(row) if place not in dates and place not in numbers]
    words = [cell for cell in others if not is_blank([cell])]
    if len(words) != 1 or not isinstance(words[0], str) or not _SUBTOTALS.fullmatch(_bare(words[0])):
        return False
    return any(not is_blank([row[place]]) for place in numbers if place < len(row))


def _bare(cell: str) -> str:
    return cell.strip().rstrip(":").strip()


def may_hold_a_total(text: str) -> bool:
    """Whether a text has a word for a subtotal in it somewhere."""
    low = text.lower()
    return "summe" in low or "total" in low or "subtotaal" in low


def leave_out(excluded: list[Fault], fault: Fault) -> None:
    """Add a row to those that are left out; a blank one to the blank ones right before it."""
    last = excluded[-1] if excluded else None
    if last and last.reason == fault.reason == "blank_row" and last.last_line + 1 == fault.line:
        excluded[-1] = replace(last, last_line=fault.last_line)
    else:
        excluded.append(fault)


def is_damaged(text: str) -> bool:
    """Whether a text holds bytes that are not of the file's encoding."""
    return not text.isascii() and _DAMAGED.search(text) is not None


def storable(text: str) -> str:
    """A text as Postgres can hold it: U+FFFD for a NUL byte, and for bytes that are not of the encoding."""
    return _DAMAGED.sub("\ufffd", text).replace("\x00", "\ufffd")
