"""Tables as Postgres holds them: keys, comments, types, added columns, and refusal of what does not fit."""

from contextlib import closing
from dataclasses import replace

import pyarrow as pa
import pytest

from analytics_pipeline.errors import TableBusyError, TableMismatchError
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.names import RESERVED
from analytics_pipeline.tables.shape import COUNT, TEXT, Column, Table
from analytics_pipeline.warehouse import layout
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Changes, query, read_table, write
from analytics_pipeline_tests.integration.tables import THINGS, execute, names, part, things, value

TABLES = (*(contract.table for contract in CONTRACTS), *(mart.table for mart in load_marts()))
DESCRIBED = """
select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as is_nullable,
    col_description(a.attrelid, a.attnum) as description
from pg_attribute a where a.attrelid = '{table}'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
KEYS = """
select a.attname as name from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
where i.indrelid = '{table}'::regclass and {which}
"""


def test_a_column_is_not_added_to_a_table_that_stays_in_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "SECONDS_TO_WAIT", 0.2)
    write(database, THINGS, things((1, "a")), part(1))
    more = replace(THINGS, columns=(*THINGS.columns, Column("note", TEXT, "Note.", is_nullable=True)))
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select * from probe.things")
        cursor.fetchall()
        with pytest.raises(TableBusyError, match=r"probe\.things gets a new column and has been in use"):
            layout.add_columns(database, [more])
    layout.add_columns(database, [more])
    assert value(database, "select count(note) from probe.things") == 0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified_name)
def test_a_table_is_made_as_its_contract_or_mart_describes_it(database: Database, table: Table) -> None:
    for _ in range(2):
        write(database, table, table.arrow_schema.empty_table(), None)

    assert query(database, DESCRIBED.format(table=table.qualified_name)) == [
        {
            "name": column.name,
            "type": column.postgres_type,
            "is_nullable": column.is_nullable,
            "description": column.description,
        }
        for column in table.columns
    ]
    assert value(database, f"select obj_description('{table.qualified_name}'::regclass)") == table.description
    key = {row["name"] for row in query(database, KEYS.format(table=table.qualified_name, which="i.indisprimary"))}
    indexed = {
        row["name"] for row in query(database, KEYS.format(table=table.qualified_name, which="not i.indisprimary"))
    }
    assert key == set(table.key)
    assert indexed == {name for names in table.indexes for name in names.split(", ")}


def test_every_slice_is_found_by_an_index(database: Database) -> None:
    """A table that is written by business day has that day first in its key or in an index."""
    by_day = [table for table in TABLES if table.day_column]

    def begins_with_the_day(table: Table) -> bool:
        return table.day_column in {*table.key[:1], *(names.split(", ")[0] for names in table.indexes)}

    assert [table.name for table in by_day if not begins_with_the_day(table)] == []
    assert len(by_day) > 5
    assert value(database, "select 1") == 1


def grown(*columns: Column) -> Table:
    return replace(THINGS, columns=(*THINGS.columns, *columns))


def test_a_new_column_that_may_be_null_is_added_and_old_rows_stay(database: Database) -> None:
    write(database, THINGS, things((1, "a")), None)
    table = grown(Column("note", TEXT, "A note; it's new.", is_nullable=True))
    rows = things((2, "b")).append_column("note", [["hello"]])
    write(database, table, rows, part(2))

    assert {row["name"]: row["note"] for row in read_table(database, table).to_pylist()} == {"a": None, "b": "hello"}
    described = query(database, DESCRIBED.format(table="probe.things"))
    assert described[-1] == {"name": "note", "type": "text", "is_nullable": True, "description": "A note; it's new."}


def test_a_column_that_may_be_null_now_is_let_be_null_and_old_rows_stay(database: Database) -> None:
    write(database, THINGS, things((1, "a")), part(1))
    name = THINGS.columns[-1].name
    relaxed = replace(THINGS.columns[-1], is_nullable=True)
    layout.add_columns(database, [replace(THINGS, columns=(*THINGS.columns[:-1], relaxed))])
    found = {row["name"]: row["is_nullable"] for row in query(database, DESCRIBED.format(table="probe.things"))}
    assert found == {column.name: column.name == name or column.is_nullable for column in THINGS.columns}
    assert value(database, f"select count({name}) from probe.things") == 1


def test_a_column_that_left_the_contract_stays_with_its_values(database: Database) -> None:
    table = grown(Column("note", TEXT, "A note.", is_nullable=True))
    write(database, table, things((1, "a")).append_column("note", [["keep"]]), None)
    write(database, THINGS, things((2, "b")), part(2))

    assert query(database, "select name, note from probe.things order by name") == [
        {"name": "a", "note": "keep"},
        {"name": "b", "note": None},
    ]


def test_columns_are_matched_by_name_whatever_their_order(database: Database) -> None:
    write(
        database, replace(THINGS, columns=THINGS.columns[::-1]), things().select(THINGS.arrow_schema.names[::-1]), None
    )
    write(database, THINGS, things((1, "a"), amount="7.0000"), None)

    assert query(database, "select name, amount, count from probe.things") == [
        {"name": "a", "amount": "7.0000", "count": 1}
    ]


def test_changes_are_merged_by_name_when_the_stored_table_has_another_order(database: Database) -> None:
    table = replace(THINGS, merge_column="name")
    write(database, replace(table, columns=table.columns[::-1]), things().select(THINGS.arrow_schema.names[::-1]), None)
    write(database, table, things((1, "a"), (2, "b")), None)
    write(database, table, Changes(things((3, "b")).to_reader()), None)

    assert names(database) == ["1 a", "3 b"]


@pytest.mark.parametrize(
    ("damage", "table", "reason"),
    [
        ("alter table probe.things alter column amount type float8", THINGS, "its column amount is double precision"),
        ("alter table probe.things drop column count", THINGS, "it lacks the column count, which may not be null"),
        ("select 1", grown(Column("note", COUNT, "A note.")), "it lacks the column note, which may not be null"),
        (
            "alter table probe.things rename payload to note; alter table probe.things alter note set not null",
            THINGS,
            "its column note may not be null and is not in the contract",
        ),
    ],
    ids=["another type", "missing", "new", "too many"],
)
def test_a_table_that_does_not_fit_is_refused_and_left_as_it_is(
    database: Database, damage: str, table: Table, reason: str
) -> None:
    write(database, THINGS, things((1, "a")), None)
    execute(database, *damage.split(";"))
    before = query(database, DESCRIBED.format(table="probe.things"))

    with pytest.raises(TableMismatchError, match=reason) as raised:
        write(database, table, things((1, "x")), None)

    assert "alter table probe.things rename to" in str(raised.value)
    assert query(database, DESCRIBED.format(table="probe.things")) == before
    assert value(database, "select string_agg(name, '') from probe.things") == "a"


def test_a_further_column_with_a_default_is_no_obstacle(database: Database) -> None:
    write(database, THINGS, things((1, "a")), None)
    execute(database, "alter table probe.things add column loaded_at timestamptz not null default now()")
    write(database, THINGS, things((2, "b")), part(2))

    assert value(database, "select count(loaded_at) from probe.things") == 2


def test_every_word_that_the_server_takes_as_a_name_without_quotes_is_one(database: Database) -> None:
    words = {row["word"]: row["catcode"] for row in query(database, "select word, catcode from pg_get_keywords()")}
    assert {word for word, kind in words.items() if kind in "RT"} <= RESERVED
    columns = tuple(Column(word, TEXT, "A word.", is_nullable=True) for word in sorted(words.keys() - RESERVED))
    table = Table("probe", "words", "Words.", columns)
    assert write(database, table, pa.table({column.name: ["x"] for column in columns}), None) == 1
    assert read_table(database, table).num_rows == 1
