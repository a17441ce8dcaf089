"""The sensor that loads the days which the shop's own calls have made stale, a few seconds after they have.

What calls do is `webhooks`' part, which days are next `history.stale`'s. Polls (`sensors`) find what no call reports.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.days import business_day
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.late_changes.poll import poll
from analytics_pipeline.orchestration.assets.guard import step_guard
from analytics_pipeline.orchestration.jobs import AssetJob, job_of_stale_days
from analytics_pipeline.orchestration.namespaces import SHOP, named
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.orchestration.running import (
    PARTITION,
    days_in_flight,
    end_dead_runs,
    range_tags,
)
from analytics_pipeline.shop.calendar import loadable_days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.webhooks.due import read_due
from analytics_pipeline.webhooks.marking import judge_waiting

NAME = "webhooks"
SECONDS_BETWEEN_TICKS = 5
SECONDS_APART = 60.0
"""Between polls, however many calls name orders of which no day is known; and between attempts to forget runs."""
PROVISIONAL = "analytics_pipeline/provisional"
"""Tag of a run of a day that is not over, with the shop's name."""
RUNS_KEPT, RUNS_LOOKED_FOR = timedelta(days=1), timedelta(days=30)
MOST_FORGOTTEN = 50


def build_webhook_sensors(jobs: Sequence[AssetJob], catalogue: Catalogue) -> list[dg.SensorDefinition]:
    """Return the sensor `webhooks`, which has days loaded again by one of two jobs; none where no webhook is described.

    Args:
        jobs: The two jobs of stale days.
        catalogue: The installation.
    """
    described = catalogue.shop.webhooks
    if described is None:
        return []
    pause_seconds, namespace = described.pause_seconds, catalogue.namespace
    polls, forgetting = _Seldom(), _Seldom()

    @dg.sensor(
        name=named(NAME, namespace),
        jobs=jobs,
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        tags={SHOP: catalogue.shop.name},
        description="Loads the business days again that the shop's calls have made stale: a run a day, not one a call.",
    )
    def webhooks(
        context: dg.SensorEvaluationContext, shop: ShopResource, database: DatabaseResource
    ) -> dg.SensorResult | dg.SkipReason:
        stored, of_shop = database.of(namespace).database(), shop.of(namespace)
        due = read_due(stored, pause_seconds)
        if due.is_waiting:
            judge_waiting(stored, of_shop.description)
            due = read_due(stored, pause_seconds)
        if forgetting.is_time():
            forget_provisional_runs(context.instance, of_shop.description)
        # A shop that does not answer is not asked at each tick.
        needs_poll = due.needs_poll and polls.is_time()
        if not due.days and not needs_poll:
            return dg.SkipReason("No call has made a day stale.")
        end_dead_runs(context.instance)
        in_flight = days_in_flight(context.instance, namespace)
        if needs_poll:
            with step_guard(stored, NAME, None), of_shop.source(stored) as source:
                poll(source, stored, catalogue.daily_marts, in_flight=in_flight)
        today = business_day(datetime.now(UTC), of_shop.description.zone)
        ranges = days_to_load(
            stored,
            in_flight=in_flight,
            most=of_shop.description.late_changes.most_days,
            today=today,
            loadable=loadable_days(of_shop.description, today),
            among=None if needs_poll else due.days,
            is_answering=needs_poll,
        )
        if not ranges:
            return dg.SkipReason("The days that calls have made stale are being loaded, or wait.")
        context.log.info("loading %s", ", ".join(map(str, ranges)))
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    job_name=named(job_of_stale_days(stored, days), namespace),
                    tags=range_tags(days) | ({PROVISIONAL: of_shop.description.name} if days.last == today else {}),
                )
                for days in ranges
            ]
        )

    return [webhooks]


def forget_provisional_runs(instance: dg.DagsterInstance, shop: Shop) -> int:
    """Forget runs that loaded a day before it was over, once they are old and the day was loaded again.

    With one a minute, their events would fill the disk. They have published no number.

    Returns:
        How many there were.
    """
    now = datetime.now(UTC)
    old = dg.RunsFilter(
        tags={PROVISIONAL: shop.name},
        statuses=[dg.DagsterRunStatus.SUCCESS],
        updated_after=now - RUNS_LOOKED_FOR,
        updated_before=now - RUNS_KEPT,
    )
    forgotten = 0
    for run in instance.get_runs(old, limit=MOST_FORGOTTEN, ascending=True):
        tags = {PARTITION: run.tags[PARTITION], SHOP: shop.name}
        newest = instance.get_runs(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1)
        if [one.run_id for one in newest] != [run.run_id]:
            instance.delete_run(run.run_id)
            forgotten += 1
    return forgotten


@dataclass
class _Seldom:
    """Something to be done at most once in a while, as long as the process lives."""

    last: float = -SECONDS_APART

    def is_time(self) -> bool:
        """Whether it is to be done now; then it counts as done."""
        if time.monotonic() - self.last < SECONDS_APART:
            return False
        self.last = time.monotonic()
        return True
