"""Demo shops at a fixed moment, on a free port. Rare things happen often here, so that a few weeks show all of them."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests

from analytics_pipeline.demo_shop import DemoShop, DemoShopSettings, RunningShop, serve

OPENED = date(2025, 9, 1)
NOW = datetime(2025, 11, 10, 12, tzinfo=UTC)
EVENTFUL = DemoShopSettings(
    opened=OPENED,
    orders_per_day=(20, 30),
    foreign_currency="USD",
    bad_share=0.05,
    test_share=0.03,
    free_share=0.05,
    order_discount_share=0.2,
    refund_share=0.2,
    cancel_share=0.1,
    edit_share=0.05,
)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]


def read_all(url: str, **parameters: str) -> list[dict[str, Any]]:
    """Every record of a list, by the links in the body."""
    records: list[dict[str, Any]] = []
    next_url: str | None = f"{url}?{'&'.join(f'{name}={value}' for name, value in parameters.items())}"
    while next_url:
        answer = requests.get(next_url, timeout=10).json()
        records += answer[url.rsplit("/", 1)[1]]
        next_url = answer["next"]
    return records


@pytest.fixture(scope="session")
def eventful() -> DemoShop:
    return DemoShop(EVENTFUL, Clock())


@pytest.fixture
def start() -> Iterator[Callable[..., RunningShop]]:
    """Start shops that are stopped after the test."""
    running: list[RunningShop] = []

    def start_shop(settings: DemoShopSettings = EVENTFUL, now: Callable[[], datetime] | None = None) -> RunningShop:
        running.append(serve(settings, now=now or Clock()))
        return running[-1]

    yield start_shop
    for shop in running:
        shop.stop()
