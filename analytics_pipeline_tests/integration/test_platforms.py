"""Platforms from their packaged description to the marts, by the command line, against a server of their dialect."""

from pathlib import Path

import pytest

from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.dialects.playing import DAYS, serving
from analytics_pipeline_tests.dialects.test_descriptions import NAMES
from analytics_pipeline_tests.integration.command_line import run

LOADED = DAYS[:10]
FIGURES = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "charges", "taxes", "total_sales")


@pytest.mark.parametrize("name", ["shopify", "woocommerce"])
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
        wanted = [{"event_date": day, **_of(vars(one))} for day, one in zip(LOADED, right, strict=True)]
        found = [{name: row[name] for name in ("event_date", *_of(vars(right[0])))} for row in rows]
        assert found == wanted
        secrets = [*played.secrets.values()]
        assert not [one for one in secrets if one in loaded.stdout + loaded.stderr]


def _of(figures: dict[str, object]) -> dict[str, str]:
    """The figures that a dialect can express, as the database gives them."""
    return {name: f"{figures[name]:.4f}" for name in FIGURES if figures[name] is not None}
