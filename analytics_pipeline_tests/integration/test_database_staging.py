"""Rows that are on their way count only once they are published."""

import itertools
import threading
import time
from dataclasses import replace

import pandas as pd
import pytest

from analytics_pipeline.errors import ContractError, TableMismatchError
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import write
from analytics_pipeline.warehouse.staging import StagedRows, stage
from analytics_pipeline_tests.integration.tables import THINGS, execute, names, part, things, value

OTHERS = replace(THINGS, name="others")
OLD = ["1 a", "2 b", "3 c"]


def frame(*named: tuple[int, str]) -> pd.DataFrame:
    rows: pd.DataFrame = things(*named).to_pandas(types_mapper=pd.ArrowDtype)
    return rows


@pytest.fixture
def stored(database: Database) -> Database:
    """A database that holds a row on each of the first three days."""
    write(database, THINGS, things((1, "a"), (2, "b"), (3, "c")), None)
    return database


def test_published_rows_replace_the_slice_and_are_counted_by_day(stored: Database) -> None:
    with stage(stored, [THINGS], part(2, 3)) as staged:
        for batch in (frame((2, "x"), (2, "y")), frame(), frame((3, "z"))):
            staged.write(THINGS, batch)
        assert names(stored) == OLD
        assert StagedRows(staged, THINGS).publish().total() == 3
        assert names(stored) == ["1 a", "2 x", "2 y", "3 z"]

    assert staged.rows_by_day["probe.things"] == {"2025-01-02": 2, "2025-01-03": 1}
    assert names(stored) == ["1 a", "2 x", "2 y", "3 z"]


def test_nothing_published_clears_the_slice_when_nothing_was_sent(stored: Database) -> None:
    with stage(stored, [THINGS], part(2)) as staged:
        assert StagedRows(staged, THINGS).publish().total() == 0

    assert names(stored) == ["1 a", "3 c"]


def test_rows_that_are_not_published_leave_the_old_ones(stored: Database) -> None:
    with stage(stored, [THINGS], part(2)) as staged:
        staged.write(THINGS, frame((2, "x")))

    assert names(stored) == OLD
    deadline = time.monotonic() + 10  # the server ends a closed connection a moment later
    while value(stored, "select count(*) from pg_locks where locktype = 'advisory'"):
        assert time.monotonic() < deadline, "the lock outlives the writer"


def test_a_failure_while_rows_are_made_leaves_the_old_ones(stored: Database) -> None:
    def make() -> None:
        with stage(stored, [THINGS], part(2)) as staged:
            staged.write(THINGS, frame((2, "x")))
            raise RuntimeError("no more rows")

    with pytest.raises(RuntimeError, match="no more rows"):
        make()

    assert names(stored) == OLD


def test_a_repeated_key_is_reported_when_the_rows_are_published(stored: Database) -> None:
    with stage(stored, [THINGS], part(2)) as staged:
        staged.write(THINGS, frame((2, "x"), (2, "x")))
        with pytest.raises(ContractError, match=r"repeat its key \(name\)"):
            staged.publish()

    assert names(stored) == OLD


def test_a_table_that_does_not_fit_is_told_to_whoever_sends_rows(stored: Database) -> None:
    execute(stored, "alter table probe.things alter column amount type float8")

    def send_for_ever() -> None:
        with stage(stored, [THINGS], part(2)) as staged:
            for number in itertools.count():
                staged.write(THINGS, frame((2, f"x{number}")))

    with pytest.raises(TableMismatchError):
        send_for_ever()

    assert value(stored, "select count(*) from probe.things") == 3


def test_a_new_table_appears_with_its_first_rows_or_not_at_all(database: Database) -> None:
    with stage(database, [THINGS], part(1)) as staged:
        staged.write(THINGS, frame((1, "a")))
    assert value(database, "select to_regclass('probe.things') is null") is True

    with stage(database, [THINGS], part(1)) as staged:
        staged.write(THINGS, frame((1, "a")))
        staged.publish()
    assert names(database) == ["1 a"]


def test_several_new_tables_appear_at_one_moment_and_are_published_once(database: Database) -> None:
    with stage(database, [THINGS, OTHERS], part(1)) as staged:
        for table in (OTHERS, THINGS):
            staged.write(table, frame((1, "a")))
        assert [StagedRows(staged, table).publish().total() for table in (THINGS, OTHERS, THINGS)] == [1, 1, 1]

    assert names(database) == ["1 a"]
    assert value(database, "select count(*) from probe.others") == 1


def test_a_reader_sees_the_old_rows_of_all_tables_or_the_new_ones_of_all(stored: Database) -> None:
    write(stored, OTHERS, things((2, "b")), None)
    both = "select (select string_agg(name, '') from probe.things where day = '2025-01-02') || string_agg(name, '') "
    seen, is_over = set(), threading.Event()

    def read() -> None:
        while not is_over.is_set():
            seen.add(value(stored, f"{both} from probe.others where day = '2025-01-02'"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        with stage(stored, [THINGS, OTHERS], part(2)) as staged:
            for table in (THINGS, OTHERS):
                staged.write(table, frame((2, f"<{number}>")))
            staged.publish()
    is_over.set()
    reader.join()

    assert len(seen) > 1
    assert seen <= {"bb", *(f"<{number}><{number}>" for number in range(20))}


def test_when_one_of_several_tables_fails_none_is_published(stored: Database) -> None:
    def publish_both() -> None:
        with stage(stored, [THINGS, OTHERS], part(2)) as staged:
            staged.write(THINGS, frame((2, "x")))
            staged.write(OTHERS, frame((2, "y"), (2, "y")))
            staged.publish()

    with pytest.raises(ContractError, match=r"rows meant for probe.others repeat its key"):
        publish_both()

    assert names(stored) == OLD
    assert value(stored, "select count(*) from pg_class where relname = 'others'") == 0
