"""Rows that come ordered by business day, regrouped into tables of whole days."""

from collections.abc import Iterator

import pyarrow as pa


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
