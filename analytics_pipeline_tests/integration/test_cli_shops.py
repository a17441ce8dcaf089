"""The commands over two shops of a folder, in two zones: each shop's own days, and one that fails stops no other."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline.history.binding import bind
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import describe, in_namespace

ZONES = {"de": ("Europe/Berlin", "EUR"), "us": ("America/New_York", "USD")}

Call = Callable[..., Result]


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[dict[str, RunningShop]]:
    """Two shops, described in the folder of the user."""
    opened = datetime.now(UTC).date() - timedelta(days=4)
    folder = tmp_path / "shops"
    folder.mkdir()
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                serve(DemoShopSettings(opened=opened, orders_per_day=(5, 8), timezone=zone, currency=currency))
            )
            for name, (zone, currency) in ZONES.items()
        }
        for name, shop in running.items():
            in_namespace(describe(shop, tmp_path, limits={"retries": 0}), name).rename(folder / f"{name}.yaml")
        yield running


@pytest.fixture
def call(shops: dict[str, RunningShop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls a command in the folder."""
    monkeypatch.setenv("ANALYTICS_PROJECT", str(tmp_path))
    monkeypatch.setenv("ANALYTICS_SHOP", "all")  # what a command sets is as before after the test
    definitions = build_definitions([str(path_of(tmp_path, name)) for name in shops])
    monkeypatch.setattr("analytics_pipeline.definitions.defs", definitions)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def path_of(folder: Path, name: str) -> Path:
    return folder / "shops" / f"{name}.yaml"


def yesterday(folder: Path, name: str) -> date:
    return last_complete_day(load_shop(path_of(folder, name)), datetime.now(UTC))


def loaded_days(database: Database, name: str) -> list[date]:
    table = 'select distinct order_date as day from "@raw".orders'
    return [row["day"] for row in query(database.of(name), table)]


@pytest.mark.usefixtures("instance")
def test_of_two_shops_one_that_is_down_is_named_and_the_other_is_loaded_to_its_own_yesterday(
    call: Call, shops: dict[str, RunningShop], database: Database, tmp_path: Path
) -> None:
    shops["us"].stop()

    done = call("run")

    assert done.exit_code == FAILED, done.output
    assert "1 of 2 shops failed: us" in done.stderr
    assert loaded_days(database, "de") == [yesterday(tmp_path, "de")]
    assert f"{yesterday(tmp_path, 'de')}: done in " in done.stdout.partition("== us")[0]
    together = done.stdout.partition("== all shops")[2]
    assert f"{yesterday(tmp_path, 'de')}: marts.daily_revenue_of_shops done" in together
    warned = f"no_shop_lacks_a_day of marts/daily_revenue_of_shops: us {yesterday(tmp_path, 'us')}" in done.stderr
    is_over_in_both = yesterday(tmp_path, "us") == yesterday(tmp_path, "de")  # between the two midnights it is not
    assert warned == is_over_in_both
    later = call("catch-up")
    assert " orders seen" in later.stdout.partition("== us")[0]
    assert "No business day is loaded yet" in later.stdout.partition("== us")[2]
    shown = call("status")
    assert shown.exit_code == 0, shown.output
    german, _, american = shown.stdout.partition("== us")
    assert "shop         de (Europe/Berlin, EUR)" in german
    assert f"loaded       {yesterday(tmp_path, 'de')} to {yesterday(tmp_path, 'de')}" in german
    assert "shop         us (America/New_York, USD)" in american
    assert "loaded       nothing yet" in american
    assert "mart         marts.daily_revenue_of_shops: as the shops have their days" in american
    assert (f"GAP          us lacks {yesterday(tmp_path, 'us')}" in american) == is_over_in_both
    assert [call("status", "--shop", name).exit_code for name in (*ZONES, "fr")] == [0, 0, FAILED]
    planned = json.loads(call("plan", "--json", "--shop", "all").stdout)
    assert {name: planned[name]["schema"] for name in ZONES} == {"de": [], "us": []}
    assert [one["mart"] for one in planned["all shops"]["marts"]] == ["marts.daily_revenue_of_shops"]
    checked = json.loads(call("status", "--check", "--json").stdout)
    assert checked["all shops"]["marts"] == planned["all shops"]["marts"]
    assert (str(yesterday(tmp_path, "us")) in checked["all shops"]["gaps"].get("us", "")) == is_over_in_both
    ticks = {name: {tick["name"] for tick in answer["ticks"]} for name, answer in checked.items()}
    assert {"all_shops", "alerts_of_all_shops"} == ticks["all shops"]
    assert [{"all_shops", "alerts_of_all_shops"} & ticks[name] for name in ZONES] == [set(), set()]
    for arguments in (["alerts"], ["anomalies"], ["excerpts"], ["quarantine", "list"]):
        told = call(*arguments)
        of_all = arguments in (["alerts"], ["excerpts"])
        assert (told.exit_code, told.stdout.count("== ")) == (0, 2 + of_all), told.output
    assert "run_failed" in call("alerts").stdout.partition("== us")[2]
    examined = call("doctor").stdout.partition("== us")
    assert ["\nFAIL  shop" in part for part in (examined[0], examined[2])] == [False, True]
    assert "schemas and tables can be created in us_raw, us_clean, us_ops and us_marts" in examined[2]
    american, _, once = examined[2].partition("== all shops")
    assert ["\nok    " + subject in once for subject in ("versions", "instance", "schemas", "alerts")] == [True] * 4
    assert "versions" not in examined[0] + american
    assert "marts        1 over all shops; to be computed: " in once
    assert "in us_raw and so on" in call("shop", "list").stdout


