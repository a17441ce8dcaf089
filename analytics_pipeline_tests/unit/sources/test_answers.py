"""What answers tell beside their records: failures with HTTP 200, points, used requests, pages for people."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from analytics_pipeline.errors import ShopRefusedError, ShopUnavailableError
from analytics_pipeline.shop.placeholders import PageRequest
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline_tests.fake_shop import FakeShop, Reply
from analytics_pipeline_tests.unit.sources.conftest import Bench, shop_of

ERRORS = {"at": "errors", "throttled_when": "extensions.code == 'THROTTLED'"}
GOOD = Reply({"data": {"orders": [{"errors": ["of a record"]}]}, "errors": []})
THROTTLED: dict[str, Any] = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
DENIED: dict[str, Any] = {
    "message": "Access denied for Anna Example",
    "extensions": {"code": "ACCESS_DENIED"},
}
COST = {
    "available": "extensions.cost.throttleStatus.currentlyAvailable",
    "restore_rate": "extensions.cost.throttleStatus.restoreRate",
    "requested": "extensions.cost.requestedQueryCost",
}


def post(client: ShopClient) -> object:
    return client.ask(PageRequest(client.url("/graphql"), {}, "POST", b"{}"), json.loads).body


def points(available: float, requested: float = 400, rate: object = 100.0) -> dict[str, object]:
    status = {"currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": requested, "throttleStatus": status}}


def test_a_throttled_answer_is_waited_for_and_asked_for_again(fake: FakeShop, bench: Bench) -> None:
    again = Reply({"errors": [THROTTLED], "data": None})
    fake.answers("/graphql", again, again, Reply(status=429), GOOD)
    client = bench.client(shop_of(fake.url, errors=ERRORS))
    assert post(client) == GOOD.body
    assert bench.waits == [0.5, 1.0, 2.0]
    assert client.statistics.waited == {"throttled": 3.5}
    assert (client.statistics.requests, client.statistics.retries) == (4, 3)


def test_one_that_stays_throttled_ends_with_the_retries(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/graphql", Reply({"errors": THROTTLED}))
    client = bench.client(shop_of(fake.url, errors=ERRORS, limits={"retries": 2}))
    with pytest.raises(ShopUnavailableError, match=r"POST .*3 attempts.*throttled\. The shop says: Throttled"):
        post(client)
    assert len(fake.asked) == 3


@pytest.mark.parametrize(
    "errors", [[DENIED], [THROTTLED, DENIED], DENIED, "broken", [7]], ids=["list", "mixed", "object", "text", "odd"]
)
def test_any_other_error_is_refused_at_once_with_the_shops_words_apart(
    fake: FakeShop, bench: Bench, errors: object
) -> None:
    fake.answers("/graphql", Reply({"errors": errors, "data": {"orders": []}}))
    client = bench.client(shop_of(fake.url, errors=ERRORS))
    with pytest.raises(ShopRefusedError, match=r"POST http.*/graphql: HTTP 200 with an error") as caught:
        post(client)
    assert len(fake.asked) == 1
    assert "Anna" not in str(caught.value)
    if "Anna" in json.dumps(errors):
        assert "Access denied for Anna Example" in (caught.value.excerpt or "")


@pytest.mark.parametrize("body", [{"errors": None}, {"errors": {}}, {"a": [{"errors": [1]}]}, [{"errors": [1]}]])
def test_what_is_no_error_is_none(fake: FakeShop, bench: Bench, body: object) -> None:
    fake.answers("/graphql", Reply(body))
    assert post(bench.client(shop_of(fake.url, errors=ERRORS))) == body


def test_points_are_waited_for_until_the_next_request_can_be_paid(fake: FakeShop, bench: Bench) -> None:
    answers = [points(1000), points(100), points(399.5, rate="50"), points(0, rate=0), points(10, requested=1e9), {}]
    fake.answers("/graphql", *(Reply({"data": 1, "extensions": each}) for each in answers))
    client = bench.client(shop_of(fake.url, request_budget={"cost": COST}))
    for _ in range(6):
        post(client)
    assert bench.waits == [3.0, pytest.approx(0.01), 60]
    assert client.statistics.waited == {"points": pytest.approx(63.01)}


def test_a_throttled_answer_is_asked_for_again_when_its_points_are_back(fake: FakeShop, bench: Bench) -> None:
    fake.answers("/graphql", Reply({"errors": [THROTTLED], "extensions": points(100)}), GOOD)
    client = bench.client(shop_of(fake.url, request_budget={"cost": COST}, errors=ERRORS))
    post(client)
    assert bench.waits == [0.5, 2.5]
    assert client.statistics.waited == {"throttled": 0.5, "points": 2.5}


def test_a_leaky_bucket_that_is_full_is_waited_for(fake: FakeShop, bench: Bench) -> None:
    used = ["39/40", "40/40", "41 / 40", "full", "inf/nan"]
    fake.answers("/graphql", *(Reply({}, headers={"X-Call-Limit": each}) for each in used), GOOD)
    client = bench.client(shop_of(fake.url, request_budget={"used_header": "X-Call-Limit"}))
    for _ in used:
        post(client)
    assert bench.waits == [1.0, 1.0]
    assert client.statistics.waited == {"budget": 2.0}


@pytest.mark.parametrize(
    ("reset_in", "reset", "seconds"),
    [("seconds", "7", 7), ("milliseconds", "2500", 2.5), ("epoch", "1782864010", 10), ("epoch", "1782863000", None)],
)
def test_a_reset_may_be_in_seconds_milliseconds_or_a_moment(
    fake: FakeShop, bench: Bench, reset_in: str, reset: str, seconds: float | None
) -> None:
    fake.date = "Wed, 01 Jul 2026 00:00:00 GMT"
    fake.answers("/graphql", Reply({}, headers={"X-Left": "0", "X-Reset": reset}), GOOD)
    budget = {"remaining_header": "X-Left", "reset_header": "X-Reset", "reset_in": reset_in}
    client = bench.client(shop_of(fake.url, request_budget=budget))
    post(client)
    post(client)
    assert bench.waits == ([] if seconds is None else [seconds])


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (b"<html>log in</html>", "HTML"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><html>", "HTML"),
        (b"<?xml version='1.0'?><error/>", "XML"),
    ],
)
def test_a_page_for_people_is_named_as_such(fake: FakeShop, bench: Bench, page: bytes, kind: str) -> None:
    fake.answers("/graphql", Reply(page))
    client = bench.client(shop_of(fake.url, limits={"retries": 0}))
    with pytest.raises(ShopUnavailableError, match=f"no JSON but {kind}: a page for people"):
        post(client)
    fake.answers("/graphql", Reply(page, 404))
    with pytest.raises(ShopRefusedError, match=f"The answer is {kind} and no JSON"):
        post(client)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"request_budget": {"reset_header": "X-Reset"}}, "needs remaining_header or used_header"),
        ({"request_budget": {"remaining_header": "a", "used_header": "b"}}, "not both"),
        ({"request_budget": {"cost": {"available": "a"}}}, "Field required"),
        ({"errors": {"at": "a[0]"}}, "plain dotted path"),
        ({"errors": {"at": "errors", "throttled_when": "a ="}}, "is no JMESPath"),
    ],
)
def test_words_about_answers_that_cannot_work_are_refused(words: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        shop_of(**words)
