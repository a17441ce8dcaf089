"""Marts of a user's own folder in runs: what their checks stop, and what Postgres finds wrong with them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import FIRST, LAST
from analytics_pipeline_tests.integration.tables import execute

OWN = """-- Net sales of each business day.
-- grain: event_date
{lines}select
    event_date, -- Business day of the events.
    sum(net_sales) as net_sales -- Net sales.
from clean.sales
where event_date between :first_day and :last_day
group by event_date
"""
ABOVE = "-- Best day.\n-- grain: best\nselect\n    max(net_sales) as best -- Best net sales.\nfrom marts.own\n"
Own = Callable[..., Pipeline]


@pytest.fixture
def own(loaded: Pipeline, tmp_path: Path) -> Own:
    """Put marts beside the packaged ones: `own(name=text)`."""

    def build(**marts: str) -> Pipeline:
        (tmp_path / "marts").mkdir(exist_ok=True)
        for name, text in marts.items():
            (tmp_path / "marts" / f"{name}.sql").write_text(text, encoding="utf-8")
        return replace(loaded, definitions=build_definitions(str(loaded.description), tmp_path))

    return build


def ran(pipeline: Pipeline) -> RunSummary:
    return pipeline.run(FIRST, LAST, job="marts")


def test_rows_that_contradict_a_check_stop_what_reads_the_mart(own: Own) -> None:
    check = "-- check: sales_are_small: select event_date from marts.own where net_sales {} order by 1\n"
    held = ran(own(own=OWN.format(lines=check.format("> 1e9")), above=ABOVE))
    assert held.succeeded, held.failures

    pipeline = own(own=OWN.format(lines=check.format("between 0 and 1e9 or '{' = '}'")))
    assert len(pipeline.rows("select best from marts.above")) == 1
    execute(pipeline.database, "delete from marts.above")
    failed = ran(pipeline)
    assert not failed.succeeded
    [told] = [one for one in failed.failures if one.startswith("check sales_are_small of marts/own")]
    assert "contradictions 3" in told
    assert "examples 2025-01-01, 2025-01-02, 2025-01-03" in told
    assert pipeline.rows("select best from marts.above") == []


def test_a_check_that_warns_stops_nothing_and_looks_at_the_runs_days_where_it_says_so(own: Own) -> None:
    check = (
        "-- check (warn): nothing_is_sold: select event_date from marts.own\n"
        "--     where net_sales <> 0 and event_date between :first_day and :last_day\n"
    )
    pipeline = own(own=OWN.format(lines=check), above=ABOVE)
    assert ran(pipeline).succeeded
    one_day = pipeline.run(LAST, job="marts")
    assert one_day.succeeded
    [told] = [one for one in one_day.warnings if "nothing_is_sold" in one]
    assert "contradictions 1" in told
    assert f"examples {LAST}" in told


def test_a_mart_that_is_computed_whole_has_checks_too_and_says_so_in_its_description(own: Own) -> None:
    checked = ABOVE.replace("select", "-- check (warn): best_is_nothing: select best from marts.above\nselect", 1)
    pipeline = own(own=OWN.format(lines=""), above=checked)
    summary = ran(pipeline)
    [told] = [one for one in summary.warnings if "best_is_nothing" in one]
    assert "business_days all" in told
    specs = {spec.key.path[-1]: spec for spec in pipeline.definitions.resolve_all_asset_specs()}
    whole = "Every run computes it whole, since it has no `:first_day` and `:last_day`."
    assert str(specs["above"].description).endswith(whole)
    assert whole not in str(specs["own"].description)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("group by event_date", "group by event_date, order_id"),
            "line 2: two rows have the same event_date; group by",
        ),
        (
            ("event_date, --", "nullif(event_date, date '2025-01-02') as event_date, --"),
            "line 4: event_date is in the grain",
        ),
        (("sum(net_sales)", "net_sales"), 'line 5: Postgres: column "sales.net_sales" must appear in the GROUP BY'),
    ],
)
def test_what_postgres_finds_is_told_with_the_files_line_and_the_old_rows_stay(
    own: Own, change: tuple[str, str], told: str
) -> None:
    right = OWN.format(lines="")
    assert ran(own(own=right)).succeeded
    pipeline = own(own=right.replace(*change))
    before = pipeline.rows("select event_date, net_sales::text from marts.own order by 1")
    [failure] = ran(pipeline).failures
    assert f"own.sql: {told}" in failure
    assert "Nothing was written." in failure
    assert pipeline.rows("select event_date, net_sales::text from marts.own order by 1") == before


def test_a_mart_that_may_be_late_is_not_awaited_and_has_its_owners(own: Own, tmp_path: Path) -> None:
    lines = "-- due: no\n-- owner: team:finance, ann@example.com\n"
    pipeline = own(own=OWN.format(lines=lines), other=OWN.format(lines=""))
    catalogue = build_catalogue(str(pipeline.description), tmp_path)
    assert "marts.own" not in catalogue.due_names
    assert "marts.other" in catalogue.due_names
    assert {table.name for table in catalogue.daily_marts} >= {"own", "other"}
    owners = {spec.key.path[-1]: spec.owners for spec in pipeline.definitions.resolve_all_asset_specs()}
    assert owners["own"] == ["team:finance", "ann@example.com"]
    assert owners["other"] == ["team:data"]
    checks = pipeline.definitions.resolve_asset_graph().asset_check_keys
    assert not any(key.asset_key == dg.AssetKey(["marts", "own"]) for key in checks)
