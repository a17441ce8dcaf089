"""Rows that travel to the database while others are still being made, and that count only once they are published.

Postgres takes rows in while this process computes the next ones, on another core: one writer, one connection, one
transaction for all tables of a step, which stays open until `publish`; without it, whatever happens, the stored rows
remain. `slices.replacing` does the writing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread

import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Hook, Replacement, keys_of, put_rows, replacing

WAITING_BATCHES = 12
PATIENCE_SECONDS = 0.5
ROWS_AT_A_TIME = 20_000
"""Rows of a table that are collected before they are sent: each sending costs a few round trips."""

Message = tuple[Table, pa.RecordBatch] | None


class _WithdrawnError(Exception):
    """Ends the stream of rows that are not to be kept."""


class Staged:
    """The new rows of a slice of several tables; made by `stage`.

    Attributes:
        rows_by_day: Number of rows so far by business day as ISO text, by the table's name.
    """

    def __init__(
        self,
        database: Database,
        tables: Sequence[Table],
        part: Days,
        hooks: Mapping[str, Sequence[Hook]],
    ) -> None:
        self.rows_by_day: dict[str, Counter[str]] = {table.qualified_name: Counter() for table in tables}
        self._waiting: Queue[Message | _WithdrawnError] = Queue(WAITING_BATCHES)
        self._has_ended, self._decided = Event(), Event()
        self._is_kept = False
        self._error: BaseException | None = None
        arguments = (database, tables, part, hooks)
        self._thread = Thread(target=self._write, args=arguments, name="write staged rows", daemon=True)
        self._thread.start()

    def write(self, table: Table, rows: pd.DataFrame) -> None:
        """Send rows of one of the tables on their way.

        Args:
            table: The table.
            rows: The table's columns in its order, with Arrow dtypes.

        Raises:
            PipelineError: The writing failed.
        """
        counted = self.rows_by_day[table.qualified_name]
        for batch in pa.Table.from_pandas(rows, schema=table.arrow_schema, preserve_index=False).to_batches():
            for found in batch[table.day_column].value_counts().to_pylist():
                counted[str(found["values"])] += found["counts"]
            self._send((table, batch))

    def publish(self) -> None:
        """Replace the stored rows of the slice in all tables at one moment; again, it does nothing.

        Raises:
            TableMismatchError: A stored table does not fit its shape.
            ContractError: Rows of a table repeat its key.
        """
        if not self._is_kept:
            self._send(None)
            self._has_ended.wait()
            self._raise_error()
            self._is_kept = True
            self._decided.set()
        self._thread.join()
        self._raise_error()

    def withdraw(self) -> None:
        """Leave the stored rows as they are, unless `publish` came before."""
        self._decided.set()
        if not self._has_ended.is_set():
            self._send(_WithdrawnError())
        self._thread.join()

    def _send(self, message: Message | _WithdrawnError) -> None:
        while self._thread.is_alive():
            try:
                return self._waiting.put(message, timeout=PATIENCE_SECONDS)
            except Full:
                continue
        return self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None and not isinstance(self._error, _WithdrawnError):
            raise self._error

    def _write(
        self,
        database: Database,
        tables: Sequence[Table],
        part: Days,
        hooks: Mapping[str, Sequence[Hook]],
    ) -> None:
        try:
            with replacing(database, tables, part, hooks) as replacement:
                self._take(replacement)
                replacement.prepare_commit()
                self._has_ended.set()
                self._decided.wait()
                if self._is_kept:
                    replacement.commit()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
            self._error = error
        finally:
            self._has_ended.set()

    def _take(self, replacement: Replacement) -> None:
        """Write what arrives until no more comes."""
        collected: dict[str, list[pa.RecordBatch]] = {}
        shapes: dict[str, Table] = {}
        rows: Counter[str] = Counter()
        while (message := self._waiting.get()) is not None:
            if isinstance(message, _WithdrawnError):
                raise message
            table, batch = message
            name = table.qualified_name
            shapes[name] = table
            collected.setdefault(name, []).append(batch)
            rows[name] += batch.num_rows
            if rows[name] >= ROWS_AT_A_TIME:
                _put(replacement, table, collected.pop(name))
                rows[name] = 0
        for name, batches in collected.items():
            _put(replacement, shapes[name], batches)


def _put(replacement: Replacement, table: Table, batches: Sequence[pa.RecordBatch]) -> None:
    with keys_of(table):
        put_rows(replacement.cursor, table, pa.Table.from_batches(batches), replacement.part)


@dataclass(frozen=True)
class StagedRows:
    """What one of the tables gets of staged rows: who publishes them first publishes all."""

    staged: Staged
    table: Table

    def publish(self) -> Counter[str]:
        """Commit all tables, if nobody has, and return the rows of this one by business day as ISO text."""
        self.staged.publish()
        return self.staged.rows_by_day[self.table.qualified_name]


@contextmanager
def stage(
    database: Database,
    tables: Sequence[Table],
    part: Days,
    hooks: Mapping[str, Sequence[Hook]] | None = None,
) -> Iterator[Staged]:
    """Begin to send rows of some tables; what is not published when the block ends is withdrawn.

    Args:
        database: Where the tables lie.
        tables: Their shapes, in the order in which hooks write.
        part: The slice to replace.
        hooks: What runs in their transaction, by the table's name.
    """
    staged = Staged(database, tables, part, hooks or {})
    try:
        yield staged
    finally:
        staged.withdraw()
