"""Calls of a shop: 10,000 of them to a receiver that is killed meanwhile, and the way of a paid order to the marts.

The second trial is the product as it is run: `up --webhooks` with its daemon and sensors, the embedded server, a demo
shop that calls. `TRIAL_CALLS` and `TRIAL_ORDERS` make the trials shorter, `TRIAL_SEED` makes other ones.
"""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline.errors import PipelineError
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline.settings import DATABASE_URL, SHOP
from analytics_pipeline.warehouse.connection import Database, instance_database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import DEMO_DESCRIPTION, Pipeline, at
from analytics_pipeline_tests.integration.command_line import environment, run
from analytics_pipeline_tests.integration.late import CHANGEABLE, Clock, database_time
from analytics_pipeline_tests.integration.loaded import embedded_database, stop_server
from analytics_pipeline_tests.integration.storm import Event, Storm, events_since, killed_receiver
from analytics_pipeline_tests.integration.truth import agrees

CALLS = int(os.environ.get("TRIAL_CALLS", "10000"))
ORDERS = int(os.environ.get("TRIAL_ORDERS", "30"))
SEED = int(os.environ.get("TRIAL_SEED", "7"))
SECRET, KEY = "the secret of the trial", "ANALYTICS_DEMO_WEBHOOK_SECRET"
OPENED, LOADED, LATER = date(2025, 2, 1), date(2025, 3, 30), 7
STORMY = DemoShopSettings(opened=OPENED, orders_per_day=(130, 160), longest_refund_days=20, **CHANGEABLE)
CALM = DemoShopSettings(opened=date.today() - timedelta(days=3), orders_per_day=(20, 30), longest_refund_days=2)  # noqa: DTZ011
PORT, CALLS_PORT = 3979, 3980
MINUTE = 60.0


