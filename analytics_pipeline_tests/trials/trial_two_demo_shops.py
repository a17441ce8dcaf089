"""Two demo shops in two zones and currencies in one installation, by the commands that users type, everything twice.

One shop is down while yesterday is loaded; once it is back, `catch-up` or the daemon of `up` closes the gap.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import psycopg
import pytest
import yaml

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline.errors import PipelineError
from analytics_pipeline.settings import DATABASE_URL, HOME
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline, content_hash, describe, in_namespace
from analytics_pipeline_tests.integration.command_line import environment, run
from analytics_pipeline_tests.integration.truth import DERIVED_TABLES, agrees

DAYS = int(os.environ.get("TRIAL_DAYS", "14"))
NOW = datetime.now(UTC)
"""The shops' clock stands still, so that their truth does."""
ZONES = {"de": ("Europe/Berlin", "EUR", 1), "us": ("America/New_York", "USD", 2)}
PORT = 3978
MART = "marts.daily_revenue_of_shops"
EVERY_MINUTE = {"daily_run_hour": 0, "due_by": "00:01"}
MINUTES_TO_CLOSE = 8


def _shown(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Installation:
    """A folder with two descriptions, and what users do there."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.database, self.running = folder, database, dict[str, RunningShop]()
        (folder / "shops").mkdir()
        for name, (zone, currency, seed) in ZONES.items():
            opened = NOW.date() - timedelta(days=DAYS)
            shop = DemoShopSettings(
                name=name, opened=opened, seed=seed, orders_per_day=(20, 30), timezone=zone, currency=currency
            )
            self.running[name] = serve(shop, now=lambda: NOW)
            path = describe(self.running[name], folder, limits={"retries": 0}, late_changes={"every_minutes": 1})
            if name == "us":  # the other one has the plain names
                in_namespace(path, name)
            content = {**yaml.safe_load(path.read_text(encoding="utf-8")), "name": name, **EVERY_MINUTE}
            path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
            path.rename(self.path(name))

    def path(self, name: str) -> Path:
        return self.folder / "shops" / f"{name}.yaml"

    @property
    def environment(self) -> dict[str, str]:
        return {HOME: str(self.folder / "home"), DATABASE_URL: self.database.url}

    def command(self, *arguments: str, code: int = 0) -> str:
        """Run a command, which ends as it should, and return what it says."""
        began = time.monotonic()
        done = run(*arguments, folder=self.folder, **self.environment)
        _shown(f"{' '.join(arguments):44} exit code {done.returncode}, {time.monotonic() - began:.1f} s")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stop(self, name: str) -> None:
        self.running[name].stop()
        _shown(f"the shop {name} is down")

    def start(self, name: str) -> None:
        settings, port = self.running[name].shop.settings, urlsplit(self.running[name].url).port
        assert port is not None
        self.running[name] = serve(settings, port, now=lambda: NOW)
        _shown(f"the shop {name} is back")

    def yesterday(self, name: str) -> date:
        return last_complete_day(load_shop(self.path(name)), NOW)

    def is_right(self, name: str, last: date) -> None:
        """Compare everything of a shop with its truth, to the cent, and the mart over both with the shop's own."""
        shop = self.running[name].shop
        pipeline = Pipeline(
            self.running[name],
            self.path(name),
            dg.Definitions(),
            dg.DagsterInstance.ephemeral(),
            self.database.of("us" if name == "us" else None),
        )
        truths = agrees(pipeline, shop.settings.opened, last)
        currency = shop.settings.currency
        net = sum((true.revenue[currency].net_sales for true in truths if currency in true.revenue), Decimal(0))
        rows = [row for row in self.over_both() if row["shop"] == name and row["event_date"] <= last]
        assert {row["event_date"] for row in rows} == {*Days(shop.settings.opened, last)}
        assert {row["currency"] for row in rows} == {*(key for true in truths for key in true.revenue)}
        assert sum(Decimal(row["net_sales"]) for row in rows if row["currency"] == currency) == net
        orders = sum(len(true.orders) for true in truths)
        held = sum(len(true.quarantined) for true in truths)
        _shown(f"  {name} to {last}: {orders} orders, {held} in quarantine, net sales {net:.2f} {currency}: the truth")

    def over_both(self) -> list[dict[str, Any]]:
        return query(self.database, f"select * from {MART} order by event_date, shop, currency")

    def gaps(self) -> dict[str, list[date]]:
        found: dict[str, list[date]] = {}
        for row in self.over_both():
            if row["gap"] is not None:
                assert (row["gap"], row["net_sales"], row["orders"], row["as_of"]) == ("not loaded", None, None, None)
                assert row["currency"] == ZONES[row["shop"]][1]
                found.setdefault(row["shop"], []).append(row["event_date"])
        return found

    def hashes(self) -> dict[str, str]:
        """The content of each table of both shops, and of the mart over both but when it was read."""
        return {
            **{table: content_hash(self.database, table) for table in DERIVED_TABLES},
            **{f"us_{table}": content_hash(self.database, f"us_{table}") for table in DERIVED_TABLES},
            MART: content_hash(self.database, MART, without=("as_of",)),
        }

    def twice(self, *arguments: str, code: int = 0) -> str:
        """Run a command twice; the second time nothing is another one."""
        said = self.command(*arguments, code=code)
        first = self.hashes()
        self.command(*arguments, code=code)
        assert self.hashes() == first
        return said


@pytest.fixture
def installation(database: Database, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path, database)
    yield made
    with ExitStack() as stack:
        for shop in made.running.values():
            stack.callback(shop.stop)


def _catch_up(here: Installation) -> None:
    here.start("us")
    said = here.twice("catch-up")
    assert f"{MART} done" in said


def _leave_it_to_the_daemon(here: Installation) -> None:
    with _up(here):
        _wait(lambda: _ticks(here) >= len(ZONES), 3)
        assert list(here.gaps()) == ["us"]
        here.start("us")
        began = time.monotonic()
        _wait(lambda: not here.gaps(), MINUTES_TO_CLOSE)
        _shown(f"  the daemon has closed the gap {time.monotonic() - began:.0f} s after the shop was back")
        _wait(lambda: not _problems(here), MINUTES_TO_CLOSE)
        _shown(f"  status --check: all is well {time.monotonic() - began:.0f} s after the shop was back")


@pytest.mark.parametrize("close", [_catch_up, _leave_it_to_the_daemon])
def test_both_shops_have_their_truth_and_a_shop_that_is_down_is_a_named_gap_until_it_is_back(
    installation: Installation, close: Callable[[Installation], None]
) -> None:
    here = installation
    opened = NOW.date() - timedelta(days=DAYS)
    before = min(map(here.yesterday, ZONES)) - timedelta(days=1)
    here.twice("run", "--from", str(opened), "--to", str(before))
    for name in ZONES:
        here.is_right(name, before)

    here.stop("us")
    said = here.twice("run", "--from", str(before + timedelta(days=1)), code=1)
    missing = [*Days(before + timedelta(days=1), here.yesterday("us"))]
    assert "1 of 2 shops failed: us" in said
    assert f"no_shop_lacks_a_day of marts/daily_revenue_of_shops: us {missing[0]}" in said
    assert here.gaps() == {"us": missing}
    assert f"GAP          us lacks {missing[0]}" in here.command("status")
    here.is_right("de", here.yesterday("de"))
    _shown(f"  {MART} names the gap of us: {', '.join(map(str, missing))}")

    close(here)
    assert here.gaps() == {}
    for name in ZONES:
        here.is_right(name, here.yesterday(name))
    here.twice("run")
    assert "every shop has every day that is over" in here.command("status")
    net = "sum(net_sales)::numeric(19, 2)::text as net"
    for row in query(here.database, f"select shop, currency, count(*) as days, {net} from {MART} group by 1, 2"):
        _shown(f"  {MART}: {row['shop']} {row['days']} days, {row['net']} {row['currency']}")


@contextmanager
def _up(here: Installation) -> Iterator[None]:
    with (here.folder / "up.log").open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "analytics_pipeline", "up", "--port", str(PORT)],
            cwd=here.folder, env=environment(**here.environment), stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        try:
            yield
        finally:
            up.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                up.wait(60)


def _ticks(here: Installation) -> int:
    """How many shops' sensors have asked for late changes, whether the shop answered or not."""
    name = f"{here.database.name}_dagster"
    with suppress(PipelineError, psycopg.Error):
        ticks = "select count(distinct selector_id) as n from job_ticks where tick_body like '%late_changes%'"
        return int(query(here.database.named(name), ticks)[0]["n"])
    return 0


def _problems(here: Installation) -> bool:
    found = run("status", "--check", folder=here.folder, **here.environment)
    for line in found.stdout.splitlines():
        if line.startswith("NOT WELL"):
            _shown(f"    {line}")
    return found.returncode != 0


def _wait(holds: Callable[[], object], minutes: float) -> None:
    deadline = time.monotonic() + 60 * minutes
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(2)
