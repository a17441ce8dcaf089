"""Several shops in one installation, in two zones and currencies: each is right, whatever the other one does."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.orchestration.running import days_in_flight, range_tags
from analytics_pipeline.tables.shape import LAYERS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline, at, describe, in_namespace
from analytics_pipeline_tests.integration.truth import agrees, run_rightly

OPENED, LAST = date(2025, 6, 2), date(2025, 6, 4)
NOW = at("2025-07-01T10:00:00+02:00")
BERLIN = DemoShopSettings(opened=OPENED, orders_per_day=(8, 12))
NEW_YORK = DemoShopSettings(opened=OPENED, orders_per_day=(8, 12), seed=7, timezone="America/New_York", currency="USD")


@pytest.fixture
def shops(database: Database, instance: dg.DagsterInstance, tmp_path: Path) -> Iterator[dict[str, Pipeline]]:
    """A shop in Berlin and one in New York, neither with the plain names."""
    with ExitStack() as stack:
        running = {
            "de": stack.enter_context(serve(BERLIN, now=lambda: NOW)),
            "us": stack.enter_context(serve(NEW_YORK, now=lambda: NOW)),
        }
        described = {name: in_namespace(describe(shop, tmp_path), name) for name, shop in running.items()}
        definitions = build_definitions([*map(str, described.values())])
        yield {
            name: Pipeline(shop, described[name], definitions, instance, database.of(name))
            for name, shop in running.items()
        }


def test_each_of_two_shops_is_right_to_the_cent_in_its_own_schemas(shops: dict[str, Pipeline]) -> None:
    german, american = shops["de"], shops["us"]
    assert run_rightly(german, OPENED, LAST)
    assert run_rightly(american, OPENED, LAST)
    assert run_rightly(german, LAST, LAST)
    assert agrees(german, OPENED, LAST)
    assert {row["currency"] for row in american.rows("select currency from marts.daily_revenue")} == {"USD"}
    schemas = {str(row["name"]) for row in query(german.database, "select nspname as name from pg_namespace")}
    assert not schemas & {*LAYERS}


def test_a_shop_that_is_down_stops_no_other(shops: dict[str, Pipeline]) -> None:
    american = shops["us"]
    american.shop.stop()

    assert not american.run(OPENED).succeeded
    assert run_rightly(shops["de"], OPENED, OPENED)
    assert [row["n"] for row in american.rows("select count(*) as n from ops.materialised_days")] == [0]


def test_a_wrong_description_among_several_is_shown_and_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("name: wrong\n", encoding="utf-8")

    definitions = build_definitions(["demo", str(tmp_path / "wrong.yaml")])

    specs = {spec.key.to_user_string(): spec.description for spec in definitions.resolve_all_asset_specs()}
    assert "**Broken, and not loaded:**" in str(specs["shops/wrong"])
    assert "wrong.yaml" in str(specs["shops/wrong"])
    assert "raw/orders" in specs


@pytest.mark.parametrize("namespaces", [(None, None), ("de", "de")])
def test_two_shops_that_would_write_the_same_tables_are_refused(
    namespaces: tuple[str | None, str | None], tmp_path: Path
) -> None:
    with serve(BERLIN, now=lambda: NOW) as shop:
        paths = [describe(shop, tmp_path) for _ in namespaces]
    for path, namespace in zip(paths, namespaces, strict=True):
        if namespace:
            in_namespace(path, namespace)
    with pytest.raises(SettingsError, match=r"both would write the same tables"):
        build_definitions([*map(str, paths)])


def test_days_in_flight_are_those_of_the_shops_own_runs(shops: dict[str, Pipeline]) -> None:
    german = shops["de"]
    days = Days(OPENED, LAST)
    german.instance.create_run_for_job(german.definitions.resolve_job_def("de_daily"), tags=range_tags(days))

    assert days_in_flight(german.instance, "de") == set(days)
    assert days_in_flight(german.instance, "us") == days_in_flight(german.instance) == set()
