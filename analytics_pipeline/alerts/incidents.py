"""What is wrong now, and what that means for the incidents: which open, which are reported again, which are over.

Pure functions. Where facts come from stands in `orchestration.alert_facts`, what becomes of decisions in `alerting`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from analytics_pipeline.days import Days
from analytics_pipeline.history.freshness import Freshness, missing_of
from analytics_pipeline.job_names import CHANGED_ORDERS, DAILY, LATE_CHANGES
from analytics_pipeline.shop.spec import Shop

RUN_FAILED, CHECK_FAILED, DAY_PARKED, DAY_LATE = "run_failed", "check_failed", "day_parked", "day_late"
NO_POLL = "no_poll"
POLLS_MISSED = 4
SHORTEST_SILENCE = timedelta(hours=1)
WHOLE_JOBS = frozenset({DAILY, LATE_CHANGES})
"""Jobs that make a day right in every layer, so that they mend what a run of one layer left."""
NO_DAY = "-"
SHOWN_REASONS = 3

Phase = Literal["opened", "open", "over"]


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes:
        run_id: Dagster's id.
        job: Which of `job_names.JOBS` it was, without the shop's namespace.
        days: Its business days; None for a run without partitions.
        succeeded: Whether it did.
        ended_at: When.
        is_retried: Whether Dagster starts it again by itself.
    """

    run_id: str
    job: str
    days: Days | None
    succeeded: bool
    ended_at: datetime
    is_retried: bool = False

    @property
    def key(self) -> str:
        """The incident that its failure belongs to; retries of the same days are one."""
        first, last = (self.days.first, self.days.last) if self.days else (NO_DAY, NO_DAY)
        return f"{RUN_FAILED}/{self.job}/{first}/{last}"

    @property
    def subject(self) -> str:
        """Job and days, for a person."""
        return f"{self.job} of {self.days}" if self.days else self.job


@dataclass(frozen=True)
class FailedCheck:
    """A check of severity ERROR whose latest evaluation failed: its name as asset:check, when, and in which run."""

    name: str
    evaluated_at: datetime
    run_id: str | None


@dataclass(frozen=True)
class ParkedDay:
    """A business day that is no longer retried by itself."""

    day: date
    parked_at: datetime
    reasons: str
    failures: int
    run_id: str | None


@dataclass(frozen=True)
class Facts:
    """What is now.

    Attributes:
        runs: The last runs that have ended, of the jobs that are watched.
        checks: Failed checks.
        parked: Parked days.
        freshness: How the last day stands, and each day that an open incident reports.
        reasons: Why runs failed, by run.
        silent_since: When the shop was last asked for late changes; None where it never was.
        now: An aware stamp.
    """

    runs: tuple[Run, ...] = ()
    checks: tuple[FailedCheck, ...] = ()
    parked: tuple[ParkedDay, ...] = ()
    freshness: tuple[Freshness, ...] = ()
    reasons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    silent_since: datetime | None = None
    now: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong now; what an incident is opened from."""

    key: str
    kind: str
    subject: str
    since: datetime
    text: str
    run_id: str | None


@dataclass(frozen=True)
class Incident:
    """An incident as it is kept: see `ops.incidents` for its columns."""

    key: str
    kind: str
    subject: str
    opened_at: datetime
    text: str
    run_id: str | None = None
    last_sent_at: datetime | None = None
    sends: int = 0
    closed_at: datetime | None = None
    over_sent_at: datetime | None = None
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What changes: troubles that open incidents, troubles that open ones now tell of, and incidents that are over."""

    opened: tuple[Trouble, ...]
    changed: tuple[Trouble, ...]
    closed: tuple[Incident, ...]


