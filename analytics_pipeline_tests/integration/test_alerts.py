"""Alerts as a receiver sees them: real runs, a real database, a real HTTP server that takes the messages."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.errors import ShopRefusedError
from analytics_pipeline.orchestration.alert_sensors import build_alert_sensors
from analytics_pipeline.orchestration.alerting import Evaluation, evaluate
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.orchestration.running import RANGE_END, RANGE_START
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline_tests.conftest import Pipeline, describe
from analytics_pipeline_tests.integration.loaded import LAST
from analytics_pipeline_tests.integration.receivers import PASSWORD, TOKEN, Receiver, receiving
from analytics_pipeline_tests.integration.tables import execute, value

FIRST = date(2025, 1, 1)
EARLY = datetime(2025, 1, 1, 12, tzinfo=UTC)
"""Before any day of the shop is over: no day is due."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the settings name."""
    with receiving() as running:
        monkeypatch.setenv("ANALYTICS_ALERT_URLS", running.url)
        yield running


@pytest.fixture
def quiet(start_shop: Callable[..., RunningShop], pipeline_of: Callable[..., Pipeline]) -> Pipeline:
    """A pipeline that has not run yet, on a shop with few orders."""
    shop = start_shop(now=datetime(2025, 1, 20, tzinfo=UTC), opened=FIRST, orders_per_day=(3, 4))
    pipeline = pipeline_of(shop)
    prepare(pipeline.database)
    return pipeline


def tick(pipeline: Pipeline, now: datetime) -> Evaluation:
    return evaluate(
        pipeline.instance,
        pipeline.database,
        build_catalogue(str(pipeline.description)),
        now,
        check_keys=pipeline.definitions.resolve_asset_graph().asset_check_keys,
    )


def broken(pipeline: Pipeline, folder: Path) -> Pipeline:
    """The same pipeline with a description whose orders the shop does not know."""
    description = describe(pipeline.shop, folder, orders={"path": "/no-orders"})
    return replace(pipeline, description=description, definitions=build_definitions(str(description)))


def end_run(pipeline: Pipeline, *, succeeds: bool, days: tuple[date, date] = (FIRST, FIRST), job: str = "daily") -> str:
    """Let a run of a job's name over some days succeed or fail at once; returns its id."""

    @dg.op
    def step() -> None:
        if not succeeds:
            raise ShopRefusedError("the shop knows no orders")

    @dg.job(name=job)
    def quick() -> None:
        step()

    tags = {RANGE_START: str(days[0]), RANGE_END: str(days[1])}
    return quick.execute_in_process(instance=pipeline.instance, tags=tags, raise_on_error=False).run_id


def write_day(pipeline: Pipeline, day: date, as_of: datetime, written_at: datetime | None = None) -> None:
    """Write what a run that writes every daily mart of a day leaves."""
    for table in build_catalogue("demo").due_names:
        execute(
            pipeline.database,
            "insert into ops.materialised_days (table_name, day, first_written_at, written_at, run_id, as_of, "
            f"code_version) values ('{table}', '{day}', '{as_of}', '{written_at or as_of}', 'r', '{as_of}', 'd') "
            "on conflict (table_name, day) do update set as_of = excluded.as_of, written_at = excluded.written_at",
        )


