"""Calls of the shop: which are taken, which days they make stale, and that no figure is theirs."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from analytics_pipeline.cli.up import command as up
from analytics_pipeline.errors import MissingSecretError
from analytics_pipeline.history.stale import STALE, lock_list
from analytics_pipeline.settings import SHOP
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline.webhooks import app, desk, marking, receiver
from analytics_pipeline.webhooks.dialects import Call
from analytics_pipeline.webhooks.due import describe_traffic, read_due, read_traffic
from analytics_pipeline.webhooks.marking import forget_old, judge_waiting, take_call
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.calling import SECRET, WEBHOOKS, call, receiving
from analytics_pipeline_tests.integration.loaded import FIRST, LAST, redescribed
from analytics_pipeline_tests.integration.tables import execute

UNKNOWN_DAY = LAST + timedelta(days=1)
DIGEST = "0" * 64


@pytest.fixture
def shop(loaded: Pipeline) -> Shop:
    """The description of `loaded`, with webhooks."""
    return load_shop(loaded.description).model_copy(update={"webhooks": WEBHOOKS})


@pytest.fixture
def url(loaded: Pipeline, shop: Shop) -> Iterator[str]:
    """Where its calls are taken."""
    with receiving([(shop, loaded.database)]) as base:
        yield f"{base}/{shop.name}"


def records(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The stored records."""
    return [
        json.loads(str(row["payload"])) for row in pipeline.rows("select payload from raw.orders order by order_id")
    ]


def event(record: object, kind: str = "order.updated", timestamp: str = "2025-02-20T00:00:00Z") -> bytes:
    return json.dumps({"type": kind, "timestamp": timestamp, "data": record}).encode()


def stale(database: Database) -> list[tuple[date, str, list[str]]]:
    rows = query(database, f"select day, reason, order_ids from {STALE} order by day, reason")
    return [(row["day"], row["reason"], row["order_ids"]) for row in rows]


def outcomes(database: Database) -> list[str]:
    return [row["outcome"] for row in query(database, "select outcome from ops.webhook_calls order by received_at")]


def newer(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "updated_at": "2025-02-19T00:00:00Z"}


def named(order_id: str | None, number: int = 1, **more: Any) -> Call:  # noqa: ANN401 - fields
    return Call(f"msg_{number}", f"{number:064}", "order.updated", order_id=order_id, **more)


def test_a_call_of_a_changed_order_marks_its_day_and_one_of_a_stored_order_nothing(loaded: Pipeline, url: str) -> None:
    first, *_, last = records(loaded)

    known = call(url, event(first), call_id="msg_1")
    changed = call(url, event(newer(last)), call_id="msg_2")
    late = call(url, event({**newer(last), "id": "new", "created_at": "2025-01-02T12:00:00Z"}), call_id="msg_3")

    assert [(answer.status_code, answer.text) for answer in (known, changed, late)] == [
        (200, "known\n"), (200, "marked\n"), (200, "marked\n")
    ]  # fmt: skip
    assert stale(loaded.database) == [(date(2025, 1, 2), "webhook", ["new"]), (LAST, "webhook", [last["id"]])]
    [events] = [row["event_days"] for row in loaded.rows(f"select event_days from {STALE} where day = '{LAST}'")]
    ledger = loaded.rows(f"select distinct event_date from clean.sales where order_id = '{last['id']}' order by 1")
    assert events == [row["event_date"] for row in ledger]


