"""A shop that answers what a test says, and clients whose waits are written down instead of waited."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline_tests.fake_shop import FakeShop


@pytest.fixture
def fake() -> Iterator[FakeShop]:
    shop = FakeShop()
    yield shop
    shop.close()


@pytest.fixture
def stranger() -> Iterator[FakeShop]:
    """A second server, of another origin."""
    shop = FakeShop()
    yield shop
    shop.close()


def description(base_url: str = "http://127.0.0.1:1", **changes: object) -> dict[str, Any]:
    """A small description as plain data; `orders` in the changes is merged into the default."""
    lines = {
        "records": "lines",
        "fields": {"product_id": "sku", "quantity": "quantity", "unit_price": "price"},
    }
    orders: dict[str, object] = {
        "path": "/orders",
        "records": "orders",
        "pagination": {"type": "single"},
        "fields": {"order_id": "id", "created_at": "created_at"},
        "lines": lines,
    }
    orders.update(cast("dict[str, object]", changes.pop("orders", {})))
    whole: dict[str, object] = {
        "name": "test",
        "base_url": base_url,
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "first_day": "2026-01-01",
        "orders": orders,
        "customers": {
            "path": "/customers",
            "records": "customers",
            "pagination": {"type": "single"},
            "changed_since": {"param": "since", "format": "iso_utc"},
            "fields": {"customer_id": "id", "updated_at": "updated_at"},
        },
        "products": {
            "path": "/products",
            "records": "@",
            "pagination": {"type": "single"},
            "fields": {"product_id": "meta.id"},
        },
    }
    return {**whole, **changes}


def shop_of(base_url: str = "http://127.0.0.1:1", **changes: object) -> Shop:
    return Shop.model_validate(description(base_url, **changes))


class Bench:
    """Makes clients whose time stands still but for the waits, which are written down."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.now = 1000.0
        self.clients: list[ShopClient] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def client(self, shop: Shop, environment: Mapping[str, str] | None = None, share: float = 1.0) -> ShopClient:
        client = ShopClient(
            shop, environment=environment or {}, sleep=self.sleep, clock=lambda: self.now, random=lambda: share
        )
        self.clients.append(client.__enter__())
        return client


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for client in bench.clients:
        client.close()
