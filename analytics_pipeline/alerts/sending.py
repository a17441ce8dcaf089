"""Sends messages through Apprise to the receivers of `ANALYTICS_ALERT_URLS`.

Such a URL holds tokens, often in the place of the host: it goes to Apprise and nowhere else. Whatever Apprise and the
HTTP library log while they have it is read here for the reason of a failure and goes no further.
"""

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analytics_pipeline.alerts.messages import Message
from analytics_pipeline.settings import ALERT_URLS

if TYPE_CHECKING:
    import apprise

HOST_IS_NO_SECRET = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"})
"""Services whose URL names a server; that of many others begins with a token."""
_NEXT_URL = re.compile(r"\s+|,\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
"""A comma within a URL, such as one between two addresses, separates nothing."""
_TALKATIVE = ("apprise", "urllib3.connectionpool", "requests_oauthlib", "oauthlib")
_SILENCE = threading.Lock()


@dataclass(frozen=True)
class Receiver:
    """Who is notified.

    Attributes:
        number: Its place in the setting, from 1.
        url: As Apprise reads it; never shown.
    """

    number: int
    url: str = field(repr=False)

    @property
    def label(self) -> str:
        """The receiver without secrets: place and service, and the server where it has one."""
        schema, separator, _ = self.url.partition("://")
        if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,30}", schema):
            return f"URL {self.number}"
        host = _host(self.url) if schema.lower() in HOST_IS_NO_SECRET else ""
        return f"URL {self.number} ({schema.lower()}{f'://{host}' if host else ''})"


def receivers_of(urls: str) -> tuple[Receiver, ...]:
    """Return the receivers that a setting names; blanks and commas separate them."""
    named = filter(None, _NEXT_URL.split(urls.strip().strip(",")))
    return tuple(Receiver(number, url.strip(",")) for number, url in enumerate(named, start=1))


def fault_of(receiver: Receiver) -> str | None:
    """Return what is wrong with a receiver's URL, None when Apprise can read it; nothing is sent."""
    with _silence():
        return None if _service(receiver) is not None else _malformed(receiver)


def send(receiver: Receiver, message: Message) -> str | None:
    """Send a message.

    Returns:
        Why it did not arrive, naming place, service and server at most; None when it did.
    """
    with _silence() as heard:
        service = _service(receiver)
        if service is None:
            return _malformed(receiver)
        import apprise  # noqa: PLC0415 - loads a hundred services; most processes send nothing

        kind = apprise.NotifyType.SUCCESS if message.is_over else apprise.NotifyType.FAILURE
        try:
            arrived = service.notify(
                title=message.title, body=message.text, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
            )
        except Exception as error:  # noqa: BLE001 - a service's own fault, whose words may hold the URL
            return f"{receiver.label} could not be reached: {type(error).__name__}"
    return None if arrived else f"{receiver.label} could not be reached: {_reason(heard)}"


def _service(receiver: Receiver) -> "apprise.Apprise | None":
    import apprise  # noqa: PLC0415 - as above

    service = apprise.Apprise()
    try:
        return service if service.add(receiver.url) else None
    except Exception:  # noqa: BLE001 - as above
        return None


def _malformed(receiver: Receiver) -> str:
    return f"{receiver.label} of {ALERT_URLS} is none that Apprise can read; see https://github.com/caronc/apprise/wiki"


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    host = parts.hostname or ""
    # With an @ after the host, what looks like one is the beginning of a login.
    is_plain = re.fullmatch(r"[a-z0-9.-]+", host) and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    return f"{host}{port}" if is_plain else ""


def _reason(heard: list[str]) -> str:
    """Return what is known of a failure, in words that hold nothing of what was logged but a number."""
    message = " ".join(heard)
    code = re.search(r"\berror=(\d{3})\b", message)
    if code:
        return f"it answered {code[1]}"
    return "no connection" if re.search(r"connection error|socket", message, re.IGNORECASE) else "it was not taken"


class _Ear(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def _silence() -> Iterator[list[str]]:
    """Keep what the libraries log from everybody else; gives what Apprise warns of."""
    heard: list[str] = []
    ear = _Ear(heard)
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    with _SILENCE, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loading the services warns of what Python will drop
        before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
        for logger in loggers:
            logger.handlers, logger.propagate = [ear], False
            logger.setLevel(logging.WARNING)
        try:
            yield heard
        finally:
            for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
                logger.handlers, logger.propagate = handlers, propagate
                logger.setLevel(level)
