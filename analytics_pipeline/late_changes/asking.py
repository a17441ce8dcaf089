"""What a shop that is asked over HTTP says of changes: its lists of what changed, its counts, and days read again.

Nothing is written here; what is found goes onto the list of stale days with the poll.
"""

from collections.abc import Collection, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta

from analytics_pipeline.days import Days, business_day, start_of_day
from analytics_pipeline.history.proofs import COUNT, read_proofs
from analytics_pipeline.history.stale import StaleDay, listed_days
from analytics_pipeline.late_changes.budget import held_days, pages_of, read_budget
from analytics_pipeline.late_changes.changes import Changes
from analytics_pipeline.late_changes.compare import Comparison
from analytics_pipeline.late_changes.due import aged_days, differing_days
from analytics_pipeline.late_changes.feed import read_feed
from analytics_pipeline.late_changes.related import read_related_feeds
from analytics_pipeline.late_changes.reread import Reread, reread
from analytics_pipeline.late_changes.rounds import days_to_hold, shortest_rounds
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.order_counts import can_count_orders, count_orders
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, RAW_ORDERS
from analytics_pipeline.tables.history import EXTRACTIONS, MATERIALISED_DAYS, POLLS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query


class AskedChanges:
    """Asks one shop what changed; a `ChangeFinder`."""

    def __init__(self, client: ShopClient, database: Database, now: datetime) -> None:
        """Take the client, where the tables lie, and what counts as now."""
        self._client, self._database, self._now = client, database, now

    def changes(self, loaded: Collection[date], loadable: Days, today: date) -> Changes:
        """Ask for what changed since the last poll, orders and related lists.

        Raises:
            ShopUnavailableError, ShopRefusedError, AnswerError, PaginationError, FeedError: The shop cannot be asked.
        """
        shop = self._client.shop
        feed = _Feed(self._client, self._database, self._now)
        comparison = Comparison(self._database, shop, {*loaded, *([today] if shop.intraday else [])})
        if shop.notices_changes:
            feed.read(comparison)
        related = read_related_feeds(self._client, self._database, loadable, self._now)
        return Changes(
            asked_since=feed.asked_since,
            newest_change=feed.newest_change,
            orders_seen=feed.orders_seen,
            orders_changed=len(comparison.changed),
            stale=[*comparison.stale, *related.stale],
            undated=list(comparison.undated.values()),
            related=related.cursors,
        )

    def differing_in_number(self, loaded: Collection[date], known: Collection[date]) -> list[StaleDay]:
        """Return the days that were proved by the shop's count and of which it has another number of orders now."""
        if not can_count_orders(self._client.shop):
            return []
        known = {*known, *listed_days(self._database)}
        counted = {day for day, proof in read_proofs(self._database).items() if proof.basis == COUNT}
        return _differing_in_number(
            self._client, self._database, [day for day in loaded if day in counted and day not in known]
        )

    def read_again(self, loaded: dict[date, datetime | None], without: set[date]) -> Reread:
        """Hold loaded days against the shop again: those that have to be, and what fits into the budget."""
        return _read_again(self._client, self._database, loaded, self._now, without)


def _read_again(
    client: ShopClient, database: Database, loaded: dict[date, datetime | None], now: datetime, without: set[date]
) -> Reread:
    shop = client.shop
    days = held_days(database, shop, loaded, now)
    listed = listed_days(database)
    free = {day: held for day, held in days.items() if held.is_proved and day not in without and day not in listed}
    due = aged_days(
        {day: held.held_at for day, held in free.items()},
        now,
        today=business_day(now, shop.zone),
        reread_days=0 if shop.notices_changes else shop.late_changes.reread_days,
        sweep_days=shop.sweep_days,
    )[: shop.late_changes.most_days]
    ranges = Days.of(due).ranges
    if shop.late_changes.reread_share:
        ranges += days_to_hold(
            {day: held for day, held in free.items() if day not in set(due)},
            now,
            budget=read_budget(database, shop, now),
            pages=pages_of(shop),
            shortest=shortest_rounds(shop.late_changes.sweep_days),
        )
    return reread(client, database, ranges, free)


