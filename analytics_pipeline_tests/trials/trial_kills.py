"""200 kills while the pipeline follows a changing shop: runs, the daemon, Postgres' backends and Postgres itself.

The product as it is run: `up` with its daemon and sensors, the command `run` beside it, the embedded server, the demo
shop over HTTP. In the end the tables are those of an undisturbed load. Victims, signals and waits follow from a seed
(`TRIAL_SEED`), so that a failure can be tried again; `TRIAL_KILLS` makes it shorter.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import psutil
import yaml

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.history.stale import parked_days
from analytics_pipeline.orchestration.running import instance_file
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import Database, create_database, data_database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import at, content_hash, describe
from analytics_pipeline_tests.integration.command_line import environment, run
from analytics_pipeline_tests.integration.late import CHANGEABLE, Clock, tomorrow
from analytics_pipeline_tests.integration.loaded import postmaster_of, stop_server
from analytics_pipeline_tests.integration.truth import DERIVED_TABLES

OPENED, LOADED = date(2025, 3, 1), date(2025, 3, 20)
KILLS = int(os.environ.get("TRIAL_KILLS", "200"))
SEED = int(os.environ.get("TRIAL_SEED", "3"))
KILLS_A_DAY = 10
VICTIMS = ("run", "run", "run", "backend", "backend", "postgres", "worker", "worker", "forker", "daemon")
FORKED = "multiprocessing.forkserver"
"""Says of a process that it starts runs, or is one: the second kind are children of the first."""
SECONDS_TO_FIND = 10
TRACEBACK = "Traceback (most recent call last)"
SECONDS_TO_SETTLE = 600
SHOP = DemoShopSettings(opened=OPENED, orders_per_day=(15, 25), longest_refund_days=15, **CHANGEABLE)
TABLES = [table for table in DERIVED_TABLES if not table.startswith("ops.")]


def _shown(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Installation:
    """One installation in a folder of its own: its database, its `up`, and what can be killed of it."""

    def __init__(self, home: Path, description: Path, port: int) -> None:
        self.home, self.description, self.port = home, description, port
        self.state = home / "state"
        dagster_home = home / "dagster"
        dagster_home.mkdir()
        settings = yaml.safe_load(instance_file().read_text(encoding="utf-8"))
        # Dead runs are noticed within seconds rather than a minute, so that the trial ends today.
        settings["run_monitoring"] |= {"poll_interval_seconds": 2, "free_slots_after_run_end_seconds": 1}
        (dagster_home / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.settings = {
            "ANALYTICS_HOME": str(self.state),
            "ANALYTICS_SHOP": str(description),
            "DAGSTER_HOME": str(dagster_home),
        }
        self._up: subprocess.Popen[bytes] | None = None
        self._log = (home / "up.log").open("ab")
        self._is_over = False

    @property
    def database(self) -> Database:
        """The database; starts the embedded server where it does not run."""
        return data_database(Settings(self.state, None, (str(self.description),)))

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run(*arguments, folder=self.home, **self.settings)

    def start(self) -> None:
        self._up = subprocess.Popen(
            [sys.executable, "-m", "analytics_pipeline", "up", "--port", str(self.port)],
            cwd=self.home, env=environment(**self.settings), stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip

    def keep_up(self) -> None:
        """Start `up` again whenever it has ended, as a service manager does."""
        while not self._is_over:
            if self._up is None or self._up.poll() is not None:
                self.start()
            time.sleep(1)

    def stop(self) -> None:
        self._is_over = True
        time.sleep(1.5)
        if self._up is not None and self._up.poll() is None:
            self._up.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._up.wait(60)
        self._log.close()
        stop_server(self.state)

    def victims(self, wanted: str) -> list[psutil.Process]:
        """What can be killed now, of one kind, in the order of their process ids."""
        if wanted in {"postgres", "backend"}:
            postmaster = postmaster_of(self.state)
            if postmaster is None or wanted == "postgres":
                return [postmaster] if postmaster else []
            return [child for child in _children(postmaster) if _words(child).startswith("postgres: postgres ")]
        if self._up is None:
            return []
        try:
            children = _children(psutil.Process(self._up.pid))
        except psutil.NoSuchProcess:
            return []
        if wanted == "daemon":
            return [child for child in children if "dagster._daemon" in _words(child)]
        forked = [child for child in children if FORKED in _words(child)]
        starting = {child.pid for child in forked}
        return [child for child in forked if (_parent(child) in starting) is (wanted == "worker")]

    def run_to_be_killed(self, day: date) -> "subprocess.Popen[str]":
        """Start `run` over a day; both of its outputs are one."""
        return subprocess.Popen(
            [sys.executable, "-m", "analytics_pipeline", "run", "--date", str(day)],
            cwd=self.home, env=environment(**self.settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return sorted(process.children(recursive=True), key=lambda child: child.pid)
    return []


def _parent(process: psutil.Process) -> int | None:
    with suppress(psutil.NoSuchProcess):
        return process.ppid()
    return None


def _words(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@contextmanager
def _installation(description: Path, port: int) -> Iterator[Installation]:
    home = Path(tempfile.mkdtemp(prefix="analytics-pipeline-kills-"))
    home.chmod(0o755)
    installed = Installation(home, description, port)
    try:
        yield installed
    finally:
        installed.stop()
        if not os.environ.get("TRIAL_KEEP"):
            shutil.rmtree(home, ignore_errors=True)


def _is_settled(installed: Installation, since: str) -> bool:
    """Whether a look has been taken after a moment and nothing is left to load."""
    try:
        found = query(
            installed.database,
            f"select (select count(*) from ops.polls where polled_at > timestamptz '{since}') as looks, "
            "(select count(*) from ops.stale_days) as stale",
        )[0]
    except Exception:  # noqa: BLE001 - the server has just been killed
        return False
    return bool(found["looks"] >= 2 and not found["stale"])


def _database_time(installed: Installation) -> str:
    while True:
        try:
            return str(query(installed.database, "select clock_timestamp()::text as now")[0]["now"])
        except Exception:  # noqa: BLE001 - the server has just been killed
            time.sleep(0.5)


@dataclass
class Killing:
    """Kills by lot, and what people saw of them.

    Attributes:
        installed: What is killed.
        killed: Number of kills by victim.
        outputs: What each run printed that was killed or met with a kill.
    """

    installed: Installation
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    outputs: list[str] = field(default_factory=list)

    def burst(self, day: date) -> None:
        """Kill ten times, anywhere in the work of a run of the day and of whatever else goes on."""
        for _ in range(KILLS_A_DAY):
            running = self.installed.run_to_be_killed(day)
            wanted, signal_number = self.chance.choice(VICTIMS), self.chance.choice([signal.SIGKILL, signal.SIGTERM])
            time.sleep(self.chance.uniform(0.3, 5))
            lot = self.chance.random()
            self._kill(wanted, signal_number, lot, running)
            with suppress(subprocess.TimeoutExpired):
                running.wait(SECONDS_TO_SETTLE)
            self.outputs.append(running.communicate()[0])

    def _kill(self, wanted: str, signal_number: int, lot: float, running: "subprocess.Popen[str]") -> None:
        deadline = time.monotonic() + SECONDS_TO_FIND
        while time.monotonic() < deadline and (wanted != "run" or running.poll() is None):
            victims = [psutil.Process(running.pid)] if wanted == "run" else self.installed.victims(wanted)
            if victims:
                # Postgres itself and backends are killed for good or asked to stop; everything else only killed.
                number = signal_number if wanted == "backend" else signal.SIGKILL
                with suppress(psutil.NoSuchProcess):
                    victims[int(lot * len(victims))].send_signal(number)
                    self.killed[wanted] += 1
                    _shown(f"killed {wanted} by {number} ({sum(self.killed.values())} of {KILLS})")
                return
            time.sleep(0.2)


def test_whatever_is_killed_the_tables_end_as_those_of_an_undisturbed_load(tmp_path: Path) -> None:
    clock, last = Clock(at(f"{LOADED + timedelta(days=1)}T04:00:00+01:00")), LOADED
    with serve(SHOP, now=clock) as shop:
        description = describe(shop, tmp_path, late_changes={"every_minutes": 0.1})
        (tmp_path / "open").mkdir()
        with _installation(description, 3977) as installed:
            create_database(installed.database)
            assert installed.command("run", "--from", str(OPENED), "--to", str(LOADED)).returncode == 0
            threading.Thread(target=installed.keep_up, daemon=True).start()
            killing = Killing(installed, random.Random(SEED))  # noqa: S311 - no secret
            day = 0
            while sum(killing.killed.values()) < KILLS or day < 14:
                day += 1
                clock.now += timedelta(days=1)
                last = tomorrow(last)
                if sum(killing.killed.values()) < KILLS:
                    killing.burst(last)
                since = _database_time(installed)
                attempts = 1
                while (done := installed.command("run", "--date", str(last))).returncode != 0:
                    attempts += 1
                    assert attempts < 10, done.stderr
                deadline = time.monotonic() + SECONDS_TO_SETTLE
                while not _is_settled(installed, since):
                    assert time.monotonic() < deadline, f"{last} does not settle"
                    time.sleep(1)
                _shown(f"day {day}: {last} loaded in {attempts} attempts and settled")
            since = _database_time(installed)
            while not _is_settled(installed, since):
                time.sleep(1)
            found = {table: content_hash(installed.database, table) for table in TABLES}
            print(installed.command("status").stdout)
            parked = parked_days(installed.database)
            restatements = query(
                installed.database,
                "select count(*) as numbers, count(*) filter (where cause = 'unexplained') as unexplained, "
                "count(*) filter (where explained <> difference) as wrong from ops.restatements",
            )[0]
            undisturbed = Installation(Path(tempfile.mkdtemp(prefix="analytics-pipeline-calm-")), description, 3978)
            undisturbed.home.chmod(0o755)
            try:
                assert undisturbed.command("run", "--from", str(OPENED), "--to", str(last)).returncode == 0
                expected = {table: content_hash(undisturbed.database, table) for table in TABLES}
            finally:
                undisturbed.stop()
                shutil.rmtree(undisturbed.home, ignore_errors=True)
    tracebacks = [output for output in killing.outputs if TRACEBACK in output]
    _shown(f"seed {SEED}: {dict(killing.killed)}; {len(Days(OPENED, last))} days; restatements {restatements}")
    for output in tracebacks[:3]:
        print(output)
    assert len(tracebacks) == 0, f"{len(tracebacks)} of {len(killing.outputs)} runs printed a traceback"
    assert parked == []
    assert found == expected
    assert restatements["unexplained"] == restatements["wrong"] == 0
