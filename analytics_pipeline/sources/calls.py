"""How many requests a range of business days takes, and how long: from the shop's counts and a page of each list.

An estimate before a long load. What a load has cost is counted by the client.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from analytics_pipeline.shop.paging import Cursor, LinkHeader, NextLink, Single
from analytics_pipeline.shop.spec import Endpoint
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.following import order_calls
from analytics_pipeline.sources.lists import extract_customers, extract_days, extract_orders, extract_products
from analytics_pipeline.transforms.raw import related_list
from analytics_pipeline.transforms.records import decoded


@dataclass(frozen=True)
class ListCalls:
    """What reading one list takes.

    Attributes:
        name: orders, customers, products, or the name of a list that belongs to orders.
        records: The shop's count, None where it gives none; of a list that is asked for by order, the orders.
        page: Records of a page.
        calls: Requests; where nothing is counted, only those that are certain.
    """

    name: str
    records: int | None
    page: int
    calls: int


@dataclass(frozen=True)
class CallPlan:
    """What reading a range takes.

    Attributes:
        lists: All lists.
        seconds_a_call: As measured by the requests that the plan took, or as the budget allows where that is slower.
    """

    lists: tuple[ListCalls, ...]
    seconds_a_call: float

    @property
    def calls(self) -> int:
        """Requests in all."""
        return sum(one.calls for one in self.lists)

    @property
    def seconds(self) -> float:
        """Time that they take one after the other."""
        return self.calls * self.seconds_a_call

    @property
    def is_whole(self) -> bool:
        """Whether the shop counts every list that has pages."""
        return all(one.records is not None for one in self.lists)


def plan_calls(
    client: ShopClient, first_day: date, last_day: date, clock: Callable[[], float] = time.monotonic
) -> CallPlan:
    """Ask for a page of each list and return what a whole reading takes.

    Args:
        client: The shop's client.
        first_day: First business day of the orders.
        last_day: The last one, included.
        clock: Monotonic seconds.

    Raises:
        PipelineError: As `extract_orders`.
    """
    began, shop = clock(), client.shop
    orders = extract_orders(client, first_day, last_day)
    page = next(orders, None)
    related = (related_list(shop, name) for name in shop.orders.related)
    lists = (
        calls := _calls("orders", shop.api_orders, orders, page),
        *(_calls(one.name, one.endpoint, extract_days(client, one, first_day, last_day)) for one in related),
        *_calls_by_order(client, calls, page),
        *_calls_of_customers_and_products(client),
    )
    measured = (clock() - began) / max(client.statistics.requests, 1)
    budget = shop.request_budget.per_second
    return CallPlan(lists, max(measured, 1 / budget if budget else 0.0))


def _calls_of_customers_and_products(client: ShopClient) -> Iterator[ListCalls]:
    """Yield what these lists take, where they are lists of the API."""
    customers, products = client.shop.customers, client.shop.products
    if isinstance(customers, Endpoint):
        yield _calls("customers", customers, extract_customers(client))
    if isinstance(products, Endpoint):
        yield _calls("products", products, extract_products(client))


def _calls_by_order(client: ShopClient, orders: ListCalls, page: pa.RecordBatch | None) -> Iterator[ListCalls]:
    """Yield what asking order by order takes, if all orders are as those of the first page."""
    rows = page.to_pylist() if page is not None else []
    for name, calls in order_calls(client).items():
        asked = sum(calls.is_asked(row["order_id"], decoded(row["payload"])) for row in rows)
        if orders.records is None:
            yield ListCalls(name, None, asked, asked)
        else:
            estimate = round(orders.records * asked / len(rows)) if rows else 0
            yield ListCalls(name, estimate, asked, estimate)


def _calls(name: str, endpoint: Endpoint, extraction: Extraction, first: pa.RecordBatch | None = None) -> ListCalls:
    first = first or next(extraction, None)
    on_page = extraction.came.distinct if first is not None else 0
    count, style = extraction.source_count, endpoint.pagination
    if isinstance(style, Single):
        return ListCalls(name, on_page if count is None else count, on_page, 1)
    if count is None or not on_page:
        return ListCalls(name, count if on_page else 0 if count == 0 else None, on_page, 1)
    says_the_end = isinstance(style, Cursor | NextLink | LinkHeader) or getattr(style, "pages", None) is not None
    return ListCalls(name, count, on_page, math.ceil(count / on_page) + (0 if says_the_end else 1))
