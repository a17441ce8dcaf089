"""Several shops in one installation, in two zones and currencies: each is right, whatever the other one does."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.alerts.record import read_open
from analytics_pipeline.catalogue import build_installation
from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.all_shops import publish_of_shops, stale_days_of_shops
from analytics_pipeline.job_names import ALL_SHOPS
from analytics_pipeline.orchestration.alerting import evaluate_all_shops
from analytics_pipeline.orchestration.all_shops import stale_ranges
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.orchestration.running import days_in_flight, range_tags, run_days
from analytics_pipeline.tables.shape import LAYERS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import prepare, read_stored
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline, at, describe, in_namespace
from analytics_pipeline_tests.integration.tables import execute
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
        described = {
            name: in_namespace(describe(shop, tmp_path, limits={"retries": 0}), name) for name, shop in running.items()
        }
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


OF_SHOPS = "select event_date, shop, currency, net_sales, gap from marts.daily_revenue_of_shops order by 1, 2, 3"


def test_a_mart_over_all_shops_has_each_shops_figures_and_names_what_one_lacks(
    shops: dict[str, Pipeline], database: Database
) -> None:
    german, american = shops["de"], shops["us"]
    installation = build_installation([str(shop.description) for shop in shops.values()])

    def compute() -> list[dict[str, Any]]:
        warnings.clear()
        for days in stale_ranges(database, installation):
            summary = run_days(german.definitions, german.instance, days, job_name=ALL_SHOPS)
            assert summary.succeeded, summary.failures
            warnings.extend(summary.warnings)
        assert stale_ranges(database, installation) == []
        return query(database, OF_SHOPS)

    warnings: list[str] = []
    german.run(OPENED, LAST)
    lacking = compute()
    assert "us 2025-06-02 to " in warnings[0]
    rows = german.rows("select event_date, currency, net_sales from marts.daily_revenue")
    assert [row for row in lacking if row["shop"] == "de" and row["event_date"] <= LAST] == [
        {**row, "shop": "de", "gap": None} for row in sorted(rows, key=lambda row: str(row["event_date"]))
    ]
    american_rows = [row for row in lacking if row["shop"] == "us"]
    assert {(row["net_sales"], row["gap"], row["currency"]) for row in american_rows} == {(None, "not loaded", "USD")}
    assert {OPENED, LAST} <= {row["event_date"] for row in american_rows}

    american.run(OPENED)
    found = {(row["event_date"], row["shop"]): row for row in compute() if row["event_date"] <= LAST}
    assert warnings == []  # of that day
    [paid] = american.rows("select net_sales from marts.daily_revenue")
    assert found[OPENED, "us"]["net_sales"] == paid["net_sales"]
    assert found[LAST, "us"]["gap"] == "not loaded"
    assert [found[OPENED, "de"]] == [row for row in lacking if (row["event_date"], row["shop"]) == (OPENED, "de")]


def written(database: Database, namespace: str, *days: date) -> None:
    """Note days as those of a shop's revenue, as a run does that has written them."""
    own = database.of(namespace)
    prepare(own)
    for day in days:
        execute(
            own,
            'insert into "@ops".materialised_days '
            "(table_name, day, first_written_at, written_at, run_id, as_of, code_version) "
            f"values ('marts.daily_revenue', '{day}', now(), now(), 'run', now(), 'version')",
        )


def test_what_is_a_gap_changes_with_the_first_day_that_a_shop_has_loaded(
    shops: dict[str, Pipeline], database: Database
) -> None:
    installation = build_installation([str(shop.description) for shop in shops.values()])
    between, gap = OPENED.replace(day=OPENED.day + 1), "not loaded"
    prepare(database)

    def american_days() -> list[tuple[date, str | None]]:
        for days in stale_ranges(database, installation):
            publish_of_shops(database, installation.marts[0], installation.shops_of_marts, days, "run")
        assert stale_ranges(database, installation) == []
        rows = query(database, OF_SHOPS)
        return [(row["event_date"], row["gap"]) for row in rows if row["shop"] == "us" and row["event_date"] <= LAST]

    written(database, "de", OPENED, between, LAST)
    assert american_days() == [(OPENED, gap), (between, gap), (LAST, gap)]
    written(database, "us", LAST)
    assert american_days() == [(LAST, None)]
    written(database, "us", OPENED)
    assert american_days() == [(OPENED, None), (between, gap), (LAST, None)]
    written(database, "us", OPENED.replace(day=1))  # before its first_day, which was moved: there is no such partition
    assert stale_ranges(database, installation) == []


