"""What a rewritten order changes on business days that a mart already has, noted beside the ledger and the customers.

A mart's day is stale from here on until it is computed anew (`publishing`), and its restatements name these changes as
their cause. Nothing is noted of days that no mart has: there is no number yet that could change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from analytics_pipeline.history.stale import has_moved_away
from analytics_pipeline.history.written import Writing, listed
from analytics_pipeline.tables.contracts import CLEAN_CUSTOMERS, CLEAN_SALES, EXCLUSIONS, ORDER, QUARANTINE, RAW_ORDERS
from analytics_pipeline.tables.history import LEDGER_MEASURES, MATERIALISED_DAYS, ORDER_CHANGES
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import Slice

SALES, CUSTOMERS = CLEAN_SALES.table.qualified_name, CLEAN_CUSTOMERS.table.qualified_name
IS_ORDER = f"kind = '{ORDER}'"
CHANGES, DAYS = ORDER_CHANGES.qualified_name, MATERIALISED_DAYS.qualified_name

_FINGERPRINT = (
    "event_type, is_cancellation, customer_key, product_id, quantity, gross_sales, discounts, returns, shipping, taxes"
)
"""What makes an event count differently; everything else of it follows or counts nowhere."""
_ORDER_DAYS = """
    select
        order_date, order_id, event_date, currency, min(customer_key) as customer_key,
        (sum(gross_sales) > 0)::int as orders,
        coalesce(sum(quantity) filter (where gross_sales > 0), 0) as units_sold,
        coalesce(-sum(quantity) filter (where event_type = 'line_returned'), 0) as units_returned,
        {measures},
        count(*) filter (where is_cancellation) as cancellations,
        count(*) filter (
            where not is_cancellation and event_type in ('line_returned', 'shipping_refunded', 'adjustment')
        ) as refunds,
        sum(hash_record_extended(row({fingerprint}), 0)) as fingerprint
    from {ledger}
    where {slice}
    group by order_date, order_id, event_date, currency
