"""The commands that help to describe a shop, against a running one."""

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.shop.schema import FIRST_LINE, description_schema
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.conftest import describe

StartShop = Callable[..., RunningShop]
OPENED, DAY = date(2026, 1, 1), "2026-01-05"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder; what commands put into the environment is forgotten."""
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ, ANALYTICS_HOME=str(tmp_path / "home")):
        yield tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def shop_of(start_shop: StartShop, folder: Path, **changes: dict[str, object]) -> str:
    running = start_shop(
        opened=OPENED, orders_per_day=(4, 4), bad_share=0.0, test_share=0.0, cancel_share=0.0, edit_share=0.0
    )
    return describe(running, folder, **changes).name


def test_check_says_of_each_mapped_path_in_how_many_records_it_was_found(start_shop: StartShop, folder: Path) -> None:
    found = call("shop", "check", shop_of(start_shop, folder), "--date", DAY)
    assert found.exit_code == 0, found.output
    assert re.search(r"^  order_id +id +found in 4 of 4$", found.output, re.MULTILINE)
    assert re.search(r"^  lines\.unit_price +unit_price +found in (\d+) of \1$", found.output, re.MULTILINE)
    assert re.search(r"^  cancelled_at +cancelled_at +found in 0 of 4$", found.output, re.MULTILINE)
    assert re.search(r"^  first_order_at +first_order_at +found in \d+ of \d+$", found.output, re.MULTILINE)


def test_check_fails_for_a_path_that_no_record_has_and_names_the_one_that_was_meant(
    start_shop: StartShop, folder: Path
) -> None:
    orders: dict[str, object] = {"fields": {**_fields(), "total": "totl"}}
    found = call("shop", "check", shop_of(start_shop, folder, orders=orders), "--date", DAY)
    assert re.search(r"^warn  orders .*total \(`totl`\): mapped, found in 0 of 4", found.output, re.MULTILINE)
    assert "did you mean total?" in found.output


def test_offline_a_file_is_checked_and_the_shop_is_not_asked(start_shop: StartShop, folder: Path) -> None:
    name = shop_of(start_shop, folder)
    path = folder / name
    path.write_text(re.sub(r"base_url: .*", "base_url: http://127.0.0.1:9", path.read_text(encoding="utf-8")))
    assert call("shop", "check", name, "--offline").exit_code == 0
    assert call("shop", "check", name, "--date", DAY).exit_code == 1
    path.write_text(path.read_text(encoding="utf-8").replace("currency:", "curency:"))
    wrong = call("shop", "check", name, "--offline")
    assert wrong.exit_code == 1
    assert "curency: is no key of a description; did you mean currency?" in wrong.output


def test_preview_shows_orders_totals_figures_and_what_nothing_reads(start_shop: StartShop, folder: Path) -> None:
    fields = {name: path for name, path in _fields().items() if name != "email"}
    found = call("shop", "preview", shop_of(start_shop, folder, orders={"fields": fields}), "--date", DAY)
    assert found.exit_code == 0, found.output
    assert f"4 clean orders of {DAY}" in found.output
    assert "D20260105-" in found.output
    assert "total: 4 of 4 equal the sum of their parts" in found.output
    assert re.search(rf"^ +{DAY} +EUR +\d+ +\d+\.\d\d ", found.output, re.MULTILINE)
    assert re.search(r"^  email \(string, in \d of 4, such as string of \d+ characters\)$", found.output, re.MULTILINE)


def test_preview_says_what_would_go_into_quarantine(start_shop: StartShop, folder: Path) -> None:
    orders: dict[str, object] = {"fields": {**_fields(), "total": "tax_total"}}
    found = call("shop", "preview", shop_of(start_shop, folder, orders=orders), "--date", DAY)
    assert "total: 0 of 4 equal the sum of their parts" in found.output
    assert "total: does not equal the sum of its parts (4, such as D20260105-" in found.output


def test_init_begins_a_description_with_the_schema_beside_it_and_writes_over_none(folder: Path) -> None:
    made = call("shop", "init", "garden-shop")
    assert made.exit_code == 0, made.output
    path = folder / "shops" / "garden-shop.yaml"
    assert path.read_text(encoding="utf-8").splitlines()[0] == FIRST_LINE
    assert (path.parent / FIRST_LINE.partition("$schema=")[2]).resolve() == folder / "shop.schema.json"
    assert json.loads((folder / "shop.schema.json").read_text(encoding="utf-8")) == description_schema()
    assert load_shop(path).name == "garden-shop"
    assert "GARDEN_SHOP_TOKEN" in made.output
    again = call("shop", "init", "garden-shop")
    assert again.exit_code == 1
    assert "exists already, and nothing was written" in again.output


def test_init_begins_with_a_packaged_description_under_the_shops_own_name(folder: Path) -> None:
    assert call("shop", "init", "my-demo", "--like", "demo").exit_code == 0
    assert load_shop(folder / "shops" / "my-demo.yaml").name == "my-demo"
    refused = call("shop", "init", "other", "--like", "nothing-such")
    assert refused.exit_code == 1
    assert "there is no packaged shop 'nothing-such'; there are: bigcommerce, demo, " in refused.output


def test_list_names_own_and_packaged_descriptions_and_says_which_is_wrong(folder: Path) -> None:
    assert "packaged: The demo shop" in call("shop", "list").output
    call("shop", "init", "garden-shop")
    (folder / "shops" / "broken.yaml").write_text("name: broken\n", encoding="utf-8")
    listed = call("shop", "list").output
    assert re.search(r"^garden-shop +.*: shop garden-shop, EUR, Europe/Berlin, since 2025-01-01$", listed, re.MULTILINE)
    assert re.search(r"^broken +.*: wrong, \d+ faults; see `shop check broken`$", listed, re.MULTILINE)


def test_schema_prints_what_init_writes(folder: Path) -> None:
    assert json.loads(call("shop", "schema").output) == description_schema()
    assert list(folder.iterdir()) == []


def _fields() -> dict[str, object]:
    return {name: path for name, path in load_shop("demo").orders.fields if path is not None}


def test_check_shows_what_the_shop_said_when_it_refused(start_shop: StartShop, folder: Path) -> None:
    running = start_shop(opened=OPENED, orders_per_day=(4, 4), key="another-key")
    found = call("shop", "check", describe(running, folder).name, "--date", DAY)
    assert found.exit_code == 1
    assert re.search(r"^FAIL  shop .*HTTP 401", found.output, re.MULTILINE)
    assert re.search(r"^ +its words: +\S", found.output, re.MULTILINE)
