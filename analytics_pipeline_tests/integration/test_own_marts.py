"""Marts of a user's own folder in runs: their checks, what Postgres finds wrong with them, and what else they read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline.warehouse.connection import Database
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
    """Put marts beside the packaged ones: `own(name=text)`, with `seeds={name: text}`."""

    def build(*, seeds: Mapping[str, str] | None = None, **marts: str) -> Pipeline:
        for folder, ending, files in (("marts", "sql", marts), ("seeds", "csv", seeds or {})):
            (tmp_path / folder).mkdir(exist_ok=True)
            for name, text in files.items():
                (tmp_path / folder / f"{name}.{ending}").write_text(text, encoding="utf-8")
        described = build_definitions(str(loaded.description), tmp_path, lambda: loaded.database)
        return replace(loaded, definitions=described)

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
    [messages] = [one for one in failed.failures if one.startswith("check sales_are_small of marts/own")]
    assert "contradictions 3" in messages
    assert "examples 2025-01-01, 2025-01-02, 2025-01-03" in messages
    assert "or the check (" in messages
    assert "own.sql: line 3), and run the days again" in messages
    assert pipeline.rows("select best from marts.above") == []


def test_a_check_that_cannot_be_computed_names_its_line(own: Own) -> None:
    check = "-- check: can_be_divided: select event_date from marts.own where 1 / (net_sales - net_sales) > 0\n"
    [failure] = ran(own(own=OWN.format(lines=check))).failures
    assert "own.sql: line 3: the check can_be_divided cannot be computed: Postgres: division by zero" in failure


def test_a_foreign_key_of_a_table_of_ones_own_is_named_with_what_to_do(own: Own) -> None:
    pipeline = own(own=OWN.format(lines=""))
    assert ran(pipeline).succeeded
    execute(pipeline.database, "create table public.mine (day date references marts.own (event_date))")
    execute(pipeline.database, "insert into public.mine select min(event_date) from marts.own")
    [failure] = ran(pipeline).failures
    assert 'marts.own: Postgres: update or delete on table "own" violates foreign key constraint' in failure
    assert "drop it (alter table ... drop constraint ...), and run again. Nothing was written." in failure
    execute(pipeline.database, "drop table public.mine")
    assert ran(pipeline).succeeded


def test_a_check_that_warns_stops_nothing_and_looks_at_the_runs_days_where_it_says_so(own: Own) -> None:
    check = (
        "-- check (warn): nothing_is_sold: select event_date from marts.own\n"
        "--     where net_sales <> 0 and event_date between :first_day and :last_day\n"
    )
    pipeline = own(own=OWN.format(lines=check), above=ABOVE)
    assert ran(pipeline).succeeded
    one_day = pipeline.run(LAST, job="marts")
    assert one_day.succeeded
    [messages] = [one for one in one_day.warnings if "nothing_is_sold" in one]
    assert "contradictions 1" in messages
    assert f"examples {LAST}" in messages


def test_a_mart_that_is_computed_whole_has_checks_too_and_says_so_in_its_description(own: Own) -> None:
    checked = ABOVE.replace("select", "-- check (warn): best_is_nothing: select best from marts.above\nselect", 1)
    pipeline = own(own=OWN.format(lines=""), above=checked)
    summary = ran(pipeline)
    [messages] = [one for one in summary.warnings if "best_is_nothing" in one]
    assert "business_days all" in messages
    specs = {spec.key.path[-1]: spec for spec in pipeline.definitions.resolve_all_asset_specs()}
    whole = "Every run computes it whole, since it has no `:first_day` and `:last_day`."
    assert str(specs["above"].description).endswith(whole)
    assert whole not in str(specs["own"].description)


@pytest.mark.parametrize(
    ("change", "messages"),
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
def test_what_postgres_finds_is_reported_with_the_files_line_and_the_old_rows_stay(
    own: Own, change: tuple[str, str], messages: str
) -> None:
    right = OWN.format(lines="")
    assert ran(own(own=right)).succeeded
    pipeline = own(own=right.replace(*change))
    before = pipeline.rows("select event_date, net_sales::text from marts.own order by 1")
    [failure] = ran(pipeline).failures
    assert f"own.sql: {messages}" in failure
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


AGAINST = """-- Net sales against target and spend.
-- grain: event_date
-- reads: sheets.spend
select
    own.event_date, -- Business day.
    own.net_sales - targets.target as above_target, -- Net sales less the target.
    spend.amount, -- Spend.
    current_date - max(targets.day) as age -- Days since the target's day.
