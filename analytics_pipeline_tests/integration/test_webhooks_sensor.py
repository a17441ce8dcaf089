"""The sensor that loads what calls have made stale, and calls of every kind to a receiver that is killed."""

import random
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.catalogue import Catalogue, build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.job_names import CHANGED_ORDERS, LATE_CHANGES
from analytics_pipeline.orchestration import webhooks
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline.orchestration.namespaces import named
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.orchestration.running import range_tags
from analytics_pipeline.settings import DATABASE_URL, SHOP
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.webhooks.dialects import Call
from analytics_pipeline.webhooks.marking import take_call
from analytics_pipeline_tests.conftest import Pipeline, in_namespace
from analytics_pipeline_tests.integration.calling import SECRET
from analytics_pipeline_tests.integration.command_line import environment
from analytics_pipeline_tests.integration.late import LOADED, MORNING, OPENED, database_time, written_since
from analytics_pipeline_tests.integration.storm import Storm, events_since, killed_receiver
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.test_late_changes_sensor import days_of
from analytics_pipeline_tests.integration.truth import agrees

CALLS_KEY = "ANALYTICS_DEMO_WEBHOOK_SECRET"
PAUSE = 3600


def called(pipeline: Pipeline, *order_ids: str | None) -> list[str]:
    """Have the shop call about orders that it has changed just now."""
    shop, now = load_shop(pipeline.description), datetime.now(UTC)
    calls = [Call(f"msg-{one}", f"{one}", "order.updated", order_id=one, changed_at=now) for one in order_ids]
    return [take_call(pipeline.database, shop, one) for one in calls]


def orders_of(pipeline: Pipeline, *days: object) -> list[str]:
    listed = ", ".join(f"date '{day}'" for day in days)
    rows = pipeline.rows(
        f"select min(order_id) as id from raw.orders where order_date in ({listed}) group by order_date"
    )
    return [str(row["id"]) for row in rows]


class Ticking:
    """The sensor, whose ticks share what it remembers."""

    def __init__(self, pipeline: Pipeline, pause_seconds: int = 0) -> None:
        self._pipeline = pipeline
        names = [named(name, pipeline.database.namespace) for name in (LATE_CHANGES, CHANGED_ORDERS)]
        jobs: Any = [pipeline.definitions.resolve_job_def(name) for name in names]
        catalogue = described(pipeline)
        assert catalogue.shop.webhooks is not None
        paused = catalogue.shop.webhooks.model_copy(update={"pause_seconds": pause_seconds})
        shop = catalogue.shop.model_copy(update={"webhooks": paused})
        [self._sensor] = webhooks.build_webhook_sensors(jobs, replace(catalogue, shop=shop))

    def requests(self) -> list[tuple[str, ...]]:
        """Evaluate it once, as the daemon does: jobs and days of the runs that it asks for."""
        namespace, reference = self._pipeline.database.namespace, str(self._pipeline.description)
        others = {} if namespace is None else {namespace: reference}
        resources = {
            "database": DatabaseResource(others=others),
            "shop": ShopResource(reference=reference, others=others),
        }
        repository = self._pipeline.definitions.get_repository_def()
        context = dg.build_sensor_context(
            instance=self._pipeline.instance, repository_def=repository, resources=resources
        )
        found: Any = self._sensor.evaluate_tick(context)
        return [(str(one.job_name), *days_of([one.tags])) for one in found.run_requests or []]


def described(pipeline: Pipeline) -> Catalogue:
    return build_catalogue(str(pipeline.description))


def test_days_that_calls_have_marked_are_loaded_one_run_a_day_and_none_a_call(later: Pipeline) -> None:
    pipeline, ticking = later, Ticking(later)
    assert ticking.requests() == []
    days = [LOADED.replace(day=1), OPENED, OPENED.replace(day=OPENED.day + 1)]
    called(pipeline, *orders_of(pipeline, *days))
    called(pipeline, *orders_of(pipeline, *days))

    asked = ticking.requests()

    assert asked == [(CHANGED_ORDERS, f"{OPENED} {days[2]}"), (CHANGED_ORDERS, f"{days[0]} {days[0]}")]
    job = pipeline.definitions.resolve_job_def(CHANGED_ORDERS)
    pipeline.instance.create_run_for_job(
        job, tags=range_tags(Days(OPENED, days[2])), status=dg.DagsterRunStatus.STARTED
    )
    assert ticking.requests() == asked[1:]


def test_a_day_that_was_loaded_a_moment_ago_has_to_wait(later: Pipeline) -> None:
    called(later, *orders_of(later, OPENED, LOADED))
    execute(
        later.database,
        f"update ops.materialised_days set as_of = as_of - interval '{PAUSE + 60} seconds' where day = '{OPENED}'",
    )
    assert Ticking(later, PAUSE).requests() == [(CHANGED_ORDERS, f"{OPENED} {OPENED}")]


