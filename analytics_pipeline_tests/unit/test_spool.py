"""Rows on their way: whole days, bounded chunks, and nothing lost between writing and reading."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from analytics_pipeline.sources.spool import spool
from analytics_pipeline.tables.shape import COUNT, DAY
from analytics_pipeline.transforms.whole_days import in_whole_days

SCHEMA = pa.schema([pa.field("day", DAY), pa.field("number", COUNT)])
FIRST = date(2025, 3, 1)


def batches(rows_by_day: list[int], *, size: int) -> pa.RecordBatchReader:
    """A stream of batches of `size` rows, `rows_by_day[0]` of them of the first day and so on."""
    days = [FIRST + timedelta(days=number) for number, rows in enumerate(rows_by_day) for _ in range(rows)]
    table = pa.table({"day": days, "number": range(len(days))}, schema=SCHEMA)
    return pa.RecordBatchReader.from_batches(SCHEMA, table.to_batches(max_chunksize=size))


def days_in(chunk: pa.Table) -> list[date]:
    return sorted(set(chunk["day"].to_pylist()))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("rows", [1, 5, 10, 1000])
def test_a_day_is_never_cut_whatever_the_batches(size: int, rows: int) -> None:
    rows_by_day = [4, 1, 9, 2, 2, 30, 1]
    chunks = list(in_whole_days(batches(rows_by_day, size=size), "day", days=3, rows=rows))

    assert [number for chunk in chunks for number in chunk["number"].to_pylist()] == list(range(sum(rows_by_day)))
    assert [day for chunk in chunks for day in days_in(chunk)] == [FIRST + timedelta(days=n) for n in range(7)]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_chunk_ends_with_the_day_that_fills_it(size: int) -> None:
    chunks = list(in_whole_days(batches([4, 4, 4, 4, 1], size=size), "day", days=31, rows=6))

    assert [len(chunk) for chunk in chunks] == [8, 8, 1]


def test_a_chunk_has_no_more_days_than_allowed() -> None:
    chunks = list(in_whole_days(batches([1] * 7, size=2), "day", days=3, rows=1000))

    assert [len(days_in(chunk)) for chunk in chunks] == [3, 3, 1]


def test_a_single_day_larger_than_the_bound_stays_whole() -> None:
    chunks = list(in_whole_days(batches([50], size=7), "day", days=31, rows=10))

    assert [len(chunk) for chunk in chunks] == [50]


def test_no_rows_give_no_chunk() -> None:
    assert list(in_whole_days(batches([], size=1), "day", days=1, rows=1)) == []


def test_no_more_is_held_than_a_chunk_and_a_batch() -> None:
    """A chunk leaves as soon as the next day begins, before the rest of the stream is read."""
    taken = 0

    def counted() -> pa.RecordBatchReader:
        def generate() -> object:
            nonlocal taken
            for batch in batches([10] * 20, size=10):
                taken += 1
                yield batch

        return pa.RecordBatchReader.from_batches(SCHEMA, generate())

    next(in_whole_days(counted(), "day", days=1, rows=1000))

    assert taken == 2


def test_what_is_written_to_a_spool_is_read_again() -> None:
    with spool(SCHEMA) as rows:
        for batch in batches([3], size=2):
            rows.write(batch)
        read = rows.reader().read_all()

    assert read.schema == SCHEMA
    assert read["number"].to_pylist() == [0, 1, 2]


def test_an_empty_spool_gives_an_empty_stream_of_its_schema() -> None:
    with spool(SCHEMA) as rows:
        read = rows.reader().read_all()

    assert (read.num_rows, read.schema) == (0, SCHEMA)


def test_a_spool_refuses_rows_of_another_shape() -> None:
    with spool(SCHEMA) as rows, pytest.raises((pa.ArrowInvalid, ValueError)):
        rows.write(pa.record_batch({"day": ["no day"], "number": [1]}))
