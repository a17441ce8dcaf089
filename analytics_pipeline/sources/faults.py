"""Attempts that failed: which may be made again, and what people are told of the others. Pure; client.py asks."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from analytics_pipeline.decoding.envelope import record_reader
from analytics_pipeline.decoding.mapping import compile_path
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.shop.protocol import Errors
from analytics_pipeline.sources.words import excerpt_of, quoted

THROTTLED, RETRY = "throttled", "retry"
TOO_MANY_REQUESTS = 429
_ADVICE = {
    400: "the shop does not accept the parameters; check params, pagination and windows of the description",
    401: "the shop does not accept the credentials; check {source}",
    403: "the credentials lack a right; check what the shop allows to {source}",
    404: "there is no such path; check base_url and path of the description",
}
_CONNECTION_OBJECT = re.compile(r"^\w+\(host='[^']*', port=\d+\): ")
"""How urllib3 names the connection that failed; the URL before it says as much."""
# Order matters: the first that fits names the cause.
_BROKEN = (
    (requests.ConnectTimeout, "no connection in time"),
    (requests.ReadTimeout, "no answer in time"),
    (requests.exceptions.ChunkedEncodingError, "the answer was cut"),
    (requests.exceptions.ContentDecodingError, "the answer's compression is broken"),
    (requests.exceptions.SSLError, "no secure connection"),
    (requests.ConnectionError, "no connection"),
)
_MARKUP = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?!\?xml)", re.IGNORECASE)
_XML = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<\?xml", re.IGNORECASE)

Redact = Callable[[str], str]


@dataclass(frozen=True)
class Failure:
    """An attempt that may succeed when it is made again.

    Attributes:
        cause: What happened, in words.
        retry_after: Seconds that the shop asks for.
        reason: Under which the wait is counted.
    """

    cause: str
    retry_after: float | None = None
    reason: str = RETRY


@dataclass(frozen=True)
class Told:
    """A failure that the shop told within an answer that looks like a good one.

    Attributes:
        is_passing: Whether the shop only asks for patience.
        is_unauthorized: Whether it takes the credentials no longer.
        words: What of the shop's words a message may quote, as a part of a sentence; perhaps empty.
        excerpt: All of them; no part of a message.
    """

    is_passing: bool
    is_unauthorized: bool
    words: str
    excerpt: str | None


class ToldErrors:
    """Finds the failures that a shop tells with HTTP 200, where the description says that it does."""

    def __init__(self, described: Errors | None, redact: Redact) -> None:
        """Takes the description, and what hides secrets."""
        self._described, self._redact = described, redact
        if described is not None:
            self._key = f'"{described.at.rpartition(".")[2]}"'.encode()
            self._read = record_reader([described.at])
            self._message = compile_path(described.message)
            self._throttled, self._unauthorized = (
                compile_path(when) if when else lambda _: False
                for when in (described.throttled_when, described.unauthorized_when)
            )

    def in_answer(self, body: bytes) -> Told | None:
        """What the answer tells; None where it is no failure."""
        if self._described is None or self._key not in body:
            return None
        try:
            (found,) = self._read(body)
        except (ValueError, ArithmeticError, RecursionError):
            return None
        if not found:
            return None
        entries = found if isinstance(found, list) else [found]
        texts = [text for entry in entries if isinstance(text := _searched(self._message, entry), str)]
        excerpt = self._redact("; ".join(texts)) if texts else excerpt_of(body, self._redact)
        is_passing = all(_searched(self._throttled, entry) is True for entry in entries)
        is_unauthorized = any(_searched(self._unauthorized, entry) is True for entry in entries)
        return Told(is_passing, is_unauthorized, quoted(texts, self._redact), excerpt)


def _searched(search: Callable[[object], object], entry: object) -> Any:  # noqa: ANN401 - what JSON may say
    try:
        return search(entry)
    except ValueError:
        return None


def advice(status: int, source: str) -> str:
    """What to do about a refusal with a status, where the credentials come from `source`."""
    return _ADVICE.get(status, "asking again cannot help; check the description").format(source=source)


def markup(body: bytes) -> str | None:
    """Whether a body is `HTML` or `XML`; None where it is neither."""
    return "XML" if _XML.match(body) else "HTML" if _MARKUP.match(body) else None


def no_json(status: int, body: bytes, fault: str) -> Failure:
    """The failure of a body that should be JSON."""
    kind = markup(body)
    if kind is None:
        return Failure(f"HTTP {status} with a body that is no JSON: {fault}")
    return Failure(
        f"HTTP {status} with a body that is no JSON but {kind}: a page for people (maintenance, a log-in), or base_url "
        f"or path lead beside the API"
    )


def connection_failure(error: Exception, asked: str, redact: Redact) -> Failure:
    """The failure of a request without an answer.

    Raises:
        SettingsError: The certificate or the address cannot be used.
    """
    inner = error.args[0] if error.args else error
    message = redact(_CONNECTION_OBJECT.sub("", str(getattr(inner, "reason", inner))))
    if "CERTIFICATE_VERIFY_FAILED" in message:
        raise SettingsError(
            f"{asked}: the shop's certificate is not trusted ({message}); "
            f"for a private certificate authority set REQUESTS_CA_BUNDLE to its file"
        )
    for kind, phrase in _BROKEN:
        if isinstance(error, kind):
            return Failure(f"{phrase} ({message})")
    raise SettingsError(f"{asked}: this URL cannot be asked ({type(error).__name__}); check base_url")
