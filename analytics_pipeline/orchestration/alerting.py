"""One evaluation: reads the facts, keeps what opens and what is over, and sends what is due; for the sensor and `run`.

An incident is written before anybody is notified and marked as sent afterwards: a crash in between repeats a message
and loses none.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from analytics_pipeline.alerts import record
from analytics_pipeline.alerts.all_shops import AllShops, decide_of_all_shops, open_failure
from analytics_pipeline.alerts.incidents import Decision, Incident, decide, due_message, is_given_up, last_message
from analytics_pipeline.alerts.messages import Concerned, Message, message_of
from analytics_pipeline.alerts.sending import Receiver, receivers_of, send
from analytics_pipeline.catalogue import Catalogue, Installation
from analytics_pipeline.history.all_shops import stale_days_of_all_marts
from analytics_pipeline.history.excerpts import forget_old_excerpts
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.orchestration.alert_facts import gather, reasons_of, runs_of_all_shops
from analytics_pipeline.settings import AlertSettings
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import read_stored
from analytics_pipeline.warehouse.turns import exclusive

SECONDS_TO_SEND = 20.0
"""A tick of a sensor may take a minute; what is left over is sent by the next one."""
_LOCK = "analytics_pipeline alerts"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation did.

    Attributes:
        decision: What opened, changed and closed.
        sent: Titles of the messages that reached somebody.
        failures: Who could not be notified, and why; without secrets.
    """

    decision: Decision
    sent: tuple[str, ...]
    failures: tuple[str, ...]


def evaluate(
    instance: dg.DagsterInstance,
    database: Database,
    catalogue: Catalogue,
    now: datetime,
    *,
    check_keys: Iterable[dg.AssetCheckKey],
    log: logging.Logger = _LOG,
) -> Evaluation:
    """Look for what is wrong and tell of it; looks at the same time wait for each other.

    Args:
        instance: Dagster's instance.
        database: The database of the tables.
        catalogue: The installation.
        now: An aware stamp.
        check_keys: The checks that count.
        log: Takes a line for each incident that opens or closes, and for each receiver that could not be notified.

    Raises:
        SettingsError: A setting of the alerts makes no sense, or the database is bound to another shop.
        TableMismatchError: A stored table of the history does not fit its shape.
    """
    shop = catalogue.shop
    post = _Post(database, shop, now)
    open_warehouse(database, shop)
    forget_old_excerpts(database)
    with exclusive(database, _LOCK):
        open_incidents = record.read_open(database)
        facts = gather(instance, database, catalogue, now, check_keys=check_keys, open_incidents=open_incidents)
        decision = decide(facts, open_incidents, shop)
        record.keep(database, decision, now)
        _log_changes(decision, log)
        for incident in record.read_unfinished(database):
            post.send(incident)
    return post.evaluation(decision, log)


def evaluate_all_shops(
    instance: dg.DagsterInstance,
    database: Database,
    installation: Installation,
    now: datetime,
    *,
    log: logging.Logger = _LOG,
) -> Evaluation:
    """Look whether marts over all shops fail to be computed and tell of it; see `evaluate`."""
    plain = database.of(None)
    post = _Post(plain, AllShops(), now)
    runs = runs_of_all_shops(instance)
    is_untouched = read_stored(plain).is_new
    if is_untouched and all(run.succeeded for run in runs):
        return Evaluation(Decision((), (), ()), (), ())
    open_warehouse(plain)
    forget_old_excerpts(plain)
    with exclusive(plain, _LOCK):
        known = record.read_open(plain, of_all=True)
        failure = None
        if any(not run.succeeded for run in runs):
            failure = open_failure(runs, stale_days_of_all_marts(database, installation))
        is_told = failure is None or any(incident.run_id == failure.run_id for incident in known)
        reasons = {} if failure is None or is_told else {failure.run_id: reasons_of(instance, failure.run_id)}
        decision = decide_of_all_shops(failure, reasons, known)
        record.keep(plain, decision, now)
        _log_changes(decision, log)
        for incident in record.read_unfinished(plain, of_all=True):
            post.send(incident)
    return post.evaluation(decision, log)


def _log_changes(decision: Decision, log: logging.Logger) -> None:
    for trouble in decision.opened:
        log.warning("incident: %s: %s", trouble.kind, trouble.subject)
    for incident in decision.closed:
        log.info("over: %s: %s", incident.kind, incident.subject)


class _Post:
    """Reports receivers of incidents; one that could not be reached is left alone until the next evaluation."""

    def __init__(self, database: Database, concerned: Concerned, now: datetime) -> None:
        self._database, self._concerned, self._now = database, concerned, now
        self._settings = AlertSettings.from_environment()
        self._receivers = receivers_of(self._settings.urls)
        self._until = time.monotonic() + SECONDS_TO_SEND
        self.sent: list[str] = []
        self.failures: dict[int, str] = {}

    def evaluation(self, decision: Decision, log: logging.Logger) -> Evaluation:
        """Return what was decided and sent, and log whom it did not reach."""
        for failure in self.failures.values():
            log.error("alert not sent: %s", failure)
        return Evaluation(decision, tuple(self.sent), tuple(self.failures.values()))

    def send(self, incident: Incident) -> None:
        """Send what is due of an incident, or the last message to those that lack it, and mark what has arrived."""
        phase = due_message(incident, self._now, self._settings.repeat_after)
        if not self._receivers:
            if phase == "over":
                record.mark_logged(self._database, incident, self._now)
            return
        if is_given_up(incident, self._now, self._settings.repeat_after):
            record.mark_reached(self._database, incident, ())
            return
        wanted = [one for one in self._receivers if phase or str(one.number) in incident.unreached]
        message = message_of(incident, phase or last_message(incident), self._concerned, self._settings.ui_url)
        unreached = [str(one.number) for one in wanted if not self._reaches(one, message)]
        if len(unreached) < len(wanted):
            self.sent.append(message.title)
        if phase and len(unreached) < len(wanted):
            record.mark_sent(self._database, incident, self._now, unreached)
        elif not phase and tuple(unreached) != incident.unreached:
            record.mark_reached(self._database, incident, unreached)

    def _reaches(self, receiver: Receiver, message: Message) -> bool:
        if receiver.number in self.failures or time.monotonic() > self._until:
            return False
        failure = send(receiver, message)
        if failure is not None:
            self.failures[receiver.number] = failure
        return failure is None
