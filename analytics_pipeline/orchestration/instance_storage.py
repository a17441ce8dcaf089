"""Dagster's own storage, in the same Postgres server as the data.

`dagster.yaml` names the class below, so that the web server, the daemon and every run find the server in the same way
as the assets do: the one of `ANALYTICS_DATABASE_URL`, or the embedded one, which the first of them starts. What is
stored and how is dagster-postgres' part; three of its habits are changed: it opens a connection for every event, asks
the server's catalogue for tables and columns with most of them, and writes the events of a run's partitions one by one
or value by value. And runs that name their code location get the origin that belongs to it.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from select import POLLIN, poll
from typing import Any

import dagster as dg
import sqlalchemy
import sqlalchemy.event
import sqlalchemy.exc
import sqlalchemy.pool
from dagster._core.remote_origin import (  # in no public place; a test repeats a run by them
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable  # as above
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)

from analytics_pipeline.orchestration.code_location import REPOSITORY
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import (
    INSUFFICIENT_PRIVILEGE,
    create_database,
    data_database,
    instance_database,
)

ASKED_AFTER = 10.0
"""Seconds for which a kept connection lies idle before it is asked whether it lives."""


def _pooled_engine(url: str) -> sqlalchemy.Engine:
    """Keep one connection open, and notice when the server has ended it meanwhile."""
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=20)
    sqlalchemy.event.listen(engine, "checkin", _note_time)
    sqlalchemy.event.listen(engine, "checkout", _refuse_ended)
    return engine


def _note_time(_: object, record: sqlalchemy.pool.ConnectionPoolEntry) -> None:
    record.info["kept_since"] = time.monotonic()


def _refuse_ended(connection: Any, record: sqlalchemy.pool.ConnectionPoolEntry, _: object) -> None:  # noqa: ANN401
    """Have another connection opened in place of one that has ended.

    A run stores hundreds of events one after the other. To ask the server before each, as SQLAlchemy does by itself,
    was two statements of five. A server that ends a connection says so or closes it, both of which can be read.
    """
    ended = poll()
    ended.register(connection.fileno(), POLLIN)
    now = time.monotonic()
    # A network may forget a connection that is idle, without a word.
    is_asked = now - record.info.get("kept_since", now) > ASKED_AFTER
    if ended.poll(0) or (is_asked and not _answers(connection)):
        raise sqlalchemy.exc.DisconnectionError


def _answers(connection: Any) -> bool:  # noqa: ANN401 - psycopg2's
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except connection.Error:
        return False
    return True


class EventStorage(PostgresEventLogStorage):
    """The event log over a kept connection, with announcements written together."""

    def __init__(self, postgres_url: str) -> None:
        super().__init__(postgres_url)
        self._engine = _pooled_engine(postgres_url)
        self._seen: set[tuple[str, str]] = set()

    def dispose(self) -> None:
        """Close the kept connection."""
        self._engine.dispose()
        super().dispose()

    def has_table(self, table_name: str) -> bool:
        """Return whether the database has a table; one that was there once stays."""
        return self._has(("table", table_name), partial(super().has_table, table_name))

    def has_asset_key_col(self, column_name: str) -> bool:
        """Return whether the table of assets has a column; one that was there once stays."""
        return self._has(("column", column_name), partial(super().has_asset_key_col, column_name))

    def _has_asset_key_col_on_connection(self, conn: sqlalchemy.Connection, column_name: str) -> bool:
        ask = partial(super()._has_asset_key_col_on_connection, conn, column_name)
        return self._has(("column", column_name), ask)

    def _has(self, what: tuple[str, str], ask: Callable[[], bool]) -> bool:
        if what not in self._seen and ask():
            self._seen.add(what)
        return what in self._seen

    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        """Make a pool with its default limit.

        Of two processes that make the same one at once, Dagster lets the second fail in the transaction that the
        first one's row has broken off.
        """
        try:
            return super().initialize_concurrency_limit_to_default(concurrency_key)
        except sqlalchemy.exc.InternalError:
            return True

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events in their order, those of planned and of done materialisations in a few statements.

        A run over a year announces and reports each day of each asset: thousands of events. Dagster announces them one
        by one, and reports a batch of them by a statement of its own, which takes longer to make than to execute.
        """
        for together, group in groupby(events, key=_is_materialization):
            if together:
                self._store_materializations(list(group))
            else:
                super().store_event_batch(list(group))

    def _store_materializations(self, events: list[dg.EventLogEntry]) -> None:
        with self.index_connection() as connection:
            ids = _insert(connection, SqlEventLogStorageTable, self._rows(events))
        with self.index_transaction() as connection:
            self._store_asset_event_tags(connection, events, ids)
        # What is kept about an asset as a whole follows from its newest event.
        newest = {
            event.get_dagster_event().asset_key: (event, event_id) for event, event_id in zip(events, ids, strict=True)
        }
        for event, event_id in newest.values():
            self.store_asset_event(event, event_id)

    def _rows(self, events: Sequence[dg.EventLogEntry]) -> list[dict[str, Any]]:
        written = Written()
        moment: Callable[[dg.EventLogEntry], Any] = self._event_insert_timestamp
        return [
            {
                "run_id": event.run_id,
                "event": written.text(event),
                "dagster_event_type": found.event_type_value,
                "timestamp": moment(event),
                "step_key": found.step_key,
                "asset_key": found.asset_key.to_string() if found.asset_key else None,
                "partition": found.partition,
            }
            for event in events
            for found in (event.get_dagster_event(),)
        ]

    def _store_asset_event_tags(
        self, conn: sqlalchemy.Connection, events: Sequence[dg.EventLogEntry], event_ids: Sequence[int]
    ) -> None:
        """Store what materialisations are found by, of all events in one statement."""
        moment: Callable[[dg.EventLogEntry], Any] = self._event_insert_timestamp
        rows = [
            {
                "event_id": event_id,
                "asset_key": asset.to_string(),
                "key": key,
                "value": value,
                "event_timestamp": moment(event),
            }
            for event, event_id in zip(events, event_ids, strict=True)
            if (asset := event.get_dagster_event().asset_key) is not None
            for key, value in self._tags_for_asset_event(event).items()
        ]
        if rows and self.has_table(AssetEventTagsTable.name):
            _insert(conn, AssetEventTagsTable, rows)


