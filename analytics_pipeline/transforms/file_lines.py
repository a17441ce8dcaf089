"""In which order an order's lines stand, whatever the order of rows in files: by their ids, where these are numbers.

The number of an event in the ledger follows from it. Lines without such ids stand as in the file.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import le
from typing import Any

from analytics_pipeline.decoding.mapping import compile_path
from analytics_pipeline.shop.files import FileOrders


class LineOrder:
    """Puts the rows of an order in order."""

    def __init__(self, orders: FileOrders) -> None:
        """Take the description, which names the id of a line."""
        line_id = orders.lines.fields.line_id
        self._line_id: Callable[..., object] | None = compile_path(line_id, 1) if line_id else None

    def places(self, rows: Sequence[Mapping[str, Any]]) -> list[int] | None:
        """Return the places of rows in the order of their ids; None where they stay as they are."""
        if self._line_id is None or len(rows) == 1:
            return None
        try:
            numbers = [_number(self._line_id(row, ({},))) for row in rows]
        except ValueError:
            return None
        if all(map(le, numbers, numbers[1:])):
            return None
        return sorted(range(len(rows)), key=numbers.__getitem__)


def _number(line_id: object) -> int:
    """Return an id that is a whole number; raises ValueError for any other one."""
    if isinstance(line_id, str) and line_id.isdecimal():
        return int(line_id)
    if isinstance(line_id, int) and not isinstance(line_id, bool):
        return line_id
    raise ValueError("no whole number")
