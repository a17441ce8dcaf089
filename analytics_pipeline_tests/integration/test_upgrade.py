"""A database of before there were schema versions: commit 2bd4d92 has made it, and the present version goes on.

`before_versions.sql.gz` is its dump: eight days of a demo shop, loaded on 2025-04-02, caught up with on the next day
and polled on the one after, which left five stale days. Its e-mail hashes are plain, a comment says whose it is, and it
lacks tables of the history and columns of others.
"""

import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from analytics_pipeline.cli import main
from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.binding import binding_of
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.warehouse.connection import Database, create_database
from analytics_pipeline.warehouse.schema import packaged_schema, prepare, read_stored
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline, content_hash, describe
from analytics_pipeline_tests.integration.late import MORNING, Clock, catch_up
from analytics_pipeline_tests.integration.loaded import drop, loaded_pipeline
from analytics_pipeline_tests.integration.tables import execute, value

DUMP = Path(__file__).parent / "before_versions.sql.gz"
FIRST, LAST = date(2025, 3, 25), date(2025, 4, 1)
SHOP = DemoShopSettings(
    opened=FIRST,
    orders_per_day=(8, 14),
    longest_refund_days=6,
    refund_share=0.3,
    cancel_share=0.08,
    edit_share=0.2,
    delete_share=0.2,
    late_share=0.05,
    bad_share=0.05,
    test_share=0.05,
)
NOW = MORNING + timedelta(days=2)
"""When it was polled last."""
LATER = NOW + timedelta(days=4)
FIGURES = ("marts.daily_revenue", "marts.daily_product_sales", "marts.daily_revenue_as_closed")
Rows = list[dict[str, Any]]


@pytest.fixture
def clock() -> Clock:
    """The shop's."""
    return Clock(NOW)


@pytest.fixture
def old(database: Database, clock: Clock, tmp_path: Path) -> Iterator[Pipeline]:
    """The pipeline of now on the shop, and on the database as it was left."""
    statements = gzip.decompress(DUMP.read_bytes()).decode()
    restore = f"do $dump$ begin {statements} end $dump$"
    execute(database, "set local check_function_bodies = off", restore)
    with serve(SHOP, now=clock) as shop, dg.DagsterInstance.ephemeral() as instance:
        description = describe(shop, tmp_path)
        yield Pipeline(shop, description, build_definitions(str(description)), instance, database)


def stored_rows(database: Database) -> dict[str, Rows]:
    """All rows of all tables."""
    layers = "'raw', 'clean', 'ops', 'marts'"
    names = f"select schemaname || '.' || tablename as name from pg_tables where schemaname in ({layers})"
    return {row["name"]: query(database, f"select * from {row['name']}") for row in query(database, names)}


def in_words_of_now(row: dict[str, Any]) -> dict[str, Any]:
    """A row of before, with reasons and causes as they are called now."""
    words = {
        "sweep": "reread",
        "vanished": "deleted",
        "definition_change": "code_version_change",
        "day_not_landed": "day_late",
    }
    called: dict[str, Any] = {name: words.get(row[name], row[name]) for name in ("reason", "kind") if name in row}
    if "kind" in row and "opened_at" in row:
        called["key"] = row["key"].replace(row["kind"], called["kind"])
    if "cause" in row:
        called["cause"] = ", ".join(sorted(words.get(cause, cause) for cause in row["cause"].split(", ")))
    return {**row, **called}


def as_before(old: Rows, rows: Rows) -> list[str]:
    """Rows with the columns only that older ones have, in no order."""
    return sorted(repr({name: row[name] for name in old[0]}) for row in rows) if old else []


def shapes(database: Database) -> dict[str, Rows]:
    """Columns and keys of the tables that have a shape; a generated column, an old name, is no part of it."""
    found = {}
    for table in (*OPS_TABLES, *(contract.table for contract in CONTRACTS)):
        where = f"attrelid = to_regclass('{table.qualified_name}') and attnum > 0 and not attisdropped "
        where += "and attgenerated = ''"
        columns = query(
            database,
            "select attname::text, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
            f"where {where} order by 1",
        )
        key = query(
            database,
            "select array_agg(a.attname::text order by a.attname) as key from pg_index as i join pg_attribute as a "
            "on a.attrelid = i.indrelid and a.attnum = any(i.indkey) "
            f"where i.indisprimary and i.indrelid = to_regclass('{table.qualified_name}')",
        )
        if columns:
            found[table.qualified_name] = columns + key
    return found


