"""Callers that are slow, silent, endless or many: the shop's own calls are answered all the same."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from analytics_pipeline.cli import receiver as server
from analytics_pipeline.demo_shop.calling import signed
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline.webhooks import desk
from analytics_pipeline.webhooks.receiver import SECONDS_FOR_BODY
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.calling import SECRET, WEBHOOKS, call, receiving
from analytics_pipeline_tests.integration.test_webhooks import event

ENDLESS = "Transfer-Encoding: chunked\r\nwebhook-signature: v1,AAAA\r\n\r\n1\r\nx\r\n"
"""What follows the first line of a call whose body never ends."""


def connected(url: str, sent: str) -> socket.socket:
    """Return a connection on which something was sent."""
    host, port = url.split("/")[2].split(":")
    connection = socket.create_connection((host, int(port)), timeout=9)
    connection.sendall(sent.encode())
    return connection


def received(connection: socket.socket) -> bytes:
    """Return all that comes on a connection until the other end closes it."""
    parts = []
    while part := connection.recv(4096):
        parts.append(part)
    return b"".join(parts)


def path(url: str) -> str:
    return "/" + url.split("/", 3)[3]


@contextmanager
def taking(pipeline: Pipeline) -> Iterator[str]:
    """Take the calls of the shop, after a first one, which opens the tables; gives the address."""
    shop = load_shop(pipeline.description).model_copy(update={"webhooks": WEBHOOKS})
    with receiving([(shop, pipeline.database)]) as base:
        assert call(f"{base}/{shop.name}", event({}), call_id="msg_first").status_code == 200
        yield f"{base}/{shop.name}"


def test_slow_bodies_give_up_their_places_to_the_shops_own_calls(
    loaded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MOST_AT_ONCE", 2)
    with taking(loaded) as url:
        slow = [connected(url, f"POST {path(url)} HTTP/1.1\r\nHost: x\r\n{ENDLESS}") for _ in range(3)]
        time.sleep(0.1)
        began = time.monotonic()
        answers = [call(url, event({}), call_id=f"msg_{number}").status_code for number in range(5)]
        seconds = time.monotonic() - began
        ended = [received(one) for one in slow[:2]]
        for one in slow:
            one.close()
    assert answers == [200] * 5
    assert seconds < SECONDS_FOR_BODY / 2
    assert [one.splitlines()[0] for one in ended] == [b"HTTP/1.1 503 Service Unavailable"] * 2
    assert all(one.endswith(b"refused: busy\n") for one in ended)


def test_calls_that_a_database_has_hanging_are_no_more_than_a_few_at_once_however_many_come(
    loaded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "SECONDS_TO_STORE", 0.4)
    monkeypatch.setattr(desk, "MOST_WRITERS", 2)
    answers = list[int]()
    with taking(loaded) as url:

        def call_twice(number: int) -> None:
            for part in range(2):
                answers.append(call(url, event({}), call_id=f"msg_{number}_{part}").status_code)

        with loaded.database.connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute("lock table ops.webhook_calls")
            threads = [threading.Thread(target=call_twice, args=(number,)) for number in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            hanging = query(loaded.database, "select count(*)::int as n from pg_locks where not granted")[0]["n"]
        assert answers == [503] * 12
        assert 0 < hanging <= 2
        assert call(url, event({}), call_id="msg_last").status_code == 200


def test_what_is_for_nobody_is_answered_and_its_body_not_waited_for(loaded: Pipeline) -> None:
    with taking(loaded) as url:
        name = url.rsplit("/", 1)[1]
        for status, first in [
            (404, "POST /webhooks/nobody"),
            (404, f"POST /webhooks/{name}/"),
            (404, f"POST /webhooks/x/../{name}"),
            (404, f"POST //webhooks/{name}"),
            (404, f"POST /webhooks/{name}%00"),
            (404, "POST /webhooks/"),
            (405, f"PUT /webhooks/{name}"),
            (405, f"DELETE /webhooks/{name}"),
        ]:
            with connected(url, f"{first} HTTP/1.1\r\nHost: x\r\n{ENDLESS}") as connection:
                assert received(connection).startswith(f"HTTP/1.1 {status} ".encode()), first


def test_a_connection_on_which_no_request_comes_is_closed_also_after_a_first_one(
    loaded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SECONDS_FOR_REQUEST", 0.3)
    body = event({})
    headers = {"Host": "x", "Content-Length": len(body), **signed("msg_1", body, SECRET, int(time.time()))}
    with taking(loaded) as url:
        begun = f"POST {path(url)} HTTP/1.1\r\n"
        whole = begun + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n" + body.decode()
        for sent, answers in (("", 0), (begun, 0), (whole, 1), (whole + begun, 1), (whole + whole + begun, 2)):
            with connected(url, sent) as connection:
                assert received(connection).count(b"HTTP/1.1 200 OK") == answers
