"""Related lists held against the shop: their lists of changes, and their records of days that are read again.

A record that differs marks its own day, which is loaded again; the write of its list then marks the days of its orders.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from analytics_pipeline.days import Days
from analytics_pipeline.decoding.mapping import is_same_record
from analytics_pipeline.history.related import needs_dimensions
from analytics_pipeline.history.stale import RELATED_LIST, StaleDay
from analytics_pipeline.history.written import written_days
from analytics_pipeline.late_changes.feed import read_feed
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_days
from analytics_pipeline.tables.history import MATERIALISED_DAYS, POLLS
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.raw import UndatedRecord, related_list
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import exists, query

Cursors = Mapping[str, datetime]
"""How far the lists of changes are known, by the list's name."""


@dataclass
class RelatedFound:
    """What the lists of changes have.

    Attributes:
        stale: Days with records that differ.
        cursors: How far the lists are known now.
    """

    stale: list[StaleDay] = field(default_factory=list)
    cursors: dict[str, datetime] = field(default_factory=dict)


class RelatedComparison:
    """Holds records of one related list against the stored ones, page by page.

    Attributes:
        stale: The days of records that differ, of those that are loaded.
        came: Ids of the records that came.
    """

    def __init__(self, database: Database, shop: Shop, name: str, loaded: Collection[date]) -> None:
        self.stale: list[StaleDay] = []
        self.came: set[str] = set()
        self._database, self._table, self._loaded = database, related_contract(name).table, frozenset(loaded)
        self._needs_dimensions = needs_dimensions(shop, name)

    def take(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Compare the rows of one page."""
        self.came.update(row["record_id"] for row in rows)
        stored = self._stored([row["record_id"] for row in rows])
        for row in rows:
            versions, day = stored.get(row["record_id"], []), row["record_date"]
            if any(known == day and is_same_record(payload, row["payload"]) for known, payload in versions):
                continue
            days = {day, *(known for known, _ in versions)} & self._loaded
            named = () if row["parent_id"] is None else (row["parent_id"],)
            self.stale += [self.stale_day(one, named) for one in sorted(days)]

    def stale_day(self, day: date, orders: tuple[str, ...] = ()) -> StaleDay:
        """Return a day that is to be loaded again."""
        return StaleDay(day, RELATED_LIST, orders, frozenset({day}), self._needs_dimensions)

    def take_undated(self, records: Sequence[UndatedRecord]) -> None:
        """Leave out records without a day: loading names them."""

    def _stored(self, ids: Sequence[str]) -> dict[str, list[tuple[date, str]]]:
        """Return business day and text of each stored version of some records."""
        found: dict[str, list[tuple[date, str]]] = {}
        if ids and exists(self._database, self._table):
            with self._database.connect() as connection, closing(connection.cursor()) as cursor:
                cursor.execute(
                    f"select record_id, record_date, payload::text from {self._table.sql_name} "
                    "where record_id = any($1)",
                    (list(ids),),
                )
                for record_id, day, payload in cursor.fetchall():
                    found.setdefault(record_id, []).append((day, payload))
        return found


def read_related_feeds(client: ShopClient, database: Database, loadable: Days, now: datetime) -> RelatedFound:
    """Read what changed in the related lists that can be asked for it; one that was never loaded is passed over.

    Raises: As `read_feed`.
    """
    shop, found = client.shop, RelatedFound()
    names = [name for name, related in shop.orders.related.items() if related.notices_changes]
    known = _last_cursors(database) if names else {}
    overlap = timedelta(minutes=shop.late_changes.overlap_minutes)
    for name in names:
        table = related_contract(name).table
        loaded = {day: as_of for day, as_of in written_days(database, table).items() if day in loadable}
        as_of = [stamp for stamp in loaded.values() if stamp is not None]
        if not as_of:
            continue
        cursor = known.get(name) or min(as_of)
        since = min([cursor, *_first_loads_since_the_last_poll(database, table)]) - overlap
        comparison = RelatedComparison(database, shop, name, loaded)
        feed = read_feed(client, since, now, comparison, related_list(shop, name))
        found.cursors[name] = min(max(feed.newest or cursor, cursor), feed.began_at - overlap)
        found.stale += comparison.stale
    return found


def differing_days(client: ShopClient, database: Database, days: Days) -> list[StaleDay]:
    """Read the related lists of some days again, and return the days on which one differs.

    Raises:
        ShopUnavailableError, ShopRefusedError, AnswerError, PaginationError: As `extract_days`.
    """
    found: list[StaleDay] = []
    for name in client.shop.orders.related:
        table = related_contract(name).table
        wanted = {day for day in written_days(database, table) if day in days}
        comparison = RelatedComparison(database, client.shop, name, wanted)
        for batch in extract_days(client, related_list(client.shop, name), days.first, days.last) if wanted else ():
            comparison.take(batch.to_pylist())
        gone = _days_of_gone(database, table, days, comparison.came) if wanted else set()
        # Whether they are gone, or the list lacks them, is for the run to judge.
        found += [*comparison.stale, *map(comparison.stale_day, sorted(gone & wanted))]
    return found


def cursors_at_commit(cursor: Connection, cursors: Cursors) -> str | None:
    """Return the cursors as `ops.polls` has them, in the poll's transaction; None without any.

    Days that were loaded for the first time while the poll went on were left out of it: their list's cursor stops
    before them.
    """
    bounded = {}
    for name, stamp in cursors.items():
        cursor.execute(
            f"select min(as_of) from {MATERIALISED_DAYS.sql_name} where table_name = $1 "
            f"and first_written_at > coalesce((select max(polled_at) from {POLLS.sql_name}), '-infinity')",
            (related_contract(name).table.qualified_name,),
        )
        first = cursor.fetchone()[0]
        bounded[name] = min(filter(None, [stamp, first])).isoformat()
    return json.dumps(bounded) if bounded else None


def _last_cursors(database: Database) -> dict[str, datetime]:
    last = query(database, f"select related from {POLLS.sql_name} order by polled_at desc limit 1")
    text = last[0]["related"] if last else None
    return {name: datetime.fromisoformat(stamp) for name, stamp in json.loads(text or "{}").items()}


def _first_loads_since_the_last_poll(database: Database, table: Table) -> list[datetime]:
    """Return when the extraction began of days that no poll has known as loaded: it has left out their changes."""
    found = query(
        database,
        f"select min(as_of) as began from {MATERIALISED_DAYS.sql_name} "
        f"where table_name = '{table.qualified_name}' "
        f"and first_written_at > (select max(polled_at) from {POLLS.sql_name})",
    )
    return [row["began"] for row in found if row["began"] is not None]


def _days_of_gone(database: Database, table: Table, days: Days, came: Collection[str]) -> set[date]:
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select record_id, record_date from {table.sql_name} where {table.where(days)}")
        return {day for record_id, day in cursor.fetchall() if record_id not in came}
