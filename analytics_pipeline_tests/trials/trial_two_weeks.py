"""Sixty days loaded, then two weeks of refunds, edits, cancellations, late and deleted orders, a tick a day."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, Fault, serve
from analytics_pipeline_tests.conftest import Pipeline, at
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.late import (
    CHANGEABLE,
    Clock,
    assert_restated_exactly,
    catch_up,
    database_time,
    restated_since,
    revenue_numbers,
    tomorrow,
    written_since,
)
from analytics_pipeline_tests.integration.truth import agrees

OPENED, DAYS, TICKS = date(2025, 3, 1), 60, 14
LOADED = OPENED + timedelta(days=DAYS - 1)
SHOP = DemoShopSettings(opened=OPENED, orders_per_day=(40, 60), longest_refund_days=40, **CHANGEABLE)


SHIFTING = {"pagination": {"type": "page_number", "param": "page", "size_param": "limit", "size": 40, "pages": "pages"}}
"""Pages so small that the list of changed orders has several."""


@pytest.mark.parametrize("is_shifting", [False, True])
def test_each_day_of_two_weeks_ends_with_the_shops_truth(
    pipeline_of: Callable[..., Pipeline], tmp_path: Path, *, is_shifting: bool
) -> None:
    clock, last = Clock(at(f"{LOADED + timedelta(days=1)}T04:00:00+02:00")), LOADED
    causes: Counter[str] = Counter()
    loaded = marts = numbers_restated = runs = 0
    with serve(SHOP, now=clock) as shop:
        pipeline = pipeline_of(shop, **({"orders": SHIFTING} if is_shifting else {}))
        assert pipeline.run(OPENED, last).succeeded
        agrees(pipeline, OPENED, last)
        for tick in range(1, TICKS + 1):
            earlier, numbers, moment = clock.now, revenue_numbers(pipeline), database_time(pipeline)
            truths = {day: shop.shop.truth(day) for day in Days(OPENED, last)}
            clock.now += timedelta(days=1)
            if is_shifting and tick % 2:  # at every second poll the list shifts before its second page
                shop.shop.misbehave(Fault.SHIFTED_LIST, next_requests=1, path="/orders")

            done = catch_up(pipeline)

            changed_orders = shop.shop.changed_order_days(earlier, clock.now) & truths.keys()
            changed_figures = {
                day
                for day, truth in truths.items()
                for now in [shop.shop.truth(day)]
                if (truth.revenue, truth.product_sales) != (now.revenue, now.product_sales)
            }
            computed = written_since(pipeline, "daily_revenue", moment)
            assert done.days == changed_orders
            assert computed == changed_orders | changed_figures
            restatements = restated_since(pipeline, moment)
            assert_restated_exactly(numbers, revenue_numbers(pipeline), restatements)
            last = tomorrow(last)
            assert pipeline.run(last).succeeded
            agrees(pipeline, OPENED, last)
            causes.update(row["cause"] for row in restatements)
            loaded, marts, runs = loaded + len(done.days), marts + len(computed), runs + len(done.ranges)
            numbers_restated += len(restatements)
            needed = len(changed_orders), len(changed_orders | changed_figures)
            print(
                f"tick {tick}: {len(done.days)} days of orders loaded ({needed[0]} needed), {len(computed)} mart days "
                f"({needed[1]} needed), {len(restatements)} numbers restated",
                flush=True,
            )
        adds_up = "select sum(unexplained_difference)::text as money, sum(unexplained_orders)::text as orders"
        assert pipeline.rows(f"{adds_up} from marts.daily_reconciliation") == [{"money": "0.0000", "orders": "0"}]
        settings = {"ANALYTICS_DATABASE_URL": pipeline.database.url, "ANALYTICS_SHOP": str(pipeline.description)}
        print(run("status", folder=tmp_path, ANALYTICS_HOME=str(tmp_path / "home"), **settings).stdout)
    print(f"{loaded} days of orders in {runs} runs, {marts} days of the mart, {numbers_restated} numbers: {causes}")
