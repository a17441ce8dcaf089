"""The freshness of a day: read from the history's table, checked, and reported between runs."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from analytics_pipeline.catalogue import Catalogue, build_catalogue
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.history.freshness import freshness_line, read_written_days
from analytics_pipeline.orchestration.alert_sensors import build_alert_sensors
from analytics_pipeline.orchestration.checks.freshness import ON_TIME, build_freshness_check
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline_tests.integration.tables import execute

DAY = date(2026, 11, 24)
OVER = datetime(2026, 11, 24, 23, tzinfo=UTC)
DUE = datetime(2026, 11, 25, 5, tzinfo=UTC)

PACKAGED = build_catalogue("demo")
TABLES = PACKAGED.due_names


@pytest.fixture
def shop() -> Shop:
    """The demo shop: in Berlin, days due by 06:00."""
    return load_shop("demo")


def write_day(database: Database, day: date, as_of: datetime, *, published_at: datetime | None = None) -> None:
    """Write a row for each daily mart, as the transactions of a run do."""
    prepare(database)
    published = "null" if published_at is None else f"'{published_at}'"
    written_at = as_of + timedelta(minutes=7)
    for table in TABLES:
        execute(
            database,
            "insert into ops.materialised_days "
            "(table_name, day, first_written_at, written_at, run_id, as_of, code_version, published_at) values "
            f"('{table}', '{day}', '{written_at}', '{written_at}', 'r', '{as_of}', 'd', {published})",
        )


def test_the_line_of_status_reports_each_state(database: Database, shop: Shop) -> None:
    assert freshness_line(database, shop, DUE - timedelta(hours=1), TABLES).startswith(
        "awaited      2026-11-24 is not whole in marts."
    )
    assert freshness_line(database, shop, DUE, TABLES).startswith("LATE         2026-11-24 is not whole in marts.")
    write_day(database, DAY, OVER, published_at=OVER + timedelta(hours=4, minutes=7))
    assert freshness_line(database, shop, DUE, TABLES) == "on time      2026-11-24 by 04:07 (due 06:00)"


def test_a_day_without_a_publication_landed_when_it_was_written(database: Database, shop: Shop) -> None:
    write_day(database, DAY, OVER)

    assert freshness_line(database, shop, DUE, TABLES) == "on time      2026-11-24 by 00:07 (due 06:00)"


def test_only_the_days_that_are_asked_for_are_read(database: Database) -> None:
    assert read_written_days(database, [DAY], TABLES) == []
    write_day(database, DAY, OVER)
    write_day(database, DAY - timedelta(days=1), OVER)

    assert read_written_days(database, [], TABLES) == []
    found = read_written_days(database, [DAY], TABLES)
    assert {row.table for row in found} == set(TABLES)
    assert {(row.day, row.as_of) for row in found} == {(DAY, OVER)}


def test_the_check_fails_as_an_error_only_when_the_day_is_due_and_missing(
    database: Database, instance: dg.DagsterInstance, shop: Shop
) -> None:
    def examine(now: datetime) -> dg.AssetCheckEvaluation:
        check = build_freshness_check(Catalogue(shop, PACKAGED.marts), clock=lambda: now)
        result = dg.materialize(
            [check],
            instance=instance,
            resources={"database": DatabaseResource()},
            selection=dg.AssetSelection.all_asset_checks(),
        )
        assert result.success  # it stops nothing
        (found,) = result.get_asset_check_evaluations()
        return found

    early, late = examine(DUE - timedelta(seconds=1)), examine(DUE)
    write_day(database, DAY, OVER)
    landed = examine(DUE)

    assert [early.passed, late.passed, landed.passed] == [True, False, True]
    assert late.severity == dg.AssetCheckSeverity.ERROR
    assert late.metadata["missing"].value == ", ".join(TABLES)
    assert landed.metadata["freshness"].value == "2026-11-24 by 00:07 (due 06:00)"


def test_the_sensor_reports_a_changed_answer_at_once_and_an_unchanged_one_hourly(
    database: Database, instance: dg.DagsterInstance, shop: Shop
) -> None:
    now = [DUE - timedelta(minutes=5)]
    sensor = build_alert_sensors(Catalogue(shop, PACKAGED.marts), clock=lambda: now[0])[0]
    cursor: list[str | None] = [None]

    def tick(minutes: int) -> list[bool]:
        """Whether the check passed, for each report of a tick some minutes after the last one."""
        now[0] += timedelta(minutes=minutes)
        with dg.build_sensor_context(instance, cursor=cursor[0], resources={"database": DatabaseResource()}) as context:
            data = sensor.evaluate_tick(context)
            cursor[0] = data.cursor or cursor[0]
        assert all(isinstance(event, dg.AssetCheckEvaluation) for event in data.asset_events)
        for event in data.asset_events:
            instance.report_runless_asset_event(event)  # as the daemon does
        return [event.passed for event in data.asset_events if isinstance(event, dg.AssetCheckEvaluation)]

    assert tick(0) == [True]
    assert tick(4) == []
    assert tick(1) == [False]  # 06:00
    assert tick(5) == []
    assert tick(54) == []
    assert tick(1) == [False]
    write_day(database, DAY - timedelta(days=30), now[0])
    assert tick(5) == []
    instance.report_runless_asset_event(dg.AssetMaterialization(ON_TIME.asset_key, partition="2026-10-25"))
    assert tick(5) == [False]  # for the UI, an older result says nothing about what has been written since
    assert tick(5) == []
    write_day(database, DAY, OVER)
    assert tick(5) == [True]
    (record,) = instance.event_log_storage.get_asset_check_execution_history(ON_TIME, limit=1)
    assert record.evaluation is not None
    assert record.evaluation.passed
    assert len(instance.event_log_storage.get_asset_check_execution_history(ON_TIME, limit=10)) == 5


def test_the_check_is_there_for_the_ui_and_part_of_no_job() -> None:
    definitions = build_definitions("demo")
    of_jobs = {
        job: definitions.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
        for job in ("daily", "raw", "clean", "marts")
    }

    assert ON_TIME in definitions.resolve_asset_graph().asset_check_keys
    assert [job for job, keys in of_jobs.items() if ON_TIME in keys] == []
    assert all(of_jobs.values())
