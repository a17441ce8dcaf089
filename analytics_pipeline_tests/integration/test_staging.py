"""Staged slices: rows that travel early count once they are published, and never otherwise."""

from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.contracts import EXCLUSIONS
from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import Slice, query, write
from analytics_pipeline.database.staging import settle, stage
from analytics_pipeline.errors import ContractError, TableMismatchError

DAY = date(2026, 1, 1)
PART = Slice(DAY, DAY)
TABLE = EXCLUSIONS.table


def _rows(*ids: str) -> pd.DataFrame:
    columns = {
        "order_date": [DAY] * len(ids),
        "order_id": list(ids),
        "reason": ["test_order"] * len(ids),
        "currency": ["EUR"] * len(ids),
        "order_total": [None] * len(ids),
    }
    rows: pd.DataFrame = pa.table(columns, schema=TABLE.arrow_schema).to_pandas(types_mapper=pd.ArrowDtype)
    return rows


def _send_and_publish(database: Database, batches: int) -> None:
    with stage(database, TABLE, PART) as staged:
        for _ in range(batches):
            staged.write(_rows("new"))
        staged.publish()


def _send_and_break(database: Database) -> None:
    with stage(database, TABLE, PART) as staged:
        staged.write(_rows("new"))
        raise RuntimeError("cut")


def _stored(database: Database) -> list[str]:
    found = query(database, "select order_id from ops.exclusions order by order_id")
    return [str(row["order_id"]) for row in found]


def test_published_rows_replace_the_stored_ones(database: Database) -> None:
    for ids in (("a", "b"), ("c",)):
        with stage(database, TABLE, PART) as staged:
            for name in ids:
                staged.write(_rows(name))
            assert staged.publish() == len(ids)
            assert staged.rows_by_day == {"2026-01-01": len(ids)}
        assert _stored(database) == list(ids)


def test_nothing_published_is_an_empty_slice_that_clears_the_rows_only_when_published(database: Database) -> None:
    write(database, TABLE, pa.Table.from_pandas(_rows("old"), schema=TABLE.arrow_schema), PART)
    with stage(database, TABLE, PART):
        pass
    assert _stored(database) == ["old"]
    with stage(database, TABLE, PART) as staged:
        staged.publish()
    assert _stored(database) == []


def test_an_exception_before_the_publication_leaves_the_stored_rows(database: Database) -> None:
    write(database, TABLE, pa.Table.from_pandas(_rows("old"), schema=TABLE.arrow_schema), PART)
    with pytest.raises(RuntimeError, match="cut"):
        _send_and_break(database)
    assert _stored(database) == ["old"]


def test_readers_see_the_old_rows_until_the_publication(database: Database) -> None:
    write(database, TABLE, pa.Table.from_pandas(_rows("old"), schema=TABLE.arrow_schema), PART)
    with stage(database, TABLE, PART) as staged:
        staged.write(_rows("new"))
        assert _stored(database) == ["old"]
        staged.publish()
    assert _stored(database) == ["new"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_repeated_key_is_told_when_publishing_and_leaves_the_stored_rows(database: Database, *, exists: bool) -> None:
    if exists:
        write(database, TABLE, pa.Table.from_pandas(_rows("old"), schema=TABLE.arrow_schema), PART)
    with pytest.raises(ContractError, match="repeat its key"):
        _send_and_publish(database, batches=20)
    if exists:
        assert _stored(database) == ["old"]


def test_a_table_that_does_not_fit_is_told_to_the_one_who_sends_rows(database: Database) -> None:
    write(database, TABLE, pa.Table.from_pandas(_rows("old"), schema=TABLE.arrow_schema), PART)
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("alter table ops.exclusions alter column reason type varchar(20)")
        connection.commit()
    with pytest.raises(TableMismatchError, match="reason"):
        _send_and_publish(database, batches=20)
    assert _stored(database) == ["old"]


def test_several_new_tables_of_one_new_schema_are_staged_side_by_side(database: Database) -> None:
    with (
        stage(database, TABLE, PART) as one,
        stage(database, TABLE.__class__(**{**TABLE.__dict__, "name": "other"}), PART) as other,
    ):
        for staged in (other, one):
            staged.write(_rows("a"))
        assert [one.publish(), other.publish()] == [1, 1]
    assert query(database, "select count(*) as n from ops.other") == [{"n": 1}]


def test_when_one_of_several_tables_fails_none_is_published(database: Database) -> None:
    other_table = TABLE.__class__(**{**TABLE.__dict__, "name": "other"})
    with stage(database, TABLE, PART) as good, stage(database, other_table, PART) as bad:
        good.write(_rows("a"))
        bad.write(_rows("b", "b"))
        with pytest.raises(ContractError, match="repeat its key"):
            settle([good, bad])
    found = query(database, "select count(*) as n from pg_class where relname in ('exclusions', 'other')")
    assert found == [{"n": 0}]
