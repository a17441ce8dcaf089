"""The sensors that look when nothing runs: whether yesterday is on time, and whether somebody has to be notified.

What they read and send stands in `history.freshness` and `alerts`; sensors that start runs stand elsewhere.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from analytics_pipeline.catalogue import Catalogue, Installation
from analytics_pipeline.history.freshness import last_freshness
from analytics_pipeline.orchestration.alerting import Evaluation, evaluate, evaluate_all_shops
from analytics_pipeline.orchestration.checks.freshness import ON_TIME, evaluation_of, on_time
from analytics_pipeline.orchestration.namespaces import SHOP, named
from analytics_pipeline.orchestration.resources import DatabaseResource

ALERTS_OF_ALL_SHOPS = "alerts_of_all_shops"
SECONDS_BETWEEN_ALERTS = 60
SECONDS_BETWEEN_EVALUATIONS = 300
REPORT_AGAIN = timedelta(hours=1)
"""An answer that stays the same is an event only so often, or the event log would fill."""


def build_alert_sensors(
    catalogue: Catalogue, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[dg.SensorDefinition]:
    """Return the sensors `yesterday_is_on_time` and `alerts`, which run by default.

    Args:
        catalogue: The installation.
        clock: Tells an aware stamp.
    """
    return [_freshness_sensor(catalogue, clock), _alert_sensor(catalogue, clock)]


def _freshness_sensor(catalogue: Catalogue, clock: Callable[[], datetime]) -> dg.SensorDefinition:
    @dg.sensor(
        name=named(ON_TIME.name, catalogue.namespace),
        description="Evaluates the check of its name every few minutes; reports what has changed at once, else hourly.",
        minimum_interval_seconds=SECONDS_BETWEEN_EVALUATIONS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        tags={SHOP: catalogue.shop.name},
    )
    def tick(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult | dg.SkipReason:
        now = clock()
        stored = database.of(catalogue.namespace).database()
        found = last_freshness(stored, catalogue.shop, now, catalogue.due_names)
        # The UI takes a result for none once the asset has been written after it.
        written = context.instance.get_latest_materialization_event(on_time(catalogue.shop).asset_key)
        answer = [found.day.isoformat(), found.is_due, written.timestamp if written else None, *found.missing]
        last = json.loads(context.cursor) if context.cursor else {}
        if last.get("answer") == answer and now - datetime.fromisoformat(last["reported_at"]) < REPORT_AGAIN:
            return dg.SkipReason(f"the same answer as at {last['reported_at']}")
        return dg.SensorResult(
            asset_events=[evaluation_of(found, catalogue.shop)],
            cursor=json.dumps({"answer": answer, "reported_at": now.isoformat()}),
        )

    return tick


def _alert_sensor(catalogue: Catalogue, clock: Callable[[], datetime]) -> dg.SensorDefinition:
    @dg.sensor(
        name=named("alerts", catalogue.namespace),
        description="Keeps incidents (failed runs, failed checks, parked days, late days) and reports them.",
        minimum_interval_seconds=SECONDS_BETWEEN_ALERTS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        tags={SHOP: catalogue.shop.name},
    )
    def tick(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SkipReason:
        if context.repository_def is None:
            message = "the sensor alerts needs the code location that it is part of"
            raise dg.DagsterInvariantViolationError(message)
        keys = context.repository_def.asset_graph.asset_check_keys
        stored = database.of(catalogue.namespace).database()
        return _told(evaluate(context.instance, stored, catalogue, clock(), check_keys=keys, log=context.log))

    return tick


def build_alert_sensor_of_all_shops(installation: Installation) -> dg.SensorDefinition:
    """Return the sensor that keeps the incident of marts over all shops, which runs by default."""

    @dg.sensor(
        name=ALERTS_OF_ALL_SHOPS,
        description="Keeps the incident of marts over all shops (failed runs) and reports it.",
        minimum_interval_seconds=SECONDS_BETWEEN_ALERTS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def tick(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SkipReason:
        return _told(
            evaluate_all_shops(context.instance, database.located(), installation, datetime.now(UTC), log=context.log)
        )

    return tick


def _told(done: Evaluation) -> dg.SkipReason:
    opened, closed = len(done.decision.opened), len(done.decision.closed)
    return dg.SkipReason(f"incidents: {opened} opened, {closed} over; messages sent: {len(done.sent)}")
