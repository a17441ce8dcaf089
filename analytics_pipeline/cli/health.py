"""Whether all is well, for a cron, a container's health check or an outside watch: `analytics-pipeline status --check`.

It reads what is stored and starts nothing: no server, no poll, no run. A daemon that is dead
reports nothing; so it is shown here when each schedule and each sensor was last at work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

import dagster as dg
import psycopg
import sqlalchemy.exc
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, TickStatus  # no public name

from analytics_pipeline.alerts.incidents import Incident
from analytics_pipeline.alerts.record import read_open
from analytics_pipeline.catalogue import Catalogue, installation_of, installed
from analytics_pipeline.cli.all_shops import marts_of_all_shops
from analytics_pipeline.cli.opening import shop_database
from analytics_pipeline.cli.shops import ALL_TOGETHER
from analytics_pipeline.errors import DatabaseUnavailableError, PipelineError
from analytics_pipeline.history.all_shops import gaps
from analytics_pipeline.history.freshness import describe, last_freshness
from analytics_pipeline.history.proofs import PROVED, read_proofs, related_in_doubt
from analytics_pipeline.history.stale import parked_days
from analytics_pipeline.job_names import ALL_SHOPS, DAILY
from analytics_pipeline.orchestration.namespaces import SHOP, named
from analytics_pipeline.orchestration.running import open_instance
from analytics_pipeline.plain import plain
from analytics_pipeline.settings import DATABASE_URL, Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.history import DAY_PROOFS, RELATED_PROOFS, STALE_DAYS
from analytics_pipeline.tables.operations import INCIDENTS
from analytics_pipeline.warehouse.connection import Database, data_database, instance_database
from analytics_pipeline.warehouse.embedded import is_running
from analytics_pipeline.warehouse.schema import read_stored, refuse_newer
from analytics_pipeline.warehouse.slices import exists
from analytics_pipeline.webhooks.due import describe_traffic, read_traffic

MISSED_TICKS = 3
GRACE = timedelta(minutes=5)
LONGEST_TICK = timedelta(minutes=30)
"""How long a sensor may take: `up` gives it so long."""
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
SCHEDULE_GRACE = timedelta(minutes=15)
LISTED = 20


@dataclass(frozen=True)
class LastTick:
    """When a schedule or a sensor was last at work.

    Attributes:
        name: Its name.
        at: When its last tick began; None where it has had none.
        status: SUCCESS, SKIPPED, STARTED, FAILURE; STOPPED for one that somebody has stopped; NONE without a tick.
        problem: What is wrong with it, None when nothing.
    """

    name: str
    at: datetime | None
    status: str
    problem: str | None


@dataclass
class Health:
    """What `status --check` reports.

    Attributes:
        shop: The shop's name, or the reference where its description cannot be read.
        checked_at: When.
        problems: What is not well, in words; none when all is.
        ticks: Of each schedule and sensor.
        late: The last business day, where it should be there and is not.
        unproved: Business days that the shop has not been held against, or whose reading was refused; the newest.
        parked: Business days that are no longer tried by themselves.
        incidents: Open incidents.
        marts: Of all shops: each mart over them, and how many of its days are to be computed.
        gaps: Of all shops: which days which shop lacks.
    """

    shop: str
    checked_at: datetime
    problems: list[str] = field(default_factory=list)
    ticks: list[LastTick] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    marts: list[dict[str, Any]] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        found: dict[str, Any] = {"ok": self.ok, **asdict(self)}
        if self.shop != ALL_TOGETHER:
            del found["marts"], found["gaps"]
        found["checked_at"] = self.checked_at.isoformat()
        found["ticks"] = [{**asdict(tick), "at": tick.at.isoformat() if tick.at else None} for tick in self.ticks]
        return found


def check_health(settings: Settings, now: datetime, *, with_daemon: bool) -> Health:
    """Look at everything; what cannot be looked at is a problem and stops nothing.

    Args:
        settings: The installation.
        now: An aware stamp.
        with_daemon: Whether schedules and sensors have to be at work; not where cron calls the commands.
    """
    health = Health(settings.shop, now)
    with _as_problems(health):
        shop = load_shop(settings.shop)
        health.shop = shop.name
        _refuse_stopped(settings, with_daemon=with_daemon)
        database = shop_database(settings, shop)
        catalogue = installed(settings)
        health.problems += [f"{one.layer}.{one.name} is not computed: {one.reason}" for one in catalogue.broken]
        refuse_newer(database, read_stored(database))
        _look_at_tables(health, database, catalogue, now)
        _look_at_calls(health, database, catalogue.shop)
        if with_daemon:
            with instance_database(database).connect():  # opening the instance would make it
                pass
            with open_instance(settings) as instance:
                health.ticks = list(last_ticks(instance, shop, now, with_nobodys=settings.is_alone))
    return _finished(health)


def check_marts_of_all_shops(settings: Settings, now: datetime, *, with_daemon: bool) -> Health:
    """Look at marts over all shops and what is no shop's own; see `check_health`."""
    health = Health(ALL_TOGETHER, now)
    with _as_problems(health):
        _refuse_stopped(settings, with_daemon=with_daemon)
        installation = installation_of(settings)
        health.problems += [
            f"{one.layer}.{one.name} is not computed: {one.reason}" for one in installation.broken_marts
        ]
        plain = data_database(settings).of(None)
        health.marts = marts_of_all_shops(plain, installation)
        health.gaps = {shop: str(days) for shop, days in gaps(plain, installation.shops_of_marts).items()}
        if exists(plain, INCIDENTS):
            _look_at_incidents(health, read_open(plain, of_all=True))
        with instance_database(plain).connect(), open_instance(settings) as instance:
            last = instance.get_runs(dg.RunsFilter(job_name=ALL_SHOPS, statuses=ENDED), limit=1)
            if with_daemon and installation.marts:
                health.ticks = [*_last_ticks(instance, _silences_of(None), now)]
        health.problems += [f"the last run of {ALL_SHOPS} failed: {run.run_id}" for run in last if run.is_failure]
    return _finished(health)


