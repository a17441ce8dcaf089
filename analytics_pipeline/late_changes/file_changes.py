"""What changed in a shop that is read from files: the folder is looked into, and what differs went stale with that."""

from collections.abc import Collection
from datetime import date, datetime

from analytics_pipeline.days import Days
from analytics_pipeline.history.stale import StaleDay
from analytics_pipeline.late_changes.changes import Changes
from analytics_pipeline.late_changes.files import Look, look
from analytics_pipeline.late_changes.reread import Reread
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.connection import Database


class LookedAtChanges:
    """Looks into the folder of one shop; a `ChangeFinder`.

    Attributes:
        seen: What the look found; None before it.
    """

    def __init__(self, shop: Shop, database: Database, now: datetime) -> None:
        """Take the description, where the tables lie, and what counts as now."""
        self.seen: Look | None = None
        self._shop, self._database, self._now = shop, database, now

    def changes(self, loaded: Collection[date], loadable: Days, today: date) -> Changes:
        """Look into the folder; the days of what differs are marked as it is taken in.

        Raises:
            FolderRefusedError, FolderUnavailableError: The folder cannot be looked into.
        """
        del loaded, loadable, today
        self.seen = look(self._database, self._shop, now=self._now)
        differing = {name for stale in self.seen.stale for name in stale.order_ids}
        return Changes(orders_seen=self.seen.rows, orders_changed=len(differing))

    def differing_in_number(self, loaded: Collection[date], known: Collection[date]) -> list[StaleDay]:
        """Nobody else counts."""
        del loaded, known
        return []

    def read_again(self, loaded: dict[date, datetime | None], without: set[date]) -> Reread:
        """Nothing is held against files again: each look does that."""
        del loaded, without
        return Reread()
