"""What is read of a page: products in JSON-LD, however shops write it, and a reason where there is none."""

import json
from typing import Any, Literal

import pytest

from analytics_pipeline.sources.pages.structured import Found, products_of, record_of
from analytics_pipeline_tests.page_shop import html, product

URL = "https://shop.example/p/1"


def found_on(page: bytes, content_type: str = "text/html", record: Literal["product", "variant"] = "product") -> Found:
    return products_of(page, content_type, URL, "EUR", record)


def skus(found: Found) -> list[Any]:
    return [one.get("sku") for one in found.products]


def test_a_product_comes_as_it_stands_with_its_page_and_its_price_beside() -> None:
    whole = '{"@type": "Product", "sku": "S1", "weight": 0.10000000000000000001, "offers": {"price": 19.90}}'
    (record,) = found_on(html(whole)).products
    text = record_of(record).decode()
    assert '"weight":0.10000000000000000001' in text
    assert '"offers":{"price":19.90}' in text
    assert json.loads(text)["_page"] == URL
    assert json.loads(text)["_price"] == "19.90"


@pytest.mark.parametrize(
    "script",
    [
        json.dumps(product()),
        json.dumps([{"@type": "BreadcrumbList"}, product()]),
        json.dumps({"@graph": [{"@type": "Organization"}, product()]}),
        json.dumps({"@type": "ItemPage", "mainEntity": product()}),
        json.dumps(product() | {"@type": ["Book", "http://schema.org/Product"]}),
        json.dumps(product() | {"@type": "schema:product"}),
        json.dumps(product())[:-1] + ",}",
        f"<!-- {json.dumps(product())} -->",
        f"//<![CDATA[\n{json.dumps(product())}\n//]]>",
        json.dumps(product()) + ";",
        json.dumps(product()).replace("Thing S1", "Thing\nS1"),
    ],
)
def test_a_product_is_found_however_it_is_put(script: str) -> None:
    found = found_on(html(script))
    assert (skus(found), found.faults) == (["S1"], ())


def test_offers_that_are_named_by_their_ids_are_put_into_the_product() -> None:
    offer = {"@id": "#o", "@type": "Offer", "price": "7.50", "priceCurrency": "EUR"}
    for offers in ({"@id": "#o"}, [{"@id": "#o"}] * 3):
        (record,) = found_on(html({"@graph": [product(offers=offers), offer]})).products
        assert (record["offers"], record["_price"]) == ([offer], "7.50")


def test_a_script_that_is_broken_stops_no_other() -> None:
    assert skus(found_on(html('{"@type": "Product", "sku": ', product("S2")))) == ["S2"]


@pytest.mark.parametrize(
    ("page", "content_type", "reason"),
    [
        (html('{"@type": "Product", "sku": '), "text/html", "its JSON-LD cannot be read: JSON is malformed (byte 27)"),
        (html({"@type": "Organization"}), "text/html", "has JSON-LD without a product"),
        (b"<h1>Thing</h1>", "text/html", "has no JSON-LD"),
        (
            b'<div itemscope itemtype="https://schema.org/Product">',
            "",
            "has no JSON-LD, but microdata, which is not read",
        ),
        (b"", "text/html", "has no JSON-LD"),
        (b"%PDF", "application/pdf", "is no HTML by its Content-Type"),
    ],
)
def test_a_page_without_a_product_has_a_reason(page: bytes, content_type: str, reason: str) -> None:
    assert found_on(page, content_type) == Found(faults=(reason,))


@pytest.mark.parametrize(
    ("encoding", "content_type", "head"),
    [
        ("utf-8", "text/html; charset=utf-8", ""),
        ("utf-8", "text/html", ""),
        ("utf-8-sig", "", ""),
        ("iso-8859-1", "text/html; charset=ISO-8859-1", ""),
        ("windows-1252", "text/html", '<meta charset="windows-1252">'),
        ("windows-1252", "text/html", ""),
        ("utf-16", "text/html", ""),
        ("utf-8", "text/html", '<meta charset="base64">'),
        ("shift_jis", "text/html", '<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">'),
    ],
)
def test_pages_in_other_encodings_are_read(encoding: str, content_type: str, head: str) -> None:
    name = "茶碗" if encoding == "shift_jis" else "Käse"
    page = f'<html>{head}<script type="application/ld+json">{{"@type": "Product", "name": "{name}"}}</script></html>'
    assert [one["name"] for one in found_on(page.encode(encoding), content_type).products] == [name]


def test_of_several_products_those_that_name_another_page_are_left_to_it() -> None:
    here, there, nowhere = product("S1", url=f"{URL}?v=2"), product("S2", url="/p/2"), product("S3")
    assert skus(found_on(html(here, there, nowhere))) == ["S1", "S3"]
    assert skus(found_on(html(there, nowhere))) == ["S2", "S3"]  # who knows: the sitemap may name it otherwise
    assert skus(found_on(html(here, here))) == ["S1"]


GROUP = {
    "@type": "ProductGroup",
    "@id": "#group",
    "productGroupID": "G1",
    "name": "Shirt",
    "hasVariant": [{"@id": "#red"}, {"@type": "Product", "sku": "blue"}, {"url": "https://shop.example/p/green"}],
}
RED = {"@type": "Product", "@id": "#red", "sku": "red", "isVariantOf": {"@id": "#group"}, "offers": {"price": 8}}


def test_a_group_is_a_record_with_its_variants_within() -> None:
    (record,) = found_on(html(GROUP, RED)).products
    assert [one.get("sku") for one in record["hasVariant"]] == ["red", "blue", None]
    assert record["_price"] == "8"


def test_or_each_variant_is_one_with_its_group_within() -> None:
    for page in (html(GROUP, RED), html(RED, GROUP)):
        found = found_on(page, record="variant")
        assert skus(found) == ["red", "blue"]
        assert {one["isVariantOf"]["name"] for one in found.products} == {"Shirt"}
        assert not any("hasVariant" in one["isVariantOf"] for one in found.products)
    assert skus(found_on(html(product()), record="variant")) == ["S1"]


@pytest.mark.parametrize(
    "page",
    [
        html('{"@type": "ProductGroup", "hasVariant": [' + ",".join(['{"@id": "#v"}'] * 100_000) + "]}"),
        html("[" * 100_000 + "]" * 100_000),
        html('{"@type": "Product", "a": ' + "[" * 5_000 + "]" * 5_000 + "}"),
        b"<div>" * 200_000 + html(product()),
        b"<!--" + html(product()) * 100,
    ],
)
def test_a_page_that_means_ill_is_read_at_once(page: bytes) -> None:
    found = found_on(page)
    assert len(found.products) <= 1


def test_a_page_cannot_make_much_of_little() -> None:
    large = {"@type": "Product", "@id": "#v", "description": "x" * 1_000_000}
    groups = [{"@type": "ProductGroup", "name": str(number), "hasVariant": [{"@id": "#v"}]} for number in range(50)]
    assert found_on(html(large, groups)).faults == ("has more than 1000 products, or more than 8 MB of them",)
    many = [product(str(number)) for number in range(1_001)]
    assert found_on(html(many)).faults == ("has more than 1000 products, or more than 8 MB of them",)
    assert found_on(b" " * 8_000_001).faults == ("is larger than 8 MB",)