def test_a_call_of_which_no_day_is_known_has_the_shop_asked_once_and_not_at_each_tick(
    later: Pipeline,
) -> None:
    pipeline, ticking = later, Ticking(later)
    assert called(pipeline, "of no known day") == ["poll"]

    asked = ticking.requests()

    assert asked
    assert len(pipeline.rows("select * from ops.polls")) == 1
    execute(pipeline.database, "delete from ops.stale_days")
    assert ticking.requests() == []
    assert called(pipeline, None) == ["poll"]
    assert ticking.requests() == []  # a minute has to pass
    assert len(pipeline.rows("select * from ops.polls")) == 1


def test_a_shop_with_a_namespace_has_days_loaded_by_its_own_job(
    later: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "days_to_load", lambda *_, **__: [Days(LOADED, LOADED)])
    copy = tmp_path / "de.yaml"
    copy.write_text(later.description.read_text(encoding="utf-8"), encoding="utf-8")
    description = in_namespace(copy, "de")
    definitions = build_definitions(str(description))
    german = replace(later, description=description, definitions=definitions, database=later.database.of("de"))
    open_warehouse(german.database, load_shop(description))
    assert called(german, "of no known day") == ["poll"]

    assert {job for job, *_ in Ticking(german).requests()} == {f"de_{LATE_CHANGES}"}


def test_without_webhooks_in_the_description_there_is_no_such_sensor(later: Pipeline) -> None:
    catalogue = described(later)
    deaf = replace(catalogue, shop=catalogue.shop.model_copy(update={"webhooks": None}))
    assert webhooks.build_webhook_sensors([], deaf) == []
    assert "webhooks" in {sensor.name for sensor in later.definitions.sensors or ()}


def test_runs_of_a_day_that_was_not_over_are_forgotten_once_a_later_one_has_loaded_it(
    later: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, shop = later.definitions.resolve_job_def(CHANGED_ORDERS), load_shop(later.description)
    monkeypatch.setattr(webhooks, "RUNS_KEPT", timedelta(hours=-1))

    def made(
        day: str, *, is_provisional: bool = True, status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS
    ) -> str:
        tags = {"dagster/partition": day, **({webhooks.PROVISIONAL: shop.name} if is_provisional else {})}
        return later.instance.create_run_for_job(job, tags={**job.tags, **tags}, status=status).run_id

    kept = [made("2025-03-19"), made("2025-03-19", status=dg.DagsterRunStatus.FAILURE)]
    forgotten = [made("2025-03-20")]
    kept += [made("2025-03-20", is_provisional=False)]

    assert webhooks.forget_provisional_runs(later.instance, shop) == len(forgotten)

    assert {run.run_id for run in later.instance.get_runs()} == set(kept)
    monkeypatch.setattr(webhooks, "RUNS_KEPT", timedelta(hours=1))
    made("2025-03-20")
    assert webhooks.forget_provisional_runs(later.instance, shop) == 0


def test_calls_of_every_kind_to_a_receiver_that_is_killed_leave_every_day_right_and_reload_no_other(
    later: Pipeline, tmp_path: Path
) -> None:
    shop = later.shop.shop
    changed, unchanged = events_since(shop, MORNING), events_since(shop, datetime(2025, 1, 1, tzinfo=UTC))
    chance = random.Random(5)  # noqa: S311 - no secret
    genuine = [*unchanged, *chance.sample(unchanged, 30)]
    forged = [(f"forged-{number}", body) for number, (_, body) in enumerate(chance.sample(unchanged, 15))]
    settings = {DATABASE_URL: later.database.url, SHOP: str(later.description), CALLS_KEY: SECRET}
    moment = database_time(later)

    with killed_receiver(environment(ANALYTICS_HOME=str(tmp_path / "home"), **settings)) as receiver:
        storm = Storm(f"http://127.0.0.1:{receiver.port}/webhooks/demo", SECRET, genuine, forged)
        raging = threading.Thread(target=storm.rage, args=(chance,))
        raging.start()
        while storm.done < len(genuine) / 3:
            time.sleep(0.005)
        receiver.kill()
        receiver.start()
        raging.join()

    assert storm.answers[0] > 0
    assert storm.answers[401] == len(forged)
    taken = {row["call_id"] for row in later.rows("select call_id from ops.webhook_calls")}
    assert taken == {call_id for call_id, _ in genuine}
    affected = shop.changed_order_days(MORNING) & set(Days(OPENED, LOADED))
    assert 0 < len(affected) < len(Days(OPENED, LOADED))
    assert {row["day"] for row in later.rows("select day from ops.stale_days")} == affected
    for days in days_to_load(later.database, in_flight=(), most=1000):
        assert later.run(days.first, days.last, job=job_of_stale_days(later.database, days)).succeeded
    agrees(later, OPENED, LOADED)
    assert written_since(later, "daily_product_sales", moment) >= affected
    raw = later.rows(
        f"select day from ops.materialised_days where table_name = 'raw.orders' and written_at > '{moment}'"
    )
    assert {row["day"] for row in raw} == affected
    assert len(changed) < len(unchanged)
