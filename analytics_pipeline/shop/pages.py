"""What a description says of products that are read from the shop's public pages.

How they are read (robots.txt, sitemaps, schema.org's data on a page) is in sources/pages.
"""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from analytics_pipeline.shop.endpoints import Records
from analytics_pipeline.shop.fields import ProductFields
from analytics_pipeline.shop.protocol import Expression, Model
from analytics_pipeline.shop.references import with_defaults
from analytics_pipeline.shop.urls import base_url_fault

PAGE, PRICE = "_page", "_price"
"""Keys that are put beside those of a product: its page, and its price as it was made out of the offers."""
_PLACE = r"^(/|https?://)[^\s#]*$"
_PATTERN = r"^[/*][^\s#]*$"
_AGENT = r"^[A-Za-z][A-Za-z0-9_-]*(/[\w.]+)?( [ -~]+)?$"


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _one_or_several(pattern: str) -> dict[str, list[dict[str, object]]]:
    text: dict[str, object] = {"type": "string", "pattern": pattern}
    return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}


def _address(text: str) -> str:
    filled = with_defaults(text)
    fault = base_url_fault(filled) if filled is not None else None
    if filled is not None and fault is None and urlsplit(filled).path not in {"", "/"}:
        fault = "must be scheme and host alone, such as https://www.shop.example"
    if fault:
        raise ValueError(fault)
    return text


def _honest(text: str) -> str:
    if re.match("mozilla|opera", text, re.IGNORECASE):
        raise ValueError("names a browser, which this is none of; name yourself, and where you can be reached")
    return text


_Place = Annotated[str, Field(pattern=_PLACE)]
_Pattern = Annotated[str, Field(pattern=_PATTERN)]
_Places = Annotated[tuple[_Place, ...], BeforeValidator(_listed), WithJsonSchema(_one_or_several(_PLACE))]
_Patterns = Annotated[
    tuple[_Pattern, ...], BeforeValidator(_listed), Field(min_length=1), WithJsonSchema(_one_or_several(_PATTERN))
]


class Pages(Model):
    """Where the shop's public product pages are, and how slowly they are read. What robots.txt forbids is not asked.

    Attributes:
        url: Scheme and host of the public shop; those of base_url where it is not given.
        sitemap: Where its sitemaps are; those that robots.txt names, else /sitemap.xml, where it is not given.
        paths: Which paths of the sitemap are product pages: as in robots.txt, `*` for anything, `$` for the end.
        record: Whether a record is a product with its variants within, or each variant with its product within.
        per_second: Most requests a second; a slower `Crawl-delay` of robots.txt counts.
        pages_per_run: Most product pages of one run; the others are read by the next runs, oldest reading first.
        minutes_per_run: After how many minutes a run begins no further page.
        reread_days: After how many days a page is read again of which the sitemap says no newer change.
        user_agent: How this program names itself, its own name first; that one is looked up in robots.txt.
    """

    url: Annotated[str, AfterValidator(_address)] | None = None
    sitemap: _Places = ()
    paths: _Patterns
    record: Literal["product", "variant"] = "product"
    per_second: float = Field(default=0.5, gt=0)
    pages_per_run: int = Field(default=100, ge=1, le=100_000)
    minutes_per_run: float = Field(default=10, gt=0)
    reread_days: float = Field(default=30, gt=0)
    user_agent: Annotated[str, Field(pattern=_AGENT), AfterValidator(_honest)] | None = None


class PageProductFields(ProductFields):
    """Paths from schema.org's Product to our fields.

    Attributes:
        product_id: The product's id, as in the lines: the first that it has of these.
        title: Title.
        category: Category.
        price: Current price: the lowest of its offers in the shop's currency.
        cost: What one unit costs the shop, which no page says.
        updated_at: When the record was last changed.
    """

    product_id: Expression = f"sku || productID || productGroupID || mpn || {PAGE}"
    title: Expression | None = "name || isVariantOf.name"
    category: Expression | None = "category || isVariantOf.category"
    price: Expression | None = PRICE


class PageProducts(Records):
    """Products from the shop's public pages, for shops without a list of them.

    Attributes:
        pages: Where the pages are, and how slowly they are read.
        fields: Paths of a product's fields; those of schema.org where they are not given.
    """

    pages: Pages
    fields: PageProductFields = PageProductFields()
