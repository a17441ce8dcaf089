"""The rows of files as records: of orders the rows of one order together, of customers and products each row.

A record is what the mapping reads, as JSON: the columns of the first row, its file and line, and under `rows` all rows
of the order. Of a row there stands what the lines are made of, and all columns where it differs from the first one in
the others. Reading files is not this module's part, nor is joining what several files have of an order.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec
import pyarrow as pa

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.mapping import compile_path, id_text, parse_stamp
from analytics_pipeline.profile.columns import columns_of_rows, columns_read, joins_rows
from analytics_pipeline.shop.files import FILE, LINE, ROWS, UNREADABLE, FileList, FileOrders
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.file_batch import RecordsOfFile
from analytics_pipeline.transforms.file_lines import LineOrder

Row = dict[str, Any]
TEXT = "_text"
"""Of a row that cannot be read: what stands there."""
DIGEST_BYTES = 16
MOST_WAITING = 50_000
"""Rows of an order that is not over with a chunk; an order of more of them is in parts."""
_STAMPS_KEPT = 4096
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


@dataclass(frozen=True)
class UnreadableRow:
    """A row that could not be read as a whole.

    Attributes:
        line: Where it stands.
        reason: Why, in a few words that are the same for every such row.
        text: What stands there.
        record: What could be read of it, by column; None for nothing.
    """

    line: int
    reason: str
    text: str
    record: Row | None = None

    @property
    def row(self) -> Row:
        """The row as it is kept."""
        return {**(self.record or {}), UNREADABLE: self.reason, TEXT: self.text}


@dataclass
class FileRead:
    """What was in a file, as far as it has been read; the attributes are columns of `ops.files`.

    Attributes:
        rows_stored: Rows that are in records.
        rows_unreadable: Those of them that cannot be read as a whole.
        rows_excluded: Rows that were left out on purpose.
        rows_without_day: Rows of orders whose business day cannot be read.
        first_day: First business day.
        last_day: Last business day.
        notes: What is worth a look.
    """

    rows_stored: int = 0
    rows_unreadable: int = 0
    rows_excluded: int = 0
    rows_without_day: int = 0
    first_day: date | None = None
    last_day: date | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows in it."""
        return self.rows_stored + self.rows_excluded

    def note_day(self, day: date | None, rows: int) -> None:
        """Note the business day of some rows."""
        if day is None:
            self.rows_without_day += rows
        else:
            self.first_day = day if self.first_day is None else min(day, self.first_day)
            self.last_day = day if self.last_day is None else max(day, self.last_day)


@dataclass
class _Fragment:
    """The rows of one record, as far as they have come."""

    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def described_reading(shop: Shop, listed: FileList) -> str:
    """Return a hash of all that decides which records the files of a list become."""
    said: dict[str, Any] = {"reading": listed.model_dump(mode="json", include={*Reading.model_fields})}
    said |= {"id": _id_path(listed), "columns": sorted(columns_read(listed))}
    if isinstance(listed, FileOrders):
        of_rows = columns_of_rows(listed)
        said |= {
            "created_at": listed.fields.created_at,
            "times": shop.times_of(listed).model_dump(mode="json"),
            "timezone": shop.timezone,
            "of_rows": None if of_rows is None else sorted(of_rows),
            "joins_rows": joins_rows(listed),
            "line_id": listed.lines.fields.line_id,
        }
    return blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=DIGEST_BYTES).hexdigest()


def _id_path(listed: FileList) -> str:
    fields: Any = getattr(listed, "fields")  # noqa: B009 - each kind of list has its own
    return str(next(iter(dict(fields).values())))


def _kept_stamps(shop: Shop, listed: FileList) -> Callable[[object], date | None]:
    """Return what says the business day of a moment, None of one that cannot be read; many rows have the same one."""
    times, zone = shop.times_of(listed), shop.zone

    def day(value: object) -> date | None:
        try:
            return business_day(parse_stamp(value, times, zone), zone)
        except ValueError:
            return None

    kept = lru_cache(_STAMPS_KEPT)(day)
    return lambda value: kept(value) if isinstance(value, str | int) else day(value)


