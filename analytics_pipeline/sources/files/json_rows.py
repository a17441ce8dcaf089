"""Rows of JSON lines: an object a line, a row or a whole order. Numbers keep their digits."""

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

from analytics_pipeline.decoding.mapping import decode
from analytics_pipeline.decoding.tolerant import Unreadable
from analytics_pipeline.errors import MissingColumnError
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.sources.files.opening import Content
from analytics_pipeline.sources.files.rows import UNREADABLE, Fault, Record, Rows, is_damaged, shown, storable
from analytics_pipeline.sources.files.shaping import OneByOne, missing_column, our_name

CHUNK = 2 << 20
_LARGEST = 2**63


class JsonRows:
    """A file of JSON lines.

    Attributes:
        names: Nothing: each line has its own.
    """

    names: tuple[str, ...] = ()

    def __init__(self, content: Content, needed: Collection[str]) -> None:
        """Reads nothing yet; `needed` are columns that at least one line has to have."""
        self._content = content
        self._cells = OneByOne(content.reading)
        self._needed = {*needed, *content.reading.columns} - {*content.reading.optional}

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows from the first one on.

        Raises:
            MissingColumnError: No line has a needed column; it is raised at the end.
        """
        missing, others, count = set(self._needed), set[str](), 0
        text = self._content.text()
        try:
            number = 1
            while lines := text.readlines(CHUNK):
                rows = self._rows(lines, number)
                for record in rows.records if missing else ():
                    missing.difference_update(record)
                    others.update(record)
                number += len(lines)
                count += len(rows.records)
                yield rows
        finally:
            text.detach()
        if missing and count:
            name = min(missing)
            fault = missing_column(name, sorted(others), [*self._needed])
            raise MissingColumnError(f"{fault}; or list it under optional", path=self._content.found.path, column=name)

    def _rows(self, lines: list[str], first: int) -> Rows:
        rows = Rows([], [])
        for number, line in enumerate(lines, first):
            if not line.strip():
                if line.strip("\r\n"):
                    rows.excluded.append(Fault(number, "blank_row", shown(line), last_line=number))
                continue
            record = _record(line, self._content.reading)
            if record is None:
                rows.faults.append(Fault(number, _reason(line), shown(storable(line)), last_line=number))
                continue
            rows.unreadable.extend(self._cells.read(record, number))
            rows.records.append(record)
            rows.lines.append(number)
        return rows


def _reason(line: str) -> str:
    return "wrong_encoding" if is_damaged(line) else "no_json_object"


def _record(line: str, reading: Reading) -> Record | None:
    """The object of a line, None where there is none."""
    if is_damaged(line):
        return None
    try:
        found = decode(line.strip().lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {our_name(name, reading): plain(value) for name, value in found.items()}


def plain(value: Any) -> Any:  # noqa: ANN401  # any value of JSON
    """A decoded value as it can be written again; one that JSON does not know is marked as unreadable."""
    if isinstance(value, Unreadable):
        return {UNREADABLE: shown(value.text)}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return Decimal(value)
    return value