def decide(facts: Facts, open_incidents: Sequence[Incident], shop: Shop) -> Decision:
    """Compare what is wrong now with the incidents that are open.

    An incident of a run that has left the window of the last runs stays open until its days have been run again.
    """
    known = {incident.key: incident for incident in open_incidents}
    now_wrong = {trouble.key: trouble for trouble in _troubles(facts, known, shop)}
    return Decision(
        opened=tuple(trouble for key, trouble in now_wrong.items() if key not in known),
        changed=tuple(
            trouble for key, trouble in now_wrong.items() if key in known and trouble.run_id != known[key].run_id
        ),
        closed=tuple(
            incident
            for key, incident in known.items()
            if key not in now_wrong and not _is_out_of_sight(incident, facts.runs)
        ),
    )


def open_failures(runs: Iterable[Run]) -> list[Run]:
    """Return the newest failed run of each job and range whose days no later run has made right."""
    newest_first = sorted(runs, key=lambda run: run.ended_at, reverse=True)
    failures: dict[str, Run] = {}
    for run in newest_first:
        if (
            not run.succeeded
            and run.key not in failures
            and not _is_mended(run.job, run.days, run.ended_at, newest_first)
        ):
            failures[run.key] = run
    return list(failures.values())


def due_message(incident: Incident, now: datetime, repeat_after: timedelta) -> Phase | None:
    """Return what has to be sent of an incident now, to all receivers; None when nothing."""
    if incident.closed_at is not None:
        return "over" if incident.over_sent_at is None else None
    if incident.last_sent_at is None:
        return "opened"
    return "open" if now - incident.last_sent_at >= repeat_after else None


def is_given_up(incident: Incident, now: datetime, repeat_after: timedelta) -> bool:
    """Whether receivers that still lack the end of an incident are reported no more: others have long had it."""
    return incident.over_sent_at is not None and now - incident.over_sent_at >= repeat_after


def last_message(incident: Incident) -> Phase:
    """Return what was reported last, for receivers that still lack it."""
    if incident.closed_at is not None:
        return "over"
    return "opened" if incident.sends <= 1 else "open"


def _troubles(facts: Facts, known: Mapping[str, Incident], shop: Shop) -> Iterator[Trouble]:
    failures = open_failures(facts.runs)
    reported_by_runs = {run.run_id for run in failures}
    reported_by_runs |= {
        incident.run_id for incident in known.values() if incident.kind == RUN_FAILED and incident.run_id
    }
    for run in failures:
        yield _of_run(run, facts.reasons.get(run.run_id, ()), shop)
    for check in facts.checks:
        # A check that fails in a run makes the run fail: that is one incident, and the run's stays open for its days.
        if check.run_id not in reported_by_runs or _check_key(check) in known:
            yield _of_check(check)
    for parked in facts.parked:
        yield _of_parked(parked, shop)
    for freshness in facts.freshness:
        if freshness.is_late:
            yield _of_freshness(freshness, shop)
    if facts.silent_since is not None and facts.now is not None:
        patience = max(SHORTEST_SILENCE, POLLS_MISSED * timedelta(minutes=shop.late_changes.every_minutes))
        if facts.now - facts.silent_since > patience:
            yield _of_silence(facts.silent_since, shop)


def shown_reasons(run: Run, reasons: Sequence[str]) -> list[str]:
    """Return why a run failed, as lines of a message."""
    shown = [f"- {reason}" for reason in reasons[:SHOWN_REASONS]] or ["- no reason given"]
    if len(reasons) > SHOWN_REASONS:
        shown.append(f"- and {len(reasons) - SHOWN_REASONS} more")
    if run.is_retried:
        shown.append("Dagster starts it again by itself; you are notified when it has succeeded.")
    return shown


def _of_run(run: Run, reasons: Sequence[str], shop: Shop) -> Trouble:
    is_layer = run.job not in {*WHOLE_JOBS, CHANGED_ORDERS}
    again = f"analytics-pipeline run --job {run.job}" if is_layer else "analytics-pipeline run"
    options = f" --from {run.days.first} --to {run.days.last}" if run.days else ""
    todo = f"Mend the cause and run it again, in the UI or with: {again}{options}{_of_shop(shop)}"
    return Trouble(
        key=run.key,
        kind=RUN_FAILED,
        subject=run.subject,
        since=run.ended_at,
        text="\n".join([f"The run {run.subject} of the shop {shop.name} failed:", *shown_reasons(run, reasons), todo]),
        run_id=run.run_id,
    )


