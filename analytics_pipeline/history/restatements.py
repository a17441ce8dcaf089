"""Numbers that were published: their first value, and every later change with its cause, old and new value.

Written in the transaction that changes the numbers. `ops.as_reported(time)` (`tables/views`) reads them back: any
number as it stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics_pipeline.days import Days
from analytics_pipeline.history.written import Writing, each_day
from analytics_pipeline.tables.history import (
    LEDGER_MEASURES,
    MATERIALISED_DAYS,
    ORDER_CHANGES,
    PUBLICATIONS,
    RESTATEMENTS,
)
from analytics_pipeline.tables.shape import MONEY, Table, postgres_type
from analytics_pipeline.warehouse.drivers import Connection

DAYS, CHANGES = MATERIALISED_DAYS.sql_name, ORDER_CHANGES.sql_name

_TEMPORARY = ("computed", "days_before", "numbers_before", "pending", "first_numbers", "numbers_after")
_REPORTED = f"""
        select mart, day, key, metric, value, published_at as since from {PUBLICATIONS.sql_name}
        union all
        select mart, day, key, metric, new_value, restated_at from {RESTATEMENTS.sql_name}
"""
"""Every value that a number ever had, and since when."""


@dataclass(frozen=True)
class NumbersOnRecord:
    """Puts on record what a transaction changes of a mart's published numbers, and what it publishes first.

    Attributes:
        cursor: In the transaction.
        table: The mart, which is locked.
        watched: Its columns whose numbers are kept on record; nothing is done without any.
        rows: Where the new rows are: the mart itself, or the table beside it that takes its place.
        ranges: The days that are computed anew.
        writing: The run, and the hash of the mart's statement.
        closed_until: Last business day of the closed period, if one is closed.
        is_same_grain: Whether the stored table has the grain of now, so that its rows tell the keys of old numbers.
    """

    cursor: Connection
    table: Table
    rows: Table
    watched: Sequence[str]
    ranges: Sequence[Days]
    writing: Writing
    closed_until: date | None
    is_same_grain: bool = True

    def before(self) -> None:
        """Keep the numbers as they were reported last, and the changes of orders that they do not know yet."""
        if not self.watched:
            return
        if self.is_same_grain:
            self._rename_keys()
        for name, select in {
            "computed": each_day(self.ranges),
            "days_before": "select day, published_at, code_version, coalesce(through_change, 0) as through_change "
            f"from {DAYS} join computed using (day) where table_name = '{self.table.qualified_name}'",
            "numbers_before": "select distinct on (day, key, metric) day, key, metric, value from "
            f"({_REPORTED}) as numbers join computed using (day) where mart = '{self.table.name}' "
            "order by day, key, metric, since desc",
            "pending": f"select changes.* from {CHANGES} as changes join days_before as days "
            "on days.day = changes.event_date and changes.change_id > days.through_change",
        }.items():
            self.cursor.execute(f"create temporary table {name} on commit drop as {select}")
        self.cursor.execute("create index on pending (event_date)")
        self._find_first_numbers()

    def after(self) -> None:
        """Record the differences and the first publications; the mart's days have been noted by now."""
        if not self.watched:
            return
        self.cursor.execute(f"create temporary table numbers_after on commit drop as {self._numbers}")
        self.cursor.execute("select clock_timestamp()")
        now = self.cursor.fetchone()[0]
        self.cursor.execute(
            self._restatements,
            (self.table.name, now, self.writing.run_id, self.writing.code_version, self.closed_until),
        )
        self.cursor.execute(
            f"""
            insert into {PUBLICATIONS.sql_name} (mart, day, key, metric, value, published_at, run_id)
            select $1, numbers.day, key, metric, value, days.published_at, $3
            from numbers_after as numbers
            join {DAYS} as days on days.table_name = $2 and days.day = numbers.day
            left join days_before as old on old.day = numbers.day
            where days.published_at is not null and old.published_at is null
            union all
            select $1, numbers.day, key, metric, value, $4, $3
            from numbers_after as numbers join first_numbers using (metric)
            join days_before as old on old.day = numbers.day and old.published_at is not null
            """,
            (self.table.name, self.table.qualified_name, self.writing.run_id, now),
        )
        for name in _TEMPORARY:
            self.cursor.execute(f"drop table {name}")

    def _find_first_numbers(self) -> None:
        """Keep the columns that another statement did not have on record: theirs are first numbers, and no changes."""
        watched = ", ".join(f"('{name}')" for name in self.watched)
        self.cursor.execute(
            f"""
            create temporary table first_numbers on commit drop as
            select metric from (values {watched}) as watched (metric)
            where exists (select from numbers_before)
            and not exists (select from numbers_before as numbers where numbers.metric = watched.metric)
            and exists (select from days_before where published_at is not null and code_version <> $1)
            """,
            (self.writing.code_version,),
        )

    def _rename_keys(self) -> None:
        """Give numbers on record the key that they have now, where it was once joined from values with blanks."""
        rest = self._rest
        if not rest[1:]:
            return
        self.cursor.execute(
            f"create temporary table renamed on commit drop as select distinct {self.table.day_column} as day, "
            f"concat_ws(' ', {', '.join(rest)}) as old_key, {_key(rest)} as new_key from {self.table.sql_name} "
            f"where {self.table.day_column} in ({each_day(self.ranges)})"
        )
        for table in (PUBLICATIONS, RESTATEMENTS):
            self.cursor.execute(
                f"update {table.sql_name} as stored set key = new_key from renamed "
                "where stored.mart = $1 and stored.day = renamed.day and stored.key = old_key "
                "and old_key <> new_key and strpos(old_key, '\\') = 0",
                (self.table.name,),
            )
        self.cursor.execute("drop table renamed")

    @property
    def _rest(self) -> list[str]:
        """The grain without the business day."""
        return [name for name in self.table.key if name != self.table.day_column]

    @property
    def _numbers(self) -> str:
        """Select the numbers of the computed days, one a row."""
        rest = self._rest
        values = ", ".join(f"('{name}', {name}::{postgres_type(MONEY)})" for name in self.watched)
        currency = "currency" if "currency" in rest else "null::text"
        return (
            f"select {self.table.day_column} as day, {_key(rest)} as key, "
            f"{currency} as currency, metric, value from {self.rows.sql_name} as rows "
            f"cross join lateral (values {values}) as numbers (metric, value) "
            f"where {self.table.day_column} in (select day from computed)"
        )

    @property
    def _restatements(self) -> str:
        # A row that appears counts as zeros before. Nothing and zero are different numbers with a difference of 0: an
        # order may have made one the other without moving this measure.
        is_sum_of_orders = self.table.key == (self.table.day_column, "currency")
        measures = ", ".join(f"('{name}', {name})" for name in LEDGER_MEASURES)
        listed = ", ".join(f"'{name}'" for name in LEDGER_MEASURES)
        watched = ", ".join(f"'{name}'" for name in self.watched)
        return f"""
            insert into {RESTATEMENTS.sql_name} (
                mart, day, key, metric, old_value, new_value, difference, explained, restated_at, run_id, cause,
                order_ids, is_of_closed_day
            )
            select
                $1, changed.day, key, metric, old_value, new_value, coalesce(new_value, 0) - coalesce(old_value, 0),
                {"why.explained" if is_sum_of_orders else "null"}, $2, $3,
                coalesce(why.cause, 'unexplained'),
                coalesce(why.order_ids, '{{}}'), coalesce(changed.day <= $5, false)
            from (
                select
                    day, key, metric, {"key" if is_sum_of_orders else "new.currency"} as currency,
                    old.value as old_value, new.value as new_value
                from numbers_before as old full join numbers_after as new using (day, key, metric)
                where old.value is distinct from new.value and (old.metric is not null or new.value <> 0)
                and metric in ({watched}) and metric not in (select metric from first_numbers)
            ) as changed
            join days_before as days on days.day = changed.day and days.published_at is not null
            cross join lateral (
                select
                    string_agg(distinct cause, ', ' order by cause) as cause,
                    array_agg(distinct order_id order by order_id) filter (where order_id is not null) as order_ids,
                    sum(change) as explained
                from (
                    select cause, order_id, change
                    from pending cross join lateral (values {measures}) as measures (measure, change)
                    where event_date = changed.day and measure = changed.metric and change <> 0
                    and (changed.currency is null or pending.currency = changed.currency)
                    union all
                    select cause, order_id, null
                    from pending
                    where event_date = changed.day
                    and (changed.metric not in ({listed}) or coalesce(old_value, 0) = coalesce(new_value, 0))
                    and (is_first_order or changed.currency is null or pending.currency = changed.currency)
                    union all
                    select 'code_version_change', null, null where days.code_version <> $4
                ) as changes
            ) as why
        """


def _key(rest: Sequence[str]) -> str:
    """Return the SQL of a number's key: the value of its column, or those of several joined by blanks.

    Of several, blanks within a value are escaped, so that two rows never have the same key.
    """
    if len(rest) == 1:
        return f"{rest[0]}::text"
    escaped = (f"replace(replace({name}::text, '\\', '\\\\'), ' ', '\\ ')" for name in rest)
    return f"concat_ws(' ', {', '.join(escaped) or 'null'})"
