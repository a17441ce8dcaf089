"""A crawl: which pages are asked for, in which order, how fast, and what one bad page does to the others."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics_pipeline.errors import ShopRefusedError
from analytics_pipeline.sources.pages.client import PageClient
from analytics_pipeline.sources.pages.crawl import Crawl
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.page_shop import HTML, PageShop, described, html, product, sitemap
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of
from analytics_pipeline_tests.unit.sources.pages.conftest import Crawls

DAY = timedelta(days=1)


def test_the_servers_own_log_shows_no_forbidden_path_and_no_call_faster_than_the_budget(page_shop: PageShop) -> None:
    """In real time: the gaps are those that the server saw."""
    page_shop.sells(*(f"S{number}" for number in range(9)))
    page_shop.pages |= {"/p/secret/S9": html(product("S9")), "/p/S10?ref=1": html(product("S10"))}
    page_shop.robots = "User-agent: *\nDisallow: /\n\nUser-agent: analytics-pipeline\nAllow: /\nDisallow: /*/secret/\n"
    page_shop.robots += "Disallow: /*?ref="
    products, shop = described(per_second=20), shop_of(page_shop.url)
    for _ in range(2):  # the second client comes at once, and waits all the same
        with PageClient(shop, products.pages) as client:
            crawl = Crawl(client, shop, products, {}, datetime.now(UTC))
            assert sum(batch.num_rows for batch in crawl) == 9
    assert {url.rpartition("/")[2] for url in crawl.listing.forbidden} == {"S9", "S10?ref=1"}
    assert len(page_shop.log) == 2 * 11
    assert min(page_shop.gaps()) >= 0.049
    assert not any("secret" in path or "ref=" in path for path in page_shop.asked())


def test_a_slower_crawl_delay_counts_and_a_faster_one_does_not(
    page_shop: PageShop, crawl: Crawls, bench: Bench
) -> None:
    page_shop.robots = "User-agent: *\nCrawl-delay: 3"
    crawl(per_second=0.5)
    assert bench.waits == [3.0] * 5  # before the sitemap and three pages, and after the last one
    bench.waits.clear()
    page_shop.robots = "User-agent: *\nCrawl-delay: 1"
    crawl(per_second=0.5)
    assert bench.waits == [2.0] * 5
    bench.waits.clear()
    page_shop.robots = "User-agent: *\nRequest-rate: 2/1m"
    crawl(per_second=0.5)
    assert bench.waits == [30.0] * 5


def test_it_names_itself_and_sends_no_credentials(fake: FakeShop, page_shop: PageShop, bench: Bench) -> None:
    auth = {"type": "api_key", "header": "X-Key", "key": "${KEY}"}
    shop = shop_of(page_shop.url, auth=auth, headers={"X-Channel": "7"})
    page = page_shop.pages["/p/S1"]
    page_shop.routes["/p/S1"] = lambda _: Reply(page, headers={**HTML, "Set-Cookie": "basket=1; Path=/"})
    for agent, shown in ((None, "analytics-pipeline/"), ("garden-bot/2 (data@garden.example)", "garden-bot/2 (data")):
        page_shop.robots = (
            "User-agent: *\nDisallow: /\n\nUser-agent: garden-bot\nUser-agent: Analytics-Pipeline\nAllow: /"
        )
        products = described(user_agent=agent)
        with PageClient(shop, products.pages, environment={}, sleep=bench.sleep, clock=lambda: bench.now) as client:
            assert len([*Crawl(client, shop, products, {}, datetime.now(UTC))]) == 3
        headers = {name.lower(): value for name, value in fake.asked[-1].headers.items()}
        assert headers["user-agent"].startswith(shown)
        assert not {"x-key", "x-channel", "authorization", "cookie"} & headers.keys()


@pytest.mark.parametrize(
    "reply", [Reply(b"", 503), Reply(b"", 403), Reply(b"", 401), Reply(b"", 429), Reply(drop=True)]
)
def test_nothing_is_asked_where_robots_txt_cannot_be_read(reply: Reply, page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.routes["/robots.txt"] = lambda _: reply
    found = crawl()
    assert str(found.crawl.fault).startswith(f"GET {page_shop.url}/robots.txt")
    assert set(page_shop.asked()) == {"/robots.txt"}
    assert found.pages == {}


@pytest.mark.parametrize("status", [404, 410, 204])
def test_without_robots_txt_everything_is_allowed(status: int, page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.routes["/robots.txt"] = lambda _: Reply(b"", status)
    assert crawl().ids == ["S1", "S2", "S3"]


@pytest.mark.parametrize(
    "body",
    [
        b"User-agent: *\nDisallow:\n\nUser-agent: analytics-pipeline/0.1.0 # by name and version\nDisallow: /p/\n",
        "User-agent: *\nDisallow: /p/\n".encode("utf-16"),
        b"\xef\xbb\xbfUSER-AGENT:*\rDISALLOW:/p/ # all\r",
        b"User-agent: *\nDisallow: /p/\n" + b"# much\n" * 100_000 + b"Allow: /p/\n",
    ],
)
def test_robots_txt_is_obeyed_however_it_is_written(body: bytes, page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.routes["/robots.txt"] = lambda _: Reply(body)
    assert set(crawl().states().values()) == {"forbidden"}
    assert page_shop.asked() == ["/robots.txt", "/sitemap.xml"]


def test_a_crawl_delay_beyond_a_run_is_obeyed_by_asking_nothing(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.robots = "User-agent: *\nCrawl-delay: 86400"
    assert "asks for 86400 s between two requests" in str(crawl().crawl.fault)
    assert page_shop.asked() == ["/robots.txt"]


def test_robots_txt_of_another_host_says_where_to_set_the_address(
    page_shop: PageShop, stranger: FakeShop, crawl: Crawls
) -> None:
    page_shop.routes["/robots.txt"] = lambda _: Reply(status=301, headers={"Location": f"{stranger.url}/robots.txt"})
    with pytest.raises(ShopRefusedError, match=r"leads from .* to .*see pages\.url"):
        crawl()
    assert stranger.asked == []


def test_redirects_to_other_hosts_and_forbidden_paths_are_not_followed(
    page_shop: PageShop, stranger: FakeShop, crawl: Crawls
) -> None:
    page_shop.robots = "User-agent: *\nDisallow: /cart"
    targets = {
        "S1": "/p/S4",
        "S2": "/cart/S2",
        "S3": f"{stranger.url}/p/S3",
        "S5": "/p/../cart/x",
        "S6": "/p/%2e%2e/%63art",
    }
    page_shop.sells(*targets)
    for sku, target in targets.items():
        page_shop.routes[f"/p/{sku}"] = lambda _, to=target: Reply(status=302, headers={"Location": to})  # type: ignore[misc]
    page_shop.routes["/p/S4"] = lambda _: Reply(html(product("S4")), headers=HTML)
    found = crawl()
    assert found.ids == ["S4"]
    assert list(found.states().values()) == ["read", *["failed"] * 4]
    assert "forbids" in found.reason("S2")
    assert "leads from" in found.reason("S3")
    assert stranger.asked == []
    assert not any("cart" in path for path in page_shop.asked())


def test_a_page_is_judged_by_the_path_that_is_sent(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.robots = "User-agent: *\nDisallow: /cart"
    links = ["/p/../cart/1", "/p/%2e%2e/cart/2", "/p/./S1", "/%70/S2", "//p/S3"]
    page_shop.routes["/sitemap.xml"] = lambda _: Reply(sitemap(page_shop.url, links))
    found = crawl()
    assert found.ids == ["S1", "S2"]
    assert not any("cart" in path for path in page_shop.asked())


def test_redirects_without_an_end_are_of_one_page(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.routes["/p/S1"] = lambda asked: Reply(
        status=302, headers={"Location": f"/p/S1?n={int(asked.query.get('n', 0)) + 1}"}
    )
    found = crawl()
    assert found.ids == ["S2", "S3"]
    assert "goes on after 5 steps" in found.reason("S1")


def test_one_bad_page_stops_nobody(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.sells("S1", "S2")
    page_shop.pages |= {
        "/p/broken": html('{"@type": "Product", "sku":'),
        "/p/empty": html(),
        "/p/dear": html(product("dear", "1.299")),
        "/p/twins": html(product("T", "1"), product("T", "2"), product("U", "3")),
    }
    page_shop.routes["/p/busy"] = lambda _: Reply(b"", 503)
    page_shop.routes["/p/large"] = lambda _: Reply(b"x" * 1_000_000, endless=True, headers=HTML)
    page_shop.routes["/p/left"] = lambda _: Reply(b"", 410)
    page_shop.routes["/p/mine"] = lambda _: Reply(b"", 403)
    paths = [*page_shop.pages, "/p/busy", "/p/S2", "/p/large", "/p/left", "/p/mine"]
    page_shop.routes["/sitemap.xml"] = lambda _: Reply(sitemap(page_shop.url, paths))
    found = crawl(retries=0)
    assert found.ids == ["S1", "S2", "U", "dear"]
    assert found.states() == {
        **dict.fromkeys(["/p/S1", "/p/S2"], "read"),
        **dict.fromkeys(["/p/broken", "/p/empty", "/p/dear", "/p/twins"], "faulty"),
        **dict.fromkeys(["/p/busy", "/p/large", "/p/mine"], "failed"),
        "/p/left": "gone",
    }
    assert "cannot be read" in found.reason("broken")
    assert found.reason("dear") == "the price of an offer may be read in two ways"
    assert found.reason("twins") == "different products on it have the same product_id"
    assert found.reason("mine") == "HTTP 403"
    assert "larger than 64 MB" in found.reason("large")


def test_without_a_sku_the_id_is_the_next_best_and_at_last_the_page(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.pages = {
        "/p/1": html(product(None, productID="P1", mpn="M1")),
        "/p/2": html(product("", mpn="M2")),
        "/p/3": html(product(None)),
        "/p/4": html({**product(None), "sku": 4711}),
    }
    assert crawl().ids == ["4711", "M2", "P1", f"{page_shop.url}/p/3"]


def test_a_run_reads_so_many_pages_and_the_next_ones_go_on_with_the_oldest(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.sells("S1", "S2", "S3", "S4", "S5")
    first = crawl(pages_per_run=2)
    assert (first.ids, first.crawl.due) == (["S1", "S2"], 5)
    second = crawl(first.pages, pages_per_run=2)
    assert second.ids == ["S3", "S4"]
    third = crawl(second.pages, after=DAY, pages_per_run=3)
    assert third.ids == ["S1", "S2", "S5"]


def test_a_run_ends_with_its_time(crawl: Crawls) -> None:
    found = crawl(per_second=0.1, minutes_per_run=0.3)
    assert found.ids == ["S1"]
    assert found.crawl.stopped == "the 0.3 minutes of a run were over (pages.minutes_per_run)"


def test_a_page_is_read_again_when_it_changed_or_after_so_many_days(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.lastmod = (datetime.now(UTC) - DAY).isoformat()
    first = crawl()
    assert first.ids == ["S1", "S2", "S3"]
    assert crawl(first.pages, after=29 * DAY).ids == []
    assert crawl(first.pages, after=30 * DAY).ids == ["S1", "S2", "S3"]
    page_shop.lastmod = (datetime.now(UTC) + DAY).isoformat()
    assert crawl(first.pages, after=2 * DAY).ids == ["S1", "S2", "S3"]
    page_shop.lastmod = None  # the sitemap says nothing: once a day
    assert crawl(first.pages, after=DAY / 2).ids == []
    assert crawl(first.pages, after=DAY).ids == ["S1", "S2", "S3"]


def test_all_are_read_again_by_another_rule(crawl: Crawls) -> None:
    first = crawl()
    assert crawl(first.pages).ids == []
    assert crawl(first.pages, record="variant").ids == ["S1", "S2", "S3"]


def test_a_page_that_is_unchanged_is_not_sent_again(page_shop: PageShop, crawl: Crawls) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("If-None-Match") == '"v1"':
            return Reply(b"", 304)
        return Reply(html(product("S1")), headers={**HTML, "ETag": '"v1"'})

    page_shop.sells("S1")
    page_shop.routes["/p/S1"] = answer
    first = crawl()
    second = crawl(first.pages, after=DAY)
    (before,), (page,) = first.pages.values(), second.pages.values()
    assert (second.ids, page.state, page.status, page.product_ids) == ([], "read", 304, ("S1",))
    assert page.read_at is not None
    assert before.read_at is not None
    assert page.read_at > before.read_at
    assert crawl(second.pages, after=DAY, record="variant").ids == ["S1"]


def test_a_shop_that_fails_page_after_page_is_left_alone(page_shop: PageShop, crawl: Crawls) -> None:
    page_shop.sells(*(f"S{number}" for number in range(20)))
    for path in page_shop.pages:
        page_shop.routes[path] = lambda _: Reply(b"", 500)
    found = crawl(retries=0)
    assert found.crawl.stopped == "5 pages in a row gave no answer"
    assert len(page_shop.asked()) == 2 + 5


def test_patterns_choose_the_product_pages(page_shop: PageShop, crawl: Crawls) -> None:
    paths = ["/p/1", "/de/p/2", "/blog/p/3", "/p/4/reviews", "/item?id=5", "/items"]
    page_shop.routes["/sitemap.xml"] = lambda _: Reply(sitemap(page_shop.url, paths))
    listed = crawl(paths=["/p/*$", "/*/p/", "/item?id="]).crawl.listing
    assert [url.removeprefix(page_shop.url) for url in listed.pages] == [
        "/p/1",
        "/de/p/2",
        "/blog/p/3",
        "/p/4/reviews",
        "/item?id=5",
    ]
    assert [*crawl(paths="/*/reviews$").crawl.listing.pages] == [f"{page_shop.url}/p/4/reviews"]
