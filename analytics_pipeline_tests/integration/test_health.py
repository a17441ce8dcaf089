"""`status --check`: whether all is well, and an answer whatever is down."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from analytics_pipeline.cli import main
from analytics_pipeline.cli.health import last_ticks
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.cases.conftest import case, small_shop
from analytics_pipeline_tests.cases.small_shop import Case
from analytics_pipeline_tests.integration.tables import execute

__all__ = ["case", "small_shop"]
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SHOP = load_shop("demo")
SENSORS = ("late_changes", "yesterday_is_on_time", "alerts", "webhooks")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions("demo")


@pytest.fixture
def stored(
    tmp_path: Path, definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr("analytics_pipeline.definitions.defs", definitions)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


def at_work(instance: dg.DagsterInstance, name: str, at: datetime, status: TickStatus | None) -> None:
    """Store what the daemon stores of a tick; without a status, of one that is skipped and then stopped by hand."""
    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="analytics_pipeline.definitions"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    is_schedule = name == "daily"
    kind = InstigatorType.SCHEDULE if is_schedule else InstigatorType.SENSOR
    data = ScheduleInstigatorData("0 4 * * *", at.timestamp()) if is_schedule else SensorInstigatorData()
    running = InstigatorStatus.STOPPED if status is None else InstigatorStatus.DECLARED_IN_CODE
    state = InstigatorState(origin, kind, running, data)
    instance.add_instigator_state(state)
    tick = status or TickStatus.SKIPPED
    data_of_tick = TickData(
        state.instigator_origin_id,
        name,
        kind,
        tick,
        at.timestamp(),
        run_ids=[] if tick == TickStatus.SUCCESS else None,
        error=SerializableErrorInfo("no", [], None) if tick == TickStatus.FAILURE else None,
        selector_id=state.selector_id,
    )
    instance.create_tick(data_of_tick)


def problems(instance: dg.DagsterInstance) -> dict[str, str | None]:
    return {tick.name: tick.problem for tick in last_ticks(instance, SHOP, NOW)}


def test_ticks_in_time_are_well(stored: dg.DagsterInstance) -> None:
    at_work(stored, "daily", datetime(2026, 11, 26, 3, tzinfo=UTC), TickStatus.SUCCESS)
    for name in SENSORS:
        at_work(stored, name, NOW - timedelta(minutes=5), TickStatus.SKIPPED)
    assert problems(stored) == {"daily": None, **dict.fromkeys(SENSORS)}


@pytest.mark.parametrize(
    ("name", "minutes", "status", "messages"),
    [
        ("daily", 33 * 60, TickStatus.SUCCESS, "does the daemon live?"),
        ("alerts", 9, TickStatus.SKIPPED, "does the daemon live?"),
        ("alerts", 1, TickStatus.FAILURE, "its last tick failed"),
        ("late_changes", 1, None, "somebody has stopped it"),
        ("late_changes", 70, TickStatus.STARTED, ""),
        ("late_changes", 90, TickStatus.STARTED, "does the daemon live?"),
    ],
)
def test_a_dead_daemon_a_failed_tick_and_a_stopped_sensor_are_reported(
    stored: dg.DagsterInstance, name: str, minutes: int, status: TickStatus | None, messages: str
) -> None:
    at_work(stored, name, NOW - timedelta(minutes=minutes), status)
    found = problems(stored)
    assert (found[name] is None) == (not messages)
    assert messages in (found[name] or "")
    others = {problem for other, problem in found.items() if other != name}
    assert others == {"it has never been at work here: does `analytics-pipeline up` run?"}


Call = Callable[..., Result]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Calls `status --check`."""

    def call(*options: str, **settings: str) -> Result:
        monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, ["status", "--check", *options])

    return call


def test_late_unproved_and_parked_days_are_reported_and_then_all_is_well(case: Case, checked: Call) -> None:
    case.describe(first_day=str(datetime.now(load_shop(str(case.path)).zone).date() - timedelta(days=3)))
    shop = load_shop(str(case.path))
    yesterday = str(datetime.now(shop.zone).date() - timedelta(days=1))
    case.shop.orders = []
    assert case.run(yesterday).succeeded
    well = checked("--without-daemon", ANALYTICS_SHOP=str(case.path))
    assert (well.output, well.exit_code) == ("all is well\n", 0)
    execute(
        case.database,
        "update ops.day_proofs set state = 'unproved'",
        "insert into ops.stale_days (day, reason, order_ids, event_days, first_seen_at, seen_at, failures, parked_at) "
        f"values ('{yesterday}', 'edit', '{{}}', '{{}}', now(), now(), 3, now())",
        "delete from ops.materialised_days where table_name = 'marts.daily_revenue'",
    )
    found = checked("--without-daemon", "--json")
    answer = json.loads(found.output)
    assert found.exit_code == 1
    assert (answer["ok"], answer["parked"], answer["unproved"]) == (False, [yesterday], [yesterday])
    assert len(answer["problems"]) >= 2


@pytest.mark.usefixtures("database")
def test_without_a_daemon_nothing_is_well_unless_cron_does_the_work(checked: Call) -> None:
    found = checked("--json")
    assert found.exit_code == 1
    assert "database" in " ".join(json.loads(found.output)["problems"])


def test_where_cron_calls_the_commands_the_embedded_database_is_told_to_be_no_place_for_a_watch(checked: Call) -> None:
    found = checked("--without-daemon", ANALYTICS_DATABASE_URL="")
    assert found.exit_code == 1
    assert "or a server of your own (ANALYTICS_DATABASE_URL)" in found.output


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        ({"ANALYTICS_DATABASE_URL": "postgresql://joe:s3cret@127.0.0.1:1/x"}, "no Postgres server answers"),
        ({"ANALYTICS_DATABASE_URL": ""}, "the embedded database does not run"),
        ({"ANALYTICS_SHOP": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_whatever_is_down_the_answer_is_json_and_nothing_is_started(
    checked: Call, tmp_path: Path, settings: dict[str, str], messages: str
) -> None:
    found = checked("--json", **settings)
    answer = json.loads(found.output)
    assert found.exit_code == 1
    assert (answer["ok"], len(answer["problems"])) == (False, 1)
    assert messages in answer["problems"][0]
    assert "s3cret" not in found.output
    assert not (tmp_path / "home" / "postgres").exists()
