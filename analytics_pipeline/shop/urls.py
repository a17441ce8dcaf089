"""URLs of a shop: comparing origins, resolving links that stay at home, and hiding secrets in what people read.

Pure functions; requests are made in client.py.
"""

import base64
import html
import logging
import re
from collections.abc import Iterable
from urllib.parse import quote_plus, urljoin, urlsplit, urlunsplit

from analytics_pipeline.plain import plain

_DEFAULT_PORTS = {"http": 80, "https": 443}
HIDDEN = "***"
SHOWN_CHARACTERS = 400
_LONGEST_PATTERN = 48
_OF_TOKENS = r"[\w.~+/=%\\-]+"


def base_url_fault(url: str) -> str | None:
    """What is wrong with a base URL, in words that do not repeat it; None when it can be used."""
    try:
        parts = urlsplit(url)
        port_is_legal = parts.port is None or parts.port > 0
    except ValueError:
        return "is no URL"
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not port_is_legal:
        return "must be an http:// or https:// address with a host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or password; describe them under auth"
    if parts.query or parts.fragment:
        return "must end before any ? or #; fixed parameters go under params"
    return None


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an absolute URL, with the scheme's default port filled in.

    Raises:
        ValueError: The URL is none, or is not http(s).
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("not an http(s) URL with a host")
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]


def origin_text(url: str) -> str:
    """The origin for people: `https://shop.example:8443`, with nothing that follows it."""
    try:
        scheme, host, port = origin(url)
    except ValueError:
        return "an address that is no http(s) URL"
    return f"{scheme}://{host}" if port == _DEFAULT_PORTS[scheme] else f"{scheme}://{host}:{port}"


def resolve_link(link: str, *, against: str) -> str:
    """Resolves a link of an answer against the URL that was asked; user, password and fragment are dropped.

    Raises:
        ValueError: The link leads to another origin, or is no URL.
    """
    try:
        target = urljoin(against, link)
        same = origin(target) == origin(against)
    except ValueError:
        raise ValueError("is no http(s) URL") from None
    if not same:
        raise ValueError(f"leads from {origin_text(against)} to {origin_text(target)}")
    parts = urlsplit(target)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


class Redactor:
    """Hides known secrets, in every spelling that a URL, a header or JSON may give them, and the userinfo of URLs."""

    def __init__(self, secrets: Iterable[str] = (), parameters: Iterable[str] = ()) -> None:
        """Takes the secret values and the names of the query parameters that carry one."""
        self._patterns: dict[str, None] = {}
        self._secrets: re.Pattern[str] | None = None
        self.learn(secrets)
        names = "|".join(re.escape(quote_plus(name)) for name in parameters)
        self._parameters = re.compile(rf"([?&](?:{names})=)[^&#\s'\"]*", re.IGNORECASE) if names else None

    def learn(self, secrets: Iterable[str]) -> None:
        """Takes further secret values; those of before stay hidden."""
        for secret in filter(None, secrets):
            for text in (secret, base64.b64encode(secret.encode()).decode()):
                self._patterns[_pattern(text)] = None
        self._secrets = re.compile("|".join(self._patterns)) if self._patterns else None

    def __call__(self, text: str) -> str:
        """The text with `***` for every secret."""
        text = re.sub(r"(://)[^/@\s]*@", rf"\1{HIDDEN}@", text)
        if self._parameters is not None:
            text = self._parameters.sub(rf"\g<1>{HIDDEN}", text)
        return self._secrets.sub(HIDDEN, text) if self._secrets is not None else text

    def shown(self, text: str) -> str:
        """The same on one line, cut to a length that fits a message."""
        line = plain(" ".join(self(text).split()))
        return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "..."


class RedactedLog(logging.Filter):
    """Hides secrets in the lines of a logger that is not ours."""

    def __init__(self, redact: Redactor) -> None:
        """Takes what knows the secrets."""
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record; lets every one through."""
        record.msg, record.args = self._redact(record.getMessage()), ()
        return True


def _pattern(text: str) -> str:
    """A pattern for a secret; of a long token its beginning and such characters as follow, which compiles in time."""
    begin, rest = text[:_LONGEST_PATTERN], text[_LONGEST_PATTERN:]
    if rest and re.fullmatch(_OF_TOKENS, rest):
        return f"{''.join(map(_spellings, begin))}(?:{_OF_TOKENS})?"
    return "".join(map(_spellings, text))


def _spellings(character: str) -> str:
    """A pattern for an ASCII character as it stands in a URL, JSON, Python or HTML, escaped once or more."""
    code = "".join(f"[{digit}{digit.upper()}]" for digit in f"{ord(character):02x}")
    written = {
        r"[ +]" if character == " " else re.escape(character),
        re.escape(html.escape(character)),
        f"%(?:25)*{code}",
        f"(?:u00|x){code}",
        f"&#(?:0*{ord(character)}|x0*{code});",
    }
    return rf"(?:\\|%(?:25)*5[cC])*(?:{'|'.join(sorted(written, key=len, reverse=True))})"
