"""Unusual days: what each of them does to its own day, and that it leaves all other days alone."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.demo_shop import DemoShop, DemoShopSettings, Happening, HappeningKind
from analytics_pipeline.demo_shop.fates import with_line_taxes
from analytics_pipeline.demo_shop.model import Order
from analytics_pipeline_tests.unit.demo_shop.conftest import EVENTFUL, NOW, OPENED, Clock

BERLIN = ZoneInfo("Europe/Berlin")
DAY = OPENED + timedelta(days=30)
NEXT_DAY = DAY + timedelta(days=1)
BUSY = replace(EVENTFUL, orders_per_day=(60, 80), bad_share=0.01)
JUST_AFTER = datetime(2025, 10, 1, 23, 59, 59, tzinfo=BERLIN)
"""The last second of `DAY`."""
DEAREST = "P010"


def _with(*kinds: HappeningKind | str, settings: DemoShopSettings = BUSY) -> DemoShopSettings:
    return replace(settings, happenings=tuple(Happening(DAY, kind) for kind in kinds))


def _by_id(settings: DemoShopSettings, now: datetime = JUST_AFTER) -> dict[str, Order]:
    """The day's orders, as they stand at a moment."""
    orders = DemoShop(settings, Clock(now)).orders_between()
    return {order.order_id: order for order in orders if order.created_at.astimezone(BERLIN).date() == DAY}


@pytest.fixture(scope="module")
def usual() -> dict[str, Order]:
    return _by_id(BUSY)


@pytest.mark.parametrize("kind", HappeningKind)
def test_a_happening_changes_its_own_day_and_no_other(kind: HappeningKind) -> None:
    usual, unusual = (
        Counter({order.order_id: order for order in DemoShop(settings, Clock()).orders_between()})
        for settings in (EVENTFUL, _with(kind, settings=EVENTFUL))
    )
    differing = {order_id for order_id in usual.keys() | unusual.keys() if usual[order_id] != unusual[order_id]}
    assert {order_id[1:9] for order_id in differing} == {f"{DAY:%Y%m%d}"}


@pytest.mark.parametrize("kinds", [[HappeningKind.RUSH], [*HappeningKind]], ids=["a rush", "everything"])
def test_orders_of_an_unusual_day_are_listed_by_id_and_by_time(kinds: list[HappeningKind]) -> None:
    orders = list(_by_id(_with(*kinds)).values())
    assert [order.order_id for order in orders] == sorted(order.order_id for order in orders)
    assert [order.created_at for order in orders] == sorted(order.created_at for order in orders)


def test_in_an_outage_the_orders_of_one_long_stretch_are_missing(usual: dict[str, Order]) -> None:
    found = _by_id(_with("outage"))
    missing = [position for position, order_id in enumerate(usual) if order_id not in found]
    assert 0.6 < len(missing) / len(usual) < 0.7
    assert missing == list(range(missing[0], missing[-1] + 1))
    assert found.items() <= usual.items()


def test_who_wanted_to_order_in_an_outage_has_an_account_and_no_first_order() -> None:
    usual, unusual = (
        {customer.customer_id: customer for customer in DemoShop(settings, Clock(JUST_AFTER)).customers()}
        for settings in (BUSY, _with("outage"))
    )
    assert usual.keys() == unusual.keys()
    assert any(customer.first_order_at and not unusual[key].first_order_at for key, customer in usual.items())


def test_in_a_rush_there_are_twice_the_orders_most_of_one_country_and_with_one_product(usual: dict[str, Order]) -> None:
    found = _by_id(_with("rush"))
    assert usual.items() <= found.items()
    assert len(found) == 2 * len(usual)
    further = [order for order_id, order in found.items() if order_id not in usual]
    (country,) = {order.country for order in further}
    (product,) = set.intersection(*({line.product_id for line in order.lines} for order in further))
    assert country != "DE"
    assert sum(order.country == country for order in found.values()) > len(found) / 2
    assert sum(product in {line.product_id for line in order.lines} for order in found.values()) > len(found) / 2
    assert sum(product in {line.product_id for line in order.lines} for order in usual.values()) < len(usual) / 4
    assert len({order.email for order in further}) == len(further)