def _finished(health: Health) -> Health:
    health.problems += [f"{tick.name}: {tick.problem}" for tick in health.ticks if tick.problem]
    health.problems = [" ".join(problem.split()) for problem in health.problems]  # a line each
    return health


def _refuse_stopped(settings: Settings, *, with_daemon: bool) -> None:
    if settings.database_url is None and not is_running(settings.embedded_data):
        remedy = "analytics-pipeline up"
        if not with_daemon:
            remedy += f", or a server of your own ({DATABASE_URL}), which also runs between the commands of cron"
        raise DatabaseUnavailableError(f"the embedded database does not run, so nothing else does: {remedy}")


@contextmanager
def _as_problems(health: Health) -> Iterator[None]:
    try:
        yield
    except PipelineError as error:
        health.problems.append(plain(str(error)))
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError, dg.DagsterError) as error:
        health.problems.append(f"it cannot be looked at: {type(error).__name__}")


def _look_at_tables(health: Health, database: Database, catalogue: Catalogue, now: datetime) -> None:
    freshness = last_freshness(database, catalogue.shop, now, catalogue.due_names)
    if freshness.is_late:
        health.late = [freshness.day.isoformat()]
        health.problems.append(f"late: {describe(freshness, catalogue.shop)}")
    if exists(database, DAY_PROOFS):
        unproved = sorted(proof.day for proof in read_proofs(database).values() if proof.state != PROVED)
        health.unproved = [day.isoformat() for day in unproved[-LISTED:]]
        if unproved:
            health.problems.append(f"unproved: {len(unproved)} business days, the newest {unproved[-1]}")
    if exists(database, RELATED_PROOFS):
        for name, proofs in related_in_doubt(database).items():
            health.problems.append(f"unproved: {len(proofs)} business days of {name}, the newest {proofs[-1].day}")
    if exists(database, STALE_DAYS):
        parked = parked_days(database)
        health.parked = [day.isoformat() for day in parked[-LISTED:]]
        if parked:
            health.problems.append(f"parked: {len(parked)} business days, the newest {parked[-1]}")
    if exists(database, INCIDENTS):
        _look_at_incidents(health, read_open(database))


