"""Lists that a shop writes into a file: the job, the file elsewhere, lines that belong to others, proof by count."""

import gzip
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from analytics_pipeline.errors import AnswerError, PipelineError, ProofError, ShopRefusedError, ShopUnavailableError
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.downloading import may_be_fetched
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.sources.ranges import RangeReader
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

FIRST, LAST = date(2026, 7, 1), date(2026, 7, 10)
SIGNATURE = "sIgNaTuRe" * 20 + "%2F%3D"
PATH = "/bucket/secret-name-of-the-file.jsonl"
BULK: dict[str, Any] = {
    "start": {
        "path": "/graphql",
        "method": "POST",
        "body": {
            "query": "mutation",
            "variables": {"q": "orders(query: \"created:>='{{from}}' AND created:<'{{to}}'\")"},
        },
        "id": "data.run.job.id",
        "busy_when": "data.run.errors[0].code == 'IN_PROGRESS'",
    },
    "poll": {
        "path": "/graphql",
        "method": "POST",
        "body": {"query": "poll", "variables": {"id": "{{id}}"}},
        "state": "data.node.status",
        "done": ["COMPLETED"],
        "failed": ["FAILED", "CANCELED"],
        "count": "data.node.objectCount",
        "url": "data.node.url",
    },
    "parent": "__parentId",
    "children": [
        {"into": "lines", "when": "starts_with(id, 'line/')"},
        {"into": "returns.given", "when": "starts_with(id, 'refund/')"},
        {"into": "lines", "when": "starts_with(id, 'refund_line/')"},
    ],
}
ORDERS = {"bulk": BULK, "created_window": {"from_param": "a", "to_param": "b", "format": "iso_utc"}}


def line(name: str, parent: str | None = None, **more: object) -> str:
    below = {} if parent is None else {"__parentId": parent}
    return json.dumps({"id": name, **more, **below})


def order(number: int) -> str:
    return line(f"order/{number}", created_at=f"2026-07-{number:02}T10:00:00Z", note="a,  b")


LINES = [
    line("line/1", "order/1"),
    order(1)[:-1] + ', "lines": [{"id": "line/0"}], "returns": {"total": 1, "given": null}}',
    line("refund/1", "order/1"),
    order(2),
    line("refund_line/1", "refund/1", n=1.10),
    line("line/2", "order/1"),
]


class JobShop:
    """A job that needs some polls; its file lies with a stranger."""

    def __init__(self, fake: FakeShop, stranger: FakeShop) -> None:
        self.stranger = stranger
        self.states = ["CREATED", "RUNNING", "COMPLETED"]
        self.count: object = str(len(LINES))
        self.url: str | None = f"{stranger.url}{PATH}?X-Signature={SIGNATURE}&Expires=1"
        self.started = 0
        self.start: list[object] = []
        fake.routes["/graphql"] = self.answer
        fake.answers("/orders", Reply({"orders": []}))
        stranger.answers(PATH, Reply("\n".join([*LINES, "", ""]).encode()))

    def answer(self, asked: Asked) -> Reply:
        if asked.json["query"] == "mutation":
            self.started += 1
            started = {"run": {"job": {"id": 'job/"7'}, "errors": []}}
            return Reply({"data": self.start.pop(0) if self.start else started})
        assert asked.json["variables"] == {"id": 'job/"7'}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        url = {"url": self.url if state == "COMPLETED" else None, "partialUrl": self.url}
        return Reply({"data": {"node": {"status": state, "objectCount": self.count, **url}}})


@pytest.fixture
def shop(fake: FakeShop, stranger: FakeShop) -> JobShop:
    return JobShop(fake, stranger)


