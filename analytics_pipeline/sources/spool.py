"""Rows on their way into the database, kept on disk until all of them are known to be good.

An extraction or a cleaning may take long and may fail late. Its rows wait here, so that nothing of a bad slice is
published, no transaction stays open meanwhile, and memory holds one batch whatever the range.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa


class Spool:
    """Record batches of one schema in a temporary file: written once, then read.

    Attributes:
        schema: Arrow schema of all batches.
    """

    def __init__(self, schema: pa.Schema, file: IO[bytes]) -> None:
        self.schema = schema
        self._file = file
        self._writer = pa.ipc.new_stream(file, schema)
        self._is_ended = False

    def write(self, rows: pa.RecordBatch) -> None:
        """Append rows; their columns are the schema's, in its order."""
        self._writer.write_batch(rows.cast(self.schema))

    def reader(self) -> pa.RecordBatchReader:
        """End the writing and return a stream of all rows; each call reads them from the start, after the last."""
        if not self._is_ended:
            self._writer.close()
            self._is_ended = True
        self._file.seek(0)
        return pa.ipc.open_stream(self._file)


@contextmanager
def spool(schema: pa.Schema) -> Iterator[Spool]:
    """Open a spool for one schema; its file vanishes at the end."""
    with tempfile.TemporaryFile(prefix="analytics-pipeline-") as file:
        yield Spool(schema, file)


def in_whole_days(batches: pa.RecordBatchReader, day_column: str, *, days: int, rows: int) -> Iterator[pa.Table]:
    """Regroup rows that come ordered by day into tables of whole days.

    Args:
        batches: The rows, ordered by `day_column`.
        day_column: Name of a date column.
        days: Most different days in a table.
        rows: Rows after which a table ends with its current day; a single day is never cut.
    """
    held = pa.Table.from_batches([], batches.schema)
    for batch in batches:
        held = pa.concat_tables([held, pa.Table.from_batches([batch])])
        while (end := _chunk_end(held, day_column, days, rows)) is not None:
            yield held.slice(0, end)
            held = held.slice(end)
    while len(held):
        end = _chunk_end(held, day_column, days, rows) or len(held)
        yield held.slice(0, end)
        held = held.slice(end)


def _chunk_end(held: pa.Table, day_column: str, days: int, rows: int) -> int | None:
    """Return where the first chunk ends, None while more rows may belong to it."""
    seen = held[day_column].to_numpy()
    if not len(seen):
        return None
    starts = [0, *((seen[1:] != seen[:-1]).nonzero()[0] + 1).tolist()]
    full = next((number for number, start in enumerate(starts) if number and (number >= days or start >= rows)), None)
    return None if full is None else int(starts[full])