def _of_shop(shop: Shop) -> str:
    """The option by which a command is about this shop alone, where it stands beside others."""
    return f" --shop {shop.name}" if shop.namespace else ""


def _check_key(check: FailedCheck) -> str:
    return f"{CHECK_FAILED}/{check.name}"


def _of_check(check: FailedCheck) -> Trouble:
    asset, _, name = check.name.partition(":")
    return Trouble(
        key=_check_key(check),
        kind=CHECK_FAILED,
        subject=check.name,
        since=check.evaluated_at,
        text=f"The check {name} of {asset} failed.\nRead its examples in the UI, mend the cause, run the days again.",
        run_id=check.run_id,
    )


def _of_parked(parked: ParkedDay, shop: Shop) -> Trouble:
    return Trouble(
        key=f"{DAY_PARKED}/{parked.day}",
        kind=DAY_PARKED,
        subject=parked.day.isoformat(),
        since=parked.parked_at,
        text=(
            f"The business day {parked.day} is stale ({parked.reasons}), its runs failed {parked.failures} times, and "
            "it is no longer tried by itself.\n"
            f"Mend the cause and run it: analytics-pipeline run --date {parked.day}{_of_shop(shop)}"
        ),
        run_id=parked.run_id,
    )


def _of_freshness(freshness: Freshness, shop: Shop) -> Trouble:
    due = freshness.due_at.astimezone(shop.zone)
    return Trouble(
        key=f"{DAY_LATE}/{freshness.day}",
        kind=DAY_LATE,
        subject=freshness.day.isoformat(),
        since=freshness.due_at,
        text=(
            f"The business day {freshness.day} of the shop {shop.name} was due by {due:%H:%M %Z} and is not whole in "
            f"{', '.join(missing_of(freshness, shop))}.\n"
            "See whether the daily run began and why it failed, then: "
            f"analytics-pipeline run --date {freshness.day}{_of_shop(shop)}"
        ),
        run_id=None,
    )


def _of_silence(since: datetime, shop: Shop) -> Trouble:
    moment = f"{since.astimezone(shop.zone):%Y-%m-%d %H:%M %Z}"
    sensor = f"{shop.namespace}_late_changes" if shop.namespace else "late_changes"
    return Trouble(
        key=NO_POLL,
        kind=NO_POLL,
        subject="late changes",
        since=since,
        text=(
            f"The shop {shop.name} has not been asked for late changes since {moment}: refunds and edits since then "
            "are missing.\n"
            f"Read the ticks of the sensor {sensor} in the UI, or try: analytics-pipeline catch-up{_of_shop(shop)}"
        ),
        run_id=None,
    )


def _is_out_of_sight(incident: Incident, runs: Sequence[Run]) -> bool:
    """Whether a run's incident goes on although its failure is no longer among the last runs."""
    if incident.kind != RUN_FAILED or any(run.key == incident.key and not run.succeeded for run in runs):
        return False
    _, job, first, last = incident.key.split("/")
    days = None if first == NO_DAY else Days(date.fromisoformat(first), date.fromisoformat(last))
    return not _is_mended(job, days, incident.opened_at, runs)


def _is_mended(job: str, days: Days | None, since: datetime, runs: Sequence[Run]) -> bool:
    """Whether runs that ended later have succeeded on all these days, alone or together."""
    later = [run for run in runs if run.succeeded and run.ended_at > since and run.job in WHOLE_JOBS | {job}]
    if days is None:
        return bool(later)
    remaining = set(days)
    for run in later:
        if run.days is not None:
            remaining = {day for day in remaining if not run.days.first <= day <= run.days.last}
    return not remaining
