"""What an evaluation reads from Dagster's instance: which runs and checks count, and what of an error is passed on."""

from dataclasses import replace
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from analytics_pipeline.alerts.incidents import Facts, Incident
from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.errors import ShopRefusedError
from analytics_pipeline.orchestration import alert_facts as facts
from analytics_pipeline.orchestration.alert_facts import gather
from analytics_pipeline.orchestration.running import PARTITION, RANGE_END, RANGE_START
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline_tests.integration.tables import execute

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
CUSTOMER = "jane.doe@example.com"
KEY = dg.AssetCheckKey(dg.AssetKey(["clean", "orders"]), "adds_up")


@pytest.fixture(autouse=True)
def _history(database: Database) -> None:
    prepare(database)


def facts_of(
    instance: dg.DagsterInstance, database: Database, *keys: dg.AssetCheckKey, open_incidents: tuple[Incident, ...] = ()
) -> Facts:
    return gather(instance, database, build_catalogue("demo"), NOW, check_keys=keys, open_incidents=open_incidents)


def end_run(
    instance: dg.DagsterInstance,
    error: Exception | None = None,
    *,
    job: str = "daily",
    tags: dict[str, str] | None = None,
) -> str:
    """Let a run end at once, failing with an error if there is one; returns its id."""

    @dg.op
    def step() -> None:
        if error is not None:
            raise error

    @dg.job(name=job)
    def quick() -> None:
        step()

    return quick.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id


def test_runs_of_the_projects_jobs_count_with_their_days(instance: dg.DagsterInstance, database: Database) -> None:
    ids = {
        "range": end_run(instance, tags={RANGE_START: "2025-01-01", RANGE_END: "2025-01-03"}),
        "day": end_run(instance, ValueError(), job="late_changes", tags={PARTITION: "2025-01-02"}),
        "none": end_run(instance, job="marts"),
        "odd": end_run(instance, job="clean", tags={PARTITION: "blue"}),
    }
    end_run(instance, ValueError(), job="my_own_job")
    found = {run.run_id: run for run in facts_of(instance, database).runs}

    assert set(found) == set(ids.values())
    assert {name: found[run_id].days for name, run_id in ids.items()} == {
        "range": Days(date(2025, 1, 1), date(2025, 1, 3)),
        "day": Days(date(2025, 1, 2), date(2025, 1, 2)),
        "none": None,
        "odd": None,
    }
    assert [found[ids[name]].succeeded for name in ("range", "day")] == [True, False]


def test_runs_of_a_shop_with_a_namespace_have_the_names_by_which_they_are_judged_and_told(
    instance: dg.DagsterInstance, database: Database
) -> None:
    catalogue, german = build_catalogue("demo"), database.of("de")
    of_shop = replace(catalogue, shop=catalogue.shop.model_copy(update={"namespace": "de"}))
    prepare(german)
    end_run(instance, ValueError(), job="de_raw")
    end_run(instance, ValueError(), job="daily")

    found = gather(instance, german, of_shop, NOW, check_keys=(), open_incidents=())

    assert [run.job for run in found.runs] == ["raw"]


def test_only_so_many_runs_are_read(
    instance: dg.DagsterInstance, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "LAST_RUNS", 3)
    for number in range(5):
        run = dg.DagsterRun(job_name="daily", run_id=f"{number:08}-0000-4000-8000-000000000000")
        instance.add_run(run)
        instance.report_run_failed(run)

    assert [run.run_id[:8] for run in facts_of(instance, database).runs] == ["00000004", "00000003", "00000002"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ShopRefusedError("the shop knows no orders"), "step: the shop knows no orders"),
        (dg.Failure("Nothing was written, since a check failed."), "step: Nothing was written, since a check failed."),
        (ValueError(f"no number: {CUSTOMER}"), "step: ValueError"),
        (KeyError(CUSTOMER), "step: KeyError"),
        (ShopRefusedError("word " * 200), "step: " + ("word " * 80) + "..."),
    ],
)
def test_errors_of_the_project_are_quoted_and_of_others_only_the_kind_is_reported(
    instance: dg.DagsterInstance, database: Database, error: Exception, reason: str
) -> None:
    run_id = end_run(instance, error)

    assert facts_of(instance, database).reasons == {run_id: (reason,)}


def test_days_that_quarantine_stopped_are_named_first(instance: dg.DagsterInstance, database: Database) -> None:
    run_id = end_run(instance, dg.Failure("No."), tags={RANGE_START: "2025-01-01", RANGE_END: "2025-01-09"})
    for day in ("2025-01-03", "2025-01-04", "2025-01-07"):
        execute(
            database,
            "insert into ops.blocked_orders (order_date, order_id, kind, event_id, table_name, reason, column_name, "
            f"run_id, blocked_at) values ('{day}', 'O', 'order', '', 'clean.orders', 'r', 'c', '{run_id}', now())",
        )

    [of_days, of_step] = facts_of(instance, database).reasons[run_id]
    assert of_days.startswith("not written for what is in quarantine: 2025-01-03 to 2025-01-04, 2025-01-07; see ")
    assert of_step == "step: No."


def test_a_run_whose_process_died_gives_its_own_reason(instance: dg.DagsterInstance, database: Database) -> None:
    run = dg.DagsterRun(job_name="daily", run_id="11111111-0000-4000-8000-000000000000")
    instance.add_run(run)
    instance.report_run_failed(run, "The process of this run (host/1) died.")

    assert facts_of(instance, database).reasons == {run.run_id: ("The process of this run (host/1) died.",)}


def test_why_a_run_failed_is_not_read_again_once_reported(instance: dg.DagsterInstance, database: Database) -> None:
    run_id = end_run(instance, ValueError())
    messages = Incident("k", "run_failed", "daily", NOW, "It failed.", run_id)

    assert facts_of(instance, database, open_incidents=(messages,)).reasons == {}


def report(instance: dg.DagsterInstance, *, passed: bool, severity: dg.AssetCheckSeverity) -> None:
    evaluation = dg.AssetCheckEvaluation(KEY.asset_key, KEY.name, passed=passed, severity=severity)
    instance.report_runless_asset_event(evaluation)


def test_the_latest_result_of_a_check_counts_and_a_warning_does_not(
    instance: dg.DagsterInstance, database: Database
) -> None:
    def failed() -> list[str]:
        return [check.name for check in facts_of(instance, database, KEY).checks]

    assert failed() == []
    report(instance, passed=False, severity=dg.AssetCheckSeverity.WARN)
    assert failed() == []
    report(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR)
    assert failed() == ["clean/orders:adds_up"]
    report(instance, passed=True, severity=dg.AssetCheckSeverity.ERROR)
    assert failed() == []


def test_a_run_that_ends_before_its_check_leaves_the_last_result_as_it_was(
    instance: dg.DagsterInstance, database: Database
) -> None:
    @dg.asset(key=KEY.asset_key, check_specs=[dg.AssetCheckSpec(KEY.name, asset=KEY.asset_key)])
    def orders() -> dg.MaterializeResult:  # type: ignore[type-arg]
        raise ValueError

    report(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR)
    dg.materialize([orders], instance=instance, raise_on_error=False)
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key([KEY])[KEY]

    assert newest.status.value == "PLANNED"
    assert [check.name for check in facts_of(instance, database, KEY).checks] == ["clean/orders:adds_up"]