from marts.own
join seeds.targets on targets.day = own.event_date
left join sheets.spend on spend.day = own.event_date
where own.event_date between :first_day and :last_day
group by own.event_date, own.net_sales, targets.target, spend.amount
"""
TARGETS = "day:date key,target:numeric(19,4)\n2025-01-01,100\n2025-01-02,200.5\n"


def sheet(pipeline: Pipeline) -> None:
    execute(
        pipeline.database,
        "create schema sheets",
        "create table sheets.spend (day date, amount numeric(12,2), who text)",
        "insert into sheets.spend values (date '2025-01-01', 12.34, 'somebody')",
    )


def test_a_mart_reads_seeds_and_tables_from_outside(own: Own, loaded: Pipeline) -> None:
    sheet(loaded)
    pipeline = own(seeds={"targets": TARGETS}, own=OWN.format(lines=""), against=AGAINST)
    assert ran(pipeline).succeeded

    assert pipeline.rows("select day::text, target::text from seeds.targets order by 1") == [
        {"day": "2025-01-01", "target": "100.0000"},
        {"day": "2025-01-02", "target": "200.5000"},
    ]
    found = pipeline.rows(
        "select above_target + t.target = own.net_sales as is_right, amount::text, age = current_date - t.day as aged "
        "from marts.against join marts.own using (event_date) join seeds.targets t on t.day = event_date order by day"
    )
    assert found == [
        {"is_right": True, "amount": "12.3400", "aged": True},
        {"is_right": True, "amount": None, "aged": True},
    ]
    specs = {spec.key.to_user_string(): spec for spec in pipeline.definitions.resolve_all_asset_specs()}
    assert {dep.asset_key.to_user_string() for dep in specs["marts/against"].deps} == {
        "marts/own",
        "seeds/targets",
        "sheets/spend",
    }
    columns = specs["sheets/spend"].metadata["dagster/column_schema"].columns
    assert [(one.name, one.type) for one in columns] == [("day", "date"), ("amount", "numeric(12,2)"), ("who", "text")]
    assert not pipeline.definitions.resolve_asset_graph().get(dg.AssetKey(["sheets", "spend"])).is_materializable
    assert specs["seeds/targets"].group_name == "seeds"
    daily = pipeline.definitions.resolve_job_def("daily").asset_layer.selected_asset_keys
    assert dg.AssetKey(["seeds", "targets"]) in daily


def test_a_seed_is_loaded_as_it_is_now_and_a_wrong_value_leaves_what_was_loaded(own: Own) -> None:
    assert ran(own(seeds={"targets": TARGETS})).succeeded
    pipeline = own(seeds={"targets": TARGETS.replace("200.5", "two hundred")}, own=OWN.format(lines=""))
    failed = ran(pipeline)
    [messages] = failed.failures
    assert "targets.csv: line 3: target is no numeric(19,4)" in messages
    assert len(pipeline.rows("select day from seeds.targets")) == 2
    assert len(pipeline.rows("select event_date from marts.own")) == 3  # it does not read the seed
    assert ran(own(seeds={"targets": TARGETS.partition("2025-01-02")[0]})).succeeded
    assert pipeline.rows("select target::text from seeds.targets") == [{"target": "100.0000"}]


def test_a_seed_or_a_table_from_outside_that_is_not_there_stops_what_reads_it(own: Own, tmp_path: Path) -> None:
    pipeline = own(seeds={"targets": TARGETS}, own=OWN.format(lines=""), against=AGAINST)

    def broken_now() -> dict[str, str]:
        found = build_catalogue(str(pipeline.description), tmp_path, lambda: pipeline.database).broken
        return {f"{one.layer}.{one.name}": one.reason for one in found}

    [(name, reason)] = broken_now().items()
    assert name == "marts.against"
    assert "against.sql: reads sheets.spend: it is not in the database" in reason
    assert ran(pipeline).succeeded
    assert len(pipeline.rows("select event_date from marts.own")) == 3
    specs = {spec.key.to_user_string(): spec for spec in pipeline.definitions.resolve_all_asset_specs()}
    assert "**Broken, and not computed:**" in str(specs["marts/against"].description)
    assert "**Not there:**" in str(specs["sheets/spend"].description)

    sheet(pipeline)
    assert broken_now() == {}
    own(seeds={"targets": "Day,target\n"})
    reasons = broken_now()
    assert "targets.csv: line 1: 'Day' is no column" in reasons["seeds.targets"]
    assert "against.sql: reads seeds.targets: " in reasons["marts.against"]


def test_a_database_that_cannot_be_asked_breaks_only_what_reads_from_outside(own: Own, tmp_path: Path) -> None:
    pipeline = own(own=OWN.format(lines=""), seeds={"targets": TARGETS}, against=AGAINST)
    gone = pipeline.database.named("no_such_database")
    catalogue = build_catalogue(str(pipeline.description), tmp_path, lambda: gone)
    assert [one.name for one in catalogue.broken] == ["against"]
    assert "the database cannot be asked for its columns" in catalogue.broken[0].reason

    def never() -> Database:
        raise AssertionError("asked")

    (tmp_path / "marts" / "against.sql").unlink()
    assert build_catalogue(str(pipeline.description), tmp_path, never).broken == ()
