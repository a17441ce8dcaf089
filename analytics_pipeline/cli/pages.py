"""What the shop's public pages are like, for whoever describes them: robots.txt, the sitemaps, and one page, mapped.

Nothing is written, and no page is asked for but the first product page that robots.txt allows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa

from analytics_pipeline.cli.preview import Preview, preview_of
from analytics_pipeline.cli.probes import Warned
from analytics_pipeline.errors import AnswerError
from analytics_pipeline.plain import counted
from analytics_pipeline.shop.pages import PageProducts
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.pages.client import PageClient
from analytics_pipeline.sources.pages.crawl import Crawl
from analytics_pipeline.tables.pages import Page
from analytics_pipeline.transforms.dimensions import CleanDimension, clean_products

MINUTES = 2.0
"""After which no further sitemap is read: whoever calls waits for it."""


@dataclass(frozen=True)
class PagesLook:
    """What was seen of the pages.

    Attributes:
        rules: What robots.txt says to this program, in words.
        crawl: The sitemaps, and the page that was read.
        cleaned: The products of that page.
        preview: What became of them, and of each mapped path.
    """

    rules: str
    crawl: Crawl
    cleaned: CleanDimension
    preview: Preview

    @property
    def page(self) -> Page | None:
        """The page that was read; None where none may be."""
        return self.crawl.pages[self.crawl.asked[0]] if self.crawl.asked else None

    @property
    def listed(self) -> str:
        """What the sitemaps list, in words."""
        listing = self.crawl.listing
        such = f", such as {urlsplit(listing.other).path}" if listing.other and not listing.pages else ""
        others = {
            "forbidden by robots.txt": len(listing.forbidden),
            f"of other paths{such}": listing.others,
            "of other hosts": listing.elsewhere,
        }
        beside = "".join(f", {number} {what}" for what, number in others.items() if number)
        return f"{len(listing.pages)} product pages may be read, of {listing.sitemaps} sitemaps{beside}"


def look_at_pages(shop: Shop, described: PageProducts) -> PagesLook:
    """Read robots.txt, the sitemaps and one product page, and map what it has.

    Raises:
        ShopUnavailableError, ShopRefusedError: Nothing may be asked, or nothing answers; the message says what to do.
    """
    pages = described.pages.model_copy(
        update={"pages_per_run": 1, "minutes_per_run": min(MINUTES, described.pages.minutes_per_run)}
    )
    described = described.model_copy(update={"pages": pages})
    shop = shop.model_copy(update={"products": described})
    with PageClient(shop, pages) as client:
        crawl = Crawl(client, shop, described, {}, datetime.now(UTC))
        read = pa.Table.from_batches([*crawl], crawl.schema)
        rules = _rules(client)
    if crawl.fault is not None:
        raise crawl.fault
    raw: pd.DataFrame = read.to_pandas(types_mapper=pd.ArrowDtype)
    cleaned = clean_products(raw, shop)
    return PagesLook(rules, crawl, cleaned, preview_of(raw, described, len(cleaned.rows), cleaned.unreadable))


def _rules(client: PageClient) -> str:
    robots = client.robots
    if not robots.is_there:
        return f"{client.origin} has no robots.txt, so nothing is forbidden"
    delay = f", which asks for {robots.delay:g} s between requests" if robots.delay else ""
    return f"robots.txt of {client.origin} read as {client.token}{delay}"


def describe_pages(shop: Shop, described: PageProducts, seen: Callable[[Preview], None]) -> str:
    """Say in a line what the pages are like.

    Raises:
        AnswerError: No sitemap lists a product page, or the page that was read has no product.
        PipelineError: As `look_at_pages`.
    """
    found = look_at_pages(shop, described)
    page, listing = found.page, found.crawl.listing
    said = [found.rules, found.listed, *listing.faults]
    if page is None:
        raise AnswerError(f"{'; '.join(said)}: no page may be read. See pages.paths, pages.sitemap and pages.url")
    if not found.preview.records:
        raise AnswerError(f"{'; '.join(said)}; {page.url} gives no product: {page.reason}")
    seen(found.preview)
    said.append(
        f"{page.url} gives {counted(found.preview.records, 'product')}" + (f": {page.reason}" if page.reason else "")
    )
    budget = described.pages
    runs = counted(-(-len(listing.pages) // budget.pages_per_run), "run")
    said.append(f"all are read after {runs} of {budget.pages_per_run} pages, {budget.per_second:g} a second at most")
    said += [*map(str, found.preview.quarantined), *(str(one) for one in found.preview.unfound if one.is_suspect)]
    is_odd = page.reason or listing.faults or found.preview.quarantined or found.preview.unfound
    return Warned("; ".join(said)) if is_odd else "; ".join(said)
