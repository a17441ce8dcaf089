"""Credentials that are asked for, renewed or signed, against a real server; each test ends with a search for them."""

import base64
import hashlib
import hmac
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from copy import copy
from datetime import date
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from pydantic import ValidationError

from analytics_pipeline.errors import AnswerError, PipelineError, ShopRefusedError, ShopUnavailableError
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.sources.order_counts import count_orders
from analytics_pipeline.sources.signing import Signer
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

DAY = date(2026, 7, 1)
STAMP = "2026-07-01T10:00:00Z"
USER, PASSWORD, CLIENT_SECRET = "reader@shop.example", "pa55word/+&\"'", "cl1ent+secret="
REFRESH = "refresh-0-" + "r" * 60
ENVIRONMENT = {"U": USER, "P": PASSWORD, "I": "client-id-7", "S": CLIENT_SECRET, "R": REFRESH}
ORDERS = {"pagination": {"type": "page_number", "param": "page"}}
LOGIN = {
    "type": "login",
    "path": "/auth/login",
    "body": {"email": "${U}", "password": "${P}", "remember": True},
    "token": "data.token",
}
OAUTH = {"type": "oauth2", "grant": "client_credentials", "path": "/oauth/token", "client_id": "${I}"}
OAUTH |= {"client_secret": "${S}"}
REFRESHING = {**OAUTH, "grant": "refresh_token", "refresh_token": "${R}"}
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "Zm9vYmFy" * 120


def token(number: int) -> str:
    return f"{JWT}-token-{number}"


class TokenShop:
    """Three pages of orders behind tokens, each of which is good for so many requests."""

    def __init__(self, fake: FakeShop, good_for: int = 1_000) -> None:
        self.fake, self.good_for = fake, good_for
        self.given = self.uses = 0
        self.answer: Callable[[], Reply] = lambda: Reply({"data": {"token": token(self.given)}})
        fake.routes["/auth/login"] = fake.routes["/oauth/token"] = self.give
        fake.routes["/orders"] = self.orders

    def give(self, asked: Asked) -> Reply:
        assert "eyJ" not in str(asked.headers)
        self.given += 1
        self.uses = 0
        return self.answer()

    def orders(self, asked: Asked) -> Reply:
        self.uses += 1
        if asked.headers.get("Authorization") != f"Bearer {token(self.given)}" or self.uses > self.good_for:
            return Reply({"error": f"bad token {dict(asked.headers)} of {USER} {PASSWORD}"}, 401)
        page = int(asked.query["page"])
        return Reply({"orders": [{"id": page, "created_at": STAMP}] if page < 4 else []})

    @property
    def paths(self) -> str:
        """What was asked for: l for a log-in, digits for pages."""
        return "".join(asked.query.get("page", "l") for asked in self.fake.asked)


@pytest.fixture(autouse=True)
def nothing_shows(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Everything is logged; at the end no secret is in any line, nor in any text that a test adds."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    yield texts
    assert "urllib3.connectionpool" in caplog.text or not caplog.records
    assert_hidden("\n".join([*texts, caplog.text, *(f"{record.__dict__}" for record in caplog.records)]))


def assert_hidden(text: str) -> None:
    words = [USER, "pa55word", "cl1ent", REFRESH[:12], "eyJhbG", "-token-", "consumer-s3cret", "ck_key"]
    coded = [base64.b64encode(word.encode()).decode()[:8] for word in (USER, PASSWORD, CLIENT_SECRET)]
    assert not [word for word in [*words, *coded] if word in text]


def texts_of(error: BaseException) -> list[str]:
    chain: list[BaseException] = [error]
    for link in chain:
        chain += [one for one in (link.__cause__, link.__context__) if one is not None]
    assert len(chain) == 1
    return [str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))]


def client_of(bench: Bench, fake: FakeShop, auth: dict[str, Any], **changes: Any) -> ShopClient:  # noqa: ANN401
    shop = shop_of(fake.url, auth=auth, orders=ORDERS, **{"limits": {"retries": 1}, **changes})
    return bench.client(shop, ENVIRONMENT)


def read(client: ShopClient) -> list[str]:
    return [name for batch in extract_orders(client, DAY, DAY) for name in batch.column("order_id").to_pylist()]


