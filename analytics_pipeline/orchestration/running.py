"""Running business days without the UI: one Dagster run in this process, with progress, and a summary at its end.

The command line and the benchmarks use it; schedules and the UI start runs by themselves.
"""

import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import psutil

from analytics_pipeline.days import Days
from analytics_pipeline.errors import PipelineError
from analytics_pipeline.history.proofs import DAYS_PROVED
from analytics_pipeline.orchestration.code_location import location_tags
from analytics_pipeline.orchestration.namespaces import runs_for
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.lost import LIBRARIES, is_lost, sentence

if TYPE_CHECKING:  # dagster gives these types no public name
    from dagster._core.execution.plan.objects import StepFailureData
    from dagster_shared.error import SerializableErrorInfo

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
REFUSED = "analytics_pipeline/refused"
"""Tag of a run that was refused for what it was asked, with the kind of the error."""
PROCESS_TAG = "analytics_pipeline/process"
INSTANCE_FILE = "dagster.yaml"
BATCH_SIZE = "DAGSTER_EVENT_BATCH_SIZE"
IN_FLIGHT = [
    *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING),
    *(dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
]
UNFINISHED = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
"""A run that is executed in this process is not started until all its planned events are written."""
CLOCK_TOLERANCE = 2.0
"""Seconds by which processes may differ in telling when one of them began: they reckon it from the boot time."""
_NOT_BEGUN = re.compile(r"Dependencies for step .* Not executing\.", re.DOTALL)
"""How Dagster reports a step that does not begin, since one before it has failed."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class RunSummary:
    """What a run did.

    Attributes:
        run_id: Dagster's id of the run.
        succeeded: Whether every step and every check passed, but for warnings.
        failures: What failed and why, a sentence each.
        warnings: Checks that failed and only warn.
        doubts: Checks that failed, block nothing, and have somebody look at what was written.
        checks: Number of checks that were evaluated.
        requests: Requests made to the shop, by step.
    """

    run_id: str
    succeeded: bool
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    checks: int = 0
    requests: dict[str, int] = field(default_factory=dict)


def instance_file() -> Path:
    """Return the project's dagster.yaml: in the package when installed, beside it in a clone."""
    package = Path(__file__).parents[1]
    inside = package / INSTANCE_FILE
    return inside if inside.exists() else package.parent / INSTANCE_FILE


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's instance: the one of `DAGSTER_HOME`, else the one in the state folder, which is made when missing.

    Raises:
        DatabaseUnavailableError: The server cannot be reached.
        DatabaseRefusedError: The login fails, or may not create databases.
    """
    os.environ.setdefault(BATCH_SIZE, "1000")
    if not os.environ.get("DAGSTER_HOME"):
        settings.dagster_home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(instance_file(), settings.dagster_home / INSTANCE_FILE)
        os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    with dg.DagsterInstance.get() as instance:
        yield instance


def run_days(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    days: Days,
    *,
    job_name: str,
    report: Callable[[str], None] = lambda _: None,
) -> RunSummary:
    """Run a job over some business days, as one run in this process.

    Args:
        definitions: The code location.
        instance: Where run, events and checks are recorded.
        days: The business days.
        job_name: Name of the job.
        report: Takes a line for each step and for each report of a long one.
    """
    end_dead_runs(instance)
    job = definitions.resolve_job_def(job_name)
    tags = {
        **range_tags(days),
        **location_tags(definitions),
        PROCESS_TAG: _process_name(),
        # Whoever has started this run and has ended it does not want the daemon to start it again.
        "dagster/max_retries": "0",
    }
    run_id = str(uuid.uuid4())

    def listen(entry: dg.EventLogEntry) -> None:
        line = _line(entry)
        if line is not None:
            report(line)

    instance.add_event_listener(run_id, listen)
    result = job.execute_in_process(run_config=QUIET, instance=instance, tags=tags, raise_on_error=False, run_id=run_id)
    summary = RunSummary(result.run_id, result.success)
    for event in result.all_events:
        if event.is_step_failure:
            summary.failures.append(f"{_step(event)}: {_failure(event.step_failure_data)}")
        elif event.is_run_failure and not summary.failures:
            summary.failures.append(_reason(event.job_failure_data.error))
        elif event.is_step_materialization and (cost := event.materialization.metadata.get("requests")) is not None:
            summary.requests[event.step_key or ""] = int(str(cost.value))  # the same of each of its days
    for evaluation in result.get_asset_check_evaluations():
        summary.checks += 1
        if not evaluation.passed:
            message = (
                f"check {evaluation.check_name} of {evaluation.asset_key.to_user_string()}: {_figures(evaluation)}"
            )
            if evaluation.severity == dg.AssetCheckSeverity.WARN:
                summary.warnings.append(message)
            else:
                is_failure = evaluation.blocking or evaluation.check_name == DAYS_PROVED
                (summary.failures if is_failure else summary.doubts).append(message)
    summary.succeeded = summary.succeeded and not summary.failures
    return summary


def range_tags(days: Days) -> dict[str, str]:
    """Return the tags of a run over some business days; those of one day are the schedule's."""
    if days.first == days.last:
        return {PARTITION: days.first.isoformat()}
    return {RANGE_START: days.first.isoformat(), RANGE_END: days.last.isoformat()}


