"""A long ledger, written straight into Postgres, and what noting its changes costs there: a shop would take minutes.

All rows are 10.00 EUR; who buys changes from order to order, so that most customers have orders years apart.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta

import psutil

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.history.first_orders import FirstOrdersMoved
from analytics_pipeline.history.order_changes import SalesChanged
from analytics_pipeline.history.written import DaysWritten, Writing
from analytics_pipeline.tables.contracts import CLEAN_CUSTOMERS, CLEAN_SALES
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline.warehouse.slices import Hook, Query, write

FIRST = date(2016, 1, 1)


@dataclass
class Metered:
    """Does what another hook does, and takes the processor time that Postgres spends on it."""

    hook: Hook
    seconds: float = 0.0

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        self.seconds -= _spent(cursor)
        self.hook.before(cursor, table, part)
        self.seconds += _spent(cursor)

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        self.seconds -= _spent(cursor)
        self.hook.after(cursor, table, part)
        self.seconds += _spent(cursor)


def _spent(cursor: Connection) -> float:
    cursor.execute("select pg_backend_pid()")
    times = psutil.Process(cursor.fetchone()[0]).cpu_times()
    return float(times.user + times.system)


@dataclass(frozen=True)
class LongHistory:
    """So many orders, one after the other, over so many days."""

    database: Database
    orders: int
    days: int

    @property
    def customers(self) -> int:
        return self.orders * 25 // 70

    @property
    def last(self) -> date:
        return FIRST + timedelta(days=self.days - 1)

    def load(self, first: date, last: date) -> float:
        """Write days of the ledger as a run does, and say that a mart has them; returns what noting changes cost."""
        prepare(self.database)
        day = f"date '{FIRST}' + (n::bigint * {self.days} / {self.orders})::int"
        rows = f"""
            select {day} as order_date, 'R' || n as order_id, 1::bigint as event_number, 'line_sold' as event_type,
                ({day})::timestamp at time zone 'UTC' as event_at, {day} as event_date, false as is_cancellation,
                'P1' as product_id, 'c' || n::bigint * 7919 % {self.customers} as customer_key, 'EUR' as currency,
                1::bigint as quantity, 10.00 as gross_sales, 0.00 as discounts, 0.00 as returns, 10.00 as net_sales,
                0.00 as shipping, 0.00 as charges, 0.00 as taxes, 0.00 as outside_sales, 10.00 as total_sales
            from generate_series(0, {self.orders - 1}) as n
        """
        cost = self._write(
            CLEAN_SALES.table,
            f"select * from ({rows}) as rows where order_date between date '{first}' and date '{last}'",
            Days(first, last),
            SalesChanged(Writing(f"{first}", "definition"), build_catalogue("demo").daily_marts),
        )
        with self.database.connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                f"insert into {MATERIALISED_DAYS.qualified_name} "
                "(table_name, day, first_written_at, written_at, run_id, code_version) "
                "select 'marts.daily_revenue', day, now(), now(), 'run', 'definition' "
                f"from generate_series(date '{first}', date '{last}', interval '1 day') as days (day) "
                "on conflict do nothing"
            )
            connection.commit()
        return cost

    def load_customers(self, first_order_date: str) -> float:
        """Write a record of each customer, with the day of the first order by an SQL expression of its number `n`."""
        return self._write(
            CLEAN_CUSTOMERS.table,
            f"select 'c' || n, null::text, null::text, null::timestamptz, {first_order_date}, null::timestamptz "
            f"from generate_series(0, {self.customers - 1}) as n",
            None,
            FirstOrdersMoved(Writing("customers", "definition"), build_catalogue("demo").daily_marts),
        )

    def _write(self, table: Table, rows: str, part: Days | None, changes: Hook) -> float:
        metered = Metered(changes)
        hooks: list[Hook] = [metered, DaysWritten(Writing("run", "definition"))] if part else [metered]
        write(self.database, table, Query(rows), part, hooks=hooks)
        return metered.seconds
