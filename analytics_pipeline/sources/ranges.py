"""Reading a range of business days so that what is wrong with one of them leaves the others whole.

A range that cannot be proved is cut in halves until the days are found that cannot. A range without a count in which
a record came twice on different pages, so that another one may be missing, is cut until each part fits one page: there
nothing can shift. Whether a day that came is believed is judged elsewhere.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from analytics_pipeline.days import start_of_day
from analytics_pipeline.decoding.mapping import compile_path, decode, parse_stamp
from analytics_pipeline.errors import CountError, DataError, ProofError
from analytics_pipeline.sources.came import fingerprint
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.lists import extract_created, extract_days
from analytics_pipeline.sources.records import COUNT_BASIS, Progress, Records
from analytics_pipeline.sources.spool import Spool, spool
from analytics_pipeline.transforms.raw import DatedList, order_list

ONE_DAY, ONE_SECOND = timedelta(days=1), timedelta(seconds=1)
PROBES = 32
"""Parts of a range that are tried at most while none of them can be read."""
LEAST_PIECES = 64
ATTEMPTS = 2


@dataclass
class Part:
    """The orders, or the records of a related list, of some business days that were read whole.

    Attributes:
        first: The first day.
        last: The last day, included.
        rows: The rows, on disk.
        extractions: What they were read by.
        source_count: The shop's count; None where it gives none of the query.
        arrived: Different records that came, those of other days too.
        agrees: Whether these are as many as the shop counts.
        days: The business day of each order that came.
        records: Rows, repeated ones too.
        basis: What the count is of.
        covered: Days that it speaks of; all of them when None.
    """

    first: date
    last: date
    rows: Spool
    extractions: list[Records] = field(default_factory=list)
    source_count: int | None = None
    arrived: int = 0
    agrees: bool = False
    records: int = 0
    days: set[tuple[str, date]] = field(default_factory=set)
    marks: dict[str, int] = field(default_factory=dict)
    basis: str = COUNT_BASIS
    covered: Collection[date] | None = None

    def take(self, batch: pa.RecordBatch) -> None:
        """Keep rows."""
        self.rows.write(batch)
        self.records += len(batch)
        self.days.update(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))

    def take_new(self, batch: pa.RecordBatch, extraction: Extraction) -> None:
        """Keep the rows of versions that no other window has brought."""
        ids = batch.column(0).to_pylist()
        new = [place for place, name in enumerate(ids) if self.marks.get(name) != extraction.came.marks(name)]
        if new:
            self.take(batch.take(pa.array(new)))

    def count(self, read: Records) -> None:
        """Note how many came with one reading, which is over."""
        self.extractions.append(read)
        self.source_count, self.agrees = read.source_count, read.agrees
        self.arrived += read.came.distinct
        if self.agrees and read.source_count is not None:
            self.arrived = read.source_count

    def end(self, extraction: Extraction) -> None:
        """Note what came with one extraction, which is over."""
        self.count(extraction)
        if self.source_count is None:
            for order_id, _ in self.days:
                self.marks[order_id] = self.marks.get(order_id, 0) | extraction.came.marks(order_id)

    def by_day(self) -> Counter[date]:
        """Return the number of different orders by day."""
        return Counter(day for _, day in self.days)

    def fingerprints(self) -> dict[date, str]:
        """Return a text for each day that had orders, which is the same for the same answer."""
        ids: dict[date, list[str]] = {}
        for order_id, day in self.days:
            ids.setdefault(day, []).append(order_id)
        return {day: fingerprint(self.marks, found) for day, found in ids.items()}


@dataclass
class DaysRead:
    """What a reading brought: parts that are whole, and why the other days are not, in words."""

    parts: list[Part] = field(default_factory=list)
    refused: dict[date, DataError] = field(default_factory=dict)


class RangeReader:
    """Reads ranges of business days from one shop."""

    def __init__(
        self,
        client: ShopClient,
        stack: ExitStack,
        *,
        is_over: bool = True,
        progress: Progress = lambda _: None,
        listed: DatedList | None = None,
    ) -> None:
        """Prepares it.

        Args:
            client: The shop's client.
            stack: Holds the rows on disk until it is closed.
            is_over: Whether all days are over: else orders come in while they are read, and the count may differ.
            progress: Is called after each page.
            listed: The list; orders when None.
        """
        self._listed = listed or order_list(client.shop)
        self._schema = self._listed.reading(lambda _: True, None).schema
        self._client, self._stack, self._progress = client, stack, progress
        self._is_over = is_over

    def read(self, first: date, last: date) -> DaysRead:
        """Reads the days from first to last, both included.

        While no part can be read, no more than `PROBES` of them are tried: what is wrong is of the shop then.

        Raises:
            ShopUnavailableError, ShopRefusedError, SettingsError: As `extract_orders`.
        """
        found = DaysRead()
        ranges = [(first, last)]
        while ranges:
            halves = []
            for begin, end in ranges:
                try:
                    found.parts.append(self._attempt(begin, end))
                except DataError as error:
                    if begin == end:
                        found.refused[begin] = error
                        continue
                    reason = error
                    middle = begin + (end - begin) // 2
                    halves += [(begin, middle), (middle + ONE_DAY, end)]
            if not found.parts and len(halves) > PROBES:
                for begin, end in halves:
                    found.refused |= dict.fromkeys(_days(begin, end), reason)
                break
            ranges = halves
        found.parts.sort(key=lambda part: part.first)
        return found

    def _attempt(self, first: date, last: date) -> Part:
        try:
            return self._kept(first, last, self._read_whole)
        except _ShiftedError as error:
            shifted = error
        except ProofError:
            if first != last:
                raise
            return self._kept(first, last, self._read_whole)  # it may have changed while it was read
        return self._kept(first, last, lambda part: self._read_pieces(part, shifted))

    def _kept(self, first: date, last: date, read: Callable[[Part], None]) -> Part:
        """Make a part, whose rows stay on disk if it can be read."""
        with ExitStack() as attempt:
            part = Part(first, last, attempt.enter_context(spool(self._schema)))
            read(part)
            self._stack.push(attempt.pop_all())
        return part

    def _read_whole(self, part: Part) -> None:
        extraction = extract_days(self._client, self._listed, part.first, part.last)
        for batch in extraction:
            part.take(batch)
            self._progress(extraction)
        came, counted = extraction.came, extraction.source_count
        if counted is not None and self._is_over and not extraction.agrees:
            raise _disagreement(self._place(), came.distinct, counted)
        if counted is None and (came.shifted or came.changed):
            raise _ShiftedError(came.pages, is_lossy=came.shifted > 0)
        part.end(extraction)

    def _read_pieces(self, part: Part, shifted: "_ShiftedError") -> None:
        """Read a part by windows that fit one page each, since its pages shift while they are read."""
        zone = self._client.shop.zone
        window = self._listed.endpoint.created_window
        more = ONE_DAY if window is not None and window.format == "date" else timedelta()  # as in `covering_query`
        pieces = [(start_of_day(part.first - more, zone), start_of_day(part.last + ONE_DAY + more, zone))]
        left = LEAST_PIECES + 8 * shifted.pages
        while pieces:
            left -= 1
            if left < 0:
                raise ProofError(f"{self._place()}: its pages shift while they are read, whatever window is asked for")
            pieces += reversed(self._read_piece(part, *pieces.pop(), is_lossy=shifted.is_lossy))

    def _read_piece(
        self, part: Part, start: datetime, end: datetime, *, is_lossy: bool
    ) -> list[tuple[datetime, datetime]]:
        """Read a window if it fits one page, or cannot be cut; else return its parts."""
        extraction = extract_created(self._client, start, end, part.first, part.last, self._listed)
        batches = []
        for batch in extraction:
            batches.append(batch)
            if extraction.came.pages > 1:
                break
        if extraction.came.pages > 1:
            cut = self._cut(start, end, batches)
            if not cut:
                self._read_instant(part, start, end, is_lossy=is_lossy)
            return cut
        for batch in batches:
            part.take_new(batch, extraction)
        part.end(extraction)
        self._progress(extraction)
        return []

    def _read_instant(self, part: Part, start: datetime, end: datetime, *, is_lossy: bool) -> None:
        """Read a window that is longer than a page and cannot be cut, again if a record comes twice as it is."""
        for _ in range(ATTEMPTS):
            extraction = extract_created(self._client, start, end, part.first, part.last, self._listed)
            batches = list(extraction)
            if not extraction.came.shifted or not is_lossy:
                for batch in batches:
                    part.take_new(batch, extraction)
                part.end(extraction)
                return
        raise ProofError(
            f"{self._place()}: records of {start:%Y-%m-%d %H:%M:%S} UTC come on several pages, one of them came twice, "
            f"and the shop gives no count: another one may be missing. Ask for larger pages (pagination.size), or for "
            f"a fixed order of the list (params)"
        )

    def _cut(
        self, start: datetime, end: datetime, batches: Iterable[pa.RecordBatch]
    ) -> list[tuple[datetime, datetime]]:
        """Cut a window where about half of the records that came are before; nothing where it cannot be cut."""
        shop = self._client.shop
        window, zone = self._listed.endpoint.created_window, shop.zone
        if window is None:
            return []
        times = shop.times_of(self._listed.endpoint)
        created = compile_path(self._listed.created_at)
        seen = set()
        for batch in batches:
            for payload in batch.column("payload").to_pylist():
                try:
                    stamp = parse_stamp(created(decode(payload)), times, zone).replace(microsecond=0)
                except ValueError:
                    continue
                if window.format == "date":
                    stamp = start_of_day(stamp.astimezone(zone).date(), zone)
                if start <= stamp < end:
                    seen.add(stamp.astimezone(UTC))
        if not seen:
            return []
        ordered = sorted(seen)
        middle = ordered[len(ordered) // 2]
        if middle <= start:
            step = middle + ONE_SECOND
            middle = step if window.format != "date" else start_of_day(middle.astimezone(zone).date() + ONE_DAY, zone)
        return [(start, middle), (middle, end)] if start < middle < end else []

    def _place(self) -> str:
        return self._client.redact.shown(self._client.url(self._listed.endpoint.path))


class _ShiftedError(ProofError):
    """A record came twice on different pages; lossy where it came as it was, so that another one may be missing."""

    def __init__(self, pages: int, *, is_lossy: bool) -> None:
        super().__init__("a record came twice on different pages, and the shop gives no count")
        self.pages, self.is_lossy = pages, is_lossy


def _disagreement(place: str, arrived: int, counted: int) -> CountError:
    message = f"{place}: {arrived} different records came, the shop counts {counted}"
    if arrived > counted:
        message += ". If its count is capped, or leaves some out, take `count` out of the description"
    return CountError(message, arrived=arrived, counted=counted)


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))
