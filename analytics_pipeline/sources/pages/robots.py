"""What a shop's robots.txt says to this program: which paths, how slowly, and where the sitemaps are. Pure."""

import codecs
import re
from functools import cached_property

from protego import Protego

MOST_BYTES = 500 * 1024
"""Of a longer file the rest is not read, as RFC 9309 allows."""
_VERSION = re.compile(r"^([ \t]*user-agent[ \t]*:[ \t]*[a-z_-]+)/[^\s#]*", re.IGNORECASE | re.MULTILINE)
"""A name with a version, as programs name themselves, and whoever copies that; rules are for the name."""


class Robots:
    """The rules of a robots.txt for one name, as Protego reads them: the longest rule that matches a path decides.

    Attributes:
        is_there: Whether there is anything in it.
    """

    def __init__(self, text: str, token: str) -> None:
        """Takes the file's text and the name; an empty text allows everything."""
        self.is_there = bool(text.strip())
        self._rules, self._token = Protego.parse(_VERSION.sub(r"\1", text)), token

    @classmethod
    def of(cls, body: bytes, token: str) -> "Robots":
        """The rules of a file as it came; it should be UTF-8."""
        encoding = "utf-16" if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        return cls(body[:MOST_BYTES].decode(encoding, "replace"), token)

    def allows(self, url: str) -> bool:
        """Whether a URL may be asked for; of robots.txt itself there is no question."""
        return self._rules.can_fetch(url, self._token)

    @cached_property
    def delay(self) -> float:
        """Least seconds between two requests."""
        rate = self._rules.request_rate(self._token)
        return max(self._rules.crawl_delay(self._token) or 0.0, rate.seconds / rate.requests if rate else 0.0)

    @cached_property
    def sitemaps(self) -> tuple[str, ...]:
        """Where the sitemaps are, each named once."""
        return tuple(dict.fromkeys(self._rules.sitemaps))


def matcher(patterns: tuple[str, ...]) -> Robots:
    """Rules that allow what one of some patterns matches, and nothing else."""
    allowed = "".join(f"Allow: {pattern}\n" for pattern in patterns)
    return Robots(f"User-agent: *\n{allowed}Disallow: /\n", "any")
