"""The demo shop's webhooks: a URL is called when an order changes, signed as Standard Webhooks has it."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import requests

from analytics_pipeline.demo_shop.fates import LONGEST_FATE
from analytics_pipeline.demo_shop.model import Order
from analytics_pipeline.demo_shop.records import order_record, to_json
from analytics_pipeline.demo_shop.shop import DemoShop

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_ANSWER = 5
_ATTEMPTS = 8
_FIRST_WAIT = 0.25
"""Seconds, half of it: each wait is twice as long as the one before."""
_PATIENCE_SECONDS = 10.0
_OVERLAP = timedelta(seconds=10)
"""An order shows a little after its stamp, which is in whole seconds."""


def signed(call_id: str, body: bytes, secret: str, stamp: int) -> dict[str, str]:
    """The headers of a call, its signature among them."""
    content = f"{call_id}.{stamp}.".encode() + body
    signature = base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": call_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": f"v1,{signature}",
    }


def event_of(order: Order) -> tuple[str, bytes]:
    """The id and the body of the call that reports an order's newest version."""
    kind = "order.created" if order.stamp == order.created_at else "order.updated"
    body: Mapping[str, Any] = {
        "type": kind,
        "timestamp": f"{order.stamp:%Y-%m-%dT%H:%M:%SZ}",
        "data": order_record(order),
    }
    return f"{order.order_id}-{int(order.stamp.timestamp())}", to_json(body)


class Calls:
    """Calls a URL from a thread of its own until `stop`; a call that is not answered 2xx comes again, eight times.

    Args:
        shop: Whose orders; only changes from now on are reported.
        url: Is called.
        secret: Signs.
    """

    def __init__(self, shop: DemoShop, url: str, secret: str) -> None:
        self._shop, self._url, self._secret = shop, url, secret
        self._since = shop.now()
        self._seen: dict[str, datetime] = {}
        self._waiting: dict[str, tuple[bytes, int, float]] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-shop-calls", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Call no more."""
        self._is_over.set()
        self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        with requests.Session() as session:
            while not self._is_over.wait(_SECONDS_BETWEEN_LOOKS):
                self._look()
                for call_id, (body, attempts, due) in list(self._waiting.items()):
                    if due <= time.monotonic() and not self._is_over.is_set():
                        self._send(session, call_id, body, attempts)

    def _look(self) -> None:
        """Have every version reported that has come since."""
        now = self._shop.now()
        for order in self._shop.orders_between(now - LONGEST_FATE - _OVERLAP, updated_since=self._since):
            call_id, body = event_of(order)
            if call_id not in self._seen:
                self._seen[call_id] = order.stamp
                self._waiting[call_id] = (body, 0, 0.0)
        self._since = max(self._since, now - _OVERLAP)
        self._seen = {call_id: stamp for call_id, stamp in self._seen.items() if stamp >= self._since}

    def _send(self, session: requests.Session, call_id: str, body: bytes, attempts: int) -> None:
        headers = signed(call_id, body, self._secret, int(time.time()))
        with suppress(requests.RequestException):
            if session.post(self._url, body, headers=headers, timeout=_SECONDS_TO_ANSWER).ok:
                del self._waiting[call_id]
                return
        attempts += 1
        self._waiting[call_id] = (body, attempts, time.monotonic() + _FIRST_WAIT * 2**attempts)
        if attempts >= _ATTEMPTS:
            del self._waiting[call_id]
