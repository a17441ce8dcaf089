"""What cannot begin is refused before it does: settings that are missing, days that cannot be loaded."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from click.testing import CliRunner

from analytics_pipeline.alerts.record import read_open
from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.cli import main
from analytics_pipeline.errors import MissingSecretError
from analytics_pipeline.orchestration.alerting import evaluate
from analytics_pipeline.orchestration.running import PARTITION, QUIET, RANGE_END, RANGE_START, open_instance
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.cases.small_shop import Case

FAILED = (dg.DagsterError, MissingSecretError)
"""How a tick fails: Dagster wraps what a schedule raises, and not what a sensor's resource does."""
SECRET = {"type": "bearer", "token": "${SMALL_SHOP_TOKEN}"}


def incidents(case: Case) -> list[str]:
    keys = case.definitions.resolve_asset_graph().asset_check_keys
    evaluate(case.instance, case.database, build_catalogue(str(case.path)), datetime.now(UTC), check_keys=keys)
    return [one.key for one in read_open(case.database)]


@pytest.fixture
def without_token(case: Case, monkeypatch: pytest.MonkeyPatch) -> Case:
    case.describe(auth=SECRET)
    monkeypatch.setenv("ANALYTICS_SHOP", str(case.path))
    monkeypatch.setenv("ANALYTICS_HOME", str(case.folder / "home"))
    monkeypatch.delenv("SMALL_SHOP_TOKEN", raising=False)
    return case


@pytest.mark.usefixtures("instance")
def test_c36_a_command_without_the_shops_secret_makes_no_run_and_no_incident(without_token: Case) -> None:
    for command in (["run", "--date", "2026-11-20"], ["run", "--date", "2026-11-20", "--job", "raw"], ["catch-up"]):
        refused = CliRunner().invoke(main, command)
        assert refused.exit_code == 1
        assert "auth.token refers to the environment variable SMALL_SHOP_TOKEN, which is not set" in refused.output
    with open_instance(Settings.from_environment()) as opened:
        assert opened.get_runs() == []
    assert [key for key in incidents(without_token) if key.startswith("run_failed")] == []
    assert without_token.shop.fake.asked == []


def test_c36_schedule_and_sensor_fail_their_ticks_and_ask_for_no_run(without_token: Case) -> None:
    daily = without_token.definitions.resolve_schedule_def("daily")
    late_changes = without_token.definitions.resolve_sensor_def("late_changes")
    resources = without_token.definitions.get_repository_def().get_top_level_resources()
    given = {name: resources[name] for name in ("shop", "database")}
    tick = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 23, 3, tzinfo=UTC))
    with tick, pytest.raises(FAILED) as of_the_schedule:
        daily.evaluate_tick(tick)
    asking = dg.build_sensor_context(instance=without_token.instance, resources=given)
    with asking, pytest.raises(FAILED) as of_the_sensor:
        late_changes.evaluate_tick(asking)
    for failure in (of_the_schedule, of_the_sensor):
        cause = failure.value.__cause__ or failure.value
        assert isinstance(cause, MissingSecretError)
        assert "SMALL_SHOP_TOKEN" in str(cause)


def test_c36_a_run_that_the_ui_starts_without_the_secret_opens_no_incident(without_token: Case) -> None:
    summary = without_token.run("2026-11-20")
    assert any("SMALL_SHOP_TOKEN, which is not set" in text for text in summary.failures)
    assert [key for key in incidents(without_token) if key.startswith("run_failed")] == []


def _day(offset: int) -> Callable[[Case], str]:
    return lambda case: (datetime.now(load_shop(str(case.path)).zone).date() + timedelta(days=offset)).isoformat()


@pytest.mark.parametrize(
    "tags",
    [
        {PARTITION: lambda _: "2999-01-01"},
        {PARTITION: _day(0)},
        {PARTITION: lambda _: "2026-10-31"},
        {RANGE_START: _day(-1), RANGE_END: _day(1)},
        {},
    ],
    ids=["of the future", "today", "before the first day", "until tomorrow", "none"],
)
def test_c37_a_run_of_days_that_cannot_be_loaded_is_refused_and_opens_no_incident(
    case: Case, tags: dict[str, Callable[[Case], str]]
) -> None:
    given = {name: day(case) for name, day in tags.items()}
    job = case.definitions.resolve_job_def("daily")
    result = job.execute_in_process(run_config=QUIET, instance=case.instance, tags=given, raise_on_error=False)
    assert not result.success
    steps = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    causes = {error.cause.message if error and error.cause else "" for error in steps}
    [refusal] = causes
    assert refusal.startswith("analytics_pipeline.errors.DaysRefusedError: this run ")
    assert "that can be loaded are 2026-11-01 to " in refusal
    assert [key for key in incidents(case) if key.startswith("run_failed")] == []
    assert [asked for asked in case.shop.fake.asked if asked.path == "/orders"] == []
