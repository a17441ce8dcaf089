"""Which days a replay runs and which the job marks, and the stored table that both read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import pyarrow as pa
import pytest

from analytics_pipeline.cli.replaying import replay
from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.history.quarantine import Selection, mark_quarantined_days, orders, records
from analytics_pipeline.job_names import REPLAY_QUARANTINE
from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline.tables.contracts import QUARANTINE
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline.warehouse.slices import query, write
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.tables import execute, make_older

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

OPENED = date(2025, 6, 2)
WEEK = Days(OPENED, OPENED + timedelta(days=6))


def day(number: int) -> date:
    """The business day so many days after the opening."""
    return OPENED + timedelta(days=number)


@pytest.fixture
def held(database: Database) -> Database:
    """A database with orders A and B of the first day, C of the second and D of the fourth in quarantine."""
    prepare(database)
    quarantine(database, {"A": day(0), "B": day(0), "C": day(1), "D": day(3)})
    return database


def quarantine(database: Database, orders: dict[str, date]) -> None:
    rows = [
        {
            "order_date": placed,
            "order_id": order_id,
            "kind": "order",
            "event_id": "",
            "table_name": "clean.orders",
            "reason": "missing" if order_id == "C" else "not an amount",
            "column_name": "total",
            "payload": "{}",
        }
        for order_id, placed in orders.items()
    ]
    write(database, QUARANTINE.table, pa.Table.from_pylist(rows, schema=QUARANTINE.table.arrow_schema), WEEK)


# Which days are run


def test_days_without_a_gap_are_one_run(held: Database) -> None:
    def runs_of(selection: Selection, failing: date | None = None, *, is_stored: bool = False) -> list[str]:
        messages: list[str] = []

        def note(days: Days, job: str) -> RunSummary:
            messages.append(f"{job} {(days.first - OPENED).days}-{(days.last - OPENED).days}")
            return RunSummary("id", succeeded=days.first != failing)

        replayed = replay(held, orders(held, selection), note, is_stored=is_stored)
        assert len(replayed.failures) == (0 if failing is None else 1)
        return messages

    assert runs_of(Selection()) == ["daily 0-1", "daily 3-3"]
    assert runs_of(Selection(), is_stored=True) == ["clean 0-1", "marts 0-1", "clean 3-3", "marts 3-3"]
    assert runs_of(Selection(order_id="D")) == ["daily 3-3"]
    assert runs_of(Selection(), failing=day(0)) == ["daily 0-1", "daily 3-3"]
    assert runs_of(Selection(order_id="D"), failing=day(3), is_stored=True) == ["clean 3-3"]


# Marking the days


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
    pipeline = replace(pipeline_of(start_shop(opened=OPENED)), database=held)
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


def test_a_table_of_before_events_were_held_gets_the_columns_and_the_key_and_keeps_its_rows(database: Database) -> None:
    quarantine(database, {"A": day(0)})
    prepare(database)
    make_older(
        database,
        "alter table ops.quarantine drop constraint quarantine_pkey",
        *(f"alter table ops.quarantine drop column {name}" for name in ("contract_version", "kind", "event_id")),
        "alter table ops.quarantine add constraint old_key primary key (order_date, order_id)",
    )
    prepare(database)
    assert [(row["kind"], row["contract_version"]) for row in records(database, "A")] == [("order", None)]
    refund = "('{}', 'A', 'refund', '{}', 'clean.sales', 'missing', 'refunded_at', '{{}}')"
    execute(
        database,
        "insert into ops.quarantine (order_date, order_id, kind, event_id, table_name, reason, column_name, payload) "
        f"values {refund.format(day(0), 'R1')}, {refund.format(day(0), 'R2')}",
    )
    write(database, QUARANTINE.table, QUARANTINE.table.arrow_schema.empty_table(), Days(day(5), day(5)))
    assert [row["event_id"] for row in records(database, "A")] == ["", "R1", "R2"]
