"""A shop that means harm, or is taken over: answers without end, bombs, links and cursors that lead elsewhere."""

import gzip
import json
import tracemalloc
import zlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analytics_pipeline.errors import AnswerError, DescriptionError, PaginationError, PipelineError, ShopRefusedError
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.sources.order_counts import count_orders
from analytics_pipeline_tests.fake_shop import FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

DAY = date(2026, 7, 1)
STAMP = "2026-07-01T10:00:00Z"
ZEROS = b" " * 200_000_000
MOST_MEMORY = 40_000_000


def deflated(body: bytes) -> bytes:
    return zlib.compress(body, 9)


@pytest.fixture(scope="module")
def bombs() -> dict[str, Reply]:
    once = gzip.compress(ZEROS, 6)
    return {
        "gzip": Reply(once, headers={"Content-Encoding": "gzip"}),
        "gzip of gzip": Reply(gzip.compress(once), headers={"Content-Encoding": "gzip, gzip"}),
        "deflate": Reply(deflated(ZEROS), headers={"Content-Encoding": "deflate"}),
        "endless": Reply(b" " * 65_536, headers={"Connection": "close"}, endless=True),
        "announced": Reply(b"[", missing_bytes=50_000_000),
    }


LOGIN = {"type": "login", "path": "/login", "body": {"p": "${P}"}, "token": "token"}
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "list": ("/orders", {}),
    "count": ("/count", {"orders": {"count_request": {"path": "/count", "at": "n"}}}),
    "log-in": ("/login", {"auth": LOGIN}),
}


def client_of(bench: Bench, fake: FakeShop, **changes: Any) -> ShopClient:  # noqa: ANN401
    limits = {"retries": 0, "max_answer_mb": 2, "answer_timeout": 20}
    return bench.client(shop_of(fake.url, limits=limits, **changes), {"P": "pa55word"})


@pytest.mark.parametrize("bomb", ["gzip", "gzip of gzip", "deflate", "endless", "announced"])
@pytest.mark.parametrize("place", PLACES)
def test_an_answer_without_end_is_given_up_early_wherever_it_comes(
    fake: FakeShop, bench: Bench, bombs: dict[str, Reply], bomb: str, place: str
) -> None:
    path, changes = PLACES[place]
    fake.answers(path, bombs[bomb])
    fake.routes.setdefault("/orders", lambda _: Reply({"orders": []}))
    client = client_of(bench, fake, **changes)
    tracemalloc.start()
    try:
        with pytest.raises(AnswerError, match=rf"{path}: the answer is larger than 2 MB"):
            list(extract_orders(client, DAY, DAY))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


def test_a_refusal_that_is_a_bomb_is_read_no_further_than_its_excerpt(
    fake: FakeShop, bench: Bench, bombs: dict[str, Reply]
) -> None:
    bomb = bombs["gzip"]
    fake.answers("/orders", Reply(bomb.body, 403, bomb.headers))
    tracemalloc.start()
    try:
        with pytest.raises(ShopRefusedError, match="HTTP 403"):
            list(extract_orders(client_of(bench, fake), DAY, DAY))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


def test_links_keep_method_and_body_at_home_and_lead_nowhere_else(
    fake: FakeShop, stranger: FakeShop, bench: Bench
) -> None:
    words = {"method": "POST", "body": {"filter": "x"}, "pagination": {"type": "next_link", "next": "next"}}
    order = {"id": 1, "created_at": STAMP}
    fake.answers("/orders", Reply({"orders": [order], "next": "?page=2"}), Reply({"orders": [], "next": None}))
    list(extract_orders(client_of(bench, fake, orders=words), DAY, DAY))
    assert [(asked.method, asked.target, asked.json) for asked in fake.asked] == [
        ("POST", "/orders", {"filter": "x"}),
        ("POST", "/orders?page=2", {"filter": "x"}),
    ]
    fake.answers("/orders", Reply({"orders": [order], "next": f"{stranger.url}/orders"}))
    with pytest.raises(PaginationError, match="own origin only"):
        list(extract_orders(client_of(bench, fake, orders=words), DAY, DAY))
    assert stranger.asked == []


EVIL = ['"}) { shop } #', "'; drop", "\\", "{{from}}", "\n\x00\u2028", "../../admin?x=1#", "&a=b", "😀"]


@pytest.mark.parametrize("cursor", EVIL)
def test_a_cursor_stays_a_text_wherever_it_is_put(fake: FakeShop, bench: Bench, cursor: str) -> None:
    words = {
        "method": "POST",
        "params": {"after": "{{cursor}}", "variables": '{"after": "{{cursor}}"}'},
        "body": {"query": 'orders(after: "{{cursor}}")', "after": "{{cursor}}"},
        "pagination": {"type": "cursor", "next": "next"},
    }
    fake.answers("/orders", Reply({"orders": [{"id": 1, "created_at": STAMP}], "next": cursor}), Reply({"orders": []}))
    list(extract_orders(client_of(bench, fake, orders=words), DAY, DAY))
    first, second = fake.asked
    assert first.query == {}
    assert first.json == {"query": 'orders(after: "")', "after": None}
    assert second.path == "/orders"
    assert second.query["after"] == cursor
    assert json.loads(second.query["variables"]) == {"after": cursor}
    assert second.json["after"] == cursor
    quoted = second.json["query"].removeprefix("orders(after: ").removesuffix(")")
    assert json.loads(quoted) == cursor


def test_a_count_that_is_absurd_is_no_number(fake: FakeShop, bench: Bench) -> None:
    for number in (1e300, -1, True, "1" * 5_000, [1], {"a": 1}, 1.5):
        fake.answers("/count", Reply({"n": number}))
        client = client_of(bench, fake, orders={"count_request": {"path": "/count", "at": "n"}})
        with pytest.raises(PipelineError, match="no number from 0 on"):
            count_orders(client, DAY, DAY)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['echo']", "!!python/name:os.system", "!!python/object/new:dict {}"]
)
def test_a_description_makes_no_objects(tmp_path: Path, tag: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(f"name: x\norders: {{method: POST, body: {{a: {tag} }}}}\n", encoding="utf-8")
    with pytest.raises(DescriptionError, match="could not determine a constructor"):
        load_shop(path)
