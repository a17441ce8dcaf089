"""What a description without newer keys sends, byte for byte: targets and headers as they have always been."""

from datetime import UTC, date, datetime

import pytest

from analytics_pipeline.sources.lists import (
    extract_changed_orders,
    extract_created,
    extract_customers,
    extract_orders,
    extract_products,
)
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

DAY = date(2026, 7, 1)
WINDOW = {"from_param": "created[gte]", "to_param": "created[lt]", "format": "iso_offset"}
SIZE = {"size_param": "limit", "size": 2}
BEGIN = "created%5Bgte%5D=2026-06-30T23%3A59%3A59%2B02%3A00&created%5Blt%5D=2026-07-02T00%3A00%3A00%2B02%3A00"
FIXED = f"/v1/orders?status=any+one&fields=%2Ba%2C%2Ab&{BEGIN}"
STYLES: dict[str, tuple[dict[str, object], list[str]]] = {
    "page_number": (
        {"type": "page_number", "param": "page", **SIZE},
        [f"{FIXED}&limit=2&page=1&key=k%26", f"{FIXED}&limit=2&page=2&key=k%26", f"{FIXED}&limit=2&page=3&key=k%26"],
    ),
    "offset": (
        {"type": "offset", "param": "skip", **SIZE},
        [f"{FIXED}&limit=2&skip=0&key=k%26", f"{FIXED}&limit=2&skip=1&key=k%26", f"{FIXED}&limit=2&skip=2&key=k%26"],
    ),
    "cursor": (
        {"type": "cursor", "param": "after", "next": "next", **SIZE},
        [f"{FIXED}&limit=2&key=k%26", f"{FIXED}&limit=2&after=c%2F1%3D&key=k%26", f"{FIXED}&limit=2&after=7&key=k%26"],
    ),
    "cursor alone": (
        {"type": "cursor", "param": "after", "next": "next", "repeat_params": False, **SIZE},
        [
            f"{FIXED}&limit=2&key=k%26",
            "/v1/orders?limit=2&after=c%2F1%3D&key=k%26",
            "/v1/orders?limit=2&after=7&key=k%26",
        ],
    ),
    "next_link": (
        {"type": "next_link", "next": "link", **SIZE},
        [f"{FIXED}&limit=2&key=k%26", "/v1/orders?p=2&q=a%20b&key=k%26", "/v1/orders?p=3&key=k%26"],
    ),
    "link_header": (
        {"type": "link_header"},
        [f"{FIXED}&key=k%26", "/v1/orders?p=2&q=a%20b&key=k%26", "/v1/orders?p=3&key=k%26"],
    ),
    "single": ({"type": "single"}, [f"{FIXED}&key=k%26"]),
}


@pytest.fixture
def pages(fake: FakeShop) -> FakeShop:
    """Two pages of an order each, then an empty one, told by each style's own means."""
    cursors, links = ["c/1=", 7, None], ["?p=2&q=a b", "?p=3", None]

    def page(_: Asked) -> Reply:
        number = len(fake.asked) - 1
        records = [{"id": number, "created_at": "2026-07-01T10:00:00Z"}] if number < 2 else []
        headers = {"Link": f'<{links[number]}>; rel="next"'} if number < 2 else {}
        return Reply({"orders": records, "next": cursors[number], "link": links[number]}, headers=headers)

    fake.routes["/v1/orders"] = page
    return fake


@pytest.mark.parametrize("style", STYLES)
def test_every_page_of_each_style_is_asked_for_as_ever(pages: FakeShop, bench: Bench, style: str) -> None:
    pagination, targets = STYLES[style]
    orders = {
        "path": "/orders",
        "params": {"status": "any one", "fields": "+a,*b"},
        "pagination": pagination,
        "created_window": WINDOW,
    }
    auth = {"type": "api_key", "param": "key", "key": "${K}"}
    client = bench.client(shop_of(f"{pages.url}/v1", orders=orders, auth=auth, headers={"X-Shop": "1"}), {"K": "k&"})
    list(extract_orders(client, DAY, DAY))
    assert [asked.target for asked in pages.asked] == targets
    assert {tuple(asked.headers) for asked in pages.asked} == {
        ("Host", "User-Agent", "Accept-Encoding", "Accept", "Connection", "X-Shop")
    }
    assert {(asked.method, asked.body, asked.headers["Accept"]) for asked in pages.asked} == {
        ("GET", b"", "application/json")
    }


@pytest.mark.parametrize(
    ("stamps", "window", "since"),
    [
        ("iso_utc", "a=2026-07-01T09%3A59%3A59Z&b=2026-07-01T11%3A00%3A00Z", "2026-07-01T10%3A00%3A00Z"),
        ("iso_local", "a=2026-07-01T11%3A59%3A59&b=2026-07-01T13%3A00%3A00", "2026-07-01T12%3A00%3A00"),
        ("date", "a=2026-07-01&b=2026-07-02", "2026-06-30"),
        ("unix_seconds", "a=1782899999&b=1782903600", "1782900000"),
    ],
)
def test_windows_and_stamps_are_written_as_ever(
    fake: FakeShop, bench: Bench, stamps: str, window: str, since: str
) -> None:
    fake.answers("/orders", Reply({"orders": []}))
    fake.answers("/customers", Reply({"customers": []}))
    fake.answers("/products", Reply([]))
    orders = {
        "created_window": {"from_param": "a", "to_param": "b", "format": stamps},
        "changed_since": {"param": "s", "format": stamps},
    }
    client = bench.client(shop_of(fake.url, orders=orders))
    moment = datetime(2026, 7, 1, 10, 0, 0, 999, tzinfo=UTC)
    for extraction in (
        extract_created(client, moment, datetime(2026, 7, 1, 11, tzinfo=UTC), DAY, DAY),
        extract_changed_orders(client, moment),
        extract_customers(client, moment),
        extract_customers(client),
        extract_products(client, moment),
    ):
        list(extraction)
    assert [asked.target for asked in fake.asked] == [
        f"/orders?{window}",
        f"/orders?s={since}",
        "/customers?since=2026-07-01T10%3A00%3A00Z",
        "/customers",
        "/products",
    ]