class Written:
    """Events as Dagster writes them, one after the other; what an event has in common with the last is written once.

    Thousands of days' events differ in their moment and in what is told of the day, a small part of their text.
    """

    def __init__(self) -> None:
        self._common: dg.EventLogEntry | None = None
        self._parts: list[str] = []

    def text(self, event: dg.EventLogEntry) -> str:
        """Return the text of a Dagster event, character for character Dagster's own."""
        inner = event.get_dagster_event()
        common = event._replace(timestamp=0.0, dagster_event=inner._replace(event_specific_data=None))
        if common != self._common:
            self._common, self._parts = common, _around(event)
        before, between, after = self._parts
        data = dg.serialize_value(inner.event_specific_data)
        return f"{before}{data}{between}{json.dumps(event.timestamp)}{after}"


def _around(event: dg.EventLogEntry) -> list[str]:
    """Return the text of an event before what it tells, between that and its moment, and after."""
    data, moment = (f"@{uuid.uuid4()}@" for _ in range(2))
    inner: Any = event.get_dagster_event()
    whole: Any = event  # neither mark is of its field's type: only their places in the text are looked for
    marked = whole._replace(timestamp=moment, dagster_event=inner._replace(event_specific_data=data))
    before, _, rest = dg.serialize_value(marked).partition(f'"{data}"')
    between, _, after = rest.partition(f'"{moment}"')
    return [before, between, after]


def _insert(connection: sqlalchemy.Connection, table: sqlalchemy.Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Add rows, and return their ids in the same order.

    Each column goes as one array: a statement with a parameter for each value takes longer to make than to execute.
    """
    names = [f'"{name}"' for name in rows[0]]
    kinds = [table.c[name].type.compile(connection.dialect) for name in rows[0]]
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    columns = ", ".join(names)
    found = connection.exec_driver_sql(
        f"insert into {table.name} ({columns}) select {columns} "
        f"from unnest({arrays}) with ordinality as given ({columns}, place) order by place returning id",
        tuple([row[name] for row in rows] for name in rows[0]),
    )
    return [row[0] for row in found]


def _is_materialization(event: dg.EventLogEntry) -> bool:
    kinds = {dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_MATERIALIZATION}
    return event.dagster_event_type in kinds


class RunStorage(PostgresRunStorage):
    """The run storage over a kept connection, in which runs of the command line are of the code location."""

    def __init__(self, postgres_url: str) -> None:
        super().__init__(postgres_url)
        self._engine = _pooled_engine(postgres_url)

    def dispose(self) -> None:
        """Close the kept connection."""
        self._engine.dispose()
        super().dispose()

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        """Store a run; one that names its code location by tags alone gets the origin by which the UI repeats it."""
        return super().add_run(_with_origin(dagster_run))


def _with_origin(run: dg.DagsterRun) -> dg.DagsterRun:
    label = run.tags.get(REPOSITORY)
    if label is None or run.remote_job_origin is not None:
        return run
    repository, _, location = label.partition("@")
    place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), repository)
    return run.with_job_origin(RemoteJobOrigin(place, run.job_name))


class InstanceStorage(DagsterPostgresStorage):
    """dagster-postgres' storage, at the address that the settings give."""

    def __init__(self, postgres_url: str, inst_data: Any = None) -> None:  # noqa: ANN401
        # Tables are looked for, and made, by the storages that stay.
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        self._event_log_storage = EventStorage(postgres_url)
        self._run_storage = RunStorage(postgres_url)
        self._schedule_storage = PostgresScheduleStorage(postgres_url)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the configuration that dagster.yaml may give: none."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "InstanceStorage":  # noqa: ANN401, ARG003
        """Open the storage, creating its database and starting the embedded server where needed.

        Raises:
            DatabaseUnavailableError: The server cannot be reached.
            DatabaseRefusedError: The login fails, or may not create databases.
        """
        database = instance_database(data_database(Settings.from_environment()))
        create_database(database)
        try:
            return cls(postgres_url=sqlalchemy_url(database.url), inst_data=inst_data)
        except sqlalchemy.exc.ProgrammingError as error:
            if getattr(error.orig, "pgcode", None) != INSUFFICIENT_PRIVILEGE:
                raise
            raise database.missing_right(error) from None


def sqlalchemy_url(url: str) -> str:
    """Return a Postgres URL as SQLAlchemy reads it for psycopg2.

    The driver has to be named: SQLAlchemy 2.1 takes psycopg 3 for a plain `postgresql://`, which the event log cannot
    use.
    """
    return "postgresql+psycopg2://" + url.partition("://")[2]
