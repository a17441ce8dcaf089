"""The shop's list of changed orders, read until it is known to be whole.

A list that has shifted is read again. One that is sorted by its change stamps is then read an answer at a time, each
beginning with the last stamp of the one before: nothing can shift within one answer, and a changed order only moves
towards the end. Any other list has to be read twice with the same orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from analytics_pipeline.decoding.mapping import compile_path, decode, parse_stamp
from analytics_pipeline.errors import FeedError
from analytics_pipeline.late_changes.readings import Reading, Stamp
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.lists import extract_changed
from analytics_pipeline.transforms.raw import DatedList, UndatedRecord, keys_of, order_list

READINGS = 5
ANSWERS_AGAIN = 5
"""Answers for each of the first reading's, after which a list that moves on as fast as it is read is given up."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Feed:
    """The list of changed orders, whole.

    Attributes:
        began_at: The shop's own time at the first answer: what changes later may be missing.
        newest: The newest change stamp that came, None without any.
        orders: Number of different orders.
    """

    began_at: datetime
    newest: datetime | None
    orders: int


class Taker(Protocol):
    """What is given all that comes, of every reading."""

    def take(self, rows: Sequence[Row]) -> None:
        """Take the rows of a page."""

    def take_undated(self, records: Sequence[UndatedRecord]) -> None:
        """Take the orders of a list whose day cannot be read."""


def read_feed(
    client: ShopClient, since: datetime, now: datetime, taker: Taker, listed: DatedList | None = None
) -> Feed:
    """Read the orders, or the records of a related list, that changed since an aware stamp.

    Args:
        client: Asks the shop.
        since: Changes since then are asked for.
        now: A moment before the first request, for shops whose answers carry no time.
        taker: Is given what comes.
        listed: The list; orders when None.

    Raises:
        FeedError: No reading was whole.
        ShopUnavailableError, ShopRefusedError, AnswerError, PaginationError: The shop could not be asked.
    """
    pages = _Pages(client, taker, listed or order_list(client.shop))
    reading = pages.read(since)
    began_at = pages.began_at or now
    readings = 1
    is_whole = reading.fault is None
    if not is_whole and reading.is_ascending and reading.answers > 1:
        is_whole = pages.read_by_stamps(since, reading, began_at)
    while not is_whole:
        if readings == READINGS:
            raise FeedError(_failed(client.shop, pages.listed.name, since, reading))
        earlier, reading = reading, pages.read(since)
        readings += 1
        is_whole = reading.fault is None or reading.agrees_with(earlier, began_at)
    return Feed(began_at, pages.newest, len(pages.ids))


class _Pages:
    """The pages of all readings."""

    def __init__(self, client: ShopClient, taker: Taker, listed: DatedList) -> None:
        self.listed = listed
        self.began_at: datetime | None = None
        self.newest: datetime | None = None
        self.ids: set[str] = set()
        self._client, self._taker = client, taker
        reading = listed.reading(lambda _: True, None)
        self._id, self._path = reading.schema.names[0], compile_path(reading.version_path or "")

    def read(self, since: datetime) -> Reading:
        """Read all pages."""
        reading = Reading(getattr(self.listed.endpoint.pagination, "size", None))
        extraction = extract_changed(self._client, self.listed, since)
        for batch in extraction:
            reading.see(self._seen(batch.to_pylist()), extraction.source_count)
            self.began_at = self.began_at or extraction.shop_time
        self.began_at = self.began_at or extraction.shop_time
        reading.see_undated(self._seen_undated(extraction), extraction.source_count)
        reading.versions_beside = extraction.came.versions_beside
        reading.answers = extraction.statistics.requests - extraction.statistics.retries
        return reading

    def read_by_stamps(self, since: datetime, shifted: Reading, began_at: datetime) -> bool:
        """Read first pages only, each from the newest stamp of the one before.

        Args:
            since: Changes since then are asked for.
            shifted: The reading that was not whole.
            began_at: The shop's own time when it began: orders that change later need not come.

        Returns:
            Whether that reached the end, with as many orders as the shop counted at its beginning.
        """
        counted: int | None = None
        seen: set[str] = set()
        for number in range(ANSWERS_AGAIN * shifted.answers):
            extraction = extract_changed(self._client, self.listed, since)
            page = Reading()
            batches = [next(extraction, None)]
            counted = counted if number else extraction.source_count
            batches.append(next(extraction, None))
            for batch in filter(None, batches):
                page.see(self._seen(batch.to_pylist()), None)
            seen |= page.stamps.keys() | self._seen_undated(extraction)
            if None in page.stamps.values() or not page.is_ascending:
                return False
            first = len(batches[0]) if batches[0] is not None else 0
            if page.pages <= 1 and first < shifted.largest:
                return counted is None or len(seen) + shifted.versions_beside >= counted
            newest = list(page.stamps.values())[:first][-1] or since
            if newest > began_at:
                return True
            if newest.replace(microsecond=0) <= since:  # one second's orders fill a page
                return False
            since = newest
        return False

    def _seen(self, rows: Sequence[Row]) -> list[tuple[str, Stamp]]:
        self._taker.take(rows)
        seen = [(row[self._id], self._stamp(row)) for row in rows]
        self.ids.update(one for one, _ in seen)
        # A stamp of the future would hide every change until then.
        known = [stamp for row, (_, stamp) in zip(rows, seen, strict=True) if stamp and stamp <= row["extracted_at"]]
        self.newest = max([*known, *([self.newest] if self.newest else [])], default=None)
        return seen

    def _seen_undated(self, extraction: Extraction) -> set[str]:
        self._taker.take_undated(extraction.undated)
        names = set(keys_of(extraction.undated))
        self.ids |= names
        return names

    def _stamp(self, row: Row) -> Stamp:
        shop = self._client.shop
        try:
            return parse_stamp(self._path(decode(row["payload"])), shop.times_of(self.listed.endpoint), shop.zone)
        except ValueError:
            return None


def _failed(shop: Shop, name: str, since: datetime, reading: Reading) -> str:
    fault, key = reading.fault or "it gave other records each time", "orders" if name == "orders" else f"orders.{name}"
    return (
        f"shop {shop.name}: the list of {name} changed since {since:%Y-%m-%d %H:%M:%S %Z} was read {READINGS} times "
        f"and is not known to be whole: {fault}. Nothing is marked, and the next poll asks for the same. If it lasts, "
        f"see whether {key}.count is the count of this list, ask for larger pages ({key}.pagination.size), or have "
        f"the shop sort by the change stamp ({key}.params)"
    )
