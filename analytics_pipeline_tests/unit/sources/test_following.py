"""Lists that are asked for order by order: which orders, what of a failing call, and what it takes beforehand."""

from contextlib import ExitStack
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from analytics_pipeline.errors import ShopUnavailableError
from analytics_pipeline.shop.related import Follow
from analytics_pipeline.sources.calls import plan_calls
from analytics_pipeline.sources.following import follow
from analytics_pipeline.sources.ranges import DaysRead, RangeReader
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

FOLLOW: dict[str, Any] = {
    "path": "/orders/{{id}}/refunds",
    "records": "refunds",
    "pagination": {"type": "single"},
    "when": "refunded",
    "into": "refund_list",
}
FIRST, LAST = date(2026, 1, 1), date(2026, 1, 6)


@pytest.fixture
def orders(fake: FakeShop) -> list[dict[str, Any]]:
    """One order a day, each refunded, with a number for its id; the shop has no refunds yet."""
    found = [
        {"id": number, "created_at": f"2026-01-0{number}T12:00:00Z", "refunded": True, "lines": []}
        for number in range(1, 7)
    ]
    fake.routes["/orders"] = lambda _: Reply({"orders": found})
    return found


def read(bench: Bench, fake: FakeShop, stack: ExitStack, **changes: object) -> tuple[DaysRead, list[dict[str, Any]]]:
    client = bench.client(shop_of(fake.url, orders={"follow": {"refunds": FOLLOW | changes}}, limits={"retries": 0}))
    found = RangeReader(client, stack).read(FIRST, LAST)
    (followed,) = follow(client, found, stack)
    return found, followed.rows.reader().read_all().to_pylist()


def test_each_order_is_asked_for_once_and_its_records_are_kept_as_they_came(
    bench: Bench, fake: FakeShop, orders: list[dict[str, Any]]
) -> None:
    orders[:] = [orders[0], orders[0], {**orders[1], "refunded": False}]
    fake.routes["/orders/1/refunds"] = lambda _: Reply(b'{"refunds": [{"a":  1.10}, {"a":2}]}')
    with ExitStack() as stack:
        _, rows = read(bench, fake, stack)
    assert [(row["record_id"], row["record_date"], row["parent_id"], row["payload"]) for row in rows] == [
        ("1/1", FIRST, "1", '{"a":  1.10}'),
        ("1/2", FIRST, "1", '{"a":2}'),
    ]
    assert [one.path for one in fake.asked].count("/orders/1/refunds") == 1


def test_a_refused_call_a_broken_answer_and_a_wrong_count_each_refuse_their_day(
    bench: Bench, fake: FakeShop, orders: list[dict[str, Any]]
) -> None:
    del orders
    for number in range(1, 7):
        fake.routes[f"/orders/{number}/refunds"] = lambda _: Reply({"refunds": [{}], "total": 1})
    fake.routes["/orders/2/refunds"] = lambda _: Reply({"error": "gone"}, 403)
    fake.routes["/orders/4/refunds"] = lambda _: Reply({"refunds": None, "total": 0})
    fake.routes["/orders/6/refunds"] = lambda _: Reply({"refunds": [{}], "total": 2})
    with ExitStack() as stack:
        found, _ = read(bench, fake, stack, count="total")
    assert sorted(day.day for day in found.refused) == [2, 4, 6]
    assert "what belongs to order 6 could not be read" in str(found.refused[LAST])
    assert "1 records came, the shop counts 2" in str(found.refused[LAST])


def test_a_shop_that_answers_no_more_is_not_asked_for_every_day(
    bench: Bench, fake: FakeShop, orders: list[dict[str, Any]]
) -> None:
    def down(_: Asked) -> Reply:
        return Reply(status=503)

    for order in orders[1:]:
        fake.routes[f"/orders/{order['id']}/refunds"] = down
    fake.routes["/orders/1/refunds"] = lambda _: Reply({"refunds": []})
    with ExitStack() as stack, pytest.raises(ShopUnavailableError):
        read(bench, fake, stack)
    assert [one.path for one in fake.asked if one.path != "/orders"] == [
        f"/orders/{number}/refunds" for number in range(1, 5)
    ]


def test_what_a_load_takes_counts_the_calls_by_order(
    bench: Bench, fake: FakeShop, orders: list[dict[str, Any]]
) -> None:
    orders[0]["refunded"] = False
    fake.routes["/customers"] = lambda _: Reply({"customers": []})
    fake.routes["/products"] = lambda _: Reply([])
    plan = plan_calls(bench.client(shop_of(fake.url, orders={"follow": {"refunds": FOLLOW}})), FIRST, LAST)
    assert {one.name: one.calls for one in plan.lists} == {"orders": 1, "refunds": 5, "customers": 1, "products": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "/refunds"}, "put {{id}}"),
        ({"cursor": "next"}, "cursor needs pagination of the type cursor"),
        ({"changed_since": {"param": "since", "format": "date"}}, "changed_since"),
        ({"params": {"x": "{{order}}"}}, "{{order}} is no placeholder"),
    ],
)
def test_what_cannot_be_asked_order_by_order_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("{", r"\{")):
        Follow.model_validate(FOLLOW | changes)
