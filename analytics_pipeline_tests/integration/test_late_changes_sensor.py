"""The sensor and the command that follow a shop's late changes, and shops that cannot be asked for them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import Fault
from analytics_pipeline.errors import ShopUnavailableError
from analytics_pipeline.job_names import LATE_CHANGES
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.orchestration.running import days_in_flight, range_tags
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.order_counts import count_orders
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.late import LOADED, OPENED, catch_up, database_time, look_at
from analytics_pipeline_tests.integration.loaded import redescribed
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.truth import agrees


def tick(pipeline: Pipeline) -> Any:  # noqa: ANN401 - dagster gives the type no public name
    """Evaluate the sensor once, as the daemon does."""
    sensor = pipeline.definitions.resolve_sensor_def("late_changes")
    repository = pipeline.definitions.get_repository_def()
    resources = {"database": DatabaseResource(), "shop": ShopResource(reference=str(pipeline.description))}
    context = dg.build_sensor_context(instance=pipeline.instance, repository_def=repository, resources=resources)
    return sensor.evaluate_tick(context)


def requested(pipeline: Pipeline) -> list[dict[str, str]]:
    return [dict(request.tags) for request in tick(pipeline).run_requests or []]


def days_of(tags: list[dict[str, str]]) -> list[str]:
    first, last = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    return [" ".join([one[first], one[last]] if first in one else 2 * [one["dagster/partition"]]) for one in tags]


def test_a_tick_asks_for_the_stale_days_and_the_runs_of_its_requests_make_them_right(later: Pipeline) -> None:
    tags = requested(later)
    assert tags
    job = later.definitions.resolve_job_def(LATE_CHANGES)

    for one in tags:
        kept = {name: text for name, text in one.items() if "partition" in name}
        assert job.execute_in_process(instance=later.instance, tags=kept).success

    agrees(later, OPENED, LOADED)
    assert requested(later) == []


def test_a_day_that_a_run_is_loading_is_not_asked_for_again(later: Pipeline) -> None:
    first = requested(later)
    days = Days(*(datetime.fromisoformat(text).date() for text in days_of(first)[0].split()))
    job = later.definitions.resolve_job_def(LATE_CHANGES)
    later.instance.create_run_for_job(job, tags=range_tags(days), status=dg.DagsterRunStatus.STARTED)

    assert days_in_flight(later.instance) == set(days)
    assert days_of(requested(later)) == days_of(first)[1:]


def test_no_more_days_are_asked_for_than_the_description_allows(later: Pipeline, tmp_path: Path) -> None:
    capped = redescribed(later, tmp_path, late_changes={"most_days": 2})

    tags = days_of(requested(capped))

    ranges = [Days(*(datetime.fromisoformat(text).date() for text in one.split())) for one in tags]
    assert sum(map(len, ranges)) == 2
    assert ranges[0].first == min(row["day"] for row in later.rows("select day from ops.stale_days"))  # type: ignore[type-var]  # dates


def test_a_tick_that_cannot_ask_the_shop_fails_and_asks_for_nothing(later: Pipeline, tmp_path: Path) -> None:
    impatient = redescribed(later, tmp_path, limits={"retries": 0})
    later.shop.shop.misbehave(Fault.ERROR_503, share=1.0, path="/orders")

    with pytest.raises(ShopUnavailableError):
        tick(impatient)

    assert later.rows("select * from ops.stale_days") == []


def test_a_shop_that_cannot_be_asked_for_changes_has_its_last_days_read_again_daily_and_all_in_turn(
    later: Pipeline, tmp_path: Path
) -> None:
    shy = redescribed(
        later, tmp_path, orders={"changed_since": None, "count": None},
        late_changes={"reread_days": 5000, "sweep_days": 9000},
    )  # fmt: skip
    assert look_at(shy).again.requests == 0  # everything was read just now
    execute(shy.database, "update ops.day_proofs set held_at = held_at - interval '21 hours'")
    moment = database_time(shy)

    done = catch_up(shy)

    agrees(shy, OPENED, LOADED)
    assert done.days == {stale.day for stale in done.poll.again.stale}
    assert done.poll.again.held == set(Days(OPENED, LOADED)) - done.days
    held = shy.rows(f"select day from ops.day_proofs where held_at < timestamptz '{moment}'")
    assert {row["day"] for row in held} == set()
    swept = redescribed(
        later,
        tmp_path,
        orders={"changed_since": None, "count": None},
        late_changes={"reread_days": 0, "sweep_days": 30, "reread_share": 0.0},
    )
    day = OPENED + timedelta(days=3)
    execute(shy.database, f"update ops.day_proofs set held_at = held_at - interval '40 days' where day = '{day}'")
    found = look_at(swept)
    assert (found.stale, found.again.held) == ([], {day})


def test_the_shops_count_of_a_range_is_one_request_for_one_record(later: Pipeline) -> None:
    with ShopClient(load_shop(str(later.description))) as client:
        counted = count_orders(client, OPENED, LOADED)
        statistics = client.statistics

    truths = [later.shop.shop.truth(day) for day in Days(OPENED, LOADED)]
    assert counted == sum(len(true.orders) + len(true.quarantined) + len(true.excluded) for true in truths)
    assert statistics.requests == 1
    assert statistics.bytes < 5_000


def test_catch_up_loads_what_changed_reports_it_and_has_nothing_to_do_the_second_time(
    later: Pipeline, tmp_path: Path
) -> None:
    settings = {
        "ANALYTICS_HOME": str(tmp_path / "home"),
        "ANALYTICS_DATABASE_URL": later.database.url,
        "ANALYTICS_SHOP": str(later.description),
    }
    first = run("catch-up", folder=tmp_path, **settings)
    second = run("catch-up", folder=tmp_path, **settings)
    status = run("status", folder=tmp_path, **settings)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "orders seen" in first.stdout
    assert "done, " in first.stdout
    assert "loading nothing." in second.stdout
    agrees(later, OPENED, LOADED)
    lines = {line[:12].strip(): line[13:] for line in status.stdout.splitlines() if line[:12].strip()}
    assert lines["adds up"].startswith("15 of 15 days; unexplained difference 0.00, unexplained orders 0")
    assert lines["stale"] == "no day waits to be loaded again"
    assert "published numbers of" in lines["restated"]
    assert lines["late changes"].startswith("last poll 20")
    assert lines["maturity"].startswith("final 2025-03-18 to 2025-04-01")


def test_catch_up_before_anything_is_loaded_says_so(
    start_shop: Callable[..., object], pipeline_of: Callable[..., Pipeline], tmp_path: Path
) -> None:
    pipeline = pipeline_of(start_shop(now=datetime(2025, 4, 2, tzinfo=UTC), opened=OPENED))
    messages = run(
        "catch-up", folder=tmp_path, ANALYTICS_HOME=str(tmp_path / "home"),
        ANALYTICS_DATABASE_URL=pipeline.database.url, ANALYTICS_SHOP=str(pipeline.description),
    )  # fmt: skip

    assert messages.returncode == 0
    assert "No business day is loaded yet" in messages.stdout


def test_today_is_kept_current_is_provisional_and_is_put_on_record_only_once_it_is_over(
    pipeline_of: Callable[..., Pipeline], start_shop: Callable[..., object], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    # A zone in which it is about noon, so that today has orders and is not over soon.
    hours = 12 - now.hour
    zone = "Etc/GMT" + (f"-{hours}" if hours > 0 else f"+{-hours}")
    today = (now + timedelta(hours=hours)).date()
    shop = start_shop(opened=today - timedelta(days=2), timezone=zone, orders_per_day=(40, 60))
    base = pipeline_of(shop)
    description = tmp_path / "intraday.yaml"
    description.write_text(base.description.read_text(encoding="utf-8") + "\nintraday: true\n", encoding="utf-8")
    pipeline = replace(base, description=description, definitions=build_definitions(str(description)))
    assert pipeline.run(today - timedelta(days=2), today - timedelta(days=1)).succeeded

    done = catch_up(pipeline)

    assert today in done.days
    revenue = pipeline.rows(f"select orders from marts.daily_revenue where event_date = '{today}'")
    assert revenue
    assert int(str(revenue[0]["orders"])) > 0
    published = {row["day"] for row in pipeline.rows("select distinct day from ops.publications")}
    assert published == {today - timedelta(days=2), today - timedelta(days=1)}
    key = dg.AssetKey(["marts", "daily_revenue"])
    states = _states(pipeline, key, [str(today), str(today - timedelta(days=1))])
    assert states == {str(today): "provisional", str(today - timedelta(days=1)): "settling"}


def _states(pipeline: Pipeline, key: dg.AssetKey, partitions: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    records = pipeline.instance.fetch_materializations(
        dg.AssetRecordsFilter(key, asset_partitions=partitions), limit=20, ascending=True
    ).records
    for record in records:
        materialization = record.asset_materialization
        assert materialization is not None
        found[str(record.partition_key)] = materialization.metadata["state"].value
    return found
