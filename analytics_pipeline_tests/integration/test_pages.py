"""The demo shop's products by its public pages: the same as by its API; what commands say of pages is true."""

import os
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.demo_shop.pages import ASKED, FORBIDDEN
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import describe

OPENED = date(2026, 11, 20)
SELECTION = [dg.AssetKey(["raw", "products"]), dg.AssetKey(["clean", "products"])]
PAGES: dict[str, Any] = {"paths": ["/p/"], "per_second": 200}


@pytest.fixture
def shop(start_shop: Callable[..., RunningShop]) -> RunningShop:
    return start_shop(opened=OPENED, orders_per_day=(4, 4), key="the shop's key")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_KEY", "the shop's key")
    with patch.dict(os.environ, ANALYTICS_HOME=str(tmp_path / "home")):
        yield tmp_path


def described(shop: RunningShop, folder: Path, pages: dict[str, Any] | None = None) -> Path:
    path = describe(shop, folder, auth={"type": "bearer", "token": "${SHOP_KEY}"})
    if pages is not None:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) | {"products": {"pages": pages}}
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def asked(shop: RunningShop) -> list[str]:
    return [params["path"] for name, params in shop.shop.asked if name == ASKED]


def test_products_by_pages_equal_those_by_the_api(shop: RunningShop, folder: Path, database: Database) -> None:
    def products(path: Path) -> list[dict[str, Any]]:
        with dg.DagsterInstance.ephemeral() as instance:
            job = build_definitions(str(path)).resolve_implicit_global_asset_job_def()
            assert job.execute_in_process(instance=instance, asset_selection=SELECTION).success
        return query(database, "select product_id, title, category, price from clean.products order by 1")

    by_api = products(described(shop, folder))
    by_pages = products(described(shop, folder, PAGES))
    assert len(by_api) > 30
    assert by_pages == by_api
    sources = query(database, "select count(*) as n from raw.products where payload ->> '_page' is not null")
    assert sources == [{"n": len(by_api)}]
    assert asked(shop)[:3] == ["/robots.txt", "/sitemap.xml", "/sitemaps/products.xml.gz"]
    assert not [path for path in asked(shop) if path.startswith(FORBIDDEN)]
    states = query(database, "select state, count(*) as n from ops.product_pages group by 1 order by 1")
    assert states == [{"state": "forbidden", "n": len(by_api)}, {"state": "read", "n": len(by_api)}]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_check_and_preview_say_what_the_pages_are_like(shop: RunningShop, folder: Path) -> None:
    name = described(shop, folder, PAGES).name
    found = call("shop", "check", name, "--date", "2026-11-21")
    assert found.exit_code == 0, found.output
    [line] = re.findall(r"^ok    products +(.*)$", found.output, re.MULTILINE)
    assert f"robots.txt of {shop.url} read as analytics-pipeline; " in line
    assert re.search(r"(\d+) product pages may be read, of 2 sitemaps, \1 forbidden by robots\.txt, 1 of other", line)
    assert f"{shop.url}/p/P001-chef-s-knife gives 1 product; all are read after 1 run of 100 pages" in line
    assert re.search(r"^  price +_price +found in 1 of 1$", found.output, re.MULTILINE)
    shown = call("shop", "preview", name, "--date", "2026-11-21")
    assert re.search(r"^ +P001 +Chef's knife +Kitchen +\d+\.\d\d$", shown.output, re.MULTILINE), shown.output
    assert f"the products above are those of {shop.url}/p/P001-chef-s-knife" in shown.output


def test_check_fails_where_no_page_can_be_found(shop: RunningShop, folder: Path) -> None:
    name = described(shop, folder, {**PAGES, "paths": ["/items/"]}).name
    found = call("shop", "check", name, "--date", "2026-11-21")
    assert found.exit_code == 1
    assert re.search(r"^FAIL  products .*0 product pages may be read.*See pages\.paths", found.output, re.MULTILINE)
    name = described(shop, folder, {**PAGES, "paths": ["/"]}).name  # the shop's first page is no product
    found = call("shop", "check", name, "--date", "2026-11-21")
    assert re.search(rf"^FAIL  products .*{shop.url}/ gives no product: HTTP 404$", found.output, re.MULTILINE)
