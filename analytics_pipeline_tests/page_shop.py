"""A small real HTTP server that plays the public pages of a shop, and keeps when it was asked for what."""

import gzip
import json
import time
from collections.abc import Iterable
from html import escape
from itertools import pairwise
from typing import Any

from analytics_pipeline.shop.pages import PageProducts
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply, Route

HTML = {"Content-Type": "text/html; charset=utf-8"}


def product(sku: str | None = "S1", price: object = "19.99", **changes: object) -> dict[str, Any]:
    """A Product in schema.org's words, with one offer."""
    return {
        "@context": "https://schema.org",
        "@type": "Product",
        **({} if sku is None else {"sku": sku}),
        "name": f"Thing {sku}",
        "category": "Things",
        "offers": {"@type": "Offer", "price": price, "priceCurrency": "EUR"},
        **changes,
    }


def html(*products: object) -> bytes:
    """A page with a script of JSON-LD for each product; a text stands as it is."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in products]
    scripts = "".join(f'<script type="application/ld+json">{text}</script>' for text in texts)
    return f"<!doctype html><html><head>{scripts}</head><body><h1>Thing</h1></body></html>".encode()


def sitemap(base: str, paths: Iterable[str], lastmod: str | None = None) -> bytes:
    """A sitemap of some paths."""
    stamp = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    urls = "".join(f"<url><loc>{escape(base + path)}</loc>{stamp}</url>" for path in paths)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'.encode()


def index(base: str, paths: Iterable[str]) -> bytes:
    """A sitemap of sitemaps."""
    found = "".join(f"<sitemap><loc>{escape(base + path)}</loc></sitemap>" for path in paths)
    return f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{found}</sitemapindex>'.encode()


class PageShop:
    """Serves robots.txt, a sitemap of its pages, and the pages; a test that wants other answers sets `routes`."""

    def __init__(self, fake: FakeShop) -> None:
        self.fake = fake
        self.robots: str | None = None
        self.pages: dict[str, bytes] = {}
        self.lastmod: str | None = None
        self.log: list[tuple[float, str]] = []
        self.routes: dict[str, Route] = {}
        fake.fallback = self._answer

    @property
    def url(self) -> str:
        return self.fake.url

    def sells(self, *skus: str) -> None:
        """One page a product, at /p/SKU."""
        self.pages = {f"/p/{sku}": html(product(sku)) for sku in skus}

    def asked(self) -> list[str]:
        """The paths that were asked for since the last call."""
        paths = [path for _, path in self.log]
        self.log.clear()
        return paths

    def gaps(self) -> list[float]:
        """Seconds between two requests, as the server saw them."""
        moments = [moment for moment, _ in self.log]
        return [later - earlier for earlier, later in pairwise(moments)]

    def _answer(self, asked: Asked) -> Reply:
        self.log.append((time.monotonic(), asked.target))
        if asked.path in self.routes:
            return self.routes[asked.path](asked)
        if asked.path == "/robots.txt" and self.robots is not None:
            return Reply(self.robots.encode(), headers={"Content-Type": "text/plain"})
        if asked.path in {"/sitemap.xml", "/sitemap.xml.gz"}:
            body = sitemap(self.url, self.pages, self.lastmod)
            return Reply(gzip.compress(body) if asked.path.endswith("gz") else body)
        if asked.target in self.pages:
            return Reply(self.pages[asked.target], headers=HTML)
        return Reply(b"no such page", 404)


def described(**pages: object) -> PageProducts:
    """Products by pages at /p/, as quickly as a test wants them."""
    return PageProducts.model_validate({"pages": {"paths": ["/p/*"], "per_second": 1000, **pages}})
