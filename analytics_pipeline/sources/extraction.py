"""Extraction: a shop's orders, customers and products as Arrow record batches, one for each page.

A record is kept as the text that the API sent, beside its id and day or change stamp; reading anything else out of
it belongs to the transforms. Memory is one page, whatever the range.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from analytics_pipeline.errors import AnswerError, DescriptionError
from analytics_pipeline.sources.client import Answer, ShopClient, Statistics
from analytics_pipeline.sources.envelope import envelope_reader, record_reader
from analytics_pipeline.sources.mapping import business_day, parse_stamp
from analytics_pipeline.sources.pagination import LoopGuard, Page, PageRequest, first_request, following_request
from analytics_pipeline.sources.spec import Endpoint, Shop
from analytics_pipeline.sources.windows import changed_since_params, created_window_params

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
class _Reading:
    """How the records of one endpoint become rows.

    Attributes:
        endpoint: Its description.
        schema: Columns of the batches: id, day or stamp, extracted_at, payload.
        id_path: The API's path of the id, which is the first column.
        stamp_field: Our name of the field behind the second column, and its path; None leaves the column null.
        second_column: From the value at that path to the second column.
        keeps: Whether a row with this value in the second column belongs to the extraction.
    """

    endpoint: Endpoint
    schema: pa.Schema
    id_path: str
    stamp_field: tuple[str, str] | None
    second_column: Callable[[object], date | datetime | None]
    keeps: Callable[[Any], bool]


class Extraction(Iterator[pa.RecordBatch]):
    """The batches of one extraction, read from the shop as they are taken: one batch a page, empty pages give none.

    The attributes are whole once the batches are exhausted. `records + outside_window` is what the shop served, and
    equals `source_count` where the shop counts right.

    Attributes:
        schema: Arrow schema of the batches.
        records: Rows given so far.
        outside_window: Records left out so far, since their business day lies outside the range asked for.
        source_count: The shop's own count of the query, as its last page says; None when it gives none.
    """

    def __init__(self, client: ShopClient, reading: _Reading, params: Mapping[str, str]) -> None:
        """Prepares the extraction; the first request is made when the first batch is taken."""
        self.schema = reading.schema
        self.records = 0
        self.outside_window = 0
        self.source_count: int | None = None
        self._client = client
        self._reading = reading
        self._before = replace(client.statistics)
        stamp_paths = [reading.stamp_field[1]] if reading.stamp_field else []
        self._read_record = record_reader([reading.id_path, *stamp_paths])
        endpoint = reading.endpoint
        self._read_answer = envelope_reader(endpoint.records, list(endpoint.body_paths.values()))
        self._batches = self._pages(PageRequest(client.url(endpoint.path), {**endpoint.params, **params}))

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    @property
    def statistics(self) -> Statistics:
        """What this extraction cost so far."""
        return self._client.statistics.since(self._before)

    def _pages(self, start: PageRequest) -> Iterator[pa.RecordBatch]:
        client, style = self._client, self._reading.endpoint.pagination
        guard = LoopGuard(client.shop.limits.max_pages)
        request: PageRequest | None = first_request(style, start)
        seen = largest = 0
        while request is not None:
            guard.check_request(request, client.shown(request.url, request.params))
            answer = client.get(request.url, request.params, self._read_answer)
            records, beside = self._take_apart(answer)
            guard.check_records(hash(tuple(records)) if records else None, answer.shown)
            seen, largest = seen + len(records), max(largest, len(records))
            count = self._count(answer, beside)
            self.source_count = self.source_count if count is None else count
            batch = self._batch(records, answer.shown)
            if batch.num_rows:
                yield batch
            request = following_request(
                style,
                Page(
                    request,
                    url=answer.url,
                    shown=answer.shown,
                    records=len(records),
                    seen=seen,
                    largest=largest,
                    count=count,
                    next=beside.get("next"),
                    pages=beside.get("pages"),
                    link=answer.headers.get("Link"),
                ),
            )

    def _take_apart(self, answer: Answer[Sequence[object]]) -> tuple[list[bytes], dict[str, object]]:
        """The texts of an answer's records, and the values beside them by what they are for."""
        if answer.body is None:
            return [], {}
        records, *values = answer.body
        if not isinstance(records, list):
            path = self._reading.endpoint.records
            what = "nothing or null" if records is None else type(records).__name__
            raise AnswerError(f"GET {answer.shown}: no list of records at `{path}`, but {what}; check `records`")
        return [bytes(record) for record in records], dict(zip(self._reading.endpoint.body_paths, values, strict=True))

    def _count(self, answer: Answer[Sequence[object]], beside: Mapping[str, object]) -> int | None:
        header = self._reading.endpoint.count_header
        value = answer.headers.get(header) if header is not None else beside.get("count")
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise AnswerError(f"GET {answer.shown}: the shop's count of records is no number, but {self._cut(value)}")

    def _batch(self, records: Sequence[bytes], shown: str) -> pa.RecordBatch:
        ids: list[str] = []
        seconds: list[date | datetime | None] = []
        payloads: list[bytes] = []
        for position, record in enumerate(records, 1):
            record_id, second = self._row(record, position, shown)
            if self._reading.keeps(second):
                ids.append(record_id)
                seconds.append(second)
                payloads.append(record)
        self.outside_window += len(records) - len(ids)
        self.records += len(ids)
        columns = (ids, seconds, [datetime.now(UTC)] * len(ids), payloads)
        try:
            return pa.RecordBatch.from_pydict(dict(zip(self.schema.names, columns, strict=True)), schema=self.schema)
        except ValueError as error:
            fault = self._cut(str(error))
        raise AnswerError(f"GET {shown}: a record holds text that is no Unicode: {fault}")

    def _row(self, record: bytes, position: int, shown: str) -> tuple[str, date | datetime | None]:
        reading = self._reading
        name, path = self.schema.names[0], reading.id_path
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
        raise AnswerError(f"GET {shown}: record {position} of the page: {told}: {fault} (given: {self._cut(value)})")

    def _cut(self, value: object) -> str:
        return self._client.redact(repr(value))[:_SHOWN_CHARACTERS]


