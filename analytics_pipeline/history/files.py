"""Taking files in: their records are stored, and the days on which something differs go stale, in one transaction.

What a file holds is known by its content: one that was taken in before changes nothing, under whatever name. A new
content under a known name replaces what that file had of the days that it has now; nothing else is ever taken away.
Looking into the folder and reading the files is not this module's part.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from analytics_pipeline.history.file_days import DifferingDays
from analytics_pipeline.history.stale import StaleDay
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.files import (
    FILE_CONTENTS,
    FILE_LOOKS,
    FILE_RECORDS,
    FILES,
    KNOWN,
    ORDERS,
    REFUSED,
    TAKEN,
    WAITING,
)
from analytics_pipeline.transforms.file_records import FileRead
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection, fetched
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline.warehouse.turns import take_turns

RECORDS, BOOK, CONTENTS = FILE_RECORDS.sql_name, FILES.sql_name, FILE_CONTENTS.sql_name
NEW, CORRECTED, SAME = "new", "corrected", "same"
"""What became of a file that was read, beside `KNOWN`."""


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file before it is read; the attributes are columns of `ops.files`."""

    list_name: str
    path: str
    outer_path: str
    version: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True)
class StoredFile:
    """What is stored of a file; the attributes are columns of `ops.files`."""

    list_name: str
    path: str
    outer_path: str
    state: str
    version: str
    is_there: bool
    file_id: int | None
    sha256: str | None
    read_by: str | None
    rows: int
    rows_stored: int
    rows_unreadable: int
    rows_excluded: int
    rows_without_day: int
    first_day: date | None
    last_day: date | None
    known_as: str | None
    fault: str | None
    notes: list[str]
    changed_at: datetime


_STORED = ", ".join(StoredFile.__dataclass_fields__)


def read_files(database: Database) -> list[StoredFile]:
    """Return what is stored of every file that was ever seen, by list and name."""
    return [StoredFile(**row) for row in query(database, f"select {_STORED} from {BOOK} order by list_name, path")]


@contextmanager
def taking_in(database: Database, shop: Shop) -> Iterator["TakingIn"]:
    """Open what takes files in, until the block ends; what was not committed then is undone.

    Two that take in at once take turns, file by file: whoever comes later finds what the other one has done.
    """
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        taking = TakingIn(connection, cursor, shop)
        taking.begin()
        yield taking


