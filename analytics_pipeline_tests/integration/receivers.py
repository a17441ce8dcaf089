"""A receiver of alerts: an HTTP server on loopback that keeps what it is sent, and can be told to refuse it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "t0ken-of-the-receiver"
PASSWORD = "pa55word-of-the-receiver"


@dataclass
class Receiver:
    """A running receiver.

    Attributes:
        port: Where it listens.
        status: What it answers.
        messages: What it has taken, as sent.
        requests: How often it was asked, refusals included.
        meanwhile: Called while the sender waits for the answer.
    """

    port: int = 0
    status: int = 200
    messages: list[dict[str, str]] = field(default_factory=list)
    requests: int = 0
    meanwhile: Callable[[], object] = lambda: None

    @property
    def url(self) -> str:
        """Its URL for Apprise, with secrets in it."""
        return f"json://someone:{PASSWORD}@127.0.0.1:{self.port}/{TOKEN}?-key={TOKEN}"

    @property
    def titles(self) -> list[str]:
        """Titles of what it has taken, in order."""
        return [message["title"] for message in self.messages]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver until the block ends."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests += 1
            receiver.meanwhile()
            if receiver.status == 200:
                receiver.messages.append(json.loads(body))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:  # nothing onto the terminal
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
