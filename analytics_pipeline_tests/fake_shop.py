"""A small real HTTP server that plays a shop: tests say what it answers, and see what it was asked."""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    """A request as the server saw it; `target` is path and query as they came, `body` that of a POST."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    method: str = "GET"
    target: str = ""
    body: bytes = b""

    @property
    def json(self) -> Any:  # noqa: ANN401 - what JSON may say
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer: a body of bytes is sent as it is, anything else as JSON."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    missing_bytes: int = 0
    without_length: bool = False
    drop: bool = False
    endless: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Route = Callable[[Asked], Reply]


class FakeShop:
    """Routes are functions from a request to a reply; `fallback` answers where there is none.

    Every request is kept in `asked`; `date` is the `Date` header.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[Asked] = []
        self.date: str | None = None
        self.fallback: Route = lambda _: Reply({"error": "no such path"}, 404)
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

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        shop: FakeShop = cast("Any", self.server).shop
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query, headers = dict(parse_qsl(parts.query)), dict(self.headers.items())
        asked = Asked(parts.path, query, headers, self.command, self.path, body)
        shop.asked.append(asked)
        route = shop.routes.get(parts.path)
        reply = route(asked) if route else shop.fallback(asked)
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
        elif not reply.endless and not {"Content-Length", "Transfer-Encoding"} & reply.headers.keys():
            self.send_header("Content-Length", str(len(content) + reply.missing_bytes))
        self.end_headers()
        self.wfile.write(content)
        with contextlib.suppress(OSError):
            while reply.endless:
                self.wfile.write(content)
        if reply.missing_bytes or "Transfer-Encoding" in reply.headers:
            self.close_connection = True
