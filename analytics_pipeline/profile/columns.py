"""Which columns of a file its description reads, and of orders which ones row by row: from its expressions alone."""

from analytics_pipeline.profile.mapped import expressions_of
from analytics_pipeline.shop.files import FILE, ID, LINE, ROWS, FileList, FileOrders

_OWN = {"", ROWS, FILE, LINE, ID, "null", "true", "false"}
"""What is no column: keys that the project adds, and values of JSON that were written without quotes."""
_ENTRIES = f"{ROWS}[]"


def columns_read(listed: FileList) -> frozenset[str]:
    """Return the columns that the description of a list reads."""
    paths = {path.removeprefix(f"{_ENTRIES}.") for one in expressions_of(listed) for path in one.paths}
    return frozenset({_first(path) for path in paths} - _OWN)


def columns_of_rows(orders: FileOrders) -> frozenset[str] | None:
    """Return the columns that are read of an order's rows one by one; None where that cannot be told."""
    found: set[str] = set()
    for one in expressions_of(orders):
        reads_rows_as_such = one.expression != ROWS and not {ROWS, _ENTRIES}.isdisjoint(one.leaves)
        if reads_rows_as_such or "*" in one.expression or "@" in one.expression:
            return None
        found.update(path.removeprefix(f"{_ENTRIES}.") for path in one.paths if path.startswith(f"{_ENTRIES}."))
    return frozenset(map(_first, found))


def joins_rows(orders: FileOrders) -> bool:
    """Return whether an order's lines are its rows; else a row is an order."""
    return any(_first(path) == ROWS for one in expressions_of(orders) for path in one.paths)


def _first(path: str) -> str:
    return path.partition(".")[0].removesuffix("[]")
