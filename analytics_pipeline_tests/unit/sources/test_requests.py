"""Requests as a description may word them: POST with a body, placeholders, overlays, a count of its own."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import ValidationError

from analytics_pipeline.errors import AnswerError, DescriptionError, PaginationError, ShopRefusedError
from analytics_pipeline.shop.placeholders import Draft, merged
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.lists import extract_changed_orders, extract_orders
from analytics_pipeline.sources.order_counts import can_count_orders, count_orders
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

DAY = date(2026, 7, 1)
STAMP = "2026-07-01T10:00:00Z"
GRAPH = "query ($n: Int, $c: String, $q: String) { orders(first: $n, after: $c, query: $q) { edges { node { id } } } }"
GRAPH_ORDERS: dict[str, Any] = {
    "path": "/graphql",
    "method": "POST",
    "body": {"query": GRAPH, "variables": {"n": "{{size}}", "c": "{{cursor}}", "q": "status:any"}},
    "records": "data.orders.edges[].node",
    "pagination": {
        "type": "cursor",
        "next": "data.orders.pageInfo.endCursor",
        "more": "data.orders.pageInfo.hasNextPage",
        "size": 2,
    },
    "created_window": {
        "format": "iso_utc",
        "from": "inclusive",
        "body": {"variables": {"q": "created_at:>='{{from}}' AND created_at:<'{{to}}'"}},
    },
    "changed_since": {"format": "unix_seconds", "body": {"variables": {"q": "updated:>{{since}}", "s": "{{since}}"}}},
    "count_request": {
        "path": "/graphql",
        "method": "POST",
        "body": {"query": "query ($q: String) { ordersCount(query: $q) { count } }"},
        "at": "data.ordersCount.count",
    },
}


def node(number: int) -> str:
    return f'{{"id" :{number} , "created_at":"{STAMP}"}}'


def payloads(extraction: Extraction) -> list[str]:
    return [text for batch in extraction for text in batch.column("payload").to_pylist()]


def graph(total: int) -> Any:  # noqa: ANN401 - a route
    """A route that answers like a GraphQL shop of so many orders, whose records have odd but legal spacing."""

    def answer(asked: Asked) -> Reply:
        if "ordersCount" in asked.json["query"]:
            return Reply({"data": {"ordersCount": {"count": total}}})
        variables = asked.json["variables"]
        start = int(variables["c"].removeprefix('c"')) if variables["c"] else 0
        numbers = range(start, min(start + variables["n"], total))
        nodes = ",".join(f'{{"cursor":1,"node": {node(one)} }}' for one in numbers)
        end = json.dumps(f'c"{numbers.stop}')
        more = json.dumps(numbers.stop < total)
        page = f'"pageInfo":{{"hasNextPage":{more},"endCursor":{end}}}'
        text = f'{{"data":{{"orders":{{"edges":[{nodes}],{page}}}}}}}'
        return Reply(text.encode())

    return answer


def test_a_list_behind_post_is_read_page_by_page_with_typed_values_and_the_bytes_of_each_record(
    fake: FakeShop, bench: Bench
) -> None:
    fake.routes["/graphql"] = graph(5)
    extraction = extract_orders(bench.client(shop_of(fake.url, orders=GRAPH_ORDERS)), DAY, DAY)
    assert payloads(extraction) == [node(one) for one in range(5)]
    assert (extraction.source_count, extraction.agrees) == (5, True)
    window = "created_at:>='2026-06-30T22:00:00Z' AND created_at:<'2026-07-01T22:00:00Z'"
    pages = [asked.json for asked in fake.asked if "ordersCount" not in asked.body.decode()]
    assert [page["variables"] for page in pages] == [
        {"n": 2, "c": None, "q": window},
        {"n": 2, "c": 'c"2', "q": window},
        {"n": 2, "c": 'c"4', "q": window},
    ]
    assert {page["query"] for page in pages} == {GRAPH}
    assert {(asked.method, asked.target, asked.headers["Content-Type"]) for asked in fake.asked} == {
        ("POST", "/graphql", "application/json")
    }
    counts = [asked.json for asked in fake.asked if "ordersCount" in asked.body.decode()]
    assert [count["variables"] for count in counts] == [{"q": window}]


def test_each_kind_of_request_has_its_own_overlay_and_numbers_stay_numbers(fake: FakeShop, bench: Bench) -> None:
    fake.routes["/graphql"] = graph(1)
    client = bench.client(shop_of(fake.url, orders=GRAPH_ORDERS))
    list(extract_changed_orders(client, datetime(2026, 7, 1, tzinfo=UTC)))
    assert fake.asked[0].json["variables"] == {"n": 2, "c": None, "q": "updated:>1782864000", "s": 1782864000}


def test_a_count_of_its_own_is_asked_for_alone_and_decides_whether_the_list_is_whole(
    fake: FakeShop, bench: Bench
) -> None:
    orders = {
        "params": {"status": "any"},
        "created_window": {"from_param": "min", "to_param": "max", "format": "iso_utc"},
        "count_request": {"path": "/orders/count", "params": {"status": "any"}, "at": "count"},
    }
    fake.answers("/orders/count", Reply({"count": "3"}))
    fake.answers("/orders", Reply({"orders": [{"id": 1, "created_at": STAMP}]}))
    shop = shop_of(fake.url, orders=orders)
    client = bench.client(shop)
    assert can_count_orders(shop)
    assert count_orders(client, DAY, DAY) == 3
    query = {"status": "any", "min": "2026-06-30T21:59:59Z", "max": "2026-07-01T22:00:00Z"}
    assert [(asked.path, asked.query) for asked in fake.asked] == [("/orders/count", query)]
    extraction = extract_orders(client, DAY, DAY)
    list(extraction)
    assert (extraction.source_count, extraction.agrees) == (3, False)

    fake.answers("/orders/count", Reply({"total": 3}))
    with pytest.raises(AnswerError, match="without the shop's count of records, described at `count` of /orders/count"):
        list(extract_orders(client, DAY, DAY))
    fake.answers("/orders/count", Reply({"count": "many"}))
    with pytest.raises(AnswerError, match=r"GET http.*/orders/count.*is no number from 0 on"):
        count_orders(client, DAY, DAY)


def test_a_count_may_come_in_a_header_of_its_own_request(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/count", Reply(headers={"X-Total": "7"}))
    orders = {"count_request": {"path": "/count", "header": "X-Total"}}
    assert count_orders(bench.client(shop_of(fake.url, orders=orders)), DAY, DAY) == 7


def test_the_last_records_own_id_is_the_cursor(fake: FakeShop, bench: Bench) -> None:
    def page(asked: Asked) -> Reply:
        start = int(asked.query.get("starting_after", "0").removeprefix("ch_"))
        found = [{"id": f"ch_{one}", "created_at": STAMP} for one in range(start + 1, min(start + 2, 5) + 1)]
        return Reply({"orders": found, "has_more": start + 2 < 5})

    fake.routes["/orders"] = page
    paging = {"type": "cursor", "param": "starting_after", "last": "id", "more": "has_more"}
    assert len(payloads(extract_orders(bench.client(shop_of(fake.url, orders={"pagination": paging})), DAY, DAY))) == 5
    assert [asked.query for asked in fake.asked] == [{}, {"starting_after": "ch_2"}, {"starting_after": "ch_4"}]

    fake.asked.clear()
    del paging["more"]
    assert len(payloads(extract_orders(bench.client(shop_of(fake.url, orders={"pagination": paging})), DAY, DAY))) == 5
    assert len(fake.asked) == 4

    fake.answers("/orders", Reply({"orders": [{"created_at": STAMP}]}))
    with pytest.raises(PaginationError, match="`id` of the last record should be a cursor, but there is none"):
        list(extract_orders(bench.client(shop_of(fake.url, orders={"pagination": paging})), DAY, DAY))


def test_lists_of_parameters_are_sent_repeatedly_and_a_placeholder_may_stand_in_any_of_them(
    fake: FakeShop, bench: Bench
) -> None:
    fake.answers("/orders", Reply({"orders": [{"id": 1, "created_at": STAMP}]}), Reply({"orders": []}))
    orders = {
        "params": {"expand[]": ["data.refunds", "data.customer"], "range": "{{offset}}-", "n": "{{size}}"},
        "pagination": {"type": "offset", "size": 50},
        "created_window": {"format": "date", "params": {"filter": ["from {{from}}", "to {{to}}"]}},
    }
    list(extract_orders(bench.client(shop_of(fake.url, orders=orders)), DAY, DAY))
    fixed = [("expand[]", "data.refunds"), ("expand[]", "data.customer")]
    days = [("filter", "from 2026-06-30"), ("filter", "to 2026-07-03")]
    assert [parse_qsl(urlsplit(asked.target).query) for asked in fake.asked] == [
        [*fixed, ("range", "0-"), ("n", "50"), *days],
        [*fixed, ("range", "1-"), ("n", "50"), *days],
    ]


def test_what_the_shop_gave_is_escaped_in_texts_and_in_paths() -> None:
    evil = '"}) { shop } mutation { "'
    params: dict[str, str | tuple[str, ...]] = {"variables": '{"after": "{{cursor}}"}', "after": "{{cursor}}"}
    draft = Draft(
        "https://shop.example/orders/{{id}}/refunds",
        params,
        "POST",
        {"query": 'orders(after: "{{cursor}}")', "cursor": "{{cursor}}", "{{id}}": ["{{id}}", "order {{id}}"]},
        {"cursor": evil, "id": "../../admin?x=1#{{cursor}}"},
    )
    sent = draft.filled()
    assert sent.url == "https://shop.example/orders/..%2F..%2Fadmin%3Fx%3D1%23%7B%7Bcursor%7D%7D/refunds"
    assert json.loads(str(sent.params["variables"])) == {"after": evil}
    assert sent.params["after"] == evil
    body = json.loads(sent.body or b"")
    assert body["cursor"] == evil
    assert body["query"] == 'orders(after: "\\"}) { shop } mutation { \\"")'
    assert body["{{id}}"] == ["../../admin?x=1#{{cursor}}", "order ../../admin?x=1#{{cursor}}"]
    for nowhere in ("..", ".", "", None):
        with pytest.raises(AnswerError, match="cannot stand in a path"):
            draft.having(id=nowhere).filled()


def test_what_has_no_value_yet_is_left_out_of_parameters_and_null_in_a_body() -> None:
    params: dict[str, str | tuple[str, ...]] = {
        "after": "{{cursor}}",
        "where": "after {{cursor}}",
        "both": ("{{cursor}}", "x"),
    }
    sent = Draft("https://shop.example", params, "POST", {"c": "{{cursor}}", "t": "after {{cursor}}."}).filled()
    assert sent.params == {"both": ("x",)}
    assert json.loads(sent.body or b"") == {"c": None, "t": "after ."}


def test_an_overlay_is_merged_key_by_key_and_lists_are_replaced() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merged(base, {"a": {"c": [3]}, "e": None}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": None}
    assert merged(base, None) == base
    assert merged(None, {"a": 1}) == {"a": 1}


def test_elements_without_what_is_projected_stand_for_themselves_and_go_into_quarantine(
    fake: FakeShop, bench: Bench
) -> None:
    good = {"id": 1, "created_at": STAMP}
    fake.answers("/orders", Reply({"hits": [{"node": good}, {"node": None}, {"other": 1}, 7, {"node": [2]}]}))
    orders = {"records": "hits[].node", "created_window": {"from_param": "a", "to_param": "b", "format": "iso_utc"}}
    extraction = extract_orders(bench.client(shop_of(fake.url, orders=orders)), DAY, DAY)
    assert [json.loads(text) for text in payloads(extraction)] == [good, {"node": None}, {"other": 1}, 7, [2]]


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_drop_the_body_is_refused(fake: FakeShop, bench: Bench, status: int) -> None:
    fake.answers("/graphql", Reply(status=status, headers={"Location": "/other"}))
    with pytest.raises(ShopRefusedError, match=r"POST http.*/graphql: .* made again by GET, without its body"):
        list(extract_orders(bench.client(shop_of(fake.url, orders=GRAPH_ORDERS)), DAY, DAY))
    assert {asked.path for asked in fake.asked} == {"/graphql"}


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_body_is_followed_at_home_only(
    fake: FakeShop, stranger: FakeShop, bench: Bench, status: int
) -> None:
    fake.answers("/graphql", Reply(status=status, headers={"Location": "/other"}))
    fake.routes["/other"] = graph(3)
    client = bench.client(shop_of(fake.url, orders=GRAPH_ORDERS))
    assert len(payloads(extract_orders(client, DAY, DAY))) == 3
    fake.answers("/graphql", Reply(status=status, headers={"Location": f"{stranger.url}/graphql"}))
    with pytest.raises(ShopRefusedError, match="credentials stay with the shop's own origin"):
        list(extract_orders(client, DAY, DAY))
    assert stranger.asked == []


def test_the_same_page_of_a_post_twice_in_a_row_is_noticed_and_no_message_shows_a_body(
    fake: FakeShop, bench: Bench
) -> None:
    fake.answers("/orders", Reply({"orders": [{"id": 1, "created_at": STAMP}], "next": "c"}))
    body = {"cursor": "{{cursor}}", "filter": "hidden words"}
    paging = {"type": "cursor", "next": "next"}
    client = bench.client(shop_of(fake.url, orders={"method": "POST", "body": body, "pagination": paging}))
    with pytest.raises(PaginationError, match="same page of records twice") as caught:
        list(extract_orders(client, DAY, DAY))
    assert "hidden" not in str(caught.value)
    request = Draft(fake.url, {}, "POST", body).filled()
    assert "hidden" not in repr(request) + repr(Draft(fake.url, {}, "POST", body))


WORDS: list[tuple[dict[str, Any], str]] = [
    ({"body": {"a": 1}}, "a body needs method: POST"),
    ({"params": {"q": "{{curser}}"}}, r"\{\{curser\}\} is no placeholder"),
    ({"params": {"q": "{{cursor}}"}}, r"\{\{cursor\}\} has no value here; those with one: none"),
    (
        {"pagination": {"type": "cursor", "next": "n"}, "params": {"q": "{{curser}}"}},
        r"did you mean \{\{cursor\}\}\?",
    ),
    ({"pagination": {"type": "page_number"}}, r"pagination: give param, or put \{\{page\}\}"),
    ({"pagination": {"type": "cursor", "next": "n", "last": "id"}}, "give either next"),
    ({"pagination": {"type": "cursor", "param": "c"}}, "give either next"),
    ({"pagination": {"type": "link_header", "size": 5}}, "size_param and size belong together"),
    ({"created_window": {"from_param": "a", "format": "date"}}, "nowhere where its to belongs: give to_param"),
    ({"changed_since": {"format": "date"}}, "nowhere where its since belongs: give param"),
    (
        {"created_window": {"from_param": "a", "to_param": "b", "format": "date", "body": {"c": 1}}},
        "created_window: a body needs method: POST",
    ),
    (
        {"created_window": {"to_param": "b", "format": "date"}, "params": {"q": "created>{{from}}"}},
        "stands among other characters of every request",
    ),
    ({"created_window": {"format": "date", "params": {"q": "{{from}} {{till}}"}}}, r"\{\{till\}\} is no placeholder"),
    ({"path": "/orders/{{id}}"}, r"\{\{id\}\} has no value here"),
    ({"method": "POST", "body": {"api_key": "abc"}}, "api_key looks like a credential"),
    ({"method": "POST", "body": {"a": ["${SHOP_KEY}"]}}, r"holds a \$\{NAME\} reference"),
    ({"method": "POST", "body": {"a": float("nan")}}, "is nothing that JSON knows"),
    ({"method": "PUT"}, "Input should be 'GET' or 'POST'"),
    ({"params": {"a": ["x", 1]}}, "must be text"),
    ({"records": "a[].b[].c"}, r"with one \[\] at most"),
    ({"records": "a[]"}, r"with one \[\] at most"),
    ({"records": "a.b[].c", "count": "a.b.n"}, "lies inside another path"),
    ({"count_request": {"path": "/count"}}, "give either at or header"),
    ({"count": "n", "count_request": {"path": "/c", "at": "n"}}, "give one of count, count_header and count_request"),
    (
        {
            "count_request": {"path": "/c", "at": "n"},
            "created_window": {"format": "date", "params": {"a": "{{from}}{{to}}"}, "from_param": None},
            "params": {"{{x}}": "{{size}}"},
        },
        r"\{\{size\}\} has no value here",
    ),
]


@pytest.mark.parametrize(("words", "fault"), WORDS, ids=[str(number) for number in range(len(WORDS))])
def test_words_that_cannot_work_are_refused_with_a_remedy(words: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        shop_of(orders=words)


def test_a_placeholder_without_quotes_is_answered_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("name: x\norders: {params: {after: {{cursor}}}}\n", encoding="utf-8")
    with pytest.raises(DescriptionError, match="put a placeholder in quotes"):
        load_shop(path)


def test_a_key_of_the_credentials_is_sent_by_no_other_part_of_the_description() -> None:
    for words in (
        {"created_window": {"format": "date", "params": {"k": "{{from}} {{to}}"}}},
        {"count_request": {"path": "/count", "at": "n", "params": {"k": "1"}}},
    ):
        with pytest.raises(ValidationError, match=r"auth\.param k is also a query parameter of orders"):
            shop_of(orders=words, auth={"type": "api_key", "param": "k", "key": "${K}"})
