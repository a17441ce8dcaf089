"""Reading a range so that days that cannot be proved leave the others whole, and pages that shift lose nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from analytics_pipeline.sources.order_counts import count_orders
from analytics_pipeline.sources.ranges import DaysRead, RangeReader
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
WINDOW = {"from_param": "from", "to_param": "to", "format": "iso_utc"}
PAGES = {"type": "page_number", "param": "page", "size_param": "size", "size": 100}
Record = dict[str, Any]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def order(name: str, stamp: datetime) -> Record:
    return {"id": name, "created_at": stamp.isoformat()}


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def asked_for(asked: Asked, orders: list[Record]) -> list[Record]:
    """The orders of a request's window, whose lower end is inclusive."""
    begin, end = (datetime.fromisoformat(asked.query[name]) for name in ("from", "to"))
    return [one for one in orders if begin <= datetime.fromisoformat(one["created_at"]) < end]


def page_of(asked: Asked, found: list[Record]) -> list[Record]:
    size, page = int(asked.query["size"]), int(asked.query["page"])
    return found[(page - 1) * size : page * size]


def read(
    bench: Bench, fake: FakeShop, stack: ExitStack, first: date, last: date, *, size: int = 100, **keys: object
) -> DaysRead:
    orders = {"pagination": {**PAGES, "size": size}, "created_window": WINDOW, **keys}
    return RangeReader(bench.client(shop_of(fake.url, orders=orders)), stack).read(first, last)


def ids(read: DaysRead) -> list[str]:
    return [name for part in read.parts for batch in part.rows.reader() for name in batch.column(0).to_pylist()]


def year() -> list[Record]:
    return [order(f"{FIRST + timedelta(days=n)}", noon(FIRST + timedelta(days=n))) for n in range(365)]


def without_count(bad: set[str], orders: list[Record]) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        found = asked_for(asked, orders)
        is_bad = bad & {one["id"] for one in found}
        return Reply({"orders": page_of(asked, found), **({} if is_bad else {"total": len(found)})})

    return answer


def test_of_a_year_with_three_refused_days_all_others_are_read_in_few_requests(
    fake: FakeShop, bench: Bench, stack: ExitStack
) -> None:
    bad = {"2025-01-01", "2025-06-15", "2025-06-16"}
    fake.routes["/orders"] = without_count(bad, year())
    found = read(bench, fake, stack, FIRST, LAST, count="total")
    assert {str(day) for day in found.refused} == bad
    assert sorted(ids(found)) == sorted({one["id"] for one in year()} - bad)
    assert all("described at `total`" in str(error) for error in found.refused.values())
    assert len(fake.asked) < 100


def test_a_shop_of_which_nothing_can_be_read_is_asked_for_few_parts_only(
    fake: FakeShop, bench: Bench, stack: ExitStack
) -> None:
    fake.answers("/orders", Reply(status=204))
    found = read(bench, fake, stack, FIRST, LAST)
    assert len(found.refused) == 365
    assert len(fake.asked) == 63


def test_a_shop_that_refuses_the_request_ends_the_reading(fake: FakeShop, bench: Bench, stack: ExitStack) -> None:
    fake.answers("/orders", Reply({}, 401))
    with pytest.raises(Exception, match="HTTP 401"):
        read(bench, fake, stack, FIRST, LAST)
    assert len(fake.asked) == 1


def test_a_day_that_disagrees_once_is_read_again(fake: FakeShop, bench: Bench, stack: ExitStack) -> None:
    orders = year()[:1]
    left = [5, 1]
    fake.routes["/orders"] = lambda asked: Reply(
        {
            "orders": page_of(asked, asked_for(asked, orders)),
            "total": left[0] if asked.query["page"] != "1" else left.pop(0) if len(left) > 1 else 1,
        }
    )
    found = read(bench, fake, stack, FIRST, FIRST, count="total")
    assert (ids(found), found.refused) == (["2025-01-01"], {})


def shifting(orders: list[Record]) -> Callable[[Asked], Reply]:
    """Pages of which each later one begins with the last record of the one before and loses its own first."""

    def answer(asked: Asked) -> Reply:
        found, page = asked_for(asked, orders), int(asked.query["page"])
        size = int(asked.query["size"])
        chosen = page_of(asked, found)
        return Reply({"orders": [found[(page - 1) * size - 1], *chosen[1:]] if page > 1 and chosen else chosen})

    return answer


