"""What came so far of a list: which ids, which of them again, and whether the shop's own count can be one of the query.

Memory is one entry for each id. Whether the list is whole is judged by whoever asked for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from analytics_pipeline.decoding.mapping import decode, without
from analytics_pipeline.transforms.raw import Values

_MASK = (1 << 64) - 1
Key = str | tuple[int, int]


@dataclass(slots=True)
class _Id:
    """An id that came: the page it came on last, the mark of its last version, and the sum of all its marks."""

    page: int
    mark: int
    marks: int


class Came:
    """The ids of a list, page by page.

    A version of a record is told from another by its change stamp where it has one, else by its whole text. A record
    without an id that can be read is one of its own.

    Attributes:
        pages: Pages so far that had records.
        shifted: Ids that came again on another page as they were: a page shifted meanwhile, and others may be missing.
        changed: Ids that came again on another page as another version.
        versions_beside: Other versions that came on the same page as an id.
    """

    def __init__(self, volatile: Sequence[str] = ()) -> None:
        """Takes the fields that make no other version of a record."""
        self._volatile = volatile
        self.pages = 0
        self.shifted = self.changed = self.versions_beside = 0
        self._ids: dict[Key, _Id] = {}

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._ids

    @property
    def distinct(self) -> int:
        """Different ids so far; a record without one counts for itself."""
        return len(self._ids)

    def marks(self, record_id: str) -> int:
        """A number for all versions of an id that came."""
        found = self._ids.get(record_id)
        return found.marks if found else 0

    def look_at(self, records: Sequence[bytes], values: Sequence[Values | None]) -> None:
        """Notes the records of the next page, with what `RecordRows.values` reads of them."""
        if records:
            self.pages += 1
        texts: dict[Key, bytes] = {}
        for position, (record, read) in enumerate(zip(records, values, strict=True)):
            key, mark = self._key_and_mark(record, read, position)
            known = self._ids.get(key)
            text = texts.setdefault(key, record)
            if known is None:
                self._ids[key] = _Id(self.pages, mark, mark)
                continue
            is_beside, is_same = known.page == self.pages, known.mark == mark
            if not is_same:
                known.marks = (known.marks + mark) & _MASK
            if is_beside:
                self.versions_beside += not is_same or text != record
            elif is_same:
                self.shifted += 1
            else:
                self.changed += 1
            known.page, known.mark = self.pages, mark

    def _key_and_mark(self, record: bytes, read: Values | None, position: int) -> tuple[Key, int]:
        name, _, stamp = read or (None, None, None)
        if name is None:  # an odd record is judged elsewhere
            return (self.pages, position), mark_of(record)
        if stamp is None and self._volatile:
            return name, mark_of(self._lasting(record))
        return name, mark_of(record if stamp is None else repr(stamp).encode("utf-8", "replace"))

    def _lasting(self, record: bytes) -> bytes:
        """Return a record without the fields that make no other version of it."""
        try:
            return repr(without(decode(record), self._volatile)).encode("utf-8", "replace")
        except (ValueError, ArithmeticError, RecursionError):
            return record


class SourceCount:
    """The shop's own count over the pages of a list.

    Attributes:
        said: The count, as the last page that has one says; None while none has.
        fault: Why it is no count of the whole list, in words; None while it may be one.
    """

    def __init__(self) -> None:
        """Nothing has come."""
        self.said: int | None = None
        self.fault: str | None = None
        self._pages_of_their_own = self._pages = 0

    @property
    def value(self) -> int | None:
        """The count, where it can be one of the whole list."""
        return self.said if self.fault is None else None

    def look_at(self, count: int | None, *, records: int, before: int, after: int) -> None:
        """Holds a page's count against what came.

        Args:
            count: What the page says; None for nothing.
            records: Records on the page.
            before: Different ids before the page.
            after: Different ids with it.
        """
        if count is None or (self.said and not records and not count):
            return  # a count that is made of the rows of a page is 0 behind the last one
        self._pages += 1
        self._pages_of_their_own += count == records
        if self._pages > 1 and self._pages == self._pages_of_their_own and after > count:
            self.fault = "the shop's count is that of the page alone"
        elif self.said == count and before >= count and after > before:
            self.fault = f"the shop's count stays at {count}, and more came after so many"
        self.said = count


def mixed(marks: int, text: bytes) -> int:
    """Return the marks of an id together with that of something else that came with it."""
    return (marks + mark_of(text)) & _MASK


def fingerprint(marks: Mapping[str, int], ids: Iterable[str]) -> str:
    """A text that is the same for the same ids in the same versions, in whatever order they came."""
    numbers = [mark_of(name.encode("utf-8", "replace")) * (marks.get(name, 0) | 1) for name in ids]
    return f"{len(numbers)}-{sum(numbers) & ((1 << 128) - 1):032x}"


def mark_of(text: bytes) -> int:
    """Return a number that tells a text from others."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
