"""The products that a page tells of in schema.org's words, as JSON-LD in its HTML. Pure.

A record is a product's object as it stands there, numbers with exactly their digits; its page and its price are put
beside. What a page lacks, or what on it cannot be read, is said in words; nothing of a page's text is repeated.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import msgspec
from lxml import etree
from w3lib.encoding import html_to_unicode

from analytics_pipeline.decoding.mapping import decode
from analytics_pipeline.shop.pages import PAGE, PRICE
from analytics_pipeline.sources.pages.prices import price_of

JSON_LD = "application/ld+json"
MOST_MEGABYTES = 8
MOST_PRODUCTS, MOST_NODES, MOST_LEVELS = 1_000, 10_000, 5
_CHUNK = 1 << 16
_HTML = re.compile(r"\s*(text/html|application/xhtml\+xml|text/plain|$)", re.IGNORECASE)
_WRAPPING = re.compile(
    rb"^\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[)|(?:-->|//\s*\]\]>|/\*\s*\]\]>\s*\*/|\]\]>)\s*$"
)
"""What some shops still put around a script, for browsers of the last century."""
_PRODUCTS = {
    *("product", "productgroup", "productmodel", "individualproduct", "someproducts", "productcollection"),
    *("vehicle", "car", "drug", "dietarysupplement"),
}
"""Types that are products, in small letters."""
_GROUP, _VARIANTS, _GROUP_OF = "productgroup", "hasVariant", "isVariantOf"
_REFERENCE = {"@id", "@type", "url"}
Node = dict[str, Any]

_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


@dataclass(frozen=True)
class Found:
    """What a page tells.

    Attributes:
        products: The products.
        faults: What could not be read, in words.
    """

    products: tuple[Node, ...] = ()
    faults: tuple[str, ...] = ()


def record_of(product: Mapping[str, Any]) -> bytes:
    """A product as JSON text."""
    return _encode(product)


def products_of(
    body: bytes, content_type: str, url: str, currency: str, record: Literal["product", "variant"] = "product"
) -> Found:
    """Read the products of a page.

    Args:
        body: The page.
        content_type: The header of that name, which may name the encoding.
        url: Where it is.
        currency: The shop's, in which prices are looked for.
        record: Whether a product stands with its variants within, or each variant for itself.
    """
    if not _HTML.match(content_type):
        return Found(faults=("is no HTML by its Content-Type",))
    if len(body) > MOST_MEGABYTES * 1_000_000:
        return Found(faults=(f"is larger than {MOST_MEGABYTES} MB",))
    scripts = _scripts(body, content_type)
    if not scripts:
        hint = ", but microdata, which is not read" if b"itemtype" in body else ""
        return Found(faults=(f"has no JSON-LD{hint}",))
    documents, faults = _documents(scripts)
    nodes = [node for document in documents for node in _nodes(document)][:MOST_NODES]
    products = _unique(_records(nodes, url, record))
    if products is None:
        return Found(faults=(f"has more than {MOST_PRODUCTS} products, or more than {MOST_MEGABYTES} MB of them",))
    if not products:
        return Found(faults=tuple(faults[:1]) or ("has JSON-LD without a product",))
    return _priced(products, url, currency)


def _priced(products: list[Node], url: str, currency: str) -> Found:
    priced, faults = [], dict[str, None]()
    for product in products:
        price, fault = price_of(product, currency)
        priced.append({**product, PAGE: url, **({} if price is None else {PRICE: price})})
        if fault is not None:
            faults[fault] = None
    return Found(tuple(priced), tuple(faults))


class _Scripts:
    """Collects the JSON-LD while the HTML goes by; the methods are those that the parser calls."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._open: list[str] | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "script" and (attributes.get("type") or "").partition(";")[0].strip().lower() == JSON_LD:
            self._open = []

    def data(self, text: str) -> None:
        if self._open is not None:
            self._open.append(text)

    def end(self, tag: str) -> None:
        if tag == "script" and self._open is not None:
            self._found.append("".join(self._open))
            self._open = None

    def close(self) -> list[str]:
        return self._found


def _scripts(body: bytes, content_type: str) -> list[str]:
    """The texts of the page's JSON-LD, whatever the page's encoding."""
    try:
        _, text = html_to_unicode(content_type or None, body, auto_detect_fun=_encoding_of)
    except (LookupError, ValueError):  # it names something that encodes no text, such as base64
        text = body.decode(_encoding_of(body), "replace")
    page = text.encode("utf-8", "replace")
    parser = etree.HTMLParser(target=_Scripts(), encoding="utf-8")
    try:
        for start in range(0, len(page), _CHUNK):
            parser.feed(page[start : start + _CHUNK])
        found: list[str] = parser.close()
    except etree.XMLSyntaxError:  # an empty page
        return []
    return found


