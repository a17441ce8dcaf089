"""What is wrong with marts over all shops: their runs that failed, which are one incident. Pure functions.

What is wrong with a shop's own days stands in `incidents`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, tzinfo

from analytics_pipeline.alerts.incidents import RUN_FAILED, Decision, Incident, Run, Trouble, shown_reasons
from analytics_pipeline.job_names import ALL_SHOPS

FAILED_OF_ALL = f"{RUN_FAILED}/{ALL_SHOPS}"
"""Key of the incident."""


@dataclass(frozen=True)
class AllShops:
    """Whom messages are about, in place of a shop."""

    name: str = "all shops"
    zone: tzinfo = UTC


def open_failure(runs: Sequence[Run], stale: Collection[date]) -> Run | None:
    """Return the newest failed run some of whose days are still to be computed; None where there is none.

    Args:
        runs: The last ended runs of the job.
        stale: Days that are to be computed.
    """
    left_over = {*stale}
    for run in sorted(runs, key=lambda run: run.ended_at, reverse=True):
        if run.succeeded:
            if run.days is None:
                return None
            left_over -= {*run.days}
        elif run.days is None or left_over & {*run.days}:
            return run
    return None


def decide_of_all_shops(
    failure: Run | None, reasons: Mapping[str, Sequence[str]], open_incidents: Sequence[Incident]
) -> Decision:
    """Compare the failure that there is now with the incident that is open.

    Args:
        failure: See `open_failure`.
        reasons: Why runs failed, by run.
        open_incidents: Those of all shops.
    """
    if failure is None:
        return Decision((), (), tuple(open_incidents))
    trouble = _trouble(failure, reasons.get(failure.run_id, ()))
    if not open_incidents:
        return Decision((trouble,), (), ())
    is_another = any(incident.run_id != failure.run_id for incident in open_incidents)
    return Decision((), (trouble,) if is_another else (), ())


def _trouble(run: Run, reasons: Sequence[str]) -> Trouble:
    todo = (
        "The days of each shop are not affected. The sensor all_shops tries it again each quarter of an hour, and so "
        "does analytics-pipeline catch-up at once: mend the cause."
    )
    return Trouble(
        key=FAILED_OF_ALL,
        kind=RUN_FAILED,
        subject=run.subject,
        since=run.ended_at,
        text="\n".join(
            [
                f"The run {run.subject} failed, so marts over all shops are not computed:",
                *shown_reasons(run, reasons),
                todo,
            ]
        ),
        run_id=run.run_id,
    )
