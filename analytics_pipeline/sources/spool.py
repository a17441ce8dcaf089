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