def test_a_shop_whose_namespace_has_changed_is_said_to_be_left_behind_under_the_former_one(
    call: Call, database: Database, tmp_path: Path
) -> None:
    bind(database.of("de"), load_shop(path_of(tmp_path, "de")))
    assert "LEFT BEHIND" not in call("status").stdout
    in_namespace(path_of(tmp_path, "de"), "at")
    path_of(tmp_path, "de").write_text(
        path_of(tmp_path, "de").read_text(encoding="utf-8").replace("name: at", "name: de", 1), encoding="utf-8"
    )

    german, _, american = call("status").stdout.partition("== us")

    assert "LEFT BEHIND  the shop de is also in de_ops" in german
    assert "LEFT BEHIND" not in american
    assert "UNDESCRIBED" not in american


def test_a_shop_that_no_description_names_any_more_is_told_of_and_nothing_that_nobody_needs_is_made(
    call: Call, database: Database, tmp_path: Path
) -> None:
    bind(database.of("fr"), load_shop(path_of(tmp_path, "de")).model_copy(update={"name": "garden"}))
    said = "fr_raw and so on hold the shop garden, which no description names"

    several = call("status")
    path_of(tmp_path, "us").unlink()
    alone = call("status")

    assert several.stdout.count(f"UNDESCRIBED  {said}") == 1
    assert said in several.stdout.partition("== all shops")[2]
    assert f"UNDESCRIBED  {said}" in alone.stdout
    schemas = {row["name"] for row in query(database, "select nspname as name from pg_namespace")}
    assert {"fr_ops", "de_ops"} <= schemas
    assert "ops" not in schemas
    path_of(tmp_path, "garden").write_text("name: garden\n", encoding="utf-8")  # wrong, and somebody is at work on it
    assert "UNDESCRIBED" not in call("status").stdout


def test_what_is_for_one_shop_names_those_there_are(call: Call) -> None:
    for arguments in (["rebind"], ["shop", "preview"], ["plan", "--cells", "changes.csv"]):
        refused = call(*arguments)
        assert refused.exit_code == FAILED
        assert "de, us" in refused.stderr
        assert "choose one with --shop NAME" in refused.stderr
    checked = call("shop", "check", "--offline")
    assert (checked.exit_code, checked.stdout.count("ok    description")) == (0, 2)


@pytest.mark.usefixtures("instance")
def test_a_shop_whose_description_is_wrong_is_named_with_its_fault_and_the_others_are_shown(
    call: Call, tmp_path: Path
) -> None:
    path_of(tmp_path, "us").write_text("name: us\n", encoding="utf-8")

    shown = call("status")
    watched = call("status", "--check", "--json", "--without-daemon")

    assert (shown.exit_code, watched.exit_code) == (FAILED, FAILED)
    assert "shop         de" in shown.stdout
    assert "BROKEN       marts.daily_revenue_of_shops is not computed: " in shown.stdout
    assert f"Error: us: {path_of(tmp_path, 'us')}: the shop description is wrong" in shown.stderr
    answers = json.loads(watched.stdout)
    assert [answers[name]["shop"] for name in ZONES] == ["de", str(path_of(tmp_path, "us"))]
    assert "the shop description is wrong" in answers["us"]["problems"][0]
    assert "marts.daily_revenue_of_shops is not computed: " in answers["all shops"]["problems"][0]
