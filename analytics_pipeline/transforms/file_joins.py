"""What several files have of one order, as one record: the newest file has the say, line by line or of the whole.

Lines are the same where they have the same id; without ids, where they have the same content for the same time within
their file. The result does not depend on the order in which files were taken in.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from analytics_pipeline.decoding.mapping import compile_path, decode, id_text
from analytics_pipeline.profile.columns import joins_rows
from analytics_pipeline.shop.files import FILE, LINE, ROWS, UNREADABLE, FileOrders
from analytics_pipeline.transforms.file_lines import LineOrder

Row = dict[str, Any]
EXAMPLES = 5
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


@dataclass(frozen=True)
class Fragment:
    """What one file has of an order, or a part of that; the attributes are columns of `ops.file_records`."""

    path: str
    modified_at: datetime
    file_id: int
    line: int
    day: date | None
    payload: str

    @property
    def version(self) -> tuple[datetime, str, int]:
        """Which of several files is newer."""
        return self.modified_at, self.path, self.file_id


@dataclass(frozen=True)
class JoinedOrder:
    """What all files have of one order.

    Attributes:
        records: Its records, each with its business day: one, or the versions of a row that is an order.
        rows: Rows in them.
        replaced: Rows that newer ones have replaced.
        files: How many files have something of it.
        lacks: Whether a newer file shows it without lines that another one had, which were kept.
    """

    records: list[tuple[date | None, str]]
    rows: int
    replaced: int
    files: int = 1
    lacks: bool = False


@dataclass
class JoinsMade:
    """What has come of the orders of which several files have something.

    Attributes:
        orders: How many there were.
        lacking: How many of them a newer file shows without lines that another one had, which were kept.
        examples: Ids of some of these.
    """

    orders: int = 0
    lacking: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, key: str, order: JoinedOrder) -> None:
        """Count an order."""
        self.orders += order.files > 1
        self.lacking += order.lacks
        if order.lacks and len(self.examples) < EXAMPLES:
            self.examples.append(key)


@dataclass(frozen=True)
class _Line:
    row: Row
    place: tuple[str, int]


class OrderJoins:
    """Joins what several files have of the orders of one shop."""

    def __init__(self, orders: FileOrders) -> None:
        """Take the description, which names the id of a line."""
        self._orders = orders
        self._joins, self._order = joins_rows(orders), LineOrder(orders)
        line_id = orders.lines.fields.line_id
        self._line_id: Callable[..., object] | None = compile_path(line_id, 1) if line_id else None

    def join(self, fragments: Sequence[Fragment]) -> JoinedOrder:
        """Return an order, of all that files have of it."""
        oldest_first = sorted(fragments, key=attrgetter("version", "line"))
        parts = [list(group) for _, group in groupby(oldest_first, key=attrgetter("version"))]
        if not self._joins:
            return self._versions(oldest_first, len(parts))
        day = next((one.day for one in reversed(oldest_first) if one.day is not None), None)
        versions = [[_document(one) for one in part] for part in parts]
        listed = [self._lines(documents) for documents in versions]
        if len(versions) == 1 or self._orders.whole_orders:
            record = self._record(versions[-1], self._in_order(listed[-1]))
            return JoinedOrder([(day, record)], len(listed[-1]), sum(map(len, listed[:-1])), len(versions))
        lines: dict[object, _Line] = {}
        replaced, lacks = 0, False
        for found in map(self._named, listed):
            known = lines.keys() & found.keys()
            lacks = bool(known) and len(known) < len(lines)
            replaced += len(known)
            # A line stands where the first of the files has it, so that it does not matter which one came last.
            lines |= {
                name: replace(one, place=min(one.place, lines.get(name, one).place)) for name, one in found.items()
            }
        ordered = self._in_order(sorted(lines.values(), key=attrgetter("place")))
        return JoinedOrder(
            [(day, self._record(versions[-1], ordered))], len(lines), replaced, len(versions), lacks=lacks
        )

    def _versions(self, oldest_first: Sequence[Fragment], files: int) -> JoinedOrder:
        """Return the versions of a row that is an order: all of them where a stamp says which is newest."""
        kept = oldest_first if self._orders.fields.updated_at is not None else oldest_first[-1:]
        return JoinedOrder([(one.day, one.payload) for one in kept], len(kept), len(oldest_first) - len(kept), files)

    def _lines(self, documents: Sequence[Row]) -> list[_Line]:
        """Return the rows that one file has of an order, as they stand in it."""
        return [
            _Line({**row, FILE: document[FILE]}, (document[FILE], row[LINE]))
            for document in documents
            for row in document[ROWS]
        ]

    def _in_order(self, lines: Sequence[_Line]) -> Sequence[_Line]:
        """Return lines in the order of their ids, where these say one."""
        places = self._order.places([one.row for one in lines])
        return lines if places is None else [lines[place] for place in places]

    def _named(self, lines: Sequence[_Line]) -> dict[object, _Line]:
        """Return the lines of one file by what tells them from each other."""
        equals: Counter[object] = Counter()
        named: dict[object, _Line] = {}
        for one in lines:
            name = self._name(one.row)
            equals[name] += 1
            named[name, equals[name]] = one
        return named

    def _name(self, row: Row) -> object:
        if self._line_id is not None and UNREADABLE not in row:
            try:
                return id_text(self._line_id(row, ({},)))
            except ValueError:
                pass
        return _encode({name: value for name, value in sorted(row.items()) if name not in {FILE, LINE}})

    def _record(self, newest: Sequence[Mapping[str, Any]], lines: Sequence[_Line]) -> str:
        """Return the record of some lines, under what the newest file says of the order."""
        top = {name: value for name, value in newest[0].items() if name not in {ROWS, UNREADABLE}}
        unreadable = next((one.row[UNREADABLE] for one in lines if UNREADABLE in one.row), None)
        if unreadable is not None:
            top[UNREADABLE] = unreadable
        return _encode({**top, ROWS: [one.row for one in lines]}).decode()


def _document(fragment: Fragment) -> Row:
    document = decode(fragment.payload)
    return document if isinstance(document, dict) else {}
