"""The IO manager: an asset's value becomes the rows of the table of the same name, and back.

It knows which table and which slice a step means, and what to tell Dagster about it; `warehouse.slices` does the
reading and writing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.history.proofs import read_proofs
from analytics_pipeline.history.publishing import Anew, MartDays, Published, publish_whole
from analytics_pipeline.history.publishing import publish as publish_mart
from analytics_pipeline.history.written import written_days
from analytics_pipeline.orchestration.assets.guard import step_guard
from analytics_pipeline.orchestration.assets.mart_faults import with_its_line
from analytics_pipeline.orchestration.day_metadata import name_days
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import (
    Accompanied,
    Changes,
    Hook,
    Query,
    Rows,
    Slice,
    SomeDays,
    read,
    read_table,
    write,
)
from analytics_pipeline.warehouse.staging import StagedRows

ROW_COUNT = "dagster/partition_row_count"
COMPUTED_ANEW = "computed_anew"
HELD = "last_held_against_the_shop"
SHAPE = ("dagster/column_schema", "dagster/column_lineage")
"""Told once a run, with its last day: what follows materialisations reads it there, and not in the definitions."""
Figures = dict[str, dict[str, Any]]
"""Metadata by partition key."""
COLUMNS = "columns"
"""Input metadata: names of the columns to read, all when absent."""


class PostgresIOManager(dg.IOManager):
    """Stores `layer/name` as the Postgres table `layer.name`.

    Takes a pandas frame, an Arrow table, a stream of Arrow record batches, `Changes` (replace by id), a `Query` that
    Postgres computes, or `StagedRows`, which are there and are committed with those of the step's other tables;
    `MartDays` for a mart by business day, which is computed for its stale days too. `Accompanied` rows bring more to
    write. A partitioned asset replaces the slice of the run's business days in one transaction, another one the whole
    table. Gives a pandas frame with Arrow dtypes, or a `pyarrow.Table` or a `pyarrow.RecordBatchReader` where the
    input's annotation says so: exactly the run's slice, with the columns that the input's metadata `columns` names.
    """

    def __init__(self, database: DatabaseResource, catalogue: Catalogue) -> None:
        """Take the database and the installation, whose tables have the names of the assets."""
        self._database, self._catalogue = database, catalogue

    def handle_output(
        self, context: dg.OutputContext, obj: pd.DataFrame | Rows | Accompanied | MartDays | StagedRows
    ) -> None:
        """Write the value in one transaction.

        Raises:
            TableMismatchError: The stored table does not fit its contract.
            ContractError: The rows repeat a key, or lack a part of one.
            MartError: Postgres does not take a mart's statement.
        """
        database = self._database.database()
        mart = self._catalogue.mart(context.asset_key.path)
        with step_guard(database, context.asset_key.to_user_string(), context.run_id), with_its_line(mart):
            self._write(context, database, obj)

    def _write(
        self,
        context: dg.OutputContext,
        database: Database,
        obj: pd.DataFrame | Rows | Accompanied | MartDays | StagedRows,
    ) -> None:
        table = self._catalogue.table(context.asset_key.path)
        if isinstance(obj, MartDays):
            published = publish_mart(database, table, obj, context.run_id)
            self._report_published(context, table, published, obj)
            context.add_output_metadata({"rows_written": published.rows})
            return
        value, hooks = (obj.rows, obj.hooks) if isinstance(obj, Accompanied) else (obj, ())
        rows = (
            pa.Table.from_pandas(value, schema=table.arrow_schema, preserve_index=False)
            if isinstance(value, pd.DataFrame)
            else value
        )
        if context.has_asset_partitions:
            left = obj.left if isinstance(obj, Accompanied) else {}
            part = replace(_slice(context.asset_partition_keys), left=tuple(sorted(left)))
            written, figures = _write_days(database, table, rows, part, hooks)
            self._report_by_day(context, figures, {day.isoformat(): note for day, note in left.items()})
        else:
            if isinstance(rows, StagedRows):
                raise TypeError(f"a staged slice of {table.qualified_name} has business days")
            if isinstance(rows, Query):
                published = publish_whole(database, table, rows)
                counted = {"dagster/row_count": published.rows, "rows_written": published.rows}
                context.add_output_metadata({**counted, **_shape(context), **_anew(context, published.anew)})
                return
            written = write(database, table, rows, None, hooks=hooks)
            context.add_output_metadata({"dagster/row_count": _row_count(database, table), **_shape(context)})
        context.add_output_metadata({"rows_written": written})

    def _report_published(self, context: dg.OutputContext, table: Table, published: Published, mart: MartDays) -> None:
        """Report the run's days as its output, and of stale days beside them as materialisations of their own."""
        database = self._database.database()
        as_of = written_days(database, table)
        slices = tuple(Slice(days.first, days.last) for days in published.days)
        stored = _figures_by_day(database, table, SomeDays(slices)) if slices else {}
        proofs = read_proofs(database)
        figures: Figures = {
            day.isoformat(): {
                ROW_COUNT: 0,
                "state": mart.state(day, as_of.get(day)),
                HELD: proofs[day].held_at.isoformat() if day in proofs else "never",
                **stored.get(day.isoformat(), {}),
            }
            for days in published.days
            for day in days
        }
        self._report_by_day(context, figures, at_last=_anew(context, published.anew))
        for key in sorted(figures.keys() - set(context.asset_partition_keys)):
            context.log_event(dg.AssetMaterialization(context.asset_key, metadata=figures[key], partition=key))

    def _report_by_day(
        self,
        context: dg.OutputContext,
        figures: Figures,
        left: Mapping[str, Mapping[str, Any]] | None = None,
        at_last: Mapping[str, Any] | None = None,
    ) -> None:
        said = {day: {ROW_COUNT: 0, **figures.get(day, {})} for day in context.asset_partition_keys}
        said |= {day: dict(note) for day, note in (left or {}).items()}
        last = max(said)
        name_days(context, {**said, last: {**said[last], **_shape(context), **(at_last or {})}})

    def load_input(self, context: dg.InputContext) -> Any:  # noqa: ANN401 - the annotation of the asset's argument decides
        """Read the run's slice, or the whole of an unpartitioned table."""
        table = self._catalogue.table(context.asset_key.path)
        database = self._database.database()
        part = _slice(context.asset_partition_keys) if context.has_asset_partitions else None
        columns = (context.definition_metadata or {}).get(COLUMNS)
        wanted = context.dagster_type.typing_type
        if wanted is pa.RecordBatchReader:
            return _stream(database, table, part, columns)
        rows = read_table(database, table, part, columns)
        return rows if wanted is pa.Table else rows.to_pandas(types_mapper=pd.ArrowDtype)


