"""Running a demo shop over HTTP on 127.0.0.1: in a thread for tests and the demo, or in the foreground until Ctrl-C."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

import click
import uvicorn

from analytics_pipeline.demo_shop.app import create_app
from analytics_pipeline.demo_shop.calling import Calls
from analytics_pipeline.demo_shop.settings import DemoShopSettings
from analytics_pipeline.demo_shop.shop import DemoShop

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 10.0


class RunningShop:
    """A demo shop that answers at `url` until `stop`; usable in a `with` statement."""

    def __init__(self, shop: DemoShop, port: int) -> None:
        self.shop = shop
        self._socket = _listen(port)
        self.url = _url(self._socket)
        self._server = _server(shop)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="demo-shop", daemon=True)
        self._thread.start()
        self._calls: list[Calls] = []
        self._wait_until_started()

    def call(self, url: str, secret: str) -> None:
        """Call a URL, from now on, whenever an order changes; see `calling`."""
        self._calls.append(Calls(self.shop, url, secret))

    def stop(self) -> None:
        """Close the port and end the thread; answers under way are dropped, and nobody is called any more."""
        for calls in self._calls:
            calls.stop()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(_PATIENCE_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_started(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the demo shop did not start at {self.url}")
            time.sleep(0.005)


def serve(settings: DemoShopSettings, port: int = 0, *, now: Callable[[], datetime] | None = None) -> RunningShop:
    """Run a demo shop in a thread.

    Args:
        settings: which shop.
        port: port on 127.0.0.1; 0 takes a free one.
        now: the shop's clock, timezone aware; None means the real one.

    Raises:
        OSError: the port is taken.
    """
    return RunningShop(DemoShop(settings) if now is None else DemoShop(settings, now), port)


def run_forever(settings: DemoShopSettings, port: int, *, calls: tuple[str, str] | None = None) -> None:
    """Run a demo shop in the foreground, telling its URL, until Ctrl-C.

    Args:
        settings: which shop.
        port: port on 127.0.0.1; 0 takes a free one.
        calls: URL that is called whenever an order changes, and the secret that signs the calls.

    Raises:
        OSError: the port is taken.
    """
    shop = DemoShop(settings)
    with contextlib.closing(_listen(port)) as listening, contextlib.suppress(KeyboardInterrupt):
        click.echo(f"The demo shop answers at {_url(listening)} (Ctrl-C ends it)")
        calling = Calls(shop, *calls) if calls else None
        _server(shop).run([listening])
        if calling is not None:
            calling.stop()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_HOST, port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    return f"http://{_HOST}:{listening.getsockname()[1]}"


def _server(shop: DemoShop) -> uvicorn.Server:
    """A server without logs. In a thread it leaves the process's signals alone by itself."""
    config = uvicorn.Config(
        create_app(shop),
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