@pytest.fixture(autouse=True)
def nothing_shows(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    yield texts
    whole = "\n".join([*texts, caplog.text])
    assert not [word for word in ("t0ken", "sIgNaTuRe", "secret-name") if word in whole]


def client_of(bench: Bench, url: str, **bulk: object) -> ShopClient:
    orders = {**ORDERS, "bulk": {**BULK, **bulk}}
    auth = {"type": "bearer", "token": "${T}"}
    shop = shop_of(url, orders=orders, auth=auth, headers={"X-Shop": "1"}, limits={"retries": 1})
    return bench.client(shop, {"T": "t0ken-of-the-shop"})


@pytest.fixture
def client(fake: FakeShop, bench: Bench) -> ShopClient:
    return client_of(bench, fake.url, max_mb=3)


def records(client: ShopClient) -> list[Any]:
    found = extract_orders(client, FIRST, LAST)
    payloads = [json.loads(text) for batch in found for text in batch.column("payload").to_pylist()]
    assert (found.source_count, found.agrees) == (len(payloads), True)
    return payloads


def test_the_file_of_a_job_gives_each_order_with_all_that_belongs_to_it(
    fake: FakeShop, bench: Bench, shop: JobShop
) -> None:
    client = client_of(bench, fake.url)
    first, second = records(client)
    assert [one["id"] for one in first["lines"]] == ["line/0", "line/1", "line/2"]
    assert first["returns"]["total"] == 1
    assert [one["id"] for one in first["returns"]["given"]] == ["refund/1"]
    assert [one["id"] for one in first["returns"]["given"][0]["lines"]] == ["refund_line/1"]
    assert second == json.loads(order(2))
    start = fake.asked[0].json["variables"]["q"]
    assert start == "orders(query: \"created:>='2026-06-30T21:59:59Z' AND created:<'2026-07-10T22:00:00Z'\")"
    assert len(fake.asked) == 4
    assert client.statistics.waited == {"job": 10.0}
    assert (client.statistics.requests, shop.started) == (5, 1)
    (asked,) = shop.stranger.asked
    assert asked.query["X-Signature"] == SIGNATURE.replace("%2F%3D", "/=")
    assert not {"Authorization", "X-Shop", "Cookie"} & asked.headers.keys()


def test_few_days_are_read_page_by_page(fake: FakeShop, bench: Bench, shop: JobShop) -> None:
    list(extract_orders(client_of(bench, fake.url), FIRST, date(2026, 7, 7)))
    assert ([asked.path for asked in fake.asked], shop.started) == (["/orders"], 0)


def test_a_job_without_a_line_has_no_file(fake: FakeShop, bench: Bench, shop: JobShop) -> None:
    shop.count, shop.url = 0, None
    assert records(client_of(bench, fake.url)) == []
    assert shop.stranger.asked == []


@pytest.mark.parametrize("state", ["FAILED", "canceled"])
def test_a_failed_job_is_refused_whatever_it_left_and_gives_nothing(
    fake: FakeShop, bench: Bench, shop: JobShop, nothing_shows: list[str], state: str
) -> None:
    shop.states = ["RUNNING", state]
    with ExitStack() as stack, pytest.raises(ShopRefusedError, match="the job failed, nothing of it is used") as caught:
        RangeReader(client_of(bench, fake.url), stack).read(FIRST, LAST)
    assert (shop.stranger.asked, shop.started) == ([], 1)
    assert state in (caught.value.excerpt or "")
    nothing_shows += [str(caught.value), caught.value.excerpt or ""]


def test_a_job_that_is_not_done_in_time_is_given_up_for_now(fake: FakeShop, bench: Bench, shop: JobShop) -> None:
    shop.states = ["ODD"]
    with pytest.raises(ShopUnavailableError, match="was not done in time"):
        records(client_of(bench, fake.url, max_minutes=1))
    assert sum(bench.waits) == 60


def test_another_job_in_the_way_is_waited_for(fake: FakeShop, bench: Bench, shop: JobShop) -> None:
    busy = {"run": {"job": None, "errors": [{"code": "IN_PROGRESS"}]}}
    shop.start = [busy, busy]
    assert len(records(client_of(bench, fake.url))) == 2
    assert shop.started == 3
    shop.start = [busy] * 99
    with pytest.raises(ShopUnavailableError, match="another job was in the way"):
        records(client_of(bench, fake.url, max_minutes=1))
    shop.start = [{"run": {"job": None, "errors": [{"code": "ACCESS_DENIED"}]}}]
    with pytest.raises(ShopRefusedError, match=r"started no job: no id at `data\.run\.job\.id`") as caught:
        records(client_of(bench, fake.url))
    assert "ACCESS_DENIED" in (caught.value.excerpt or "")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (LINES[:-1], (ProofError, "the file has 5 lines, the shop counts 6")),
        ([*LINES, LINES[0]], (ProofError, "the file has 7 lines, the shop counts 6")),
        ([*LINES[:-1], line("line/2", "order/9")], (AnswerError, "1 lines belong to a line that is not in the file")),
        ([*LINES[:-1], line("line/2", "line/2")], (AnswerError, "1 lines belong to a line that is not in the file")),
        (
            [*LINES[:-1], line("line/2", "line/1"), line("line/3", "line/2", lines=7), line("line/4", "line/3")],
            (ProofError, "8"),
        ),
        (
            ["", line("line/2", "order/3"), *LINES[1:-1], order(3)[:-1] + ', "lines": 7}'],
            (AnswerError, "something else than"),
        ),
        ([*LINES[:-1], line("gift/2", "order/1")], (AnswerError, "fits none of bulk.children")),
    ],
    ids=["one less", "one more", "orphan", "circle", "two more", "no list there", "of no list"],
)
def test_a_file_that_cannot_be_proved_is_not_used(
    fake: FakeShop,
    bench: Bench,
    shop: JobShop,
    lines: list[str],
    told: tuple[type[PipelineError], str],
) -> None:
    shop.stranger.answers(PATH, Reply("\n".join(lines).encode()))
    with pytest.raises(told[0], match=told[1]):
        records(client_of(bench, fake.url))


def test_lines_over_many_levels_are_refused(fake: FakeShop, bench: Bench, shop: JobShop) -> None:
    chain = [order(1), *(line(f"line/{n}", f"line/{n - 1}" if n else "order/1") for n in range(3_000))]
    shop.count = len(chain)
    shop.stranger.answers(PATH, Reply("\n".join(chain).encode()))
    with pytest.raises(AnswerError, match="over more than 10 levels"):
        records(client_of(bench, fake.url))


