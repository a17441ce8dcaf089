"""The series of daily figures as the tables have them, day after day, each currency on its own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property, partial
from typing import Any

import numpy as np
import psycopg

from analytics_pipeline.anomalies.expectation import RECENT, WINDOW, YEAR, Expectations, Flags, Floats, expect, typical
from analytics_pipeline.anomalies.metrics import METRICS, ORDERS, Amounts, Metric, Source
from analytics_pipeline.days import Days
from analytics_pipeline.tables.contracts import (
    CLEAN_CUSTOMERS,
    CLEAN_ORDER_LINES,
    CLEAN_ORDERS,
    CLEAN_PRODUCTS,
    EXCLUSIONS,
    ORDER,
    QUARANTINE,
)
from analytics_pipeline.tables.shape import in_sql
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import sqlstate
from analytics_pipeline.warehouse.slices import INVALID_SCHEMA, UNDEFINED_TABLE, query

DAILY_REVENUE = in_sql("marts", "daily_revenue")
LOOK_BACK = YEAR + RECENT + 2 * WINDOW
"""Days before the first judged one that can matter: a comparable day is judged as well, with its last year."""
SOURCES_LOOK_BACK = 2 * WINDOW
_QUERIES_AT_A_TIME = 2
_ZERO = Decimal(0)

Sums = dict[date, Amounts]


@dataclass(frozen=True, eq=False)
class DailyFigures:
    """The figures of one currency on consecutive days.

    Attributes:
        currency: ISO 4217 code.
        days: The days.
        loaded: Those of them that are in the mart.
        sums: What each of them adds up to, by the source of the rows; a day without rows is missing.
        open_days: Those on which the shop had an order, in whatever currency.
    """

    currency: str
    days: Days
    loaded: frozenset[date]
    sums: Mapping[Source, Sums]
    open_days: frozenset[date]

    @cached_property
    def expectations(self) -> dict[Metric, Expectations]:
        """What each figure was expected to be on each of the days."""
        is_open = np.array([day in self.open_days for day in self.days])
        orders = self._series(ORDERS)
        values = self._series(next(metric for metric in METRICS if metric.name == "average_order_value"))
        usual_orders, usual_value = typical(orders, is_open), typical(values, is_open)
        found = {}
        for metric in METRICS:
            series = self._series(metric)
            least = metric.least_deviation(np.fmax(usual_orders, 1), np.fmax(np.nan_to_num(usual_value), 1))
            found[metric] = expect(
                series, is_open, least, is_signed=metric.is_signed, has_rhythm=metric.source is Source.LEDGER
            )
        return found

    def value(self, metric: Metric, day: date) -> Decimal | None:
        """Return a figure; None where a ratio has nothing to be divided by, or day or figure are not known."""
        if day not in self.loaded:
            return None
        amounts = self.sums.get(metric.source, {}).get(day, {})
        if amounts and not metric.sums.keys() <= amounts.keys():
            return None
        total = metric.measure(amounts, _ZERO)
        if metric.per is None:
            return total
        divisor = amounts.get(metric.per, _ZERO)
        return total / divisor if divisor else None

    def position(self, day: date) -> int:
        """Return where a day stands in the series."""
        return (day - self.days.first).days

    def is_anomaly(self, metric: Metric, day: date) -> bool:
        """Return whether a figure lies outside of what was expected; not on the days on which nothing is open."""
        return bool(self._flags[metric][self.position(day)])

    @cached_property
    def _flags(self) -> dict[Metric, Flags]:
        return {metric: found.is_anomaly() for metric, found in self.expectations.items()}

    def _series(self, metric: Metric) -> Floats:
        values = (self.value(metric, day) for day in self.days)
        return np.array([np.nan if value is None else float(value) for value in values])


def read_figures(database: Database, shop_currency: str, days: Days) -> list[DailyFigures]:
    """Return the figures of each currency, for some days and all earlier ones that can matter to them."""
    whole = Days(days.first - timedelta(days=LOOK_BACK), days.last)
    recent = Days(days.first - timedelta(days=SOURCES_LOOK_BACK), days.last)
    statements = {Source.LEDGER: _ledger(whole), **_kept_apart(shop_currency, recent)}
    # Postgres works while this process waits.
    with ThreadPoolExecutor(_QUERIES_AT_A_TIME) as pool:
        found = dict(zip(statements, pool.map(partial(_rows, database), statements.values()), strict=True))
    sums: dict[str, dict[Source, Sums]] = defaultdict(lambda: defaultdict(dict))
    for source, rows in found.items():
        _collect(sums, source, rows)
    loaded = frozenset(row["day"] for row in found[Source.LEDGER])
    open_days = frozenset(row["day"] for row in found[Source.LEDGER] if row["orders"])
    return [DailyFigures(currency, whole, loaded, by_source, open_days) for currency, by_source in sorted(sums.items())]


def _rows(database: Database, statement: str) -> list[dict[str, Any]]:
    """Return the rows of a query; none while a table of it was never materialised."""
    try:
        return query(database, statement)
    except psycopg.Error as error:
        if sqlstate(error) not in {UNDEFINED_TABLE, INVALID_SCHEMA}:
            raise
        return []


def _ledger(days: Days) -> str:
    return (
        "select event_date as day, currency, orders, gross_sales, discounts, returns "
        f"from {DAILY_REVENUE} where event_date {_between(days)}"
    )


def _kept_apart(shop_currency: str, days: Days) -> dict[Source, str]:
    """Select orders and money by day and currency; an order whose currency is not known counts in the shop's."""
    currency = f"coalesce(currency, '{shop_currency}') as currency"
    tables = {
        Source.QUARANTINE: (f"{QUARANTINE.table.sql_name} where kind = '{ORDER}' and", "money_at_risk"),
        Source.EXCLUSIONS: (f"{EXCLUSIONS.table.sql_name} where", "order_total"),
    }
    statements = {
        source: f"select order_date as day, {currency}, count(*) as orders, coalesce(sum({money}) filter (where "
        f"currency is not null), 0) as money from {rows} order_date {_between(days)} group by 1, 2"
        for source, (rows, money) in tables.items()
    }
    statements[Source.WARNINGS] = (
        f"select day, currency, count(distinct order_id) as orders from ({orders_with_warnings(_between(days))}) "
        "as warned group by 1, 2"
    )
    return statements