def test_it_is_brought_up_to_date_by_the_first_command_with_every_row_kept(old: Pipeline, server: Database) -> None:
    before = stored_rows(old.database)
    assert {row["reason"] for row in before["ops.stale_days"]} == {"sweep", "unfinished", "refund"}
    assert read_stored(old.database).pending(packaged_schema())[0] == "0001_days_read_again_have_one_reason"

    messages = CliRunner().invoke(main, ["status", "--shop", str(old.description)])

    assert messages.exit_code == 0, messages.output
    assert "loaded       2025-03-25 to 2025-04-01, no day between them is missing" in messages.output
    after = stored_rows(old.database)
    assert any("vanished" in row["cause"] for row in before["ops.restatements"])
    for name, rows in before.items():
        stored = after[name] if name in after else query(old.database, f"select * from {name}")  # by a view
        assert as_before(rows, stored) == as_before(rows, [in_words_of_now(row) for row in rows]), name
    assert {"ops.looks", "ops.vanished_orders"} <= before.keys() - after.keys()
    assert {row["kind"] for row in after["ops.quarantine"]} == {"order"}
    assert [row["state"] for row in after["ops.day_proofs"]] == []

    fresh = server.named("fresh_shapes")
    create_database(fresh)
    prepare(fresh)
    assert {name: shape for name, shape in shapes(old.database).items() if name in shapes(fresh)} == shapes(fresh)
    drop(server, fresh)

    installation = query(old.database, "select xmin::text, * from ops.installation order by name")
    assert CliRunner().invoke(main, ["status", "--shop", str(old.description)]).output == messages.output
    assert stored_rows(old.database) == after
    assert query(old.database, "select xmin::text, * from ops.installation order by name") == installation


def test_who_may_read_a_table_may_read_the_view_of_its_old_name(old: Pipeline) -> None:
    reader = f"{old.database.name}_reader"
    execute(old.database, f'create role "{reader}"', f'grant usage on schema ops to "{reader}"')
    try:
        execute(old.database, f'grant select on ops.looks to "{reader}"')
        prepare(old.database)
        allowed = [
            value(old.database, f"select has_table_privilege('{reader}', 'ops.{name}', 'select')")
            for name in ("polls", "looks", "vanished_orders")
        ]
        assert allowed == [True, True, False]
    finally:
        execute(old.database, f'drop owned by "{reader}"', f'drop role "{reader}"')


def test_another_shop_is_refused_before_it_is_brought_up_to_date(old: Pipeline) -> None:
    other = load_shop(str(old.description)).model_copy(update={"name": "second"})
    with pytest.raises(SettingsError, match="holds the shop demo, not second"):
        open_warehouse(old.database, other)
    assert read_stored(old.database).version == 0
    assert value(old.database, "select count(*) from ops.stale_days where reason = 'sweep'") == 1


def reported(pipeline: Pipeline, moment: object) -> Rows:
    """Every published number as it stood at a moment."""
    return pipeline.rows(f"select * from ops.as_reported('{moment}') order by mart, day, key, metric")


def test_its_days_are_run_and_caught_up_with_and_nothing_published_is_forgotten(
    old: Pipeline, clock: Clock, server: Database, tmp_path: Path
) -> None:
    before = stored_rows(old.database)
    moment = value(old.database, "select clock_timestamp()::text")
    figures = reported(old, moment)

    assert catch_up(old).days >= {row["day"] for row in before["ops.stale_days"]}
    clock.now = LATER
    assert catch_up(old).days
    summary = old.run(FIRST, LAST)
    assert summary.succeeded, summary.failures

    after = stored_rows(old.database)
    for name in ("ops.publications", "ops.restatements"):
        kept = [in_words_of_now(row) for row in before[name]]
        assert {*as_before(kept, kept)} <= {*as_before(kept, after[name])}
    assert reported(old, moment) == figures
    runs = {row["run_id"] for row in before["ops.restatements"]}
    causes = {row["cause"] for row in after["ops.restatements"] if row["run_id"] not in runs}
    assert {"deleted", "late_order"} <= causes
    assert not {"unexplained", "code_version_change"} & causes
    bound = binding_of(old.database)
    assert bound is not None
    assert bound.name == "demo"
    with loaded_pipeline(server, tmp_path, SHOP, Days(FIRST, LAST), lambda: LATER) as anew:
        for name in (
            *FIGURES,
            *(contract.table.qualified_name for contract in CONTRACTS if contract.table.schema == "clean"),
        ):
            assert content_hash(old.database, name) == content_hash(anew.database, name), name


def test_a_database_that_has_lost_its_version_is_brought_up_to_date_again(old: Pipeline) -> None:
    prepare(old.database)
    after = stored_rows(old.database)
    execute(old.database, "delete from ops.installation")
    prepare(old.database)
    again = stored_rows(old.database)
    assert [row["value"] for row in again.pop("ops.installation")] != []
    assert again == {name: rows for name, rows in after.items() if name != "ops.installation"}
