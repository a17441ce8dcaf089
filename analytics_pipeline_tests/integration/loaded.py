"""A pipeline that several tests share: its days are loaded once, and its runs are kept in memory."""

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import psutil
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.warehouse.connection import DATA_DATABASE, Database, create_database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline, content_hash, describe

FIRST, LAST = date(2025, 1, 1), date(2025, 1, 3)
"""The days of `loaded`, in this folder's conftest."""
MUCH_LATER = datetime(2025, 2, 20, tzinfo=UTC)


@contextmanager
def loaded_pipeline(
    server: Database,
    folder: Path,
    shop: DemoShopSettings,
    days: Days,
    now: Callable[[], datetime] = lambda: MUCH_LATER,
) -> Iterator[Pipeline]:
    """Load some days of a demo shop, as it is when most of their refunds have happened, into a database of their own.

    The environment names the database only while it is loaded: a test that runs the pipeline again sets it by itself.
    """
    database = server.named(f"loaded_{uuid.uuid4().hex[:8]}")
    create_database(database)
    with (
        pytest.MonkeyPatch.context() as environment,
        serve(shop, now=now) as running,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        environment.setenv("ANALYTICS_DATABASE_URL", database.url)
        description = describe(running, folder)
        pipeline = Pipeline(running, description, build_definitions(str(description)), instance, database)
        summary = pipeline.run(days.first, days.last)
        assert summary.succeeded, summary.failures
        environment.undo()
        yield pipeline
    drop(server, database)


def drop(server: Database, database: Database) -> None:
    """Drop a database, whoever is connected to it."""
    with server.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f'drop database if exists "{database.name}" with (force)')


@contextmanager
def copy_of(server: Database, original: Database) -> Iterator[Database]:
    """A copy of a database, to be damaged."""
    copy = server.named(f"copy_{uuid.uuid4().hex[:8]}")
    with server.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{original.name}'")
        cursor.execute(f'create database "{copy.name}" template "{original.name}"')
    yield copy
    drop(server, copy)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop_server(home: Path) -> None:
    """Stop the embedded server of a state folder, if it runs."""
    postmaster = postmaster_of(home)
    if postmaster is not None:
        postmaster.send_signal(signal.SIGINT)
        wait_until(lambda: not is_alive(postmaster))


def postmaster_of(home: Path) -> psutil.Process | None:
    """The first process of the embedded server of a state folder, None when there is none."""
    file = home / "postgres" / "postmaster.pid"
    try:
        process = psutil.Process(int(file.read_text(encoding="utf-8").split()[0]))
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None
    return process if is_alive(process) else None


def embedded_database(home: Path) -> Database:
    """The data of the embedded server that runs in a state folder, without becoming one of its users."""
    password = (home / "postgres.password").read_text(encoding="ascii").strip()
    host = quote(str((home / "postgres.socket").resolve()), safe="/")
    return Database(f"postgresql://postgres:{password}@/{DATA_DATABASE}?host={host}&port=5432")


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another process or thread does."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def redescribed(pipeline: Pipeline, folder: Path, **changes: dict[str, object]) -> Pipeline:
    """The same pipeline with a changed shop description; see `describe`."""
    description = describe(pipeline.shop, folder, **changes)
    return replace(pipeline, description=description, definitions=build_definitions(str(description)))


def with_job(pipeline: Pipeline, selection: dg.AssetSelection) -> dg.JobDefinition:
    """A job over some of the pipeline's assets or checks, as the UI makes one of what was chosen there."""
    chosen = dg.Definitions(jobs=[dg.define_asset_job("chosen", selection=selection)])
    return dg.Definitions.merge(pipeline.definitions, chosen).resolve_job_def("chosen")


def evaluations(pipeline: Pipeline, run_id: str) -> dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    """The results of a run's checks; each check has one."""
    logs = pipeline.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.get_dagster_event().asset_check_evaluation_data for entry in logs]
    assert len({one.asset_check_key for one in found}) == len(found)
    return {one.asset_check_key: one for one in found}


def materialised(pipeline: Pipeline, run_id: str) -> set[str]:
    """The tables that a run has written, as `layer/name`."""
    logs = pipeline.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    keys = [entry.get_dagster_event().asset_key for entry in logs]
    return {key.to_user_string() for key in keys if key}


def hashes(database: Database) -> dict[str, str]:
    """A hash of the content of each of the project's tables but those of its own history, which every run adds to."""
    schemas = "'raw', 'clean', 'ops', 'marts'"
    sql = f"select schemaname || '.' || tablename as name from pg_tables where schemaname in ({schemas})"
    history = {table.qualified_name for table in OPS_TABLES}
    names = {row["name"] for row in query(database, sql)} - history
    return {name: content_hash(database, name) for name in names}
