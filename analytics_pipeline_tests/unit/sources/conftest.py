"""A small real HTTP server that plays a shop, and clients whose waits are written down instead of waited."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest

from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.spec import Shop


@dataclass
class Asked:
    """A request as the server saw it."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class Reply:
    """An answer: a body of bytes is sent as it is, anything else as JSON."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    missing_bytes: int = 0
    without_length: bool = False
    drop: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Route = Callable[[Asked], Reply]


class FakeShop:
    """Routes are functions from a request to a reply; every request is kept in `asked`; `date` is the `Date` header."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[Asked] = []
        self.date: str | None = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        cast("Any", self.server).shop = self
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answers(self, path: str, *replies: Reply) -> None:
        """The replies in turn; the last one again and again."""
        left = list(replies)
        self.routes[path] = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        shop: FakeShop = cast("Any", self.server).shop
        return shop.date or super().date_time_string(timestamp)

    def do_GET(self) -> None:
        shop: FakeShop = cast("Any", self.server).shop
        parts = urlsplit(self.path)
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers.items()))
        shop.asked.append(asked)
        route = shop.routes.get(parts.path)
        reply = route(asked) if route else Reply({"error": "no such path"}, 404)
        if reply.drop:
            self.close_connection = True
            return
        content = b"" if reply.status == 204 else reply.content()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.without_length:
            self.send_header("Connection", "close")
            self.close_connection = True
        elif not {"Content-Length", "Transfer-Encoding"} & reply.headers.keys():
            self.send_header("Content-Length", str(len(content) + reply.missing_bytes))
        self.end_headers()
        self.wfile.write(content)
        if reply.missing_bytes or "Transfer-Encoding" in reply.headers:
            self.close_connection = True


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
