"""A shop that says that an order is cancelled and not since when: the day is that of the poll which saw it first."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import serve
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline, describe
from analytics_pipeline_tests.integration.late import LOADED, MORNING, OPENED, SMALL, Clock, catch_up
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.unit.transforms.conftest import fields

CANCELLED = (
    "select order_id, cancelled_at from clean.orders where cancelled_at is not null and not is_credit_note order by 1"
)
SEEN = "select order_id, cancelled_at from ops.cancellations_seen order by 1"


@pytest.fixture
def clock() -> Clock:
    """The shop's."""
    return Clock(MORNING)


@pytest.fixture
def pipeline(database: Database, clock: Clock, tmp_path: Path) -> Iterator[Pipeline]:
    """Two weeks of a shop of which no moment of a cancellation is listed."""
    described: dict[str, Any] = {"cancelled_when": "cancelled_at != `null`", "fields": fields(cancelled_at=None)}
    with serve(replace(SMALL, cancel_share=0.3), now=clock) as shop, dg.DagsterInstance.ephemeral() as instance:
        description = describe(shop, tmp_path, orders=described)
        yield Pipeline(shop, description, build_definitions(str(description)), instance, database)


def test_a_cancellation_stands_on_the_day_on_which_it_was_first_seen_and_stays_there(
    pipeline: Pipeline, clock: Clock
) -> None:
    assert pipeline.run(OPENED, LOADED).succeeded
    first: dict[Any, Any] = {row["order_id"]: row["cancelled_at"] for row in pipeline.rows(CANCELLED)}
    stamps = pipeline.rows("select order_id, updated_at from clean.orders where cancelled_at is not null")
    assert first == {row["order_id"]: row["updated_at"] for row in stamps} != {}
    assert pipeline.rows(SEEN) == pipeline.rows(CANCELLED)

    clock.now = MORNING + timedelta(days=2)
    assert catch_up(pipeline).days
    later: dict[Any, Any] = {row["order_id"]: row["cancelled_at"] for row in pipeline.rows(CANCELLED)}
    new = later.keys() - first.keys()
    assert new
    assert {name: later[name] for name in first if name in later} == {n: first[n] for n in first if n in later}
    assert all(MORNING - timedelta(days=1) < later[name] <= clock.now for name in new)

    # The whole history once more: the stamps may be newer by now, the moments stay.
    clock.now = MORNING + timedelta(days=9)
    assert pipeline.run(OPENED, LOADED).succeeded
    again = {row["order_id"]: row["cancelled_at"] for row in pipeline.rows(CANCELLED)}
    assert {name: again[name] for name in later if name in again} == {n: later[n] for n in later if n in again}
    assert pipeline.rows("select sum(unexplained_difference)::text as sum from marts.daily_reconciliation") == [
        {"sum": "0.0000"}
    ]


def test_cleaning_again_keeps_the_moment_and_an_order_that_is_seen_uncancelled_is_forgotten(pipeline: Pipeline) -> None:
    assert pipeline.run(OPENED, LOADED).succeeded
    before = pipeline.rows(SEEN)
    changed = "(payload::jsonb || '{{\"{}\": {}}}')::json"
    stamp = changed.format("updated_at", '"2025-04-02T01:00:00Z"')
    execute(pipeline.database, f"update raw.orders set payload = {stamp}")
    assert pipeline.run(OPENED, LOADED, job="clean").succeeded
    assert pipeline.rows(SEEN) == before == pipeline.rows(CANCELLED)

    one, *others = before
    uncancelled = changed.format("cancelled_at", "null")
    execute(pipeline.database, f"update raw.orders set payload = {uncancelled} where order_id = '{one['order_id']}'")
    assert pipeline.run(OPENED, LOADED, job="clean").succeeded
    assert pipeline.rows(SEEN) == others == pipeline.rows(CANCELLED)
