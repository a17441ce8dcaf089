"""The IO manager in small jobs of its own: what an asset returns becomes its table's slice, and back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.errors import ContractError, TableMismatchError
from analytics_pipeline.orchestration.io_manager import COLUMNS, PostgresIOManager
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.tables.contracts import CLEAN_PRODUCTS, EXCLUSIONS, RAW_PRODUCTS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Changes, Query, query, write
from analytics_pipeline_tests.integration.tables import execute, value

DAYS = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-02-01")
EXCLUDED = EXCLUSIONS.table
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # backfill policies are beta


def excluded(*named: tuple[str, str]) -> pa.Table:
    """Rows of ops/exclusions, given as day and order id."""
    rows = [
        {
            "order_date": datetime.fromisoformat(day).date(),
            "order_id": name,
            "reason": "test",
            "currency": "EUR",
            "order_total": Decimal("1.5000"),
        }
        for day, name in named
    ]
    return pa.Table.from_pylist(rows, schema=EXCLUDED.arrow_schema)


def materialise(
    assets: list[dg.AssetsDefinition], *, day: str | None = None, until: str | None = None, fails: bool = False
) -> dg.ExecuteInProcessResult:
    """Run assets over a day, a range of days, or without partitions."""
    start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    tags = {start: day, end: until} if day and until else None
    result = dg.materialize(
        assets,
        resources={"postgres": PostgresIOManager(DatabaseResource(), build_catalogue("demo"))},
        partition_key=None if until else day,
        tags=tags,
        raise_on_error=not fails,
    )
    assert result.success is not fails
    return result


def daily(rows: Any) -> dg.AssetsDefinition:  # noqa: ANN401 - whatever an asset may return
    """ops/exclusions, made of these rows."""

    @dg.asset(
        key=EXCLUDED.path,
        io_manager_key="postgres",
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def asset() -> Any:  # noqa: ANN401
        return rows() if callable(rows) else rows

    return asset


def stored(database: Database) -> list[str]:
    rows = query(database, "select order_date || ' ' || order_id as told from ops.exclusions order by 1")
    return [row["told"] for row in rows]


FRAME = excluded(("2025-01-02", "a"), ("2025-01-02", "b")).to_pandas(types_mapper=pd.ArrowDtype)


@pytest.mark.parametrize(
    "rows",
    [
        FRAME,
        excluded(("2025-01-02", "a"), ("2025-01-02", "b")),
        lambda: excluded(("2025-01-02", "a"), ("2025-01-02", "b")).to_reader(max_chunksize=1),
        Query("select date '2025-01-02', name, 'test', 'EUR', 1.5 from (values ('a'), ('b')) as found(name)"),
    ],
    ids=["frame", "table", "stream", "query"],
)
def test_whatever_the_value_the_runs_day_is_replaced_and_its_neighbours_stay(database: Database, rows: Any) -> None:  # noqa: ANN401
    write(database, EXCLUDED, excluded(("2025-01-01", "x"), ("2025-01-02", "old"), ("2025-01-03", "z")), None)
    for _ in range(2):
        result = materialise([daily(rows)], day="2025-01-02")

        assert stored(database) == ["2025-01-01 x", "2025-01-02 a", "2025-01-02 b", "2025-01-03 z"]
        (event,) = result.asset_materializations_for_node("ops__exclusions")
        assert event.metadata["dagster/partition_row_count"].value == 2
        assert event.metadata["rows_written"].value == 2


def test_a_range_is_one_slice_and_each_day_reports_its_own_rows(database: Database) -> None:
    rows = excluded(("2025-01-02", "a"), ("2025-01-04", "b"), ("2025-01-04", "c"))
    result = materialise([daily(rows)], day="2025-01-02", until="2025-01-04")

    events = result.asset_materializations_for_node("ops__exclusions")
    assert {event.partition: event.metadata["dagster/partition_row_count"].value for event in events} == {
        "2025-01-02": 1,
        "2025-01-03": 0,
        "2025-01-04": 2,
    }
    materialise([daily(excluded())], day="2025-01-03", until="2025-01-04")
    assert stored(database) == ["2025-01-02 a"]


def test_an_empty_frame_clears_its_day(database: Database) -> None:
    write(database, EXCLUDED, excluded(("2025-01-02", "old"), ("2025-01-03", "z")), None)
    result = materialise([daily(FRAME.iloc[:0])], day="2025-01-02")

    assert stored(database) == ["2025-01-03 z"]
    (event,) = result.asset_materializations_for_node("ops__exclusions")
    assert event.metadata["dagster/partition_row_count"].value == 0


def test_a_stream_that_breaks_leaves_the_old_day(database: Database) -> None:
    write(database, EXCLUDED, excluded(("2025-01-02", "old")), None)

    def rows() -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            yield from excluded(("2025-01-02", "a")).to_batches()
            raise ConnectionResetError("the shop hung up")

        return pa.RecordBatchReader.from_batches(EXCLUDED.arrow_schema, batches())

    materialise([daily(rows)], day="2025-01-02", fails=True)

    assert stored(database) == ["2025-01-02 old"]


def test_a_repeated_key_fails_the_step_and_leaves_the_old_day(database: Database) -> None:
    write(database, EXCLUDED, excluded(("2025-01-02", "old")), None)
    result = materialise([daily(excluded(("2025-01-02", "a"), ("2025-01-02", "a")))], day="2025-01-02", fails=True)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None
    assert error.cause is not None
    assert error.cause.cls_name == ContractError.__name__
    assert stored(database) == ["2025-01-02 old"]


def test_a_table_that_does_not_fit_fails_the_step(database: Database) -> None:
    write(database, EXCLUDED, excluded(("2025-01-02", "old")), None)
    execute(database, "alter table ops.exclusions alter column order_total type float8")
    result = materialise([daily(excluded(("2025-01-02", "a")))], day="2025-01-02", fails=True)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None
    assert TableMismatchError.__name__ in str(error)
    assert stored(database) == ["2025-01-02 old"]


def test_an_unpartitioned_asset_replaces_its_table_and_reports_its_rows(database: Database) -> None:
    def products(*names: str) -> dg.AssetsDefinition:
        @dg.asset(key=CLEAN_PRODUCTS.table.path, io_manager_key="postgres")
        def asset() -> pa.Table:
            schema = CLEAN_PRODUCTS.table.arrow_schema
            return pa.Table.from_pylist([dict.fromkeys(schema.names) | {"product_id": name} for name in names], schema)

        return asset

    materialise([products("a", "b")])
    result = materialise([products("c")])

    assert query(database, "select product_id from clean.products") == [{"product_id": "c"}]
    (event,) = result.asset_materializations_for_node("clean__products")
    assert event.metadata["dagster/row_count"].value == 1


def test_changes_are_merged_and_the_whole_table_is_counted(database: Database) -> None:
    def products(*names: str) -> pa.Table:
        stamp = datetime(2025, 1, 1, tzinfo=UTC)
        rows = [{"product_id": name, "changed_at": stamp, "extracted_at": stamp, "payload": "{}"} for name in names]
        return pa.Table.from_pylist(rows, schema=RAW_PRODUCTS.table.arrow_schema)

    write(database, RAW_PRODUCTS.table, products("a", "b"), None)

    @dg.asset(key=RAW_PRODUCTS.table.path, io_manager_key="postgres")
    def asset() -> Changes:
        return Changes(products("b", "c").to_reader())

    (event,) = materialise([asset]).asset_materializations_for_node("raw__products")

    assert value(database, "select string_agg(product_id, '' order by product_id) from raw.products") == "abc"
    assert (event.metadata["rows_written"].value, event.metadata["dagster/row_count"].value) == (2, 3)


def read_by(annotation: Any, columns: list[str] | None) -> tuple[dg.AssetsDefinition, list[Any]]:  # noqa: ANN401
    """A partitioned asset that takes ops/exclusions in this form, and the list in which it leaves what it was given."""
    given: list[Any] = []
    metadata = {} if columns is None else {COLUMNS: columns}

    def body(rows: Any) -> None:  # noqa: ANN401
        given.append(rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows)

    body.__annotations__["rows"] = annotation
    reader = dg.asset(
        name="reader",
        ins={"rows": dg.AssetIn(key=EXCLUDED.path, metadata=metadata)},
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        io_manager_key="nothing",
    )(body)
    return reader, given


@pytest.mark.parametrize("annotation", [pd.DataFrame, pa.Table, pa.RecordBatchReader])
@pytest.mark.parametrize("columns", [None, ["order_total", "order_id"]])
def test_an_input_is_the_runs_slice_in_the_form_and_the_columns_asked_for(
    database: Database, annotation: type, columns: list[str] | None
) -> None:
    write(
        database,
        EXCLUDED,
        excluded(("2025-01-01", "x"), ("2025-01-02", "a"), ("2025-01-03", "b"), ("2025-01-04", "z")),
        None,
    )
    reader, given = read_by(annotation, columns)
    source = dg.AssetSpec(EXCLUDED.path, partitions_def=DAYS, metadata={"dagster/io_manager_key": "postgres"})
    dg.materialize(
        [reader, source],
        selection=["reader"],
        resources={
            "postgres": PostgresIOManager(DatabaseResource(), build_catalogue("demo")),
            "nothing": dg.mem_io_manager,
        },
        tags={
            "dagster/asset_partition_range_start": "2025-01-02",
            "dagster/asset_partition_range_end": "2025-01-03",
        },
    )

    (rows,) = given
    expected = columns or EXCLUDED.arrow_schema.names
    if isinstance(rows, pd.DataFrame):
        assert list(rows.dtypes) == [pd.ArrowDtype(EXCLUDED.column(name).type) for name in expected]
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    assert rows.column_names == expected
    assert [field.type for field in rows.schema] == [EXCLUDED.column(name).type for name in expected]
    assert rows["order_id"].to_pylist() == ["a", "b"]
    assert rows["order_total"].to_pylist() == [Decimal("1.5000")] * 2


def test_an_asset_that_no_contract_and_no_mart_knows_has_no_table() -> None:
    assert build_catalogue("demo").table(["clean", "orders"]).qualified_name == "clean.orders"
    with pytest.raises(KeyError):
        build_catalogue("demo").table(["clean", "nonsense"])
