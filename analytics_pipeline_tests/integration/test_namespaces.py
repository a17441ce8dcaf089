"""Several shops in one database: each has schemas, tables and locks of its own; statements name layers."""

import psycopg
import pytest

from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.history import OPS_TABLES, POLLS
from analytics_pipeline.tables.shape import LAYERS, in_sql
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import in_schemas
from analytics_pipeline.warehouse.schema import prepare, read_stored
from analytics_pipeline.warehouse.slices import exists, query, read_table
from analytics_pipeline.warehouse.turns import exclusive, key_of_lock

HOLD = "select pg_try_advisory_lock({}) as is_free"


def test_a_layer_in_a_statement_is_the_schema_of_one_shop() -> None:
    statement = f"select '{POLLS.qualified_name}' from {POLLS.sql_name} join {in_sql('sheets', 'targets')} using (day)"

    assert in_schemas(statement, None) == """select 'ops.polls' from "ops".polls join sheets.targets using (day)"""
    assert in_schemas(statement, "de") == """select 'ops.polls' from "de_ops".polls join sheets.targets using (day)"""


def test_whatever_is_made_for_a_shop_is_made_in_its_own_schemas(database: Database) -> None:
    german = database.of("de")
    prepare(german)

    assert not read_stored(german).missing
    assert read_stored(database).is_new
    assert exists(german, POLLS)
    assert not exists(database, POLLS)
    schemas = {row["name"] for row in query(database, "select nspname as name from pg_namespace")}
    assert "de_ops" in schemas
    assert not schemas & {*LAYERS}
    prepare(database)
    rows = "(polled_at, orders_seen, orders_changed, days_marked) values (now(), 1, 0, 0)"
    with german.connect() as connection:
        connection.execute(f"insert into {POLLS.sql_name} {rows}")
        connection.commit()
    assert [len(read_table(one, POLLS)) for one in (german, database, database.of("fr"))] == [1, 0, 0]
    assert query(database, 'select count(*) as n from "de_ops".polls') == [{"n": 1}]


def test_a_statement_that_names_no_shop_reads_no_other_shops_table(database: Database) -> None:
    prepare(database.of("de"))

    with pytest.raises(psycopg.Error, match="does not exist"):
        query(database, f"select from {POLLS.sql_name}")


def test_a_lock_is_the_shops_own(database: Database) -> None:
    key = key_of_lock(1).replace("$1", "'clean orders'")
    with exclusive(database.of("de"), "clean orders"):
        assert query(database.of("de"), HOLD.format(key)) == [{"is_free": False}]
        assert query(database.of("fr"), HOLD.format(key)) == [{"is_free": True}]
        assert query(database, HOLD.format(key)) == [{"is_free": True}]


def test_each_layer_of_a_contract_is_one_that_shops_have_for_themselves() -> None:
    assert {table.schema for table in (*OPS_TABLES, *(one.table for one in CONTRACTS))} <= {*LAYERS}
