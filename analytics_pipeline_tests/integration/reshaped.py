"""A mart of the tests' own and its changes: what each is to the stored table."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from analytics_pipeline.days import Days
from analytics_pipeline.history.mart_days import mart_days
from analytics_pipeline.history.publishing import publish, publish_whole
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Query, query
from analytics_pipeline_tests.conftest import content_hash

OWN = """-- Sales of each business day.
-- grain: event_date
-- restatements: all numbers
select
    event_date, -- Business day of the events.
    count(distinct order_id) as orders, -- Orders with an event that day.
    sum(net_sales) as net_sales -- Net sales.
from clean.sales
where event_date between :first_day and :last_day
group by event_date
"""
GRAIN = (
    OWN.replace("grain: event_date", "grain: event_date, country")
    .replace("    count(", "    coalesce(max(orders.country), '?') as country, -- Country.\n    count(")
    .replace("count(distinct order_id)", "count(distinct sales.order_id)")
    .replace("sum(net_sales)", "sum(sales.net_sales)")
    .replace("from clean.sales", "from clean.sales left join clean.orders on orders.order_id = sales.order_id")
    .replace("group by event_date", "group by event_date, orders.country")
)
CHANGES = {
    "a column more": OWN.replace("    sum(", "    sum(discounts) as discounts, -- Discounts.\n    sum("),
    "a column less": OWN.replace("    count(distinct order_id) as orders, -- Orders with an event that day.\n", ""),
    "a renamed column": OWN.replace("as net_sales", "as net"),
    "another type": OWN.replace("count(distinct order_id)", "cast(count(distinct order_id) as numeric(19, 4))"),
    "another grain": GRAIN,
    "another calculation": OWN.replace("sum(net_sales)", "sum(net_sales - taxes)"),
}
ABOVE = """-- Net sales of each business day, doubled.
-- grain: event_date
select
    event_date, -- Business day.
    2 * sum(net_sales) as doubled -- Twice the net sales.
from marts.own
where event_date between :first_day and :last_day
group by event_date
"""


@dataclass(frozen=True)
class OwnMarts:
    """A folder of marts beside loaded days, computed as their assets do it.

    Attributes:
        folder: Where the files lie.
        database: Where the tables lie.
        shop: The shop's description.
    """

    folder: Path
    database: Database
    shop: Shop

    def write(self, **marts: str) -> dict[str, Mart]:
        """Write files, beside those that are there, and read all of them, each after the ones that it reads."""
        self.folder.mkdir(exist_ok=True)
        for name, text in marts.items():
            (self.folder / f"{name}.sql").write_text(text, encoding="utf-8")
        return {mart.table.name: mart for mart in load_marts(self.folder)}

    def compute(self, first: date, last: date, **marts: str) -> None:
        """Write files, and compute some days of all that are there."""
        by_name = self.write(**marts)
        for mart in by_name.values():
            if mart.is_daily:
                days = mart_days(mart, Days(first, last), by_name, self.shop)
                publish(self.database, mart.table, days, "run")
            else:
                statement = mart.sql(shop_currency=self.shop.currency, shop_timezone=self.shop.timezone)
                publish_whole(self.database, mart.table, Query(statement))

    def rows(self, sql: str) -> list[dict[str, object]]:
        """Return the rows of a query."""
        return query(self.database, sql)

    def stored(self, name: str) -> object:
        """Return all that is stored of a mart, to be compared."""
        table = f"marts.{name}"
        return content_hash(self.database, table), shape_of(self.database, table)


def shape_of(database: Database, table: str) -> dict[str, object]:
    """Columns with type, nullability and comment, and the key, of a stored table; the order of the columns apart."""
    columns = query(
        database,
        "select attname::text as name, format_type(atttypid, atttypmod) as type, attnotnull as is_needed, "
        f"col_description(attrelid, attnum) as comment from pg_attribute where attrelid = '{table}'::regclass "
        "and attnum > 0 and not attisdropped order by attname",
    )
    key = query(
        database,
        "select pg_get_indexdef(indexrelid, 0, true) as made from pg_index "
        f"where indrelid = '{table}'::regclass and indisprimary",
    )
    return {"columns": columns, "key": [str(one["made"]).partition("USING")[2] for one in key]}
