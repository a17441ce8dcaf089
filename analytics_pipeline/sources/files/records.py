"""The files of a shop that are there, and the records that are made of the rows of one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from analytics_pipeline.errors import FileRefusedError
from analytics_pipeline.profile.columns import columns_read
from analytics_pipeline.shop.files import FileList, FileOrders
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.files.finding import Folder, Found
from analytics_pipeline.sources.files.folders import open_folder
from analytics_pipeline.sources.files.opening import Content
from analytics_pipeline.sources.files.reading import read_rows
from analytics_pipeline.sources.files.rows import REASONS, Fault
from analytics_pipeline.transforms.file_records import FileRead, FileRecords, UnreadableRow

MOST_UNDATED = 1_000
"""Rows of a file without a day: with more of them, and more than with one, the description is wrong."""
MOST_LINES = 5
"""Lines that a note names."""


def file_lists(shop: Shop) -> dict[str, FileList]:
    """Return the lists of a shop that are read from files, by name."""
    lists = {"orders": shop.orders, "customers": shop.customers, "products": shop.products}
    return {name: listed for name, listed in lists.items() if isinstance(listed, FileList) and listed.files}


def folder_of(shop: Shop, project: Path) -> Folder | None:
    """Return the folder of a shop's files; None of a shop that has none.

    Raises:
        FolderRefusedError, FolderUnavailableError: It cannot be opened.
    """
    return None if shop.files is None else open_folder(shop.files.folder, project)


def found_files(folder: Folder, listed: FileList) -> list[Found]:
    """Return the files of a list that are there, by name; raises as `Folder.list`."""
    found = {one.path: one for pattern in listed.files for one in folder.list(pattern)}
    return [found[path] for path in sorted(found)]


class FileBatches:
    """The records of one opened file, as `RECORDS_SCHEMA`; they are read as they are taken."""

    def __init__(self, shop: Shop, listed: FileList, content: Content, read: FileRead) -> None:
        """Prepare it.

        Args:
            shop: The description.
            listed: The list that the file is of.
            content: The file.
            read: Takes a note of what is in it; whole once the batches are exhausted.
        """
        self._shop, self._listed, self._content, self._read = shop, listed, content, read

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Read them.

        Raises:
            FileRefusedError: The file cannot be read as it is described, or hardly a row has a date.
            GrowingFileError: It changed while it was read.
        """
        read, path = self._read, self._content.found.path
        records = FileRecords(self._shop, self._listed, path, read)
        read.notes += _notes_of(self._content)
        left_out: dict[str, list[int]] = {}
        for chunk in read_rows(self._content, columns_read(self._listed)):
            # What cannot be read of customers and products has no quarantine.
            of_orders = isinstance(self._listed, FileOrders)
            for fault in (*chunk.excluded, *(() if of_orders else chunk.faults)):
                left_out.setdefault(fault.reason, []).append(fault.line)
            yield records.take(chunk.records, chunk.lines, map(_unreadable, chunk.faults))
        yield records.end()
        if read.rows_without_day > max(MOST_UNDATED, read.rows_stored // 2):
            raise FileRefusedError(
                f"{read.rows_without_day} of {read.rows_stored} rows have no date that can be read: see whether "
                "orders.fields.created_at names its column, and dates and times its format",
                path=path,
            )
        read.rows_excluded = sum(map(len, left_out.values()))
        read.notes += [_left_out(reason, lines) for reason, lines in sorted(left_out.items())]


def _unreadable(fault: Fault) -> UnreadableRow:
    return UnreadableRow(fault.line, REASONS[fault.reason], fault.text, fault.record)


def _left_out(reason: str, lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:MOST_LINES])) + (" and others" if len(lines) > MOST_LINES else "")
    return f"{len(lines)} left out, since {REASONS[reason]}: line {shown}"


def _notes_of(content: Content) -> Iterator[str]:
    """Yield what is doubtful of a file before it is read."""
    if content.encoding is not None and content.encoding.doubt:
        yield content.encoding.doubt
    if content.encoding is not None and not content.ends_in_a_line:
        yield "its last line has no line break: it may be cut"
