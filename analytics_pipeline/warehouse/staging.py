"""Rows that travel to the database while others are still being made, and that count only once they are published.

Postgres takes rows in while this process computes the next ones, on another core. Each table has a transaction of its
own, which stays open until `publish`; without it, whatever happens, the stored rows remain. Slices of several tables
are settled together before the first is published, so that what can fail has failed before. `slices.write` does the
writing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread

import pandas as pd
import pyarrow as pa

from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Companion, Slice, write

WAITING_BATCHES = 2
PATIENCE_SECONDS = 0.5


class _WithdrawnError(Exception):
    """Ends the stream of rows that are not to be kept."""


class StagedSlice:
    """The new rows of a slice of one table; made by `stage`.

    Attributes:
        rows_by_day: Number of rows so far, by business day as ISO text.
    """

    def __init__(self, database: Database, table: Table, part: Slice, companions: Sequence[Companion]) -> None:
        self.rows_by_day: Counter[str] = Counter()
        self._table = table
        self._waiting: Queue[pa.RecordBatch | _WithdrawnError | None] = Queue(WAITING_BATCHES)
        self._settled = Event()
        self._decided = Event()
        self._is_kept = False
        self._written = 0
        self._error: BaseException | None = None
        self._thread = Thread(
            target=self._write, args=(database, part, companions), name=f"write {table.qualified_name}", daemon=True
        )
        self._thread.start()

    def write(self, rows: pd.DataFrame) -> None:
        """Send rows on their way.

        Args:
            rows: The table's columns in its order, with Arrow dtypes.

        Raises:
            PipelineError: The writing failed.
        """
        for batch in pa.Table.from_pandas(rows, schema=self._table.arrow_schema, preserve_index=False).to_batches():
            for found in batch[self._table.day_column].value_counts().to_pylist():
                self.rows_by_day[str(found["values"])] += found["counts"]
            self._send(batch)

    def publish(self) -> int:
        """Replace the stored rows of the slice by the ones sent, and return how many these are; again, only the latter.

        Raises:
            TableMismatchError: The stored table does not fit its shape.
            ContractError: The rows repeat a key.
        """
        if not self._is_kept:
            settle([self])
            self._is_kept = True
            self._decided.set()
        self._thread.join()
        self._raise_error()
        return self._written

    def withdraw(self) -> None:
        """Leave the stored rows as they are, unless `publish` came before."""
        self._decided.set()
        if not self._settled.is_set():
            self._send(_WithdrawnError())
        self._thread.join()

    def end_rows(self) -> None:
        """Say that no more rows come; key and indexes are built meanwhile."""
        if not self._settled.is_set():
            self._send(None)

    def wait_until_settled(self) -> None:
        """Wait until only the commit is missing; raises what `publish` would."""
        self._settled.wait()
        self._raise_error()

    def _send(self, message: pa.RecordBatch | _WithdrawnError | None) -> None:
        while self._thread.is_alive():
            try:
                return self._waiting.put(message, timeout=PATIENCE_SECONDS)
            except Full:
                continue
        return self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None and not isinstance(self._error, _WithdrawnError):
            raise self._error

    def _write(self, database: Database, part: Slice, companions: Sequence[Companion]) -> None:
        try:
            rows = pa.RecordBatchReader.from_batches(self._table.arrow_schema, self._arriving())
            self._written = write(
                database, self._table, rows, part, before_commit=self._wait_for_decision, companions=companions
            )
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
            self._error = error
        finally:
            self._settled.set()

    def _wait_for_decision(self) -> None:
        self._settled.set()
        self._decided.wait()
        if not self._is_kept:
            raise _WithdrawnError

    def _arriving(self) -> Iterator[pa.RecordBatch]:
        while (message := self._waiting.get()) is not None:
            if isinstance(message, _WithdrawnError):
                raise message
            yield message


def settle(slices: Iterable[StagedSlice]) -> None:
    """Bring slices to the point where only their commits are missing, side by side.

    Raises:
        TableMismatchError: A stored table does not fit its shape.
        ContractError: The rows of one repeat a key.
    """
    waiting = list(slices)
    for staged in waiting:
        staged.end_rows()
    for staged in waiting:
        staged.wait_until_settled()


@contextmanager
def stage(database: Database, table: Table, part: Slice, companions: Sequence[Companion] = ()) -> Iterator[StagedSlice]:
    """Open a staged slice; what is not published when the block ends is withdrawn.

    Args:
        database: Where the table lies.
        table: The table's shape.
        part: The slice to replace.
        companions: What is written beside the rows, in their transaction.
    """
    staged = StagedSlice(database, table, part, companions)
    try:
        yield staged
    finally:
        staged.withdraw()
