"""Reads what alerts are about: the last runs and check results of Dagster's instance, parked days, and freshness.

An evaluation costs a bounded number of queries, whatever the history. What the facts mean is decided in `incidents`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

from analytics_pipeline.alerts.incidents import (
    DAY_LATE,
    Facts,
    FailedCheck,
    Incident,
    ParkedDay,
    Run,
    open_failures,
)
from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.errors import PipelineError
from analytics_pipeline.history.blocked import days_blocked_by
from analytics_pipeline.history.freshness import freshness, read_past, read_written_days
from analytics_pipeline.job_names import ALL_SHOPS, CHANGED_ORDERS, DAILY, LATE_CHANGES, OF_A_LAYER
from analytics_pipeline.orchestration.checks.freshness import on_time
from analytics_pipeline.orchestration.namespaces import is_of, job_of
from analytics_pipeline.orchestration.running import REFUSED, days_of_run
from analytics_pipeline.plain import without_addresses
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.tables.history import BLOCKED_ORDERS, POLLS, STALE_DAYS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

if TYPE_CHECKING:  # dagster gives these types no public name
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
    from dagster_shared.error import SerializableErrorInfo

WATCHED_JOBS = frozenset({DAILY, LATE_CHANGES, CHANGED_ORDERS, *OF_A_LAYER})
LAST_RUNS = 200
LONGEST_REASON = 400
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
WILL_RETRY = "dagster/will_retry"
REPORTED_BY_ITS_CHECK = "DagsterAssetCheckFailedError"


def gather(
    instance: dg.DagsterInstance,
    database: Database,
    catalogue: Catalogue,
    now: datetime,
    *,
    check_keys: Iterable[dg.AssetCheckKey],
    open_incidents: Sequence[Incident],
) -> Facts:
    """Read all facts.

    Args:
        instance: Dagster's instance.
        database: Where the pipeline's own history lies.
        catalogue: The installation.
        now: An aware stamp.
        check_keys: The checks that count.
        open_incidents: Runs that they tell of already are not read again.
    """
    shop, tables = catalogue.shop, catalogue.due_names
    namespace, aside = catalogue.namespace, on_time(shop)
    runs = tuple(_ended_runs(instance, namespace))
    checks = tuple(
        _failed_checks(instance, [key for key in check_keys if is_of(key.asset_key, namespace) and key != aside])
    )
    known = {incident.run_id for incident in open_incidents}
    days = {last_complete_day(shop, now)}
    days |= {date.fromisoformat(one.subject) for one in open_incidents if one.kind == DAY_LATE}
    written, past = read_written_days(database, sorted(days), tables), read_past(database, tables)
    return Facts(
        runs=runs,
        checks=checks,
        parked=tuple(_parked_days(database)),
        silent_since=_last_poll(database),
        now=now,
        freshness=tuple(freshness(shop, now, written, tables=tables, day=day, past=past) for day in sorted(days)),
        reasons={
            run.run_id: (*_blocked(database, run.run_id), *reasons_of(instance, run.run_id, checks))
            for run in open_failures(runs)
            if run.run_id not in known
        },
    )


def _last_poll(database: Database) -> datetime | None:
    if not exists(database, POLLS):
        return None
    polled_at: datetime | None = query(database, f"select max(polled_at) as at from {POLLS.sql_name}")[0]["at"]
    return polled_at


def _ended_runs(instance: dg.DagsterInstance, namespace: str | None) -> Iterator[Run]:
    for record in instance.get_run_records(dg.RunsFilter(statuses=ENDED), limit=LAST_RUNS):
        run = record.dagster_run
        job = job_of(run.job_name, namespace)
        if job in WATCHED_JOBS and REFUSED not in run.tags:
            yield _run(record, job)


def runs_of_all_shops(instance: dg.DagsterInstance) -> list[Run]:
    """Return the last ended runs of marts over all shops."""
    wanted = dg.RunsFilter(job_name=ALL_SHOPS, statuses=ENDED)
    return [_run(record, ALL_SHOPS) for record in instance.get_run_records(wanted, limit=LAST_RUNS)]


def _run(record: dg.RunRecord, job: str) -> Run:
    run = record.dagster_run
    return Run(
        run_id=run.run_id,
        job=job,
        days=days_of_run(run),
        succeeded=run.status == dg.DagsterRunStatus.SUCCESS,
        ended_at=datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp,
        is_retried=run.tags.get(WILL_RETRY) == "true",
    )


def _failed_checks(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> Iterator[FailedCheck]:
    storage = instance.event_log_storage
    for key, newest in storage.get_latest_asset_check_execution_by_key(keys).items():
        record: AssetCheckExecutionRecord | None = newest
        if newest.status == Status.PLANNED:  # by a run that goes on, or that ended before the check: no answer yet
            evaluated = storage.get_asset_check_execution_history(
                key, limit=1, status={Status.FAILED, Status.SUCCEEDED}
            )
            record = next(iter(evaluated), None)
        if record is None or record.status != Status.FAILED or record.event is None or record.evaluation is None:
            continue
        if record.evaluation.severity == dg.AssetCheckSeverity.ERROR:
            yield FailedCheck(
                name=key.to_user_string(),
                evaluated_at=datetime.fromtimestamp(record.event.timestamp, UTC),
                run_id=record.run_id or None,
            )


def _parked_days(database: Database) -> Iterator[ParkedDay]:
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            "select day, min(parked_at), string_agg(reason, ', ' order by reason), max(failures)::bigint, "
            "(array_agg(failed_run_id order by parked_at desc) filter (where failed_run_id is not null))[1] "
            f"from {STALE_DAYS.sql_name} where parked_at is not null group by day order by day"
        )
        rows = cursor.fetchall()
    return (ParkedDay(*row) for row in rows)


def _blocked(database: Database, run_id: str) -> Iterator[str]:
    """Say which of a run's days quarantine stopped: the others may have been written by another run since."""
    days = Days.of(days_blocked_by(database, run_id)).ranges if exists(database, BLOCKED_ORDERS) else []
    if days:
        named = ", ".join(map(str, days))
        yield f"not written for what is in quarantine: {named}; see analytics-pipeline quarantine list --blocked"


def reasons_of(instance: dg.DagsterInstance, run_id: str, checks: Sequence[FailedCheck] = ()) -> tuple[str, ...]:
    """Describe why a run failed: its checks, then its steps."""
    of_checks = [f"the check {check.name} failed" for check in checks if check.run_id == run_id]
    of_steps, of_run = [], []
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}):
        event = entry.get_dagster_event()
        if event.is_step_failure:
            data = event.step_failure_data
            by_its_author = data.user_failure_data.description if data.user_failure_data else None
            message = by_its_author or _innermost(data.error)
            if message != REPORTED_BY_ITS_CHECK:
                of_steps.append(f"{(event.step_key or '').replace('__', '/')}: {_shortened(message)}")
        elif event.message:
            of_run.append(_shortened(event.message))
    return (*of_checks, *(of_steps or ([] if of_checks else of_run)))


def _innermost(error: "SerializableErrorInfo | None") -> str:
    """Return the innermost error's message if it is the project's own, else its kind: others may quote data."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "no reason given"
    kind, _, message = error.message.strip().partition(": ")
    is_ours = kind.startswith(f"{PipelineError.__module__}.")
    return message if is_ours else (kind.split()[0].rpartition(".")[2] or "an error")


def _shortened(text: str) -> str:
    words = without_addresses(" ".join(text.split()))
    return words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}..."