def test_nothing_of_what_a_call_holds_is_kept_but_which_order_it_is_of(
    loaded: Pipeline, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record = {**newer(records(loaded)[0]), "email": "somebody.special@example.com", "total": "123456.78"}

    assert call(url, event(record)).status_code == 200
    assert call(url, event(record), secret="another").status_code == 401

    [row] = loaded.rows("select to_jsonb(calls)::text as text from ops.webhook_calls as calls")
    assert record["id"] in str(row["text"])
    for told in (str(row["text"]), caplog.text):
        assert "somebody.special" not in told
        assert "123456" not in told
        assert SECRET not in told
    assert loaded.rows("select * from raw.orders where payload::text like '%somebody.special%'") == []


def test_a_call_that_comes_again_marks_nothing_whatever_id_it_has(loaded: Pipeline, url: str) -> None:
    body = event(newer(records(loaded)[0]))

    answers = [call(url, body, call_id=call_id).text for call_id in ("msg_1", "msg_1", "msg_2")]
    execute(loaded.database, f"delete from {STALE}")
    again = call(url, body, call_id="msg_1").text

    assert [*answers, again] == ["marked\n", "repeated\n", "repeated\n", "repeated\n"]
    assert stale(loaded.database) == []
    assert loaded.rows("select call_id, repeats from ops.webhook_calls") == [{"call_id": "msg_1", "repeats": 3}]


def test_calls_without_a_moment_in_them_are_two_though_they_say_the_same(loaded: Pipeline, shop: Shop) -> None:
    one = named(records(loaded)[0]["id"])
    results = [take_call(loaded.database, shop, replace(one, call_id=call_id)) for call_id in ("a", "b", "b")]
    assert results == ["marked", "marked", "repeated"]


def test_where_ids_are_not_signed_the_same_content_without_a_moment_counts_once_a_day(
    loaded: Pipeline, shop: Shop
) -> None:
    gone = named(records(loaded)[0]["id"], is_deletion=True, is_id_signed=False)

    results = [take_call(loaded.database, shop, replace(gone, call_id=str(number))) for number in range(3)]
    execute(loaded.database, "update ops.webhook_calls set received_at = received_at - interval '25 hours'")
    results += [take_call(loaded.database, shop, replace(gone, call_id=str(number))) for number in range(3, 6)]

    assert results == ["marked", "repeated", "repeated"] * 2
    assert loaded.rows("select call_id, repeats from ops.webhook_calls order by call_id") == [
        {"call_id": "0", "repeats": 2},
        {"call_id": "3", "repeats": 2},
    ]


def test_a_recorded_call_is_not_taken_again_under_another_topic_and_id_which_are_not_signed(
    loaded: Pipeline, shop: Shop
) -> None:
    changed = named(records(loaded)[0]["id"], changed_at=datetime(2025, 2, 19, tzinfo=UTC), is_id_signed=False)
    assert take_call(loaded.database, shop, changed) == "marked"
    execute(loaded.database, "update ops.webhook_calls set received_at = received_at - interval '25 hours'")
    undated = replace(changed, call_id="other", topic="orders/delete", changed_at=None, is_deletion=True)
    assert take_call(loaded.database, shop, undated) == "repeated"


def test_of_calls_that_come_at_once_with_one_id_one_is_taken(loaded: Pipeline, url: str) -> None:
    body, answers = event(newer(records(loaded)[0])), list[str]()
    threads = [threading.Thread(target=lambda: answers.append(call(url, body).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["marked\n", *["repeated\n"] * 7]
    assert loaded.rows("select repeats from ops.webhook_calls") == [{"repeats": 7}]


def test_a_day_that_is_not_loaded_is_noted_and_not_stale_and_today_only_is_where_it_is_kept_current(
    loaded: Pipeline, shop: Shop
) -> None:
    today = datetime.now(shop.zone).date()
    days = [FIRST - timedelta(days=1), UNKNOWN_DAY, today, today + timedelta(days=3)]

    for number, day in enumerate(days):
        assert take_call(loaded.database, shop, named(f"new-{number}", number, order_date=day)) == "not_loaded"
    assert stale(loaded.database) == []

    current = shop.model_copy(update={"intraday": True})
    for number, day in enumerate(days, 10):
        expected = "marked" if day == today else "not_loaded"
        assert take_call(loaded.database, current, named(f"new-{number}", number, order_date=day)) == expected
    assert stale(loaded.database) == [(today, "webhook", ["new-12"])]


def test_an_order_of_which_no_day_is_known_asks_for_a_poll_or_for_today(loaded: Pipeline, shop: Shop) -> None:
    today = datetime.now(shop.zone).date()
    deaf = shop.model_copy(update={"orders": shop.orders.model_copy(update={"changed_since": None})})
    current = shop.model_copy(update={"intraday": True})

    found = [
        take_call(loaded.database, one, named(order_id, number))
        for number, (one, order_id) in enumerate([(shop, "new"), (shop, None), (deaf, "new"), (current, "new")])
    ]

    assert found == ["poll", "poll", "unknown", "marked"]
    assert stale(loaded.database) == [(today, "webhook", ["new"])]
    assert read_due(loaded.database, 0).needs_poll


def test_a_refund_is_of_its_order_unless_that_was_read_after_it(loaded: Pipeline, shop: Shop) -> None:
    [row] = loaded.rows("select order_id, order_date, extracted_at from raw.orders order by order_id limit 1")
    order_id, read_at = str(row["order_id"]), row["extracted_at"]
    assert isinstance(read_at, datetime)

    before = take_call(loaded.database, shop, named(order_id, 1, happened_at=read_at - timedelta(minutes=6)))
    after = take_call(loaded.database, shop, named(order_id, 2, happened_at=read_at - timedelta(minutes=4)))

    assert (before, after) == ("known", "marked")
    assert stale(loaded.database) == [(row["order_date"], "webhook", [order_id])]


def test_an_order_that_is_gone_marks_its_day_once_it_was_stored(loaded: Pipeline, shop: Shop) -> None:
    stored = str(records(loaded)[0]["id"])
    assert take_call(loaded.database, shop, named("never seen", 1, is_deletion=True)) == "known"
    assert take_call(loaded.database, shop, named(stored, 2, is_deletion=True)) == "marked"
    assert stale(loaded.database) == [(FIRST, "webhook", [stored])]


def test_an_order_that_has_moved_marks_both_of_its_days(loaded: Pipeline, shop: Shop) -> None:
    stored = records(loaded)[0]
    moved = named(stored["id"], order_date=LAST, changed_at=datetime(2025, 2, 19, tzinfo=UTC))
    assert take_call(loaded.database, shop, moved) == "marked"
    assert [(day, reason) for day, reason, _ in stale(loaded.database)] == [(FIRST, "moved"), (LAST, "moved")]


def test_a_call_that_meets_a_busy_list_is_stored_and_judged_later(
    loaded: Pipeline, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "SECONDS_TO_WAIT", 0.1)
    changed = named(records(loaded)[0]["id"], changed_at=datetime(2025, 2, 19, tzinfo=UTC))
    with loaded.database.connect() as connection, closing(connection.cursor()) as cursor:
        lock_list(cursor)  # as a run that commits
        assert take_call(loaded.database, shop, changed) == "waiting"
    assert stale(loaded.database) == []
    assert read_due(loaded.database, 0).is_waiting

    assert judge_waiting(loaded.database, shop) == 1

    assert outcomes(loaded.database) == ["marked"]
    assert [day for day, _, _ in stale(loaded.database)] == [FIRST]
    assert judge_waiting(loaded.database, shop) == 0


def test_an_order_that_a_run_writes_while_the_list_is_waited_for_marks_nothing(loaded: Pipeline, shop: Shop) -> None:
    record = records(loaded)[0]
    changed = named(record["id"], changed_at=datetime(2025, 2, 19, tzinfo=UTC))
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(take_call(loaded.database, shop, changed)))
    with loaded.database.connect() as connection, closing(connection.cursor()) as cursor:
        lock_list(cursor)
        cursor.execute(
            "update raw.orders set payload = $2::text::json where order_id = $1",
            (record["id"], json.dumps(newer(record))),
        )
        thread.start()
        time.sleep(0.3)
        connection.commit()
    thread.join()
    assert found == ["known"]
    assert stale(loaded.database) == []


def test_a_call_is_on_disk_before_it_is_answered(loaded: Pipeline, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the tests does not wait for the disk by itself."""
    seen = []

    def judge(cursor: Any, *_: object) -> str:  # noqa: ANN401 - a cursor
        seen.append(cursor.execute("show synchronous_commit").fetchone()[0])
        return "other"

    monkeypatch.setattr(marking, "_judge_and_mark", judge)
    take_call(loaded.database, shop, named("new"))
    assert seen == ["on"]
    assert query(loaded.database, "show synchronous_commit") == [{"synchronous_commit": "off"}]


def chunks(size: int, number: int, pause: float = 0.0) -> Iterator[bytes]:
    for _ in range(number):
        yield b"x" * size
        time.sleep(pause)


def test_what_is_unsigned_forged_late_huge_or_slow_is_refused_and_counted_and_not_stored(
    loaded: Pipeline, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "SECONDS_FOR_BODY", 0.5)
    monkeypatch.setattr(receiver, "LARGEST_BODY", 100_000)
    body = event(newer(records(loaded)[0]))
    signed = {"webhook-id": "1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
    refused: dict[str, Callable[[], requests.Response]] = {
        "401 unsigned": lambda: requests.post(url, body, timeout=9),
        "401 wrong_signature": lambda: call(url, body, secret="another secret"),
        "401 late": lambda: call(url, body, age=301),
        "413 too_large": lambda: call(url, b"x" * 100_001),
        "431 too_many_headers": lambda: call(url, body, long="x" * 17_000),
        "400 unreadable": lambda: call(url, b"no json"),
        "408 too_slow": lambda: requests.post(url, chunks(1, 30, 0.1), headers=signed, timeout=9),
    }

    for expected, made in refused.items():
        answer = made()
        status, word = expected.split()
        assert (answer.status_code, answer.text) == (int(status), f"refused: {word}\n")
    dripping = requests.post(url, chunks(10_000, 11), headers=signed, timeout=9)
    assert dripping.status_code == 413
    other = f"{url}-of-nobody"
    assert (call(other, body).status_code, requests.get(url, timeout=9).status_code) == (404, 405)
    _cut(url, signed)

    wanted = dict.fromkeys([word.split()[1] for word in refused], 1) | {"too_large": 2, "cut": 1}
    deadline = time.monotonic() + 20
    while (found := read_traffic(loaded.database).refused) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert outcomes(loaded.database) == []
    assert stale(loaded.database) == []
    assert read_traffic(loaded.database).are_all_refused
    assert call(url, body).text == "marked\n"
    assert not read_traffic(loaded.database).are_all_refused


def _cut(url: str, headers: dict[str, str]) -> None:
    """Begin a call and hang up in the middle of its body."""
    host, port = url.split("/")[2].split(":")
    lines = [f"POST /{url.split('/', 3)[3]} HTTP/1.1", f"Host: {host}", "Content-Length: 1000"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join([*lines, "", "half"]).encode())
        time.sleep(0.1)


def test_more_calls_at_once_than_fit_are_to_come_again(
    loaded: Pipeline, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MOST_AT_ONCE", 0)
    answer = call(url, event(newer(records(loaded)[0])))
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "refused: busy\n", "5")


def test_without_a_database_calls_are_to_come_again_and_the_log_says_once_why(
    loaded: Pipeline, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = Database(f"postgresql://nobody@127.0.0.1:{closed.getsockname()[1]}/analytics")
        body = event(newer(records(loaded)[0]))
        with receiving([(shop, gone)]) as base:
            answers = [call(f"{base}/{shop.name}", body, call_id=f"msg_{number}") for number in range(3)]
    assert {(one.status_code, one.text, one.headers["Retry-After"]) for one in answers} == {
        (503, "refused: no_database\n", "5")
    }
    assert caplog.text.count("no Postgres server answers") == 1


def test_a_slow_database_is_not_waited_for(loaded: Pipeline, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "SECONDS_TO_STORE", 0.3)
    body = event(newer(records(loaded)[0]))
    with loaded.database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("lock table ops.webhook_calls")
        assert call(url, body).status_code == 503
    deadline = time.monotonic() + 20
    while outcomes(loaded.database) != ["marked"]:  # what was left to itself has stored it after all
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert call(url, body).text == "repeated\n"


def test_one_receiver_takes_the_calls_of_several_shops_each_into_its_own_tables_by_its_own_secret(
    loaded: Pipeline, shop: Shop
) -> None:
    own = WEBHOOKS.model_copy(update={"secret": "${ANOTHER_SECRET}"})
    other = shop.model_copy(update={"name": "other", "namespace": "de", "webhooks": own})
    body, in_de = event(newer(records(loaded)[0])), loaded.database.of("de")
    with receiving([(shop, loaded.database), (other, in_de)], {"ANOTHER_SECRET": "the other one"}) as base:
        assert call(f"{base}/{shop.name}", body).text == "marked\n"
        assert call(f"{base}/other", body).status_code == 401
        assert call(f"{base}/other", body, secret="the other one").text == "not_loaded\n"
        assert call(f"{base}/third", body).status_code == 404
    assert outcomes(loaded.database) == ["marked"]
    assert query(loaded.database, "select outcome from de_ops.webhook_calls") == [{"outcome": "not_loaded"}]
    assert read_traffic(in_de).refused == {"wrong_signature": 1}


def test_a_shop_that_cannot_be_served_stops_no_other(
    loaded: Pipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    described = loaded.description.read_text(encoding="utf-8")
    for name in ("one", "two"):
        text = described.replace("name: demo", f"name: {name}").replace("ANALYTICS_DEMO_WEBHOOK_SECRET", name.upper())
        (tmp_path / "shops").mkdir(exist_ok=True)
        (tmp_path / "shops" / f"{name}.yaml").write_text(f"{text}namespace: {name}\n", encoding="utf-8")
    settings = {"ANALYTICS_PROJECT": str(tmp_path), "ANALYTICS_DATABASE_URL": loaded.database.url}

    app.create_app(environment={**settings, "TWO": "a secret"})

    assert "takes no calls of" in caplog.text
    assert "ONE, which is not set" in caplog.text
    with pytest.raises(MissingSecretError):
        app.create_app(environment=settings)


def test_the_first_call_of_woocommerce_is_answered_and_marks_nothing(loaded: Pipeline, shop: Shop) -> None:
    woo = shop.model_copy(update={"webhooks": WEBHOOKS.model_copy(update={"dialect": "woocommerce"})})
    with receiving([(woo, loaded.database)]) as base:
        ping = requests.post(f"{base}/{woo.name}", {"webhook_id": 12}, timeout=9)
        unsigned = requests.post(f"{base}/{woo.name}", {"webhook_id": "12", "id": 5}, timeout=9)
    assert (ping.status_code, unsigned.status_code) == (200, 401)
    assert loaded.rows("select * from ops.webhook_calls") == []


def test_calls_are_forgotten_after_thirty_days(loaded: Pipeline, shop: Shop) -> None:
    for number in (1, 2):
        take_call(loaded.database, shop, named("new", number, order_date=UNKNOWN_DAY))
    execute(
        loaded.database, "update ops.webhook_calls set received_at = now() - interval '31 days' where call_id = 'msg_1'"
    )
    execute(loaded.database, "insert into ops.webhook_refusals values (current_date - 31, 'late', 1, now())")

    forget_old(loaded.database)

    assert loaded.rows("select call_id from ops.webhook_calls") == [{"call_id": "msg_2"}]
    assert loaded.rows("select * from ops.webhook_refusals") == []


def test_what_came_is_told_in_a_line(loaded: Pipeline, shop: Shop) -> None:
    nothing = describe_traffic(read_traffic(loaded.database), shop.zone)
    take_call(loaded.database, shop, named(records(loaded)[0]["id"], changed_at=datetime(2025, 2, 19, tzinfo=UTC)))
    execute(loaded.database, "insert into ops.webhook_refusals values (current_date, 'late', 3, now())")

    line = describe_traffic(read_traffic(loaded.database), shop.zone)

    assert nothing == "no call has come yet"
    assert line.startswith("last call 20")
    assert (
        "(order.updated); in 24 hours 1 taken, 0 of them repeated; refused since yesterday: 3 late; 1 day waits" in line
    )


def test_up_says_what_a_description_lacks_before_it_starts_anything(
    loaded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = redescribed(loaded, loaded.description.parent, webhooks={}).description
    monkeypatch.setenv(SHOP, str(path))
    without = CliRunner().invoke(up, ["--webhooks"])
    monkeypatch.setenv(SHOP, str(loaded.description))
    monkeypatch.delenv("ANALYTICS_DEMO_WEBHOOK_SECRET", raising=False)
    unset = CliRunner().invoke(up, ["--webhooks"])

    assert "has no webhooks" in str(without.exception)
    assert "webhooks: {dialect: shopify" in str(without.exception)
    assert "ANALYTICS_DEMO_WEBHOOK_SECRET" in str(unset.exception)
