"""How many requests a range of business days takes, and how long: from the shop's counts and a page of each list.

An estimate before a long load. What a load has cost is counted by the client.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from analytics_pipeline.shop.protocol import Cursor, LinkHeader, NextLink, Single
from analytics_pipeline.shop.spec import Endpoint
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import (
    Extraction,
    extract_customers,
    extract_orders,
    extract_products,
)


@dataclass(frozen=True)
class ListCalls:
    """What reading one list takes.

    Attributes:
        name: orders, customers or products.
        records: The shop's count, None where it gives none.
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
        lists: Orders, customers and products.
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
    lists = (
        _calls("orders", shop.orders, extract_orders(client, first_day, last_day)),
        _calls("customers", shop.customers, extract_customers(client)),
        _calls("products", shop.products, extract_products(client)),
    )
    measured = (clock() - began) / max(client.statistics.requests, 1)
    budget = shop.request_budget.per_second
    return CallPlan(lists, max(measured, 1 / budget if budget else 0.0))


def _calls(name: str, endpoint: Endpoint, extraction: Extraction) -> ListCalls:
    first = next(extraction, None)
    on_page = extraction.came.distinct if first is not None else 0
    count, style = extraction.source_count, endpoint.pagination
    if isinstance(style, Single):
        return ListCalls(name, on_page if count is None else count, on_page, 1)
    if count is None or not on_page:
        return ListCalls(name, count if on_page else 0 if count == 0 else None, on_page, 1)
    says_the_end = isinstance(style, Cursor | NextLink | LinkHeader) or getattr(style, "pages", None) is not None
    return ListCalls(name, count, on_page, math.ceil(count / on_page) + (0 if says_the_end else 1))