def days_of_run(run: dg.DagsterRun) -> Days | None:
    """Return the business days that a run is for, None for one without."""
    first = run.tags.get(RANGE_START) or run.tags.get(PARTITION)
    last = run.tags.get(RANGE_END) or first
    try:
        return Days(date.fromisoformat(first), date.fromisoformat(last)) if first and last else None
    except ValueError:  # a partition that is no day
        return None


def days_in_flight(instance: dg.DagsterInstance, namespace: str | None = None) -> set[date]:
    """Return the business days that runs of a shop are waiting or working for."""
    runs = instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT))
    ranges = [days_of_run(run) for run in runs if runs_for(run, namespace)]
    return {day for days in ranges if days is not None for day in days}


def days_in_flight_of(instance: dg.DagsterInstance, job_name: str) -> set[date]:
    """Return the business days that runs of a job are waiting or working for."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=IN_FLIGHT))
    return {day for run in runs for day in days_of_run(run) or ()}


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs as failed whose process died, and free what they hold; a killed process cannot do so itself.

    Returns:
        Ids of these runs.
    """
    dead = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        process = run.tags.get(PROCESS_TAG)
        # A run that the UI repeats inherits its model's tags, the process among them.
        if process is not None and run.parent_run_id is None and not _is_alive(process):
            instance.report_run_failed(run, f"The process of this run ({process}) died.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            dead.append(run.run_id)
    return dead


def _process_name() -> str:
    me = psutil.Process()
    return f"{os.uname().nodename}/{me.pid}/{me.create_time():.2f}"


def _is_alive(process: str) -> bool:
    """Return whether a process of this machine lives; processes of others are taken to do so."""
    host, pid, started = process.rsplit("/", 2)
    if host != os.uname().nodename:
        return True
    try:
        found = psutil.Process(int(pid))
        return abs(found.create_time() - float(started)) < CLOCK_TOLERANCE and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _failure(data: "StepFailureData") -> str:
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return _reason(data.error)


def _reason(error: "SerializableErrorInfo | None") -> str:
    """Return the innermost error's message, with its kind where it is none of the project's own."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "no reason given"
    kind, _, message = error.message.strip().partition(": ")
    if kind.startswith(f"{PipelineError.__module__}."):
        return message
    return sentence(message) if kind.partition(".")[0] in LIBRARIES and is_lost(message) else error.message.strip()


def _figures(evaluation: dg.AssetCheckEvaluation) -> str:
    shown = {name: value.value for name, value in evaluation.metadata.items() if value.value not in ("", 0)}
    return ", ".join(f"{name} {_rounded(value)}" for name, value in shown.items())


def _rounded(value: object) -> object:
    """Show a share with no more digits than tell something."""
    return f"{value:.4g}" if isinstance(value, float) and abs(value) < 1 else value


def _line(entry: dg.EventLogEntry) -> str | None:
    """Describe an entry of a run's log as a line for a person, where it is worth one."""
    event = entry.dagster_event
    if event is None and _NOT_BEGUN.fullmatch(entry.user_message):
        return None  # the failure before it says why, and the same of a dozen steps says no more
    if event is None:
        return f"    {entry.user_message}" if int(entry.level) >= logging.INFO else None
    if event.is_step_success:
        return f"  {_step(event)} done in {event.step_success_data.duration_ms / 1000:.1f} s"
    if event.is_step_failure:
        return f"  {_step(event)} FAILED"
    return None


def _step(event: dg.DagsterEvent) -> str:
    return (event.step_key or "").replace("__", "/")


__all__ = ["RunSummary", "end_dead_runs", "open_instance", "run_days"]