class TakingIn:
    """Takes files in.

    Attributes:
        rows: Rows that were taken in since the last commit.
    """

    def __init__(self, connection: Connection, cursor: Connection, shop: Shop) -> None:
        """Take the connection, and the shop, which judges orders without a day."""
        self.rows = 0
        self._connection, self._cursor, self._shop = connection, cursor, shop
        self._next_id = 0
        self._differing = DifferingDays(cursor, shop)

    def begin(self) -> None:
        """Begin a transaction, once nobody else takes anything in."""
        take_turns(self._cursor, FILE_RECORDS.qualified_name)
        self._cursor.execute(
            f"select greatest((select max(file_id) from {BOOK}), (select max(file_id) from {CONTENTS}), 0)"
        )
        self._next_id = self._cursor.fetchone()[0] + 1
        self._differing.begin()

    def commit(self) -> list[StaleDay]:
        """Mark what differs on loaded days, and commit; returns what was marked."""
        stale = self._differing.mark()
        self._connection.commit()
        self.rows = 0
        return stale

    def see(self, there: Mapping[str, Iterable[str]]) -> None:
        """Note which files are there.

        Args:
            there: Names of what lies in the folder, by list.
        """
        for list_name, paths in there.items():
            self._cursor.execute(
                f"update {BOOK} set is_there = (outer_path = any($2)), changed_at = clock_timestamp() "
                "where list_name = $1 and is_there <> (outer_path = any($2))",
                (list_name, list(paths)),
            )

    def has_only(self, list_name: str, outer_path: str, paths: Iterable[str]) -> None:
        """Note which files are in a zip; of any other file that it is itself. Others that were in it are gone."""
        parameters = (list_name, outer_path, list(paths))
        others = "list_name = $1 and outer_path = $2 and path <> all($3)"
        self._cursor.execute(f"delete from {BOOK} where {others} and file_id is null", parameters)
        self._cursor.execute(f"update {BOOK} set outer_path = path, is_there = false where {others}", parameters)

    def leave(self, facts: FileFacts, state: str, fault: str, read_by: str | None = None) -> None:
        """Note a file that is refused, or that waits; what was taken of it before stays."""
        self._write(facts, {"state": state, "fault": fault, **({"read_by": read_by} if read_by else {})})

    def take(
        self, facts: FileFacts, sha256: str, read_by: str, batches: Iterable[pa.RecordBatch], read: FileRead
    ) -> str:
        """Take a file in, unless its content is known.

        Args:
            facts: The file.
            sha256: Hash of its content.
            read_by: By what it is read.
            batches: Its records, as `transforms.file_records` makes them; read only where they are needed.
            read: What was in it; whole once the batches are exhausted.

        Returns:
            NEW, CORRECTED, SAME or KNOWN.

        Raises:
            PipelineError: Reading the batches raises it; nothing is taken in then.
        """
        self._cursor.execute("savepoint one_file")
        try:
            outcome = self._take(facts, sha256, read_by, batches, read)
        except BaseException:
            self._cursor.execute("rollback to savepoint one_file")
            raise
        self._cursor.execute("release savepoint one_file")
        return outcome

    def _take(
        self, facts: FileFacts, sha256: str, read_by: str, batches: Iterable[pa.RecordBatch], read: FileRead
    ) -> str:
        current = self._stored(facts)
        has_it = current is not None and current.file_id is not None and current.sha256 == sha256
        if has_it and current is not None and current.read_by == read_by:
            self._write(facts, {"state": TAKEN, "fault": None})
            return SAME
        owner, was_read_by = self._owner(facts.list_name, sha256)
        if owner is not None and owner != facts.path:
            has_own = current is not None and current.file_id is not None
            if has_own or not self._take_over(facts, owner):
                self._write(facts, {"state": KNOWN, "fault": None, "known_as": owner, "read_by": read_by})
                return KNOWN
            if was_read_by == read_by:
                return KNOWN
            has_it = True
        file_id, self._next_id = self._next_id, self._next_id + 1
        self._store(facts, file_id, batches)
        self._replace(facts, file_id, read, is_whole=has_it)
        self._note_taken(facts, file_id, sha256, read_by, read)
        return NEW if current is None or current.file_id is None else CORRECTED

    def _stored(self, facts: FileFacts) -> StoredFile | None:
        self._cursor.execute(
            f"select {_STORED} from {BOOK} where list_name = $1 and path = $2", (facts.list_name, facts.path)
        )
        return next((StoredFile(**row) for row in fetched(self._cursor)), None)

    def _owner(self, list_name: str, sha256: str) -> tuple[str | None, str | None]:
        """Return which file brought a content, and by what it was read."""
        self._cursor.execute(
            f"select path, read_by from {CONTENTS} where list_name = $1 and sha256 = $2", (list_name, sha256)
        )
        return self._cursor.fetchone() or (None, None)

    def _take_over(self, facts: FileFacts, owner: str) -> bool:
        """Give a file the records of another one that has the same content and is gone: it was renamed.

        Returns:
            Whether it is so.
        """
        self._cursor.execute(
            f"select {_STORED} from {BOOK} where list_name = $1 and path = $2 and not is_there",
            (facts.list_name, owner),
        )
        gone = next((StoredFile(**row) for row in fetched(self._cursor)), None)
        if gone is None or gone.file_id is None:
            return False
        self._cursor.execute(f"delete from {BOOK} where list_name = $1 and path = $2", (facts.list_name, owner))
        for table in (RECORDS, CONTENTS):
            self._cursor.execute(
                f"update {table} set path = $3 where list_name = $1 and path = $2",
                (facts.list_name, owner, facts.path),
            )
        kept = ("file_id", "sha256", "read_by", "rows_stored", "rows_unreadable", "rows_excluded", "rows_without_day")
        values = {name: getattr(gone, name) for name in (*kept, "rows", "first_day", "last_day", "notes")}
        self._write(facts, {**values, "state": TAKEN, "fault": None, "taken_at": datetime.now(UTC)})
        return True

    def _store(self, facts: FileFacts, file_id: int, batches: Iterable[pa.RecordBatch]) -> None:
        """Store the records of a file as they are read, beside those that it had before."""
        same = {**vars(facts), "file_id": file_id}
        schema = FILE_RECORDS.arrow_schema

        def whole() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                columns = [
                    pa.array([same[name]] * batch.num_rows, schema.field(name).type) if name in same else batch[name]
                    for name in schema.names
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

        copy_rows(self._cursor, RECORDS, pa.RecordBatchReader.from_batches(schema, whole()))

    def _replace(self, facts: FileFacts, file_id: int, read: FileRead, *, is_whole: bool) -> None:
        """Take away what a file had before of what it has now, and note which days differ.

        Args:
            facts: The file.
            file_id: Its new records.
            read: What is in it.
            is_whole: Whether all that it had is replaced: it was only read otherwise than now.
        """
        replaced, parameters = self._replaced(facts, file_id, read, is_whole=is_whole)
        if facts.list_name == ORDERS:
            self._differing.note(read, replaced, parameters)
        self._cursor.execute(f"delete from {RECORDS} where {replaced}", parameters)
        if facts.list_name == ORDERS:
            self._cursor.execute(
                f"select sum(rows)::bigint, min(day), max(day) from {RECORDS} "
                "where list_name = $1 and path = $2 and file_id <> $3",
                (facts.list_name, facts.path, file_id),
            )
            kept, first, last = self._cursor.fetchone()
            if kept:
                read.notes.append(
                    f"{kept} rows of {first} to {last} that it had before lie outside of the days that it has now, and "
                    "stay"
                )

    def _replaced(
        self, facts: FileFacts, file_id: int, read: FileRead, *, is_whole: bool
    ) -> tuple[str, tuple[object, ...]]:
        """Return the condition of the records that the new ones replace."""
        of_file = "list_name = $1 and path = $2 and file_id <> $3"
        parameters: tuple[object, ...] = (facts.list_name, facts.path, file_id)
        described = getattr(self._shop, facts.list_name)
        if is_whole or getattr(described, "whole", False):
            return of_file, parameters
        if facts.list_name == ORDERS:
            return f"{of_file} and (day is null or day between $4 and $5)", (
                *parameters,
                read.first_day or date.max,
                read.last_day or date.min,
            )
        of_now = f"select record_key from {RECORDS} where list_name = $1 and path = $2 and file_id = $3"
        return f"{of_file} and record_key in ({of_now})", parameters

    def _note_taken(self, facts: FileFacts, file_id: int, sha256: str, read_by: str, read: FileRead) -> None:
        self._cursor.execute(
            f"insert into {CONTENTS} (list_name, sha256, path, file_id, read_by, taken_at) "
            "values ($1, $2, $3, $4, $5, clock_timestamp()) on conflict (list_name, sha256) do update set path = "
            "excluded.path, file_id = excluded.file_id, read_by = excluded.read_by, taken_at = excluded.taken_at",
            (facts.list_name, sha256, facts.path, file_id, read_by),
        )
        values = {**vars(read), "rows": read.rows, "file_id": file_id, "sha256": sha256, "read_by": read_by}
        self._write(facts, {**values, "state": TAKEN, "fault": None, "taken_at": datetime.now(UTC)})
        self.rows += read.rows

    def _write(self, facts: FileFacts, values: Mapping[str, Any]) -> None:
        """Write the row of a file; what is not given stays as it was."""
        none = {"rows": 0, "rows_stored": 0, "rows_unreadable": 0, "rows_excluded": 0, "rows_without_day": 0}
        given = {**vars(facts), "is_there": True, "known_as": None, **values}
        row = {**none, "notes": [], **given}
        names, places = ", ".join(row), ", ".join(f"${number}" for number in range(1, len(row) + 1))
        changed = ", ".join(f"{name} = excluded.{name}" for name in (*given, "changed_at"))
        self._cursor.execute(
            f"insert into {BOOK} ({names}, first_seen_at, changed_at) "
            f"values ({places}, clock_timestamp(), clock_timestamp()) "
            f"on conflict (list_name, path) do update set {changed}",
            tuple(row.values()),
        )


def note_look(database: Database, figures: Mapping[str, object]) -> None:
    """Keep when the folder was looked into, and what was found; the keys are columns of `ops.file_looks`."""
    names, places = ", ".join(figures), ", ".join(f"${number}" for number in range(1, len(figures) + 1))
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"insert into {FILE_LOOKS.sql_name} (looked_at, {names}) values (clock_timestamp(), {places})",
            tuple(figures.values()),
        )
        connection.commit()


__all__ = ["REFUSED", "WAITING", "FileFacts", "StoredFile", "note_look", "read_files", "taking_in"]
