"""Where a list ends: short pages, counts that are none of the list, cursors and statuses, and its first instant."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.errors import AnswerError, DataError, PaginationError, PipelineError, ShopRefusedError
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline_tests.cases.small_shop import DESCRIPTION, Case, Record, SmallShop, order
from analytics_pipeline_tests.fake_shop import Asked, Reply

DAY = date(2026, 11, 20)
PAGE = {"type": "page_number", "param": "page"}
OFFSET = {"type": "offset", "param": "offset"}
CURSOR = {"type": "cursor", "param": "cursor", "next": "next"}


def orders(number: int) -> list[Record]:
    return [order(f"N{place}", f"2026-11-20T{8 + place % 12:02}:{place // 12:02}:00+01:00") for place in range(number)]


def cut(records: Sequence[Record], sizes: Sequence[int]) -> list[list[Record]]:
    """Records as pages of these sizes."""
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return [list(records[start : start + size]) for start, size in zip(starts, sizes, strict=True)]


def read(small_shop: SmallShop, **keys: object) -> tuple[list[str], Extraction]:
    """The ids that a reading of the day gives, with other keys of `orders`; a key that is None is left out."""
    described = {name: value for name, value in {**DESCRIPTION["orders"], **keys}.items() if value is not None}
    whole = {**DESCRIPTION, "base_url": small_shop.fake.url, "orders": described, "first_day": "2026-11-01"}
    with ShopClient(Shop.model_validate(whole), sleep=lambda _: None) as client:
        extraction = extract_orders(client, DAY, DAY)
        return [row["order_id"] for batch in extraction for row in batch.to_pylist()], extraction


def numbered(pages: Sequence[Sequence[Record]], **beside: Callable[[int], object]) -> Callable[[Asked], Reply]:
    """Answers pages by number, with values beside the list that are functions of the number."""

    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("page", 1))
        chosen = pages[number - 1] if number <= len(pages) else []
        return Reply({"orders": chosen, **{name: value(number) for name, value in beside.items()}})

    return answer


@pytest.mark.parametrize("style", [PAGE, OFFSET], ids=["C4", "C5"])
def test_a_short_page_in_the_middle_is_no_end(case: Case, style: dict[str, object]) -> None:
    pages = cut(orders(9), [3, 2, 3, 1])
    by_offset = {sum(map(len, pages[:place])): page for place, page in enumerate(pages)}

    def answer(asked: Asked) -> Reply:
        if "offset" in asked.query:
            return Reply({"orders": by_offset.get(int(asked.query["offset"]), [])})
        return numbered(pages)(asked)

    case.shop.fake.routes["/orders"] = answer
    case.describe(lambda described: described["orders"].update({"pagination": style, "count": None}))
    summary = case.run("2026-11-20")
    assert summary.succeeded, summary.failures
    assert case.revenue() == {"2026-11-20": "90.00"}


@pytest.mark.parametrize(
    ("sizes", "total", "fault"),
    [
        ([2, 2, 2, 1], lambda page: 1 if page == 4 else 2 if page < 4 else 0, "that of the page alone"),
        ([2, 2, 2, 1], lambda _: 4, "stays at 4, and more came"),
        ([3, 3, 1], lambda _: 4, "stays at 4, and more came"),
        ([7], lambda page: 7 if page == 1 else 0, None),
        ([3, 3, 1], lambda _: 7, None),
        ([3, 3, 1], lambda page: 7 if page == 1 else None, None),
    ],
    ids=["C8 of the page", "C8 capped", "C8 capped within a page", "one page", "right", "on the first page only"],
)
def test_a_count_that_ended_a_list_does_not_prove_it(
    small_shop: SmallShop, sizes: list[int], total: Callable[[int], int | None], fault: str | None
) -> None:
    small_shop.fake.routes["/orders"] = numbered(cut(orders(7), sizes), total=total)
    ids, extraction = read(small_shop, pagination=PAGE)
    assert len(ids) == 7
    assert len(small_shop.fake.asked) == len(sizes) + 1
    if fault is None:
        assert extraction.count_fault is None
        assert extraction.source_count == 7
    else:
        assert fault in str(extraction.count_fault)
        assert extraction.source_count is None


def last_page_again(asked: Asked) -> Reply:
    start = min(int(asked.query.get("cursor", 0)), 6)
    return Reply({"orders": orders(7)[start : start + 3], "next": min(start + 3, 6)})


def zero_at_the_end(asked: Asked) -> Reply:
    start = int(asked.query.get("cursor", 0))
    return Reply({"orders": orders(7)[start : start + 3], "next": start + 3 if start + 3 < 7 else 0})


def ever_new(asked: Asked) -> Reply:
    start = int(asked.query.get("cursor", 0))
    return Reply({"orders": orders(7)[start : start + 3], "next": start + 3})


def never_null(asked: Asked) -> Reply:
    start = int(asked.query.get("cursor", 0))
    return Reply({"orders": orders(7)[start : start + 3], "next": min(start + 3, 7), "has_more": start + 3 < 7})


def last_number_again(asked: Asked) -> Reply:
    start = (min(int(asked.query["page"]), 3) - 1) * 3
    return Reply({"orders": orders(7)[start : start + 3]})


def status_past_the_end(status: int) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        start = (int(asked.query["page"]) - 1) * 3
        return Reply({"orders": orders(7)[start : start + 3]}) if start < 7 else Reply({"error": "no page"}, status)

    return answer


def counted(route: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        reply = route(asked)
        body: Any = reply.body
        return Reply({**body, "total": 7}, reply.status)

    return answer


@pytest.mark.parametrize(
    ("style", "route", "key", "error"),
    [
        (CURSOR, last_page_again, {"repeated_page_ends": True}, PaginationError),
        (CURSOR, zero_at_the_end, {"ends_at": [0]}, PaginationError),
        (CURSOR, never_null, {"more": "has_more"}, None),
        (CURSOR, ever_new, {"empty_page_ends": True}, PaginationError),
        (PAGE, last_number_again, {"repeated_page_ends": True}, PaginationError),
        (PAGE, status_past_the_end(400), {"ends_at_status": [400]}, ShopRefusedError),
        (PAGE, status_past_the_end(404), {"ends_at_status": [404]}, ShopRefusedError),
        (PAGE, status_past_the_end(204), {"ends_at_status": [204]}, AnswerError),
    ],
    ids=[
        "C10 last page again",
        "C10 cursor 0",
        "cursor never null",
        "ever new cursors",
        "page number too large",
        "C10 400",
        "C10 404",
        "204",
    ],
)
def test_each_way_to_end_a_list_takes_one_key_which_the_error_names(
    small_shop: SmallShop,
    style: dict[str, object],
    route: Callable[[Asked], Reply],
    key: dict[str, object],
    error: type[PipelineError] | None,
) -> None:
    small_shop.fake.routes["/orders"] = route
    whole = [f"N{number}" for number in range(7)]
    assert read(small_shop, count=None, pagination={**style, **key})[0] == whole
    if error is None:  # an empty page that leads to itself
        assert read(small_shop, count=None, pagination=style)[0] == whole
    else:
        with pytest.raises(error, match=f"`{next(iter(key))}: "):
            read(small_shop, count=None, pagination=style)


@pytest.mark.parametrize(
    ("style", "route", "is_proved"),
    [
        (CURSOR, last_page_again, True),
        (CURSOR, ever_new, True),
        (PAGE, last_number_again, True),
        (PAGE, status_past_the_end(404), True),
        (PAGE, status_past_the_end(204), True),
        (PAGE, status_past_the_end(400), False),
    ],
    ids=[
        "last page again",
        "ever new cursors",
        "page number too large",
        "404",
        "204",
        "400, which a capped list gives too",
    ],
)
def test_what_follows_after_all_counted_records_needs_no_key(
    small_shop: SmallShop, style: dict[str, object], route: Callable[[Asked], Reply], is_proved: bool
) -> None:
    small_shop.fake.routes["/orders"] = counted(route)
    if is_proved:
        ids, extraction = read(small_shop, pagination=style)
        assert ids == [f"N{number}" for number in range(7)]
        assert extraction.agrees
    else:
        with pytest.raises(ShopRefusedError, match="ends_at_status"):
            read(small_shop, pagination=style)


def test_a_full_page_that_comes_again_and_counts_itself_is_a_parameter_that_the_shop_does_not_know(
    small_shop: SmallShop,
) -> None:
    small_shop.fake.routes["/orders"] = lambda _: Reply({"orders": orders(3), "total": 3})
    with pytest.raises(PaginationError, match="does the shop know them"):
        read(small_shop, pagination={**PAGE, "size_param": "size", "size": 3})


@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_ends_a_list_of_pages_without_a_further_request(small_shop: SmallShop, flag: bool) -> None:
    pages = cut(orders(6), [3, 3])
    small_shop.fake.routes["/orders"] = numbered(pages, more=lambda page: page < 2)
    style = {**PAGE, "more": "more"} if flag else PAGE
    assert len(read(small_shop, count=None, pagination=style)[0]) == 6
    assert len(small_shop.fake.asked) == (2 if flag else 3)


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ({"orders": []}, None),
        ({"orders": [], "errors": ["the index is being built for anna@example.com"]}, None),
        ({"orders": None, "total": 0}, None),
        ({"error": {"message": "the index is being built", "order": {"name": "Anna"}}}, "the index is being built"),
        ({"orders": {"error": "x"}, "total": 0}, None),
        ({"orders": [], "total": None}, None),
    ],
)
def test_a_described_proof_that_is_absent_is_reported_with_its_place(
    small_shop: SmallShop, body: object, quoted: str | None
) -> None:
    small_shop.fake.answers("/orders", Reply(body))
    with pytest.raises(DataError, match=r"GET http.*(at `total`|at `orders`)") as caught:
        read(small_shop)
    messages = str(caught.value)
    assert ("the index is being built" in (caught.value.excerpt or "")) == ("index" in str(body))
    said = re.search(r" The shop says: (.*?) \(its words: ", messages)
    assert (said and said[1]) == quoted
    assert ("index" in messages) == (quoted is not None)
    assert "@" not in messages
    assert "Anna" not in messages


@pytest.mark.parametrize("first", [3, 0])
def test_an_empty_page_before_the_last_of_the_shops_own_number_of_pages_is_no_end(
    small_shop: SmallShop, first: int
) -> None:
    pages = cut(orders(6), [first, 3 - first, 3])
    small_shop.fake.routes["/orders"] = numbered(pages, of=lambda _: 3)
    assert len(read(small_shop, count=None, pagination={**PAGE, "pages": "of"})[0]) == 6


def test_an_empty_page_behind_a_page_that_counts_itself_is_no_end(small_shop: SmallShop) -> None:
    pages = cut(orders(6), [3, 0, 3])

    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("cursor", 1))
        following = {"next": number + 1} if number < 3 else {}
        return Reply({"orders": pages[number - 1], "total": len(pages[number - 1]), **following})

    small_shop.fake.routes["/orders"] = answer
    ids, extraction = read(small_shop, pagination=CURSOR)
    assert (len(ids), extraction.source_count) == (6, None)


def test_a_status_ends_no_list_of_which_the_shop_says_that_more_pages_follow(small_shop: SmallShop) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply({"orders": orders(3), "of": 2}) if asked.query["page"] == "1" else Reply({}, 404)

    small_shop.fake.routes["/orders"] = answer
    with pytest.raises(AnswerError, match="page=2: HTTP 404, where the page before says that more follow"):
        read(small_shop, count=None, pagination={**PAGE, "pages": "of", "ends_at_status": [404]})


def test_a_flag_that_is_never_false_does_not_ask_for_empty_pages_for_ever(small_shop: SmallShop) -> None:
    small_shop.fake.routes["/orders"] = numbered(cut(orders(3), [3]), more=lambda _: True)
    with pytest.raises(PaginationError, match="50 empty pages in a row"):
        read(small_shop, count=None, pagination={**PAGE, "more": "more"})


@pytest.mark.parametrize(("counted", "agrees"), [("0", True), ("5", False)])
def test_a_status_for_nothing_is_held_against_the_count_in_its_header(
    small_shop: SmallShop, counted: str, agrees: bool
) -> None:
    small_shop.fake.answers("/orders", Reply(status=204, headers={"X-Total": counted}))
    style = {"type": "single", "ends_at_status": [204]}
    assert read(small_shop, count=None, count_header="X-Total", pagination=style)[1].agrees is agrees
    small_shop.fake.answers("/orders", Reply(status=204))
    with pytest.raises(AnswerError, match="without the shop's count of records, described in the header X-Total"):
        read(small_shop, count=None, count_header="X-Total", pagination=style)


@pytest.mark.parametrize("failure", [{"errors": ["index_unavailable"]}, {"success": False}, {"ok": False}])
@pytest.mark.parametrize("count", ["total", None])
def test_an_answer_that_says_that_it_failed_is_refused_whatever_it_counts(
    small_shop: SmallShop, failure: dict[str, object], count: str | None
) -> None:
    small_shop.fake.answers("/orders", Reply({"orders": [], "total": 0, **failure}))
    with pytest.raises(AnswerError, match="an error beside the list"):
        read(small_shop, count=count)


@pytest.mark.parametrize("said", ["1", " 1 ", 1.0], ids=repr)
def test_a_count_may_come_as_text_or_as_a_fraction_of_nothing(small_shop: SmallShop, said: object) -> None:
    small_shop.fake.answers("/orders", Reply({"orders": orders(1), "total": said}))
    assert read(small_shop, pagination={"type": "single"})[1].agrees


def test_a_number_of_pages_that_is_none_is_reported_without_what_it_holds(small_shop: SmallShop) -> None:
    small_shop.fake.routes["/orders"] = numbered([], of=lambda _: {"name": "Anna"})
    with pytest.raises(PaginationError, match=r"`of` should be the number of pages, .* \(dict\)$"):
        read(small_shop, count=None, pagination={**PAGE, "pages": "of"})


def test_an_error_beside_the_list_is_refused_where_no_count_is_described(small_shop: SmallShop) -> None:
    faults = [{"message": "half of it\x1b[2J", "code": "partial"}]
    small_shop.fake.answers("/orders", Reply({"orders": orders(1), "errors": faults}))
    with pytest.raises(AnswerError, match=r"an error beside the list\. The shop says: partial \(its words: ") as caught:
        read(small_shop, count=None)
    assert "half of it" in str(caught.value.excerpt)


def test_an_empty_list_with_its_count_is_a_fact(small_shop: SmallShop) -> None:
    small_shop.fake.answers("/orders", Reply({"orders": [], "total": 0, "errors": []}))
    ids, extraction = read(small_shop)
    assert (ids, extraction.source_count, extraction.agrees) == ([], 0, True)


@pytest.mark.parametrize("ranges", [["20", "21"], ["20-21"]], ids=["C9 day by day", "C9 as one"])
def test_an_order_of_local_midnight_is_in_its_day_whatever_the_lower_bound_means(case: Case, ranges: list[str]) -> None:
    case.shop.orders = [
        order("M", "2026-11-20T00:00:00+01:00"),
        order("B", "2026-11-19T23:59:59+01:00", "5.00"),
        order("N", "2026-11-21T00:00:00+01:00", "7.00"),
    ]

    def exclusive(asked: Asked) -> Reply:
        begin = datetime.fromisoformat(asked.query["from"])
        found = [one for one in case.shop.asked_for(asked) if datetime.fromisoformat(one["created_at"]) > begin]
        return Reply({"orders": found if asked.query["page"] == "1" else [], "total": len(found)})

    case.shop.fake.routes["/orders"] = exclusive
    for days in ranges:
        first, _, last = days.partition("-")
        summary = case.run(f"2026-11-{first}", f"2026-11-{last or first}")
        assert summary.succeeded, summary.failures
    assert case.revenue() == {"2026-11-20": "10.00", "2026-11-21": "7.00"}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_a_shop_that_cuts_days_by_another_zone_loses_no_order_when_it_is_asked_by_days(
    small_shop: SmallShop, zone: str
) -> None:
    first = order("first", "2026-11-20T00:00:00+01:00")
    last = order("last", "2026-11-20T23:59:59+01:00")
    before, after = order("before", "2026-11-19T23:59:59+01:00"), order("after", "2026-11-21T00:00:00+01:00")
    undated = [{**order(name, "2026-11-20"), "created_at": None} for name in ("lost", "lost before")]

    def answer(asked: Asked) -> Reply:
        def is_asked(stamp: str) -> bool:
            day = datetime.fromisoformat(stamp).astimezone(ZoneInfo(zone)).date()
            return asked.query["from"] <= day.isoformat() < asked.query["to"]

        dated = [one for one in (before, first, last, after) if is_asked(one["created_at"])]
        kept = zip(undated, ("2026-11-20T10:00:00+01:00", "2026-11-19T06:00:00+01:00"), strict=True)
        found = dated + [one for one, stamp in kept if is_asked(stamp)]
        return Reply({"orders": found, "total": len(found)})

    small_shop.fake.routes["/orders"] = answer
    window = {"from_param": "from", "to_param": "to", "format": "date"}
    ids, extraction = read(small_shop, created_window=window, pagination={"type": "single"})
    assert ids == ["first", "last", "lost"]
    assert list(extraction.undated) == []
    assert extraction.agrees


def one_twice_and_one_never(case: Case, *, lists: int = 1_000) -> Callable[[Asked], Reply]:
    """Pages of three of a list that shifts: each further page begins with the last record of the page before.

    A list of six lacks its last one. After some lists of more than a page it does so no more.
    """
    begun = 0

    def answer(asked: Asked) -> Reply:
        nonlocal begun
        found, number = case.shop.asked_for(asked), int(asked.query["page"])
        begun += number == 1 and len(found) > 3
        start = (number - 1) * 3
        if 0 < start < len(found) and begun <= lists:
            start -= 1
        return Reply({"orders": found[start : start + 3]})

    return answer


def six_orders_of_one_day(case: Case, stamps: Sequence[str]) -> None:
    case.shop.orders = [order(f"O{number}", stamps[number % len(stamps)]) for number in range(6)]
    case.shop.orders.sort(key=lambda one: one["created_at"])
    case.describe(lambda described: described["orders"]["pagination"].update({"size": 3}))
    case.describe(lambda described: described["orders"].pop("count"))


NOON = "2026-11-20T12:00:00+01:00"


def test_c6_equal_stamps_of_which_one_comes_twice_and_one_never_are_read_again_and_then_refused(case: Case) -> None:
    six_orders_of_one_day(case, [NOON])
    assert case.run("2026-11-20").succeeded
    assert case.revenue() == {"2026-11-20": "60.00"}
    case.shop.orders[0]["lines"][0]["price"] = "11.00"
    case.shop.fake.routes["/orders"] = one_twice_and_one_never(case)
    case.shop.fake.asked.clear()

    summary = case.run("2026-11-20")

    assert not summary.succeeded
    messages = "2026-11-20 11:00:00 UTC come on several pages, one of them came twice, and the shop gives no count"
    assert messages in summary.failures[0]
    noon = [one for one in case.shop.fake.asked if one.path == "/orders" and case.shop.asked_for(one)]
    assert len([one for one in noon if one.query["page"] == "2"]) >= 3, "the list and then the instant, twice"
    assert case.revenue() == {"2026-11-20": "60.00"}
    stored = case.rows("select distinct order_id from raw.orders order by 1")
    assert [row["order_id"] for row in stored] == [f"O{number}" for number in range(6)]
    assert case.rows("select state, orders from ops.day_proofs") == [{"state": "refused", "orders": 6}]
    assert case.rows("select * from ops.deleted_orders") == []


@pytest.mark.parametrize(
    ("stamps", "lists"),
    [
        ([f"2026-11-20T{hour}:00:00+01:00" for hour in range(10, 16)], 1_000),
        ([NOON, "2026-11-20T12:00:02+01:00"], 1_000),
        ([NOON], 5),
    ],
    ids=["six instants", "two instants of three, two seconds apart", "one instant whose ties settle"],
)
def test_c6_a_window_that_is_cut_until_it_fits_a_page_or_is_read_again_lacks_nothing(
    case: Case, stamps: list[str], lists: int
) -> None:
    six_orders_of_one_day(case, stamps)
    case.shop.fake.routes["/orders"] = one_twice_and_one_never(case, lists=lists)
    summary = case.run("2026-11-20")
    assert summary.succeeded, summary.failures
    assert case.revenue() == {"2026-11-20": "60.00"}
