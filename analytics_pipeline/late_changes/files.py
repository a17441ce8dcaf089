"""Looking into the folder of a shop that is read from files: new and changed files are read and taken in.

A file that is as it was is not read again, one that is not complete yet waits for the next look, and one that cannot be
read is refused and stops no other. What is taken in, and what follows, is `history.files`' part.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from analytics_pipeline.errors import (
    DamagedFileError,
    FileRefusedError,
    FileUnreachableError,
    FolderRefusedError,
    FolderUnavailableError,
    GrowingFileError,
)
from analytics_pipeline.history.files import (
    CORRECTED,
    NEW,
    FileFacts,
    StoredFile,
    TakingIn,
    note_look,
    read_files,
    taking_in,
)
from analytics_pipeline.history.stale import StaleDay
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.files.finding import Found
from analytics_pipeline.sources.files.opening import opened
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline.sources.files.records import FileBatches, file_lists, folder_of, found_files
from analytics_pipeline.tables.files import REFUSED, WAITING
from analytics_pipeline.transforms.file_records import FileRead, described_reading
from analytics_pipeline.warehouse.connection import Database

ROWS_OF_A_COMMIT = 50_000
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a content may raise that no reader has thought of; it is of that file alone."""


@dataclass
class Look:
    """What a look found.

    Attributes:
        files: Files that are there.
        outcomes: How many became what, of those that were read: new, corrected, known, same.
        refused: Why files are refused, by name.
        waiting: Why files wait, by name.
        rows: Rows that were taken in.
        stale: Loaded days that went stale.
    """

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    stale: list[StaleDay] = field(default_factory=list)

    @property
    def taken(self) -> int:
        """Files that were taken in."""
        return self.outcomes[NEW] + self.outcomes[CORRECTED]


def look(database: Database, shop: Shop, *, now: datetime | None = None) -> Look:
    """Look into the folder, and take in what is new; nothing for a shop without files.

    Args:
        database: Where the tables lie; the warehouse is open.
        shop: The description.
        now: What counts as now for what is complete; the time when None.

    Raises:
        FolderRefusedError, FolderUnavailableError: The folder cannot be looked into; it is kept that it could not.
    """
    seen = Look()
    try:
        folder = folder_of(shop, Settings.from_environment().project)
        if folder is None:
            return seen
        there = {name: found_files(folder, listed) for name, listed in file_lists(shop).items()}
        _Looking(database, shop, seen, now or datetime.now(UTC)).at(there)
    except (FolderRefusedError, FolderUnavailableError) as error:
        note_look(database, {"files": 0, "taken": 0, "refused": 0, "waiting": 0, "fault": str(error)})
        raise
    counts = {"files": seen.files, "taken": seen.taken, "refused": len(seen.refused), "waiting": len(seen.waiting)}
    note_look(database, {**counts, "fault": None})
    return seen


class _Looking:
    """One look, once it is known which files are there."""

    def __init__(self, database: Database, shop: Shop, seen: Look, now: datetime) -> None:
        self._database, self._shop, self._seen, self._now = database, shop, seen, now
        self._lists = file_lists(shop)
        self._read_by = {name: described_reading(shop, listed) for name, listed in self._lists.items()}
        self._stored: dict[tuple[str, str], list[StoredFile]] = {}
        for one in read_files(database):
            self._stored.setdefault((one.list_name, one.outer_path), []).append(one)

    def at(self, there: dict[str, list[Found]]) -> None:
        """Take in what is new among the files of each list."""
        changed = {name: [one for one in found if not self._is_known(name, one)] for name, found in there.items()}
        self._seen.files = sum(map(len, there.values()))
        names = {name: {one.path for one in found} for name, found in there.items()}
        gone = any(
            one.is_there != (one.outer_path in names.get(one.list_name, ()))
            for stored in self._stored.values()
            for one in stored
        )
        if not gone and not any(changed.values()):
            return
        with taking_in(self._database, self._shop) as taking:
            taking.see(names)
            for name, found in changed.items():
                for one in found:
                    self._look_at(taking, name, one)
                    if taking.rows >= ROWS_OF_A_COMMIT:
                        self._seen.stale += taking.commit()
                        taking.begin()
            self._seen.stale += taking.commit()

    def _is_known(self, name: str, found: Found) -> bool:
        """Return whether a file is as it was; one that is still refused is so again."""
        stored = self._stored.get((name, found.path), [])
        is_known = bool(stored) and all(
            one.version == found.version and one.read_by == self._read_by[name] and one.state != WAITING
            for one in stored
        )
        if is_known:
            self._seen.refused |= {one.path: one.fault or "" for one in stored if one.state == REFUSED}
        return is_known

    def _look_at(self, taking: TakingIn, name: str, found: Found) -> None:
        facts = FileFacts(name, found.path, found.outer, found.version, found.size, found.modified)
        settle = self._shop.files.settle_seconds if self._shop.files else 0
        if not found.is_settled(self._now, settle):
            self._leave(taking, facts, WAITING, f"it was changed less than {settle:g} s ago")
            return
        listed, read_by = self._lists[name], self._read_by[name]
        try:
            inner = members(found, listed)
        except FileRefusedError as error:
            self._refuse(taking, facts, error, read_by)
            return
        for one in inner:
            member = replace(facts, path=one.path, bytes=one.size)
            self._read(taking, member, one)
        paths = [one.path for one in inner]
        was_zip = any(one.path not in paths for one in self._stored.get((name, found.outer), []))
        if was_zip or paths != [found.outer]:
            taking.has_only(name, found.outer, paths)

    def _read(self, taking: TakingIn, facts: FileFacts, found: Found) -> None:
        """Read a file and take it in."""
        listed, read_by = self._lists[facts.list_name], self._read_by[facts.list_name]
        try:
            with opened(found, listed) as content:
                read = FileRead()
                batches = FileBatches(self._shop, listed, content, read)
                outcome = taking.take(facts, content.sha256, read_by, batches, read)
        except GrowingFileError as error:
            self._leave(taking, facts, WAITING, str(error))
        except FileRefusedError as error:
            self._refuse(taking, facts, error, read_by)
        except OSError as error:
            fault = f"{facts.path}: cannot be read or unpacked now ({type(error).__name__}: {error.strerror})"
            raise FolderUnavailableError(fault) from None
        except UNFORESEEN as error:
            fault = f"cannot be read ({type(error).__name__}), which nobody has foreseen: please report it"
            self._refuse(taking, facts, DamagedFileError(fault, path=facts.path), read_by)
        else:
            self._seen.outcomes[outcome] += 1
            self._seen.rows += read.rows

    def _refuse(self, taking: TakingIn, facts: FileFacts, error: FileRefusedError, read_by: str) -> None:
        """Note a refused file; one that could not be reached is tried again by each look, unchanged as it may be."""
        if isinstance(error, FileUnreachableError):
            facts = replace(facts, version="")
        self._leave(taking, facts, REFUSED, str(error), read_by)

    def _leave(self, taking: TakingIn, facts: FileFacts, state: str, fault: str, read_by: str | None = None) -> None:
        taking.leave(facts, state, fault, read_by)
        (self._seen.refused if state == REFUSED else self._seen.waiting)[facts.path] = fault