def test_a_failed_run_is_reported_once_then_again_after_the_set_time_and_its_end_once(
    quiet: Pipeline, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_REPEAT_HOURS", "6")
    monkeypatch.setenv("ANALYTICS_UI_URL", "http://ui.example:3001/")
    tick(quiet, EARLY)
    assert receiver.messages == []

    summary = broken(quiet, tmp_path).run(FIRST)
    tick(quiet, EARLY)
    tick(quiet, EARLY + timedelta(minutes=1))

    assert receiver.titles == ["[demo] run failed: daily of 2025-01-01"]
    (message,) = receiver.messages
    assert message["type"] == "failure"
    assert "- raw/orders: " in message["message"]
    assert "no-orders" in message["message"]
    assert "analytics-pipeline run --from 2025-01-01 --to 2025-01-01" in message["message"]
    assert f"http://ui.example:3001/runs/{summary.run_id}" in message["message"]

    tick(quiet, EARLY + timedelta(hours=5, minutes=59))
    assert len(receiver.messages) == 1
    tick(quiet, EARLY + timedelta(hours=6))
    tick(quiet, EARLY + timedelta(hours=6, minutes=1))
    assert receiver.titles[1:] == ["[demo] still run failed: daily of 2025-01-01"]

    assert quiet.run(FIRST).succeeded
    over_at = EARLY + timedelta(hours=7)
    tick(quiet, over_at)
    tick(quiet, over_at + timedelta(minutes=1))
    assert receiver.titles[2:] == ["[demo] over: run failed: daily of 2025-01-01"]
    assert receiver.messages[2]["type"] == "success"
    (kept,) = quiet.rows("select kind, subject, sends, closed_at, over_sent_at from ops.incidents")
    assert kept == {
        "kind": "run_failed",
        "subject": "daily of 2025-01-01",
        "sends": 3,
        "closed_at": over_at,
        "over_sent_at": over_at,
    }


def test_runs_of_the_same_days_that_fail_again_are_one_incident_that_links_to_the_last(
    quiet: Pipeline, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_REPEAT_HOURS", "1")
    end_run(quiet, succeeds=False)
    tick(quiet, EARLY)
    last = end_run(quiet, succeeds=False)
    tick(quiet, EARLY + timedelta(minutes=1))
    tick(quiet, EARLY + timedelta(hours=1))

    assert len(receiver.messages) == 2
    assert last in receiver.messages[1]["message"]
    assert value(quiet.database, "select count(*) from ops.incidents") == 1


def test_a_message_that_was_refused_is_sent_with_the_next_evaluation(quiet: Pipeline, receiver: Receiver) -> None:
    end_run(quiet, succeeds=False)
    receiver.status = 500
    refused = tick(quiet, EARLY)
    before = quiet.rows("select sends, last_sent_at from ops.incidents")
    receiver.status = 200
    taken = tick(quiet, EARLY + timedelta(minutes=1))
    tick(quiet, EARLY + timedelta(minutes=2))

    assert refused.failures == (f"URL 1 (json://127.0.0.1:{receiver.port}) could not be reached: it answered 500",)
    assert before == [{"sends": 0, "last_sent_at": None}]
    assert taken.failures == ()
    assert receiver.titles == ["[demo] run failed: daily of 2025-01-01"]
    assert receiver.requests == 2


def test_an_end_that_could_not_be_reported_is_told_later(quiet: Pipeline, receiver: Receiver) -> None:
    end_run(quiet, succeeds=False)
    tick(quiet, EARLY)
    end_run(quiet, succeeds=True)
    receiver.status = 503
    tick(quiet, EARLY + timedelta(minutes=1))
    receiver.status = 200
    tick(quiet, EARLY + timedelta(minutes=2))
    tick(quiet, EARLY + timedelta(minutes=3))

    assert receiver.titles[1:] == ["[demo] over: run failed: daily of 2025-01-01"]


def test_one_receiver_that_is_down_neither_silences_nor_repeats_the_other(
    quiet: Pipeline, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_run(quiet, succeeds=False)
    with receiving() as other:
        monkeypatch.setenv("ANALYTICS_ALERT_URLS", f"{other.url}, {receiver.url}")
        other.status = 502
        first = tick(quiet, EARLY)
        tick(quiet, EARLY + timedelta(minutes=1))
        assert len(first.failures) == 1
        assert len(receiver.messages) == 1
        assert other.messages == []
        other.status = 200
        tick(quiet, EARLY + timedelta(minutes=2))
        tick(quiet, EARLY + timedelta(minutes=3))

        assert other.titles == receiver.titles == ["[demo] run failed: daily of 2025-01-01"]
    end_run(quiet, succeeds=True)
    tick(quiet, EARLY + timedelta(minutes=4))
    assert receiver.titles[1:] == ["[demo] over: run failed: daily of 2025-01-01"]
    assert value(quiet.database, "select array_to_string(unreached, ',') from ops.incidents") == "1"


def test_without_receivers_incidents_are_kept_and_logged_and_nobody_is_reported_of_old_ones_later(
    quiet: Pipeline, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = receiver.url
    monkeypatch.delenv("ANALYTICS_ALERT_URLS")
    end_run(quiet, succeeds=False)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        tick(quiet, EARLY)
        assert "incident: run_failed: daily of 2025-01-01" in caplog.text
        end_run(quiet, succeeds=True)
        tick(quiet, EARLY + timedelta(minutes=1))
        assert "over: run_failed: daily of 2025-01-01" in caplog.text
    monkeypatch.setenv("ANALYTICS_ALERT_URLS", url)
    tick(quiet, EARLY + timedelta(minutes=2))

    assert receiver.messages == []
    assert value(quiet.database, "select count(*) from ops.incidents where closed_at is not null") == 1


def test_a_receiver_that_is_set_later_is_reported_of_what_is_still_open(
    quiet: Pipeline, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_URLS", "")
    end_run(quiet, succeeds=False)
    tick(quiet, EARLY)
    monkeypatch.setenv("ANALYTICS_ALERT_URLS", receiver.url)
    tick(quiet, EARLY + timedelta(minutes=1))

    assert receiver.titles == ["[demo] run failed: daily of 2025-01-01"]


def test_an_incident_is_kept_before_anybody_is_reported(quiet: Pipeline, receiver: Receiver) -> None:
    kept: list[object] = []
    receiver.meanwhile = lambda: kept.extend(quiet.rows("select key, last_sent_at from ops.incidents"))
    end_run(quiet, succeeds=False)
    tick(quiet, EARLY)

    assert kept == [{"key": "run_failed/daily/2025-01-01/2025-01-01", "last_sent_at": None}]


def test_a_crash_between_sending_and_marking_repeats_the_message_and_loses_none(
    quiet: Pipeline, receiver: Receiver
) -> None:
    end_run(quiet, succeeds=False)
    crash = "create function crash() returns trigger language plpgsql as $$ begin raise 'a crash'; end $$"
    trigger = "create trigger crash before update on ops.incidents for each row execute function crash()"
    execute(quiet.database, crash, trigger)
    with pytest.raises(psycopg.Error, match="a crash"):
        tick(quiet, EARLY)
    execute(quiet.database, "drop trigger crash on ops.incidents")
    tick(quiet, EARLY + timedelta(minutes=1))
    tick(quiet, EARLY + timedelta(minutes=2))

    assert receiver.titles == ["[demo] run failed: daily of 2025-01-01"] * 2


def test_evaluations_at_the_same_time_send_one_message(quiet: Pipeline, receiver: Receiver) -> None:
    end_run(quiet, succeeds=False)
    receiver.meanwhile = lambda: time.sleep(0.2)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(tick, quiet, EARLY) for _ in range(2)]:
            done.result()

    assert len(receiver.messages) == 1


def test_a_receiver_that_stays_down_is_no_longer_notified_of_an_end_that_others_have(
    quiet: Pipeline, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_ALERT_REPEAT_HOURS", "2")
    end_run(quiet, succeeds=False)
    with receiving() as other:
        monkeypatch.setenv("ANALYTICS_ALERT_URLS", f"{other.url} {receiver.url}")
        tick(quiet, EARLY)
        other.status = 500
        end_run(quiet, succeeds=True)
        tick(quiet, EARLY + timedelta(hours=1))
        tick(quiet, EARLY + timedelta(hours=2, minutes=59))
        other.status = 200
        tick(quiet, EARLY + timedelta(hours=3))

    assert (len(other.titles), len(receiver.titles), other.requests) == (1, 2, 3)
    assert value(quiet.database, "select count(*) from ops.incidents where unreached <> '{}'") == 0


def test_a_parked_day_is_reported_and_its_end_when_it_has_been_run(quiet: Pipeline, receiver: Receiver) -> None:
    execute(
        quiet.database,
        "insert into ops.stale_days (day, reason, order_ids, event_days, first_seen_at, seen_at, failures, "
        "failed_run_id, parked_at) values ('2025-01-01', 'refund', '{a}', '{2025-01-02}', now(), now(), 3, 'run-7', "
        "timestamptz '2025-01-01 11:00+00'), ('2025-01-02', 'edit', '{b}', '{}', now(), now(), 1, 'run-8', null)",
    )
    tick(quiet, EARLY)
    execute(quiet.database, "delete from ops.stale_days where day = '2025-01-01'")
    tick(quiet, EARLY + timedelta(minutes=1))

    assert receiver.titles == ["[demo] day given up: 2025-01-01", "[demo] over: day given up: 2025-01-01"]
    messages = receiver.messages[0]["message"]
    assert "stale (refund), its runs failed 3 times" in messages
    assert "/runs/run-7" in messages
    assert "Since 2025-01-01 12:00 CET" in messages


def test_a_day_that_is_late_is_reported_and_so_is_its_end(quiet: Pipeline, receiver: Receiver) -> None:
    due = datetime(2025, 1, 2, 5, tzinfo=UTC)  # 06:00 in Berlin
    tick(quiet, due - timedelta(seconds=1))
    assert receiver.messages == []
    tick(quiet, due + timedelta(minutes=1))
    assert receiver.titles == ["[demo] day late: 2025-01-01"]
    messages = receiver.messages[0]["message"]
    marts = "marts.daily_product_sales, marts.daily_reconciliation, marts.daily_revenue"
    assert f"due by 06:00 CET and is not whole in {marts}" in messages

    # Read before the day was over, and written after it.
    write_day(quiet, FIRST, datetime(2025, 1, 1, 22, 59, tzinfo=UTC), datetime(2025, 1, 1, 23, 5, tzinfo=UTC))
    tick(quiet, due + timedelta(minutes=2))
    assert len(receiver.messages) == 1
    write_day(quiet, FIRST, as_of=datetime(2025, 1, 1, 23, 0, tzinfo=UTC))
    tick(quiet, due + timedelta(days=1) - timedelta(hours=2))  # the next day is over, and not due yet
    assert receiver.titles[1:] == ["[demo] over: day late: 2025-01-01"]


def test_a_backfill_of_an_old_day_does_not_make_yesterday_land(quiet: Pipeline, receiver: Receiver) -> None:
    now = datetime(2025, 1, 11, 6, tzinfo=UTC)
    write_day(quiet, date(2025, 1, 3), as_of=now, written_at=now)
    tick(quiet, now)
    write_day(quiet, date(2025, 1, 4), as_of=now, written_at=now)
    tick(quiet, now + timedelta(minutes=1))

    assert receiver.titles == ["[demo] day late: 2025-01-10"]


DAMAGE = """
create function damage() returns trigger language plpgsql as $$
begin new.taxes := new.taxes + 0.01; return new; end $$
"""


def test_a_failed_check_of_a_run_is_reported_with_the_run(loaded: Pipeline, receiver: Receiver) -> None:
    trigger = "create trigger damage before insert on clean.orders for each row execute function damage()"
    execute(loaded.database, DAMAGE, trigger)
    assert not loaded.run(LAST).succeeded
    tick(loaded, EARLY)

    title = "[demo] run failed: daily of 2025-01-03"
    (messages,) = [message["message"] for message in receiver.messages if message["title"] == title]
    assert "- the check clean/orders:order_totals_equal_their_parts failed" in messages
    assert not any("check failed" in one for one in receiver.titles)
    execute(loaded.database, "drop trigger damage on clean.orders")
    assert loaded.run(FIRST).succeeded
    tick(loaded, EARLY + timedelta(minutes=1))
    assert not any("2025-01-03" in one for one in receiver.titles if "over" in one)  # the check holds, for another day


def test_a_check_that_fails_on_its_own_is_reported_and_so_is_that_it_holds(quiet: Pipeline, receiver: Receiver) -> None:
    key = dg.AssetKey(["clean", "orders"])
    for name, severity in (("blocks", dg.AssetCheckSeverity.ERROR), ("warns", dg.AssetCheckSeverity.WARN)):
        quiet.instance.report_runless_asset_event(dg.AssetCheckEvaluation(key, name, passed=False, severity=severity))
    keys = [dg.AssetCheckKey(key, "blocks"), dg.AssetCheckKey(key, "warns")]
    catalogue = build_catalogue(str(quiet.description))
    evaluate(quiet.instance, quiet.database, catalogue, EARLY, check_keys=keys)
    quiet.instance.report_runless_asset_event(dg.AssetCheckEvaluation(key, "blocks", passed=True))
    evaluate(quiet.instance, quiet.database, catalogue, EARLY, check_keys=keys)

    subject = "check failed: clean/orders:blocks"
    assert receiver.titles == [f"[demo] {subject}", f"[demo] over: {subject}"]


def test_the_secrets_of_a_url_are_in_no_log_no_table_and_no_error(
    quiet: Pipeline, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    end_run(quiet, succeeds=False)
    closed_port = receiver.url.replace(f":{receiver.port}", ":9")
    no_service = f"jsonx://{PASSWORD}@{TOKEN}"
    no_url = f"slack://{TOKEN}"
    monkeypatch.setenv("ANALYTICS_ALERT_URLS", f"{receiver.url} {closed_port} {no_service} {no_url} {TOKEN}")
    done = tick(quiet, EARLY)
    receiver.status = 401
    again = tick(quiet, EARLY + timedelta(hours=24))

    assert len(receiver.messages) == 1
    assert len(done.failures) == 4
    assert len(again.failures) == 5
    kept = str(value(quiet.database, "select string_agg(incidents::text, ' ') from ops.incidents"))
    messages = " ".join([caplog.text, kept, *done.failures, *again.failures])
    for failure in ("URL 2 (json://127.0.0.1:9)", "URL 3 (jsonx)", "URL 4 (slack)", "URL 5 of", "it answered 401"):
        assert failure in messages
    assert TOKEN not in messages
    assert PASSWORD not in messages
    assert "someone" not in messages


def test_the_sensor_looks_at_the_instance_and_sends(quiet: Pipeline, receiver: Receiver) -> None:
    end_run(quiet, succeeds=False)
    sensor = build_alert_sensors(build_catalogue(str(quiet.description)), clock=lambda: EARLY)[1]

    def tick() -> str | None:
        with dg.build_sensor_context(
            quiet.instance,
            repository_def=quiet.definitions.get_repository_def(),
            resources={"database": DatabaseResource()},
        ) as context:
            return sensor.evaluate_tick(context).skip_message

    assert tick() == "incidents: 1 opened, 0 over; messages sent: 1"
    assert tick() == "incidents: 0 opened, 0 over; messages sent: 0"
    assert receiver.titles == ["[demo] run failed: daily of 2025-01-01"]
