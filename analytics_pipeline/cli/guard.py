"""Who may talk to the UI that has no login: an ASGI application in front of the web server's own.

A page of another site can make the reader's browser ask an address of loopback, under a name of its own even (DNS
rebinding). Such requests name a foreign Host or Origin, or are plain links; none of them gets through.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

LOCAL_NAME = "localhost"
GRAPHQL = "/graphql"
POLICY_VIOLATION = 1008
WRITES = re.compile(r"\b(mutation|subscription)\b", re.ASCII)
"""No operation that writes can be spelled without the word."""


class Guard:
    """Passes on what comes from loopback or from an allowed host, and no mutation in an address.

    Args:
        app: The web server's application.
        allowed_hosts: Names beside those of loopback by which the UI is reached, such as that of a proxy.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        fault = self._fault(scope) if scope["type"] in {"http", "websocket"} else None
        if fault is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(POLICY_VIOLATION, "refused")(scope, receive, send)
        else:
            await PlainTextResponse(f"Refused: {fault}\n", status_code=403)(scope, receive, send)

    def _fault(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if not hosts or not all(self._is_allowed(host_of(host)) for host in hosts):
            return _how_to_allow("Host")
        if not all(self._is_allowed(_host_of_origin(origin)) for origin in headers.getlist("origin")):
            return _how_to_allow("Origin")
        # The web server reads the address of a POST too, where the body's type is none that it knows.
        if scope["path"].rstrip("/").endswith(GRAPHQL) and WRITES.search(_query(scope)):
            return "an address may only read: send a mutation as JSON by POST."
        return None

    def _is_allowed(self, host: str | None) -> bool:
        return host is not None and (is_loopback(host) or host in self._allowed)


def host_of(authority: str) -> str | None:
    """Return the name in `name`, `name:port`, `[::1]:port`, as names are compared; None where there is none."""
    try:
        parts = urlsplit(f"//{authority.strip()}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != authority.strip() or "@" in parts.netloc or " " in name:
        return None
    try:
        return name.rstrip(".").encode("idna").decode("ascii") if not name.isascii() else name.rstrip(".")
    except UnicodeError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether a name is this machine's own, whatever a name server says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == LOCAL_NAME


def _host_of_origin(origin: str) -> str | None:
    scheme, separator, authority = origin.partition("://")
    return host_of(authority) if separator and scheme in {"http", "https"} else None


def _query(scope: Scope) -> str:
    parameters = parse_qsl(scope["query_string"].decode("latin-1"))
    return " ".join(text for name, text in parameters if name == "query")


def _how_to_allow(header: str) -> str:
    return (
        f"the request's {header} is neither loopback nor allowed. Start `analytics-pipeline up` with "
        "--allowed-host NAME, or set ANALYTICS_UI_URL to the address that people open."
    )