def _look_at_incidents(health: Health, found: list[Incident]) -> None:
    health.incidents = [f"{incident.kind} {plain(incident.subject)}" for incident in found[:LISTED]]
    if found:
        health.problems.append(f"open incidents: {len(found)}, such as {health.incidents[0]}")


def _look_at_calls(health: Health, database: Database, shop: Shop) -> None:
    traffic = read_traffic(database) if shop.webhooks is not None else None
    if traffic is not None and traffic.are_all_refused:
        health.problems.append(f"webhooks: every call is refused: {describe_traffic(traffic, shop.zone)}")


def last_ticks(
    instance: dg.DagsterInstance, shop: Shop, now: datetime, *, with_nobodys: bool = True
) -> Iterator[LastTick]:
    """Return the last tick of each schedule and sensor of the shop, and what is wrong with it.

    Args:
        instance: Dagster's instance.
        shop: The shop.
        now: An aware stamp.
        with_nobodys: Whether sensors that are no shop's own are among them, as of the only shop.
    """
    silences = _longest_silences(shop, now) | (_silences_of(None) if with_nobodys else {})
    return _last_ticks(instance, silences, now)


def _last_ticks(instance: dg.DagsterInstance, silences: dict[str, timedelta], now: datetime) -> Iterator[LastTick]:
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    for name, longest in silences.items():
        state = states.get(name)
        if state is None:
            yield LastTick(name, None, "NONE", "it has never been at work here: does `analytics-pipeline up` run?")
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        yield _judged(name, state, ticks[0] if ticks else None, longest, now)


def _judged(
    name: str, state: InstigatorState, tick: InstigatorTick | None, longest: timedelta, now: datetime
) -> LastTick:
    if not state.is_running:
        at = datetime.fromtimestamp(tick.timestamp, UTC) if tick else None
        return LastTick(name, at, "STOPPED", "somebody has stopped it in the UI")
    if tick is None:
        started = getattr(state.instigator_data, "start_timestamp", None)
        is_new = started is not None and now - datetime.fromtimestamp(started, UTC) < longest
        return LastTick(name, None, "NONE", None if is_new else "it has had no tick yet")
    at = datetime.fromtimestamp(tick.timestamp, UTC)
    status: TickStatus = tick.status
    allowed = longest + (LONGEST_TICK if status == TickStatus.STARTED else timedelta(0))
    problem = None
    if now - at > allowed:
        problem = f"its last tick was at {at:%Y-%m-%d %H:%M} UTC: does the daemon live?"
    elif status == TickStatus.FAILURE:
        problem = f"its last tick failed, at {at:%Y-%m-%d %H:%M} UTC"
    return LastTick(name, at, status.value, problem)


def _longest_silences(shop: Shop, now: datetime) -> dict[str, timedelta]:
    """Return how long ago the last tick of each schedule and sensor may have been."""
    daily = {named(DAILY, shop.namespace): now - _last_time(shop, now - SCHEDULE_GRACE) + timedelta(minutes=1)}
    return daily | _silences_of(shop)


def _silences_of(shop: Shop | None) -> dict[str, timedelta]:
    """Return the same of the sensors of a shop; None means those that are no shop's own."""
    from analytics_pipeline.definitions import defs  # noqa: PLC0415 - reads the shop that the options have chosen

    found = {}
    for sensor in defs.sensors or ():
        if sensor.tags.get(SHOP) == (shop.name if shop is not None else None):
            seconds = getattr(sensor, "minimum_interval_seconds", None) or 30
            found[sensor.name] = MISSED_TICKS * timedelta(seconds=seconds) + GRACE
    return found


def _last_time(shop: Shop, moment: datetime) -> datetime:
    """Return when the daily schedule was last due before a moment."""
    local = moment.astimezone(shop.zone)
    due = datetime.combine(local.date(), time(shop.daily_run_hour), shop.zone)
    if due > local:
        due = datetime.combine(local.date() - timedelta(days=1), time(shop.daily_run_hour), shop.zone)
    return due.astimezone(UTC)
