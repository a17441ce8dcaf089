"""Signed requests: OAuth 1.0a with a consumer's key and secret alone (RFC 5849), as query parameters.

Pure but for the clock and the random text of each signature.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

HIDDEN_PARAMS = ("oauth_consumer_key", "oauth_signature", "oauth_nonce")

_PREFIX = "oauth_"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Signer:
    """Signs requests with a consumer's key and secret; shows neither."""

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """Takes the credentials, what tells seconds since 1970, and what makes a text that is used once."""
        self._key, self._secret = key, secret
        self._clock, self._nonce = clock, nonce

    def signed(
        self, method: str, url: str, params: Mapping[str, str | tuple[str, ...]]
    ) -> tuple[str, dict[str, str | tuple[str, ...]]]:
        """URL and parameters with a signature; that of an earlier request, which a link may repeat, is dropped."""
        parts = urlsplit(url)
        linked = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not pair[0].startswith(_PREFIX)]
        texts = {name: (value,) if isinstance(value, str) else value for name, value in params.items()}
        given = [(name, one) for name, values in texts.items() for one in values]
        own = {
            "oauth_consumer_key": self._key,
            "oauth_nonce": self._nonce(),
            "oauth_signature_method": "HMAC-SHA256",
            "oauth_timestamp": str(int(self._clock())),
            "oauth_version": "1.0",
        }
        bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        own["oauth_signature"] = self._signature(method, bare, [*linked, *given, *own.items()])
        everything: dict[str, str | tuple[str, ...]] = {}
        for name, value in [*linked, *given]:
            before = everything.get(name, ())
            everything[name] = (*((before,) if isinstance(before, str) else before), value)
        return bare, {**everything, **own}

    def _signature(self, method: str, url: str, pairs: list[tuple[str, str]]) -> str:
        encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
        query = "&".join(f"{name}={value}" for name, value in encoded)
        text = "&".join(map(_encoded, (method, _base(url), query)))
        digest = hmac.new(f"{_encoded(self._secret)}&".encode(), text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


def _base(url: str) -> str:
    """The URL as it is signed: scheme and host in small letters, without the scheme's own port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}"


def _encoded(text: str) -> str:
    return quote(text, safe="~")
