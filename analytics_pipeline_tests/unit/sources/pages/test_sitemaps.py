"""Sitemaps: what they list, in whatever form, and what of a broken or hostile one is believed."""

import gzip
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.errors import AnswerError
from analytics_pipeline.sources.pages.sitemaps import Entry, entries_of, moment_of
from analytics_pipeline_tests.fake_shop import Reply
from analytics_pipeline_tests.page_shop import PageShop, index, sitemap
from analytics_pipeline_tests.unit.sources.pages.conftest import Crawls

BERLIN = ZoneInfo("Europe/Berlin")
BASE = "https://shop.example"
TWO = sitemap(BASE, ["/p/1", "/p/2?a=1&b=2"], "2026-01-31")
BOTH = [Entry(f"{BASE}/p/1", "2026-01-31", False), Entry(f"{BASE}/p/2?a=1&b=2", "2026-01-31", False)]
IMAGES = b"""<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/i/1.1">
<url><loc> https://shop.example/p/1 </loc><image:image><image:loc>https://shop.example/p/1.jpg</image:loc></image:image>
</url></urlset>"""


@pytest.mark.parametrize(
    "body",
    [
        TWO,
        gzip.compress(TWO),
        gzip.compress(TWO[:100]) + gzip.compress(TWO[100:]),
        b"\xef\xbb\xbf\n " + TWO,
        TWO.decode().replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"),
        TWO.replace(b' xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"', b""),
        TWO.replace(b"www.sitemaps.org/schemas", b"}schemas"),
    ],
)
def test_a_sitemap_is_read_in_each_of_its_forms(body: bytes) -> None:
    assert [*entries_of(body)] == BOTH


def test_sitemaps_of_sitemaps_texts_and_pictures_are_told_apart() -> None:
    assert [*entries_of(index(BASE, ["/a.xml"]))] == [Entry(f"{BASE}/a.xml", "", True)]
    assert [*entries_of(f"{BASE}/p/1\n\n{BASE}/p/2\n".encode())] == [Entry(f"{BASE}/p/{n}", "", False) for n in (1, 2)]
    assert [*entries_of(IMAGES)] == [Entry(f"{BASE}/p/1", "", False)]


BOMB = (
    b'<!DOCTYPE urlset [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + level, b"&%c;" % (97 + level) * 10) for level in range(12))
    + b"]><urlset><url><loc>&m;</loc></url></urlset>"
)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (BOMB, "declares a DOCTYPE"),
        (b'<!DOCTYPE urlset SYSTEM "file:///etc/passwd"><urlset/>', "declares a DOCTYPE"),
        (gzip.compress(b"<urlset>" + bytes(70_000_000)), "more than 64 MB"),
        (gzip.compress(b"") * 200, "more than 100 parts"),
        (gzip.compress(TWO)[:-20], "gzip that was cut"),
        (b"\x1f\x8bxxxx", "broken gzip"),
        (b"<urlset>" * 10_000, "no XML in line 1"),
        (TWO[:-30], "no XML in line"),
        (b"<html><body>Back soon</body></html>", "is XML, and no sitemap"),
        (b"Back soon", "neither XML nor a list of URLs"),
        (b"", "neither XML nor a list of URLs"),
    ],
)
def test_what_is_no_sitemap_or_means_ill_is_refused_at_once(body: bytes, fault: str) -> None:
    began = time.monotonic()
    with pytest.raises(AnswerError, match=fault):
        list(entries_of(body))
    assert time.monotonic() - began < 5


def test_pages_before_a_fault_are_taken_and_the_fault_is_told(page_shop: PageShop, crawl: Crawls) -> None:
    whole = sitemap(page_shop.url, page_shop.pages)
    page_shop.routes["/sitemap.xml"] = lambda _: Reply(whole.replace(b"</urlset>", b"<url><loc>/p/x & y</loc>"))
    found = crawl()
    assert found.ids == ["S1", "S2", "S3"]
    assert not found.crawl.listing.is_whole
    assert "is no XML in line 1, column" in found.crawl.listing.faults[0]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, 23, tzinfo=UTC)),  # the end of that day in Berlin
        ("2026-01-31T10:00:00+02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T10:00:00.123Z", datetime(2026, 1, 31, 10, 0, 0, 123_000, tzinfo=UTC)),
        ("2026-07-31T10:00", datetime(2026, 7, 31, 8, tzinfo=UTC)),
        ("2026-01", None),
        ("yesterday", None),
        ("9999-12-31", None),
        ("", None),
    ],
)
def test_when_a_page_was_changed(text: str, moment: datetime | None) -> None:
    assert moment_of(text, BERLIN) == moment


def test_sitemaps_are_found_by_robots_txt_by_the_description_or_at_the_usual_place(
    page_shop: PageShop, crawl: Crawls
) -> None:
    assert crawl().ids == ["S1", "S2", "S3"]
    page_shop.robots = f"Sitemap: {page_shop.url}/named.xml\nUser-agent: *\nDisallow: /private/"
    page_shop.routes["/named.xml"] = lambda _: Reply(sitemap(page_shop.url, ["/p/S1"]))
    assert crawl().ids == ["S1"]
    page_shop.asked()
    assert crawl(sitemap="/sitemap.xml.gz").ids == ["S1", "S2", "S3"]
    assert "/named.xml" not in page_shop.asked()


def test_sitemaps_in_a_circle_are_read_once(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.routes["/sitemap.xml"] = lambda _: Reply(index(page_shop.url, ["/sitemap.xml", "/b.xml", "/c.xml"]))
    page_shop.routes["/b.xml"] = lambda _: Reply(index(page_shop.url, ["/sitemap.xml", "/b.xml"]))
    page_shop.routes["/c.xml"] = lambda _: Reply(sitemap(page_shop.url, ["/p/S1"]))
    assert crawl().ids == ["S1"]
    assert page_shop.asked() == ["/robots.txt", "/sitemap.xml", "/b.xml", "/c.xml", "/p/S1"]


def test_sitemaps_without_an_end_have_one(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.fake.routes["/sitemap.xml"] = lambda _: Reply(index(page_shop.url, ["/maps?n=0"]))
    page_shop.fake.routes["/maps"] = lambda asked: Reply(
        index(page_shop.url, [f"/maps?n={int(asked.query['n']) * 100 + one}" for one in range(1, 100)])
    )
    found = crawl()
    assert not found.crawl.listing.is_whole
    assert found.crawl.listing.sitemaps <= 200
    assert "there are too many for one run" in found.crawl.listing.faults[-1]


def test_pages_and_sitemaps_of_other_hosts_are_left_out_and_counted(page_shop: PageShop, crawl: Crawls) -> None:
    links = [f"{page_shop.url}/p/S1", "https://other.example/p/S2", "javascript:alert(1)", f"{page_shop.url}/blog"]
    urls = "".join(f"<url><loc>{link}</loc></url>" for link in links)
    maps = "<sitemap><loc>https://other.example/sitemap.xml</loc></sitemap><sitemap><loc>/b.xml</loc></sitemap>"
    page_shop.routes["/sitemap.xml"] = lambda _: Reply(f"<sitemapindex>{maps}</sitemapindex>".encode())
    page_shop.routes["/b.xml"] = lambda _: Reply(f"<urlset>{urls}</urlset>".encode())
    listing = crawl().crawl.listing
    assert [*listing.pages] == [f"{page_shop.url}/p/S1"]
    assert (listing.elsewhere, listing.others, listing.other) == (2, 1, f"{page_shop.url}/blog")
    assert "https://other.example/sitemap.xml: leads from" in listing.faults[0]
