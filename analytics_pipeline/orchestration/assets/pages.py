"""raw/products from the shop's public pages: one crawl, its checks, and what is written of it.

Nothing that was read before is taken away: a sitemap that lists nothing, or a shop that does not answer, leaves the
products as they are, and is reported.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from analytics_pipeline.history.pages import ExtractedPages, known_pages
from analytics_pipeline.orchestration.assets.drift import FieldAudit
from analytics_pipeline.orchestration.assets.extracting import SOURCE_COUNT, costs, outputs, reports
from analytics_pipeline.orchestration.assets.odd import READABLE_RECORDS
from analytics_pipeline.orchestration.assets.publish import ContractAudit, publish, shown
from analytics_pipeline.shop.pages import PageProducts
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.pages.client import PageClient
from analytics_pipeline.sources.pages.crawl import Crawl, last_crawl
from analytics_pipeline.sources.spool import spool
from analytics_pipeline.tables.contracts import EXAMPLES, RAW_PRODUCTS
from analytics_pipeline.tables.pages import Page
from analytics_pipeline.warehouse.connection import Database

Pages = Mapping[str, Page]
A_DAY = timedelta(hours=20)
"""After which a daily run comes, with an hour or more to spare."""


def products_of_pages(
    context: dg.AssetExecutionContext, shop: Shop, described: PageProducts, stored: Database, *, rests: bool
) -> Iterator[Any]:
    """Read the pages that are due, and yield the results of the checks and the products.

    Args:
        context: The step's.
        shop: The shop.
        described: What it says of its pages.
        stored: Where the pages are kept.
        rests: Whether nothing is read where another run has done so within the day: orders that changed are loaded
            several times a day, and may not wait for pages each time.

    Raises:
        ShopUnavailableError: The shop did not answer, and no page has ever been read.
    """
    now = datetime.now(UTC)
    known = known_pages(stored)
    audit, fields = ContractAudit(RAW_PRODUCTS), FieldAudit(RAW_PRODUCTS, described, stored)
    report = reports(context, RAW_PRODUCTS)
    with spool(RAW_PRODUCTS.table.arrow_schema) as rows:
        with PageClient(shop, described.pages) as client:
            crawl = Crawl(client, shop, described, known, now)
            last = last_crawl(known)
            if rests and last is not None and now - last < A_DAY:
                crawl.skip(f"read at {last:%Y-%m-%d %H:%M} UTC: runs for changed orders read pages once a day")
            for batch in crawl:
                rows.write(batch)
                audit.look_at(pa.Table.from_batches([batch]).to_pandas(types_mapper=pd.ArrowDtype))
                fields.look_at(batch)
                report(crawl)
        if crawl.fault is not None and not _read(known):
            raise crawl.fault
        listed = _listing_result(crawl, known, now - timedelta(days=described.pages.reread_days))
        results = [*audit.results(), listed, _pages_result(crawl), *fields.results()]
        metadata = {"records": crawl.records, "pages_asked": len(crawl.asked), **costs(crawl.statistics)}
        yield from publish(results, outputs(lambda: ExtractedPages(rows.reader(), crawl.changed), metadata))
        fields.record(context.run.run_id)


def _read(pages: Pages) -> list[Page]:
    """Return the pages whose products are stored."""
    return [page for page in pages.values() if page.product_ids and page.state != "gone"]


def _listing_result(crawl: Crawl, known: Pages, lately: datetime) -> dg.AssetCheckResult:
    """Return whether all pages that are listed have been read, and as many are listed as were `lately`.

    A sitemap that lists none of the pages that were read stops the step, and takes nothing away.
    """
    listing = crawl.listing
    before = [page for page in _read(known) if page.listed_at >= lately]
    left = [page for page in before if page.url not in crawl.pages]
    clears = bool(before) and not crawl.pages.keys() - listing.forbidden
    shrank = crawl.fault is None and 2 * len(left) > len(before)
    states = Counter(page.state for page in crawl.pages.values())
    faults = [str(crawl.fault)] if crawl.fault else listing.faults
    is_good = not faults and not shrank and bool(crawl.pages) and not states["waiting"]
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(RAW_PRODUCTS.table.path),
        check_name=SOURCE_COUNT,
        passed=is_good,
        severity=dg.AssetCheckSeverity.ERROR if clears else dg.AssetCheckSeverity.WARN,
        metadata=shown(
            {
                "pages_listed": len(crawl.pages) - states["forbidden"],
                "pages_not_read_yet": states["waiting"],
                "pages_due_and_left_for_the_next_run": crawl.due - len(crawl.asked),
                "pages_forbidden_by_robots_txt": states["forbidden"],
                "pages_of_other_paths": listing.others,
                "pages_of_other_hosts": listing.elsewhere,
                "sitemaps": listing.sitemaps,
                **({"read_before_and_listed_no_more": len(left)} if left else {}),
                **({"faults": "; ".join(faults)} if faults else {}),
                **({"stopped": crawl.stopped} if crawl.stopped else {}),
            }
        ),
    )


def _pages_result(crawl: Crawl) -> dg.AssetCheckResult:
    """Return which of the listed pages could not be read, and which products stand on several pages."""
    odd = [page for page in crawl.pages.values() if page.state in {"faulty", "failed"}]
    pages_of = Counter(product for page in crawl.pages.values() for product in set(page.product_ids))
    shared = sorted(product for product, pages in pages_of.items() if pages > 1)
    states = Counter(page.state for page in crawl.pages.values())
    examples = [f"{page.url}: {page.reason}" for page in odd[:EXAMPLES]]
    examples += [f"product {product} stands on {pages_of[product]} pages" for product in shared[:EXAMPLES]]
    listed = "\n".join(f"- {example}" for example in examples)
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(RAW_PRODUCTS.table.path),
        check_name=READABLE_RECORDS,
        passed=not odd and not shared,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=shown(
            {
                "pages_faulty": states["faulty"],
                "pages_failed": states["failed"],
                "pages_gone": states["gone"],
                "products_on_several_pages": len(shared),
                **({"examples": dg.MetadataValue.md(listed)} if examples else {}),
            }
        ),
    )
