"""The list of changed orders is read whole, whatever the shop changes between its pages."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_pipeline.demo_shop import DemoShopSettings, Fault, serve
from analytics_pipeline.errors import FeedError
from analytics_pipeline.late_changes.feed import READINGS, Feed, read_feed
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.transforms.raw import UndatedRecord
from analytics_pipeline_tests.cases.small_shop import DESCRIPTION, SmallShop, order
from analytics_pipeline_tests.conftest import at, describe
from analytics_pipeline_tests.fake_shop import FakeShop, Reply
from analytics_pipeline_tests.shifting_shop import ShiftingShop, delete, edit

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
SIX = [f"O{number}" for number in range(1, 7)]


@pytest.fixture
def six() -> Iterator[SmallShop]:
    """Six orders that were changed two hours apart."""
    fake = FakeShop()
    shop = SmallShop(fake, [order(one, f"2026-11-{10 + number}") for number, one in enumerate(SIX)])
    for number, one in enumerate(SIX, 1):
        edit(shop, one, NOON + timedelta(hours=2 * number))
    yield shop
    fake.close()


@dataclass
class Came:
    """The ids of all orders that came."""

    ids: set[str] = field(default_factory=set)

    def take(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.ids.update(row["order_id"] for row in rows)

    def take_undated(self, records: Sequence[UndatedRecord]) -> None:
        self.ids.update(record.name for record in records)


def read(shop: ShiftingShop, size: int) -> tuple[Feed, set[str]]:
    """Read the list by pages of a size; return it and the ids of all orders that came."""
    content: dict[str, Any] = json.loads(json.dumps(DESCRIPTION, default=str))
    content |= {"base_url": shop.shop.fake.url, "first_day": "2026-11-01"}
    content["orders"]["pagination"]["size"] = size
    if not shop.has_count:
        del content["orders"]["count"]
    came = Came()
    with ShopClient(Shop.model_validate(content)) as client:
        return read_feed(client, SINCE, NOON, came), came.ids


def once(shop: ShiftingShop, happens: Callable[[], None]) -> Callable[[], None]:
    """Let something happen while the list is read for the first time."""
    return lambda: happens() if shop.readings == 1 else None


@pytest.mark.parametrize("has_count", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_c7_an_edit_before_any_page_hides_no_other_change(six: SmallShop, size: int, *, has_count: bool) -> None:
    for page in (2, 3, 5):
        for number, one in enumerate((SIX[0], SIX[3])):
            shop = ShiftingShop(six, has_count=has_count)
            at = NOON + timedelta(days=page, hours=number)
            shop.at_pages[page] = once(shop, lambda one=one, at=at: edit(six, one, at))  # type: ignore[misc]
            assert read(shop, size)[1] == set(SIX), (page, one)


@pytest.mark.parametrize("has_count", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_c7_an_order_that_is_deleted_meanwhile_hides_no_other_change(
    six: SmallShop, size: int, *, has_count: bool
) -> None:
    orders = list(six.orders)
    for page in (2, 3, 5):
        for one in (SIX[0], SIX[3]):
            six.orders = list(orders)
            shop = ShiftingShop(six, has_count=has_count)
            shop.at_pages[page] = once(shop, lambda one=one: delete(six, one))  # type: ignore[misc]
            assert read(shop, size)[1] >= {order["id"] for order in six.orders}, (page, one)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_c7_a_list_sorted_by_its_stamps_comes_whole_though_it_never_stops_shifting(six: SmallShop, size: int) -> None:
    six.fake.date = "Tue, 17 Nov 2026 01:00:00 GMT"
    shop = ShiftingShop(six)
    minutes = iter(range(1, 1000))
    # Between any two answers the order that would come first is edited.
    for page in range(2, 7):
        shop.at_pages[page] = lambda: edit(
            six, min(six.orders, key=shop.key)["id"], NOON + timedelta(days=1, minutes=next(minutes))
        )

    assert read(shop, size)[1] == set(SIX)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_c7_orders_with_equal_stamps_all_come(six: SmallShop, size: int) -> None:
    for one in SIX:
        edit(six, one, NOON)
    shop = ShiftingShop(six)
    shop.at_pages[2] = once(shop, lambda: edit(six, "O1", NOON + timedelta(hours=1)))

    assert read(shop, size)[1] == set(SIX)


@pytest.mark.parametrize("hours", [0, 1])
@pytest.mark.parametrize("size", [3, 4, 100])
def test_two_versions_of_an_order_that_stand_side_by_side_and_are_counted_hinder_no_poll(
    six: SmallShop, size: int, hours: int
) -> None:
    second = {**six.orders[0], "created_at": "2026-11-12T09:00:00+01:00"}
    six.orders.insert(1, second)
    second["updated_at"] = (NOON + timedelta(hours=2 + hours)).isoformat()
    shop = ShiftingShop(six)
    assert read(shop, size)[1] == set(SIX)
    assert shop.readings == 1


def test_a_record_that_comes_twice_as_it_is_stands_for_no_other_that_is_counted(six: SmallShop) -> None:
    six.orders.insert(1, six.orders[0])
    six.orders.pop()
    with pytest.raises(FeedError, match="counts 6 orders and gave 5 different ones"):
        read(ShiftingShop(six), 100)


def test_a_list_in_another_order_than_its_stamps_is_read_until_it_is_the_same_twice(six: SmallShop) -> None:
    shop = ShiftingShop(six, key=lambda one: one["id"])
    for number, one in enumerate(reversed(SIX)):
        edit(six, one, NOON + timedelta(hours=number))

    assert read(shop, 2)[1] == set(SIX)
    assert shop.readings == 2
    shop.at_pages[2] = lambda: edit(six, f"O{1 + shop.readings % 6}", NOON + timedelta(days=shop.readings))
    shop.key = lambda one: -datetime.fromisoformat(one["updated_at"]).timestamp()
    with pytest.raises(FeedError, match="is not known to be whole"):
        read(shop, 2)
    assert shop.readings == 2 + READINGS


def test_a_list_that_loses_its_order_while_it_is_read_by_stamps_is_read_as_a_whole_again(six: SmallShop) -> None:
    shop = ShiftingShop(six)

    def turn() -> None:
        if shop.readings > 1:
            shop.key = lambda one: -datetime.fromisoformat(one["updated_at"]).timestamp()

    shop.at_pages = {1: turn, 2: once(shop, lambda: edit(six, "O1", NOON + timedelta(days=1)))}

    assert read(shop, 2)[1] == set(SIX)


@pytest.mark.parametrize("has_count", [True, False])
def test_a_list_that_comes_in_one_answer_is_read_once_whatever_its_order(six: SmallShop, *, has_count: bool) -> None:
    shop = ShiftingShop(six, key=lambda one: one["id"], has_count=has_count)
    edit(six, "O1", NOON + timedelta(days=1))

    read(shop, 100)

    assert shop.readings == 1


@pytest.mark.parametrize("size", [2, 100])
def test_a_list_with_fewer_orders_than_it_counts_is_not_whole(six: SmallShop, size: int) -> None:
    shop = ShiftingShop(six)
    answer = shop.answer

    def counts_one_more(asked: Any) -> Any:  # noqa: ANN401 - a request and its answer
        reply = answer(asked)
        reply.body["total"] += 1  # type: ignore[index]
        return reply

    six.fake.routes["/orders"] = counts_one_more

    with pytest.raises(FeedError, match="it counts 7 orders and gave 6 different ones"):
        read(shop, size)


def test_the_list_is_known_up_to_the_shops_own_time_at_its_first_answer(six: SmallShop) -> None:
    six.fake.date = "Mon, 16 Nov 2026 15:00:00 GMT"
    shop = ShiftingShop(six)

    def goes_on() -> None:
        six.fake.date = "Mon, 16 Nov 2026 18:00:00 GMT"

    shop.at_pages[2] = goes_on

    assert read(shop, 2)[0].began_at == datetime(2026, 11, 16, 15, tzinfo=UTC)
    six.fake.date = "no time at all"
    assert read(shop, 2)[0].began_at == NOON


def test_an_order_without_a_day_counts_among_those_that_came(six: SmallShop) -> None:
    six.orders[2]["created_at"] = None
    shop = ShiftingShop(six)
    six.fake.routes["/orders"] = lambda asked: Reply(
        {"orders": six.orders[(page := int(asked.query["page"]) - 1) * 2 : page * 2 + 2], "total": 6}
    )

    assert read(shop, 2)[1] == set(SIX)


def test_the_demo_shops_list_comes_whole_though_it_shifts_between_two_pages(tmp_path: Path) -> None:
    now = at("2025-03-20T12:00:00+01:00")
    pages = {"type": "page_number", "param": "page", "size_param": "limit", "size": 40, "pages": "pages"}
    with serve(DemoShopSettings(opened=date(2025, 3, 1), orders_per_day=(20, 30)), now=lambda: now) as shop:
        shop.shop.misbehave(Fault.SHIFTED_LIST, next_requests=1, path="/orders")
        since, came = now - timedelta(days=4), Came()
        with ShopClient(load_shop(str(describe(shop, tmp_path, orders={"pagination": pages})))) as client:
            read_feed(client, since, now, came)

        assert came.ids == {order.order_id for order in shop.shop.orders_updated_since(since)}


def test_a_change_stamp_of_the_future_is_not_the_newest_change(six: SmallShop) -> None:
    edit(six, "O2", datetime.now(UTC) + timedelta(days=30))
    found, came = read(ShiftingShop(six), 10)
    assert came == set(SIX)
    assert found.newest == NOON + timedelta(hours=12)
