"""One transaction a write, exactly the asked-for rows a read."""

import re
import threading
from contextlib import closing
from decimal import Decimal

import pyarrow as pa
import pytest

from analytics_pipeline.days import NO_DAYS
from analytics_pipeline.errors import ContractError
from analytics_pipeline.tables.contracts import RAW_CUSTOMERS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Changes, Query, exists, newest_change, read, read_table, write
from analytics_pipeline.warehouse.turns import exclusive, key_of_lock, take_turns
from analytics_pipeline_tests.integration.loaded import wait_until
from analytics_pipeline_tests.integration.tables import (
    STAMPED,
    THINGS,
    end_sessions,
    execute,
    names,
    part,
    stream_that_breaks,
    things,
    value,
)

OLD = ("1 a", "2 b", "3 c")


@pytest.fixture
def stored(database: Database) -> Database:
    """A database that holds a row on each of the first three days."""
    write(database, THINGS, things((1, "a"), (2, "b"), (3, "c")), None)
    return database


def test_a_slice_is_replaced_and_its_neighbours_stay_however_often(stored: Database) -> None:
    for _ in range(2):
        written = write(stored, THINGS, things((2, "x"), (2, "y")), part(2))

        assert written == 2
        assert names(stored) == ["1 a", "2 x", "2 y", "3 c"]


def test_an_empty_slice_clears_the_old_rows(stored: Database) -> None:
    assert write(stored, THINGS, things(), part(2, 3)) == 0
    assert names(stored) == ["1 a"]


def test_without_a_slice_the_whole_table_is_replaced(stored: Database) -> None:
    write(stored, THINGS, things((9, "z")), None)

    assert names(stored) == ["9 z"]


def test_a_query_is_computed_by_postgres_into_the_slice(stored: Database) -> None:
    rows = "(values ('B')) as found(name)"
    sql = f"select date '2025-01-02', name, 2 * 1.25, 2::bigint, now(), true, null::json from {rows}"
    for _ in range(2):
        assert write(stored, THINGS, Query(sql), part(2)) == 1
        assert names(stored) == ["1 a", "2 B", "3 c"]


def test_a_stream_that_breaks_leaves_the_old_rows(stored: Database) -> None:
    with pytest.raises(Exception, match="the shop hung up"):
        write(stored, THINGS, stream_that_breaks((2, "x"), (2, "y")), part(1, 3))

    assert names(stored) == list(OLD)


def test_a_stream_that_breaks_leaves_no_table_when_there_was_none(database: Database) -> None:
    with pytest.raises(Exception, match="the shop hung up"):
        write(database, THINGS, stream_that_breaks((1, "x")), part(1))

    assert not exists(database, THINGS)
    write(database, THINGS, things((1, "a")), part(1))
    assert names(database) == ["1 a"]


def test_rows_of_a_day_outside_the_slice_are_refused_and_the_old_rows_stay(stored: Database) -> None:
    with pytest.raises(
        ContractError, match=r"rows meant for .* of probe\.things were not written: some are of 2025-01-03"
    ):
        write(stored, THINGS, things((1, "x"), (3, "y")), part(1))
    assert names(stored) == list(OLD)


@pytest.mark.parametrize("rows", [things((2, "x"), (2, "x")), things((2, "x"), (2, "c"))], ids=["twice", "stored"])
def test_a_repeated_key_is_refused_with_its_value_and_the_old_rows_stay(stored: Database, rows: pa.Table) -> None:
    with pytest.raises(ContractError, match=r"rows meant for probe\.things repeat its key \(name\)") as raised:
        write(stored, THINGS, rows, part(2))

    assert "(x)" not in str(raised.value)
    assert raised.value.excerpt in {"Key (name)=(x) already exists.", "Key (name)=(c) already exists."}
    assert names(stored) == list(OLD)


def test_a_repeated_key_is_refused_in_a_table_that_is_made_for_it(database: Database) -> None:
    with pytest.raises(ContractError, match=r"repeat its key \(name\)") as raised:
        write(database, THINGS, things((1, "x"), (2, "x")), None)

    assert raised.value.excerpt == "Key (name)=(x) is duplicated."
    assert not exists(database, THINGS)