def test_a_rush_is_also_there_on_a_day_whose_first_orders_an_outage_took() -> None:
    days = [DAY + timedelta(days=number) for number in range(20)]
    happenings = tuple(Happening(day, kind) for day in days for kind in ("rush", "outage"))
    shop = DemoShop(replace(EVENTFUL, orders_per_day=(2, 4), happenings=happenings), Clock())
    orders = [order for order in shop.orders_between() if order.created_at.astimezone(BERLIN).date() in days]
    assert [order.order_id for order in orders] == sorted(order.order_id for order in orders)
    assert [order.created_at for order in orders] == sorted(order.created_at for order in orders)
    assert any("-0000R" in order.order_id for order in orders)


def test_a_price_slip_lists_one_product_at_a_tenth_of_its_price_for_a_day(usual: dict[str, Order]) -> None:
    found = _by_id(_with("price_slip"))
    assert found.keys() == usual.keys()
    prices = [
        (before.product_id, before.unit_price, after.unit_price)
        for order_id, order in usual.items()
        for before, after in zip(order.lines, found[order_id].lines, strict=False)
    ]
    assert {product_id for product_id, before, after in prices if before != after} == {DEAREST}
    assert all(abs(after * 10 - before) < 1 for product_id, before, after in prices if product_id == DEAREST)
    further = [line for order_id, order in found.items() for line in order.lines[len(usual[order_id].lines) :]]
    assert {(line.product_id, line.unit_price) for line in further} <= {(DEAREST, price) for *_, price in prices}
    assert len(further) == -(-len(usual) // 7)


def test_the_catalogue_shows_a_price_slip_on_its_day_and_the_old_price_after_it() -> None:
    clock = Clock()
    shop = DemoShop(_with("price_slip"), clock)
    seen = {}
    for days in (-1, 0, 1, 2):
        clock.now = JUST_AFTER + timedelta(days=days)
        seen[days] = {product.product_id: product for product in shop.products()}
    assert {key for key in seen[0] if seen[0][key] != seen[-1][key]} == {DEAREST}
    before, slip, after = (seen[days][DEAREST] for days in (-1, 0, 1))
    assert slip.price * 9 < before.price < slip.price * 11
    assert after.price == before.price
    assert slip.updated_at.astimezone(BERLIN).date() == DAY
    assert after.updated_at.astimezone(BERLIN).date() == NEXT_DAY
    assert seen[2][DEAREST] == after


def test_a_bad_feed_breaks_a_quarter_of_the_records_and_some_are_repaired_later(usual: dict[str, Order]) -> None:
    found = _by_id(_with("bad_feed"))
    broken = {order_id for order_id, order in found.items() if order.defect}
    assert found.keys() == usual.keys()
    assert len(broken) == round(len(usual) / 4)
    assert {order_id for order_id, order in usual.items() if order.defect} <= broken
    assert all(found[order_id] == usual[order_id] for order_id in found.keys() - broken)
    assert not any(found[order_id].is_test for order_id in broken)
    later = _by_id(_with("bad_feed"), NOW)
    assert 0 < sum(later[order_id].defect is None for order_id in broken) < len(broken)


def test_in_a_discount_slip_nearly_every_order_has_half_of_its_goods_taken_off(usual: dict[str, Order]) -> None:
    found = _by_id(_with("discount_slip"))
    assert found.keys() == usual.keys()

    def shares(orders: dict[str, Order]) -> list[float]:
        bases = [(order, sum(line.value - line.discount for line in order.lines)) for order in orders.values()]
        return [float(order.order_discount / base) for order, base in bases if base]

    assert sum(0.49 < share < 0.51 for share in shares(found)) > 0.85 * len(found)
    assert sum(0.49 < share < 0.51 for share in shares(usual)) < 0.15 * len(usual)
    assert all(order == with_line_taxes(order) for order in found.values())


def test_an_unusual_day_on_which_the_shop_is_closed_has_no_orders() -> None:
    assert _by_id(replace(_with(*HappeningKind), closed_days=frozenset({DAY}))) == {}


def test_an_unknown_kind_of_happening_is_refused() -> None:
    with pytest.raises(ValueError, match="flood"):
        Happening(DAY, "flood")
