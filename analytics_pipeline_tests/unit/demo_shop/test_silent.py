"""Refunds and edits that leave the change stamp as it is."""

from datetime import date, timedelta

from analytics_pipeline.demo_shop import DemoShopSettings
from analytics_pipeline.demo_shop.shop import DemoShop
from analytics_pipeline_tests.conftest import at
from analytics_pipeline_tests.integration.late import Clock

OPENED = date(2025, 3, 1)


def test_silent_changes_change_the_orders_and_the_truth_and_no_stamp() -> None:
    clock = Clock(at("2025-05-20T12:00:00+02:00"))
    shop = DemoShop(DemoShopSettings(opened=OPENED, orders_per_day=(30, 40)), clock)
    before = {order.order_id: order for order in shop.orders_between()}
    revenue = shop.truth(OPENED).revenue
    moment = clock.now + timedelta(hours=1)

    changed = set(shop.change_silently(OPENED, 12, moment))

    assert {order.order_id: order for order in shop.orders_between()} == before  # not yet
    clock.now += timedelta(hours=2)
    after = {order.order_id: order for order in shop.orders_between(end=at("2025-05-20T12:00:00+02:00"))}
    differing = {one for one, order in after.items() if order != before.get(one, order)}
    assert differing == changed
    assert len(changed) == 12
    assert all(after[one].stamp == before[one].stamp for one in changed)
    assert not changed & {order.order_id for order in shop.orders_updated_since(clock.now - timedelta(hours=3))}
    refunds = [after[one].refunds for one in changed if after[one].refunds]
    assert 0 < len(refunds) < 12
    assert shop.truth(OPENED).revenue != revenue  # the edits, which count on the day of the sale
    assert set(shop.change_silently(OPENED, 500, clock.now + timedelta(hours=1))).isdisjoint(
        {one for one in changed if after[one].refunds}
    )
