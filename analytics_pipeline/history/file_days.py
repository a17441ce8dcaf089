"""Which business days of orders differ once a file is taken in, and that those which are loaded go stale.

In the transaction that takes the file in, before what its records replace is taken away.
"""

from datetime import UTC, date, datetime

from analytics_pipeline.days import business_day
from analytics_pipeline.history.stale import FILE, MOVED, StaleDay, give_another_chance, lock_list, mark
from analytics_pipeline.history.undated import judged_table, replace_undated
from analytics_pipeline.shop.files import FileOrders
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.files import FILE_RECORDS, ORDERS
from analytics_pipeline.tables.history import DAY_PROOFS, MATERIALISED_DAYS, STALE_DAYS
from analytics_pipeline.transforms.file_records import FileRead
from analytics_pipeline.transforms.raw import UndatedRecord
from analytics_pipeline.transforms.undated import judge_undated
from analytics_pipeline.warehouse.drivers import Connection

RECORDS = FILE_RECORDS.sql_name


class DifferingDays:
    """The days that differ, of all files of one transaction."""

    def __init__(self, cursor: Connection, shop: Shop) -> None:
        """Take the cursor of the transaction, and the shop, which judges orders without a day."""
        self._cursor, self._shop = cursor, shop
        self._is_first = False
        self._found: dict[tuple[date, str], set[str]] = {}
        self._unlooked: list[tuple[date, date]] = []
        self._touches_undated = False

    def begin(self) -> None:
        """Forget what was noted, and see whether any day is loaded or about to be: if none is, no file is compared."""
        self._found, self._unlooked, self._touches_undated = {}, [], False
        self._cursor.execute(
            f"select not exists (select from {MATERIALISED_DAYS.sql_name} where table_name = $1) "
            f"and not exists (select from {STALE_DAYS.sql_name})",
            (RAW_ORDERS.table.qualified_name,),
        )
        self._is_first = self._cursor.fetchone()[0]

    def note(self, read: FileRead, replaced: str, parameters: tuple[object, ...]) -> None:
        """Note what differs by one file of orders.

        Args:
            read: What is in it.
            replaced: The condition of the records that its own replace, which are still there.
            parameters: What the condition names: list, path and the new records' `file_id` as the first three.
        """
        if not self._is_first:
            self._note_differences(replaced, parameters)
        elif read.first_day and read.last_day:
            self._unlooked.append((read.first_day, read.last_day))
        self._cursor.execute(f"select 1 from {RECORDS} where {replaced} and day is null limit 1", parameters)
        self._touches_undated = self._touches_undated or bool(read.rows_without_day or self._cursor.fetchone())

    def mark(self) -> list[StaleDay]:
        """Mark what differs on loaded days, and keep the orders without a day; returns what was marked."""
        stale = self._mark_loaded() if self._found or self._unlooked else []
        if self._touches_undated:
            self._renew_undated()
        return stale

    def _note_differences(self, replaced: str, parameters: tuple[object, ...]) -> None:
        """Note the days of orders of which the rows differ now, before the old ones are taken away.

        An order is of the day that the newest file says. One that had another day before is on both.
        """
        self._cursor.execute(
            f"""
            with changed as materialized (
                select distinct record_key, is_by_content from (
                    select record_key, is_by_content, day from {RECORDS}
                    where file_id = $3 and list_name = $1 and path = $2 or {replaced}
                    group by record_key, is_by_content, day
                    having sum(case when file_id = $3 then rows else -rows end) <> 0
                    or sum(case when file_id = $3 then content else -content::numeric end) <> 0
                ) as differing
            ),
            days as (
                select
                    all_of.record_key, all_of.is_by_content,
                    (array_agg(day order by day is null, modified_at desc, path desc)
                        filter (where file_id <> $3))[1] as before,
                    (array_agg(day order by day is null, modified_at desc, path desc)
                        filter (where not ({replaced})))[1] as after
                from {RECORDS} as all_of join changed using (record_key, is_by_content)
                where list_name = $1
                group by all_of.record_key, all_of.is_by_content
            )
            select day, is_moved, array_agg(record_key) filter (where not is_by_content) from (
                select before as day, coalesce(before <> after, false) as is_moved, record_key, is_by_content from days
                union all
                select after, false, record_key, is_by_content from days where after is distinct from before
            ) as touched
            where day is not null
            group by day, is_moved
            """,
            parameters,
        )
        for day, is_moved, keys in self._cursor.fetchall():
            self._found.setdefault((day, MOVED if is_moved else FILE), set()).update(keys or ())

    def _mark_loaded(self) -> list[StaleDay]:
        """Put the days that differ onto the list of stale ones.

        Those that are loaded, and those that somebody is about to load: who has put a day onto the list before reads
        the records after that.
        """
        lock_list(self._cursor)
        self._cursor.execute(
            f"select day from {MATERIALISED_DAYS.sql_name} where table_name = $1 union select day from "
            f"{STALE_DAYS.sql_name}",
            (RAW_ORDERS.table.qualified_name,),
        )
        loaded = {day for (day,) in self._cursor.fetchall()}
        stale = [
            StaleDay(day, reason, tuple(sorted(keys)), frozenset({day}))
            for (day, reason), keys in sorted(self._found.items())
            if day in loaded
        ]
        within = {day for day in loaded for first, last in self._unlooked if first <= day <= last}
        stale += [StaleDay(day, FILE, (), frozenset({day})) for day in sorted(within)]
        mark(self._cursor, stale)
        give_another_chance(self._cursor, {one.day for one in stale})
        # A day that was odd, since no file had rows of it, waits no more.
        self._cursor.execute(
            f"update {DAY_PROOFS.sql_name} set again_at = clock_timestamp() where again_at > clock_timestamp() "
            "and day = any($1::date[])",
            ([one.day for one in stale],),
        )
        return stale

    def _renew_undated(self) -> None:
        """Keep the orders of which no file says the day, and forget those that are none any more."""
        self._cursor.execute(
            f"""
            select
                record_key, is_by_content, payload,
                row_number() over (partition by record_key, is_by_content order by path, line, file_id) as place
            from {RECORDS} as undated
            where list_name = $1 and day is null and (is_by_content or not exists (
                select from {RECORDS} as dated where dated.list_name = $1 and dated.record_key = undated.record_key
                and not dated.is_by_content and dated.day is not null
            ))
            order by modified_at, path, line
            """,
            (ORDERS,),
        )
        has_ids = isinstance(self._shop.orders, FileOrders) and self._shop.orders.has_ids
        found = [
            UndatedRecord((None if has_ids else f"{key}-{place}") if is_by_content else key, payload)
            for key, is_by_content, payload, place in self._cursor.fetchall()
        ]
        by_id = {one.record_id: one for one in found if one.record_id is not None}
        records = [*by_id.values(), *(one for one in found if one.record_id is None)]
        today = business_day(datetime.now(UTC), self._shop.zone)
        replace_undated(self._cursor, judged_table(judge_undated(records, today, self._shop)))
