"""One crawl of a shop's product pages: robots.txt, sitemaps, then the pages that are due, as many as the budget allows.

What was known and what is stored is the part of its callers: known pages come in, and go out with what became of them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from analytics_pipeline.decoding.mapping import compile_path, id_text
from analytics_pipeline.errors import ITS_WORDS, PipelineError, ShopRefusedError, ShopUnavailableError
from analytics_pipeline.shop.pages import PageProducts, Pages
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import Answer
from analytics_pipeline.sources.pages.client import PageClient
from analytics_pipeline.sources.pages.robots import Robots
from analytics_pipeline.sources.pages.sitemaps import Listing, read_listing
from analytics_pipeline.sources.pages.structured import Found, products_of, record_of
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.tables.pages import Page
from analytics_pipeline.transforms.raw import PRODUCTS_SCHEMA, RecordRows, dimension_reading

SILENT_PAGES_WAIT = timedelta(hours=20)
"""How often a page is read at most of which the sitemap does not say when it changed: by each daily run."""
MOST_FAILURES = 5
"""Pages in a row that give no answer: then the shop is left alone until the next run."""
_HIDDEN = {401, 403}
_GONE = {404, 410}
_UNCHANGED = 304
_HOW = "1"
"""Changes when pages are read otherwise than before: then they are all read again."""


class Crawl(Iterator[pa.RecordBatch]):
    """The batches of one crawl, a page each; the attributes are whole once they are exhausted.

    Attributes:
        schema: Arrow schema of the batches.
        listing: What the sitemaps list.
        pages: Pages that a sitemap lists, by URL, with what became of them; where nothing could be asked, those that
            it listed before.
        due: How many pages were due.
        asked: URLs of the pages that were asked for.
        stopped: Why fewer pages were asked for than were due and than a run may ask for; None otherwise.
        fault: Why nothing was crawled at all; None where it was.
    """

    def __init__(
        self, client: PageClient, shop: Shop, described: PageProducts, known: Mapping[str, Page], now: datetime
    ) -> None:
        """Prepares the crawl; the first request is made when the first batch is taken.

        Args:
            client: Asks for the pages.
            shop: The shop, whose currency and time zone count.
            described: What it says of its pages.
            known: What is known of pages so far, by URL.
            now: An aware stamp that stands for now.
        """
        self.schema = PRODUCTS_SCHEMA
        self.listing, self.pages = Listing(), dict[str, Page]()
        self.due, self.asked = 0, list[str]()
        self.stopped: str | None = None
        self.fault: ShopUnavailableError | None = None
        self._client, self._shop, self._described = client, shop, described
        self._known, self._now, self._started = known, now, client.clock()
        fields = described.fields
        reading = dimension_reading(shop, described, PRODUCTS_SCHEMA, (fields.product_id, fields.updated_at))
        self._rows, self._id = RecordRows(reading), compile_path(fields.product_id)
        self._batches = self._crawled()

    def skip(self, reason: str) -> None:
        """Ask for nothing, and have the pages as they were at the last crawl."""
        self.stopped, self._batches = reason, iter(())
        self._remember()

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    @property
    def changed(self) -> dict[str, Page]:
        """Pages of which more is known than before, by URL."""
        return {url: page for url, page in self.pages.items() if self._known.get(url) != page}

    @property
    def records(self) -> int:
        """Products given so far."""
        return self._rows.kept

    @property
    def source_count(self) -> int | None:
        """Pages are counted, products are not."""
        return None

    @property
    def statistics(self) -> Statistics:
        """What it cost so far."""
        return self._client.statistics

    def _crawled(self) -> Iterator[pa.RecordBatch]:
        pages = self._described.pages
        try:
            self._client.obey(read_robots(self._client, pages))
            self.listing = read_listing(self._client, pages, self._shop.zone, self._has_time)
        except ShopUnavailableError as error:
            self.fault = error
            self._remember()
            return
        yield from self._visited(pages)

    def _remember(self) -> None:
        last = last_crawl(self._known)
        self.pages = {url: page for url, page in self._known.items() if page.listed_at == last}

    def _has_time(self) -> bool:
        return self._client.clock() - self._started < self._described.pages.minutes_per_run * 60

    def _visited(self, pages: Pages) -> Iterator[pa.RecordBatch]:
        self.pages = listed(self.listing, self._known, self._now)
        rules = rules_of(self._described, self._shop)
        waiting = due(self.pages.values(), pages, rules, self._now)
        self.due, failures = len(waiting), 0
        for page in waiting[: pages.pages_per_run]:
            if not self._has_time():
                self.stopped = f"the {pages.minutes_per_run:g} minutes of a run were over (pages.minutes_per_run)"
                return
            self.asked.append(page.url)
            found, batch = self._visit(page, rules)
            self.pages[page.url] = found
            if batch is not None and batch.num_rows:
                yield batch
            failures = failures + 1 if found.state == "failed" else 0
            if failures == MOST_FAILURES:
                self.stopped = f"{MOST_FAILURES} pages in a row gave no answer"
                return

    def _visit(self, page: Page, rules: str) -> tuple[Page, pa.RecordBatch | None]:
        """Read a page; whatever is wrong with it is of this page alone."""
        began = datetime.now(UTC)
        tried = replace(page, tried_at=began)
        is_known = page.read_by == rules and page.state == "read"
        try:
            answer = self._client.get(page.url, _conditions(page) if is_known else None)
        except PipelineError as error:
            status = error.status if isinstance(error, ShopRefusedError) else None
            reason = str(error).removesuffix(ITS_WORDS).rstrip()
            return replace(tried, state="failed", status=status, reason=reason), None
        answered = replace(tried, read_at=began, read_by=rules, status=answer.status, reason=None)
        if answer.status == _UNCHANGED:
            return replace(answered, state="read"), None
        if answer.status in _GONE:
            return replace(answered, state="gone", reason=f"HTTP {answer.status}"), None
        if answer.body is None:
            return replace(tried, state="failed", status=answer.status, reason=f"HTTP {answer.status}"), None
        return self._read(answered, answer, answer.body)

    def _read(self, page: Page, answer: Answer[bytes], body: bytes) -> tuple[Page, pa.RecordBatch]:
        record = self._described.pages.record
        content_type = answer.headers.get("Content-Type", "")
        try:
            found = products_of(body, content_type, answer.url, self._shop.currency, record)
        except (ArithmeticError, LookupError, RecursionError, SyntaxError, ValueError) as error:
            found = Found(faults=(f"it cannot be read ({type(error).__name__})",))
        kept, faults = self._with_ids(found.products)
        reasons = "; ".join(dict.fromkeys((*found.faults, *faults)))
        records = [record_of(product) for product in kept.values()]
        batch = self._rows.batch(records, self._rows.values(records), answer.shown)
        return replace(
            page,
            state="faulty" if reasons else "read",
            reason=reasons or None,
            product_ids=tuple(kept),
            etag=answer.headers.get("ETag"),
            last_modified=answer.headers.get("Last-Modified"),
        ), batch

    def _with_ids(self, products: Sequence[Mapping[str, object]]) -> tuple[dict[str, Mapping[str, object]], list[str]]:
        """The products by their ids; those without one, or with that of another on the page, are left out."""
        named: dict[str, list[Mapping[str, object]]] = {}
        faults = []
        for product in products:
            try:
                named.setdefault(id_text(self._id(product)), []).append(product)
            except ValueError as error:
                faults.append(f"a product has no product_id that can be read: {error}")
        if any(len(same) > 1 for same in named.values()):
            faults.append("different products on it have the same product_id")
        return {name: same[0] for name, same in named.items() if len(same) == 1}, faults


def read_robots(client: PageClient, pages: Pages) -> Robots:
    """Ask for robots.txt; where there is none, everything is allowed.

    Raises:
        ShopUnavailableError: It did not come, or asks for more time than a run has: nothing may be asked now.
        ShopRefusedError: The shop shows it to nobody, or has moved.
    """
    answer = client.get(f"{client.origin}/robots.txt")
    if answer.status in _HIDDEN:
        raise ShopUnavailableError(
            f"{answer.asked}: HTTP {answer.status}: what it forbids is unknown, so nothing is asked"
        )
    robots = Robots.of(answer.body or b"", client.token)
    if robots.delay > pages.minutes_per_run * 60:
        raise ShopUnavailableError(
            f"{answer.asked} asks for {robots.delay:g} s between two requests, and a run has {pages.minutes_per_run:g} "
            f"minutes (pages.minutes_per_run)"
        )
    return robots


def last_crawl(known: Mapping[str, Page]) -> datetime | None:
    """Return when sitemaps were read last; None for never."""
    return max((page.listed_at for page in known.values()), default=None)


def listed(listing: Listing, known: Mapping[str, Page], now: datetime) -> dict[str, Page]:
    """Return the pages that are listed, with what is known of each."""
    found = {}
    for url, changed_at in listing.pages.items():
        page = known.get(url) or Page(url, first_listed_at=now, listed_at=now)
        state = "waiting" if page.state == "forbidden" else page.state
        found[url] = replace(page, listed_at=now, changed_at=changed_at, state=state)
    for url in listing.forbidden:
        page = known.get(url) or Page(url, first_listed_at=now, listed_at=now)
        found[url] = replace(page, listed_at=now, state="forbidden", reason="robots.txt forbids it")
    return found


def due(pages: Iterable[Page], described: Pages, rules: str, now: datetime) -> list[Page]:
    """Return the pages that are to be read, those that were asked for longest ago first, never asked ones before them.

    A page is due that has not been read by the rules of now, or has changed since, or was read `reread_days` ago; one
    of which the sitemap says nothing, once a day.
    """
    reread = timedelta(days=described.reread_days)

    def is_due(page: Page) -> bool:
        if page.state == "forbidden":
            return False
        if page.read_at is None or page.read_by != rules:
            return True
        if page.changed_at is None:
            return now - page.read_at >= min(reread, SILENT_PAGES_WAIT)
        return min(page.changed_at, now) > page.read_at or now - page.read_at >= reread

    never = datetime.min.replace(tzinfo=UTC)
    return sorted(filter(is_due, pages), key=lambda page: page.tried_at or never)


def rules_of(described: PageProducts, shop: Shop) -> str:
    """Return a hash of what decides which records a page gives, and under which ids."""
    rules = (_HOW, described.pages.record, described.fields.product_id, shop.currency)
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:12]


def _conditions(page: Page) -> dict[str, str]:
    """Headers that ask for a page only where it is another one than before."""
    named = {"If-None-Match": page.etag, "If-Modified-Since": page.last_modified}
    return {name: value for name, value in named.items() if value}
