"""Which records of a shop are asked for: orders and related lists by days, instants or changes, customers, products.

How the pages of an answer are taken is in `extraction`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import pyarrow as pa

from analytics_pipeline.errors import DescriptionError
from analytics_pipeline.shop.endpoints import Endpoint
from analytics_pipeline.shop.requests import EVERYTHING
from analytics_pipeline.shop.spec import Customers, Products
from analytics_pipeline.shop.windows import (
    changed_since_query,
    covering_query,
    created_window_query,
    instants_query,
)
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.locating import LEAST_REQUESTS, among, located
from analytics_pipeline.transforms.raw import (
    CUSTOMERS_SCHEMA,
    PRODUCTS_SCHEMA,
    DatedList,
    UndatedRecord,
    dimension_reading,
    order_list,
)


def extract_orders(client: ShopClient, first_day: date, last_day: date) -> Extraction:
    """Reads the orders of the business days first_day to last_day, both included, as `ORDERS_SCHEMA`.

    Raises: As `extract_days`.
    """
    return extract_days(client, order_list(client.shop), first_day, last_day)


def extract_days(client: ShopClient, listed: DatedList, first_day: date, last_day: date) -> Extraction:
    """Reads a list's records of the business days first_day to last_day, both included.

    A record of another business day that the shop serves all the same is left out and counted: its own day has it.
    Duplicates stay. A record whose day cannot be read is of the day for which the shop gives it.
    Asked for by days, the shop may cut them by another zone: a day more is read on each side.

    Raises, while the batches are taken:
        ShopUnavailableError, ShopRefusedError, SettingsError: As `ShopClient.ask`.
        AnswerError: A page breaks the description: no list. Or no record has a day.
        PaginationError: Paging does not end or leads away.
    """
    if first_day > last_day:
        raise ValueError(f"the first day {first_day} comes after the last day {last_day}")
    window, zone = listed.endpoint.created_window, client.shop.zone
    if window is None:
        return Extraction(client, listed.reading(lambda day: first_day <= day <= last_day, None))
    is_by_days = window.format == "date"
    only_day = first_day if first_day == last_day and not is_by_days else None
    reading = listed.reading(lambda day: first_day <= day <= last_day, only_day)

    def ask(first: date, last: date) -> tuple[Counter[str], int]:
        part = Extraction(
            client, listed.reading(lambda _: False, None), created_window_query(window, first, last, zone)
        )
        for _ in part:
            pass
        return Counter(record.name for record in part.undated), part.statistics.requests

    def locate(undated: Sequence[UndatedRecord]) -> tuple[list[tuple[date, UndatedRecord]], list[UndatedRecord]]:
        if is_by_days:  # those of the days beside the range came too
            undated = among(undated, ask(first_day, last_day)[0])
        most = LEAST_REQUESTS + extraction.statistics.requests
        found = located(undated, first_day, last_day, ask, most_requests=most)
        placed = {id(record) for _, record in found}
        return found, [record for record in undated if id(record) not in placed]

    bulk = listed.endpoint.bulk
    if bulk is not None and (last_day - first_day).days + 1 < bulk.min_days:
        bulk = None
    extraction = Extraction(client, reading, covering_query(window, first_day, last_day, zone), locate, bulk)
    return extraction


def extract_created(  # noqa: PLR0917 - two ranges
    client: ShopClient,
    start: datetime,
    end: datetime,
    first_day: date,
    last_day: date,
    listed: DatedList | None = None,
) -> Extraction:
    """Reads the orders created from an instant to before another, of some business days, as `extract_days` does.

    So it does with the records of another list. Some that were created shortly before or after may come too.
    """
    listed, zone = listed or order_list(client.shop), client.shop.zone
    window = listed.endpoint.created_window
    query = instants_query(window, start, end, zone) if window else EVERYTHING
    if window is not None and window.format == "date":
        ends = (start.astimezone(zone).date(), (end - timedelta(seconds=1)).astimezone(zone).date())
        query = created_window_query(window, *ends, zone)
    return Extraction(client, listed.reading(lambda day: first_day <= day <= last_day, None), query)


def extract_changed_orders(client: ShopClient, changed_since: datetime) -> Extraction:
    """Reads the orders of all business days that changed since an aware stamp; raises as `extract_changed`."""
    return extract_changed(client, order_list(client.shop), changed_since)


def extract_changed(client: ShopClient, listed: DatedList, changed_since: datetime) -> Extraction:
    """Reads a list's records of all business days that changed since an aware stamp, as `extract_days` does.

    Raises:
        DescriptionError: The description of the list has no `changed_since`.
    """
    described = listed.endpoint.changed_since
    if described is None:
        raise DescriptionError(
            f"shop {client.shop.name}: {listed.name}.changed_since is not described, so changes cannot be asked for"
        )
    query = changed_since_query(described, changed_since, client.shop.zone)
    return Extraction(client, listed.reading(lambda _: True, None), query)


def extract_customers(client: ShopClient, changed_since: datetime | None = None) -> Extraction:
    """Reads customers as `CUSTOMERS_SCHEMA`; raises as `extract_orders`, where they are a list of the API.

    Args:
        client: The shop's client.
        changed_since: Only those changed since this aware stamp; all of them when it is None or the shop's
            description has no `customers.changed_since`.

    `changed_at` is null where the shop gives no stamp or one that is none: cleaning judges the record.
    """
    described = client.shop.customers
    if not isinstance(described, Customers):
        raise DescriptionError(f"shop {client.shop.name}: its customers are not asked for at the API")
    paths = (described.fields.customer_id, described.fields.updated_at)
    return _extract_dimension(client, described, CUSTOMERS_SCHEMA, paths, changed_since)


def extract_products(client: ShopClient, changed_since: datetime | None = None) -> Extraction:
    """Reads products as `PRODUCTS_SCHEMA`; otherwise as `extract_customers`."""
    described = client.shop.products
    if not isinstance(described, Products):
        raise DescriptionError(f"shop {client.shop.name}: its products are not asked for at the API")
    paths = (described.fields.product_id, described.fields.updated_at)
    return _extract_dimension(client, described, PRODUCTS_SCHEMA, paths, changed_since)


def _extract_dimension(
    client: ShopClient,
    endpoint: Endpoint,
    schema: pa.Schema,
    paths: tuple[str, str | None],
    changed_since: datetime | None,
) -> Extraction:
    """Reads records with an id and perhaps a change stamp, whose paths are given in this order."""
    query = EVERYTHING
    if changed_since is not None and endpoint.changed_since is not None:
        query = changed_since_query(endpoint.changed_since, changed_since, client.shop.zone)
    return Extraction(client, dimension_reading(client.shop, endpoint, schema, paths), query)
