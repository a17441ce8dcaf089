"""Quarantine over time: limits that stop a wrong mapping, and orders that come back once they are well."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.cli.replaying import replay
from analytics_pipeline.contracts import QUARANTINE
from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import Slice, query, write
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline.history.quarantine import Selection, mark_quarantined_days, orders, records
from analytics_pipeline.jobs import REPLAY_QUARANTINE
from analytics_pipeline.partitions import DayRange
from analytics_pipeline.running import RunSummary
from analytics_pipeline.sources.spec import load_shop
from analytics_pipeline.transforms.version import contract_version
from analytics_pipeline_tests.conftest import Pipeline, at
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.loaded import evaluations, redescribed
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.truth import agrees, hashes, run_rightly

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

OPENED = date(2025, 6, 2)
NOW = at("2025-09-01T10:00:00+02:00")
SMALL: dict[str, Any] = {"opened": OPENED, "orders_per_day": (15, 20), "free_share": 0, "test_share": 0}
BELOW = dg.AssetCheckKey(dg.AssetKey(["ops", "quarantine"]), "quarantine_stays_below_the_limit")
RARE = dg.AssetCheckKey(dg.AssetKey(["ops", "quarantine"]), "quarantine_is_rare")
WEEK = Slice(OPENED, OPENED + timedelta(days=6))


def day(number: int) -> date:
    """The business day so many days after the opening."""
    return OPENED + timedelta(days=number)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Call `quarantine` on a pipeline within this process; its code location stands in for the one of the settings."""
    monkeypatch.chdir(tmp_path)

    def invoke(pipeline: Pipeline, *arguments: str) -> Result:
        monkeypatch.setattr("analytics_pipeline.definitions.defs", pipeline.definitions)
        return CliRunner().invoke(main, ["quarantine", *arguments, "--shop", str(pipeline.description)])

    with patch.dict(os.environ):
        yield invoke


def checks(pipeline: Pipeline, run_id: str) -> tuple[dg.AssetCheckEvaluation, dg.AssetCheckEvaluation]:
    found = evaluations(pipeline, run_id)
    return found[BELOW], found[RARE]


