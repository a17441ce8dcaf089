"""Rows of Parquet files; the line of a row is its number. Floats are taken by their shortest digits."""

from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_pipeline.errors import DamagedFileError, UnsafeFileError
from analytics_pipeline.sources.files.opening import Content
from analytics_pipeline.sources.files.packing import GIGABYTE
from analytics_pipeline.sources.files.rows import Rows
from analytics_pipeline.sources.files.shaping import Shaper, columns_of

CHUNK = 10_000
MOST_ROWS = 200_000_000
_BROKEN = (pa.ArrowException, OSError, ValueError)


class ParquetRows:
    """A Parquet file.

    Attributes:
        names: Its columns.
    """

    def __init__(self, content: Content, needed: Collection[str]) -> None:
        """Reads what columns there are; see `columns_of` for what is needed.

        Raises:
            DamagedFileError: It is no whole Parquet file.
            UnsafeFileError: It holds too much.
            MissingColumnError: A needed column is missing, or is there twice.
        """
        self._content = content
        path, reading = content.found.path, content.reading
        with _of(path):
            schema, about = self._open().schema_arrow, self._open().metadata
        size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        if size > reading.largest_gb * GIGABYTE or about.num_rows > MOST_ROWS:
            fault = f"holds more than {reading.largest_gb:g} GB (largest_gb) or {MOST_ROWS} rows; split it"
            raise UnsafeFileError(fault, path=path)
        self.names = columns_of(schema.names, reading, needed, path, 1)

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows from the first one on.

        Raises:
            DamagedFileError: It ends too early, or breaks its format.
        """
        shaper, number = Shaper(self.names, self._content.reading, is_text=False), 1
        with _of(self._content.found.path):
            for batch in self._open().iter_batches(CHUNK):
                columns = [_values(column) for column in batch.columns]
                lines = [*range(number, number + batch.num_rows)]
                number += batch.num_rows
                records, unreadable = shaper.records([[*row] for row in zip(*columns, strict=True)], lines)
                yield Rows(records, lines, unreadable=unreadable)

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._content.binary())


class _of:  # noqa: N801  # reads as a word
    """Turns what Arrow raises of a damaged file into our error."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, _BROKEN):
            fault = f"is no whole Parquet file ({type(error).__name__}); write or copy it anew"
            raise DamagedFileError(fault, path=self._path) from None


def _values(column: "pa.Array[Any]") -> list[Any]:
    """The values of a column; floats of 32 bits by their own shortest digits, and not by those of a double."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return [None if text is None else float(text) for text in pc.cast(column, pa.string()).to_pylist()]
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):  # a day or stamp of a year that Python does not know
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: "pa.Scalar[Any]") -> Any:  # noqa: ANN401  # any value of Parquet
    """A value, or what it is counted as where Python has none such."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return f"{scalar.type} {getattr(scalar, 'value', '?')}"