def test_a_log_in_gives_the_token_of_all_requests(fake: FakeShop, bench: Bench, nothing_shows: list[str]) -> None:
    shop = TokenShop(fake)
    client = client_of(bench, fake, LOGIN)
    assert fake.asked == []
    assert read(client) == ["1", "2", "3"]
    assert shop.paths == "l1234"
    login = fake.asked[0]
    assert (login.method, login.json) == ("POST", {"email": USER, "password": PASSWORD, "remember": True})
    assert client.statistics.requests == 5
    assert count_orders(client, DAY, DAY) is None
    assert shop.paths == "l12341"
    nothing_shows += [repr(client), repr(client.shop), repr(client.statistics)]


def test_a_token_may_come_in_a_header_and_go_in_another_without_a_prefix(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/auth/login", Reply({"data": {}}, headers={"X-Auth-Token": token(1)}))
    fake.answers("/orders", Reply({"orders": []}))
    auth = {**LOGIN, "token": None, "token_header": "x-auth-token", "header": "X-Session", "prefix": ""}
    read(client_of(bench, fake, auth))
    assert fake.asked[1].headers["X-Session"] == token(1)


def test_a_log_in_may_be_a_get_whose_parameters_are_hidden(
    fake: FakeShop, bench: Bench, nothing_shows: list[str]
) -> None:
    TokenShop(fake)
    auth: dict[str, Any] = {"type": "login", "path": "/auth/login", "method": "GET", "token": "data.token"}
    auth |= {"params": {"user": "${U}", "password": "${P}"}}
    client = client_of(bench, fake, auth)
    assert read(client) == ["1", "2", "3"]
    assert fake.asked[0].query == {"user": USER, "password": PASSWORD}
    fake.answers("/auth/login", Reply({"why": [USER, PASSWORD]}, 403))
    with pytest.raises(ShopRefusedError, match=r"GET .*/auth/login\?user=\*\*\*&password=\*\*\*: HTTP 403") as caught:
        read(client_of(bench, fake, auth))
    nothing_shows += [*texts_of(caught.value), caught.value.excerpt or ""]


@pytest.mark.parametrize("good_for", [1, 2, 3])
def test_a_token_that_ends_in_the_middle_of_a_list_is_renewed_and_the_same_page_asked_for_again(
    fake: FakeShop, bench: Bench, good_for: int
) -> None:
    shop = TokenShop(fake, good_for)
    assert read(client_of(bench, fake, LOGIN)) == ["1", "2", "3"]
    assert shop.paths == {1: "l12l23l34l4", 2: "l123l34", 3: "l1234l4"}[good_for]


def test_a_token_that_never_works_is_refused_and_not_renewed(
    fake: FakeShop, bench: Bench, nothing_shows: list[str]
) -> None:
    shop = TokenShop(fake, good_for=0)
    client = client_of(bench, fake, LOGIN)
    with pytest.raises(ShopRefusedError, match=r"GET .*HTTP 401: .*credentials; check \$\{U\} and \$\{P\}") as caught:
        read(client)
    assert shop.paths == "l1"
    nothing_shows += [*texts_of(caught.value), caught.value.excerpt or ""]


def test_a_path_that_refuses_every_token_is_told_after_one_renewal(fake: FakeShop, bench: Bench) -> None:
    shop = TokenShop(fake)
    client = client_of(bench, fake, LOGIN)
    read(client)
    fake.asked.clear()
    fake.answers("/orders", Reply(status=401))
    with pytest.raises(ShopRefusedError, match="HTTP 401"):
        read(client)
    assert shop.paths == "1l1"


def test_a_log_in_that_fails_is_told_and_counts_its_retries(
    fake: FakeShop, bench: Bench, nothing_shows: list[str]
) -> None:
    shop = TokenShop(fake)
    for reply, kind, fault in (
        (Reply({"message": f"bad {PASSWORD}"}, 401), ShopRefusedError, "POST .*/auth/login: HTTP 401"),
        (Reply({"error": "invalid_grant"}, 400), ShopRefusedError, r"HTTP 400: .* check \$\{U\} and \$\{P\}"),
        (Reply(status=503), ShopUnavailableError, "POST .*/auth/login gave no whole answer in 2 attempts"),
        (Reply({"data": {"token": None}}), ShopRefusedError, "gave no token at `data.token`"),
        (Reply({"data": {"token": f"{token(1)}\nX-Evil: 1"}}), ShopRefusedError, "gave no token at"),
        (Reply({"data": [PASSWORD]}), ShopRefusedError, "gave no token at"),
        (Reply([token(1)]), AnswerError, "does not have the described form"),
        (Reply(b"<html>log in"), ShopUnavailableError, "no JSON but HTML"),
        (Reply({"a": "x" * 3_000_000}), AnswerError, "larger than 2 MB"),
    ):
        shop.answer = partial(copy, reply)
        client = client_of(bench, fake, LOGIN, limits={"retries": 1, "max_answer_mb": 2})
        with pytest.raises(kind, match=fault) as caught:
            read(client)
        assert isinstance(caught.value, PipelineError)
        nothing_shows += [*texts_of(caught.value), caught.value.excerpt or ""]
    assert "1" not in shop.paths


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_log_in_takes_nothing_elsewhere(
    fake: FakeShop, stranger: FakeShop, bench: Bench, status: int
) -> None:
    shop = TokenShop(fake)
    shop.answer = lambda: Reply(status=status, headers={"Location": f"{stranger.url}/auth/login"})
    with pytest.raises(ShopRefusedError, match="credentials stay with the shop's own origin"):
        read(client_of(bench, fake, LOGIN))
    assert stranger.asked == []
    shop.answer = lambda: Reply(status=status, headers={"Location": "/elsewhere"})
    fake.routes["/elsewhere"] = lambda _: Reply({"data": {"token": token(shop.given)}})
    client = client_of(bench, fake, LOGIN)
    if status in {307, 308}:
        assert read(client) == ["1", "2", "3"]
    else:
        with pytest.raises(ShopRefusedError, match="by GET, without its body"):
            read(client)


def test_no_token_follows_a_redirect_or_a_link_to_a_stranger(fake: FakeShop, stranger: FakeShop, bench: Bench) -> None:
    TokenShop(fake)
    fake.answers("/orders", Reply(status=307, headers={"Location": f"{stranger.url}/orders"}))
    with pytest.raises(ShopRefusedError, match="own origin"):
        read(client_of(bench, fake, LOGIN))
    assert stranger.asked == []


def test_a_token_is_renewed_before_it_ends(fake: FakeShop, bench: Bench) -> None:
    shop = TokenShop(fake)
    client = client_of(bench, fake, {**LOGIN, "lifetime_minutes": 10})
    read(client)
    bench.now += 530
    read(client)
    bench.now += 11
    read(client)
    assert shop.paths == "l12341234l1234"


def test_client_credentials_are_sent_as_a_form_and_expires_in_is_obeyed(fake: FakeShop, bench: Bench) -> None:
    shop = TokenShop(fake)
    shop.answer = lambda: Reply({"access_token": token(shop.given), "token_type": "bearer", "expires_in": 100})
    client = client_of(bench, fake, {**OAUTH, "scope": "read_orders read_customers"})
    read(client)
    bench.now += 89
    read(client)
    bench.now += 2
    read(client)
    assert shop.paths == "l12341234l1234"
    asked = fake.asked[0]
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(asked.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": "client-id-7",
        "client_secret": CLIENT_SECRET,
        "scope": "read_orders read_customers",
    }


def test_client_and_secret_may_be_sent_as_user_and_password(fake: FakeShop, bench: Bench) -> None:
    shop = TokenShop(fake)
    shop.answer = lambda: Reply({"access_token": token(shop.given)})
    read(client_of(bench, fake, {**OAUTH, "send": "basic"}))
    asked = fake.asked[0]
    pair = base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
    assert tuple(map(unquote, pair.split(":"))) == ("client-id-7", CLIENT_SECRET)
    assert dict(parse_qsl(asked.body.decode())) == {"grant_type": "client_credentials"}


def test_a_refresh_token_that_the_shop_replaces_is_used_the_next_time(
    fake: FakeShop, bench: Bench, nothing_shows: list[str]
) -> None:
    shop = TokenShop(fake, good_for=2)
    shop.answer = lambda: Reply(
        {"access_token": token(shop.given), "refresh_token": REFRESH.replace("0", str(shop.given))}
    )
    client = client_of(bench, fake, REFRESHING)
    assert read(client) == ["1", "2", "3"]
    sent = [dict(parse_qsl(asked.body.decode())) for asked in fake.asked if asked.path == "/oauth/token"]
    assert [form["refresh_token"] for form in sent] == [REFRESH, REFRESH.replace("0", "1")]
    fake.answers("/orders", Reply({"why": REFRESH.replace("0", "2") + token(2)}, 403))
    with pytest.raises(ShopRefusedError, match="HTTP 403") as caught:
        read(client)
    assert "***" in (caught.value.excerpt or "")
    nothing_shows += [*texts_of(caught.value), (caught.value.excerpt or "").replace("refresh-2", "refresh-0")]


def test_log_ins_are_paced_like_all_requests(fake: FakeShop, bench: Bench) -> None:
    TokenShop(fake)
    client = client_of(bench, fake, LOGIN, request_budget={"per_second": 2})
    read(client)
    assert bench.waits == [0.5] * 4


def test_a_token_that_ends_with_http_200_is_renewed_where_the_description_says_so(fake: FakeShop, bench: Bench) -> None:
    shop = TokenShop(fake, good_for=1_000)
    good = shop.orders
    refusal = Reply({"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}], "data": None})
    shop.good_for = 2
    fake.routes["/orders"] = lambda asked: refusal if (reply := good(asked)).status == 401 else reply
    errors = {"at": "errors", "unauthorized_when": "extensions.code == 'FORBIDDEN'"}
    assert read(client_of(bench, fake, LOGIN, errors=errors)) == ["1", "2", "3"]
    assert shop.paths == "l123l34"
    shop.good_for = 0
    with pytest.raises(ShopRefusedError, match="HTTP 200 with an error"):
        read(client_of(bench, fake, LOGIN, errors=errors))


def test_a_key_may_be_sent_as_user_without_a_password(fake: FakeShop, bench: Bench, nothing_shows: list[str]) -> None:
    fake.answers("/orders", Reply({"orders": []}))
    client = client_of(bench, fake, {"type": "basic", "username": "${S}"})
    read(client)
    pair = base64.b64encode(f"{CLIENT_SECRET}:".encode()).decode()
    assert fake.asked[0].headers["Authorization"] == f"Basic {pair}"
    fake.answers("/orders", Reply({"got": [pair, CLIENT_SECRET]}, 403))
    with pytest.raises(ShopRefusedError, match=r"HTTP 403: .* to \$\{S\}\.") as caught:
        read(client)
    nothing_shows += [*texts_of(caught.value), caught.value.excerpt or ""]


SIGNED = {"type": "signed", "consumer_key": "${K}", "consumer_secret": "${C}"}
KEYS = {"K": "ck_key", "C": "consumer-s3cret"}


def documented_signature(asked: Asked, url: str) -> str:
    """The signature as the documentation of a shop with such keys computes it, from what came."""
    pairs = parse_qsl(urlsplit(asked.target).query, keep_blank_values=True)
    normal = sorted(
        (quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs if name != "oauth_signature"
    )
    query = "%26".join(quote(f"{name}={value}", safe="~") for name, value in normal)
    text = f"{asked.method}&{quote(url + asked.path, safe='~')}&{query}"
    return base64.b64encode(hmac.new(b"consumer-s3cret&", text.encode(), hashlib.sha256).digest()).decode()


def test_signed_requests_are_signed_anew_each_time_whatever_a_link_repeats(
    fake: FakeShop, bench: Bench, nothing_shows: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    signatures: list[str] = []

    def orders(asked: Asked) -> Reply:
        query = asked.query
        nonce = query["oauth_nonce"]
        is_right = (
            query["oauth_signature"] == documented_signature(asked, fake.url)
            and query["oauth_consumer_key"] == "ck_key"
            and abs(int(query["oauth_timestamp"]) - time.time()) < 900
            and nonce not in seen
            and asked.target.count("oauth_nonce") == 1
        )
        seen.append(nonce)
        signatures.append(query["oauth_signature"])
        if not is_right:
            return Reply({"code": "rest_forbidden", "message": f"Invalid signature {asked.target}"}, 401)
        page = int(query.get("page", "1"))
        link = f"{fake.url}{asked.target.replace('page=1', '').replace('page=2', '')}&page={page + 1}"
        headers = {"Link": f'<{link}>; rel="next"'} if page < 3 else {}
        return Reply({"orders": [{"id": page, "created_at": STAMP}]}, headers=headers)

    fake.routes["/orders"] = orders
    described = {
        "params": {"status": "any one", "include[]": ["a b", "ä~&="], "orderby": "id"},
        "pagination": {"type": "link_header"},
        "created_window": {"from_param": "after", "to_param": "before", "format": "iso_local"},
    }
    client = bench.client(shop_of(fake.url, auth=SIGNED, orders=described), KEYS)
    assert read(client) == ["1", "2", "3"]
    assert len(set(seen)) == 3
    wrong = bench.client(shop_of(fake.url, auth=SIGNED, orders=described), {**KEYS, "C": "other"})
    with pytest.raises(ShopRefusedError, match=r"HTTP 401: .*\$\{K\} and \$\{C\}, and this machine's clock") as caught:
        read(wrong)
    assert "oauth_signature=***" in (caught.value.excerpt or "")
    nothing_shows += [*texts_of(caught.value), caught.value.excerpt or ""]
    shown = "\n".join([*nothing_shows, caplog.text])
    assert "oauth_signature=***" in caplog.text
    assert not [one for one in signatures if one in shown or quote(one, safe="") in shown or quote(one) in shown]


def test_a_signature_is_that_of_the_standards_rules() -> None:
    """Parameters and base string of RFC 5849, 3.4.1, of which only the method of signing and the token differ."""
    signer = Signer("9djdj82h48djs9d2", "j49sk3j29djd", clock=lambda: 137131201, nonce=lambda: "7d8f3e4a")
    url, params = signer.signed("POST", "HTTP://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", {"c2": ""})
    text = (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26"
        "oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA256%26"
        "oauth_timestamp%3D137131201%26oauth_version%3D1.0"
    )
    expected = base64.b64encode(hmac.new(b"j49sk3j29djd&", text.encode(), hashlib.sha256).digest()).decode()
    assert params["oauth_signature"] == expected
    assert url == "http://EXAMPLE.COM:80/request"
    assert params["b5"] == ("=%3D",)


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        ({**LOGIN, "body": {"password": "written out"}}, "password looks like a credential; write it as a"),
        ({**LOGIN, "body": {"a": "${P:-x}"}}, "stands alone, without default"),
        ({**LOGIN, "body": {"a": "user ${P}"}}, "stands alone, without default"),
        ({**LOGIN, "body": {"a": "{{cursor}}"}}, "has no placeholders"),
        ({**LOGIN, "body": {"a": "plain"}}, "at least one"),
        ({**LOGIN, "method": "GET"}, "a body needs method: POST"),
        ({**LOGIN, "token_header": "X"}, "give either token or token_header"),
        ({**LOGIN, "header": "X Y"}, "must be the name of a header"),
        ({**LOGIN, "prefix": "a\nb"}, "should match pattern"),
        ({**LOGIN, "lifetime_minutes": 0}, "greater than 0"),
        ({**OAUTH, "client_secret": "written out"}, r"must be one \$\{NAME\} reference"),
        ({**OAUTH, "client_secret": None}, "client_secret is missing"),
        ({**OAUTH, "grant": "refresh_token"}, "refresh_token belongs to grant"),
        ({**OAUTH, "refresh_token": "${R}"}, "refresh_token belongs to grant"),
        ({**OAUTH, "path": "https://login.example/token"}, "must start with /"),
        ({**SIGNED, "consumer_secret": "written out"}, r"must be one \$\{NAME\} reference"),
        ({**SIGNED, "method": "PLAINTEXT"}, "HMAC-SHA256"),
    ],
    ids=str,
)
def test_credentials_that_cannot_work_are_refused_without_echo(auth: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault) as caught:
        shop_of(auth=auth)
    assert "written out" not in str(caught.value)


def test_a_header_of_a_token_is_given_in_one_place() -> None:
    with pytest.raises(ValidationError, match=r"auth\.header X-Shop is also given under headers"):
        shop_of(auth={**LOGIN, "header": "X-Shop"}, headers={"x-shop": "1"})


def test_a_long_token_is_hidden_at_once_and_where_it_is_cut(fake: FakeShop, bench: Bench) -> None:
    client = client_of(bench, fake, LOGIN)
    began = time.process_time()
    for number in range(5):
        client.redact.learn([token(number)])
    assert time.process_time() - began < 2
    assert client.redact(f"a {token(1)[:200]}") == "a ***"
    assert client.redact(json.dumps({"t": token(3), "b": 1})) == '{"t": "***", "b": 1}'