def _shape(context: dg.OutputContext) -> dict[str, Any]:
    described = context.definition_metadata or {}
    return {name: described[name] for name in SHAPE if name in described}


def _anew(context: dg.OutputContext, anew: Anew) -> dict[str, Any]:
    """Return, and log, what was computed anew since the mart is another one; days of it are reported together, once.

    An event for each of a history's days would take longer than computing them; their partitions are there already.
    """
    if anew == Anew():
        return {}
    context.log.info("%s is computed anew: %s", context.asset_key.to_user_string(), anew)
    return {COMPUTED_ANEW: str(anew)}


def _slice(keys: Any) -> Slice:  # noqa: ANN401 - Dagster gives a sequence of partition keys
    days = days_of(list(keys))
    return Slice(days.first, days.last)


def _stream(database: Database, table: Table, part: Slice | None, columns: list[str] | None) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        with read(database, table, part, columns) as reader:
            yield from reader

    wanted = table.columns if columns is None else [table.column(name) for name in columns]
    return pa.RecordBatchReader.from_batches(
        pa.schema([pa.field(column.name, column.type) for column in wanted]), batches()
    )


def _row_count(database: Database, table: Table) -> int:
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select count(*) from {table.qualified_name}")
        return int(cursor.fetchone()[0])


def _write_days(
    database: Database, table: Table, rows: Rows | StagedRows, part: Slice, hooks: tuple[Hook, ...]
) -> tuple[int, Figures]:
    """Write a slice and return its number of rows, and the figures of each day that has rows."""
    if isinstance(rows, StagedRows):
        published = rows.publish()
        return published.total(), _row_counts(published)
    if isinstance(rows, Query):
        return write(database, table, rows, part, hooks=hooks), _figures_by_day(database, table, part)
    counts: Counter[str] = Counter()
    return write(database, table, _counted(rows, table, counts), part, hooks=hooks), _row_counts(counts)


def _counted(rows: pa.Table | pa.RecordBatchReader, table: Table, counts: Counter[str]) -> pa.RecordBatchReader:
    """Count the rows of each day while they are written."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.to_reader() if isinstance(rows, pa.Table) else rows:
            for found in batch[table.day_column].value_counts().to_pylist():
                counts[str(found["values"])] += found["counts"]
            yield batch

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


def _row_counts(counts: Counter[str]) -> Figures:
    return {day: {ROW_COUNT: count} for day, count in counts.items()}


def _figures_by_day(database: Database, table: Table, part: Slice | SomeDays) -> Figures:
    """Return the row count and the plotted sums of each day that has rows, by partition key."""
    figures: Figures = defaultdict(lambda: {ROW_COUNT: 0})
    sums = "".join(f", sum({name})::float8" for name in table.plotted)
    by_currency = ", currency" if table.plotted else ""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"select {table.day_column}::text, count(*){by_currency}{sums} from {table.qualified_name} "
            f"where {part.where(table)} group by {table.day_column}{by_currency}"
        )
        for day, rows, *measured in cursor.fetchall():
            figures[day][ROW_COUNT] += rows
            if measured:
                currency, *amounts = measured
                names = (f"{name}_{currency}" for name in table.plotted)
                figures[day] |= {
                    name: dg.MetadataValue.float(amount) for name, amount in zip(names, amounts, strict=True)
                }
    return figures


__all__ = ["COLUMNS", "Changes", "PostgresIOManager", "Query"]
