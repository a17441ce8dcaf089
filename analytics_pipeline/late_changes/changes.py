"""What finds out which orders of a source changed, as a poll knows it; `asking` does so over HTTP."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from analytics_pipeline.days import Days
from analytics_pipeline.history.stale import StaleDay
from analytics_pipeline.late_changes.related import Cursors
from analytics_pipeline.late_changes.reread import Reread
from analytics_pipeline.transforms.raw import UndatedRecord


@dataclass(frozen=True)
class Changes:
    """What a source says of changes since the last poll.

    Attributes:
        asked_since: Changes since then were asked for; None where the source cannot be asked.
        newest_change: The cursor after it.
        orders_seen: Different orders that were named as changed.
        orders_changed: Those that differ from what is stored.
        stale: Days that they affect.
        undated: Orders that belong to no day.
        related: How far the lists of changes of related lists are known.
    """

    asked_since: datetime | None = None
    newest_change: datetime | None = None
    orders_seen: int = 0
    orders_changed: int = 0
    stale: Sequence[StaleDay] = ()
    undated: Sequence[UndatedRecord] = ()
    related: Cursors = field(default_factory=dict)


class ChangeFinder(Protocol):
    """Finds out, of one source, what changed."""

    def changes(self, loaded: Collection[date], loadable: Days, today: date) -> Changes:
        """Return what changed since the last poll.

        Args:
            loaded: The loaded days.
            loadable: The days that can be loaded.
            today: The current business day.
        """

    def differing_in_number(self, loaded: Collection[date], known: Collection[date]) -> list[StaleDay]:
        """Return the loaded days of which the source counts other orders than are stored, but for `known` ones."""

    def read_again(self, loaded: dict[date, datetime | None], without: set[date]) -> Reread:
        """Read loaded days again and compare them, but for those in `without`."""