def test_pages_that_shift_without_a_count_are_cut_until_each_window_fits_one(
    fake: FakeShop, bench: Bench, stack: ExitStack
) -> None:
    start = noon(FIRST)
    orders = [order(f"N{n:02}", start + timedelta(minutes=n)) for n in range(40)]
    fake.routes["/orders"] = shifting(orders)
    found = read(bench, fake, stack, FIRST, FIRST, size=5)
    assert sorted(ids(found)) == [one["id"] for one in orders]
    assert len(fake.asked) < 80


def test_of_one_instant_that_exceeds_a_page_a_record_that_comes_twice_refuses_the_day(
    fake: FakeShop, bench: Bench, stack: ExitStack
) -> None:  # C6
    days = [FIRST, FIRST + timedelta(days=1)]
    orders = [order(f"N{n}", noon(days[0])) for n in range(6)] + [order("M", noon(days[1]))]
    fake.routes["/orders"] = shifting(orders)
    found = read(bench, fake, stack, days[0], days[1], size=3)
    assert list(found.refused) == days[:1]
    assert "2025-01-01 12:00:00 UTC come on several pages, one of them came twice" in str(found.refused[days[0]])
    assert ids(found) == ["M"]
    assert len(fake.asked) < 60


def test_a_tie_that_comes_right_at_the_second_time_is_whole(fake: FakeShop, bench: Bench, stack: ExitStack) -> None:
    orders = [order(f"N{n}", noon(FIRST)) for n in range(6)]
    wrong, turns = shifting(orders), [0]

    def answer(asked: Asked) -> Reply:
        turns[0] += 1
        return wrong(asked) if turns[0] <= 3 else Reply({"orders": page_of(asked, orders)})

    fake.routes["/orders"] = answer
    found = read(bench, fake, stack, FIRST, FIRST, size=3)
    assert (sorted(ids(found)), found.refused) == ([f"N{n}" for n in range(6)], {})


def test_two_versions_of_an_order_are_no_sign_of_a_shift_that_cannot_be_cut(
    fake: FakeShop, bench: Bench, stack: ExitStack
) -> None:
    orders = [{**order(name, noon(FIRST)), "updated_at": stamp} for name, stamp in (("A", "1"), ("B", "1"), ("A", "2"))]
    fake.routes["/orders"] = lambda asked: Reply({"orders": page_of(asked, orders)})
    fields = {"order_id": "id", "created_at": "created_at", "updated_at": "updated_at"}
    found = read(bench, fake, stack, FIRST, FIRST, size=2, fields=fields)
    assert (ids(found), found.refused) == (["A", "B", "A"], {})


def test_a_record_that_comes_twice_on_one_page_is_kept_twice(fake: FakeShop, bench: Bench, stack: ExitStack) -> None:
    orders = [order("A", noon(FIRST))] * 2
    fake.routes["/orders"] = lambda asked: Reply({"orders": page_of(asked, orders)})
    assert ids(read(bench, fake, stack, FIRST, FIRST)) == ["A", "A"]


def test_the_same_answer_has_the_same_fingerprint_in_any_order(fake: FakeShop, bench: Bench, stack: ExitStack) -> None:
    orders = [order(f"N{n}", noon(FIRST)) for n in range(3)]
    prints = []
    for answer in (orders, orders[::-1], orders[:2], [{**orders[0], "note": "x"}, *orders[1:]]):
        fake.routes["/orders"] = lambda asked, answer=answer: Reply({"orders": page_of(asked, answer)})  # type: ignore[misc]
        prints.append(
            json.dumps([str(p) for p in read(bench, fake, stack, FIRST, FIRST).parts[0].fingerprints().values()])
        )
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@pytest.mark.parametrize("is_own", [True, False])
def test_a_count_that_is_of_the_page_alone_counts_no_orders(fake: FakeShop, bench: Bench, is_own: bool) -> None:
    orders = year()[:2] if is_own else year()[:1]

    def answer(asked: Asked) -> Reply:
        chosen = page_of(asked, asked_for(asked, orders))
        return Reply({"orders": chosen, "total": len(chosen)})

    fake.routes["/orders"] = answer
    described = {"pagination": PAGES, "created_window": WINDOW, "count": "total"}
    counted = count_orders(bench.client(shop_of(fake.url, orders=described)), FIRST, LAST)
    assert counted == (None if is_own else 1)