class _Feed:
    """The shop's list of changed orders, and how far it is known."""

    def __init__(self, client: ShopClient, database: Database, now: datetime) -> None:
        self.asked_since: datetime | None = None
        self.newest_change = _cursor(database)
        self.orders_seen = 0
        self._client, self._database, self._now = client, database, now

    def read(self, comparison: Comparison) -> None:
        """Read it and move the cursor: never past the shop's time at the first answer, less the overlap.

        An order may change while the list is read, or be shown later than its stamp says.
        """
        shop = self._client.shop
        if self.newest_change is None:  # no order is known
            self.newest_change = datetime.combine(shop.first_day, datetime.min.time(), shop.zone)
        overlap = timedelta(minutes=shop.late_changes.overlap_minutes)
        self.asked_since = min([self.newest_change, *_loads_since_the_last_poll(self._database)]) - overlap
        found = read_feed(self._client, self.asked_since, self._now, comparison)
        self.orders_seen = found.orders
        self.newest_change = min(max(found.newest or self.newest_change, self.newest_change), found.began_at - overlap)


def _cursor(database: Database) -> datetime | None:
    """Return the newest change stamp of the last poll; before the first one, what every loaded day knows for sure."""
    last = query(database, f"select newest_change from {POLLS.sql_name} order by polled_at desc limit 1")
    if last and last[0]["newest_change"] is not None:
        stamp: datetime = last[0]["newest_change"]
        return stamp
    if not exists(database, CLEAN_ORDERS.table):
        return None
    # A load knows of every change up to the newest stamp that it has seen; the oldest of the loads counts.
    found = query(
        database,
        f"""
        select min(newest) as stamp from (
            select max(updated_at) as newest
            from {MATERIALISED_DAYS.sql_name} as days
            join {CLEAN_ORDERS.table.sql_name} as orders on orders.order_date = days.day
            where days.table_name = '{RAW_ORDERS.table.qualified_name}' and orders.updated_at <= days.as_of
            group by days.run_id
        ) as loads
        """,
    )
    oldest: datetime | None = found[0]["stamp"]
    return oldest


def _loads_since_the_last_poll(database: Database) -> list[datetime]:
    """Return when the extractions began of days that no poll has known as loaded: it has left out their changes."""
    found = query(
        database,
        f"select min(as_of) as began from {MATERIALISED_DAYS.sql_name} "
        f"where table_name = '{RAW_ORDERS.table.qualified_name}' "
        f"and first_written_at > (select max(polled_at) from {POLLS.sql_name})",
    )
    return [row["began"] for row in found if row["began"] is not None]


def _differing_in_number(client: ShopClient, database: Database, days: Sequence[date]) -> list[StaleDay]:
    """Return the days of which the shop has more or fewer orders than are stored: deleted ones are reported so only."""
    rows = query(
        database,
        "select order_date as day, count(distinct order_id) as orders "
        f"from {RAW_ORDERS.table.sql_name} group by order_date",
    )
    stored = {row["day"]: row["orders"] for row in rows}

    def count(part: Days) -> int:
        counted = count_orders(client, part.first, part.last)
        return sum(stored.get(day, 0) for day in part) if counted is None else counted

    found = [day for part in Days.of(days).ranges for day in differing_days(part, stored, count)]
    as_counted = _days_as_counted(database)
    # The count of a day that was found is often a difference of two others, of which one may be capped.
    asked = {day: count(Days(day, day)) for day in found}
    # A second before the day is asked for too: an order of that second may be counted, or not.
    before = _orders_of_the_second_before(database, client.shop, found)
    return [
        StaleDay(day, "count", event_days=frozenset({day}))
        for day, counted in asked.items()
        if counted not in {stored.get(day, 0), stored.get(day, 0) + before[day], as_counted.get(day)}
    ]


def _orders_of_the_second_before(database: Database, shop: Shop, days: Sequence[date]) -> dict[date, int]:
    """Return how many stored orders were placed within the last second before each of some days."""
    found = dict.fromkeys(days, 0)
    if days and exists(database, CLEAN_ORDERS.table):
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            for day in days:
                cursor.execute(
                    f"select count(*) from {CLEAN_ORDERS.table.sql_name} "
                    "where order_date = $1 and ordered_at >= $2::timestamptz - interval '1 second'",
                    (day - timedelta(days=1), start_of_day(day, shop.zone)),
                )
                found[day] = cursor.fetchone()[0]
    return found


def _days_as_counted(database: Database) -> dict[date, int]:
    """Return the shop's count of each day at its last extraction, where that was of this day alone.

    A shop that counts an order of the next midnight with a day does so each time: only another count is news.
    """
    rows = query(
        database,
        f"select extractions.first_day as day, extractions.source_count as orders from {EXTRACTIONS.sql_name} "
        f"join {MATERIALISED_DAYS.sql_name} as days on days.run_id = extractions.run_id "
        f"and days.day = extractions.first_day and days.table_name = '{RAW_ORDERS.table.qualified_name}' "
        "where extractions.first_day = extractions.last_day and extractions.source_count is not null",
    )
    return {row["day"]: row["orders"] for row in rows}
