"""The schema version of a database: steps that are whole or not done, and versions that are refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Thread

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner

from analytics_pipeline.cli import main
from analytics_pipeline.errors import NewerSchemaError, PipelineError, TableBusyError
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.warehouse import layout
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import Migration, Schema, packaged_schema, prepare, read_stored
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline, with_login
from analytics_pipeline_tests.integration.loaded import FIRST, hashes, wait_until
from analytics_pipeline_tests.integration.tables import end_sessions, execute, value
from analytics_pipeline_tests.unit.test_readme import DOCS, blocks_of

VERSION = "select value from ops.installation where name = 'schema_version'"
NEXT = packaged_schema().version + 1


def with_steps(*statements: str) -> Schema:
    """The schema of this installation with further steps."""
    steps = [Migration(NEXT + place, f"{NEXT + place:04}_step", sql) for place, sql in enumerate(statements)]
    return replace(packaged_schema(), migrations=(*packaged_schema().migrations, *steps))


def installation(database: Database) -> list[dict[str, object]]:
    """Every fact, with the transaction that wrote it."""
    return query(
        database, "select xmin::text as written_by, rows::text as row from ops.installation as rows order by 2"
    )


def test_the_files_are_numbered_from_one_without_a_gap() -> None:
    assert [step.number for step in packaged_schema().migrations] == [*range(1, NEXT)]


def test_a_new_database_takes_the_newest_version_without_a_step(database: Database) -> None:
    stored = read_stored(database)
    assert stored.is_new
    schema = with_steps("raise exception 'no step is run on a new database'")
    assert stored.pending(schema) == ["tables and columns", "ops.as_reported", "ops.old_names"]

    prepare(database, schema=schema)

    assert value(database, VERSION) == str(NEXT)
    assert read_stored(database).pending(schema) == []


def test_processes_that_open_at_once_take_each_step_once(database: Database) -> None:
    prepare(database)
    execute(database, "create table ops.steps (step int)")
    schema = with_steps("insert into ops.steps values (1); perform pg_sleep(0.2);", "insert into ops.steps values (2);")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: prepare(database, schema=schema), range(6)))

    assert [row["step"] for row in query(database, "select step from ops.steps")] == [1, 2]
    assert value(database, VERSION) == str(NEXT + 1)


def test_processes_that_open_a_new_database_at_once_make_it_once(database: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: prepare(database), range(6)))
    assert read_stored(database).pending(packaged_schema()) == []


def test_a_kill_in_the_middle_of_a_step_leaves_the_version_before_whole(database: Database) -> None:
    prepare(database)
    execute(database, "create table ops.steps (step int)")
    schema = with_steps(
        "insert into ops.steps values (1);",
        "insert into ops.steps values (2); alter table ops.polls rename to asked; perform pg_sleep(60);",
    )
    raised: list[Exception] = []

    def prepare_and_be_killed() -> None:
        try:
            prepare(database, schema=schema)
        except (PipelineError, psycopg.Error) as error:
            raised.append(error)

    thread = Thread(target=prepare_and_be_killed, daemon=True)
    thread.start()
    asleep = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    wait_until(lambda: value(database, asleep) == 1)
    end_sessions(database)
    thread.join(60)

    assert len(raised) == 1
    assert value(database, VERSION) == str(NEXT)
    assert value(database, "select array_agg(step) from ops.steps") == [1]
    assert value(database, "select count(*) from ops.polls") == 0
    assert read_stored(database).pending(schema) == [f"{NEXT + 1:04}_step"]
    prepare(database, schema=with_steps("perform 1;", "insert into ops.steps values (2);"))
    assert value(database, "select array_agg(step) from ops.steps") == [1, 2]


def test_a_step_waits_for_a_table_in_use_and_gives_up_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(database)
    monkeypatch.setattr(layout, "SECONDS_TO_WAIT", 1)
    schema = with_steps(
        "alter table ops.fields add column of_the_step int; alter table ops.polls add column other int;"
    )
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select count(*) from ops.polls")
        with pytest.raises(TableBusyError, match=f"the migration {NEXT:04}_step changes a table that has been in use"):
            prepare(database, schema=schema)
    prepare(database, schema=schema)
    assert value(database, VERSION) == str(NEXT)


def test_a_view_and_a_function_are_made_anew_when_their_text_has_changed(database: Database) -> None:
    prepare(database)
    views = {**packaged_schema().views, "old_polls": "create or replace view ops.old_polls as select 1 as one;"}
    first = replace(packaged_schema(), views=views)
    prepare(database, schema=first)
    assert value(database, "select one from ops.old_polls") == 1
    execute(database, "create or replace view ops.old_polls as select 2 as one")
    prepare(database, schema=first)
    assert value(database, "select one from ops.old_polls") == 2

    views["old_polls"] = "drop view if exists ops.old_polls; create view ops.old_polls as select 3 as three;"
    changed = replace(first, views=dict(views))
    assert read_stored(database).pending(changed) == ["ops.old_polls"]
    prepare(database, schema=changed)

    assert value(database, "select three from ops.old_polls") == 3


def test_a_table_that_somebody_has_renamed_is_made_again(database: Database) -> None:
    prepare(database)
    execute(database, "alter table ops.polls rename to polls_of_before")
    prepare(database)
    assert value(database, "select count(*) from ops.polls") == 0


def test_opening_again_writes_nothing_and_needs_no_right_to(database: Database) -> None:
    prepare(database)
    before = installation(database)
    reader = f"reader_{database.name}"
    execute(
        database,
        f"create role {reader} login password 'r'",
        f"grant usage on schema ops to {reader}",
        f"grant select on ops.installation to {reader}",
    )
    try:
        open_warehouse(Database(with_login(database.url, f"{reader}:r")))
    finally:
        execute(database, f"drop owned by {reader}", f"drop role {reader}")
    open_warehouse(database)
    assert installation(database) == before


# A newer version


@pytest.fixture
def newer(loaded: Pipeline) -> Pipeline:
    """A pipeline on whose database a newer version has been at work."""
    execute(loaded.database, f"update ops.installation set value = '{NEXT}' where name = 'schema_version'")
    return loaded


def written(pipeline: Pipeline) -> object:
    """All that who is refused must not have touched."""
    own = {name: pipeline.rows(f"select rows::text as row from {name} as rows order by 1") for name in TABLES}
    return own, hashes(pipeline.database)


TABLES = [table.qualified_name for table in OPS_TABLES]
COMMANDS = (
    ("status",),
    ("status", "--check"),
    ("run", "--date", str(FIRST)),
    ("catch-up",),
    ("alerts",),
    ("anomalies",),
    ("excerpts",),
    ("plan",),
    ("quarantine", "list"),
    ("quarantine", "replay"),
    ("rebind",),
    ("up",),
    ("doctor",),
)


def test_a_database_of_a_newer_version_is_refused_by_every_command(newer: Pipeline) -> None:
    before = written(newer)
    for arguments in COMMANDS:
        refused = CliRunner().invoke(main, [*arguments, "--shop", str(newer.description)])
        assert refused.exit_code == 1, (arguments, refused.output)
        assert f"has the schema version {NEXT}, and this installation knows those up to {NEXT - 1}" in refused.output
        assert "Upgrade this installation" in refused.output
    assert written(newer) == before


def test_a_database_of_a_newer_version_is_refused_by_every_step_sensor_and_check(newer: Pipeline) -> None:
    before = written(newer)
    for job in ("daily", "raw", "clean", "marts"):
        summary = newer.run(FIRST, job=job)
        assert not summary.succeeded
        assert any(f"has the schema version {NEXT}" in failure for failure in summary.failures), summary.failures
    reference = str(newer.description)
    resources = {"database": DatabaseResource(shop=reference), "shop": ShopResource(reference=reference)}
    for sensor in newer.definitions.sensors or ():
        assert isinstance(sensor, dg.SensorDefinition)
        needed = {key: resources[key] for key in sensor.required_resource_keys}
        repository = newer.definitions.get_repository_def()
        with pytest.raises(NewerSchemaError):
            sensor.evaluate_tick(dg.build_sensor_context(newer.instance, repository_def=repository, resources=needed))
    assert written(newer) == before


def test_the_doctor_names_what_is_pending(loaded: Pipeline) -> None:
    ask: Callable[[], str] = lambda: CliRunner().invoke(main, ["doctor", "--shop", str(loaded.description)]).output  # noqa: E731
    assert f"ok    schema       version {NEXT - 1}, nothing is pending" in ask()
    execute(loaded.database, "delete from ops.installation where name like 'schema_%'")
    messages = ask()
    assert f"warn  schema       version 0 of {NEXT - 1}, pending: 0001_days_read_again_have_one_reason" in messages
    assert "tables and columns, ops.as_reported, ops.old_names (what opens the database next does it" in messages
    assert value(loaded.database, "select count(*) from ops.installation where name like 'schema_%'") == 0


def test_every_query_of_the_page_about_operations_can_be_put_to_a_database_of_now(loaded: Pipeline) -> None:
    statements = [part.strip() for block in blocks_of(DOCS / "operations.md", "sql") for part in block.split(";")]
    queries = [statement for statement in statements if statement.startswith("select")]
    assert len(queries) >= 2
    for statement in queries:
        query(loaded.database, statement)