def test_a_bad_day_among_good_ones_stops_the_range_and_the_old_rows_stay(
    start_shop: StartShop, pipeline_of: PipelineOf, tmp_path: Path
) -> None:
    pipeline = pipeline_of(start_shop(now=NOW, bad_share=0, **SMALL))
    truths = run_rightly(pipeline, day(0), day(2))
    before = hashes(pipeline)
    bad = sorted(truths[1].orders)[:2]
    wrong = f"contains(['{bad[0]}', '{bad[1]}'], id) && 'N/A' || shipping"
    limits: dict[str, object] = {"warn_above": 0.02, "block_above": 0.05}
    mapped: dict[str, object] = {"fields": {**_order_fields(pipeline), "shipping": wrong}}
    mistaken = redescribed(pipeline, tmp_path, orders=mapped, quarantine=limits)

    summary = mistaken.run(day(0), day(2), job="clean")

    assert not summary.succeeded
    assert any("quarantine_stays_below_the_limit of ops/quarantine" in text for text in summary.failures)
    assert hashes(pipeline) == before
    agrees(pipeline, day(0), day(2))
    below, rare = checks(mistaken, summary.run_id)
    assert (below.passed, below.severity, below.metadata["days_above"].value) == (False, dg.AssetCheckSeverity.ERROR, 1)
    assert (rare.passed, rare.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = str(below.metadata["worst_days"].value)
    assert told.startswith(f"- {day(1)}: 2 of {len(truths[1].orders)} orders")
    assert f"not an amount with at most four decimals: 2 ({bad[0]}, {bad[1]})" in told

    # Without limits the bad day is written.
    unlimited = redescribed(pipeline, tmp_path, orders=mapped)
    summary = unlimited.run(day(1), job="clean")
    assert summary.succeeded
    below, rare = checks(unlimited, summary.run_id)
    assert below.passed
    assert rare.passed
    assert below.metadata["limit"].value == "none is set (quarantine.block_above)"
    assert Decimal(str(below.metadata["largest_share"].value)) > 0


def test_a_mended_description_brings_the_orders_back_from_the_stored_answers(
    start_shop: StartShop, pipeline_of: PipelineOf, tmp_path: Path, call: Callable[..., Result]
) -> None:
    shop = start_shop(now=NOW, bad_share=0.1, refund_share=0.4, **SMALL)
    right = pipeline_of(shop)
    fields = _order_fields(right)
    wrong = "ends_with(id, '3') && 'N/A' || shipping"
    mistaken = redescribed(right, tmp_path, orders={"fields": {**fields, "shipping": wrong}})
    assert mistaken.run(day(0), day(8)).succeeded
    held = mistaken.rows("select order_id from ops.quarantine where column_name = 'shipping'")
    assert len(held) > 10

    listed = call(mistaken, "list").output
    [sums] = mistaken.rows(
        "select count(*) as orders, sum(money_at_risk) as money, min(order_date) || ' to ' || max(order_date) as days "
        "from ops.quarantine where reason = 'not an amount with at most four decimals'"
    )
    assert f"    {sums['orders']} orders, {str(sums['money'])[:-2]} EUR at risk; {sums['days']}, such as " in listed
    assert len(call(mistaken, "list", "--day", str(day(8))).output.splitlines()) < len(listed.splitlines())
    order_id = str(held[0]["order_id"])
    shown = call(right, "show", order_id).output
    versions = [contract_version(load_shop(pipeline.description)) for pipeline in (mistaken, right)]
    assert f"judged by      {versions[0]}; the rules of now are {versions[1]}" in shown
    assert "value          N/A\n" in shown
    assert f'  "id": "{order_id}",\n' in shown
    assert f"judged by      {versions[0]}, the rules of now" in call(mistaken, "show", order_id).output

    shop.stop()  # the stored answers are enough
    replayed = call(right, "replay", "--stored")
    assert replayed.exit_code == 0, replayed.output
    assert f"came back: {len(held)} orders, " in replayed.stdout
    agrees(right, day(0), day(8))
    left = right.rows("select order_id from ops.quarantine")
    assert f"still in quarantine: {len(left)} order" in replayed.stdout
    assert call(right, "show", order_id).exit_code == 1


def test_orders_that_the_shop_repairs_come_back_and_the_others_are_told(
    pipeline_of: PipelineOf, call: Callable[..., Result]
) -> None:
    now = [at("2025-06-09T03:00:00+02:00")]
    settings = DemoShopSettings(bad_share=0.4, refund_share=0.2, **SMALL)
    with serve(settings, now=lambda: now[0]) as shop:
        pipeline = pipeline_of(shop)
        run_rightly(pipeline, day(0), day(6))
        held = {str(row["order_id"]) for row in pipeline.rows("select order_id from ops.quarantine")}
        now[0] = datetime(2025, 9, 1, tzinfo=now[0].tzinfo)
        replayed = call(pipeline, "replay")
        assert replayed.exit_code == 0, replayed.output
        truths = agrees(pipeline, day(0), day(6))
    repaired = held & {order_id for true in truths for order_id in true.orders}
    assert repaired
    still = held - repaired
    assert still
    assert replayed.stdout.startswith(f"came back: {len(repaired)} orders, ")
    assert f"still in quarantine: {len(still)} orders, " in replayed.stdout
    assert "  does not equal the sum of its parts: " in replayed.stdout


def test_a_replay_that_fails_ends_with_exit_code_1_and_nothing_to_replay_with_0(
    start_shop: StartShop, pipeline_of: PipelineOf, call: Callable[..., Result], tmp_path: Path
) -> None:
    shop = start_shop(now=NOW, bad_share=0.3, **SMALL)
    pipeline = pipeline_of(shop, limits={"retries": 0})
    nothing = call(pipeline, "replay")
    told = "no such order is in quarantine; the reasons there are: "
    assert (nothing.exit_code, nothing.output) == (0, f"{told}none\n")
    assert call(pipeline, "list").output == nothing.output
    unknown = call(pipeline, "show", "4711\x1b[2J")
    assert unknown.exit_code == 1
    assert "the order 4711\ufffd[2J is not in quarantine" in unknown.output
    assert pipeline.run(day(0)).succeeded
    before = hashes(pipeline)
    shop.stop()
    settings = {"ANALYTICS_DATABASE_URL": pipeline.database.url, "ANALYTICS_HOME": str(tmp_path / "home")}
    failed = run("quarantine", "replay", "--shop", str(pipeline.description), folder=tmp_path, **settings)
    assert failed.returncode == 1
    assert f"of {day(0)} (daily) failed:\n  raw/" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert failed.stdout.startswith("came back: 0 orders\nstill in quarantine: ")
    assert hashes(pipeline) == before
    other = call(pipeline, "replay", "--reason", "nobody breaks this rule")
    assert other.exit_code == 0
    there = {str(row["reason"]) for row in pipeline.rows("select reason from ops.quarantine")}
    assert set(other.output.removeprefix(told).strip().split("; ")) == there != set()


# Which days are run


def test_days_without_a_gap_are_one_run_and_the_loaded_marts_after_them_follow(held: Database) -> None:
    execute(
        held,
        "create schema marts",
        "create table marts.daily_revenue as select * from (values "
        + ", ".join(f"(date '{day(number)}')" for number in (0, 1, 2, 3, 4, 7))
        + ") as days (event_date)",
    )

    def runs_of(selection: Selection, failing: date | None = None, *, is_stored: bool = False) -> list[str]:
        told: list[str] = []

        def note(days: DayRange, job: str) -> RunSummary:
            told.append(f"{job} {(days.first - OPENED).days}-{(days.last - OPENED).days}")
            return RunSummary("id", succeeded=days.first != failing)

        replayed = replay(held, orders(held, selection), note, is_stored=is_stored)
        assert len(replayed.failures) == (0 if failing is None else 1)
        return told

    assert runs_of(Selection()) == ["daily 0-1", "daily 3-3", "marts 2-2", "marts 4-4", "marts 7-7"]
    assert runs_of(Selection(), is_stored=True) == ["clean 0-1", "clean 3-3", "marts 0-4", "marts 7-7"]
    assert runs_of(Selection(order_id="D")) == ["daily 3-3", "marts 4-4", "marts 7-7"]
    assert runs_of(Selection(), failing=day(3)) == ["daily 0-1", "daily 3-3", "marts 2-4", "marts 7-7"]
    assert runs_of(Selection(order_id="D"), failing=day(3)) == ["daily 3-3"]


# Marking the days


@pytest.fixture
def held(database: Database) -> Database:
    """A database with orders A and B of the first day, C of the second and D of the fourth in quarantine."""
    quarantine(database, {"A": day(0), "B": day(0), "C": day(1), "D": day(3)})
    return database


def quarantine(database: Database, orders: dict[str, date]) -> None:
    rows = [
        {
            "order_date": placed,
            "order_id": order_id,
            "table_name": "clean.orders",
            "reason": "missing" if order_id == "C" else "not an amount",
            "column_name": "total",
            "payload": "{}",
        }
        for order_id, placed in orders.items()
    ]
    write(database, QUARANTINE.table, pa.Table.from_pylist(rows, schema=QUARANTINE.table.arrow_schema), WEEK)


def stale(database: Database) -> dict[date, dict[str, object]]:
    return {row["day"]: row for row in query(database, "select * from ops.stale_days where reason = 'replay'")}


def test_marking_chooses_the_days_of_quarantined_orders(held: Database) -> None:
    assert mark_quarantined_days(held, first_day=day(1), last_day=day(2)) == [day(1)]
    assert mark_quarantined_days(held, reason="not an amount") == [day(0), day(3)]
    assert mark_quarantined_days(held, reason="nobody breaks this rule") == []
    found = stale(held)
    assert {marked: row["order_ids"] for marked, row in found.items()} == {
        day(0): ["A", "B"],
        day(1): ["C"],
        day(3): ["D"],
    }
    assert found[day(0)]["event_days"] == [day(0)]


def test_marking_again_adds_orders_and_tries_a_day_that_was_given_up(held: Database) -> None:
    mark_quarantined_days(held)
    first = stale(held)[day(0)]
    execute(held, "update ops.stale_days set failures = 3, failed_run_id = 'x', parked_at = now()")
    quarantine(held, {"B": day(0), "E": day(0)})
    assert mark_quarantined_days(held) == [day(0)]
    again = stale(held)
    assert again[day(0)] == first | {
        "order_ids": ["A", "B", "E"],
        "seen_at": again[day(0)]["seen_at"],
        "failures": 0,
        "failed_run_id": None,
        "parked_at": None,
    }
    assert str(again[day(0)]["seen_at"]) > str(first["seen_at"])
    assert again[day(1)]["failures"] == 3


def test_nothing_is_marked_before_anything_is_loaded(database: Database) -> None:
    assert mark_quarantined_days(database) == []


def test_the_job_marks_what_its_config_names(held: Database, pipeline_of: PipelineOf, start_shop: StartShop) -> None:
    pipeline = replace(pipeline_of(start_shop(now=NOW, **SMALL)), database=held)
    job = pipeline.definitions.resolve_job_def(REPLAY_QUARANTINE)

    def execute_with(**config: str) -> dg.ExecuteInProcessResult:
        ops = {"ops": {"mark_days_of_quarantined_orders": {"config": config}}}
        return job.execute_in_process(run_config=ops, instance=pipeline.instance, raise_on_error=False)

    assert execute_with(first_day=str(day(1)), last_day=str(day(1))).success
    assert list(stale(held)) == [day(1)]
    assert not execute_with(first_day="yesterday").success
    assert execute_with().success
    assert sorted(stale(held)) == [day(0), day(1), day(3)]


# The stored table


def test_a_table_of_before_the_version_existed_gets_the_column_and_keeps_its_rows(database: Database) -> None:
    quarantine(database, {"A": day(0)})
    execute(database, "alter table ops.quarantine drop column contract_version")
    assert [row["contract_version"] for row in records(database, "A")] == [None]
    write(database, QUARANTINE.table, QUARANTINE.table.arrow_schema.empty_table(), Slice(day(5), day(5)))
    assert query(database, "select order_id, contract_version from ops.quarantine") == [
        {"order_id": "A", "contract_version": None}
    ]


def _order_fields(pipeline: Pipeline) -> dict[str, str]:
    return load_shop(pipeline.description).orders.fields.model_dump(exclude_none=True)
