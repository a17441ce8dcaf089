"""The sitemaps of a shop: which product pages they list, and when each was last changed.

Reading the bytes of one sitemap is pure (`entries_of`); nothing of a hostile one is believed: no DOCTYPE, no entity, no
circle, and no more bytes, sitemaps or pages than the caps below.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lxml import etree

from analytics_pipeline.errors import AnswerError, PipelineError, ShopUnavailableError
from analytics_pipeline.shop.pages import Pages
from analytics_pipeline.sources.pages.client import PageClient
from analytics_pipeline.sources.pages.robots import matcher

USUAL_PLACE = "/sitemap.xml"
MOST_SITEMAPS, MOST_PAGES, MOST_LEVELS = 200, 100_000, 4
MOST_UNPACKED = 64_000_000
MOST_FAULTS = 10
_GZIP, _GZIP_BITS, _MOST_MEMBERS = b"\x1f\x8b", 31, 100
_CHUNK = 1 << 16
_LENGTH_OF_DAY = len("2026-01-31")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a sitemap lists.

    Attributes:
        link: Where it is, as it stands there.
        lastmod: When it was last changed, as it stands there; empty for nothing.
        is_sitemap: Whether it is another sitemap.
    """

    link: str
    lastmod: str
    is_sitemap: bool


@dataclass
class Listing:
    """What the sitemaps list.

    Attributes:
        pages: Product pages that may be asked for, with the moment of the last change where one is named.
        forbidden: Product pages that robots.txt forbids.
        others: Pages that are no product pages by the description.
        other: The first of these; empty where there is none.
        elsewhere: Pages of other hosts, or at no URL.
        sitemaps: Sitemaps read.
        faults: Why a sitemap, or a part of one, could not be read.
        is_whole: Whether all sitemaps were read to their ends.
    """

    pages: dict[str, datetime | None] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    others: int = 0
    other: str = ""
    elsewhere: int = 0
    sitemaps: int = 0
    faults: list[str] = field(default_factory=list)
    is_whole: bool = True

    def lacks(self, fault: str) -> None:
        """Note that something of the sitemaps could not be read."""
        self.is_whole = False
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def read_listing(client: PageClient, pages: Pages, zone: ZoneInfo, has_time: Callable[[], bool]) -> Listing:
    """Read all sitemaps that the description or robots.txt name, and those that they name.

    Args:
        client: The client, which goes by robots.txt already.
        pages: What the description says.
        zone: The shop's time zone, of stamps without one.
        has_time: Whether further requests may be made.

    Raises:
        ShopUnavailableError: The first sitemap did not come: nothing can be said of any.
    """
    listing, is_product = Listing(), matcher(pages.paths)
    waiting = deque((link, 1) for link in pages.sitemap or client.robots.sitemaps or (USUAL_PLACE,))
    known: set[str] = set()
    while waiting:
        link, level = waiting.popleft()
        url = _address(client, link, listing)
        if url is None or url in known:
            continue
        known.add(url)
        if len(known) > MOST_SITEMAPS or level > MOST_LEVELS or not has_time():
            listing.lacks(f"not all sitemaps were read, but {len(known) - 1}: there are too many for one run")
            break
        for entry in _read(client, url, listing):
            if entry.is_sitemap:
                waiting.append((entry.link, level + 1))
            elif not _take(client, entry, listing, is_product.allows, zone):
                listing.lacks(f"more than {MOST_PAGES:,} product pages: the others are left out")
                return listing
            if not has_time():
                listing.lacks(f"the time of a run was over within sitemap {client.redact.shown(url)}")
                return listing
    return listing


def _address(client: PageClient, link: str, listing: Listing) -> str | None:
    try:
        url = client.address(link)
    except ValueError as error:
        listing.lacks(f"sitemap {client.redact.shown(link)}: {error}; name those of {client.origin} in pages.sitemap")
        return None
    if not client.robots.allows(url):
        listing.lacks(f"sitemap {client.redact.shown(url)}: robots.txt forbids it")
        return None
    return url


def _take(
    client: PageClient, entry: Entry, listing: Listing, is_product: Callable[[str], bool], zone: ZoneInfo
) -> bool:
    """Take a page into the listing; False where it has no room."""
    try:
        url = client.address(entry.link)
    except ValueError:
        listing.elsewhere += 1
        return True
    if not is_product(url):
        listing.others += 1
        listing.other = listing.other or url
    elif not client.robots.allows(url):
        listing.forbidden.add(url)
    elif url not in listing.pages and len(listing.pages) >= MOST_PAGES:
        return False
    else:
        listing.pages[url] = moment_of(entry.lastmod, zone)
    return len(listing.forbidden) <= MOST_PAGES


