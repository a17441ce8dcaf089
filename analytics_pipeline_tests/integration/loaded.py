"""A pipeline that several tests share: its days are loaded once, and its runs are kept in memory."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.database.connection import Database, create_database
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.partitions import DayRange
from analytics_pipeline_tests.conftest import Pipeline, describe

MUCH_LATER = datetime(2025, 2, 20, tzinfo=UTC)


@contextmanager
def loaded_pipeline(server: Database, folder: Path, shop: DemoShopSettings, days: DayRange) -> Iterator[Pipeline]:
    """Load some days of a demo shop, seen when most of their refunds have happened, into a database of their own.

    The environment names the database only while it is loaded: a test that runs the pipeline again sets it by itself.
    """
    database = server.named(f"loaded_{uuid.uuid4().hex[:8]}")
    create_database(database)
    with (
        pytest.MonkeyPatch.context() as environment,
        serve(shop, now=lambda: MUCH_LATER) as running,
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
        cursor.execute(f'drop database "{database.name}" with (force)')


@contextmanager
def copy_of(server: Database, original: Database) -> Iterator[Database]:
    """A copy of a database, to be damaged."""
    copy = server.named(f"copy_{uuid.uuid4().hex[:8]}")
    with server.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{original.name}'")
        cursor.execute(f'create database "{copy.name}" template "{original.name}"')
    yield copy
    drop(server, copy)