class FileRecords:
    """Makes records of the rows of one file, a chunk after the other. No row stops the others.

    Attributes:
        read: What was in it so far.
    """

    def __init__(self, shop: Shop, listed: FileList, path: str, read: FileRead) -> None:
        """Prepare it.

        Args:
            shop: The description.
            listed: The list that the file is of.
            path: The file's name, which stands in each record.
            read: Takes a note of what is in it.
        """
        self.read = read
        self._file = _encode(path)
        self._is_of_orders = isinstance(listed, FileOrders)
        self._joins = isinstance(listed, FileOrders) and joins_rows(listed)
        self._order = LineOrder(listed) if isinstance(listed, FileOrders) else None
        self._id = compile_path(_id_path(listed)) if not isinstance(listed, FileOrders) or listed.has_ids else None
        self._created_at = compile_path(listed.fields.created_at) if isinstance(listed, FileOrders) else None
        self._day = _kept_stamps(shop, listed)
        self._of_rows = columns_of_rows(listed) if isinstance(listed, FileOrders) else None
        self._parts: tuple[tuple[str, ...], _Parts | None] = ((), None)
        self._waiting: dict[str, _Fragment] = {}

    def take(self, rows: Sequence[Row], lines: Sequence[int], faults: Iterable[UnreadableRow] = ()) -> pa.RecordBatch:
        """Return the records of a chunk, as `RECORDS_SCHEMA`; the last order of it may go on in the next one."""
        out = RecordsOfFile()
        for fault in faults if self._is_of_orders else ():
            self.read.rows_unreadable += 1
            self._place(fault.row, fault.line, out)
        if self._id is None or not self._joins:
            for row, line in zip(rows, lines, strict=True):
                self._place(row, line, out)
        else:
            self._take_joined(self._id, rows, lines, out)
        return out.batch()

    def _take_joined(
        self, look_up: Callable[..., object], rows: Sequence[Row], lines: Sequence[int], out: RecordsOfFile
    ) -> None:
        waiting, last = self._waiting, None
        for row, line in zip(rows, lines, strict=True):
            key = look_up(row)
            if type(key) is not str or key not in waiting:  # nearly always the order of the row before
                key = self._key(row)
                if key is None:
                    self._add_alone(row, line, out)
                    continue
            fragment = waiting.get(key)
            if fragment is None:
                fragment = waiting[key] = _Fragment()
            fragment.rows.append(row)
            fragment.lines.append(line)
            last = key
        ends = [key for key, one in waiting.items() if key != last or len(one.rows) >= MOST_WAITING]
        for key in ends:
            self._add(key, waiting.pop(key), out)

    def end(self) -> pa.RecordBatch:
        """Return the records that are still open."""
        out = RecordsOfFile()
        for key, fragment in self._waiting.items():
            self._add(key, fragment, out)
        self._waiting.clear()
        return out.batch()

    def _place(self, row: Row, line: int, out: RecordsOfFile) -> None:
        """Put a row to those of its order, or make a record of it where it is one of its own."""
        key = self._key(row)
        if key is None:
            self._add_alone(row, line, out)
        elif self._joins:
            fragment = self._waiting.setdefault(key, _Fragment())
            fragment.rows.append(row)
            fragment.lines.append(line)
        else:
            self._add(key, _Fragment([row], [line]), out)

    def _key(self, row: Row) -> str | None:
        """Return the id that a row has, None where it has none that can be read."""
        try:
            return None if self._id is None else id_text(self._id(row))
        except ValueError:
            return None

    def _add_alone(self, row: Row, line: int, out: RecordsOfFile) -> None:
        """Add a row that is a record of its own, by its content."""
        digest = blake2b(_encode(row), digest_size=DIGEST_BYTES).hexdigest()
        self._add(digest, _Fragment([row], [line]), out, is_by_content=True)

    def _add(self, key: str, fragment: _Fragment, out: RecordsOfFile, *, is_by_content: bool = False) -> None:
        rows, lines = fragment.rows, fragment.lines
        first = rows[0]
        if self._joins:
            payload, hashed = self._joined(rows, lines)
        else:
            text = _encode(first)
            payload, hashed = self._placed(text, lines[0], first), [text]
        out.add((lines[0], key, is_by_content, self._noted(rows), len(rows)), payload, hashed)

    def _noted(self, rows: Sequence[Row]) -> date | None:
        """Count the rows of a record, and return its business day."""
        self.read.rows_stored += len(rows)
        day = self._day_of(rows) if self._is_of_orders else None
        if self._is_of_orders:
            self.read.note_day(day, len(rows))
        return day

    def _day_of(self, rows: Sequence[Row]) -> date | None:
        """Return the business day of an order: that of its first row that has one which can be read."""
        for row in rows:
            try:
                found = self._created_at(row) if self._created_at else None
            except ValueError:
                continue
            day = self._day(found)
            if day is not None:
                return day
        return None

    def _placed(self, text: bytes, line: int, first: Row) -> bytes:
        """Return the text of a row with its file and its line."""
        begin = text[:-1] + (b"," if first else b"")
        return b'%b"%b":%b,"%b":%d}' % (begin, FILE.encode(), self._file, LINE.encode(), line)

    def _joined(self, rows: Sequence[Row], lines: Sequence[int]) -> tuple[bytes, list[bytes]]:
        """Return the text of an order's record, and what is hashed of each of its rows."""
        first = rows[0]
        places = self._order.places(rows) if self._order else None
        if places is not None:
            rows, lines = [rows[place] for place in places], [lines[place] for place in places]
        texts, hashed = self._texts_of(first, rows)
        entries = b",".join(
            b'%b"%b":%d}' % (text[:-1] + b"," if text != b"{}" else b"{", LINE.encode(), line)
            for text, line in zip(texts, lines, strict=True)
        )
        unreadable = next((row[UNREADABLE] for row in rows if UNREADABLE in row), None)
        top = first if UNREADABLE in first or unreadable is None else {**first, UNREADABLE: unreadable}
        text = _encode(top)
        begin = text[:-1] + (b"," if top else b"")
        return b'%b"%b":%b,"%b":[%b]}' % (begin, FILE.encode(), self._file, ROWS.encode(), entries), hashed

    def _texts_of(self, first: Row, rows: Sequence[Row]) -> tuple[list[bytes], list[bytes]]:
        """Return the text of each row under `rows`, and what is hashed of it.

        Rows that equal the file's first one in all but what lines are made of have that alone.
        """
        parts = self._parts_of(first)
        if parts is None:
            texts = [_encode(row) for row in rows]
            return texts, texts
        texts, hashed = [], []
        common = parts.of_order(first)
        head = _encode(common)
        for row in rows:
            try:
                is_alike = len(row) == parts.width and parts.of_order(row) == common
            except KeyError:
                is_alike = False
            if is_alike:
                text = _encode(dict(zip(parts.names, parts.of_row(row), strict=True)))
                texts.append(text)
                hashed.append(head + text)
            else:
                text = _encode(row)
                texts.append(text)
                hashed.append(text)
        return texts, hashed

    def _parts_of(self, row: Row) -> "_Parts | None":
        """Return how rows with the columns of this one are parted; None where they are not."""
        if self._of_rows is None:
            return None
        names = tuple(row)
        if names != self._parts[0]:
            self._parts = (names, _Parts.of(names, self._of_rows))
        return self._parts[1]


@dataclass(frozen=True)
class _Parts:
    """Which columns of a row are of the order, and which of the row.

    Attributes:
        names: Names of those of the row.
        width: How many columns there are.
        of_row: Takes those of the row.
        of_order: Takes the others.
    """

    names: tuple[str, ...]
    width: int
    of_row: Callable[[Row], tuple[Any, ...]]
    of_order: Callable[[Row], tuple[Any, ...]]

    @classmethod
    def of(cls, names: Sequence[str], of_rows: frozenset[str]) -> "_Parts | None":
        """Return the parts of rows with these columns; None where one of the parts would have less than two."""
        row = tuple(name for name in names if name in of_rows)
        order = tuple(name for name in names if name not in of_rows)
        if len(row) < 2 or len(order) < 2:  # noqa: PLR2004 - itemgetter gives a tuple for two and more
            return None
        return cls(row, len(names), itemgetter(*row), itemgetter(*order))
