"""Dagster's storage as the project changes it holds, table by table, what dagster-postgres alone would have stored."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.orchestration.instance_storage import EventStorage, RunStorage, sqlalchemy_url
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import drop, wait_until

FIRST, LAST = date(2025, 1, 1), date(2025, 1, 4)
WRITES = ("add_", "claim_", "free_", "handle_", "initialize_", "set_", "store_", "update_")
"""What methods that write are called."""
MOMENTS = ("create_timestamp", "update_timestamp")
"""Columns that tell when a row was written, by the clock of whoever wrote it."""
COUNTED_UP = ("asset_keys", "id")
"""Postgres counts it up with each announcement that finds its asset there already; nothing refers to it."""


@dataclass
class Record:
    """What was asked of the storage, in order: the storage, the method, its arguments."""

    calls: list[tuple[type, str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    depth: int = 0

    def listen(self, patch: pytest.MonkeyPatch, kind: type) -> None:
        """Record each call of a method that writes, but for those that the storage makes by itself."""
        for name in (name for name in dir(kind) if name.startswith(WRITES)):
            patch.setattr(kind, name, self._recorded(kind, name, getattr(kind, name)))

    def _recorded(self, kind: type, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def record(storage: object, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            self.depth += 1
            try:
                found = method(storage, *arguments, **named)
            finally:
                self.depth -= 1
            if not self.depth:  # what was stored of a run has its origin, which dagster-postgres does not add
                self.calls.append((kind, name, (found,) if name == "add_run" else arguments, named))
            return found

        return record

    def repeat(self, storages: dict[type, Any]) -> None:
        """Ask the same of other storages."""
        for kind, name, arguments, named in self.calls:
            getattr(storages[kind], name)(*arguments, **named)


@pytest.fixture
def made(server: Database, instance_template: str) -> Iterator[Callable[[], Database]]:
    """Make an empty database of Dagster's tables."""
    names: list[Database] = []

    def make() -> Database:
        database = server.named(f"events_{uuid.uuid4().hex[:8]}")
        with server.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f'create database "{database.name}" template {instance_template}')
        names.append(database)
        return database

    yield make
    for database in names:
        drop(server, database)


def contents(database: Database) -> dict[str, list[dict[str, object]]]:
    """All rows of all tables, but for what says nothing of what was asked."""
    listed = query(
        database,
        "select table_name, string_agg(quote_ident(column_name), ', ' order by ordinal_position) as columns "
        "from information_schema.columns where table_schema = 'public' "
        f"and column_name not in {MOMENTS} and (table_name, column_name) <> {COUNTED_UP} group by 1",
    )
    rows = {str(row["table_name"]): f"select {row['columns']} from {row['table_name']} order by 1" for row in listed}
    return {name: query(database, sql) for name, sql in rows.items()}


def test_runs_and_events_are_stored_as_dagster_postgres_alone_would_store_them(
    start_shop: Callable[..., RunningShop],
    pipeline_of: Callable[..., Pipeline],
    made: Callable[[], Database],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A range, one of its days again, and days that are refused: all that the storages are asked, asked of both."""
    record = Record()
    pipeline = pipeline_of(start_shop(now=datetime(2025, 2, 1, tzinfo=UTC), opened=FIRST, orders_per_day=(5, 8)))
    with monkeypatch.context() as patch:
        record.listen(patch, EventStorage)
        record.listen(patch, RunStorage)
        summaries = [pipeline.run(FIRST, LAST), pipeline.run(LAST), pipeline.run(date(2024, 12, 31))]
    assert [summary.succeeded for summary in summaries] == [True, True, False]

    ours, theirs = made(), made()
    for database, kinds in (
        (ours, (EventStorage, RunStorage)),
        (theirs, (PostgresEventLogStorage, PostgresRunStorage)),
    ):
        events, runs = (kind(sqlalchemy_url(database.url)) for kind in kinds)
        record.repeat({EventStorage: events, RunStorage: runs})
        events.dispose()
        runs.dispose()

    found, expected = contents(ours), contents(theirs)
    assert found.keys() == expected.keys()
    for table in expected:
        assert found[table] == expected[table], table
    filled = {table for table, rows in expected.items() if rows}
    assert filled >= {
        "runs",
        "run_tags",
        "snapshots",
        "event_logs",
        "asset_keys",
        "asset_event_tags",
        "asset_check_executions",
    }
    messages = {row["dagster_event_type"] for row in expected["event_logs"]}
    assert messages >= {
        kind.value for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.RUN_FAILURE)
    }


@pytest.mark.parametrize(
    ("ours", "theirs"), [(EventStorage, PostgresEventLogStorage), (RunStorage, PostgresRunStorage)]
)
def test_what_is_changed_of_a_storage_is_there_to_be_changed(ours: type, theirs: type) -> None:
    """A method that the next version of Dagster no longer calls would be kept in vain."""
    own = {"_has", "_seen", "_store_materializations", "_rows"}
    changed = {name for name in vars(ours) if not name.startswith("__")} - own

    assert changed
    assert changed <= set(dir(theirs))


@pytest.mark.parametrize("asked_after", [-1.0, 1000.0])
def test_a_kept_connection_that_the_server_has_ended_is_replaced_whether_it_is_asked_or_looked_at(
    server: Database, instance_template: str, monkeypatch: pytest.MonkeyPatch, asked_after: float
) -> None:
    monkeypatch.setattr("analytics_pipeline.orchestration.instance_storage.ASKED_AFTER", asked_after)
    database = server.named(f"instance_{uuid.uuid4().hex[:8]}")
    with server.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f'create database "{database.name}" template {instance_template}')
    storage = RunStorage(sqlalchemy_url(database.url))
    sessions = f"select pid from pg_stat_activity where datname = '{database.name}'"
    postgres = server.named("postgres")

    def kept() -> list[dict[str, object]]:
        assert storage.get_runs_count() == 0
        return query(postgres, sessions)

    first = kept()
    assert kept() == first
    query(postgres, sessions.replace("pid", "pg_terminate_backend(pid)", 1))
    wait_until(lambda: query(postgres, sessions) == [])
    second = kept()

    assert (len(first), len(second)) == (1, 1)
    assert second != first
    storage.dispose()
    drop(server, database)
