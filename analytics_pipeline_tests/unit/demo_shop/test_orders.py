"""What orders there are, and when each version of them can be seen."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.demo_shop import DemoShop, DemoShopSettings
from analytics_pipeline.demo_shop.model import Defect
from analytics_pipeline.demo_shop.records import order_record, to_json
from analytics_pipeline_tests.unit.demo_shop.conftest import EVENTFUL, NOW, OPENED, Clock, days_from

BERLIN = ZoneInfo("Europe/Berlin")
SPRING_DAY, AUTUMN_DAY = date(2025, 3, 30), date(2025, 10, 26)


def _local(day: date, *, hour: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=BERLIN)


def fingerprint(settings: DemoShopSettings = EVENTFUL) -> str:
    """A digest of all records of a shop, to be compared between processes."""
    shop = DemoShop(settings, Clock())
    return sha256(b"".join(to_json(order_record(order)) for order in shop.orders_between())).hexdigest()


def test_two_shops_with_equal_settings_have_equal_orders_whatever_day_was_asked_for_first(eventful: DemoShop) -> None:
    other = DemoShop(EVENTFUL, Clock())
    for day in reversed(days_from(OPENED, 70)):
        other.truth(day)
    assert other.orders_between() == eventful.orders_between()
    assert other.customers() == eventful.customers()


def test_another_seed_is_another_shop(eventful: DemoShop) -> None:
    assert DemoShop(replace(EVENTFUL, seed=2), Clock()).orders_between() != eventful.orders_between()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_orders_do_not_depend_on_pythons_hash_seed(hash_seed: str) -> None:
    code = "from analytics_pipeline_tests.unit.demo_shop.test_orders import fingerprint; print(fingerprint())"
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == fingerprint()


def test_each_of_400_days_has_50_to_100_orders_and_they_differ() -> None:
    shop = DemoShop(DemoShopSettings(), Clock(datetime(2026, 3, 1, tzinfo=UTC)))
    counts = Counter(order.order_id[:9] for order in shop.orders_between())
    first_400 = [counts[f"D{day:%Y%m%d}"] for day in days_from(date(2025, 1, 1), 400)]
    assert min(first_400) >= 50
    assert max(first_400) <= 100
    assert len(set(first_400)) > 20


def test_a_closed_day_has_no_orders_and_its_neighbours_have_some() -> None:
    closed = OPENED + timedelta(days=3)
    shop = DemoShop(replace(EVENTFUL, closed_days=frozenset({OPENED, closed})), Clock())
    counts = Counter(order.created_at.astimezone(BERLIN).date() for order in shop.orders_between())
    assert (counts[OPENED], counts[closed]) == (0, 0)
    assert counts[OPENED + timedelta(days=1)] >= 20
    assert counts[closed + timedelta(days=1)] >= 20


def test_every_order_lies_on_the_business_day_that_its_id_names_in_order_of_time(eventful: DemoShop) -> None:
    orders = eventful.orders_between()
    assert all(order.order_id[1:9] == f"{order.created_at.astimezone(BERLIN):%Y%m%d}" for order in orders)
    assert [order.created_at for order in orders] == sorted(order.created_at for order in orders)
    assert any(order.created_at.date() != order.created_at.astimezone(BERLIN).date() for order in orders)


@pytest.mark.parametrize("day", [OPENED, AUTUMN_DAY, SPRING_DAY])
def test_orders_come_just_after_and_just_before_local_midnight(day: date) -> None:
    shop = DemoShop(replace(EVENTFUL, opened=SPRING_DAY), Clock())
    start, end = _local(day), _local(day + timedelta(days=1))
    orders = shop.orders_between(start, end)
    assert timedelta() <= orders[0].created_at - start < timedelta(minutes=1)
    assert timedelta() < end - orders[-1].created_at <= timedelta(minutes=1)
    assert {order.order_id[1:9] for order in orders} == {f"{day:%Y%m%d}"}


def test_the_repeated_hour_has_orders_on_both_its_passes(eventful: DemoShop) -> None:
    orders = eventful.orders_between(_local(AUTUMN_DAY), _local(AUTUMN_DAY, hour=4))
    repeated = {local.utcoffset() for order in orders if (local := order.created_at.astimezone(BERLIN)).hour == 2}
    assert repeated == {timedelta(hours=2), timedelta(hours=1)}


def test_the_skipped_hour_has_no_orders() -> None:
    shop = DemoShop(replace(EVENTFUL, opened=SPRING_DAY), Clock())
    orders = shop.orders_between(_local(SPRING_DAY), _local(SPRING_DAY, hour=5))
    assert {order.created_at.astimezone(BERLIN).hour for order in orders} == {0, 1, 3, 4}


def test_nothing_is_seen_before_its_moment() -> None:
    clock = Clock(NOW - timedelta(days=30))
    shop = DemoShop(EVENTFUL, clock)
    for _ in range(60):
        clock.now += timedelta(hours=12)
        for order in shop.orders_between():
            stamps = [order.created_at, order.cancelled_at, *(refund.refunded_at for refund in order.refunds)]
            assert order.updated_at <= clock.now
            assert all(stamp <= order.updated_at for stamp in stamps if stamp)
        assert all(customer.updated_at <= clock.now for customer in shop.customers())


def test_a_moved_clock_shows_what_a_new_shop_at_that_time_shows(eventful: DemoShop) -> None:
    """What is kept from earlier answers must neither linger nor leak into the past."""
    clock = Clock(NOW - timedelta(days=9))
    shop = DemoShop(EVENTFUL, clock)
    before = (shop.orders_between(), shop.customers(), shop.truth(date(2025, 10, 31)))
    clock.now = NOW
    assert (shop.orders_between(), shop.customers()) == (eventful.orders_between(), eventful.customers())
    clock.now -= timedelta(days=9)
    assert (shop.orders_between(), shop.customers(), shop.truth(date(2025, 10, 31))) == before


def test_every_change_of_an_order_is_found_by_its_change_stamp() -> None:
    clock = Clock(NOW - timedelta(days=2))
    shop = DemoShop(EVENTFUL, clock)
    before = {order.order_id: order for order in shop.orders_between()}
    earlier = clock.now
    clock.now = NOW
    changed = {order.order_id for order in shop.orders_between() if before.get(order.order_id) != order}
    assert {order.order_id for order in shop.orders_updated_since(earlier)} == changed
    assert any(order_id in before for order_id in changed)


def test_every_change_of_a_customer_moves_its_change_stamp() -> None:
    clock = Clock(NOW - timedelta(days=20))
    shop = DemoShop(EVENTFUL, clock)
    before, earlier = set(shop.customers()), clock.now
    clock.now = NOW
    changed = {customer.customer_id for customer in set(shop.customers()) - before}
    assert {customer.customer_id for customer in shop.customers() if customer.updated_at > earlier} == changed
    assert changed & {customer.customer_id for customer in before}


def test_all_kinds_of_orders_happen(eventful: DemoShop) -> None:
    orders = eventful.orders_between()
    refunds = [refund for order in orders for refund in order.refunds]
    emails = [order.email for order in orders if order.email and not order.customer_id]
    assert {order.defect for order in orders} == {None, *Defect}
    assert {order.currency for order in orders} == {"EUR", "USD"}
    assert any(order.is_test for order in orders)
    assert any(not sum(line.value for line in order.lines) for order in orders)
    assert any(order.cancelled_at and order.refunds for order in orders)
    assert any(order.order_discount for order in orders)
    assert any(len(order.refunds) > 1 for order in orders)
    assert any(refund.adjustment and not refund.lines for refund in refunds)
    assert any(refund.shipping for refund in refunds)
    assert any(not order.email for order in orders)
    assert len({email.strip().lower() for email in emails}) < len(set(emails))


def test_shares_of_the_default_shop_are_as_promised() -> None:
    orders = DemoShop(DemoShopSettings(), Clock(datetime(2025, 7, 1, tzinfo=UTC))).orders_between(
        end=datetime(2025, 5, 1, tzinfo=UTC)
    )

    def share(count: int) -> float:
        return count / len(orders)

    assert 0.15 < share(sum(order.customer_id is None for order in orders)) < 0.25
    assert 0.04 < share(sum(bool(order.refunds) for order in orders)) < 0.08
    assert 0.01 < share(sum(order.cancelled_at is not None for order in orders)) < 0.03
    assert 0.005 < share(sum(order.is_test for order in orders)) < 0.02
    assert 0.001 < share(sum(order.defect is not None for order in orders)) < 0.01


def test_prices_of_the_catalogue_change_over_time() -> None:
    clock = Clock()
    shop = DemoShop(EVENTFUL, clock)
    before = {product.product_id: product for product in shop.products()}
    clock.now += timedelta(days=40)
    after = {product.product_id: product for product in shop.products()}
    changed = {product_id for product_id in before if before[product_id].price != after[product_id].price}
    assert 0 < len(changed) < len(before)
    assert all(after[product_id].updated_at > NOW for product_id in changed)
    assert all(product.updated_at <= NOW for product in before.values())


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="bad_share must be between 0 and 1"):
        DemoShopSettings(bad_share=1.5)
    for band in ((10, 5), (0, 5), (1, 10_000)):
        with pytest.raises(ValueError, match="orders_per_day must be"):
            DemoShopSettings(orders_per_day=band)
