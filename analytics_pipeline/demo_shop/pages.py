"""The demo shop's public pages: robots.txt, sitemaps, and a page for each product, with schema.org's words in it.

They need no key. What robots.txt forbids is served all the same, with prices that nobody should read: whoever shows one
has not obeyed.
"""

import gzip
import re
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics_pipeline.demo_shop.model import Product
from analytics_pipeline.demo_shop.records import to_json
from analytics_pipeline.demo_shop.shop import DemoShop

ASKED = "pages"
"""Under which name requests for pages stand in `DemoShop.asked`."""
FORBIDDEN = "/p/archive/"
_SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"
_ROBOTS = """User-agent: *
Disallow: /basket
Disallow: {forbidden}

Sitemap: {origin}/sitemap.xml
"""


def page_routes() -> list[Route]:
    """The routes of the public pages."""
    return [
        Route("/robots.txt", _robots),
        Route("/sitemap.xml", _index),
        Route("/sitemaps/products.xml.gz", _products),
        Route("/p/{name}", _page),
        Route(f"{FORBIDDEN}{{name}}", _page),
    ]


def page_path(product: Product) -> str:
    """Where a product's page is."""
    words = re.sub(r"[^a-z0-9]+", "-", product.title.lower()).strip("-")
    return f"/p/{product.product_id}-{words}"


async def _robots(request: Request) -> Response:
    text = _ROBOTS.format(forbidden=FORBIDDEN, origin=_origin(_noted(request)))
    return Response(text, media_type="text/plain")


async def _index(request: Request) -> Response:
    link = f"{_origin(_noted(request))}/sitemaps/products.xml.gz"
    body = f'<sitemapindex xmlns="{_SITEMAPS}"><sitemap><loc>{link}</loc></sitemap></sitemapindex>'
    return Response(body, media_type="application/xml")


async def _products(request: Request) -> Response:
    origin, shop = _origin(_noted(request)), _shop(request)
    urls = [f"<url><loc>{origin}/</loc></url>"]
    for product in shop.products():
        stamp = f"{product.updated_at:%Y-%m-%dT%H:%M:%SZ}"
        urls.append(f"<url><loc>{origin}{escape(page_path(product))}</loc><lastmod>{stamp}</lastmod></url>")
        urls.append(f"<url><loc>{origin}{FORBIDDEN}{product.product_id}</loc></url>")
    body = f'<urlset xmlns="{_SITEMAPS}">{"".join(urls)}</urlset>'.encode()
    return Response(gzip.compress(body), media_type="application/gzip")


async def _page(request: Request) -> Response:
    is_forbidden = _noted(request).url.path.startswith(FORBIDDEN)
    product_id = request.path_params["name"].partition("-")[0]
    product = next((one for one in _shop(request).products() if one.product_id == product_id), None)
    if product is None:
        return Response("no such page", 404, media_type="text/plain")
    told = _told(product, _origin(request), _shop(request).settings.currency)
    if is_forbidden:
        told["offers"]["price"] = "0.01"
    script = to_json(told).decode().replace("<", "\\u003c")
    title, price = escape(product.title), told["offers"]["price"]
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<script type="application/ld+json">{script}</script></head>'
        f"<body><h1>{title}</h1><p>{price} {told['offers']['priceCurrency']}</p></body></html>"
    )
    return Response(body, media_type="text/html")


def _told(product: Product, origin: str, currency: str) -> dict[str, Any]:
    """A product in schema.org's words."""
    url = f"{origin}{page_path(product)}"
    return {
        "@context": "https://schema.org",
        "@type": "Product",
        "sku": product.product_id,
        "name": product.title,
        "category": product.category,
        "url": url,
        "offers": {
            "@type": "Offer",
            "url": url,
            "price": f"{product.price:.2f}",
            "priceCurrency": currency,
            "availability": "https://schema.org/InStock",
        },
    }


def _noted(request: Request) -> Request:
    _shop(request).asked.append((ASKED, {"path": request.url.path}))
    return request


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _shop(request: Request) -> DemoShop:
    shop: DemoShop = request.app.state.shop
    return shop