WHOLE = """-- How many days each shop has.
-- grain: shop
-- shops: all
select
    shop, -- The shop.
    count(distinct event_date) as days -- Its days.
from marts.daily_revenue
group by shop
"""


def test_a_mart_without_days_is_computed_once_for_what_the_shops_have_and_a_failure_is_not_tried_at_each_look(
    shops: dict[str, Pipeline], database: Database, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "days_of_shops.sql").write_text(WHOLE, encoding="utf-8")
    paths = [str(shop.description) for shop in shops.values()]
    installation, definitions = build_installation(paths, tmp_path), build_definitions(paths, tmp_path)
    [whole] = [mart for mart in installation.marts if not mart.is_daily]
    prepare(database)

    def asks() -> bool:
        context = dg.build_sensor_context(
            instance=instance,
            repository_def=definitions.get_repository_def(),
            resources={"database": DatabaseResource()},
        )
        return bool(definitions.resolve_sensor_def(ALL_SHOPS).evaluate_tick(context).run_requests)

    written(database, "de", OPENED)
    publish_of_shops(database, whole, installation.shops_of_marts, None, "run")
    assert stale_days_of_shops(database, whole, installation.shops_of_marts) == []
    written(database, "us", OPENED)
    assert stale_days_of_shops(database, whole, installation.shops_of_marts)[0] == OPENED
    assert asks()
    job = definitions.resolve_job_def(ALL_SHOPS)
    instance.create_run_for_job(job, tags=range_tags(Days(OPENED, LAST)), status=dg.DagsterRunStatus.FAILURE)
    assert not asks()


@pytest.mark.parametrize(
    ("select", "grain", "line", "said"),
    [
        ("sum(net_sales) as net_sales", "event_date, shop", 7, "amounts of different currencies are taken together"),
        (
            "sum(net_sales) filter (where currency = 'EUR') as net_sales",
            "event_date, shop",
            2,
            "shops have their own currencies",
        ),
        ("currency, count(*) as orders", "event_date, currency", 2, "a day that a shop lacks would count as 0"),
    ],
)
def test_what_would_add_currencies_or_take_a_gap_for_0_is_refused(
    select: str, grain: str, line: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "marts").mkdir()
    names = [name for name in grain.split(", ") if name != "currency"]
    columns = ", ".join([*names, *select.split(", ")])
    lines = ", -- x\n".join(columns.split(", "))
    group = ", ".join(str(place) for place in range(1, 1 + len(grain.split(", "))))
    (tmp_path / "marts" / "together.sql").write_text(
        f"-- What it is.\n-- grain: {grain}\n-- shops: all\nselect\n{lines} -- x\nfrom clean.sales\n"
        f"where event_date between :first_day and :last_day group by {group}\n",
        encoding="utf-8",
    )

    [broken] = build_installation(["demo"], tmp_path).broken_marts

    assert said in broken.reason
    assert f"together.sql: line {line}:" in broken.reason


def test_a_failed_run_of_marts_over_all_shops_is_an_incident_until_its_days_are_computed(
    shops: dict[str, Pipeline], database: Database
) -> None:
    german = shops["de"]
    installation = build_installation([str(shop.description) for shop in shops.values()])

    def looked_at() -> tuple[list[str], int]:
        done = evaluate_all_shops(german.instance, database, installation, NOW)
        return [trouble.text for trouble in done.decision.opened], len(done.decision.closed)

    assert looked_at() == ([], 0)
    assert read_stored(database).is_new  # nobody needs it yet
    written(database, "de", OPENED)
    prepare(database)
    publish_of_shops(database, installation.marts[0], installation.shops_of_marts, Days(OPENED, OPENED), "run")
    execute(database, "truncate marts.daily_revenue_of_shops")
    execute(database, "alter table marts.daily_revenue_of_shops add constraint nothing check (false)")
    written(database, "us", OPENED)
    failed = run_days(german.definitions, german.instance, Days(OPENED, OPENED), job_name=ALL_SHOPS)
    [text], closed = looked_at()
    assert (failed.succeeded, closed) == (False, 0)
    assert f"all_shops of {OPENED} failed" in text
    assert looked_at() == ([], 0)
    assert [len(read_open(database, of_all=of_all)) for of_all in (True, False)] == [1, 0]
    execute(database, "alter table marts.daily_revenue_of_shops drop constraint nothing")
    assert run_days(german.definitions, german.instance, Days(OPENED, OPENED), job_name=ALL_SHOPS).succeeded
    assert looked_at() == ([], 1)


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
