"""Products from public pages, run after run: nothing that was read is lost, and nothing passes silently."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.history.pages import pages_line
from analytics_pipeline.orchestration.assets.extracting import SOURCE_COUNT
from analytics_pipeline.orchestration.assets.odd import READABLE_RECORDS
from analytics_pipeline_tests.cases.small_shop import BERLIN, Case
from analytics_pipeline_tests.fake_shop import Reply
from analytics_pipeline_tests.page_shop import PageShop, html, product, sitemap

SELECTION = [dg.AssetKey(["raw", "products"]), dg.AssetKey(["clean", "products"])]
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dataclass
class Loaded:
    """What a load of the products reported."""

    result: dg.ExecuteInProcessResult

    def check(self, name: str) -> tuple[bool, dg.AssetCheckSeverity, dict[str, Any]]:
        """Whether a check of raw/products passed, how bad it is, and its figures."""
        found = next(one for one in self.result.get_asset_check_evaluations() if one.check_name == name)
        figures = {key: value.value for key, value in found.metadata.items()}
        return found.passed, found.severity, figures


Load = Callable[..., Loaded]


@pytest.fixture
def page_shop(case: Case) -> PageShop:
    """The small shop's API with public pages beside it, and a description that reads products from these."""
    shop = PageShop(case.shop.fake)
    shop.sells("P1", "P2", "P3", "P4", "P5")
    case.describe(
        limits={"retries": 0}, products={"pages": {"paths": ["/p/*"], "per_second": 1000, "pages_per_run": 3}}
    )
    return shop


@pytest.fixture
def load(case: Case) -> Load:
    """Materialise raw and clean products, and nothing else, in a job: `load("late_changes")`."""

    def run(name: str = "daily") -> Loaded:
        job = case.definitions.resolve_job_def(name)
        result = job.execute_in_process(instance=case.instance, asset_selection=SELECTION, raise_on_error=False)
        return Loaded(result)

    return run


def prices(case: Case) -> dict[str, str]:
    rows = case.rows("select product_id, price::numeric(19,2)::text as price from clean.products order by 1")
    return {row["product_id"]: row["price"] for row in rows}


def states(case: Case) -> dict[str, str]:
    rows = case.rows("select url, state from ops.product_pages order by 1")
    return {row["url"].rpartition("/")[2]: row["state"] for row in rows}


def test_runs_read_page_after_page_and_nothing_that_was_read_is_lost(
    case: Case, page_shop: PageShop, load: Load
) -> None:
    passed, severity, figures = load().check(SOURCE_COUNT)
    assert (passed, severity) == (False, WARN)
    assert (figures["pages_listed"], figures["pages_not_read_yet"]) == (5, 2)
    assert prices(case) == dict.fromkeys(["P1", "P2", "P3"], "19.99")
    page_shop.pages["/p/P4"] = html(product("P4", "1.299"), product("P4b", "5,50"))
    page_shop.pages["/p/P5"] = html('{"@type": "Product"')
    second = load()
    assert second.check(SOURCE_COUNT)[0]
    passed, severity, figures = second.check(READABLE_RECORDS)
    assert (passed, severity, figures["pages_faulty"]) == (False, WARN, 2)
    assert f"{page_shop.url}/p/P4: the price of an offer may be read in two ways" in figures["examples"]
    assert f"{page_shop.url}/p/P5: its JSON-LD cannot be read" in figures["examples"]
    assert states(case) == {"P1": "read", "P2": "read", "P3": "read", "P4": "faulty", "P5": "faulty"}
    assert prices(case) == {**dict.fromkeys(["P1", "P2", "P3"], "19.99"), "P4": None, "P4b": "5.50"}

    # Later the sitemap says that pages have changed; one is gone, and its product was sold once.
    page_shop.asked()
    page_shop.pages |= {"/p/P1": html(product("P1", 21)), "/p/P5": html(product("P5"))}
    page_shop.routes["/p/P2"] = lambda _: Reply(b"", 404)
    page_shop.lastmod = "2999-01-01"
    load()
    assert page_shop.asked()[2:] == ["/p/P1", "/p/P2", "/p/P3"]
    load()
    assert prices(case) == {"P1": "21.00", "P2": "19.99", "P3": "19.99", "P4": None, "P4b": "5.50", "P5": "19.99"}
    assert states(case) == {"P1": "read", "P2": "gone", "P3": "read", "P4": "faulty", "P5": "read"}


def test_a_shop_that_lists_little_or_does_not_answer_clears_nothing(
    case: Case, page_shop: PageShop, load: Load
) -> None:
    page_shop.routes["/robots.txt"] = lambda _: Reply(b"", 503)
    assert not load().result.success  # nothing has ever been read: that is no warning
    page_shop.routes.clear()
    case.describe(lambda changed: changed["products"]["pages"].update(pages_per_run=9))
    assert load().check(SOURCE_COUNT)[0]
    whole = prices(case)
    assert len(whole) == 5

    page_shop.routes["/robots.txt"] = lambda _: Reply(b"", 503)
    passed, severity, figures = load().check(SOURCE_COUNT)
    assert (passed, severity) == (False, WARN)
    assert "/robots.txt gave no whole answer in 1 attempts; the last: HTTP 503" in figures["faults"]

    page_shop.routes = {"/sitemap.xml": lambda _: Reply(sitemap(page_shop.url, ["/p/P1", "/p/P2"]))}
    passed, severity, figures = load().check(SOURCE_COUNT)
    assert (passed, severity, figures["read_before_and_listed_no_more"]) == (False, WARN, 3)

    page_shop.routes = {"/sitemap.xml": lambda _: Reply(sitemap(page_shop.url, []))}
    none = load()
    assert none.check(SOURCE_COUNT)[:2] == (False, ERROR)
    assert not none.result.success
    assert prices(case) == whole


def test_prices_on_pages_are_no_cents_though_the_api_writes_cents(case: Case, page_shop: PageShop, load: Load) -> None:
    page_shop.pages = {"/p/P1": html(product("P1", "1999")), "/p/P2": html(product("P2", 5.25))}
    case.describe(money={"unit": "minor"})
    load()
    assert prices(case) == {"P1": "1999.00", "P2": "5.25"}


def test_runs_for_changed_orders_do_not_wait_for_pages_that_were_read_within_the_day(
    case: Case, page_shop: PageShop, load: Load
) -> None:
    load()
    page_shop.asked()
    before = case.rows("select * from ops.product_pages order by url")
    rested = load("late_changes")
    assert rested.result.success
    assert page_shop.asked() == []
    assert case.rows("select * from ops.product_pages order by url") == before
    passed, _, figures = rested.check(SOURCE_COUNT)
    assert (passed, figures["pages_listed"], figures["pages_not_read_yet"]) == (False, 5, 2)
    assert figures["stopped"].endswith("runs for changed orders read pages once a day")
    assert pages_line(case.database, BERLIN).startswith(
        "pages        3 of 5 product pages read, the oldest reading of 2"
    )
    with case.database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("update ops.product_pages set listed_at = listed_at - interval '20 hours'")
        connection.commit()
    load("late_changes")
    assert page_shop.asked() == ["/robots.txt", "/sitemap.xml", "/p/P4", "/p/P5"]