def orders_with_warnings(condition: str) -> str:
    """Return the statement that selects the orders which name an unknown customer or product, and the reason."""
    return f"""
        select orders.order_date as day, orders.currency, orders.order_id, 'unknown customer' as reason
        from {CLEAN_ORDERS.table.sql_name} as orders
        left join {CLEAN_CUSTOMERS.table.sql_name} as customers on customers.customer_id = orders.customer_id
        where orders.order_date {condition} and orders.customer_id is not null and customers.customer_id is null
        union all
        select lines.order_date, lines.currency, lines.order_id, 'unknown product ' || lines.product_id
        from {CLEAN_ORDER_LINES.table.sql_name} as lines
        left join {CLEAN_PRODUCTS.table.sql_name} as products on products.product_id = lines.product_id
        where lines.order_date {condition} and products.product_id is null
    """


def _collect(sums: dict[str, dict[Source, Sums]], source: Source, rows: Iterable[Mapping[str, object]]) -> None:
    for row in rows:
        known = {name: value for name, value in row.items() if name not in {"day", "currency"} and value is not None}
        amounts = {name: Decimal(str(value)) for name, value in known.items()}
        day = row["day"]
        if isinstance(day, date):
            sums[str(row["currency"])][source][day] = amounts


def _between(days: Days) -> str:
    return f"between date '{days.first}' and date '{days.last}'"
