"""Extraction: a shop's orders, customers and products as Arrow record batches, one for each page.

A record is kept as the text that the API sent, beside its id and day or change stamp; reading anything else out of
it belongs to the transforms. Memory is one page, whatever the range.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import pyarrow as pa

from analytics_pipeline.errors import AnswerError, DescriptionError
from analytics_pipeline.sources.client import Answer, ShopClient, Statistics
from analytics_pipeline.sources.envelope import envelope_reader
from analytics_pipeline.sources.pagination import LoopGuard, Page, PageRequest, first_request, following_request
from analytics_pipeline.sources.records import (
    CUSTOMERS_SCHEMA,
    PRODUCTS_SCHEMA,
    Reading,
    RecordRows,
    dimension_reading,
    order_reading,
)
from analytics_pipeline.sources.spec import Endpoint, Shop
from analytics_pipeline.sources.windows import changed_since_params, created_window_params

_SHOWN_CHARACTERS = 80


class Extraction(Iterator[pa.RecordBatch]):
    """The batches of one extraction, read from the shop as they are taken: one batch a page, empty pages give none.

    The attributes are whole once the batches are exhausted. `records + outside_window` is what the shop served, and
    equals `source_count` where the shop counts right.

    Attributes:
        schema: Arrow schema of the batches.
        source_count: The shop's own count of the query, as its last page says; None when it gives none.
    """

    def __init__(self, client: ShopClient, reading: Reading, params: Mapping[str, str]) -> None:
        """Prepares the extraction; the first request is made when the first batch is taken."""
        self.schema = reading.schema
        self.source_count: int | None = None
        self._client = client
        self._reading = reading
        self._before = replace(client.statistics)
        self._rows = RecordRows(reading, client.redact)
        endpoint = reading.endpoint
        self._read_answer = envelope_reader(endpoint.records, list(endpoint.body_paths.values()))
        self._batches = self._pages(PageRequest(client.url(endpoint.path), {**endpoint.params, **params}))

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    @property
    def records(self) -> int:
        """Rows given so far."""
        return self._rows.kept

    @property
    def outside_window(self) -> int:
        """Records left out so far, since their business day lies outside the range asked for."""
        return self._rows.left_out

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
            batch = self._rows.batch(records, answer.shown)
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
        fault = f"GET {answer.shown}: the shop's count of records is no number, but {type(value).__name__}."
        raise AnswerError(fault, excerpt=self._cut(value))

    def _cut(self, value: object) -> str:
        return self._client.redact(repr(value))[:_SHOWN_CHARACTERS]


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
    return Extraction(client, order_reading(client.shop, lambda day: first_day <= day <= last_day), params)


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
    return Extraction(client, order_reading(client.shop, lambda _: True), params)


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
    page = Extraction(client, order_reading(shop, lambda _: True), params)
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


def _extract_dimension(
    client: ShopClient,
    endpoint: Endpoint,
    schema: pa.Schema,
    paths: tuple[str, str | None],
    changed_since: datetime | None,
) -> Extraction:
    """Reads records with an id and perhaps a change stamp, whose paths are given in this order."""
    params: dict[str, str] = {}
    if changed_since is not None and endpoint.changed_since is not None:
        params = changed_since_params(endpoint.changed_since, changed_since, client.shop.zone)
    return Extraction(client, dimension_reading(client.shop, endpoint, schema, paths), params)
