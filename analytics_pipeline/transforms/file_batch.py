"""Records of one file on their way into Arrow batches: what is stored of each, and the hash by which it is compared."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analytics_pipeline.tables.files import FILE_RECORDS

_OF_THE_FILE = ("list_name", "file_id", "path", "modified_at")
RECORDS_SCHEMA = pa.schema([column for column in FILE_RECORDS.arrow_schema if column.name not in _OF_THE_FILE])
"""Columns of what is made here: those of `ops.file_records` that the content of a file decides."""


class RecordsOfFile:
    """Records on their way into a batch."""

    def __init__(self) -> None:
        self._heads: list[tuple[Any, ...]] = []
        self._payloads: list[str | bytes] = []
        self._contents: list[int] = []
        self._hashed: list[bytes] = []
        self._starts: list[tuple[int, int]] = []

    def add(self, head: tuple[Any, ...], payload: str | bytes, content: int | Sequence[bytes]) -> None:
        """Add a record; its content is a sum of hashes, or what is hashed of each row."""
        if not isinstance(content, int):
            self._starts.append((len(self._heads), len(self._hashed)))
            self._hashed.extend(content)
            content = 0
        self._heads.append(head)
        self._payloads.append(payload)
        self._contents.append(content)

    def batch(self) -> pa.RecordBatch:
        """Return the batch."""
        if not self._heads:
            return pa.RecordBatch.from_pylist([], RECORDS_SCHEMA)
        contents = np.array(self._contents, dtype=np.int64)
        if self._starts:
            places, starts = zip(*self._starts, strict=True)
            found = _hashes(np.array(self._hashed, dtype=object))
            contents[list(places)] = np.add.reduceat(found, np.array(starts)).view(np.int64)
        line, key, is_by_content, day, rows = zip(*self._heads, strict=True)
        columns = {
            "line": line,
            "record_key": key,
            "is_by_content": is_by_content,
            "day": day,
            "rows": rows,
            "content": contents,
            "payload": self._payloads,
        }
        return pa.RecordBatch.from_arrays(
            [pa.array(columns[column.name], column.type) for column in RECORDS_SCHEMA], schema=RECORDS_SCHEMA
        )


def _hashes(texts: Any) -> Any:  # noqa: ANN401 - numpy's arrays
    """Return hashes of texts, which are the same in every process; sums of them do not depend on the texts' order."""
    return pd.util.hash_array(texts, categorize=False)