def customers(**stamps: str | None) -> pa.Table:
    rows = [
        {"customer_id": name, "changed_at": stamp, "extracted_at": "2025-02-01T00:00:00+00:00", "payload": "{}"}
        for name, stamp in stamps.items()
    ]
    text = pa.schema([(name, pa.string()) for name in RAW_CUSTOMERS.table.arrow_schema.names])
    return pa.Table.from_pylist(rows, schema=text).cast(RAW_CUSTOMERS.table.arrow_schema)


def test_changes_replace_rows_of_the_same_id_and_leave_the_others(database: Database) -> None:
    table = RAW_CUSTOMERS.table
    assert newest_change(database, table) is None
    write(database, table, customers(a="2025-01-01T00:00:00+00:00", b=None), None)

    changed = customers(b="2025-01-03T00:00:00+00:00", c="2025-01-02T00:00:00+00:00")
    for _ in range(2):
        assert write(database, table, Changes(changed.to_reader()), None) == 2

    rows = read_table(database, table, columns=["customer_id", "changed_at"]).to_pylist()
    assert {row["customer_id"]: row["changed_at"].day for row in rows} == {"a": 1, "b": 3, "c": 2}
    assert len(rows) == 3
    newest = newest_change(database, table)
    assert newest is not None
    assert newest.isoformat() == "2025-01-03T00:00:00+00:00"


def test_no_changes_change_nothing(database: Database) -> None:
    write(database, RAW_CUSTOMERS.table, customers(a=None), None)
    write(database, RAW_CUSTOMERS.table, Changes(customers().to_reader()), None)

    assert value(database, "select count(*) from raw.customers") == 1
    assert newest_change(database, RAW_CUSTOMERS.table) is None


def test_reading_gives_exactly_the_slice_and_the_columns_in_the_asked_for_order(stored: Database) -> None:
    rows = read_table(stored, THINGS, part(2, 3), ["name", "day"])

    assert rows.column_names == ["name", "day"]
    assert rows["name"].to_pylist() == ["b", "c"]


def test_reading_gives_the_contracts_types_and_exact_values(stored: Database) -> None:
    write(stored, THINGS, things((1, "a"), amount="123456789012345.6789"), part(1))
    rows = read_table(stored, THINGS, part(1))

    assert [(field.name, field.type) for field in rows.schema] == [
        (field.name, field.type) for field in THINGS.arrow_schema
    ]
    (row,) = rows.to_pylist()
    assert row["amount"] == Decimal("123456789012345.6789")
    assert row["seen_at"] == STAMPED
    assert row["payload"] == '{"b": 1,  "a": 2}'


def test_nulls_survive_writing_and_reading(stored: Database) -> None:
    execute(stored, "update probe.things set amount = null, payload = null where name = 'a'")
    (row,) = read_table(stored, THINGS, part(1)).to_pylist()

    assert (row["amount"], row["payload"]) == (None, None)


def test_rows_come_ordered_by_day(database: Database) -> None:
    write(database, THINGS, things((3, "c"), (1, "a"), (2, "b")), None)

    assert read_table(database, THINGS)["name"].to_pylist() == ["a", "b", "c"]


def test_a_missing_table_reads_empty_with_its_columns(database: Database) -> None:
    rows = read_table(database, THINGS, part(1), ["amount"])

    assert (rows.num_rows, rows.column_names) == (0, ["amount"])
    with read(database, RAW_CUSTOMERS.table) as reader:
        assert reader.read_all().num_rows == 0


def test_a_column_that_no_contract_has_is_not_asked_for(stored: Database) -> None:
    with pytest.raises(KeyError, match="nonsense"):
        read_table(stored, THINGS, columns=["nonsense"])


def test_the_days_of_several_slices_are_those_of_any_of_them(stored: Database) -> None:
    condition = THINGS.where(part(1) | part(3))
    days = value(
        stored, f"select string_agg(distinct day::text, ' ' order by day::text) from probe.things where {condition}"
    )
    assert days == "2025-01-01 2025-01-03"


def test_each_statement_of_a_writer_sees_what_is_committed_whatever_the_servers_default(
    database: Database,
) -> None:
    execute(database, f"alter database {database.name} set default_transaction_isolation = 'repeatable read'")
    end_sessions(database)  # those that are kept open have the server's defaults of before
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select current_setting('transaction_isolation')")
        assert cursor.fetchone()[0] == "repeatable read"
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, "probe.things")
        cursor.execute("select current_setting('transaction_isolation')")
        assert cursor.fetchone()[0] == "read committed"