def _encoding_of(body: bytes) -> str:
    """The encoding of a page that names none."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _documents(scripts: list[str]) -> tuple[list[object], list[str]]:
    documents, faults = [], []
    for script in scripts:
        text = _WRAPPING.sub(b"", script.encode()).strip().rstrip(b";")
        if not text:
            continue
        try:
            documents.append(decode(text))
        except ValueError as error:
            faults.append(f"its JSON-LD cannot be read: {error}")
    return documents, faults


def _nodes(document: object, level: int = 0) -> Iterator[Node]:
    """The objects at the top of a document: of a list, of a graph, and what a page is about."""
    if level > MOST_LEVELS:
        return
    if isinstance(document, list):
        for one in document:
            yield from _nodes(one, level + 1)
    elif isinstance(document, dict):
        yield document
        for key in ("@graph", "mainEntity"):
            yield from _nodes(document.get(key), level + 1)


def _types(node: Node) -> set[str]:
    named = node.get("@type")
    texts = named if isinstance(named, list) else [named]
    return {re.split(r"[/#:]", text)[-1].lower() for text in texts if isinstance(text, str)}


def _records(nodes: list[Node], url: str, record: Literal["product", "variant"]) -> Iterator[Node]:
    """The products among the objects of a page that are its own, or their variants."""
    by_id = {node["@id"]: node for node in nodes if isinstance(node.get("@id"), str) and not _is_reference(node)}
    products = [node for node in nodes if _types(node) & _PRODUCTS and not _is_reference(node)]
    whole = [_with_offers(_with_variants(product, by_id), by_id) for product in products]
    within = {id(variant) for product in whole for variant in _listed(product.get(_VARIANTS))}
    alone = [one for product, one in zip(products, whole, strict=True) if id(product) not in within]
    own = _own(alone, url)
    for product in own:
        yield from [product] if record == "product" else _variants(product, by_id)


def _with_variants(product: Node, by_id: Mapping[str, Node]) -> Node:
    """A product whose variants are in it, and not named by their ids alone."""
    if _VARIANTS not in product:
        return product
    # Each once: a page of a megabyte could name a large one ten thousand times.
    variants = {id(one): one for one in (_resolved(entry, by_id) for entry in _listed(product[_VARIANTS]))}
    return {**product, _VARIANTS: list(variants.values())}


def _with_offers(product: Node, by_id: Mapping[str, Node]) -> Node:
    """A product whose offers are in it, and not named by their ids alone."""
    named = _listed(product.get("offers"))
    if not any(_is_reference(one) for one in named):
        return product
    offers = {id(one): one for one in (_resolved(entry, by_id) for entry in named)}
    return {**product, "offers": list(offers.values())}


def _variants(product: Node, by_id: Mapping[str, Node]) -> Iterator[Node]:
    """The variants of a group, each with the group in it; a product that is no group is one itself."""
    variants = [one for one in _listed(product.get(_VARIANTS)) if not _is_reference(one)]
    if variants:
        yield from ({**variant, _GROUP_OF: _alone(product)} for variant in variants)
    elif _GROUP not in _types(product):
        group = _resolved(product.get(_GROUP_OF), by_id)
        yield {**product, _GROUP_OF: _alone(group)} if isinstance(group, dict) else product


def _alone(group: Node) -> Node:
    """A group without its variants."""
    return {key: value for key, value in group.items() if key != _VARIANTS}


def _resolved(value: object, by_id: Mapping[str, Node]) -> Any:  # noqa: ANN401 - what JSON may say
    """The object that an entry names by its id; the entry itself where it is whole, or names nothing on the page."""
    return by_id.get(str(value.get("@id")), value) if isinstance(value, dict) and _is_reference(value) else value


def _is_reference(node: Node) -> bool:
    return node.keys() <= _REFERENCE


def _listed(value: object) -> list[Node]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _own(products: list[Node], url: str) -> list[Node]:
    """The products that a page is about: those that name another page are left to it, if any names this one."""
    pages = [_page_of(product, url) for product in products]
    this = _place(url, url)
    if this not in pages:
        return products
    return [product for product, page in zip(products, pages, strict=True) if page in {this, None}]


def _page_of(product: Node, url: str) -> tuple[str, str] | None:
    """The page that a product names as its own."""
    of_entity = product.get("mainEntityOfPage")
    named = (product.get("url"), of_entity.get("@id") if isinstance(of_entity, dict) else of_entity, product.get("@id"))
    texts = [text for text in named if isinstance(text, str) and text and not text.startswith(("#", "_:"))]
    return _place(texts[0], url) if texts else None


def _place(link: str, url: str) -> tuple[str, str] | None:
    """Host and path of a link, without what makes no other page of it."""
    try:
        parts = urlsplit(urljoin(url, link))
    except ValueError:
        return None
    return parts.netloc.removeprefix("www."), parts.path.rstrip("/")


def _unique(products: Iterator[Node]) -> list[Node] | None:
    """The products without those that are told twice in the same words; None for too many of them."""
    found: dict[bytes, Node] = {}
    size = 0
    for product in products:
        text = record_of(product)
        size += len(text)
        found[text] = product
        if len(found) > MOST_PRODUCTS or size > MOST_MEGABYTES * 1_000_000:
            return None
    return list(found.values())
