"""A total deadline for an answer, over all that the connection still says after it.

The time-out of a read begins anew with each byte: a shop that drips one byte a second would be read for ever, headers
included, which the HTTP library reads by itself. So a timer closes the connection under the reader.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool


class Deadline:
    """The deadline of one request at a time.

    Attributes:
        has_passed: Whether the last request was ended by it.
    """

    def __init__(self, seconds: float) -> None:
        self.has_passed = False
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the time run for the request that is made meanwhile."""
        self.has_passed = False
        timer = threading.Timer(self._seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._socket = None

    def watch(self, connected: socket.socket | None) -> None:
        """Take a socket for the one that the running request is answered on."""
        with self._lock:
            self._socket = connected
            if self.has_passed:
                self._shut()

    def _end(self) -> None:
        with self._lock:
            self.has_passed = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            # Not the method of the object: that of an encrypted one would pull it away under the reader.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """Transport whose connections are known to a deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__()

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> HTTPConnectionPool:  # noqa: ANN401
        """Return the pool of connections for a request; those that it makes are watched."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not issubclass(pool.ConnectionCls, _Watched):
            kind = pool.ConnectionCls
            pool.ConnectionCls = type(f"Watched{kind.__name__}", (_Watched, kind), {"deadline": self._deadline})
        return pool  # type: ignore[no-any-return]


class _Watched(HTTPConnection):
    deadline: Deadline

    def getresponse(self) -> Any:  # noqa: ANN401 - two libraries' names for one class
        # From here on the answer is read. Later the connection may know its socket no more, which it then leaves to
        # the answer.
        self.deadline.watch(self.sock)
        return super().getresponse()
