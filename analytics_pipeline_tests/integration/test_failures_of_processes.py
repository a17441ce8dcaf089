"""Whatever is killed, and whoever runs at the same time: in the end the tables are those of an undisturbed load."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import psutil
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings
from analytics_pipeline.orchestration.running import end_dead_runs
from analytics_pipeline.warehouse.connection import Database, instance_database
from analytics_pipeline_tests.conftest import Pipeline, content_hash
from analytics_pipeline_tests.integration.loaded import MUCH_LATER, copy_of, drop, hashes, loaded_pipeline, wait_until
from analytics_pipeline_tests.integration.processes import start_run
from analytics_pipeline_tests.integration.tables import value

FIRST, LAST = date(2025, 1, 1), date(2025, 1, 4)
SHOP = DemoShopSettings(
    opened=FIRST, orders_per_day=(8, 12), refund_share=0.4, cancel_share=0.1, edit_share=0.2, bad_share=0.05
)


class Clock:
    """The shop's clock, which a test puts forward."""

    def __init__(self) -> None:
        self.now = datetime(2025, 1, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def early(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline whose days were loaded early; since then the shop has changed many of their orders."""
    clock = Clock()
    days = Days(FIRST, LAST)
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), SHOP, days, clock) as loaded:
        clock.now = MUCH_LATER
        yield loaded


@pytest.fixture
def database(server: Database, early: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A copy of the early load, which the settings name."""
    with copy_of(server, early.database) as copy:
        monkeypatch.setenv("ANALYTICS_DATABASE_URL", copy.url)
        yield copy
        drop(server, instance_database(copy))


@pytest.fixture
def pipeline(early: Pipeline, database: Database, instance: dg.DagsterInstance) -> Pipeline:
    return replace(early, database=database, instance=instance)


@pytest.fixture(scope="module")
def undisturbed(server: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of all tables after a load of the changed days into an empty database."""
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), SHOP, Days(FIRST, LAST)) as loaded:
        return hashes(loaded.database)


def environment_of(pipeline: Pipeline, home: Path) -> dict[str, str]:
    return {
        "ANALYTICS_HOME": str(home),
        "ANALYTICS_DATABASE_URL": pipeline.database.url,
        "ANALYTICS_SHOP": str(pipeline.description),
    }


@contextmanager
def locked(database: Database, table: str) -> Iterator[None]:
    """Keep everyone from writing a table, and come back when someone waits to."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"lock table {table} in exclusive mode")
        yield
        connection.rollback()


@pytest.mark.parametrize("table", ["raw.orders", "clean.sales", "marts.daily_revenue"])
def test_a_run_that_is_killed_while_it_writes_is_ended_and_repeated_by_the_next_one(
    pipeline: Pipeline, undisturbed: dict[str, str], tmp_path: Path, table: str
) -> None:
    assert hashes(pipeline.database) != undisturbed
    old_rows = content_hash(pipeline.database, table)
    waiting = f"select count(*) from pg_locks where relation = '{table}'::regclass and not granted"
    with locked(pipeline.database, table):
        killed = start_run(environment_of(pipeline, tmp_path / "other"), FIRST, LAST)
        wait_until(lambda: value(pipeline.database, waiting) != 0)
        killed.kill()
        killed.join(10)
    (left,) = pipeline.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    claimed = pipeline.instance.event_log_storage.get_concurrency_info("shop_api").claimed_slots
    assert content_hash(pipeline.database, table) == old_rows
    assert len(claimed) == (1 if table == "raw.orders" else 0)
    if claimed:  # a slot that stays taken would keep the next run waiting for ever
        assert end_dead_runs(pipeline.instance) == [left.run_id]
        assert pipeline.instance.event_log_storage.get_concurrency_info("shop_api").claimed_slots == []

    summary = pipeline.run(FIRST, LAST)

    assert summary.succeeded, summary.failures
    assert hashes(pipeline.database) == undisturbed
    ended = pipeline.instance.get_run_by_id(left.run_id)
    assert ended is not None
    assert ended.status == dg.DagsterRunStatus.FAILURE
    assert pipeline.instance.event_log_storage.get_concurrency_info("shop_api").claimed_slots == []
    assert pipeline.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == []


def test_two_runs_of_the_same_days_at_once_end_with_the_right_tables(
    pipeline: Pipeline, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    runs = [start_run(environment_of(pipeline, tmp_path / str(number)), FIRST, LAST) for number in range(2)]
    for run in runs:
        run.join(240)

    assert [run.exitcode for run in runs] == [0, 0]
    assert hashes(pipeline.database) == undisturbed


def test_only_the_runs_of_dead_processes_are_ended(instance: dg.DagsterInstance) -> None:
    me = psutil.Process()
    host, started = os.uname().nodename, me.create_time()
    processes = {
        "alive": f"{host}/{me.pid}/{started:.2f}",
        "alive, told by a clock that was put right": f"{host}/{me.pid}/{started + 1:.2f}",
        "elsewhere": f"another-host/{me.pid}/1.00",
        "gone": f"{host}/{2**22 + 1}/{started:.2f}",
        "another one with its number": f"{host}/{me.pid}/{started - 500:.2f}",
        "without a process": None,
    }
    job = build_definitions("demo").resolve_job_def("daily")
    runs = {}
    for name, process in processes.items():
        tags = {"analytics_pipeline/process": process} if process else {}
        runs[instance.create_run_for_job(job, tags=tags).run_id] = name

    repeated, gone = next(run_id for run_id, name in runs.items() if name == "gone"), processes["gone"]
    tags = {"analytics_pipeline/process": str(gone)}
    again = instance.create_run_for_job(job, tags=tags, parent_run_id=repeated, root_run_id=repeated)
    runs[again.run_id] = "repeated by the UI"

    ended = {runs[run_id] for run_id in end_dead_runs(instance)}

    assert ended == {"gone", "another one with its number"}
    assert end_dead_runs(instance) == []


def test_a_process_that_nobody_buried_is_dead(instance: dg.DagsterInstance) -> None:
    """The first process of a container may never ask for its children's end."""
    killed = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    process = psutil.Process(killed.pid)
    tag = f"{os.uname().nodename}/{killed.pid}/{process.create_time():.2f}"
    run = instance.create_run_for_job(
        build_definitions("demo").resolve_job_def("daily"), tags={"analytics_pipeline/process": tag}
    )
    assert end_dead_runs(instance) == []
    killed.kill()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)

    assert end_dead_runs(instance) == [run.run_id]
    killed.communicate()
