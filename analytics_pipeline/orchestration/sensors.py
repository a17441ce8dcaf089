"""The sensors: asking the shop for late changes, and loading again what became stale.

How changes are found is `late_changes`' part, which days are next `history.stale`'s.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.days import Days, business_day
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.late_changes.files import Look
from analytics_pipeline.late_changes.gaps import describe_gap
from analytics_pipeline.late_changes.poll import Poll, poll
from analytics_pipeline.orchestration.assets.guard import step_guard
from analytics_pipeline.orchestration.jobs import AssetJob, job_of_stale_days
from analytics_pipeline.orchestration.namespaces import SHOP, named
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.orchestration.running import days_in_flight, end_dead_runs, range_tags
from analytics_pipeline.plain import counted
from analytics_pipeline.shop.calendar import loadable_days

MOST_FILES = 5
"""Files that a sentence names."""


def build_late_changes_sensor(jobs: Sequence[AssetJob], catalogue: Catalogue) -> dg.SensorDefinition:
    """Return the sensor that asks the shop what changed, and has stale days loaded again by one of two jobs."""
    namespace = catalogue.namespace

    @dg.sensor(
        name=named("late_changes", namespace),
        jobs=jobs,
        minimum_interval_seconds=max(1, round(60 * catalogue.shop.late_changes.every_minutes)),
        default_status=dg.DefaultSensorStatus.RUNNING,
        tags={SHOP: catalogue.shop.name},
        description="Asks the shop which orders changed since the last poll, and loads their business days again.",
    )
    def late_changes(
        context: dg.SensorEvaluationContext, shop: ShopResource, database: DatabaseResource
    ) -> dg.SensorResult | dg.SkipReason:
        end_dead_runs(context.instance)
        of_shop = shop.of(namespace)
        stored, described = database.of(namespace).database(), of_shop.description
        in_flight = days_in_flight(context.instance, namespace)
        with step_guard(stored, "late_changes", None), of_shop.source(stored) as source:
            found = poll(source, stored, catalogue.daily_marts, in_flight=in_flight)
        if found is None:
            return dg.SkipReason("No business day is loaded yet.")
        today = business_day(datetime.now(UTC), described.zone)
        ranges = days_to_load(
            stored,
            in_flight=days_in_flight(context.instance, namespace),  # the sensor webhooks has not waited for the poll
            most=described.late_changes.most_days,
            today=today,
            loadable=loadable_days(described, today),
            is_answering=found.requests > 0,
        )
        if not ranges:
            return dg.SkipReason(describe_poll(found, ranges))
        context.log.info(describe_poll(found, ranges))
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(job_name=named(job_of_stale_days(stored, days), namespace), tags=range_tags(days))
                for days in ranges
            ]
        )

    return late_changes


def describe_look(seen: Look) -> str:
    """Describe a look into the folder in a sentence or two."""
    days = len({stale.day for stale in seen.stale})
    said = f"{counted(seen.files, 'file')}, {seen.taken} taken in ({counted(seen.rows, 'row')}), "
    said += f"{counted(days, 'loaded business day')} {'differs' if days == 1 else 'differ'}."
    stuck = [*(f"refused: {fault}" for fault in seen.refused.values())]
    stuck += [f"waiting: {path}, {fault}" for path, fault in seen.waiting.items()]
    rest = f" and {len(stuck) - MOST_FILES} others" if len(stuck) > MOST_FILES else ""
    return f"{said} {'; '.join(stuck[:MOST_FILES])}{rest}." if stuck else said


def describe_poll(found: Poll, ranges: Collection[Days]) -> str:
    """Describe a poll in a sentence."""
    marked: set[date] = {stale.day for stale in found.stale}
    loading = ", ".join(map(str, ranges)) or "nothing"
    again = found.again
    seen = f"{found.orders_seen} orders seen, {found.orders_changed} of them changed"
    messages = [f"{seen}, {len(marked)} business days stale; loading {loading}."]
    if found.files is not None:
        messages = [f"{describe_look(found.files)} {len(marked)} other business days stale; loading {loading}."]
    if again.requests:
        differing = len({stale.day for stale in again.stale})
        messages.append(
            f"Held against the shop again by {again.requests} requests: {len(again.held)} days as stored, "
            f"{differing} not."
        )
    if again.failure is not None:
        messages.append(f"Not read again: {again.failure}.")
    return " ".join([*messages, *(f"{describe_gap(days)}." for days in found.gaps)])
