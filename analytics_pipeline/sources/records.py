"""The records of a page as rows: id, day or change stamp, and the text that the API sent.

Which field of a record becomes what is a `Reading`, made of the shop's description. Asking for pages and counting
them is `extraction`'s part; reading anything else out of a record belongs to the transforms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from analytics_pipeline.errors import AnswerError
from analytics_pipeline.sources.envelope import record_reader
from analytics_pipeline.sources.mapping import business_day, parse_stamp
from analytics_pipeline.sources.spec import Endpoint, Shop

_STAMP = pa.timestamp("us", tz="UTC")
_SHOWN_CHARACTERS = 80


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


@dataclass(frozen=True)
class Reading:
    """How the records of one endpoint become rows.

    Attributes:
        endpoint: Its description.
        schema: Columns of the batches: id, day or stamp, extracted_at, payload.
        id_path: The API's path of the id, which is the first column.
        stamp_field: Our name of the field behind the second column, and its path; None leaves the column null.
        second_column: From the value at that path to the second column.
        keeps: Whether a row with this value in the second column belongs to the extraction.
        version_path: The API's path of the change stamp, which tells versions of a record apart; None for none.
    """

    endpoint: Endpoint
    schema: pa.Schema
    id_path: str
    stamp_field: tuple[str, str] | None
    second_column: Callable[[object], date | datetime | None]
    keeps: Callable[[Any], bool]
    version_path: str | None = None


class RecordRows:
    """Makes rows of records, one page after the other.

    Attributes:
        kept: Rows made so far.
        left_out: Records left out so far, since they do not belong to the extraction.
    """

    def __init__(self, reading: Reading, redact: Callable[[str], str]) -> None:
        """Prepares the reading.

        Args:
            reading: Which values of a record are read.
            redact: Hides the shop's secrets in a text.
        """
        self.kept = 0
        self.left_out = 0
        self._reading = reading
        self._redact = redact
        stamp_paths = [reading.stamp_field[1]] if reading.stamp_field else []
        self._read_record = record_reader([reading.id_path, *stamp_paths])

    def batch(self, records: Sequence[bytes], shown: str) -> pa.RecordBatch:
        """The rows of a page's records; `shown` is its URL for messages.

        Raises:
            AnswerError: A record has no id or no day, or is no object.
        """
        ids: list[str] = []
        seconds: list[date | datetime | None] = []
        payloads: list[bytes] = []
        for position, record in enumerate(records, 1):
            record_id, second = self._row(record, position, shown)
            if self._reading.keeps(second):
                ids.append(record_id)
                seconds.append(second)
                payloads.append(record)
        self.left_out += len(records) - len(ids)
        self.kept += len(ids)
        columns = (ids, seconds, [datetime.now(UTC)] * len(ids), payloads)
        try:
            return pa.RecordBatch.from_pydict(
                dict(zip(self._reading.schema.names, columns, strict=True)), schema=self._reading.schema
            )
        except ValueError as error:
            fault = self._cut(str(error))
        raise AnswerError(f"GET {shown}: a record holds text that is no Unicode.", excerpt=fault)

    def _row(self, record: bytes, position: int, shown: str) -> tuple[str, date | datetime | None]:
        reading = self._reading
        name, path = reading.schema.names[0], reading.id_path
        value: object = record
        try:
            value, *rest = self._read_record(record)
            record_id = _id_text(value)
            if reading.stamp_field is None:
                return record_id, None
            (name, path), value = reading.stamp_field, rest[0]
            return record_id, reading.second_column(value)
        except ValueError as error:
            fault = str(error)
        told = "a record is no object that can be read" if value is record else f"{name} (`{path}`)"
        raise AnswerError(f"GET {shown}: record {position} of the page: {told}: {fault}.", excerpt=self._cut(value))

    def _cut(self, value: object) -> str:
        return self._redact(repr(value))[:_SHOWN_CHARACTERS]


def order_reading(shop: Shop, keeps: Callable[[date], bool]) -> Reading:
    """How orders are read: by the business day of their creation; `keeps` says which days belong to the extraction."""
    fields, times, zone = shop.orders.fields, shop.times, shop.zone
    return Reading(
        shop.orders,
        ORDERS_SCHEMA,
        id_path=fields.order_id,
        stamp_field=("created_at", fields.created_at),
        second_column=lambda value: business_day(parse_stamp(value, times, zone), zone),
        keeps=keeps,
        version_path=fields.updated_at,
    )


def dimension_reading(shop: Shop, endpoint: Endpoint, schema: pa.Schema, paths: tuple[str, str | None]) -> Reading:
    """How customers or products are read: by an id and perhaps a change stamp, whose paths are given in this order."""
    times, zone = shop.times, shop.zone

    def stamp(value: object) -> datetime | None:
        try:
            return parse_stamp(value, times, zone)
        except ValueError:
            return None

    id_path, stamp_path = paths
    stamp_field = ("updated_at", stamp_path) if stamp_path is not None else None
    return Reading(endpoint, schema, id_path, stamp_field, stamp, lambda _: True, stamp_path)


def _id_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("an id must be text or a whole number")  # noqa: TRY004  # told as a fault of the record
    text = str(value)
    if not text.strip() or "\x00" in text:
        raise ValueError("an id must not be empty or hold a zero character")
    return text
