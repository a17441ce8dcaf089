"""The server answers as json-server does, with the demo shop's orders."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from analytics_pipeline_tests.dialects.base import Serving
from analytics_pipeline_tests.dialects.json_server import JsonServer
from analytics_pipeline_tests.dialects.numbers import iso
from analytics_pipeline_tests.dialects.playing import DAYS, midnights, serving

Server = Serving[JsonServer]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(JsonServer) as running:
        yield running


def ask(server: Server, name: str = "orders", **params: str | int) -> requests.Response:
    return requests.get(f"{server.url}/{name}", params=params, timeout=5)


def ids(answer: requests.Response) -> list[str]:
    return [one["id"] for one in answer.json()]


def every(server: Server) -> list[str]:
    return [one.order_id for one in server.dialect.shop.orders_between()]


def test_the_answer_is_the_list_and_pages_lead_to_the_end(server: Server) -> None:
    assert ids(ask(server)) == every(server)
    found: list[str] = []
    answer = ask(server, _page=1, _limit=40)
    while True:
        found += ids(answer)
        assert answer.headers["X-Total-Count"] == str(len(every(server)))
        if "next" not in answer.links:
            break
        answer = requests.get(answer.links["next"]["url"], timeout=5)
    assert found == every(server)
    assert ids(ask(server, _page=1_000, _limit=40)) == []


def test_count_and_links_come_with_paging_alone(server: Server) -> None:
    assert not {"X-Total-Count", "Link"} & {*ask(server).headers}
    assert "Link" not in ask(server, _limit=5).headers
    assert len(ids(ask(server, _page=2))) == 10


def test_bounds_belong_to_the_window_and_unknown_parameters_are_passed_over(server: Server) -> None:
    start, end = midnights(DAYS[12], DAYS[14])
    right = [one.order_id for one in server.dialect.shop.orders_between(start, end)]
    assert ids(ask(server, created_at_gte=iso(start), created_at_lte=iso(end), nobody="knows")) == right
    first = server.dialect.shop.orders_between()[0]
    assert ids(ask(server, created_at_lte=iso(first.created_at))) == [first.order_id]
    assert ids(ask(server, created_at_gte=iso(first.created_at))) == every(server)


def test_cancelled_is_a_status_without_a_date(server: Server) -> None:
    found: list[dict[str, Any]] = ask(server, status="cancelled").json()
    shop = server.dialect.shop.orders_between()
    assert [one["id"] for one in found] == [one.order_id for one in shop if one.cancelled_at and not one.is_test]
    assert all("cancelled_at" not in one for one in found)
    assert {one["updated_at"] for one in found} == {iso(one.cancelled_at) for one in shop if one.cancelled_at}
    assert server.dialect.truth(DAYS[3]).gross_sales == server.dialect.shop.truth(DAYS[3]).revenue["EUR"].gross_sales
