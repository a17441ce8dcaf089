"""The HTTP client against a real server: each cause of a retry, refusals, redirects, caps and the request budget."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest

from analytics_pipeline.errors import (
    AnswerError,
    MissingSecretError,
    SettingsError,
    ShopRefusedError,
    ShopUnavailableError,
)
from analytics_pipeline.shop.placeholders import PageRequest
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

GOOD = Reply({"orders": []})


def get(client: ShopClient, path: str = "/orders", **params: str) -> object:
    return client.ask(PageRequest(client.url(path), params), json.loads).body


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (Reply(status=408), "HTTP 408"),
        (Reply(status=429), "HTTP 429"),
        (Reply(status=500), "HTTP 500"),
        (Reply(status=503), "HTTP 503"),
        (Reply({"orders": [1, 2]}, missing_bytes=10), "the answer was cut"),
        (Reply(b"5\r\n{", headers={"Transfer-Encoding": "chunked"}), "the answer was cut"),
        (Reply(b'{"orders": [1', without_length=True), "a body that is no JSON"),
        (Reply(b"<html>maintenance</html>"), "a body that is no JSON"),
        (Reply(b""), "a body that is no JSON"),
        (Reply(b"no gzip", headers={"Content-Encoding": "gzip"}), "compression is broken"),
        (Reply(drop=True), "no connection"),
    ],
    ids=["408", "429", "500", "503", "cut", "cut chunk", "cut without length", "html", "empty", "bad gzip", "dropped"],
)
def test_a_passing_fault_is_asked_for_again(fake: FakeShop, bench: Bench, bad: Reply, cause: str) -> None:
    fake.answers("/orders", bad, bad, GOOD)
    client = bench.client(shop_of(fake.url))
    assert get(client) == {"orders": []}
    assert len(fake.asked) == 3
    assert bench.waits == [0.5, 1.0]
    assert (client.statistics.requests, client.statistics.retries) == (3, 2)
    assert client.statistics.seconds_waited == 1.5

    fake.answers("/orders", bad)
    with pytest.raises(ShopUnavailableError, match=cause):
        get(bench.client(shop_of(fake.url, limits={"retries": 1})))


def test_a_shop_that_is_not_there_is_unavailable_after_all_attempts(bench: Bench) -> None:
    client = bench.client(shop_of("http://127.0.0.1:1", limits={"retries": 2}))
    with pytest.raises(ShopUnavailableError) as caught:
        get(client, day="1")
    message = str(caught.value)
    assert "GET http://127.0.0.1:1/orders?day=1 gave no whole answer in 3 attempts" in message
    assert "the last: no connection (Failed to establish a new connection: [Errno 111] Connection refused)" in message
    assert "limits.retries" in message


def test_an_answer_that_does_not_come_in_time_is_asked_for_again(fake: FakeShop, bench: Bench) -> None:
    # The announced rest of the body never comes, and the connection stays open.
    fake.answers("/orders", Reply({"orders": []}, headers={"Content-Length": "99"}), GOOD)
    client = bench.client(shop_of(fake.url, limits={"read_timeout": 0.05}))
    assert get(client) == {"orders": []}
    assert client.statistics.retries == 1


def test_waits_grow_up_to_a_cap_with_full_jitter(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply(status=500))
    with pytest.raises(ShopUnavailableError):
        get(bench.client(shop_of(fake.url, limits={"retries": 8})))
    assert bench.waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
    bench.waits.clear()
    with pytest.raises(ShopUnavailableError):
        get(bench.client(shop_of(fake.url, limits={"retries": 2}), share=0.25))
    assert bench.waits == [0.125, 0.25]


NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("7", 7),
        ("0", 0),
        ("99999", 60),
        (format_datetime(NOW + timedelta(seconds=20), usegmt=True), 20),
        (format_datetime(NOW + timedelta(days=1), usegmt=True), 60),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("soon", 0.5),
        ("-5", 0.5),
    ],
)
def test_retry_after_is_obeyed_up_to_the_cap(fake: FakeShop, bench: Bench, retry_after: str, wait: float) -> None:
    busy = Reply(status=429, headers={"Retry-After": retry_after})
    fake.answers("/orders", busy, GOOD)
    fake.date = format_datetime(NOW, usegmt=True)
    get(bench.client(shop_of(fake.url)))
    assert bench.waits == [wait]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "does not accept the parameters"),
        (401, r"check \$\{SHOP_TOKEN\}"),
        (403, r"what the shop allows to \$\{SHOP_TOKEN\}"),
        (404, "check base_url and path"),
        (410, "asking again cannot help"),
        (304, "asking again cannot help"),
    ],
)
def test_a_refusal_is_reported_at_once_with_what_to_do(fake: FakeShop, bench: Bench, status: int, advice: str) -> None:
    fake.answers("/orders", Reply({"error": "not\nlike this"} if status != 304 else b"", status))
    shop = shop_of(fake.url, auth={"type": "bearer", "token": "${SHOP_TOKEN}"})
    with pytest.raises(ShopRefusedError, match=advice) as caught:
        get(bench.client(shop, {"SHOP_TOKEN": "t0k"}))
    assert len(fake.asked) == 1
    assert bench.waits == []
    assert f"HTTP {status}" in str(caught.value)
    assert "like this" not in str(caught.value)
    assert caught.value.excerpt == (None if status == 304 else '{"error": "not\\nlike this"}')


def test_a_missing_variable_stops_before_any_request(fake: FakeShop) -> None:
    with pytest.raises(MissingSecretError, match=r"auth\.token .* SHOP_TOKEN"):
        ShopClient(shop_of(fake.url, auth={"type": "bearer", "token": "${SHOP_TOKEN}"}), environment={})
    with pytest.raises(MissingSecretError, match=r"base_url .* SHOP_URL"):
        ShopClient(shop_of("${SHOP_URL}"), environment={})
    with pytest.raises(SettingsError, match=r"base_url \$\{SHOP_URL\} .* must be an http"):
        ShopClient(shop_of("${SHOP_URL}"), environment={"SHOP_URL": "shop.example"})
    assert fake.asked == []


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "api_key", "header": "X-Api-Key", "key": "${K}"}, "X-Api-Key", "se+cret"),
        ({"type": "bearer", "token": "${K}"}, "Authorization", "Bearer se+cret"),
        ({"type": "basic", "username": "${U:-me}", "password": "${K}"}, "Authorization", "Basic bWU6c2UrY3JldA=="),
    ],
)
def test_credentials_and_fixed_headers_go_with_every_request(
    fake: FakeShop, bench: Bench, auth: dict[str, str], header: str, value: str
) -> None:
    fake.answers("/orders", GOOD)
    client = bench.client(shop_of(fake.url, auth=auth, headers={"Accept-Version": "2"}), {"K": "se+cret\n"})
    get(client)
    assert fake.asked[0].headers[header] == value
    assert fake.asked[0].headers["Accept-Version"] == "2"


def test_a_key_as_parameter_goes_with_every_request_once(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", GOOD)
    auth = {"type": "api_key", "param": "key", "key": "${K}"}
    client = bench.client(shop_of(fake.url, auth=auth), {"K": "a&b"})
    get(client, day="1")
    client.ask(PageRequest(f"{fake.url}/orders?page=2&key=a%26b", {}), json.loads)
    assert [asked.query for asked in fake.asked] == [{"day": "1", "key": "a&b"}, {"page": "2", "key": "a&b"}]


def test_proxies_and_netrc_of_the_environment_are_ignored(
    fake: FakeShop, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    fake.answers("/orders", GOOD)
    get(bench.client(shop_of(fake.url)))
    assert "Authorization" not in fake.asked[0].headers


def test_a_certificate_bundle_is_taken_from_the_environment_and_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"REQUESTS_CA_BUNDLE names .*none\.pem, which does not exist"):
        ShopClient(shop_of(), environment={"REQUESTS_CA_BUNDLE": str(tmp_path / "none.pem")})


def test_redirects_within_the_shop_are_followed(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply(status=302, headers={"Location": "/v2/orders?day=1"}))
    fake.answers("/v2/orders", GOOD)
    shop = shop_of(fake.url, auth={"type": "bearer", "token": "${T}"})
    assert get(bench.client(shop, {"T": "t0ken"})) == {"orders": []}
    assert fake.asked[1].query == {"day": "1"}
    assert fake.asked[1].headers["Authorization"] == "Bearer t0ken"


def test_a_redirect_to_another_origin_is_refused_and_nothing_goes_there(
    fake: FakeShop, stranger: FakeShop, bench: Bench
) -> None:
    stranger.answers("/orders", GOOD)
    fake.answers("/orders", Reply(status=307, headers={"Location": f"{stranger.url}/orders?leak=1"}))
    shop = shop_of(fake.url, auth={"type": "bearer", "token": "${T}"})
    with pytest.raises(ShopRefusedError, match=f"leads from {fake.url} to {stranger.url}"):
        get(bench.client(shop, {"T": "t0ken"}))
    assert stranger.asked == []


def test_redirects_in_a_circle_end(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply(status=301, headers={"Location": "/orders"}))
    with pytest.raises(ShopRefusedError, match="goes on after 5 steps"):
        get(bench.client(shop_of(fake.url)))
    assert len(fake.asked) == 6


BIG = b"[" + b"1," * 700_000 + b"1]"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(BIG),
        Reply(BIG, without_length=True),
        Reply(gzip.compress(BIG), headers={"Content-Encoding": "gzip"}),
        Reply(b"[]", missing_bytes=2_000_000),
    ],
    ids=["honest", "no length", "compressed", "announced"],
)
def test_an_answer_above_the_cap_is_not_read_to_its_end(fake: FakeShop, bench: Bench, reply: Reply) -> None:
    fake.answers("/orders", reply)
    with pytest.raises(AnswerError, match=r"larger than 1 MB; .* limits\.max_answer_mb"):
        get(bench.client(shop_of(fake.url, limits={"max_answer_mb": 1})))
    assert len(fake.asked) == 1


def test_an_answer_below_the_cap_is_read_whole_and_counted(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply(gzip.compress(BIG), headers={"Content-Encoding": "gzip"}))
    client = bench.client(shop_of(fake.url, limits={"max_answer_mb": 2}))
    assert get(client) == [1] * 700_001
    assert client.statistics.bytes == len(BIG)


def test_an_answer_of_another_form_is_reported_and_not_asked_for_again(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply([1, 2]))
    client = bench.client(shop_of(fake.url))
    with pytest.raises(AnswerError, match=r"/orders: the answer does not have the described form: .*`object`"):
        client.ask(PageRequest(client.url("/orders"), {}), msgspec.json.Decoder(dict[str, int]).decode)
    assert len(fake.asked) == 1


def test_an_answer_without_content_has_no_body(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", Reply(status=204))
    assert get(bench.client(shop_of(fake.url))) is None


def test_requests_keep_to_the_budget_a_second(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/orders", GOOD)
    client = bench.client(shop_of(fake.url, request_budget={"per_second": 4}))
    for _ in range(3):
        get(client)
    bench.now += 10
    get(client)
    assert bench.waits == [0.25, 0.25]


def test_when_the_shop_says_that_no_requests_are_left_the_next_one_waits(fake: FakeShop, bench: Bench) -> None:
    budget = {"remaining_header": "X-Left", "reset_header": "X-Reset"}
    headers = [{"X-Left": "1", "X-Reset": "9"}, {"X-Left": "0", "X-Reset": "9"}, {"X-Left": "0", "X-Reset": "999"}]
    fake.answers("/orders", *(Reply({}, headers=each) for each in headers), Reply({}, headers={"X-Left": "0"}), GOOD)
    client = bench.client(shop_of(fake.url, request_budget=budget))
    for _ in range(5):
        get(client)
    assert bench.waits == [9, 60, 1]


def test_the_route_sees_parameters_as_they_were_given(fake: FakeShop, bench: Bench) -> None:
    def route(asked: Asked) -> Reply:
        return Reply(asked.query)

    fake.routes["/orders"] = route
    assert get(bench.client(shop_of(fake.url)), since="2026-01-01T00:00:00+01:00") == {
        "since": "2026-01-01T00:00:00+01:00"
    }
