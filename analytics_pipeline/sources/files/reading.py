"""Reading an opened file: each format's reader by its name, and what they share once all rows are read."""

from collections.abc import Collection, Iterator
from typing import Protocol

from analytics_pipeline.shop.reading import Format
from analytics_pipeline.sources.files.delimited import Delimited
from analytics_pipeline.sources.files.excel_rows import ExcelRows
from analytics_pipeline.sources.files.json_rows import JsonRows
from analytics_pipeline.sources.files.opening import Content
from analytics_pipeline.sources.files.parquet_rows import ParquetRows
from analytics_pipeline.sources.files.rows import Rows
from analytics_pipeline.sources.files.shaping import without_sums


class _Table(Protocol):
    names: tuple[str, ...]

    def __init__(self, content: Content, needed: Collection[str]) -> None: ...

    def chunks(self) -> Iterator[Rows]: ...


_TABLES: dict[Format, type[_Table]] = {
    "csv": Delimited,
    "tsv": Delimited,
    "json_lines": JsonRows,
    "parquet": ParquetRows,
    "excel": ExcelRows,
}


def read_rows(content: Content, needed: Collection[str] = ()) -> Iterator[Rows]:
    """Yield the rows of a file, a chunk at a time; at the end look whether it is still the same.

    Args:
        content: The opened file.
        needed: Columns that the description reads; a file that lacks one, and is not described as lacking it, is
            refused. Those with a type are needed, too.

    Raises:
        GrowingFileError: The file changed while it was read; what was yielded of it is not to be used.
        DamagedFileError: It has no header, or breaks its format as a whole.
        MissingColumnError: A needed column is missing, or is there twice.
        FolderUnavailableError: Its folder cannot be reached.
    """
    table = _TABLES[content.format](content, needed)
    yield from without_sums(table.chunks, table.names, content.reading)
    content.check_unchanged()
