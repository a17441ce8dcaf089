"""Crawls of a small shop's public pages, whose time stands still but for the waits."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from analytics_pipeline.sources.pages.client import PageClient
from analytics_pipeline.sources.pages.crawl import Crawl
from analytics_pipeline.tables.pages import Page
from analytics_pipeline_tests.fake_shop import FakeShop
from analytics_pipeline_tests.page_shop import PageShop, described
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of


@pytest.fixture
def page_shop(fake: FakeShop) -> PageShop:
    shop = PageShop(fake)
    shop.sells("S1", "S2", "S3")
    return shop


class Crawled:
    """A finished crawl and its rows."""

    def __init__(self, crawl: Crawl) -> None:
        self.crawl = crawl
        self.rows = pa.Table.from_batches([*crawl], crawl.schema)
        self.pages = crawl.pages

    @property
    def ids(self) -> list[str]:
        return sorted(self.rows["product_id"].to_pylist())

    def states(self) -> dict[str, str]:
        """State of each page by its path."""
        return {"/" + url.split("/", 3)[3]: page.state for url, page in self.pages.items()}

    def reason(self, path: str) -> str:
        """What is wrong with the page that ends so."""
        return next(page.reason or "" for url, page in self.pages.items() if url.endswith(path))


Crawls = Callable[..., Crawled]


@pytest.fixture
def crawl(page_shop: PageShop, bench: Bench) -> Crawls:
    """Crawl the shop once: `crawl(known, after=timedelta(days=1), pages_per_run=2)`, the keys of `pages`."""

    def run(
        known: Mapping[str, Page] | None = None, *, after: timedelta = timedelta(), retries: int = 1, **pages: object
    ) -> Crawled:
        products = described(**pages)
        shop = shop_of(page_shop.url, products=products.model_dump(), limits={"retries": retries})
        with PageClient(
            shop, products.pages, environment={}, sleep=bench.sleep, clock=lambda: bench.now, random=lambda: 1.0
        ) as client:
            return Crawled(Crawl(client, shop, products, known or {}, datetime.now(UTC) + after))

    return run
