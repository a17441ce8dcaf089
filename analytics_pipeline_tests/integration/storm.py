"""Many calls at once, some repeated, some forged, to a receiver that is killed meanwhile, as platforms make them."""

import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, Queue

import requests

from analytics_pipeline.demo_shop import DemoShop
from analytics_pipeline.demo_shop.calling import event_of, signed
from analytics_pipeline.demo_shop.records import to_json

SECONDS_BETWEEN_ATTEMPTS = 0.2
SECONDS_TO_ANSWER = 10
Event = tuple[str, bytes]
"""Id and body of a call."""


def events_since(shop: DemoShop, moment: datetime) -> list[Event]:
    """The calls that report what has changed since a moment: new, edited, refunded, cancelled and deleted orders."""
    gone = [order_id for order_id, deleted_at in shop.deleted_orders().items() if deleted_at > moment]
    deletions = [(f"{one}-gone", to_json({"type": "order.deleted", "data": {"id": one}})) for one in gone]
    return [*(event_of(order) for order in shop.orders_updated_since(moment)), *deletions]


@dataclass
class Storm:
    """Calls to be made: each until it is answered 200, forged ones once.

    Attributes:
        url: Is called.
        secret: Signs those that are not forged.
        genuine: Calls that are signed, repeated ones several times.
        forged: Calls that are signed with another secret.
        answers: Number of answers by status; 0 stands for none.
    """

    url: str
    secret: str
    genuine: Sequence[Event]
    forged: Sequence[Event]
    answers: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    _queue: "Queue[tuple[str, bytes, bool]]" = field(default_factory=Queue)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rage(self, chance: random.Random, threads: int = 8) -> None:
        """Make all calls, in any order, and come back when each has its answer."""
        calls = [*((*event, True) for event in self.genuine), *((*event, False) for event in self.forged)]
        chance.shuffle(calls)
        for one in calls:
            self._queue.put(one)
        senders = [threading.Thread(target=self._send_all) for _ in range(threads)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()

    @property
    def done(self) -> int:
        """How many calls have been answered."""
        return sum(number for status, number in self.answers.items() if status)

    def _send_all(self) -> None:
        with requests.Session() as session:
            while True:
                try:
                    call_id, body, is_genuine = self._queue.get_nowait()
                except Empty:
                    return
                status = 0
                while not (status == 200 or (status and not is_genuine)):
                    status = self._send(session, call_id, body, is_genuine=is_genuine)
                    if not status or status >= 500:
                        time.sleep(SECONDS_BETWEEN_ATTEMPTS)

    def _send(self, session: requests.Session, call_id: str, body: bytes, *, is_genuine: bool) -> int:
        headers = signed(call_id, body, self.secret if is_genuine else "a forged secret", int(time.time()))
        status, began = 0, time.monotonic()
        with suppress(requests.RequestException):
            status = session.post(self.url, body, headers=headers, timeout=SECONDS_TO_ANSWER).status_code
        with self._lock:
            self.answers[status] += 1
            self.seconds.append(time.monotonic() - began)
        return status


@dataclass
class KilledReceiver:
    """The receiver as a process of its own, which can be killed and started again on the same port."""

    environment: Mapping[str, str]
    port: int
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, and wait until it takes calls."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "analytics_pipeline.cli.receiver", str(self.port)], env=dict(self.environment)
        )
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it as nobody can prevent."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end."""
        self._end(signal.SIGINT)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(30)


@contextmanager
def killed_receiver(environment: Mapping[str, str]) -> Iterator[KilledReceiver]:
    """Run a receiver on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    receiver = KilledReceiver(environment, port)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
