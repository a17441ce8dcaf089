"""Platforms from their packaged description to the marts, by the command line, against a server of their dialect.

The days are as the shop's truth has them, and as its own report has, where it makes one: from its own records.
"""

from collections.abc import Collection
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.history.mart_days import mart_days
from analytics_pipeline.history.publishing import publish
from analytics_pipeline.shop.spec import load_shop, packaged_path
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.dialects.base import Dialect, Serving
from analytics_pipeline_tests.dialects.playing import DAYS, OPENED, serving
from analytics_pipeline_tests.dialects.shopify import ShopifyShop
from analytics_pipeline_tests.dialects.test_descriptions import NAMES
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.witness import unexplained

LOADED = DAYS[:21]
FIGURES = (
    *("units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "shipping", "charges"),
    *("taxes", "total_sales"),
)
REPORTED = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "total_sales")
EXPLAINED_BY = {"shopify": {"tips"}, "woocommerce": {"cancelled_orders", "zero_orders", "fees"}}
Unexplained = dict[date, dict[str, Decimal]]


@pytest.mark.parametrize("name", ["shopify", "woocommerce", "stripe"])
def test_a_platform_is_loaded_by_one_command_and_its_days_are_right_in_the_marts(
    name: str, database: Database, tmp_path: Path
) -> None:
    played, description = NAMES[name], tmp_path / f"{name}.yaml"
    text = packaged_path(name).read_text(encoding="utf-8")
    description.write_text(text.replace("first_day: 2025-01-01", f"first_day: {OPENED}"), encoding="utf-8")
    with serving(played.kind, with_charges=True) as running:
        settings = {"ANALYTICS_DATABASE_URL": database.url, "ANALYTICS_HOME": str(tmp_path / "home")}
        days = ("--from", str(LOADED[0]), "--to", str(LOADED[-1]))
        command = ("run", "--shop", str(description), *days)
        loaded = run(*command, folder=tmp_path, **settings, **played.environment(running.url))
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        rows = query(database, f"select event_date, {', '.join(FIGURES)} from marts.daily_revenue order by event_date")
        right = [running.dialect.truth(day) for day in LOADED]
        untold = load_shop(name).cannot_tell
        wanted = [{"event_date": day, **_of(vars(one), untold)} for day, one in zip(LOADED, right, strict=True)]
        assert rows == wanted
        products = query(database, "select * from marts.daily_product_sales limit 1")
        assert {column for column, value in products[0].items() if value is None} == {*untold} & {*products[0]}
        steps = query(database, "select sum(unexplained_difference)::text as rest from marts.daily_reconciliation")
        assert steps == [{"rest": "0.0000"}]
        assert query(database, "select * from ops.anomalies") == []
        secrets = [*played.secrets.values()]
        assert not [one for one in secrets if one in loaded.stdout + loaded.stderr]
        if name in EXPLAINED_BY:
            _is_witnessed(database, description, running, EXPLAINED_BY[name])


def _of(figures: dict[str, object], untold: Collection[str]) -> dict[str, object]:
    """The figures as the database gives them: null where the dialect cannot tell them."""
    units = {name: figures[name] for name in ("units_sold", "units_returned")}
    found = {name: None if figures[name] is None else f"{figures[name]:.4f}" for name in FIGURES} | units
    return {name: None if name in untold else value for name, value in found.items()}


def _is_witnessed(database: Database, description: Path, running: Serving[Dialect], rules: Collection[str]) -> None:
    """Each day and figure of the dialect's own report is ours or explained; what is damaged then is found."""
    edited = _edits(running.dialect) if isinstance(running.dialect, ShopifyShop) else {}
    [told] = query(
        database,
        "select count(distinct business_day) as days, count(*) as figures, count(unexplained) as compared, "
        "count(*) filter (where difference <> 0) as different from marts.daily_witness",
    )
    assert (told["days"], told["figures"], told["compared"]) == (len(LOADED), len(LOADED) * 8, len(LOADED) * 8)
    assert told["different"] > len(LOADED) / 2
    found = query(
        database,
        "select distinct rule from marts.daily_witness cross join jsonb_object_keys(explained_by::jsonb) as rule",
    )
    assert {row["rule"] for row in found} == {*rules}
    assert unexplained(database) == edited
    returned = query(
        database,
        "select distinct event_date as day from clean.sales join clean.orders using (order_id) "
        "where event_type = 'line_returned' and cancelled_at is null order by 1",
    )
    day = next(row["day"] for row in returned if row["day"] in LOADED[4:] and row["day"] not in edited)
    execute(database, f"delete from clean.sales where event_date = '{day}' and event_type = 'line_returned'")
    execute(database, f"update clean.sales set shipping = 0 where event_date = '{LOADED[3]}'")
    catalogue = build_catalogue(str(description))
    marts = {mart.table.name: mart for mart in catalogue.marts}
    for name in ("daily_revenue", "daily_witness"):
        days = mart_days(marts[name], Days(LOADED[0], LOADED[-1]), marts, catalogue.shop)
        publish(database, marts[name].table, days, "look")
    damaged = unexplained(database)
    assert {"returns", "net_sales", "total_sales"} <= damaged[day].keys()
    assert "shipping" in damaged[LOADED[3]]
    assert damaged.keys() == {*edited, day, LOADED[3]}


def _edits(shop: ShopifyShop) -> Unexplained:
    """What Shopify's report dates otherwise than its orders tell: what edits added. Tips are in no total of it."""
    found: Unexplained = {}
    for day in LOADED:
        said, right = shop.reported(day), vars(shop.truth(day))
        tips = right["charges"] - shop.duties_on(day)
        ours = {**right, "total_sales": right["total_sales"] - tips}
        signed = {**said, "shipping": said["shipping_charges"], "discounts": -said["discounts"]}
        signed["returns"] = -said["returns"]
        differences = {name: abs(signed[name] - ours[name]) for name in REPORTED if signed[name] != ours[name]}
        if differences:
            found[day] = differences
    assert 0 < len(found) < len(LOADED) / 2
    return found