def test_writers_of_one_table_wait_for_each_other_and_readers_do_not(stored: Database) -> None:
    began, go_on, order = threading.Event(), threading.Event(), []

    def slow_batches() -> object:
        began.set()
        yield from things((2, "slow")).to_batches()
        go_on.wait(10)
        order.append("first")

    def first() -> None:
        reader = pa.RecordBatchReader.from_batches(THINGS.arrow_schema, slow_batches())
        write(stored, THINGS, reader, part(2))

    def second() -> None:
        write(stored, THINGS, things((2, "fast")), part(2))
        order.append("second")

    writers = [threading.Thread(target=first), threading.Thread(target=second)]
    writers[0].start()
    assert began.wait(10)
    writers[1].start()
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    wait_until(lambda: value(stored, waiting) == 1)

    assert names(stored) == list(OLD)
    go_on.set()
    for writer in writers:
        writer.join(10)
    assert order == ["first", "second"]
    assert names(stored) == ["1 a", "2 fast", "3 c"]


def test_a_named_lock_is_held_by_one_until_its_block_ends(database: Database) -> None:
    key = key_of_lock(1).replace("$1", "'clean orders'")
    free = f"select pg_try_advisory_lock({key}) as free"
    with exclusive(database, "clean orders"):
        assert value(database, free) is False
        with exclusive(database, "another"):
            pass

    assert value(database, free) is True


def test_a_slice_without_a_day_is_nothing_and_not_the_whole_table(stored: Database) -> None:
    before = names(stored)
    assert write(stored, THINGS, THINGS.arrow_schema.empty_table(), NO_DAYS) == 0
    assert names(stored) == before
    assert read_table(stored, THINGS, NO_DAYS).num_rows == 0


@pytest.mark.parametrize(
    ("stored_type", "number"),
    [
        ("numeric(20,4)", "9999999999999999.1234"),
        ("numeric(38,4)", "1000000000000000"),
        ("numeric", "1e60"),
        ("numeric(25,6)", "1.234567"),
        ("numeric", "1e-30"),
    ],
)
def test_a_number_that_the_contracts_type_has_no_room_for_is_refused_and_not_cut(
    stored: Database, stored_type: str, number: str
) -> None:
    change = f"alter table probe.things alter column amount type {stored_type}"
    execute(stored, change, f"update probe.things set amount = {number} where name = 'b'")
    with pytest.raises(ContractError, match="amount holds a number that has more digits than decimal128"):
        read_table(stored, THINGS)
    execute(
        stored, "update probe.things set amount = case name when 'a' then -999999999999999.9999 else 0.00010000 end"
    )
    found = {row["name"]: row["amount"] for row in read_table(stored, THINGS).to_pylist()}
    assert (found["a"], found["b"]) == (Decimal("-999999999999999.9999"), Decimal("0.0001"))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("count", pa.array([1.0])),
        ("count", pa.array([1], pa.int32())),
        ("amount", pa.array([Decimal("1.23456")])),
        ("seen_at", pa.array([1])),
        ("unheard_of", pa.array([1])),
    ],
    ids=["float", "narrow", "finer", "number", "new"],
)
def test_a_column_of_another_type_is_refused_by_name_and_not_taken_for_the_tables(
    stored: Database, name: str, values: pa.Array
) -> None:
    rows = things((2, "x"))
    place = rows.schema.get_field_index(name)
    rows = rows.append_column(name, values) if place < 0 else rows.set_column(place, name, values)
    with pytest.raises(ContractError, match=re.escape(f"have the column {name} as {values.type}")):
        write(stored, THINGS, rows, part(2))
    assert tuple(names(stored)) == OLD


def test_texts_are_read_as_they_were_written_whatever_encoding_sessions_of_the_database_have(
    database: Database,
) -> None:
    write(database, THINGS, things((1, "Zoë"), (2, "5 €")), None)
    execute(database, f"alter database \"{database.name}\" set client_encoding = 'LATIN1'")
    end_sessions(database)
    write(database, THINGS, things((3, "Łódź")), part(3))
    read_back = read_table(database, THINGS)
    read_back.validate(full=True)
    assert read_back["name"].to_pylist() == ["Zoë", "5 €", "Łódź"]