def _shown(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _spread(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    share = {part: ordered[min(len(ordered) - 1, int(part * len(ordered)))] for part in (0.5, 0.9, 0.99)}
    shown = ", ".join(f"p{round(100 * part)} {value:.3g}" for part, value in share.items())
    _shown(f"{name:44} min {ordered[0]:.3g}, {shown}, max {ordered[-1]:.3g} s")


def test_whatever_10000_calls_are_and_however_the_receiver_is_killed_each_affected_day_is_right_and_no_other_reloaded(
    pipeline_of: Callable[..., Pipeline], tmp_path: Path
) -> None:
    chance, morning = random.Random(SEED), at(f"{LOADED + timedelta(days=1)}T05:00:00+02:00")  # noqa: S311 - no secret
    clock = Clock(morning)
    with serve(STORMY, now=clock) as shop:
        pipeline = pipeline_of(shop)
        assert pipeline.run(OPENED, LOADED).succeeded
        needed, others = _events(shop, clock, morning)
        genuine, forged = _calls(needed, others, chance)
        moment = database_time(pipeline)
        settings = {DATABASE_URL: pipeline.database.url, SHOP: str(pipeline.description), KEY: SECRET}
        with killed_receiver(environment(ANALYTICS_HOME=str(tmp_path / "home"), **settings)) as receiver:
            storm = Storm(f"http://127.0.0.1:{receiver.port}/webhooks/demo", SECRET, genuine, forged)
            began = time.monotonic()
            raging = threading.Thread(target=storm.rage, args=(chance,))
            raging.start()
            for part in (0.25, 0.5, 0.75):
                while storm.done < part * CALLS:
                    time.sleep(0.01)
                receiver.kill()
                _shown(f"killed -9 after {storm.done} answers")
                receiver.start()
            raging.join()
            seconds = time.monotonic() - began
        _shown(f"{CALLS} calls in {seconds:.0f} s, answers by status: {dict(storm.answers)}")
        _spread("a call's answer", storm.seconds)
        outcomes = {
            str(row["outcome"]): int(str(row["calls"]))
            for row in pipeline.rows(
                "select outcome, count(*) as calls from ops.webhook_calls group by outcome order by 1"
            )
        }
        repeats = pipeline.rows("select sum(repeats)::bigint as n from ops.webhook_calls")[0]["n"]
        refusals = pipeline.rows("select reason, sum(calls)::bigint as n from ops.webhook_refusals group by reason")
        _shown(f"what they did: {outcomes}; repeats {repeats}; refused {refusals}")
        taken = {row["call_id"] for row in pipeline.rows("select call_id from ops.webhook_calls")}
        affected = shop.shop.changed_order_days(morning) & set(Days(OPENED, LOADED))
        stale = {row["day"] for row in pipeline.rows("select day from ops.stale_days")}
        _shown(f"{len(affected)} of {len(Days(OPENED, LOADED))} loaded days had changed; {len(stale)} marked")
        runs = _load(pipeline)
        written = pipeline.rows(
            "select day from ops.materialised_days where table_name = 'raw.orders' "
            f"and written_at > timestamptz '{moment}'"
        )
        agrees(pipeline, OPENED, LOADED)
        _shown(f"loaded again: {len(written)} days in {runs} runs; every day agrees with the shop's truth to the cent")
    assert taken == {call_id for call_id, _ in genuine}
    assert storm.answers[401] == len(forged)
    assert stale == affected == {row["day"] for row in written}
    assert "waiting" not in outcomes


def _events(shop: RunningShop, clock: Clock, morning: datetime) -> tuple[list[Event], list[Event]]:
    """Return the calls that have to be made so that every change is reported, and others of all states before."""
    others = dict(events_since(shop.shop, datetime(2025, 1, 1, tzinfo=UTC)))
    for days in range(1, LATER + 1):
        clock.now = morning + timedelta(days=days)
        others |= dict(events_since(shop.shop, clock.now - timedelta(days=1)))
    needed = dict(events_since(shop.shop, morning))
    return list(needed.items()), [(call_id, body) for call_id, body in others.items() if call_id not in needed]


def _calls(needed: list[Event], others: list[Event], chance: random.Random) -> tuple[list[Event], list[Event]]:
    """Return the genuine calls, a tenth of all repeated, and the forged ones, a twentieth."""
    repeated, forged = CALLS // 10, CALLS // 20
    different = CALLS - repeated - forged
    once = [*needed, *chance.sample(others, different - len(needed))]
    genuine = [*once, *chance.sample(once, repeated)]
    _shown(f"{len(genuine)} genuine calls, {repeated} of them repeats, {len(needed)} report a change; {forged} forged")
    return genuine, [(f"forged-{number}", body) for number, (_, body) in enumerate(chance.sample(once, forged))]


def _load(pipeline: Pipeline) -> int:
    runs = 0
    while ranges := days_to_load(pipeline.database, in_flight=(), most=1000):
        for days in ranges:
            assert pipeline.run(days.first, days.last, job=job_of_stale_days(pipeline.database, days)).succeeded
            runs += 1
    return runs


@dataclass(frozen=True)
class Way:
    """When a paid order was where, in seconds since it was placed."""

    called: float
    asked_for: float
    started: float
    extracting: float
    in_the_mart: float


def test_a_paid_order_stands_in_the_marts_within_a_minute(tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    with serve(CALM) as shop, _up(shop, tmp_path) as (database, log):
        _wait(lambda: _ticks(database), 300)
        _shown(f"`up` ticks; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        ways = []
        for number in range(ORDERS):
            time.sleep(chance.uniform(0, 25))
            order, placed_at = shop.shop.place_order(), datetime.now(UTC)
            ways.append(_followed(database, order.order_id, placed_at))
            _shown(f"order {number + 1}: in daily_revenue after {ways[-1].in_the_mart:.1f} s")
        today = datetime.now(CALM.zone).date()
        _wait(lambda: _agrees(database, shop, today), 60)
        load = os.getloadavg()
    _shown(f"{ORDERS} orders, seed {SEED}; load meanwhile {load[2]:.1f}")
    _spread("placed -> the call is on disk", [way.called for way in ways])
    _spread("the call -> the sensor asks for a run", [way.asked_for - way.called for way in ways])
    _spread("asked for -> the run's process executes", [way.started - way.asked_for for way in ways])
    _spread("executes -> the extraction begins", [way.extracting - way.started for way in ways])
    _spread("extraction -> daily_revenue is committed", [way.in_the_mart - way.extracting for way in ways])
    _spread("placed -> in marts.daily_revenue", [way.in_the_mart for way in ways])
    _shown(f"mean {statistics.mean(way.in_the_mart for way in ways):.1f} s; log: {log}")
    assert max(way.in_the_mart for way in ways) < MINUTE


@contextmanager
def _up(shop: RunningShop, folder: Path) -> Iterator[tuple[Database, Path]]:
    """Run the product on a shop that calls, with two days loaded."""
    home = Path(tempfile.mkdtemp(prefix="analytics-pipeline-calls-"))
    home.chmod(0o755)
    content: dict[str, Any] = yaml.safe_load(DEMO_DESCRIPTION.read_text(encoding="utf-8"))
    content |= {"base_url": shop.url, "first_day": CALM.opened, "intraday": True}
    description = folder / "demo.yaml"
    description.write_text(yaml.safe_dump(content), encoding="utf-8")
    settings = {"ANALYTICS_HOME": str(home / "state"), SHOP: str(description), KEY: SECRET}
    log = Path(os.environ.get("TRIAL_LOG", str(folder / "up.log")))
    try:
        assert run("run", "--from", str(CALM.opened), folder=home, **settings).returncode == 0
        with log.open("wb") as output:
            up = subprocess.Popen(
                [sys.executable, "-m", "analytics_pipeline", "up", "--port", str(PORT),
                 "--webhooks", "--webhooks-port", str(CALLS_PORT)],
                cwd=home, env=environment(**settings), stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
            shop.call(f"http://127.0.0.1:{CALLS_PORT}/webhooks/demo", SECRET)
            try:
                _wait((home / "state" / "postgres.password").exists, 60)
                yield embedded_database(home / "state"), log
            finally:
                up.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    up.wait(60)
    finally:
        stop_server(home / "state")
        shutil.rmtree(home, ignore_errors=True)


def _wait(holds: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _rows(database: Database, sql: str) -> list[dict[str, Any]]:
    try:
        return query(database, sql)
    except (PipelineError, psycopg.Error):  # it is just starting
        return []


def _ticks(database: Database) -> bool:
    found = _rows(instance_database(database), "select count(*) as n from job_ticks where tick_body like '%webhooks%'")
    return bool(found and found[0]["n"] > 1)


def _followed(database: Database, order_id: str, placed_at: datetime) -> Way:
    """Wait until an order is in the mart, and tell how it came there."""
    written = (
        "select raw.run_id, raw.as_of, mart.written_at from ops.materialised_days as raw "
        "join ops.materialised_days as mart on mart.day = raw.day and mart.run_id = raw.run_id "
        "and mart.table_name = 'marts.daily_revenue' and raw.table_name = 'raw.orders' "
        "where raw.day = (select max(order_date) from clean.sales "
        f"where order_id = '{order_id}' and order_date >= current_date - 1)"
    )
    _wait(lambda: _rows(database, written), 4 * MINUTE)
    [row] = _rows(database, written)
    # By the order's own call alone: another one may have had the day loaded before it came.
    called = _rows(database, f"select min(received_at) as at from ops.webhook_calls where order_id = '{order_id}'")
    [started] = _rows(
        instance_database(database),
        "select (create_timestamp at time zone 'UTC') as created, to_timestamp(start_time) as started "
        f"from runs where run_id = '{row['run_id']}'",
    )
    moments = (called[0]["at"], started["created"], started["started"], row["as_of"], row["written_at"])
    return Way(*((moment - placed_at).total_seconds() for moment in moments))


def _agrees(database: Database, shop: RunningShop, today: date) -> bool:
    truth = shop.shop.truth(today).revenue["EUR"]
    rows = _rows(
        database, f"select orders, total_sales::text as total from marts.daily_revenue where event_date = '{today}'"
    )
    return bool(rows) and (rows[0]["orders"], float(rows[0]["total"])) == (truth.orders, float(truth.total_sales))