"""
"""What each order adds to each business day."""


def _order_days(ledger: str, slice_: str) -> str:
    measures = ", ".join(f"sum({name}) as {name}" for name in LEDGER_MEASURES[3:])
    return _ORDER_DAYS.format(ledger=ledger, slice=slice_, measures=measures, fingerprint=_FINGERPRINT)


@dataclass(frozen=True)
class SalesChanged:
    """Notes what the new rows of the ledger change, order by order, with the cause.

    Where the rules have changed as well, there is a step between: the old records under the new rules. What differs up
    to there is the new code version's doing, the rest the shop's.

    Attributes:
        writing: The run, and the code version of its rows.
        marts: Tables of the marts by business day.
        replaced: Ids of orders whose old record has been kept since it came otherwise or no more.
        replaced_sales: What these records come to in the ledger under the new rules.
    """

    writing: Writing
    marts: Sequence[Table]
    replaced: Sequence[str] = ()
    replaced_sales: pa.Table | None = None

    def before(self, cursor: Connection, table: Table, part: Slice | None) -> None:
        """Sum up the old rows: whether a mart could change is known only when none is being computed any more."""
        if part is not None:
            _keep(cursor, "sales_before", _order_days(SALES, part.where(table)), joined_by="order_id, customer_key")
            # These are replaced in the same transaction, before this looks at what changed.
            for name, source, only in (
                ("quarantined_before", QUARANTINE.table, IS_ORDER),
                ("left_out_before", EXCLUSIONS.table, "true"),
            ):
                _keep(cursor, name, _ids_of(cursor, source, f"{only} and {part.where(source)}"))

    def after(self, cursor: Connection, table: Table, part: Slice | None) -> None:
        """Compare, and note the differences; no mart is computed meanwhile, so that none misses them."""
        lock_marts(cursor, self.marts)
        if part is None or not _any_mart_is_written(cursor, self.marts):
            return
        _keep(cursor, "sales_after", _order_days(SALES, part.where(table)), joined_by="order_id, customer_key")
        self._keep_between(cursor, table, part)
        differing = [self._differing("sales_before", "sales_between", by_rules=True)]
        differing.append(self._differing("sales_between", "sales_after", by_rules=False))
        _keep(cursor, "sales_differing", " union all ".join(differing))
        _keep(cursor, "sales_changes", self._compared(cursor, part), self.writing.code_version)
        measures = ", ".join(LEDGER_MEASURES)
        self._note(
            cursor,
            f"select order_id, order_date, event_date, currency, cause, false as is_first_order, {measures} "
            "from sales_changes",
        )
        cursor.execute(f"select to_regclass('{CUSTOMERS}') is not null")
        self._note(cursor, _first_orders_moved(part.where(table), has_customers=cursor.fetchone()[0]))

    def _keep_between(self, cursor: Connection, table: Table, part: Slice) -> None:
        """Keep what the old records add to each day under the new rules: all that they did, where these are the old."""
        cursor.execute("create temporary table orders_replaced (order_id text primary key) on commit drop")
        cursor.execute(f"create temporary table ledger_replaced (like {SALES}) on commit drop")
        if self.replaced:
            ids = pa.table({"order_id": pa.array(self.replaced, pa.string())})
            copy_rows(cursor, "orders_replaced", ids)
            copy_rows(cursor, "ledger_replaced", self.replaced_sales)
        _keep(
            cursor,
            "orders_of_other_rules",
            f"select distinct order_id from sales_before join {DAYS} as days "
            f"on days.table_name = '{SALES}' and days.day = order_date where days.code_version <> $1",
            self.writing.code_version,
        )
        untouched = "order_id not in (select order_id from orders_replaced)"
        ruled = "order_id in (select order_id from orders_of_other_rules)"
        _keep(
            cursor,
            "sales_between",
            f"select * from sales_before where not {ruled} and {untouched} "
            f"union all select * from sales_after where {ruled} and {untouched} "
            f"union all {_order_days('ledger_replaced', part.where(table))}",
        )

    def _differing(self, old: str, new: str, *, by_rules: bool) -> str:
        """Select what orders add to days differently than before, with what says why."""
        differences = ", ".join(
            f"coalesce(new.{name}, 0) - coalesce(old.{name}, 0) as {name}" for name in LEDGER_MEASURES
        )
        return f"""
            select
                order_id, order_date, event_date, currency, {differences},
                coalesce(new.cancellations, 0) > coalesce(old.cancellations, 0) as is_cancelled,
                coalesce(new.refunds, 0) > coalesce(old.refunds, 0) as is_refunded,
                {by_rules} as is_by_rules
            from {old} as old full join {new} as new using (order_id, order_date, event_date, currency)
            where old.fingerprint is distinct from new.fingerprint
        """

    def _compared(self, cursor: Connection, part: Slice) -> str:
        """Select the differences with their causes."""
        quarantined = _those_before(cursor, "quarantined_before", QUARANTINE.table, part, IS_ORDER)
        left_out = _those_before(cursor, "left_out_before", EXCLUSIONS.table, part)
        measures = ", ".join(f"differing.{name}" for name in LEDGER_MEASURES)
        return f"""
            with
            was as (select distinct order_id from sales_before),
            stays as (select distinct order_id from sales_after),
            was_quarantined as ({quarantined}),
            was_left_out as ({left_out}),
            sent_for_the_day as ({_those_sent(cursor)}),
            sent as (select distinct order_id from sent_for_the_day)
            select
                order_id, order_date, event_date, currency, {measures},
                case
                    when days.day is null then 'backfill'
                    when is_by_rules then 'code_version_change'
                    when was.order_id is null then case
                        when was_quarantined.order_id is null and was_left_out.order_id is null then 'late_order'
                        when days.code_version <> $1 and replaced.order_id is null then 'code_version_change'
                        when was_quarantined.order_id is not null then 'quarantine_replay'
                        else 'edit'
                    end
                    when stays.order_id is null then case
                        when sent.order_id is null and not {has_moved_away("differing")} then 'deleted'
                        when sent_for_the_day.order_id is null then 'edit'
                        else 'left_out'
                    end
                    when is_cancelled then 'cancellation'
                    when is_refunded then 'refund'
                    else 'edit'
                end as cause
            from sales_differing as differing
            left join was using (order_id)
            left join stays using (order_id)
            left join was_quarantined using (order_id)
            left join was_left_out using (order_id)
            left join sent using (order_id)
            left join orders_replaced as replaced using (order_id)
            left join sent_for_the_day using (order_id, order_date)
            left join {DAYS} as days
                on days.table_name = '{SALES}' and days.day = order_date
        """

    def _note(self, cursor: Connection, changes: str) -> None:
        note_changes(cursor, changes, self.writing, self.marts)


@dataclass(frozen=True)
class FirstOrdersMoved:
    """Notes which days of first orders move with what the shop's customer records say.

    Attributes:
        writing: The run.
        marts: Tables of the marts by business day.
    """

    writing: Writing
    marts: Sequence[Table]

    def before(self, cursor: Connection, table: Table, part: Slice | None) -> None:
        """Keep what the records said."""
        del part
        _keep(
            cursor,
            "customers_before",
            f"select customer_id, first_order_date from {table.qualified_name}",
            joined_by="customer_id",
        )

    def after(self, cursor: Connection, table: Table, part: Slice | None) -> None:
        """Note the old and the new day of each first order that moved."""
        del part
        lock_marts(cursor, self.marts)
        if not _any_mart_is_written(cursor, self.marts):
            return
        _keep(
            cursor,
            "customers_differing",
            f"""
            select customer_id, old.first_order_date as before, new.first_order_date as after
            from {table.qualified_name} as new full join customers_before as old using (customer_id)
            where old.first_order_date is distinct from new.first_order_date
            """,
            joined_by="customer_id",
        )
        nothing = ", ".join(f"0 as {name}" for name in LEDGER_MEASURES)
        note_changes(
            cursor,
            f"""
            with
            bought as (
                select customer_key as customer_id, order_date as day, min(order_id) as order_id from {SALES}
                where gross_sales > 0 and customer_key in (select customer_id from customers_differing)
                group by customer_key, order_date
            ),
            loaded as (select customer_id, min(day) as day from bought group by customer_id),
            moved as (
                select customer_id, least(loaded.day, before) as before, least(loaded.day, after) as after
                from customers_differing left join loaded using (customer_id)
            )
            select order_id, bought.day as order_date, affected.day as event_date, null as currency,
                'customer_record' as cause, true as is_first_order, {nothing}
            from moved
            cross join lateral (values (before), (after)) as affected (day)
            left join bought on bought.customer_id = moved.customer_id and bought.day = affected.day
            where before is distinct from after
            """,
            self.writing,
            self.marts,
        )


def lock_marts(cursor: Connection, marts: Iterable[Table]) -> None:
    """Wait for the marts that are being computed, and let none begin until this transaction ends.

    A mart that is computed at the same moment would neither see the new rows nor be known to need them.
    """
    for name in sorted(mart.qualified_name for mart in marts):
        cursor.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", (name,))


def note_changes(cursor: Connection, changes: str, writing: Writing, marts: Iterable[Table]) -> None:
    """Note changes that concern days which a mart has; the marts are locked, so that numbers are given one by one.

    Args:
        cursor: In the transaction that changes the rows.
        changes: A `select` with the columns of `ops.order_changes` but for number, time and run.
        writing: The run.
        marts: Tables of the marts by business day.
    """
    names = "order_id, order_date, event_date, currency, cause, is_first_order, " + ", ".join(LEDGER_MEASURES)
    daily = listed(mart.qualified_name for mart in marts)
    cursor.execute(
        f"""
        insert into {CHANGES} (change_id, changed_at, run_id, {names})
        select
            (select coalesce(max(change_id), 0) from {CHANGES})
            + row_number() over (order by event_date, order_id, currency),
            clock_timestamp(), $1, {names}
        from ({changes}) as changes
        where event_date in (select day from {DAYS} where table_name in ({daily}))
        """,
        (writing.run_id,),
    )


def _first_orders_moved(slice_: str, *, has_customers: bool) -> str:
    """Select the days that stop or begin to be the one of a customer's first order, with the order that did it.

    Args:
        slice_: The condition that the rewritten rows of the ledger meet.
        has_customers: Whether there are customer records, which may tell of an earlier first order.
    """
    recorded = (
        f"select customer_id, first_order_date from {CUSTOMERS}" if has_customers else "select null::text, null::date"
    )
    nothing = ", ".join(f"0 as {name}" for name in LEDGER_MEASURES)
    buyers = "select customer_key, order_date, order_id from {} where orders = 1 and customer_key is not null"
    old, new = buyers.format("sales_before"), buyers.format("sales_after")
    return f"""
        with
        differing as (({old} except {new}) union all ({new} except {old})),
        buyers as (select customer_key, min(order_id) as order_id from differing group by customer_key),
        old as (select customer_key, min(order_date) as day from sales_before where orders = 1 group by customer_key),
        new as (select customer_key, min(order_date) as day from sales_after where orders = 1 group by customer_key),
        elsewhere as (
            select customer_key, min(order_date) as day from {SALES} as sales
            where customer_key in (select customer_key from buyers) and gross_sales > 0 and not ({slice_})
            group by customer_key
        ),
        recorded (customer_key, day) as ({recorded}),
        moved as (
            select
                buyers.order_id, least(old.day, elsewhere.day, recorded.day) as before,
                least(new.day, elsewhere.day, recorded.day) as after
            from buyers
            left join old using (customer_key)
            left join new using (customer_key)
            left join elsewhere using (customer_key)
            left join recorded using (customer_key)
        ),
        changed as (
            select order_id, min(order_date) as order_date, min(cause) as cause from sales_changes group by order_id
        )
        select
            order_id, changed.order_date, affected.day as event_date, null as currency,
            coalesce(changed.cause, 'edit') as cause, true as is_first_order, {nothing}
        from moved
        left join changed using (order_id)
        cross join lateral (values (before), (after)) as affected (day)
        where before is distinct from after
    """


def _keep(cursor: Connection, name: str, select: str, *parameters: object, joined_by: str = "order_id") -> None:
    """Keep the rows of a `select` until the end of the transaction, counted.

    Without a count of the column that they are joined by, Postgres plans for a few rows, and compares each with each:
    minutes, for years that are loaded in one run.
    """
    cursor.execute(f"create temporary table {name} on commit drop as {select}", parameters or None)
    cursor.execute(f"analyze {name} ({joined_by})")


def _any_mart_is_written(cursor: Connection, marts: Iterable[Table]) -> bool:
    cursor.execute(
        f"select exists (select from {DAYS} where table_name in ({listed(mart.qualified_name for mart in marts)})) "
        f"and to_regclass('{SALES}') is not null"
    )
    return bool(cursor.fetchone()[0])


def _ids_of(cursor: Connection, table: Table, condition: str) -> str:
    """Select the orders of a table that meet a condition; none when there is no such table."""
    if not _is_there(cursor, table):
        return "select null::text as order_id where false"
    return f"select distinct order_id from {table.qualified_name} where {condition}"


def _those_before(cursor: Connection, before: str, table: Table, part: Slice, only: str = "true") -> str:
    """Select which of the differing orders a table held: in the slice, as was kept, and outside of it, as it is."""
    differing = "order_id in (select order_id from sales_differing)"
    outside = _ids_of(cursor, table, f"{only} and not ({part.where(table)}) and {differing}")
    return f"select order_id from {before} where {differing} union {outside}"


def _those_sent(cursor: Connection) -> str:
    """Select on which days the shop has sent the differing orders; none when nothing was ever sent."""
    if not _is_there(cursor, RAW_ORDERS.table):
        return "select null::text as order_id, null::date as order_date where false"
    return (
        f"select distinct order_id, order_date from {RAW_ORDERS.table.qualified_name} "
        "where order_id in (select order_id from sales_differing)"
    )


def _is_there(cursor: Connection, table: Table) -> bool:
    cursor.execute(f"select to_regclass('{table.qualified_name}') is not null")
    return bool(cursor.fetchone()[0])
