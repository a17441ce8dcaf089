"""When a list of changed orders has been read whole, though the shop may have changed while its pages were read. Pure.

One answer is of one moment. A list of several answers shifts under the reader: an order that changes in between moves
to the list's end, one that is deleted leaves a gap, and what lies behind it slips past a page's bound, unread.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

Stamp = datetime | None


@dataclass
class Reading:
    """What one reading of the list has seen so far.

    Attributes:
        stamps: The newest change stamp of each order that came, by id; None where it has none that can be read.
        answers: Number of answers.
        pages: Number of those with records.
        largest: Most records of one answer.
        page_size: Records that were asked for in one answer, where that is known.
        first_count: The shop's own count as its first answer gave it, None where it gives none.
        last_count: The same of its last answer.
        is_ascending: Whether no order came after one with a later stamp.
        has_moved: Whether an order came again with another stamp, on another page.
        versions_beside: Versions of orders beside another one on the same page: a count may count them.
    """

    page_size: int | None = None
    stamps: dict[str, Stamp] = field(default_factory=dict)
    answers: int = 0
    pages: int = 0
    largest: int = 0
    first_count: int | None = None
    last_count: int | None = None
    is_ascending: bool = True
    has_moved: bool = False
    versions_beside: int = 0
    _newest: Stamp = None

    def see(self, orders: Iterable[tuple[str, Stamp]], count: int | None) -> None:
        """Take a page with records."""
        listed = list(orders)
        self.first_count = count if self.pages == 0 else self.first_count
        self.last_count = count
        self.pages += 1
        self.largest = max(self.largest, len(listed))
        before = {order_id: self.stamps[order_id] for order_id, _ in listed if order_id in self.stamps}
        for order_id, stamp in listed:
            if before.get(order_id, stamp) != stamp:
                self.has_moved = True
            if stamp is not None and self._newest is not None and stamp < self._newest:
                self.is_ascending = False
            self._newest = stamp or self._newest
            self.stamps[order_id] = stamp

    def see_undated(self, names: Iterable[str], count: int | None) -> None:
        """Take the orders, in whatever page they were, that have no day, and the count that came last."""
        self.stamps |= dict.fromkeys(names)
        self.first_count = count if self.pages == 0 else self.first_count
        self.last_count = count

    @property
    def counted(self) -> int | None:
        """How many orders the shop says the list has; None without a count, or where it counts fewer than it sent."""
        counts = [count for count in (self.first_count, self.last_count) if count is not None]
        return max(counts) if counts and max(counts) >= len(self.stamps) else None

    @property
    def lacks_some(self) -> bool:
        """Whether fewer orders came, with the versions beside them, than the shop counts."""
        return self.counted is not None and len(self.stamps) + self.versions_beside < self.counted

    @property
    def fault(self) -> str | None:
        """Why this reading proves nothing by itself; None where it is whole."""
        if self.lacks_some:
            return f"it counts {self.counted} orders and gave {len(self.stamps)} different ones"
        if self.answers == 1 or self._came_at_once:
            return None
        if self.has_moved:
            return "an order came again with another change stamp"
        if not self.is_ascending:
            return "its orders are not in the order of their change stamps"
        if self.counted is None:
            return "it has several pages and no count"
        return None

    @property
    def _came_at_once(self) -> bool:
        """Whether all orders came in one answer, though others without any were asked for."""
        is_all = (self.counted is not None and not self.lacks_some) or self.largest < (self.page_size or 0)
        return self.pages <= 1 and (is_all or not self.stamps)

    def agrees_with(self, earlier: "Reading", began: datetime) -> bool:
        """Whether both have the orders that had changed when the earlier one began: nothing that it missed came.

        An order that changed while they were read may be missing in the earlier one, since its stamp is later.
        """
        if self.has_moved or self.lacks_some:
            return False
        known = {order_id for order_id, stamp in self.stamps.items() if stamp is None or stamp <= began}
        return known <= earlier.stamps.keys() <= self.stamps.keys()
