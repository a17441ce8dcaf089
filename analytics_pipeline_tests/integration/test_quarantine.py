"""Quarantine over time: limits that stop a wrong mapping, and orders that come back once they are well."""

import os
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.transforms.version import contract_version
from analytics_pipeline_tests.conftest import Pipeline, at
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.loaded import evaluations, redescribed
from analytics_pipeline_tests.integration.truth import agrees, hashes, run_rightly

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

OPENED = date(2025, 6, 2)
NOW = at("2025-09-01T10:00:00+02:00")
SMALL: dict[str, Any] = {"opened": OPENED, "orders_per_day": (15, 20), "free_share": 0, "test_share": 0}
BELOW = dg.AssetCheckKey(dg.AssetKey(["ops", "quarantine"]), "quarantine_stays_below_the_limit")
RARE = dg.AssetCheckKey(dg.AssetKey(["ops", "quarantine"]), "quarantine_is_rare")


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
    messages = str(below.metadata["worst_days"].value)
    assert messages.startswith(f"- {day(1)}: 2 of {len(truths[1].orders)} orders")
    assert f"not an amount with at most four decimals (shipping): 2, such as {bad[0]}, {bad[1]}" in messages

    # Without limits (a share is never above 1) the bad day is written.
    unlimited = redescribed(pipeline, tmp_path, orders=mapped)
    summary = unlimited.run(day(1), job="clean")
    assert summary.succeeded
    below, rare = checks(unlimited, summary.run_id)
    assert below.passed
    assert rare.passed
    assert below.metadata["limit"].value == "100.00 %"
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
        "from ops.quarantine where reason = 'not an amount with at most four decimals' and column_name = 'shipping'"
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


def test_orders_that_the_shop_repairs_come_back_and_the_others_are_reported(
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
    assert (nothing.exit_code, nothing.output) == (0, "nothing is in quarantine\n")
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
    assert set(other.output.partition("the reasons there are: ")[2].strip().split("; ")) == there != set()


def _order_fields(pipeline: Pipeline) -> dict[str, str]:
    return load_shop(pipeline.description).orders.fields.model_dump(exclude_none=True)
