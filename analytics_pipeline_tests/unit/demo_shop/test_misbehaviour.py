"""Each fault as a client meets it over HTTP, and the good behaviour after it."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import requests

from analytics_pipeline.demo_shop import Fault, RunningShop
from analytics_pipeline_tests.unit.demo_shop.conftest import EVENTFUL

Start = Callable[..., RunningShop]


def _get(url: str, timeout: float = 10) -> requests.Response:
    return requests.get(url, timeout=timeout)


def _ids(url: str) -> list[str]:
    return [order["id"] for order in _get(url).json()["orders"]]


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.TOO_MANY_REQUESTS, 429), (Fault.ERROR_500, 500), (Fault.ERROR_503, 503)]
)
def test_the_next_requests_fail_and_the_one_after_them_does_not(start: Start, fault: Fault, status: int) -> None:
    running = start()
    running.shop.misbehave(fault, next_requests=2)
    assert [_get(f"{running.url}/orders").status_code for _ in range(3)] == [status, status, 200]


def test_too_many_requests_reports_how_long_to_wait(start: Start) -> None:
    running = start()
    running.shop.misbehaviour.retry_after = 7
    running.shop.misbehave("too_many_requests", next_requests=1)
    assert _get(f"{running.url}/orders").headers["Retry-After"] == "7"


def test_a_late_answer_comes_after_the_clients_patience(start: Start) -> None:
    running = start()
    running.shop.misbehave(Fault.TIME_OUT, next_requests=1)
    with pytest.raises(requests.ReadTimeout):
        _get(f"{running.url}/orders", timeout=0.1)
    assert _get(f"{running.url}/orders", timeout=5).status_code == 200


def test_a_cut_answer_promises_more_than_it_sends_and_the_next_one_is_whole(start: Start) -> None:
    running = start()
    running.shop.misbehave(Fault.CUT_ANSWER, next_requests=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        _get(f"{running.url}/orders")
    assert len(_ids(f"{running.url}/orders")) == 100


def test_a_duplicate_page_has_every_record_twice(start: Start) -> None:
    running = start()
    url = f"{running.url}/orders?limit=5"
    whole = _ids(url)
    running.shop.misbehave(Fault.DUPLICATE_PAGE, next_requests=1)
    assert _ids(url) == whole + whole
    assert _ids(url) == whole


def test_a_duplicate_record_comes_twice_and_counts_once(start: Start) -> None:
    running = start()
    url = f"{running.url}/orders?limit=5"
    whole, total = _ids(url), _get(url).json()["total"]
    running.shop.misbehave(Fault.DUPLICATE_RECORD, next_requests=2)
    assert _ids(url) == [*whole, whole[-1]]
    assert _get(url).json()["total"] == total


def test_a_missing_record_is_counted_but_not_delivered(start: Start) -> None:
    running = start()
    url = f"{running.url}/orders?created_from=2025-10-01&created_to=2025-10-02&limit=500"
    whole = _ids(url)
    running.shop.misbehave(Fault.MISSING_RECORD, next_requests=1)
    answer = _get(url).json()
    assert [order["id"] for order in answer["orders"]] == whole[:-1]
    assert answer["total"] == len(whole)


def test_a_new_field_is_in_every_record(start: Start) -> None:
    running = start()
    running.shop.misbehave(Fault.NEW_FIELD, next_requests=1)
    with_field = _get(f"{running.url}/orders").json()["orders"]
    without = _get(f"{running.url}/orders").json()["orders"]
    assert [{**order, "loyalty_tier": "gold"} for order in without] == with_field


def test_a_share_of_requests_fails_the_same_ones_each_time_until_told_to_stop(start: Start) -> None:
    def statuses(running: RunningShop) -> list[int]:
        running.shop.misbehave(Fault.ERROR_503, share=0.3)
        return [_get(f"{running.url}/products").status_code for _ in range(60)]

    one, other = start(), start()
    assert statuses(one) == statuses(other)
    assert 5 < Counter(statuses(one))[503] < 40
    one.shop.misbehaviour.stop()
    assert {_get(f"{one.url}/products").status_code for _ in range(30)} == {200}


def test_a_fault_can_be_kept_to_one_path(start: Start) -> None:
    running = start()
    running.shop.misbehave(Fault.ERROR_500, next_requests=1, path="/customers")
    assert _get(f"{running.url}/orders").status_code == 200
    assert _get(f"{running.url}/customers").status_code == 500
    assert _get(f"{running.url}/customers").status_code == 200


def test_a_shop_can_be_set_to_fail_for_a_moment_in_a_share_of_all_requests(start: Start) -> None:
    running = start(replace(EVENTFUL, fault_share=0.6))
    seen: Counter[str] = Counter()
    for _ in range(60):
        try:
            seen[str(_get(f"{running.url}/products").status_code)] += 1
        except requests.exceptions.ChunkedEncodingError:
            seen["cut"] += 1
    assert set(seen) == {"200", "429", "500", "503", "cut"}


def test_an_unknown_fault_is_refused(start: Start) -> None:
    with pytest.raises(ValueError, match="on_fire"):
        start().shop.misbehave("on_fire", next_requests=1)


def test_a_shop_in_the_foreground_reports_its_url_and_ends_cleanly_on_ctrl_c() -> None:
    code = "from analytics_pipeline.demo_shop import *; run_forever(DemoShopSettings(), port=0)"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[5]
        assert _get(f"{url}/shop").status_code == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert errors == ""
