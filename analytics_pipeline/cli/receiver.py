"""The server of the shop's calls, on loopback: `python -m analytics_pipeline.cli.receiver PORT`.

`up --webhooks` starts it, on a port of its own that is not behind the UI's guard: calls come from the shop, by a proxy
that speaks TLS, and are known by their signatures. What is done with them is in `webhooks`.
"""

import asyncio
import sys
from typing import cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from analytics_pipeline.settings import Settings
from analytics_pipeline.webhooks.app import create_app
from analytics_pipeline.webhooks.desk import MOST_AT_ONCE
from analytics_pipeline.webhooks.receiver import LARGEST_HEADERS

LOOPBACK = "127.0.0.1"
CONNECTIONS_APART = 200
"""Beside those of calls that are under way."""
SECONDS_FOR_REQUEST = 5.0


class Impatient(H11Protocol):
    """Closes a connection on which no request has come in time: silent ones would keep all others out."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._wait()

    def on_response_complete(self) -> None:
        """Begin to wait for the next one."""
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        self._wait_no_more()
        self._waiting = self.loop.call_later(SECONDS_FOR_REQUEST, self._close_unless_asked)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def _close_unless_asked(self) -> None:
        if self.conn.their_state is h11.IDLE:
            self.transport.close()


def main() -> None:
    """Take calls until the process is asked to end."""
    shops = Settings.from_environment().shops
    uvicorn.run(
        create_app(),
        host=LOOPBACK,
        port=int(sys.argv[1]),
        http=Impatient,  # h11's, which bounds what it reads before a request is one
        ws="none",
        h11_max_incomplete_event_size=2 * LARGEST_HEADERS,
        limit_concurrency=CONNECTIONS_APART + MOST_AT_ONCE * len(shops),
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
