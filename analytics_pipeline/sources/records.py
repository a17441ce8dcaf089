"""What is read of one list of a shop, wherever it comes from: batches of rows, and what is known of them at the end."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.transforms.raw import OddRecords, UndatedRecord

COUNT_BASIS, FILES_BASIS = "count", "files"
"""What says how many records there have to be: the shop, or the files that were taken in."""


class Arrived(Protocol):
    """How many records came, as far as a source without pages can tell."""

    @property
    def distinct(self) -> int:
        """Different ids so far; a record without one counts for itself."""

    @property
    def shifted(self) -> int:
        """Ids that came again as they were although nothing should come twice."""


class Records(Protocol):
    """Batches of rows of one list, and what is known of them once they are exhausted.

    Attributes:
        schema: Arrow schema of the batches.
    """

    schema: pa.Schema

    @property
    def came(self) -> Arrived:
        """What came, of the records left out too."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Read them."""

    def __next__(self) -> pa.RecordBatch:
        """Read the next ones."""

    @property
    def source_count(self) -> int | None:
        """How many there have to be, as the source says itself; None where it does not."""

    @property
    def count_fault(self) -> str | None:
        """Why what it says is no such count, in words."""

    @property
    def agrees(self) -> bool:
        """Whether as many records came."""

    @property
    def records(self) -> int:
        """Rows given so far."""

    @property
    def outside_window(self) -> int:
        """Records left out so far, since their business day lies outside the range asked for."""

    @property
    def undated(self) -> Sequence[UndatedRecord]:
        """Records that belong to no day, so far."""

    @property
    def odd(self) -> OddRecords:
        """What was not as described so far."""

    @property
    def statistics(self) -> Statistics:
        """What reading them cost so far."""


Progress = Callable[[Records], None]
