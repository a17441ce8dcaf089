"""Platforms from their packaged description to the marts, by the command line, against a server of their dialect."""

from collections.abc import Collection
from pathlib import Path

import pytest

from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.dialects.playing import DAYS, serving
from analytics_pipeline_tests.dialects.test_descriptions import NAMES
from analytics_pipeline_tests.integration.command_line import run

LOADED = DAYS[:10]
FIGURES = (
    "units_sold",
    "units_returned",
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "shipping",
    "charges",
    "taxes",
    "total_sales",
)


@pytest.mark.parametrize("name", ["shopify", "woocommerce", "stripe"])
def test_a_platform_is_loaded_by_one_command_and_its_days_are_right_in_the_marts(
    name: str, database: Database, tmp_path: Path
) -> None:
    played = NAMES[name]
    with serving(played.kind, with_charges=True) as running:
        settings = {"ANALYTICS_DATABASE_URL": database.url, "ANALYTICS_HOME": str(tmp_path / "home")}
        days = ("--from", str(LOADED[0]), "--to", str(LOADED[-1]))
        loaded = run("run", "--shop", name, *days, folder=tmp_path, **settings, **played.environment(running.url))
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        rows = query(database, f"select event_date, {', '.join(FIGURES)} from marts.daily_revenue order by event_date")
        right = [running.dialect.truth(day) for day in LOADED]
        untold = load_shop(name).cannot_tell
        wanted = [{"event_date": day, **_of(vars(one), untold)} for day, one in zip(LOADED, right, strict=True)]
        assert rows == wanted
        products = query(database, "select * from marts.daily_product_sales limit 1")
        assert [column for column, value in products[0].items() if value is None] == [
            column for column in products[0] if column in untold
        ]
        steps = query(database, "select sum(unexplained_difference)::text as rest from marts.daily_reconciliation")
        assert steps == [{"rest": "0.0000"}]
        assert query(database, "select * from ops.anomalies") == []
        secrets = [*played.secrets.values()]
        assert not [one for one in secrets if one in loaded.stdout + loaded.stderr]


def _of(figures: dict[str, object], untold: Collection[str]) -> dict[str, object]:
    """The figures as the database gives them: null where the dialect cannot tell them."""
    units = {name: figures[name] for name in ("units_sold", "units_returned")}
    found = {name: None if figures[name] is None else f"{figures[name]:.4f}" for name in FIGURES} | units
    return {name: None if name in untold else value for name, value in found.items()}
