"""The daily schedule, from its tick to the rows in the tables."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline_tests.conftest import Pipeline

# Dagster's own schedule of a partitioned job calls it.
pytestmark = pytest.mark.filterwarnings("ignore:Function `JobDefinition.run_request_for_partition`:DeprecationWarning")


def test_the_run_that_a_tick_asks_for_fills_the_tables_of_yesterday(
    start_shop: Callable[..., RunningShop], pipeline_of: Callable[..., Pipeline]
) -> None:
    """On the morning after the clock went back: yesterday had 25 hours."""
    zone = "Europe/London"
    shop = start_shop(
        now=datetime(2025, 10, 27, 5, tzinfo=UTC), opened=date(2025, 10, 24), orders_per_day=(20, 25), timezone=zone
    )
    pipeline = pipeline_of(shop)
    schedule = pipeline.definitions.resolve_schedule_def("daily")
    tick = dg.build_schedule_context(
        instance=pipeline.instance,
        scheduled_execution_time=datetime(2025, 10, 27, 4, tzinfo=ZoneInfo(zone)),
        repository_def=pipeline.definitions.get_repository_def(),
    )
    (request,) = schedule.evaluate_tick(tick).run_requests or []
    job = pipeline.definitions.resolve_job_def(schedule.job_name)
    result = job.execute_in_process(
        instance=pipeline.instance,
        partition_key=request.partition_key,
        tags=request.tags,
        run_config=request.run_config,
    )

    assert result.success
    assert request.partition_key == "2025-10-26"
    assert request.tags["dagster/partition"] == "2025-10-26"
    truth = shop.shop.truth(date(2025, 10, 26))
    rows = pipeline.rows("select order_date, order_id from clean.orders")
    assert {row["order_date"] for row in rows} == {date(2025, 10, 26)}
    assert {row["order_id"] for row in rows} == set(truth.orders)
    (revenue,) = pipeline.rows("select event_date, currency, orders, net_sales::numeric(19,2) from marts.daily_revenue")
    assert revenue["event_date"] == date(2025, 10, 26)
    assert revenue["orders"] == truth.revenue["EUR"].orders
    key = dg.AssetKey(["marts", "daily_revenue"])
    assert pipeline.instance.get_materialized_partitions(key) == {"2025-10-26"}
