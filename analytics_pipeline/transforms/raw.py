"""The records of a page as rows: id, day or change stamp, and the text that the API sent.

Which field of a record becomes what is a `Reading`, made of the shop's description. Asking for pages and counting
them is `extraction`'s part; reading anything else out of a record belongs to the transforms.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from itertools import count
from typing import Any

import pyarrow as pa

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.envelope import reads_strictly, record_reader
from analytics_pipeline.decoding.mapping import compile_path, decode, id_text, parse_stamp
from analytics_pipeline.decoding.tolerant import storable
from analytics_pipeline.errors import AnswerError
from analytics_pipeline.shop.endpoints import DatedEndpoint
from analytics_pipeline.shop.related import Follow, Related
from analytics_pipeline.shop.spec import Records, Shop

NO_ID = "no-id:"
"""How the key of a record without an id begins."""
EXAMPLES = 5
MOST_UNDATED = 1_000
"""Records without a day that an extraction sets aside: with more of them the description is wrong."""

Values = tuple[str | None, object, object]
"""What is read of a record: its id, what its second column is made of, and its change stamp; None without a path."""
_Row = tuple[str, date | datetime | None, bytes]

_STAMP = pa.timestamp("us", tz="UTC")


def _schema(id_name: str, second_name: str, second_type: pa.DataType) -> pa.Schema:
    columns: dict[str, pa.DataType] = {
        id_name: pa.string(),
        second_name: second_type,
        "extracted_at": _STAMP,
        "payload": pa.string(),
    }
    return pa.schema(columns)


ORDERS_SCHEMA = _schema("order_id", "order_date", pa.date32())
CUSTOMERS_SCHEMA = _schema("customer_id", "changed_at", _STAMP)
PRODUCTS_SCHEMA = _schema("product_id", "changed_at", _STAMP)
FOLLOWED_SCHEMA = _schema("place", "record_date", pa.date32())
RELATED_SCHEMA = _schema("record_id", "record_date", pa.date32()).append(pa.field("parent_id", pa.string()))


@dataclass(frozen=True)
class Reading:
    """How the records of one endpoint become rows.

    Attributes:
        endpoint: Its description.
        schema: Columns of the batches: id, day or stamp, extracted_at, payload; of related records the parent's id.
        id_path: The API's path of the id, which is the first column; None for a number in place of it.
        stamp_field: Our name of the field behind the second column, and its path; None leaves the column null.
        second_column: From the value at that path to the second column.
        keeps: Whether a row with this value in the second column belongs to the extraction.
        version_path: The API's path of the change stamp, which sets versions of a record apart; None for none.
        only_day: The business day of every record, where the shop was asked for one day alone.
        parent_path: The API's path of the parent's id, of related records.
        volatile: Fields that make no other version of a record.
    """

    endpoint: Records
    schema: pa.Schema
    id_path: str | None
    stamp_field: tuple[str, str] | None
    second_column: Callable[[object], date | datetime | None]
    keeps: Callable[[Any], bool]
    version_path: str | None = None
    only_day: date | None = None
    parent_path: str | None = None
    volatile: tuple[str, ...] = ()


@dataclass(frozen=True)
class UndatedRecord:
    """An order whose business day cannot be read.

    Attributes:
        record_id: Its id, None where it has none that can be read.
        payload: The record, as it is stored.
    """

    record_id: str | None
    payload: str

    @property
    def name(self) -> str:
        """What sets it from others: its id, else the hash of its content."""
        return self.record_id or content_digest(self.payload.encode())


@dataclass
class OddRecords:
    """How many records are not as described, and where the first of them stand; nothing of what is in them."""

    escaped: int = 0
    without_id: int = 0
    without_day: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether there was one."""
        return bool(self.escaped or self.without_id or self.without_day)

    def note(self, shown: str, position: int, fault: str) -> None:
        """Keep an example: a record of the page with the URL `shown`, and what is wrong with it."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"record {position} of {shown}: {fault}")


class RecordRows:
    """Makes rows of records, one page after the other. No record stops the others.

    A record without a readable id gets a key of its content (`content_key`). Orders whose day cannot be read are set
    aside, unless the extraction is of one day only, which is theirs then. What the text column cannot hold as it came
    is kept escaped (`tolerant`).

    Attributes:
        kept: Rows made so far.
        left_out: Records left out so far, since they do not belong to the extraction.
        undated: Records set aside so far.
        odd: What was not as described.
    """

    def __init__(self, reading: Reading) -> None:
        """Prepares the reading: `reading` says which values of a record are read."""
        self.kept = 0
        self.left_out = 0
        self.undated: list[UndatedRecord] = []
        self.odd = OddRecords()
        self._reading = reading
        named = (reading.id_path, reading.stamp_field[1] if reading.stamp_field else None, reading.version_path)
        paths = [path for path in named if path is not None]  # a reading that lacks one has none of those behind it
        self._places = count(1)
        self._parent = compile_path(reading.parent_path) if reading.parent_path else None
        self._read_record, self._is_strict = record_reader(paths), reads_strictly(paths)
        self._look_up = [compile_path(path) for path in paths[:2]]
        self._equals: Counter[tuple[str, object]] = Counter()

    def values(self, records: Sequence[bytes]) -> list[Values | None]:
        """What is read of each of a page's records; None of an odd one, which `batch` reads part by part."""
        return [self._values(record) for record in records]

    def batch(self, records: Sequence[bytes], values: Sequence[Values | None], shown: str) -> pa.RecordBatch:
        """The rows of a page's records and what `values` reads of them; `shown` is its URL for messages.

        Raises:
            AnswerError: Too many records have no day.
        """
        rows: list[_Row] = []
        positions: list[int] = []
        for position, (record, read) in enumerate(zip(records, values, strict=True), 1):
            row = self._row(record, read) or self._odd_row(record, position, shown)
            if row is None:
                continue
            if self._reading.keeps(row[1]):
                rows.append(row)
                positions.append(position)
            else:
                self.left_out += 1
        try:
            return self._of(rows)
        except ValueError:  # a text in a record is no UTF-8
            whole = (
                row[-1] if _is_utf8(row[-1]) else self._storable(row[-1], place, shown)
                for row, place in zip(rows, positions, strict=True)
            )
            return self._of([(*row[:-1], payload) for row, payload in zip(rows, whole, strict=True)])

    def located(self, found: Sequence[tuple[date, UndatedRecord]], rest: Sequence[UndatedRecord]) -> pa.RecordBatch:
        """The rows of records that were set aside and whose day is known meanwhile; the rest stay aside."""
        rows = [
            (record.record_id or self._content_key(record.payload.encode(), day), day, record.payload.encode())
            for day, record in found
        ]
        self.undated = list(rest)
        return self._of(rows)

    def _of(self, rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
        schema = self._reading.schema
        ids, seconds, payloads = zip(*rows, strict=True) if rows else ((), (), ())
        columns = [ids, seconds, [datetime.now(UTC)] * len(ids), payloads]
        if self._parent is not None:
            columns.append([self._parent_of(payload) for payload in payloads])
        batch = pa.RecordBatch.from_pydict(
            {name: list(column) for name, column in zip(schema.names, columns, strict=True)}, schema=schema
        )
        self.kept += len(ids)
        return batch

    def _parent_of(self, payload: bytes) -> str | None:
        """The parent's id that a record names; None where there is none to read."""
        try:
            return id_text(self._parent(decode(payload))) if self._parent else None
        except ValueError:
            return None

    def _values(self, record: bytes) -> Values | None:
        try:
            record_id, stamp, version = (*self._read_record(record), None, None, None)[:3]
            if not self._is_strict and storable(record)[1]:
                return None
            return None if self._reading.id_path is None else id_text(record_id), stamp, version
        except (ValueError, ArithmeticError, RecursionError):
            return None

    def _row(self, record: bytes, values: Values | None) -> _Row | None:
        """The row of a record that is as described; None of an odd one."""
        if values is None:
            return None
        record_id, stamp, _ = values
        try:
            second = self._reading.second_column(stamp) if self._reading.stamp_field else None
        except (ValueError, ArithmeticError, RecursionError):
            return None
        return str(next(self._places)) if record_id is None else record_id, second, record

    def _odd_row(self, record: bytes, position: int, shown: str) -> _Row | None:
        """The row of a record that breaks a rule, with what can be read of it; None when it was set aside."""
        reading, payload = self._reading, self._storable(record, position, shown)
        if reading.id_path is None:
            return str(next(self._places)), None, payload
        try:
            document = decode(record)
        except ValueError:
            document = None
        values = [_found(look_up, document) for look_up in self._look_up]
        try:
            record_id = None if isinstance(values[0], str) and "\ufffd" in values[0] else id_text(values[0])
            fault = "" if record_id else "not all of it is UTF-8"
        except ValueError as error:
            record_id, fault = None, str(error)
        if record_id is None:
            self.odd.without_id += 1
            self.odd.note(shown, position, f"{reading.schema.names[0]} (`{reading.id_path}`): {fault}")
        second = None
        if reading.stamp_field:
            name, path = reading.stamp_field
            try:
                second = reading.second_column(values[1])
            except ValueError as error:
                self.odd.without_day += 1
                self.odd.note(shown, position, f"{name} (`{path}`): {error}")
                if reading.only_day is None:
                    self._set_aside(UndatedRecord(record_id, payload.decode()))
                    return None
                second = reading.only_day
        return record_id or self._content_key(payload, second), second, payload

    def _set_aside(self, record: UndatedRecord) -> None:
        self.undated.append(record)
        if len(self.undated) > MOST_UNDATED:
            name, path = self._reading.stamp_field or ("", "")
            raise AnswerError(
                f"more than {MOST_UNDATED} records have no {name} that can be read; see whether `{path}` is its path, "
                f"and `times` its format"
            )

    def _content_key(self, payload: bytes, second: object) -> str:
        digest = content_digest(payload)
        self._equals[digest, second] += 1
        return content_key(digest, self._equals[digest, second])

    def _storable(self, record: bytes, position: int, shown: str) -> bytes:
        payload, is_escaped = storable(record)
        if is_escaped:
            self.odd.escaped += 1
            self.odd.note(shown, position, "no JSON that can be stored as it came; kept escaped")
        return payload


def content_digest(payload: bytes) -> str:
    """A hash of a record's content."""
    return hashlib.sha256(payload).hexdigest()[:32]


def content_key(digest: str, ordinal: int) -> str:
    """The key of a record without an id: the same in each extraction, and different for records that are equal."""
    return f"{NO_ID}{digest}:{ordinal}"


def keys_of(records: Iterable[UndatedRecord]) -> list[str]:
    """The key of each record: its id, else one of its content."""
    equals: Counter[str] = Counter()
    keys = []
    for record in records:
        equals[record.name] += 1
        keys.append(record.record_id or content_key(record.name, equals[record.name]))
    return keys


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except ValueError:
        return False
    return True


def _found(look_up: Callable[[object], object], document: object) -> object:
    try:
        return look_up(document)
    except ValueError:
        return None


def order_reading(shop: Shop, keeps: Callable[[date], bool], only_day: date | None = None) -> Reading:
    """How orders are read: by the business day of their creation; `keeps` says which days belong to the extraction."""
    fields, times, zone = shop.orders.fields, shop.times_of(shop.orders), shop.zone
    return Reading(
        shop.orders,
        ORDERS_SCHEMA,
        id_path=fields.order_id,
        stamp_field=("created_at", fields.created_at),
        second_column=lambda value: business_day(parse_stamp(value, times, zone), zone),
        keeps=keeps,
        version_path=fields.updated_at,
        only_day=only_day,
        volatile=shop.orders.volatile,
    )


def related_reading(
    shop: Shop, related: Related, keeps: Callable[[date], bool], only_day: date | None = None
) -> Reading:
    """How records of a related list are read: by the business day of their own creation, and with their order's id."""
    fields, times, zone = related.fields, shop.times_of(related), shop.zone
    return Reading(
        related,
        RELATED_SCHEMA,
        id_path=fields.record_id,
        stamp_field=("created_at", fields.created_at),
        second_column=lambda value: business_day(parse_stamp(value, times, zone), zone),
        keeps=keeps,
        version_path=fields.updated_at,
        only_day=only_day,
        parent_path=fields.parent_id,
    )


@dataclass(frozen=True)
class DatedList:
    """Orders or a related list: a list whose records each belong to the business day of their creation.

    Attributes:
        name: Its name in the description.
        endpoint: Its description.
        created_at: The API's path of the moment of creation.
        reading: How its records are read, given which days belong to the extraction and which day alone is asked for.
    """

    name: str
    endpoint: DatedEndpoint
    created_at: str
    reading: Callable[[Callable[[date], bool], date | None], Reading]


def order_list(shop: Shop) -> DatedList:
    """Return the shop's orders."""
    return DatedList("orders", shop.api_orders, shop.orders.fields.created_at, partial(order_reading, shop))


def related_list(shop: Shop, name: str) -> DatedList:
    """Return a related list of the shop."""
    related = shop.orders.related[name]
    return DatedList(name, related, related.fields.created_at, partial(related_reading, shop, related))


def followed_reading(follow: Follow) -> Reading:
    """How the records of a list are read that was asked for by an order's id: by their places."""
    return Reading(follow, FOLLOWED_SCHEMA, None, None, lambda _: None, lambda _: True)


def dimension_reading(shop: Shop, endpoint: Records, schema: pa.Schema, paths: tuple[str, str | None]) -> Reading:
    """How customers or products are read: by an id and perhaps a change stamp, whose paths are given in this order."""
    times, zone = shop.times_of(endpoint), shop.zone

    def stamp(value: object) -> datetime | None:
        try:
            return parse_stamp(value, times, zone)
        except ValueError:
            return None

    id_path, stamp_path = paths
    stamp_field = ("updated_at", stamp_path) if stamp_path is not None else None
    return Reading(endpoint, schema, id_path, stamp_field, stamp, lambda _: True, stamp_path)
