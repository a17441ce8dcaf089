"""The IO manager: an asset's value becomes the rows of the table of the same name, and back.

It knows which table and which slice a step means, and what to tell Dagster about it; `warehouse.slices` does the
reading and writing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from datetime import date
from typing import Any, TypeAlias

import dagster as dg
import pandas as pd
import pyarrow as pa

from analytics_pipeline.catalogue import Catalogue, Installation
from analytics_pipeline.days import Days
from analytics_pipeline.history.all_shops import publish_of_shops
from analytics_pipeline.history.hooks import (
    CleanedDays,
    ExtractedOrders,
    ExtractedRelated,
    hooks_of,
    order_hooks,
    order_tables,
)
from analytics_pipeline.history.mart_days import mart_days
from analytics_pipeline.history.pages import ExtractedPages
from analytics_pipeline.history.publishing import publish as publish_mart
from analytics_pipeline.history.publishing import publish_whole
from analytics_pipeline.history.shop_reports import ReportsRead
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.orchestration.assets.guard import step_guard
from analytics_pipeline.orchestration.assets.mart_faults import with_its_line
from analytics_pipeline.orchestration.namespaces import relative
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.orchestration.written_metadata import (
    anew,
    figures_by_day,
    report_by_day,
    report_published,
    row_counts,
    shape,
)
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import (
    Changes,
    DailyQuery,
    Query,
    Rows,
    read,
    read_table,
    write,
)
from analytics_pipeline.warehouse.staging import Staged, StagedRows, stage

FromShop: TypeAlias = ExtractedOrders | ExtractedRelated | ExtractedPages | ReportsRead
Value: TypeAlias = pd.DataFrame | Rows | FromShop | DailyQuery | StagedRows | Mart
"""What an asset gives; a mart that is over all shops."""
COLUMNS = "columns"
"""Input metadata: names of the columns to read, all when absent."""


class PostgresIOManager(dg.IOManager):
    """Stores `layer/name` as the Postgres table `layer.name`, and a shop's `de/layer/name` as `de_layer.name`.

    Takes a pandas frame, an Arrow table, a stream of Arrow record batches, `Changes` (replace by id), or a `Query`
    that Postgres computes; `DailyQuery` for a mart by business day, which is computed for its stale days too;
    `ExtractedOrders` for raw orders and `ExtractedRelated` for records related to them; `ExtractedPages`, products
    that replace those of the same ids; `ReportsRead`, which names
    the days that it replaces; and `StagedRows`, which are there and are committed with those of the step's other
    tables. A partitioned asset replaces the slice of the
    run's business days in one transaction, another one the whole table; which hooks run inside is known by
    `history.hooks`. Gives a pandas frame with Arrow dtypes, or a `pyarrow.Table` or a `pyarrow.RecordBatchReader`
    where the input's annotation says so: exactly the run's slice, with the columns that the input's metadata
    `columns` names.
    """

    def __init__(self, database: DatabaseResource, *catalogues: Catalogue, of_all: Installation | None = None) -> None:
        """Take the database and the shops, whose tables have the names of the assets, and marts over all of them."""
        self._database, self._catalogue, self._of_all = database, catalogues[0], of_all
        self._shops = {catalogue.namespace: catalogue for catalogue in catalogues}

    def of(self, namespace: str | None) -> "PostgresIOManager":
        """Return what stores the tables of one of the shops."""
        return PostgresIOManager(self._database.of(namespace), self._shops[namespace])

    def _of_key(self, key: dg.AssetKey) -> "PostgresIOManager":
        return self.of(key.path[0] if key.path[0] in self._shops else None)

    def _path(self, key: dg.AssetKey) -> Sequence[str]:
        return relative(key, self._catalogue.namespace).path

    def begin_orders(self, part: Days, cleaned: CleanedDays, run_id: str) -> AbstractContextManager[Staged]:
        """Begin to write the tables made of raw orders while these are cleaned; the step's first output commits them.

        Args:
            part: The business days.
            cleaned: What is known of them beside their rows.
            run_id: Dagster's id of the run.
        """
        tables = [contract.table for contract in order_tables(self._catalogue.shop).values()]
        return stage(self._database.database(), tables, part, order_hooks(cleaned, self._catalogue, run_id))

    def handle_output(self, context: dg.OutputContext, obj: Value) -> None:
        """Write the value in one transaction.

        Raises:
            TableMismatchError: The stored table does not fit its contract.
            ContractError: The rows repeat a key, or lack a part of one.
            MartError: Postgres does not take a mart's statement.
        """
        if isinstance(obj, Mart):
            self._publish_of_shops(context, obj)
            return
        self._of_key(context.asset_key)._handle_output(context, obj)  # noqa: SLF001 - of this class

    def _publish_of_shops(self, context: dg.OutputContext, mart: Mart) -> None:
        if self._of_all is None:
            raise TypeError(f"{mart.table.qualified_name} is no shop's own mart")
        database, shops = self._database.database(), self._of_all.shops_of_marts
        part = days_of(context.asset_partition_keys) if context.has_asset_partitions else None
        with step_guard(database, context.asset_key.to_user_string(), context.run_id), with_its_line(mart):
            written = publish_of_shops(database, mart, shops, part, context.run_id)
        context.add_output_metadata({"rows_written": written})
        if part is not None:
            report_by_day(context, figures_by_day(database, mart.table, part))

    def _handle_output(self, context: dg.OutputContext, obj: Value) -> None:
        # Staged rows hold connections of their step, which has opened the warehouse.
        database = self._database.located() if isinstance(obj, StagedRows) else self._database.database()
        mart = self._catalogue.mart(self._path(context.asset_key))
        with step_guard(database, context.asset_key.to_user_string(), context.run_id), with_its_line(mart):
            self._write(context, database, obj)

    def _write(self, context: dg.OutputContext, database: Database, obj: Value) -> None:
        table = self._catalogue.table(self._path(context.asset_key))
        if isinstance(obj, DailyQuery):
            written = self._publish(context, database, table, obj)
        elif context.has_asset_partitions:
            written = self._write_days(context, database, table, obj)
        else:
            written = self._write_whole(context, database, table, obj)
        context.add_output_metadata({"rows_written": written})

    def _publish(self, context: dg.OutputContext, database: Database, table: Table, query: DailyQuery) -> int:
        """Compute the run's days of a mart, and those that are stale."""
        marts, shop = {mart.table.name: mart for mart in self._catalogue.marts}, self._catalogue.shop
        days = mart_days(marts[table.name], days_of(context.asset_partition_keys), marts, shop, query)
        published = publish_mart(database, table, days, context.run_id)
        report_published(context, database, table, published, shop)
        return published.rows

    def _write_days(self, context: dg.OutputContext, database: Database, table: Table, obj: Value) -> int:
        """Replace the run's days."""
        hooks = hooks_of(table, obj, self._catalogue, context.run_id)
        left: Mapping[date, Mapping[str, Any]] = {}
        value = obj
        if isinstance(obj, ExtractedOrders | ExtractedRelated):
            value, left = obj.rows, obj.left
        along = obj.followed if isinstance(obj, ExtractedOrders) else ()
        part = days_of(context.asset_partition_keys) - Days.of(left)
        if isinstance(obj, ReportsRead):
            value, part = obj.rows, obj.days
        rows = _rows(table, value)
        if isinstance(rows, StagedRows):
            published = rows.publish()
            written, figures = published.total(), row_counts(published)
        elif isinstance(rows, Query):
            written = write(database, table, rows, part, hooks=hooks)
            figures = figures_by_day(database, table, part)
        else:
            counts: Counter[str] = Counter()
            written = write(database, table, _counted(rows, table, counts), part, hooks=hooks, along=along)
            figures = row_counts(counts)
        report_by_day(context, figures, {day.isoformat(): note for day, note in left.items()})
        return written

    def _write_whole(self, context: dg.OutputContext, database: Database, table: Table, obj: Value) -> int:
        """Replace the whole table."""
        rows = Changes(obj.rows) if isinstance(obj, ExtractedPages) else _rows(table, obj)
        if isinstance(rows, StagedRows):
            raise TypeError(f"a staged slice of {table.qualified_name} has business days")
        if isinstance(rows, Query):
            published = publish_whole(database, table, rows)
            context.add_output_metadata({"dagster/row_count": published.rows, **anew(context, published.anew)})
            written = published.rows
        else:
            written = write(database, table, rows, None, hooks=hooks_of(table, obj, self._catalogue, context.run_id))
            context.add_output_metadata({"dagster/row_count": _row_count(database, table)})
        context.add_output_metadata(shape(context))
        return written

    def load_input(self, context: dg.InputContext) -> Any:  # noqa: ANN401 - the annotation of the asset's argument decides
        """Read the run's slice, or the whole of an unpartitioned table."""
        return self._of_key(context.asset_key)._load_input(context)  # noqa: SLF001 - of this class

    def _load_input(self, context: dg.InputContext) -> Any:  # noqa: ANN401 - as above
        table = self._catalogue.table(self._path(context.asset_key))
        database = self._database.database()
        part = days_of(context.asset_partition_keys) if context.has_asset_partitions else None
        columns = (context.definition_metadata or {}).get(COLUMNS)
        wanted = context.dagster_type.typing_type
        if wanted is pa.RecordBatchReader:
            return _stream(database, table, part, columns)
        rows = read_table(database, table, part, columns)
        return rows if wanted is pa.Table else rows.to_pandas(types_mapper=pd.ArrowDtype)


def _stream(database: Database, table: Table, part: Days | None, columns: list[str] | None) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        with read(database, table, part, columns) as reader:
            yield from reader

    wanted = table.columns if columns is None else [table.column(name) for name in columns]
    return pa.RecordBatchReader.from_batches(
        pa.schema([pa.field(column.name, column.type) for column in wanted]), batches()
    )


def _row_count(database: Database, table: Table) -> int:
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select count(*) from {table.sql_name}")
        return int(cursor.fetchone()[0])


def _rows(table: Table, value: Value) -> Any:  # noqa: ANN401 - any of these but a frame
    if isinstance(value, pd.DataFrame):
        return pa.Table.from_pandas(value, schema=table.arrow_schema, preserve_index=False)
    return value


def _counted(rows: pa.Table | pa.RecordBatchReader, table: Table, counts: Counter[str]) -> pa.RecordBatchReader:
    """Count the rows of each day while they are written."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.to_reader() if isinstance(rows, pa.Table) else rows:
            for found in batch[table.day_column].value_counts().to_pylist():
                counts[str(found["values"])] += found["counts"]
            yield batch

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


__all__ = ["COLUMNS", "Changes", "PostgresIOManager", "Query"]
