"""What can be said of the files of a shop, and whether what was taken in of them adds up: for checks and `status`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from analytics_pipeline.days import business_day
from analytics_pipeline.history.files import StoredFile, read_files
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.files import FILE_LOOKS, FILE_RECORDS, FILES, KNOWN, ORDERS, REFUSED, TAKEN, WAITING
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query

GONE_REMEDY = "it stays as it was read; to have it read by the description of now, put it back for one look"
"""What to do about a file that is gone and was read by an earlier description."""


@dataclass(frozen=True)
class Outside:
    """Rows of days that the shop does not have.

    Attributes:
        before: Rows of days before its first one.
        first: The first of these days.
        after: Rows of days that are not over yet, or lie after its last one.
        last: The last of these days.
    """

    before: int = 0
    first: date | None = None
    after: int = 0
    last: date | None = None

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.before or self.after)


@dataclass(frozen=True)
class FilesStored:
    """What is stored of all files.

    Attributes:
        files: Every file that was ever seen.
        differing: Files of which the store has another number of rows than was read of them.
        outside: Rows of days that the shop does not have.
        looked_at: When the folder was last looked into; None for never.
        look_fault: Why that look failed.
    """

    files: list[StoredFile]
    differing: list[str]
    outside: Outside
    looked_at: datetime | None
    look_fault: str | None

    def of(self, state: str) -> list[StoredFile]:
        """Return the files in a state that are there."""
        return [one for one in self.files if one.state == state and (one.is_there or state == TAKEN)]

    @property
    def refused(self) -> list[StoredFile]:
        """Files that cannot be read."""
        return self.of(REFUSED)

    @property
    def waiting(self) -> list[StoredFile]:
        """Files that are not complete yet."""
        return self.of(WAITING)

    @property
    def known(self) -> list[StoredFile]:
        """Files whose content another one has brought."""
        return self.of(KNOWN)

    def read_otherwise(self, read_by: Mapping[str, str]) -> list[StoredFile]:
        """Return the files that were read by an earlier description and are not there any more.

        Args:
            read_by: By what files are read now, by list.
        """
        return [
            one
            for one in self.files
            if not one.is_there and one.file_id is not None and one.read_by != read_by.get(one.list_name)
        ]


def files_stored(database: Database, shop: Shop, now: datetime) -> FilesStored:
    """Return what is stored of all files; the tables of the history are there."""
    looks = query(database, f"select looked_at, fault from {FILE_LOOKS.sql_name} order by looked_at desc limit 1")
    differing = query(
        database,
        f"""
        select path from {FILES.sql_name} as files
        left join (
            select list_name, file_id, sum(rows) as rows from {FILE_RECORDS.sql_name} group by list_name, file_id
        ) as records using (list_name, file_id)
        where file_id is not null and rows_stored <> coalesce(records.rows, 0)
        order by path
        """,
    )
    return FilesStored(
        read_files(database),
        [row["path"] for row in differing],
        _outside(database, shop, now),
        looks[0]["looked_at"] if looks else None,
        looks[0]["fault"] if looks else None,
    )


def _outside(database: Database, shop: Shop, now: datetime) -> Outside:
    today = business_day(now, shop.zone)
    after = f"day > date '{shop.last_day}'" if shop.last_day and shop.last_day < today else f"day > date '{today}'"
    before = f"day < date '{shop.first_day}'"
    found = query(
        database,
        f"select coalesce(sum(rows) filter (where {before}), 0)::bigint as before, "
        f"min(day) filter (where {before}) as first, "
        f"coalesce(sum(rows) filter (where {after}), 0)::bigint as after, max(day) filter (where {after}) as last "
        f"from {FILE_RECORDS.sql_name} where list_name = '{ORDERS}' and ({before} or {after})",
    )[0]
    return Outside(**found)
