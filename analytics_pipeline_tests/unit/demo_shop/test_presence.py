"""Orders that the shop deletes without a trace, and orders that reach it days after they were placed."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from analytics_pipeline.demo_shop import DemoShop, RunningShop
from analytics_pipeline.demo_shop.model import Customer, Order
from analytics_pipeline.demo_shop.truth import buyer_of, is_clean, order_events
from analytics_pipeline_tests.unit.demo_shop.conftest import EVENTFUL, NOW, OPENED, Clock, days_from, read_all

Start = Callable[..., RunningShop]
BERLIN = ZoneInfo("Europe/Berlin")
DAYS = days_from(OPENED, 70)
DELETING = replace(EVENTFUL, delete_share=0.15)
LATE = replace(EVENTFUL, late_share=0.15)
BOTH = replace(EVENTFUL, delete_share=0.15, late_share=0.15)
MORNINGS = [datetime(2025, 9, 3, 3, tzinfo=BERLIN) + timedelta(days=number) for number in range(50)]
A_SECOND = timedelta(seconds=1)


def _day(order: Order) -> date:
    return order.created_at.astimezone(BERLIN).date()


def _by_id(shop: DemoShop) -> dict[str, Order]:
    return {order.order_id: order for order in shop.orders_between()}


def _is_sale(order: Order) -> bool:
    return is_clean(order) and any(event.is_sale for event in order_events(order, BERLIN))


def _orders_at(shop: DemoShop, clock: Clock, moment: datetime) -> dict[str, Order]:
    clock.now = moment
    return _by_id(shop)


def test_without_deletions_the_same_shop_has_the_same_orders(eventful: DemoShop) -> None:
    shop = DemoShop(DELETING, Clock())
    expected, found, deleted = _by_id(eventful), _by_id(shop), shop.deleted_orders()
    assert found == {order_id: order for order_id, order in expected.items() if order_id not in deleted}
    assert deleted.keys() == expected.keys() - found.keys()
    assert 0.1 < len(deleted) / len(expected) < 0.2
    assert eventful.deleted_orders() == {}


def test_orders_of_every_kind_are_deleted_within_20_days(eventful: DemoShop) -> None:
    orders = _by_id(eventful)
    deleted = DemoShop(DELETING, Clock()).deleted_orders()
    gone = [orders[order_id] for order_id in deleted]
    assert any(order.is_test for order in gone)
    assert any(order.defect for order in gone)
    assert any(order.cancelled_at for order in gone)
    assert any(order.refunds for order in gone)
    ages = [moment - orders[order_id].created_at for order_id, moment in deleted.items()]
    assert timedelta(days=1) <= min(ages) < timedelta(days=3)
    assert timedelta(days=17) < max(ages) <= timedelta(days=20)


def test_a_deleted_order_leaves_every_list_the_count_and_the_truth(start: Start) -> None:
    clock = Clock()
    running = start(DELETING, clock)
    shop, url = running.shop, f"{running.url}/orders"
    order_id, moment = next(iter(shop.deleted_orders().items()))
    order = _orders_at(shop, clock, moment - A_SECOND)[order_id]
    day = _day(order)
    window = {"created_from": str(day), "created_to": str(day + timedelta(days=1)), "limit": "500"}
    before, since = read_all(url, **window), f"{order.updated_at:%Y-%m-%dT%H:%M:%SZ}"
    assert order_id in [record["id"] for record in read_all(url, updated_since=since, limit="500")]
    assert order_id in shop.truth(day).orders | shop.truth(day).excluded.keys() | shop.truth(day).quarantined.keys()
    clock.now = moment
    assert read_all(url, **window) == [record for record in before if record["id"] != order_id]
    assert order_id not in [record["id"] for record in read_all(url, updated_since=since, limit="500")]
    truth = shop.truth(day)
    assert order_id not in truth.orders | truth.excluded.keys() | truth.quarantined.keys()


def test_nothing_of_a_deleted_order_counts_on_the_day_of_its_refund_either(eventful: DemoShop) -> None:
    clock = Clock()
    shop = DemoShop(DELETING, clock)
    refunded = {order.order_id for order in eventful.orders_between() if order.refunds}
    compared = 0
    for order_id, moment in shop.deleted_orders().items():
        if order_id not in refunded:
            continue
        order = _orders_at(shop, clock, moment - A_SECOND)[order_id]
        if not order.refunds or order.cancelled_at or not order.refunds[0].lines:
            continue
        event_days = {event.day for event in order_events(order, BERLIN)}
        before = {day: shop.truth(day).revenue[order.currency] for day in event_days}
        clock.now = moment
        after = {day: shop.truth(day).revenue[order.currency] for day in event_days}
        events = order_events(order, BERLIN)
        for day in event_days:
            for measure in ("gross_sales", "returns", "shipping", "taxes"):
                lost = sum(getattr(event, measure) for event in events if event.day == day)
                assert getattr(before[day], measure) - getattr(after[day], measure) == lost, (order_id, day, measure)
        compared += len(event_days) > 1
    assert compared > 3


def test_a_late_order_appears_days_later_and_its_change_stamp_is_that_moment(eventful: DemoShop) -> None:
    clock = Clock()
    shop = DemoShop(LATE, clock)
    orders = _by_id(shop)
    late = {order_id: order for order_id, order in orders.items() if order != _by_id(eventful)[order_id]}
    delays = [order.updated_at - order.created_at for order in late.values()]
    assert timedelta(days=1) <= min(delays) < timedelta(days=3)
    assert timedelta(days=12) < max(delays) <= timedelta(days=15)
    assert 0.1 < len(late) / len(orders) < 0.2
    for order_id, order in list(late.items())[::40]:
        day = _day(order)
        clock.now = order.updated_at - A_SECOND
        truth = shop.truth(day)
        assert order_id not in _by_id(shop)
        assert order_id not in truth.orders | truth.excluded.keys() | truth.quarantined.keys()
        clock.now = order.updated_at
        truth = shop.truth(day)
        assert order_id in {order.order_id for order in shop.orders_updated_since(order.updated_at)}
        assert order_id in truth.orders | truth.excluded.keys() | truth.quarantined.keys()


def test_an_order_that_is_not_late_is_the_same_as_in_a_shop_without_late_ones(eventful: DemoShop) -> None:
    expected, found = _by_id(eventful), _by_id(DemoShop(LATE, Clock()))
    placed = {order_id: order for order_id, order in found.items() if order != expected[order_id]}
    assert all(order.updated_at > order.created_at for order in placed.values())
    assert all((order.refunds, order.cancelled_at) == ((), None) for order in placed.values())
    assert all(
        order.created_at > NOW - timedelta(days=15) for order_id, order in expected.items() if order_id not in found
    )


def test_a_late_order_is_deleted_only_after_it_came() -> None:
    clock = Clock()
    shop = DemoShop(BOTH, clock)
    late = 0
    for order_id, moment in list(shop.deleted_orders().items())[::10]:
        order = _orders_at(shop, clock, moment - A_SECOND)[order_id]
        late += order.updated_at > order.created_at + timedelta(days=1)
    assert late > 1


def test_a_shop_asked_every_week_answers_as_one_that_is_asked_for_the_first_time() -> None:
    """What is kept from earlier answers must neither linger nor leak into the past."""
    clock = Clock()
    shop = DemoShop(BOTH, clock)
    for moment in (*MORNINGS[::12], MORNINGS[10]):
        fresh = DemoShop(BOTH, Clock(moment))
        clock.now = moment
        assert shop.orders_between() == fresh.orders_between()
        assert shop.customers() == fresh.customers()
        assert [shop.truth(day) for day in DAYS[:60:6]] == [fresh.truth(day) for day in DAYS[:60:6]]


def test_the_first_order_of_a_customer_is_the_first_one_that_can_be_seen_and_its_change_moves_the_stamp() -> None:
    clock = Clock()
    shop = DemoShop(BOTH, clock)
    shown: dict[str, Customer] = {}
    asked = datetime.min.replace(tzinfo=BERLIN)
    moved: Counter[str] = Counter()
    for clock.now in MORNINGS:
        first: dict[str, datetime] = {}
        for order in shop.orders_between():
            if order.customer_id and _is_sale(order):
                first.setdefault(order.customer_id, order.created_at)
        for customer in shop.customers():
            assert customer.first_order_at == first.get(customer.customer_id)
            assert customer.created_at <= customer.updated_at <= clock.now
            before = shown.get(customer.customer_id)
            assert (customer.updated_at > asked) == (before != customer)
            if before and before.first_order_at != customer.first_order_at:
                moved[_direction(before.first_order_at, customer.first_order_at)] += 1
            shown[customer.customer_id] = customer
        asked = clock.now
    assert set(moved) == {"appeared", "vanished", "earlier", "later"}


def _direction(before: datetime | None, after: datetime | None) -> str:
    if before is None or after is None:
        return "vanished" if before else "appeared"
    return "earlier" if after < before else "later"


def test_a_customer_whose_first_order_is_deleted_is_found_by_its_change_stamp(start: Start) -> None:
    clock = Clock()
    running = start(DELETING, clock)
    shop = running.shop
    customers = {customer.customer_id: customer for customer in shop.customers()}
    moment, customer_id = next(
        (moment, order.customer_id)
        for order_id, moment in shop.deleted_orders().items()
        if (order := _orders_at(shop, clock, moment - A_SECOND)[order_id]).customer_id
        and _is_sale(order)
        and order.created_at - customers[order.customer_id].created_at < timedelta(minutes=11)
    )
    stamp = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    clock.now = moment - A_SECOND
    assert customer_id not in [record["id"] for record in read_all(f"{running.url}/customers", updated_since=stamp)]
    clock.now = moment
    (record,) = read_all(f"{running.url}/customers", updated_since=stamp)
    assert (record["id"], record["updated_at"]) == (customer_id, stamp)


def test_new_customers_of_a_day_are_those_whose_first_visible_order_it_has() -> None:
    """Deleting a first order makes a buyer new on a later day, a late order on an earlier one."""
    clock = Clock()
    shop = DemoShop(BOTH, clock)
    found: defaultdict[date, set[int]] = defaultdict(set)
    for clock.now in MORNINGS[20::6]:
        sales = [order for order in shop.orders_between() if _is_sale(order)]
        first: dict[str, date] = {}
        for order in sales:
            if buyer := buyer_of(order):
                first.setdefault(buyer, _day(order))
        for day in DAYS[:30:3]:
            row = shop.truth(day).revenue["EUR"]
            buyers = {buyer_of(order) for order in sales if _day(order) == day and order.currency == "EUR"} - {None}
            assert row.new_customers == sum(first[str(buyer)] == day for buyer in buyers)
            assert row.customers == len(buyers)
            found[day].add(row.new_customers)
    assert sum(len(counts) > 1 for counts in found.values()) > 5


def test_the_days_to_load_again_are_those_whose_orders_differ() -> None:
    clock = Clock()
    shop = DemoShop(BOTH, clock)
    clock.now = MORNINGS[0]
    before = _by_id(shop)
    for earlier, later in pairwise(MORNINGS[::3]):
        clock.now = later
        after = _by_id(shop)
        pairs = [(before.get(order_id), after.get(order_id)) for order_id in before.keys() | after.keys()]
        differing = {_day(one or other) for one, other in pairs if one != other}  # type: ignore[arg-type]
        assert shop.changed_order_days(earlier, later) == differing
        before = after
    assert shop.changed_order_days(MORNINGS[-1], NOW) == set()
    clock.now = NOW
    assert shop.changed_order_days(datetime.min.replace(tzinfo=UTC)) == set(DAYS) | {NOW.date()}


def test_the_moment_of_a_change_belongs_to_the_span_that_it_ends() -> None:
    shop = DemoShop(DELETING, Clock())
    order_id, moment = next(iter(shop.deleted_orders().items()))
    day = date.fromisoformat(order_id[1:9])
    assert day in shop.changed_order_days(moment - A_SECOND, moment)
    assert day not in shop.changed_order_days(moment, moment + A_SECOND)
