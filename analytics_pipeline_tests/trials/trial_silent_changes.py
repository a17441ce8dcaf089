"""A thousand refunds and edits that no list of changes reports, over sixty simulated days: how soon each is found.

The days pass in the shop and in what polls take for now. What a poll finds is taken over into the raw orders as a run
would, so that half a year passes in minutes; in the end all days are loaded as users do: no raw order may change.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random

import pyarrow as pa

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.history.maturity import lateness
from analytics_pipeline.late_changes.poll import Poll, poll
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.slices import write
from analytics_pipeline_tests.conftest import Pipeline, at, content_hash
from analytics_pipeline_tests.integration.late import Clock
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.truth import agrees

OPENED, DAYS = date(2025, 1, 1), 150
LOADED = OPENED + timedelta(days=DAYS - 1)
CHANGES, CHANGING_DAYS, ALL_DAYS = 1_000, 60, 155
POLLS_OF_A_DAY, POLLS_STOOD_FOR = 2, 96
"""Each poll counts as many times as the default of 15 minutes would have it."""
SHOP = DemoShopSettings(opened=OPENED, orders_per_day=(40, 60), longest_refund_days=40)


def _poll(pipeline: Pipeline, now: datetime) -> Poll:
    catalogue = build_catalogue(str(pipeline.description))
    with ShopClient(catalogue.shop) as client:
        found = poll(ApiSource(client), pipeline.database, catalogue.daily_marts, now=now)
    assert found is not None
    times = POLLS_STOOD_FOR // POLLS_OF_A_DAY
    execute(
        pipeline.database,
        f"update ops.polls set requests = requests_again + (requests - requests_again) * {times} "
        f"where as_of = timestamptz '{now.isoformat()}'",
    )
    return found


def _take_over(pipeline: Pipeline, found: Poll, now: datetime) -> None:
    """Store the raw orders of the stale days as they are now, and forget those that the trial does not load."""
    with ShopClient(load_shop(str(pipeline.description))) as client:
        for day in {stale.day for stale in found.stale if stale.day <= LOADED}:
            rows = pa.RecordBatchReader.from_batches(RAW_ORDERS.table.arrow_schema, extract_orders(client, day, day))
            write(pipeline.database, RAW_ORDERS.table, rows, Days(day, day))
            execute(pipeline.database, f"update ops.day_proofs set held_at = '{now.isoformat()}' where day = '{day}'")
    execute(pipeline.database, "delete from ops.stale_days")


def test_silent_changes_are_found_within_a_week_on_settling_days_and_within_ninety_days_on_others(
    pipeline_of: Callable[..., Pipeline],
) -> None:
    clock = Clock(at(f"{LOADED + timedelta(days=1)}T12:00:00+02:00"))
    chance = Random(7)  # noqa: S311 - no secret
    waiting: dict[str, tuple[date, datetime, str]] = {}
    took: dict[str, list[timedelta]] = {"settling": [], "others": []}
    made: Counter[str] = Counter()
    again = others = 0
    with serve(SHOP, now=clock) as shop:
        pipeline = pipeline_of(shop, late_changes={"most_days": 1})
        assert pipeline.run(OPENED, LOADED).succeeded
        execute(pipeline.database, f"update ops.day_proofs set held_at = timestamptz '{clock.now.isoformat()}'")
        for number in range(ALL_DAYS):
            if number < CHANGING_DAYS:
                moment = clock.now + timedelta(hours=1)
                settles_after = lateness(pipeline.database, load_shop(str(pipeline.description))).days
                left = CHANGES - sum(made.values())
                for _ in range(-(-left // (CHANGING_DAYS - number))):
                    day = chance.choice(list(Days(OPENED, LOADED)))
                    kind = "settling" if (moment.date() - day).days <= settles_after else "others"
                    for order_id in shop.shop.change_silently(day, 1, moment):
                        waiting.setdefault(order_id, (day, moment, kind))
                        made[kind] += 1
            for _ in range(POLLS_OF_A_DAY):
                clock.now += timedelta(days=1) / POLLS_OF_A_DAY
                found = _poll(pipeline, clock.now)
                again += found.again.requests
                others += (found.requests - found.again.requests) * POLLS_STOOD_FOR // POLLS_OF_A_DAY
                # A day that is loaded for another order's sake brings its silent changes with it.
                loaded = {stale.day for stale in found.stale}
                for order_id in [one for one, (day, *_) in waiting.items() if day in loaded]:
                    _, moment, kind = waiting.pop(order_id)
                    took[kind].append(clock.now - moment)
                _take_over(pipeline, found, clock.now)
            if not waiting and number >= CHANGING_DAYS:
                break
        for kind, times in took.items():
            ordered = sorted(times)
            half = ordered[len(ordered) // 2]
            print(
                f"{kind}: {made[kind]} made, {len(times)} found, half within {half}, all within {ordered[-1]}",
                flush=True,
            )
        print(
            f"{number + 1} days: {again} requests to read again, {others} others: {again / others:.1%} more; "
            f"days settle after {settles_after}",
            flush=True,
        )
        found_so_far = content_hash(pipeline.database, "raw.orders")
        assert pipeline.run(OPENED, LOADED).succeeded
        agrees(pipeline, OPENED, LOADED)
        as_the_shop_has_it = content_hash(pipeline.database, "raw.orders")
    assert waiting == {}
    assert found_so_far == as_the_shop_has_it
    assert max(took["settling"]) <= timedelta(days=7)
    assert max(took["others"]) <= timedelta(days=90)
    assert again / others <= 0.05