def test_a_file_that_is_cut_is_fetched_again(fake: FakeShop, bench: Bench, shop: JobShop) -> None:
    whole = Reply("\n".join(LINES).encode())
    shop.stranger.answers(PATH, Reply(b"x" * 9_000, missing_bytes=9), whole)
    client = client_of(bench, fake.url)
    assert len(records(client)) == 2
    assert client.statistics.retries == 1


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(status=503), (ShopUnavailableError, r"\(the file of a job\): no whole file in 2 attempts; .* HTTP 503")),
        (Reply(drop=True), (ShopUnavailableError, "no connection")),
        (Reply(status=403), (ShopRefusedError, "HTTP 403")),
        (Reply(status=302, headers={"Location": "https://elsewhere.example/"}), (ShopRefusedError, "are not followed")),
        (
            Reply(gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"}),
            (AnswerError, "larger than 3 MB"),
        ),
        (Reply(b" " * 65_536, endless=True), (AnswerError, "larger than 3 MB")),
    ],
    ids=["503", "dropped", "403", "redirect", "bomb", "endless"],
)
def test_a_file_that_does_not_come_is_told_without_its_address(
    client: ShopClient,
    shop: JobShop,
    nothing_shows: list[str],
    reply: Reply,
    told: tuple[type[PipelineError], str],
) -> None:
    shop.stranger.answers(PATH, reply)
    with pytest.raises(told[0], match=told[1]) as caught:
        records(client)
    assert caught.value.__context__ is None
    nothing_shows += [str(caught.value), repr(caught.value), caught.value.excerpt or ""]


@pytest.mark.parametrize(
    ("url", "base_url", "may"),
    [
        ("https://files.example/x?s=1", "https://shop.example", True),
        ("http://files.example/x", "https://shop.example", False),
        ("http://127.0.0.1:5432/x", "https://shop.example", False),
        ("http://127.0.0.1:5432/x", "http://localhost:9000", True),
        ("http://169.254.169.254/latest", "http://127.0.0.1:9000", False),
        ("https://user:word@files.example/x", "https://shop.example", False),
        ("file:///etc/passwd", "https://shop.example", False),
        ("https://[broken", "https://shop.example", False),
    ],
)
def test_files_are_fetched_by_https_or_on_this_machine_from_a_shop_on_it(url: str, base_url: str, may: bool) -> None:
    assert may_be_fetched(url, base_url) is may


def test_a_count_or_an_address_that_lacks_is_told(fake: FakeShop, bench: Bench, shop: JobShop) -> None:
    shop.url = None
    with pytest.raises(AnswerError, match="the job is done, without the address of its file"):
        records(client_of(bench, fake.url))
    shop.count = None
    with pytest.raises(AnswerError, match="the job is done, without a count of its lines"):
        records(client_of(bench, fake.url))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"parent": None}, "parent and children belong together"),
        ({"start": {**BULK["start"], "body": {"q": "{{from}}"}}}, "have to stand in its params or body"),
        ({"start": {**BULK["start"], "body": {"q": "{{from}} {{to}} {{size}}"}}}, "and no other placeholder"),
        ({"poll": {**BULK["poll"], "body": None}}, r"poll: \{\{id\}\} has to stand"),
        ({"poll": {**BULK["poll"], "done": []}}, "at least 1 item"),
    ],
)
def test_words_about_jobs_that_cannot_work_are_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        shop_of(orders={**ORDERS, "bulk": {**BULK, **changes}})
    with pytest.raises(ValidationError, match="bulk needs created_window"):
        shop_of(orders={"bulk": BULK})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([order(1), line("line/1", "order/1"), order(1)], "two lines have one id"),
        (
            [line("7", created_at="2026-07-01"), line("line/9", "7"), order(2), line("7", "order/2")],
            "two lines have one id",
        ),
        ([order(1), line("line/1", "order/1", size=["a"])], "bulk.children cannot be told"),
    ],
)
def test_lines_of_which_it_cannot_be_told_where_they_belong_are_refused_and_not_given_to_either(
    shop: JobShop, fake: FakeShop, bench: Bench, lines: list[str], message: str
) -> None:
    children = [{"into": "lines", "when": "sum(size || `[1]`) > `0`"}]
    shop.count = len(lines)
    shop.stranger.answers(PATH, Reply("\n".join(lines).encode()))
    client = bench.client(shop_of(fake.url, orders={**ORDERS, "bulk": {**BULK, "children": children}}))
    with pytest.raises(AnswerError, match=message):
        list(extract_orders(client, FIRST, LAST))


def test_a_rule_for_what_is_in_the_way_that_cannot_be_told_is_the_shops_answer_and_no_crash(
    shop: JobShop, fake: FakeShop, bench: Bench
) -> None:
    shop.start = [{"run": {"job": None, "errors": [{"code": 3}]}}]
    start = {**BULK["start"], "busy_when": "starts_with(data.run.errors[0].code, 'IN')"}
    client = bench.client(shop_of(fake.url, orders={**ORDERS, "bulk": {**BULK, "start": start}}))
    with pytest.raises(ShopRefusedError, match="started no job"):
        list(extract_orders(client, FIRST, LAST))
