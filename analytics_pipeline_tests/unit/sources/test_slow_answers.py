"""C47: answers that drip end at a total deadline, headers and bodies, plain and encrypted."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analytics_pipeline.errors import ShopUnavailableError
from analytics_pipeline_tests.fake_shop import FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of
from analytics_pipeline_tests.unit.sources.test_client import get

STATUS = b"HTTP/1.1 200 OK\r\n"
DRIPPING = {
    "status line": (b"HTTP/1.1 200 O", b"K"),
    "headers": (STATUS + b"X-Header: ", b"x"),
    "body": (STATUS + b"Content-Length: 60000000\r\n\r\n", b" "),
    "body without a length": (STATUS + b"Connection: close\r\n\r\n[", b" "),
    "chunks": (STATUS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "refusal": (b"HTTP/1.1 500 Oh\r\nContent-Length: 60000000\r\n", b" "),
}
Drip = Callable[[tuple[bytes, bytes]], int]


@pytest.fixture
def drip() -> Iterator[Drip]:
    """Start a server that answers `first` and then drips the other bytes without end; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        is_over = threading.Event()
        threads: list[threading.Thread] = []

        def start(answer: tuple[bytes, bytes], context: ssl.SSLContext | None = None) -> int:
            def serve() -> None:
                while not is_over.is_set():
                    try:
                        connection, _ = listening.accept()
                        opened = connection if context is None else context.wrap_socket(connection, server_side=True)
                    except OSError:
                        return
                    with opened:
                        try:
                            opened.recv(65536)
                            opened.sendall(answer[0])
                            while not is_over.wait(0.02):
                                opened.sendall(answer[1])
                        except OSError:
                            continue

            threads.append(threading.Thread(target=serve, daemon=True))
            threads[-1].start()
            return int(listening.getsockname()[1])

        yield start
        is_over.set()
        listening.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)


@pytest.mark.parametrize("answer", DRIPPING.values(), ids=DRIPPING)
def test_c47_an_answer_that_drips_ends_at_the_deadline_and_is_asked_for_again(
    drip: Drip, bench: Bench, answer: tuple[bytes, bytes]
) -> None:
    url = f"http://127.0.0.1:{drip(answer)}"
    client = bench.client(shop_of(url, limits={"answer_timeout": 0.2, "read_timeout": 30, "retries": 1}))
    started = time.monotonic()
    with pytest.raises(ShopUnavailableError, match=r"in 2 attempts; the last: no whole answer within 0.2 s \(limits"):
        get(client)

    assert time.monotonic() - started < 20
    assert client.statistics.requests == 2


def test_c47_an_encrypted_answer_that_drips_ends_at_the_deadline_too(
    drip: Callable[..., int], bench: Bench, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    url = f"https://127.0.0.1:{drip(DRIPPING['body'], context)}"
    shop = shop_of(url, limits={"answer_timeout": 0.5, "retries": 0})
    client = bench.client(shop, {"REQUESTS_CA_BUNDLE": str(certificate)})

    with pytest.raises(ShopUnavailableError, match=r"no whole answer within 0.5 s \(limits.answer_timeout\)"):
        get(client)


def test_a_connection_that_a_deadline_has_not_ended_is_used_again(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": []}))
    client = bench.client(shop_of(fake.url, limits={"answer_timeout": 0.1}))
    assert get(client) == {"orders": []}
    time.sleep(0.3)

    assert get(client) == {"orders": []}
    assert client.statistics.retries == 0
