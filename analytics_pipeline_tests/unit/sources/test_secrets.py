"""Secrets never show: not in an error or what it is chained to, not in a repr, not in any log line."""

import base64
import html
import json
import logging
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from analytics_pipeline.errors import PipelineError
from analytics_pipeline.shop.urls import Redactor
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_products
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

SECRET = "s3cret/+&\"'=\\"
SPELLINGS = ["s3cret", "czNjcmV0"]
AUTHS = {
    "param": {"type": "api_key", "param": "api_key", "key": "${K}"},
    "header": {"type": "api_key", "header": "X-Api-Key", "key": "${K}"},
    "bearer": {"type": "bearer", "token": "${K}"},
    "basic": {"type": "basic", "username": "me", "password": "${K}"},
}


def chained(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *chained(error.__cause__), *chained(error.__context__)]


def assert_hidden(text: str) -> None:
    assert not [spelling for spelling in SPELLINGS if spelling in text]


def echo(asked: Asked) -> str:
    return f"{asked.query} {dict(asked.headers)} {SECRET}"


FAULTS: dict[str, Callable[[Asked], Reply]] = {
    "refused": lambda asked: Reply({"error": echo(asked)}, 401),
    "unavailable": lambda _: Reply(status=500),
    "dropped": lambda _: Reply(drop=True),
    "cut": lambda _: Reply([], missing_bytes=5),
    "no json": lambda asked: Reply(echo(asked).encode()),
    "other form": lambda asked: Reply({SECRET: echo(asked)}),
    "too large": lambda _: Reply(b"", missing_bytes=9_000_000),
    "redirect": lambda asked: Reply(status=302, headers={"Location": f"http://me:{SECRET}@127.0.0.2/?k={asked.query}"}),
    "circle": lambda asked: Reply([{"meta": {"id": 1}}], headers={"Link": f'<?api_key={asked.query}>; rel="next"'}),
    "elsewhere": lambda _: Reply([], headers={"Link": '<http://me:s3cret@127.0.0.2/?api_key=s3cret>; rel="next"'}),
}


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_shows_a_secret(
    fake: FakeShop, bench: Bench, caplog: pytest.LogCaptureFixture, auth: str, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.routes["/products"] = FAULTS[fault]
    products = {
        "path": "/products",
        "records": "@",
        "pagination": {"type": "link_header"},
        "fields": {"product_id": "meta.id"},
    }
    shop = shop_of(fake.url, auth=AUTHS[auth], products=products, limits={"retries": 1, "max_answer_mb": 8})
    client = bench.client(shop, {"K": SECRET})
    with pytest.raises(PipelineError) as caught:
        list(extract_products(client))
    assert "/products" in str(caught.value)
    assert len(chained(caught.value)) == 1
    for text in (str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value)), caplog.text):
        assert_hidden(text)
    assert "/products" in caplog.text


def test_no_repr_shows_a_secret(bench: Bench) -> None:
    for auth in AUTHS.values():
        client = bench.client(shop_of(auth=auth), {"K": SECRET})
        assert "ShopClient('test', 'http://127.0.0.1:1')" in repr(client)
        assert_hidden(repr(client) + repr(client.shop) + repr(client.statistics))


def test_a_secret_that_cannot_stand_in_a_header_is_refused_without_echo() -> None:
    with pytest.raises(
        PipelineError, match=r"auth\.token: the value of \$\{K\} is empty or holds characters"
    ) as caught:
        ShopClient(shop_of(auth=AUTHS["bearer"]), environment={"K": "s3cret\nX-Evil: 1"})
    assert_hidden(str(caught.value))


def test_other_peoples_log_lines_are_left_alone_once_the_client_is_closed(bench: Bench) -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    before = list(logger.filters)
    client = bench.client(shop_of())
    assert logger.filters != before
    client.close()
    assert logger.filters == before


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        repr(SECRET),
        json.dumps(json.dumps(SECRET)),
        json.dumps(SECRET).replace("/", "\\/").replace("&", "\\u0026"),
        quote(SECRET, safe=""),
        quote(quote(SECRET)),
        quote_plus(SECRET).lower(),
        html.escape(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_redactor_knows_a_secret_in_every_spelling(written: str) -> None:
    assert_hidden(Redactor([SECRET])(f"before {written} after"))


def test_a_redactor_hides_userinfo_and_the_key_parameter_even_when_the_value_is_unknown() -> None:
    redact = Redactor(parameters=["api_key"])
    assert (
        redact("GET http://me:word@shop/x?a=1&api_key=other%20key&b=2") == "GET http://***@shop/x?a=1&api_key=***&b=2"
    )
    assert redact("mail me@shop.example?a=1") == "mail me@shop.example?a=1"
