"""Which records are profiled, and how old and new ones are kept apart: the audit itself, without a run around it."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.orchestration.assets.drift import FieldAudit
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query, write

OPENED = date(2025, 6, 2)
NOW = datetime(2025, 9, 1, tzinfo=UTC)


def day(number: int) -> date:
    """The business day so many days after the opening."""
    return OPENED + timedelta(days=number)


def audited(database: Database, *orders: tuple[date, dict[str, Any]]) -> FieldAudit:
    """Look at the records of some days, as pages of 500."""
    audit = FieldAudit(RAW_ORDERS, load_shop("demo").orders, open_warehouse(database))
    for batch in raw_rows(*orders).to_batches(max_chunksize=500):
        audit.look_at(batch)
    return audit


def raw_rows(*orders: tuple[date, dict[str, Any]]) -> pa.Table:
    rows = [
        {"order_id": str(number), "order_date": placed, "extracted_at": NOW, "payload": json.dumps(record)}
        for number, (placed, record) in enumerate(orders)
    ]
    return pa.Table.from_pylist(rows, schema=RAW_ORDERS.table.arrow_schema)


def test_all_of_the_first_records_are_looked_at_and_then_every_twentieth(database: Database) -> None:
    records = [(day(0), {"id": number}) for number in range(2_100)]
    assert audited(database, *records).results()[0].metadata["records_examined"].value == 2_005
    write(database, RAW_ORDERS.table, raw_rows((day(1), {})), None)
    newer = [(day(1), {"id": number}) for number in range(2_000)]
    assert audited(database, *records, *newer).results()[0].metadata["records_examined"].value == 4_005


def test_old_and_new_records_are_taken_down_together_when_nothing_is_known_yet(database: Database) -> None:
    """As after an update of the project, whose raw tables are full before the first profile."""
    write(database, RAW_ORDERS.table, raw_rows((day(1), {})), None)
    records = [*[(day(0), {"id": 1, "old": 1})] * 30, *[(day(1), {"id": 1, "new": 1})] * 30]
    audit = audited(database, *records)
    assert audit.results()[0].passed
    audit.record("run")
    assert query(database, "select * from ops.field_changes") == []
    again = audited(database, *records).results()[0]
    assert again.passed
    assert "changes" not in again.metadata


def test_a_field_of_another_type_in_old_and_in_new_records_is_reported_once_a_run(database: Database) -> None:
    audit = audited(database, (day(1), {"a": 1}))
    audit.results()[0]
    audit.record("first")
    write(database, RAW_ORDERS.table, raw_rows((day(1), {})), None)
    audit = audited(database, (day(0), {"a": True}), (day(1), {"a": "x"}))
    result = audit.results()[0]
    assert result.metadata["changes"].value == "- retyped: a, was number, is string, such as x"
    audit.record("second")
    assert [row["run_id"] for row in query(database, "select run_id from ops.field_changes")] == ["second"]
    types = query(database, "select json_type from ops.fields where path = 'a' order by 1")
    assert [row["json_type"] for row in types] == ["boolean", "number", "string"]


def test_what_is_no_json_is_left_to_the_cleaning(database: Database) -> None:
    audit = FieldAudit(RAW_ORDERS, load_shop("demo").orders, open_warehouse(database))
    [batch] = raw_rows((day(0), {"a": 1}), (day(0), {"a": 2})).to_batches()
    payloads = pa.array(["{broken", '{"a": 1}'])
    audit.look_at(pa.RecordBatch.from_arrays([*batch.columns[:-1], payloads], schema=batch.schema))
    assert audit.results()[0].metadata["records_examined"].value == 1