def _id_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("an id must be text or a whole number")  # noqa: TRY004  # told as a fault of the record
    text = str(value)
    if not text.strip() or "\x00" in text:
        raise ValueError("an id must not be empty or hold a zero character")
    return text


def extract_orders(client: ShopClient, first_day: date, last_day: date) -> Extraction:
    """Reads the orders of the business days first_day to last_day, both included, as `ORDERS_SCHEMA`.

    An order of another business day that the shop serves all the same is left out and counted: its own day has it.
    Duplicates stay.

    Raises, while the batches are taken:
        ShopUnavailableError, ShopRefusedError, SettingsError: As `ShopClient.get`.
        AnswerError: A page or a record breaks the description: no list, no id, a `created_at` that is no stamp.
        PaginationError: Paging does not end or leads away.
    """
    if first_day > last_day:
        raise ValueError(f"the first day {first_day} comes after the last day {last_day}")
    window, zone = client.shop.orders.created_window, client.shop.zone
    params = created_window_params(window, first_day, last_day, zone) if window else {}
    return Extraction(client, _orders(client.shop, lambda day: first_day <= day <= last_day), params)


def extract_changed_orders(client: ShopClient, changed_since: datetime) -> Extraction:
    """Reads the orders of all business days that changed since an aware stamp, as `extract_orders` does.

    Raises:
        DescriptionError: The description has no `orders.changed_since`.
    """
    described = client.shop.orders.changed_since
    if described is None:
        raise DescriptionError(
            f"shop {client.shop.name}: orders.changed_since is not described, so changes cannot be asked for"
        )
    params = changed_since_params(described, changed_since, client.shop.zone)
    return Extraction(client, _orders(client.shop, lambda _: True), params)


def can_count_orders(shop: Shop) -> bool:
    """Whether the shop counts the orders of exactly the business days that it is asked for."""
    window = shop.orders.created_window
    has_count = shop.orders.count is not None or shop.orders.count_header is not None
    return has_count and window is not None and window.format != "date" and window.to == "exclusive"


def count_orders(client: ShopClient, first_day: date, last_day: date) -> int | None:
    """Returns the shop's own number of orders of some business days, by one request for the shortest of pages.

    Raises:
        ShopUnavailableError, ShopRefusedError, SettingsError, AnswerError: As `extract_orders`.
    """
    shop = client.shop
    paging = shop.orders.pagination
    if getattr(paging, "size", None) is not None:
        short = shop.orders.model_copy(update={"pagination": paging.model_copy(update={"size": 1})})
        shop = shop.model_copy(update={"orders": short})
    window = shop.orders.created_window
    params = created_window_params(window, first_day, last_day, shop.zone) if window else {}
    page = Extraction(client, _orders(shop, lambda _: True), params)
    next(page, None)
    return page.source_count


def extract_customers(client: ShopClient, changed_since: datetime | None = None) -> Extraction:
    """Reads customers as `CUSTOMERS_SCHEMA`; raises as `extract_orders`.

    Args:
        client: The shop's client.
        changed_since: Only those changed since this aware stamp; all of them when it is None or the shop's
            description has no `customers.changed_since`.

    `changed_at` is null where the shop gives no stamp or one that is none: cleaning judges the record.
    """
    shop = client.shop
    fields = shop.customers.fields
    paths = (fields.customer_id, fields.updated_at)
    return _extract_dimension(client, shop.customers, CUSTOMERS_SCHEMA, paths, changed_since)


def extract_products(client: ShopClient, changed_since: datetime | None = None) -> Extraction:
    """Reads products as `PRODUCTS_SCHEMA`; otherwise as `extract_customers`."""
    shop = client.shop
    fields = shop.products.fields
    paths = (fields.product_id, fields.updated_at)
    return _extract_dimension(client, shop.products, PRODUCTS_SCHEMA, paths, changed_since)


def _orders(shop: Shop, keeps: Callable[[date], bool]) -> _Reading:
    fields, times, zone = shop.orders.fields, shop.times, shop.zone
    return _Reading(
        shop.orders,
        ORDERS_SCHEMA,
        id_path=fields.order_id,
        stamp_field=("created_at", fields.created_at),
        second_column=lambda value: business_day(parse_stamp(value, times, zone), zone),
        keeps=keeps,
    )


def _extract_dimension(
    client: ShopClient,
    endpoint: Endpoint,
    schema: pa.Schema,
    paths: tuple[str, str | None],
    changed_since: datetime | None,
) -> Extraction:
    """Reads records with an id and perhaps a change stamp, whose paths are given in this order."""
    times, zone = client.shop.times, client.shop.zone

    def stamp(value: object) -> datetime | None:
        try:
            return parse_stamp(value, times, zone)
        except ValueError:
            return None

    params: dict[str, str] = {}
    if changed_since is not None and endpoint.changed_since is not None:
        params = changed_since_params(endpoint.changed_since, changed_since, zone)
    id_path, stamp_path = paths
    stamp_field = ("updated_at", stamp_path) if stamp_path is not None else None
    return Extraction(client, _Reading(endpoint, schema, id_path, stamp_field, stamp, lambda _: True), params)
