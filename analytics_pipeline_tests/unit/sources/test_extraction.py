"""Extraction end to end against a real server: every paging style, exact payloads, windows, faults of records."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from analytics_pipeline.errors import AnswerError, DescriptionError, PaginationError, ShopUnavailableError
from analytics_pipeline.sources.doctor import check_shop
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.lists import extract_changed_orders, extract_customers, extract_orders, extract_products
from analytics_pipeline.transforms.raw import CUSTOMERS_SCHEMA, ORDERS_SCHEMA, PRODUCTS_SCHEMA
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

DAY = date(2026, 1, 31)
ORDERS = [{"id": number, "created_at": f"2026-01-31T08:{number:02}:00Z"} for number in range(7)]
WINDOW = {"from_param": "from", "to_param": "to", "format": "iso_utc"}


def rows(extraction: Extraction) -> list[dict[str, Any]]:
    return [row for batch in extraction for row in batch.to_pylist()]


def slice_of(asked: Asked, start: int, size: int) -> dict[str, object]:
    """A page in the shape that serves every style; the window must be asked for again with every page."""
    assert asked.query["from"] == "2026-01-30T22:59:59Z"
    assert asked.query["to"] == "2026-01-31T23:00:00Z"
    end = start + size
    return {
        "orders": ORDERS[start:end],
        "next": f"c{end}" if end < len(ORDERS) else None,
        "pages": -(-len(ORDERS) // size),
        "links": {"next": f"/orders?{asked_again(asked)}&at={end}"} if end < len(ORDERS) else [],
    }


def asked_again(asked: Asked) -> str:
    return f"from={asked.query['from']}&to={asked.query['to']}"


def by_page(asked: Asked) -> Reply:
    return Reply(slice_of(asked, (int(asked.query["page"]) - 1) * 3, 3))


def by_offset(asked: Asked) -> Reply:
    return Reply(slice_of(asked, int(asked.query["offset"]), min(3, int(asked.query["limit"]))))


def by_cursor(asked: Asked) -> Reply:
    return Reply(slice_of(asked, int(asked.query.get("cursor", "c0")[1:]), 3))


def by_link(asked: Asked) -> Reply:
    return Reply(slice_of(asked, int(asked.query.get("at", 0)), 3))


def by_header(asked: Asked) -> Reply:
    page = slice_of(asked, int(asked.query.get("at", 0)), 3)
    link: Any = page.pop("links")
    return Reply(page, headers={"Link": f'<{link["next"]}>; rel="next"'} if link else {})


def whole(asked: Asked) -> Reply:
    return Reply(slice_of(asked, 0, 99))


@pytest.mark.parametrize(
    ("pagination", "route", "requests"),
    [
        ({"type": "page_number", "param": "page", "pages": "pages"}, by_page, 3),
        ({"type": "page_number", "param": "page"}, by_page, 4),
        ({"type": "offset", "param": "offset", "size_param": "limit", "size": 3}, by_offset, 4),
        ({"type": "offset", "param": "offset", "size_param": "limit", "size": 500}, by_offset, 4),
        ({"type": "cursor", "param": "cursor", "next": "next"}, by_cursor, 3),
        ({"type": "next_link", "next": "links.next"}, by_link, 3),
        ({"type": "link_header"}, by_header, 3),
        ({"type": "single"}, whole, 1),
    ],
    ids=["pages", "short page", "offset", "capped offset", "cursor", "next link", "link header", "single"],
)
def test_every_style_reads_each_order_once(
    fake: FakeShop, bench: Bench, pagination: dict[str, object], route: Callable[[Asked], Reply], requests: int
) -> None:
    fake.routes["/orders"] = route
    client = bench.client(shop_of(fake.url, orders={"pagination": pagination, "created_window": WINDOW}))
    extraction = extract_orders(client, DAY, DAY)
    assert fake.asked == []
    assert [row["order_id"] for row in rows(extraction)] == [str(order["id"]) for order in ORDERS]
    assert (extraction.records, extraction.outside_window, extraction.source_count) == (7, 0, None)
    assert extraction.statistics.requests == requests
    assert extract_orders(client, DAY, DAY).statistics.requests == 0


EXACT = (
    b'{"id": 1,  "created_at":"2026-01-31T08:00:00Z","z":1.10,"a":123456789012345678901234567890,'
    b'"note":"\\u00fc\\/ \\ud83d\\ude00 \xc3\xbc", "n": -0.0e5 ,"id2":1.0}'
)


@pytest.mark.parametrize(
    ("records", "body"),
    [("orders", b' {"orders" : [ %s ] }'), ("data.orders", b'{"data":{"x":1,"orders":[%s]}}'), ("@", b"[%s\n]")],
)
def test_a_payload_is_the_text_that_the_api_sent(fake: FakeShop, bench: Bench, records: str, body: bytes) -> None:
    fake.answers("/orders", Reply(body % EXACT))
    extraction = extract_orders(bench.client(shop_of(fake.url, orders={"records": records})), DAY, DAY)
    assert [row["payload"] for row in rows(extraction)] == [EXACT.decode()]


def test_batches_have_the_described_schema_and_carry_day_and_stamp(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": ORDERS[:2]}))
    fake.answers(
        "/customers",
        Reply({"customers": [{"id": "a", "updated_at": "2026-01-31T08:00:00Z"}, {"id": "b", "updated_at": "soon"}]}),
    )
    fake.answers("/products", Reply([{"meta": {"id": "P1"}}]))
    client = bench.client(shop_of(fake.url))
    before = datetime.now(UTC)
    orders, customers, products = (
        next(extraction)
        for extraction in (extract_orders(client, DAY, DAY), extract_customers(client), extract_products(client))
    )
    assert [batch.schema for batch in (orders, customers, products)] == [
        ORDERS_SCHEMA,
        CUSTOMERS_SCHEMA,
        PRODUCTS_SCHEMA,
    ]
    assert ORDERS_SCHEMA.types == [pa.string(), pa.date32(), pa.timestamp("us", "UTC"), pa.string()]
    assert orders.column("order_date").to_pylist() == [DAY, DAY]
    assert all(before <= row["extracted_at"] <= datetime.now(UTC) for row in orders.to_pylist())
    assert customers.column("changed_at").to_pylist() == [datetime(2026, 1, 31, 8, tzinfo=UTC), None]
    assert products.to_pylist()[0]["product_id"] == "P1"
    assert products.to_pylist()[0]["changed_at"] is None


def test_orders_of_other_business_days_are_left_out_and_counted(fake: FakeShop, bench: Bench) -> None:
    stamps = ["2026-01-30T22:59:59Z", "2026-01-30T23:00:00Z", "2026-01-31T22:59:59Z", "2026-01-31T23:00:00Z"]
    orders = [{"id": number, "created_at": stamp} for number, stamp in enumerate(stamps)]
    fake.answers("/orders", Reply({"orders": orders, "total": 4}))
    extraction = extract_orders(bench.client(shop_of(fake.url, orders={"count": "total"})), DAY, DAY)
    assert [row["order_id"] for row in rows(extraction)] == ["1", "2"]
    assert (extraction.records, extraction.outside_window, extraction.source_count) == (2, 2, 4)


def test_duplicates_stay_and_ids_become_text(fake: FakeShop, bench: Bench) -> None:
    orders = [{**ORDERS[0], "id": order_id} for order_id in ("A-1", 17, "A-1", 12345678901234567890123)]
    fake.answers("/orders", Reply({"orders": orders}))
    found = rows(extract_orders(bench.client(shop_of(fake.url)), DAY, DAY))
    assert [row["order_id"] for row in found] == ["A-1", "17", "A-1", "12345678901234567890123"]


def test_paths_may_be_jmespath(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": [{"keys": [{"v": "A"}], "at": {"created": "2026-01-31T08:00:00Z"}}]}))
    fields = {"order_id": "keys[0].v", "created_at": "at.created"}
    assert [
        row["order_id"]
        for row in rows(extract_orders(bench.client(shop_of(fake.url, orders={"fields": fields})), DAY, DAY))
    ] == ["A"]


CURSOR = {"type": "cursor", "param": "cursor", "next": "next"}


def test_the_count_of_the_last_page_that_has_one_is_the_shops_count(fake: FakeShop, bench: Bench) -> None:
    pages = [{"orders": ORDERS[:3], "next": "a", "total": 6}, {"orders": ORDERS[3:], "next": "b", "total": 7}]
    fake.answers("/orders", Reply(pages[0]), Reply(pages[1]), Reply({"orders": []}))
    extraction = extract_orders(
        bench.client(shop_of(fake.url, orders={"pagination": CURSOR, "count": "total"})), DAY, DAY
    )
    assert len(rows(extraction)) == extraction.source_count == 7


def test_the_count_may_come_in_a_header(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": []}, headers={"x-wp-total": "0"}))
    extraction = extract_orders(bench.client(shop_of(fake.url, orders={"count_header": "X-WP-Total"})), DAY, DAY)
    assert rows(extraction) == []
    assert extraction.source_count == 0


def test_an_answer_without_content_is_an_empty_list_only_where_it_is_described_so(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply(status=204))
    messages = r"HTTP 204 where a list is described\. If .* nothing to list, add `ends_at_status: \[204\]`"
    with pytest.raises(AnswerError, match=messages):
        rows(extract_orders(bench.client(shop_of(fake.url)), DAY, DAY))
    described = {"pagination": {"type": "single", "ends_at_status": [204]}}
    assert rows(extract_orders(bench.client(shop_of(fake.url, orders=described)), DAY, DAY)) == []
    with pytest.raises(AnswerError, match="HTTP 204 without the shop's count of records, described at `total`"):
        rows(extract_orders(bench.client(shop_of(fake.url, orders={**described, "count": "total"})), DAY, DAY))


def test_fixed_parameters_are_sent(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": []}))
    rows(extract_orders(bench.client(shop_of(fake.url, orders={"params": {"status": "any"}})), DAY, DAY))
    assert fake.asked[0].query == {"status": "any"}


def test_changed_since_is_asked_for_where_the_shop_knows_it(fake: FakeShop, bench: Bench) -> None:
    since = datetime(2026, 1, 31, 8, tzinfo=UTC)
    fake.answers("/orders", Reply({"orders": [{"id": 1, "created_at": "2025-01-01T00:00:00Z"}]}))
    fake.answers("/customers", Reply({"customers": []}))
    fake.answers("/products", Reply([]))
    changed = {"param": "updated_since", "format": "unix_seconds"}
    client = bench.client(shop_of(fake.url, orders={"changed_since": changed}))
    assert [row["order_date"] for row in rows(extract_changed_orders(client, since))] == [date(2025, 1, 1)]
    for extraction in (extract_customers(client, since), extract_products(client, since)):
        assert rows(extraction) == []
    assert [asked.query for asked in fake.asked] == [
        {"updated_since": "1769846400"},
        {"since": "2026-01-31T08:00:00Z"},
        {},
    ]
    with pytest.raises(DescriptionError, match=r"orders\.changed_since is not described"):
        extract_changed_orders(bench.client(shop_of(fake.url)), since)


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"data": []}, "no list of records at `orders`, but nothing or null; check `records`"),
        ({"orders": None}, "no list of records at `orders`, but nothing or null"),
        ({"data": {"sales": [{}]}, "Ann Lee": []}, "check `records`; the answer has a list at `data.sales`."),
        ({"orders": {"1": {}}}, "no list of records at `orders`, but dict"),
        ([], "Expected `object`, got `array`"),
        ({"orders": [], "total": "many"}, "the shop's count of records is no number from 0 on (str)."),
        ({"orders": [], "total": -1}, "the shop's count of records is no number from 0 on (int)."),
    ],
)
def test_an_answer_that_breaks_its_description_is_reported(
    fake: FakeShop, bench: Bench, body: object, messages: str
) -> None:
    whole = {"total": 1, **body} if isinstance(body, dict) else body
    fake.answers("/orders", Reply(whole))
    client = bench.client(shop_of(fake.url, orders={"count": "total"}))
    with pytest.raises(AnswerError) as caught:
        rows(extract_orders(client, DAY, DAY))
    assert f"GET {fake.url}/orders: " in str(caught.value)
    assert messages in str(caught.value)
    assert len(fake.asked) == 1


def test_a_record_that_cannot_be_read_is_reported_by_its_place_and_nothing_of_it_is_shown(
    fake: FakeShop, bench: Bench
) -> None:
    broken: list[object] = [7, {"created_at": "x", "name": "Ada"}, {**ORDERS[0], "id": 1.5}, {"id": "x" * 6000}]
    fake.answers("/orders", Reply({"orders": [*ORDERS[:1], *broken]}))
    extraction = extract_orders(bench.client(shop_of(fake.url, orders={"created_window": WINDOW})), DAY, DAY)
    found = rows(extraction)
    assert [row["order_date"] for row in found] == [DAY] * 5
    assert (extraction.odd.without_id, extraction.odd.without_day, extraction.odd.escaped) == (4, 3, 0)
    messages = " ".join(extraction.odd.examples)
    assert f"record 2 of {fake.url}/orders?from=2026-01-30T" in messages
    assert "order_id (`id`): missing" in messages
    assert "Ada" not in messages
    assert len(messages) < 1000


def test_a_shop_that_gives_no_order_a_day_is_told_to_be_described_wrongly(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": [{"id": number} for number in range(1001)]}))
    with pytest.raises(AnswerError, match=r"more than 1000 records have no created_at .* `created_at` is its path"):
        rows(extract_orders(bench.client(shop_of(fake.url)), DAY, DAY))


def test_text_that_is_no_unicode_is_kept_escaped_with_its_bytes(fake: FakeShop, bench: Bench) -> None:
    record = b'{"id": 1, "created_at": "2026-01-31T08:00:00Z", "note": "\xff"}'
    fake.answers("/orders", Reply(b'{"orders": [%s]}' % record))
    extraction = extract_orders(bench.client(shop_of(fake.url)), DAY, DAY)
    [row] = rows(extraction)
    kept = json.loads(row["payload"])
    assert base64.b64decode(kept["_bytes"]) == record
    assert kept["_escaped"] == record.decode("utf-8", "replace")
    assert extraction.odd.escaped == 1


def test_text_that_is_no_json_is_kept_escaped_where_a_value_is_an_expression_too(fake: FakeShop, bench: Bench) -> None:
    record = b'{"id": 1, "created_at": "2026-01-31T08:00:00Z", "note": NaN}'
    fake.answers("/orders", Reply(b'{"orders": [%s]}' % record))
    fields = {"order_id": "id", "created_at": "placed_at || created_at"}
    extraction = extract_orders(bench.client(shop_of(fake.url, orders={"fields": fields})), DAY, DAY)
    [row] = rows(extraction)
    assert (row["order_id"], json.loads(row["payload"])) == ("1", {"_escaped": record.decode()})
    assert extraction.odd.escaped == 1


@pytest.mark.parametrize("body", ['{"orders": [{"id": NaN}', '{"orders": [{"id": NaN]}', '{"orders": [NaN 1]}', "NaN"])
def test_an_answer_without_a_whole_outline_is_asked_for_again_and_told_without_content(
    fake: FakeShop, bench: Bench, body: str
) -> None:
    fake.answers("/orders", Reply(body.encode()))
    with pytest.raises(ShopUnavailableError, match=r"no JSON: JSON is malformed.*byte \d+") as caught:
        rows(extract_orders(bench.client(shop_of(fake.url)), DAY, DAY))
    assert "NaN" not in str(caught.value)
    assert len(fake.asked) > 1


def test_half_a_surrogate_pair_does_not_stop_the_day(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": [{**ORDERS[0], "note": "cut \ud83d"}]}))
    found = rows(extract_orders(bench.client(shop_of(fake.url)), DAY, DAY))
    assert json.loads(found[0]["payload"])["note"] == "cut \ufffd"
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("pagination", "page", "messages"),
    [
        (CURSOR, {"next": "a"}, "circle"),
        ({"type": "next_link", "next": "next"}, {"next": "/orders"}, "circle"),
        ({"type": "page_number", "param": "page"}, {"orders": ORDERS[:1]}, "same page of records twice"),
        ({"type": "offset", "param": "offset"}, {"orders": ORDERS[:1]}, "same page of records twice"),
        (CURSOR, {"next": ["a"]}, "should be a cursor, but is list"),
    ],
)
def test_paging_that_does_not_end_is_stopped(
    fake: FakeShop, bench: Bench, pagination: dict[str, object], page: dict[str, object], messages: str
) -> None:
    fake.answers("/orders", Reply({"orders": [], **page}))
    with pytest.raises(PaginationError, match=messages):
        rows(extract_orders(bench.client(shop_of(fake.url, orders={"pagination": pagination})), DAY, DAY))
    assert len(fake.asked) <= 2


def test_the_cap_on_pages_stops_ever_new_cursors(fake: FakeShop, bench: Bench) -> None:
    fake.routes["/orders"] = lambda asked: Reply({"orders": [], "next": int(asked.query.get("cursor", 0)) + 1})
    shop = shop_of(fake.url, orders={"pagination": CURSOR}, limits={"max_pages": 5})
    with pytest.raises(PaginationError, match="more than 5 pages"):
        rows(extract_orders(bench.client(shop), DAY, DAY))
    assert len(fake.asked) == 5


def test_a_next_link_to_another_origin_is_refused_and_nothing_goes_there(
    fake: FakeShop, stranger: FakeShop, bench: Bench
) -> None:
    fake.answers("/orders", Reply({"orders": ORDERS, "next": f"{stranger.url}/orders"}))
    shop = shop_of(
        fake.url,
        orders={"pagination": {"type": "next_link", "next": "next"}},
        auth={"type": "api_key", "header": "X-Api-Key", "key": "${K}"},
    )
    with pytest.raises(PaginationError, match=f"leads from {fake.url} to {stranger.url}"):
        rows(extract_orders(bench.client(shop, {"K": "hidden"}), DAY, DAY))
    assert stranger.asked == []


def test_pages_are_asked_for_only_when_their_batch_is_taken(fake: FakeShop, bench: Bench) -> None:
    fake.routes["/orders"] = by_cursor
    client = bench.client(shop_of(fake.url, orders={"pagination": CURSOR, "created_window": WINDOW}))
    extraction = extract_orders(client, DAY, DAY)
    next(extraction)
    assert len(fake.asked) == 1
    next(extraction)
    assert len(fake.asked) == 2


def test_days_in_the_wrong_order_are_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="comes after"):
        extract_orders(bench.client(shop_of()), date(2026, 2, 1), DAY)


def test_a_check_of_the_shop_is_one_request_and_one_sentence(fake: FakeShop, bench: Bench) -> None:
    other_day = {"id": 99, "created_at": "2026-01-01T08:00:00Z"}
    fake.date = "Sun, 01 Feb 2026 08:00:00 GMT"
    fake.answers("/orders", Reply({"orders": [*ORDERS, other_day], "next": "more", "total": 700}))
    shop = shop_of(fake.url, orders={"pagination": CURSOR, "count": "total", "created_window": WINDOW})
    check = check_shop(bench.client(shop), now=datetime(2026, 2, 1, 8, tzinfo=UTC))
    assert check.summary == (
        f"{fake.url}/orders answers: 7 orders of 2026-01-31 on the first page, the shop counts 700"
    )
    assert check.notes == ("1 orders were created on another day: check timezone, times and created_window",)
    assert len(fake.asked) == 1


def test_a_check_of_a_shop_that_has_ended_asks_for_its_last_day(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": []}))
    shop = shop_of(fake.url, first_day="2026-01-01", last_day="2026-01-05")
    assert " 0 orders of 2026-01-05 on the first page" in check_shop(bench.client(shop)).summary


def test_a_check_of_the_shop_notes_credentials_on_an_open_line(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply({"orders": []}))
    auth = {"type": "bearer", "token": "${T}"}
    # 0.0.0.0 reaches this machine, but is no address of its loopback.
    open_line = bench.client(shop_of(fake.url.replace("127.0.0.1", "0.0.0.0"), auth=auth), {"T": "t0ken"})  # noqa: S104
    assert check_shop(open_line).notes == ("credentials travel unencrypted: use https:// in base_url",)
    assert check_shop(bench.client(shop_of(fake.url, auth=auth), {"T": "t0ken"})).notes == ()
