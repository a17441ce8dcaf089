"""The HTTP API: paging in every style, windows, keys, refusals."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import requests

from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline_tests.unit.demo_shop.conftest import EVENTFUL, NOW, Clock, read_all

Start = Callable[..., RunningShop]
WINDOW = {"created_from": "2025-10-01T00:00:00Z", "created_to": "2025-10-04T00:00:00Z"}


def _get(url: str, **parameters: str | int) -> requests.Response:
    return requests.get(url, params=parameters, timeout=10)


def _by_cursor(url: str, *, repeat_window: bool) -> list[str]:
    ids: list[str] = []
    answer = _get(url, limit=7, **WINDOW).json()
    while True:
        ids += [order["id"] for order in answer["orders"]]
        if answer["next_cursor"] is None:
            return ids
        answer = _get(url, limit=7, cursor=answer["next_cursor"], **(WINDOW if repeat_window else {})).json()


def _by_page(url: str) -> list[str]:
    ids: list[str] = []
    number = 1
    while orders := _get(url, limit=7, page=number, **WINDOW).json()["orders"]:
        ids += [order["id"] for order in orders]
        number += 1
    return ids


def _by_offset(url: str) -> list[str]:
    ids: list[str] = []
    while orders := _get(url, limit=7, offset=len(ids), **WINDOW).json()["orders"]:
        ids += [order["id"] for order in orders]
    return ids


def _by_link_header(url: str, **style: int) -> list[str]:
    ids: list[str] = []
    answer = _get(url, limit=7, **WINDOW, **style)
    while True:
        ids += [order["id"] for order in answer.json()["orders"]]
        if "next" not in answer.links:
            return ids
        answer = _get(answer.links["next"]["url"])


def test_every_style_of_paging_gives_the_same_orders(start: Start) -> None:
    running = start()
    url = f"{running.url}/orders"
    expected = [
        order.order_id
        for order in running.shop.orders_between(datetime(2025, 10, 1, tzinfo=UTC), datetime(2025, 10, 4, tzinfo=UTC))
    ]
    assert len(expected) > 50
    assert _by_cursor(url, repeat_window=True) == expected
    assert _by_cursor(url, repeat_window=False) == expected
    assert _by_page(url) == expected
    assert _by_offset(url) == expected
    assert _by_link_header(url) == expected
    assert _by_link_header(url, page=1) == expected
    assert _by_link_header(url, offset=0) == expected
    assert [order["id"] for order in read_all(url, limit="7", **WINDOW)] == expected


def test_an_answer_reports_total_page_and_pages(start: Start) -> None:
    answer = _get(f"{start().url}/orders", limit=7, page=2, **WINDOW)
    body = answer.json()
    assert answer.headers["X-Total-Count"] == str(body["total"])
    assert (body["page"], body["pages"]) == (2, -(-body["total"] // 7))
    assert body["next"] == answer.links["next"]["url"]


def test_a_page_beyond_the_end_and_an_empty_window_are_empty_lists(start: Start) -> None:
    url = f"{start().url}/orders"
    beyond = _get(url, page=1000).json()
    empty = _get(url, created_from="2025-10-01T00:00:00Z", created_to="2025-10-01T00:00:00Z").json()
    assert beyond["orders"] == []
    assert beyond["next"] is None
    assert (empty["orders"], empty["total"], empty["pages"]) == ([], 0, 0)


def test_the_window_takes_its_start_and_leaves_its_end(start: Start) -> None:
    running = start()
    order = running.shop.orders_between()[100]
    moment = order.created_at
    url = f"{running.url}/orders"
    taken = _get(url, created_from=moment.isoformat(), created_to=(moment + timedelta(seconds=1)).isoformat()).json()
    left = _get(url, created_from=(moment - timedelta(seconds=1)).isoformat(), created_to=moment.isoformat()).json()
    assert order.order_id in [record["id"] for record in taken["orders"]]
    assert order.order_id not in [record["id"] for record in left["orders"]]


def test_moments_without_an_offset_and_dates_are_meant_in_the_shops_zone(start: Start) -> None:
    url = f"{start().url}/orders"
    expected = _get(url, created_from="2025-10-01T22:00:00Z", created_to="2025-10-02T22:00:00Z").json()["orders"]
    assert _get(url, created_from="2025-10-02", created_to="2025-10-03").json()["orders"] == expected
    assert _get(url, created_from="2025-10-02T00:00:00", created_to="2025-10-03T00:00:00").json()["orders"] == expected
    assert {order["id"][:9] for order in expected} == {"D20251002"}


def test_changed_orders_customers_and_products_are_found_by_change_stamp(start: Start) -> None:
    running = start()
    since = NOW - timedelta(days=20)
    stamp = f"{since:%Y-%m-%dT%H:%M:%SZ}"
    for name in ("orders", "customers", "products"):
        everything = read_all(f"{running.url}/{name}", limit="500")
        changed = read_all(f"{running.url}/{name}", limit="500", updated_since=stamp)
        assert changed == [record for record in everything if record["updated_at"] >= stamp]
        assert 0 < len(changed) < len(everything)


def test_a_cursor_is_not_shifted_by_what_changes_between_two_pages(start: Start) -> None:
    clock = Clock()
    running = start(EVENTFUL, clock)
    since = f"{NOW - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
    first = _get(f"{running.url}/orders", updated_since=since, limit=20).json()
    before = {order.order_id for order in running.shop.orders_updated_since(NOW - timedelta(days=2))}
    clock.now += timedelta(days=5)
    ids = [order["id"] for order in first["orders"]]
    ids += [order["id"] for order in read_all(f"{running.url}/orders", cursor=first["next_cursor"], limit="500")]
    assert len(ids) == len(set(ids))
    assert before <= set(ids)


def test_the_shop_reports_its_name_zone_and_currency(start: Start) -> None:
    assert _get(f"{start().url}/shop").json() == {"name": "demo", "timezone": "Europe/Berlin", "currency": "EUR"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=501", "limit"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("page=0", "page"),
        ("offset=-1", "offset"),
        ("cursor=%21%21", "cursor"),
        ("cursor=W10=", "cursor"),
        ("cursor=WyJhIiwge31d&page=2", "exclude each other"),
        ("cursor=WyJhIiwge31d&created_from=2025-10-01", "other parameters"),
        ("created_from=yesterday", "created_from"),
        ("created_from=0001-01-01", "created_from"),
        ("since=2025-10-01", "since"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(start: Start, query: str, named: str) -> None:
    answer = _get(f"{start().url}/orders?{query}")
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_an_unknown_path_is_not_found(start: Start) -> None:
    answer = _get(f"{start().url}/carts")
    assert answer.status_code == 404
    assert "error" in answer.json()


@pytest.mark.parametrize("path", ["shop", "orders", "customers", "products"])
def test_a_shop_with_a_key_answers_only_to_it(start: Start, path: str) -> None:
    url = f"{start(replace(EVENTFUL, key='open sesame')).url}/{path}"
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, headers={"Authorization": "Bearer wrong"}, timeout=10).status_code == 401
    assert requests.get(url, headers={"Authorization": "Bearer open sesame"}, timeout=10).status_code == 200


def test_the_key_is_not_in_the_settings_text() -> None:
    assert "sesame" not in repr(DemoShopSettings(key="open sesame"))


def test_a_month_of_two_thousand_orders_is_served_whole(start: Start) -> None:
    running = start(DemoShopSettings(opened=date(2025, 9, 25)))
    orders = read_all(f"{running.url}/orders", created_from="2025-10-01", created_to="2025-11-01", limit="500")
    assert len({order["id"] for order in orders}) == len(orders) > 1800


def test_a_stopped_shop_frees_its_port() -> None:
    with serve(EVENTFUL, now=Clock()) as running:
        port = int(running.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            serve(EVENTFUL, port)
    with pytest.raises(requests.ConnectionError):
        _get(f"{running.url}/shop")
    with serve(EVENTFUL, port, now=Clock()) as again:
        assert _get(f"{again.url}/shop").status_code == 200
