"""Orders that are placed and edited by hand, and the calls that report them."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from starlette.datastructures import Headers

from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop
from analytics_pipeline.webhooks.signatures import check_of
from analytics_pipeline_tests.unit.demo_shop.conftest import NOW, OPENED, Clock, read_all

SECRET = "what the calls are signed with"
SMALL = DemoShopSettings(opened=OPENED, orders_per_day=(4, 6))


def post(url: str) -> requests.Response:
    return requests.post(url, timeout=10)


def test_an_order_that_is_placed_now_is_in_the_list_and_in_the_truth(start: Callable[..., RunningShop]) -> None:
    running = start(SMALL, now=Clock())
    today = NOW.date()
    before = running.shop.truth(today).revenue["EUR"].orders

    answer = post(f"{running.url}/orders")
    second = post(f"{running.url}/orders").json()

    assert answer.status_code == 201
    assert answer.json() in read_all(f"{running.url}/orders", updated_since="2025-11-10T12:00:00Z")
    assert second["id"] != answer.json()["id"]
    assert running.shop.truth(today).revenue["EUR"].orders == before + 2


def test_an_order_is_edited_once_its_time_has_come_and_one_that_changes_by_itself_is_not(
    start: Callable[..., RunningShop],
) -> None:
    clock = Clock()
    running = start(SMALL, now=clock)
    placed = post(f"{running.url}/orders").json()

    edited = post(f"{running.url}/orders/{placed['id']}").json()

    assert (edited["updated_at"], edited["total"]) == ("2025-11-10T12:00:01Z", edited["total"])
    assert edited["total"] != placed["total"]
    assert running.shop.orders_updated_since(NOW)[-1].stamp == NOW  # not yet
    clock.now += timedelta(seconds=1)
    assert running.shop.orders_updated_since(clock.now)[-1].order_id == placed["id"]
    assert post(f"{running.url}/orders/D20251110-9999").status_code == 404
    refunded = next(order for order in running.shop.orders_between() if order.refunds)
    assert post(f"{running.url}/orders/{refunded.order_id}").status_code == 409


class _Listener(BaseHTTPRequestHandler):
    calls: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append((dict(self.headers.items()), body))
        self.send_response(500 if len(self.calls) == 1 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_change_is_reported_once_signed_and_again_until_it_is_answered(
    start: Callable[..., RunningShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Listener, "calls", [], raising=False)
    running = start(SMALL, now=Clock())
    with ThreadingHTTPServer(("127.0.0.1", 0), _Listener) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        running.call(f"http://127.0.0.1:{server.server_address[1]}/", SECRET)
        placed = post(f"{running.url}/orders").json()
        deadline = time.monotonic() + 20
        while len(_Listener.calls) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.7)  # another look
        running.stop()
        server.shutdown()
    (headers, body), (_, again) = _Listener.calls
    check_of("standard")(Headers(headers), body, [SECRET.encode()], time.time())
    said: dict[str, Any] = json.loads(body)
    assert (said["type"], said["data"]) == ("order.created", placed)
    assert body == again
