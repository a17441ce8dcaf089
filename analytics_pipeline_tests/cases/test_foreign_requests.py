"""C46: who gets an answer from the UI, which has no login."""

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

import pytest
from starlette.types import Message, Receive, Scope, Send

from analytics_pipeline.cli.guard import Guard, host_of

ALLOWED = "ui.example.com"
MUTATION = "mutation { wipeAssets(assetPartitionRanges: []) { __typename } }"
NGINX = [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", ALLOWED)]
Headers = Sequence[tuple[str, str]]


async def _passed_on(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "passed on"})


def outcome(
    headers: Headers, *, method: str = "POST", query: str = "", path: str = "/graphql", kind: str = "http"
) -> str:
    """What becomes of a request: `passed on`, or the refusal."""
    scope: Scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), text.encode("latin-1")) for name, text in headers],
    }
    if kind == "websocket":
        del scope["method"]
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {}

    asyncio.run(Guard(_passed_on, [ALLOWED])(scope, receive, send))
    if sent[0]["type"] == "http.response.start":
        assert sent[0]["status"] == 403
        return str(sent[1]["body"].decode())
    return f"{sent[0]['type']} {sent[0].get('code', '')}".strip()


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "127.0.0.1:3000")],
        [("host", "127.9.8.7")],
        [("host", "LOCALHOST.:3000")],
        [("host", "[::1]:3000"), ("origin", "http://[::1]:3000")],
        [("host", "127.0.0.1:3000"), ("origin", "http://localhost:5173")],
        [("host", "UI.example.com:443"), ("origin", "https://ui.example.com")],
        [("host", "127.0.0.1:3000"), ("origin", "https://ui.example.com"), *NGINX],
        [("host", ALLOWED), ("origin", "https://ui.example.com"), *NGINX],
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_c46_loopback_and_allowed_hosts_are_answered(headers: Headers, kind: str) -> None:
    assert outcome(headers, kind=kind) == "passed on"
    assert outcome(headers, kind="http", method="GET", query=f"query={quote('{version}')}") == "passed on"


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "evil.example:3000")],
        [("host", "127.0.0.1.evil.example")],
        [("host", "localhost.evil.example")],
        [("host", "evil.example"), *NGINX],
        [("host", "127.0.0.1:3000"), ("host", "evil.example")],
        [("host", "user@127.0.0.1")],
        [("host", "127.0.0.1:3000/evil")],
        [("host", "0.0.0.0:3000")],
        [("host", "2130706433")],
        [("host", "")],
        [],
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_c46_a_foreign_host_is_refused_whatever_it_asks_for(headers: Headers, method: str) -> None:
    assert "Host is neither loopback nor allowed" in outcome(headers, method=method, path="/")
    assert outcome(headers, kind="websocket") == "websocket.close 1008"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1.evil.example",
        "null",
        "",
        "file://",
        "https://",
        "http://ui.example.com@evil.example",
        "chrome-extension://ui.example.com",
        "ui.example.com",
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1:3000", ALLOWED])
def test_c46_a_foreign_origin_is_refused(origin: str, host: str) -> None:
    headers = [("host", host), ("origin", origin), ("content-type", "text/plain"), *NGINX]

    assert "Origin is neither loopback nor allowed" in outcome(headers)
    assert outcome(headers, kind="websocket") == "websocket.close 1008"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "query",
    [
        f"query={quote(MUTATION)}",
        f"query={quote('{version} ' + MUTATION)}&operationName=x",
        f"query=%7Bversion%7D&query={quote(MUTATION)}",
        f"query={quote('#' + chr(10) + MUTATION)}",
        f"q%75ery={quote('mutation@skip(if:false){x}')}",
        "query=subscription+x%7By%7D",
    ],
)
def test_c46_a_mutation_in_an_address_is_refused(method: str, query: str) -> None:
    refused = outcome([("host", "127.0.0.1:3000"), ("content-type", "text/plain")], method=method, query=query)

    assert "an address may only read: send a mutation as JSON by POST" in refused


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("ui.example.com", ALLOWED),
        ("Ui.Example.com.:8443", ALLOWED),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[::1]:3000", "::1"),
        ("a b", None),
        ("https://ui.example.com", None),
        ("ui.example.com:port", None),
        ("", None),
    ],
)
def test_names_of_hosts_are_compared_as_browsers_send_them(authority: str, host: str | None) -> None:
    assert host_of(authority) == host
