"""Writing a file and reading it, for the tests of reading files."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.sources.files.finding import LocalFolder
from analytics_pipeline.sources.files.opening import Content, opened
from analytics_pipeline.sources.files.reading import read_rows
from analytics_pipeline.sources.files.rows import Fault, Record


@dataclass
class Read:
    """A file that was read."""

    content: Content
    records: list[Record] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unreadable: list[Fault] = field(default_factory=list)
    excluded: list[Fault] = field(default_factory=list)

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """Line and reason of all rows that could not be read."""
        return [(fault.line, fault.reason) for fault in self.faults]


def read(path: Path, needed: Collection[str] = (), **described: Any) -> Read:  # noqa: ANN401  # the keys of YAML
    """Read a file of a folder as it is described."""
    reading = Reading.model_validate(described)
    (found,) = LocalFolder(path.parent).list(path.name)
    with opened(found, reading) as content:
        result = Read(content)
        for rows in read_rows(content, needed):
            assert len(rows.records) == len(rows.lines)
            result.records += rows.records
            result.lines += rows.lines
            result.faults += rows.faults
            result.unreadable += rows.unreadable
            result.excluded += rows.excluded
    return result


def read_text(folder: Path, text: str | bytes, needed: Collection[str] = (), **described: Any) -> Read:  # noqa: ANN401
    """Write a text as sales.csv and read it."""
    path = folder / "sales.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, needed, **described)