def _read(client: PageClient, url: str, listing: Listing) -> Iterator[Entry]:
    """The entries of one sitemap; what is wrong with it is noted."""
    try:
        answer = client.get(url)
        if answer.body is None:
            raise AnswerError(f"HTTP {answer.status}")
        listing.sitemaps += 1
        yield from entries_of(answer.body)
    except ShopUnavailableError as error:
        if not listing.sitemaps:
            raise
        listing.lacks(str(error))
    except PipelineError as error:
        listing.lacks(f"sitemap {client.redact.shown(url)}: {error}")


def entries_of(body: bytes) -> Iterator[Entry]:
    """Yield what a sitemap lists: XML of sitemaps.org, or text with a URL a line, either also in gzip.

    Raises:
        AnswerError: It is neither, or broken, cut or too large; entries before the fault have been given.
    """
    text = _unpacked(body).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        yield from _lines(text)
        return
    entries = _Entries()
    parser = etree.XMLParser(target=entries, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        for start in range(0, len(text), _CHUNK):
            parser.feed(text[start : start + _CHUNK])
            yield from entries.taken()
        parser.close()
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise AnswerError(f"is no XML in line {line}, column {column}") from None
    yield from entries.taken()
    if not entries.is_sitemap:
        raise AnswerError("is XML, and no sitemap")


class _Entries:
    """Collects the entries while the XML goes by; the methods are those that the parser calls."""

    def __init__(self) -> None:
        self.is_sitemap = False
        self._above: list[str] = []
        self._found: list[Entry] = []
        self._texts = {"loc": "", "lastmod": ""}

    def start(self, tag: str, _attributes: object) -> None:
        name = tag.rpartition("}")[2]
        self.is_sitemap |= not self._above and name in {"urlset", "sitemapindex"}
        if name in {"url", "sitemap"}:
            self._texts = {"loc": "", "lastmod": ""}
        self._above.append(name)

    def data(self, text: str) -> None:
        if len(self._above) > 1 and self._above[-2] in {"url", "sitemap"} and self._above[-1] in self._texts:
            self._texts[self._above[-1]] += text

    def end(self, _tag: str) -> None:
        name = self._above.pop()
        if name in {"url", "sitemap"} and self._texts["loc"].strip():
            place, lastmod = (self._texts[key].strip() for key in ("loc", "lastmod"))
            self._found.append(Entry(place, lastmod, name == "sitemap"))

    def doctype(self, *_: object) -> None:
        raise AnswerError("declares a DOCTYPE, which no sitemap needs and a bomb would")

    def close(self) -> None:
        pass

    def taken(self) -> list[Entry]:
        """What was found since the last call."""
        found, self._found = self._found, []
        return found


def _lines(text: bytes) -> Iterator[Entry]:
    lines = text.decode("utf-8", "replace").splitlines()
    if not any(line.startswith(("http://", "https://")) for line in lines[:1]):
        raise AnswerError("is neither XML nor a list of URLs")
    yield from (Entry(line.strip(), "", is_sitemap=False) for line in lines if line.strip())


def _unpacked(body: bytes) -> bytes:
    """The body, out of gzip where it is in one.

    Raises:
        AnswerError: It is cut, broken, or too large once it is unpacked.
    """
    parts: list[bytes] = []
    size = 0
    while body.startswith(_GZIP):
        if len(parts) == _MOST_MEMBERS:
            raise AnswerError(f"is gzip in more than {_MOST_MEMBERS} parts")
        unpacking = zlib.decompressobj(_GZIP_BITS)
        try:
            parts.append(unpacking.decompress(body, MOST_UNPACKED - size + 1))
        except zlib.error:
            raise AnswerError("is broken gzip") from None
        size += len(parts[-1])
        if size > MOST_UNPACKED:
            raise AnswerError(f"has more than {MOST_UNPACKED // 1_000_000} MB once it is unpacked")
        if not unpacking.eof:
            raise AnswerError("is gzip that was cut")
        body = unpacking.unused_data
    return b"".join(parts) if parts else body


def moment_of(lastmod: str, zone: ZoneInfo) -> datetime | None:
    """When a page was last changed, in UTC: of a day the end, since the hour is not known; None for what says nothing.

    Args:
        lastmod: As it stands in a sitemap: a day, or a moment with or without offset.
        zone: The shop's.
    """
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(lastmod)
        if len(lastmod) <= _LENGTH_OF_DAY:
            moment = datetime.combine(moment.date() + timedelta(days=1), time())
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    return None
