"""What all tests stand on: one embedded Postgres a session, throw-away databases a test, demo shops on free ports.

Nothing that users run for real is mocked: Postgres is a Postgres, the shop an HTTP server, a run a Dagster run on its
own instance.
"""

import atexit
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
import yaml

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline.orchestration.instance_storage import InstanceStorage, sqlalchemy_url
from analytics_pipeline.orchestration.namespaces import named
from analytics_pipeline.orchestration.running import RunSummary, open_instance, run_days
from analytics_pipeline.settings import EMAIL_KEY, Settings
from analytics_pipeline.tables.shape import LAYERS
from analytics_pipeline.warehouse.connection import Database, create_database, instance_database
from analytics_pipeline.warehouse.embedded import start_embedded_server
from analytics_pipeline.warehouse.slices import query

TESTS_KEY = "the key of the e-mail hashes of tests"
DEMO_DESCRIPTION = Path(__file__).parent.parent / "analytics_pipeline" / "shop" / "packaged" / "demo.yaml"
INSTANCE_TEMPLATE = "dagster_template"
_OF_A_LAYER = re.compile(rf"\b({'|'.join(LAYERS)})\.")


@pytest.fixture(scope="session", autouse=True)
def _email_key() -> None:
    """One key of the e-mail hashes for all tests, for what modules and sessions load before a test begins, too."""
    os.environ[EMAIL_KEY] = TESTS_KEY


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith(("ANALYTICS_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(EMAIL_KEY, TESTS_KEY)


@pytest.fixture(scope="session")
def server() -> Database:
    """An embedded Postgres server of this session."""
    home = Path(tempfile.mkdtemp(prefix="analytics-pipeline-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # what is registered later, the server's end, comes first
    running = Database(start_embedded_server(home / "postgres"))
    with running.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # nothing here has to outlive a power cut
            cursor.execute(f"alter system set {setting} = off")
        cursor.execute("select pg_reload_conf()")
    return running


@pytest.fixture(scope="session")
def instance_template(server: Database) -> str:
    """A database with the empty tables of a Dagster instance, to copy from: making them takes a second."""
    template = server.named(INSTANCE_TEMPLATE)
    create_database(template)
    storage = InstanceStorage(sqlalchemy_url(template.url))
    storage.event_log_storage.dispose()
    storage.run_storage.dispose()
    return INSTANCE_TEMPLATE


@pytest.fixture
def database(server: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """An empty database of this test, which the settings name."""
    database = server.named(f"test_{uuid.uuid4().hex[:12]}")
    create_database(database)
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", database.url)
    yield database
    with server.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        for doomed in (database, instance_database(database)):
            cursor.execute(f'drop database if exists "{doomed.name}" with (force)')


@pytest.fixture
def instance(
    database: Database, instance_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of this test, with the project's own dagster.yaml, in Postgres."""
    with database.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f'create database "{instance_database(database).name}" template {instance_template}')
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(Settings.from_environment()) as opened:
        yield opened
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture
def start_shop() -> Iterator[Callable[..., RunningShop]]:
    """Start demo shops on free ports: `start_shop(now=..., opened=...)`; further arguments are the shop's settings."""
    running: list[RunningShop] = []

    def start(*, now: datetime | None = None, **settings: object) -> RunningShop:
        clock = None if now is None else (lambda: now)
        running.append(serve(DemoShopSettings(**settings), now=clock))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for shop in running:
        shop.stop()


@dataclass(frozen=True)
class Pipeline:
    """The project on a shop and a database of one test.

    Attributes:
        shop: The running demo shop.
        description: Path of its description.
        definitions: The code location.
        instance: Dagster's instance.
        database: The database of the tables, as the shop has it.
    """

    shop: RunningShop
    description: Path
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    database: Database

    def run(self, first: date, last: date | None = None, *, job: str = "daily") -> RunSummary:
        """Run a job over some business days, as the command line does."""
        job_name = named(job, self.database.namespace)
        return run_days(self.definitions, self.instance, Days(first, last or first), job_name=job_name)

    def rows(self, sql: str) -> list[dict[str, object]]:
        """Return the rows of a query, in which a layer means the shop's schema; numerics come as text."""
        return query(self.database, _OF_A_LAYER.sub(lambda found: f"{self.database.schema(found[1])}.", sql))


@pytest.fixture
def pipeline_of(database: Database, instance: dg.DagsterInstance, tmp_path: Path) -> Callable[..., Pipeline]:
    """Put the project on a running demo shop: `pipeline_of(shop, orders={...})` changes the description's mappings."""

    def build(shop: RunningShop, **changes: dict[str, object]) -> Pipeline:
        description = describe(shop, tmp_path, **changes)
        return Pipeline(shop, description, build_definitions(str(description)), instance, database)

    return build


def describe(shop: RunningShop, folder: Path, **changes: dict[str, object]) -> Path:
    """Write the packaged description of the demo shop, with the address and the settings of a running one.

    Quarantine has no limits, since many shops of the tests have more bad records than the defaults allow.

    Args:
        shop: The running shop.
        folder: Where the file is written.
        changes: Keys to set in the mapping of this name, as in `orders={"count": None}`; None takes a key away, and
            `report={}` the whole mapping.
    """
    content = yaml.safe_load(DEMO_DESCRIPTION.read_text(encoding="utf-8"))
    settings = shop.shop.settings
    content["quarantine"] = {"warn_above": 1, "block_above": 1}
    content |= {
        "base_url": shop.url,
        "timezone": settings.timezone,
        "currency": settings.currency,
        "first_day": settings.opened,
        "limits": {"retries": 4},
    }
    for name, values in changes.items():
        content[name] = {key: value for key, value in {**content.get(name, {}), **values}.items() if value is not None}
        if not values:
            del content[name]
    path = folder / f"shop-{uuid.uuid4().hex[:8]}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def in_namespace(description: Path, namespace: str) -> Path:
    """Give a described shop a namespace, which is its name too."""
    content = yaml.safe_load(description.read_text(encoding="utf-8"))
    content |= {"name": namespace, "namespace": namespace}
    description.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return description


def with_login(url: str, login: str) -> str:
    """Return the URL of a server with another `user:password`."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()


def at(text: str) -> datetime:
    """Return an ISO stamp as an aware UTC datetime."""
    return datetime.fromisoformat(text).astimezone(UTC)


def content_hash(database: Database, table: str, *, without: tuple[str, ...] = ("extracted_at",)) -> str:
    """Return a hash of all rows of a table, whatever their order; columns that tell of the extraction itself apart.

    Args:
        database: Where the table lies.
        table: `schema.name`.
        without: Columns that do not count.
    """
    schema, name = table.split(".")
    listed = query(
        database,
        "select column_name from information_schema.columns "
        f"where table_schema = '{schema}' and table_name = '{name}' order by column_name",
    )
    columns = ", ".join(f"{row['column_name']}::text" for row in listed if row["column_name"] not in without)
    found = query(
        database,
        f"select count(*) || ':' || coalesce(md5(string_agg(line, '|' order by line)), '') as hash "
        f"from (select md5(row({columns})::text) as line from {table}) as lines",
    )
    return str(found[0]["hash"])
