"""Ways to damage what the pipeline has stored, or the description by which it reads, and the witness's next look.

The shop and its report stay as they are. Each damage is of one business day, and names what it is.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.history.hooks import ORDER_TABLES
from analytics_pipeline.history.mart_days import mart_days
from analytics_pipeline.history.publishing import publish
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline.warehouse.connection import Database, create_database
from analytics_pipeline.warehouse.slices import query, read_table, write
from analytics_pipeline_tests.conftest import Pipeline, at, describe
from analytics_pipeline_tests.integration.loaded import drop

FIRST = date(2025, 1, 1)
ONE_DAY = timedelta(days=1)
SHOP = DemoShopSettings(
    opened=FIRST,
    orders_per_day=(6, 12),
    foreign_currency="USD",
    bad_share=0.01,
    test_share=0.03,
    free_share=0.03,
    refund_share=0.15,
    cancel_share=0.05,
    report_returns_on="order_day",
    report_leaves_out_cancelled=True,
    report_counts_tests=True,
)
"""A shop whose own report has another dating than ours, and counts other orders."""
RULES: dict[str, object] = {
    "returns_on": "order_day",
    "leaves_out": ["cancelled_orders"],
    "counts": ["zero_orders", "test_order"],
}
"""What the description says of that report."""


@contextmanager
def witnessed_pipeline(server: Database, folder: Path, days: int) -> Iterator[Pipeline]:
    """Load the first days of `SHOP`, with its report, some days after the last of them."""
    database = server.named("witnessed")
    create_database(database)
    later = at("2025-01-04T05:00:00+00:00") + days * ONE_DAY
    with (
        pytest.MonkeyPatch.context() as environment,
        serve(SHOP, now=lambda: later) as running,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        environment.setenv("ANALYTICS_DATABASE_URL", database.url)
        description = describe(running, folder, report=RULES)
        pipeline = Pipeline(running, description, build_definitions(str(description)), instance, database)
        summary = pipeline.run(FIRST, FIRST + (days - 1) * ONE_DAY)
        assert summary.succeeded, summary.failures
        yield pipeline
    drop(server, database)


def look_again(pipeline: Pipeline, days: Days, *names: str) -> None:
    """Compute revenue and the comparison of some days anew, from what is stored now; or some of these marts."""
    catalogue = build_catalogue(str(pipeline.description))
    marts = {mart.table.name: mart for mart in catalogue.marts}
    for name in names or ("daily_revenue", "daily_witness"):
        publish(pipeline.database, marts[name].table, mart_days(marts[name], days, marts, catalogue.shop), "look")


def clean_again(database: Database, shop: Shop, day: date, raw: pa.Table | None = None) -> None:
    """Clean a day's orders by a description, from what is stored of them or from other records."""
    part = Days(day, day)
    rows = read_table(database, RAW_ORDERS.table, part) if raw is None else raw
    cleaned = clean_orders(rows.to_pandas(types_mapper=pd.ArrowDtype), shop)
    for name, contract in ORDER_TABLES.items():
        frame = getattr(cleaned, name)
        table = pa.Table.from_pandas(frame, schema=contract.table.arrow_schema, preserve_index=False)
        write(database, contract.table, table, part)


def with_orders(shop: Shop, **changes: object) -> Shop:
    """The description with other keys of `orders`."""
    return shop.model_copy(update={"orders": shop.orders.model_copy(update=changes)})


def with_fields(shop: Shop, **changes: str | None) -> Shop:
    """The description with other fields of an order."""
    return with_orders(shop, fields=shop.orders.fields.model_copy(update=changes))


def with_line_fields(shop: Shop, **changes: str | None) -> Shop:
    """The description with other fields of a line, and without sums that would tell."""
    fields = shop.orders.lines.fields.model_copy(update=changes)
    lines = shop.orders.lines.model_copy(update={"fields": fields})
    return with_fields(with_orders(shop, lines=lines), total=None, taxes=None, discounts=None)


class NothingThereError(Exception):
    """The day has nothing that could be damaged so."""


Damage = Callable[[Database, Shop, date], None]


def statement(sql: str) -> Damage:
    """A damage by SQL: `{day}` is the day."""

    def run(database: Database, shop: Shop, day: date) -> None:
        del shop
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(sql.format(day=f"date '{day}'"))
            if cursor.rowcount < 1:
                raise NothingThereError
            connection.commit()

    return run


def described(change: Callable[[Shop], Shop]) -> Damage:
    """A damage by a description."""
    sums = "row(count(*), sum(gross_sales), sum(discounts), sum(shipping), sum(taxes))::text as sums"

    def run(database: Database, shop: Shop, day: date) -> None:
        kept = "order_id in (select order_id from clean.orders where cancelled_at is null)"
        ledger = f"select {sums} from clean.sales where order_date = date '{day}' and {kept}"
        before = query(database, ledger)
        clean_again(database, change(shop), day)
        if query(database, ledger) == before:
            raise NothingThereError

    return run


def lost_records(keep: Callable[[int, int], bool]) -> Damage:
    """A damage of what was read: of so many records those at some places never came."""

    def run(database: Database, shop: Shop, day: date) -> None:
        rows = read_table(database, RAW_ORDERS.table, Days(day, day))
        kept = [place for place in range(len(rows)) if keep(place, len(rows))]
        if len(kept) == len(rows):
            raise NothingThereError
        clean_again(database, shop, day, rows.take(kept))

    return run


def doubled(database: Database, shop: Shop, day: date) -> None:
    """An order that stands twice, under another id."""
    rows = read_table(database, RAW_ORDERS.table, Days(day, day)).to_pylist()
    orders = query(
        database,
        f"select order_id from clean.orders where order_date = date '{day}' and cancelled_at is null "
        "and gross_sales > 0 order by order_id limit 1",
    )
    if not orders:
        raise NothingThereError
    order_id = orders[0]["order_id"]
    again = next(row for row in rows if row["order_id"] == order_id)
    twin = {**again, "order_id": "twin", "payload": again["payload"].replace(order_id, "twin")}
    clean_again(database, shop, day, pa.Table.from_pylist([*rows, twin], schema=RAW_ORDERS.table.arrow_schema))


def of_the_day_before(database: Database, shop: Shop, day: date) -> None:
    """The day's orders cut by another zone: those of its first hours stand on the day before."""
    del shop
    early = (
        f"select order_id from clean.orders where order_date = date '{day}' and cancelled_at is null "
        "and gross_sales > 0 order by ordered_at limit 1"
    )
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        for name in ("sales", "order_lines", "orders"):
            event = ", event_date = case when event_date = order_date then order_date - 1 else event_date end"
            cursor.execute(
                f"update clean.{name} set order_date = order_date - 1{event if name == 'sales' else ''} "
                f"where order_id in ({early})"
            )
        connection.commit()


_SOLD = (
    "event_type = 'line_sold' and order_date = {day} and gross_sales > 0 and order_id in "
    "(select order_id from clean.orders where cancelled_at is null)"
)
_ONE_ORDER = (
    "(select order_id from clean.orders where order_date = {day} and cancelled_at is null and gross_sales > 0 "
    "order by order_id limit 1)"
)
_ONE_LINE = f"(order_id, event_number) in (select order_id, event_number from clean.sales where {_SOLD} limit 1)"

DAMAGES: dict[str, tuple[Damage, set[str]]] = {
    "a wrong sign of what was returned": (
        statement(
            "update clean.sales set returns = -returns, net_sales = -net_sales, total_sales = -total_sales "
            "where order_id in (select order_id from clean.sales where order_date = {day} and returns > 0 "
            "and order_id in (select order_id from clean.orders where cancelled_at is null)) and returns > 0"
        ),
        {"returns", "net_sales", "total_sales"},
    ),
    "a missed refund": (
        statement(
            "delete from clean.sales where order_date = {day} and event_type <> 'line_sold' and event_type not like "
            "'%charged' and order_id in (select order_id from clean.orders where cancelled_at is null)"
        ),
        {"returns", "net_sales", "total_sales"},
    ),
    "test orders counted": (
        described(lambda shop: with_orders(shop, exclude=())),
        {"orders", "gross_sales", "total_sales"},
    ),
    "a cancellation that nobody saw": (
        statement(
            "update clean.orders set cancelled_at = null where order_date = {day} and cancelled_at is not null "
            "and gross_sales > 0"
        ),
        {"gross_sales", "orders"},
    ),
    "a lost page": (lost_records(lambda place, count: place < count // 2), {"orders", "gross_sales", "total_sales"}),
    "a lost record": (lost_records(lambda place, count: place != count // 2), {"orders", "gross_sales"}),
    "a doubled order": (doubled, {"orders", "units_sold", "gross_sales", "taxes", "total_sales"}),
    "orders of the wrong zone": (of_the_day_before, {"orders", "gross_sales", "net_sales"}),
    "dropped discounts": (
        described(lambda shop: with_line_fields(with_fields(shop, order_discount=None), discount=None)),
        {"discounts", "net_sales", "total_sales"},
    ),
    "a wrong currency": (
        statement(f"update clean.sales set currency = 'USD' where order_id = {_ONE_ORDER}"),
        {"orders", "gross_sales", "total_sales"},
    ),
    "dropped shipping": (described(lambda shop: with_fields(shop, shipping=None, total=None)), {"shipping"}),
    "dropped taxes": (described(lambda shop: with_line_fields(shop, tax=None)), {"taxes", "total_sales"}),
    "taxes counted in sales": (
        statement(
            "update clean.sales set gross_sales = gross_sales + taxes, net_sales = net_sales + taxes, taxes = 0 "
            f"where {_SOLD} and taxes > 0"
        ),
        {"gross_sales", "net_sales", "taxes"},
    ),
    "a price times ten": (
        statement(
            "update clean.sales set gross_sales = gross_sales * 10, net_sales = gross_sales * 10 - discounts - returns "
            f"where {_ONE_LINE}"
        ),
        {"gross_sales", "net_sales"},
    ),
    "a quantity too many": (
        statement(f"update clean.sales set quantity = quantity + 1 where {_ONE_LINE}"),
        {"units_sold"},
    ),
    "a lost line": (statement(f"delete from clean.sales where {_ONE_LINE}"), {"gross_sales", "net_sales"}),
    "a line that stands twice": (
        statement(
            "insert into clean.sales select (jsonb_populate_record(sales, jsonb_build_object('event_number', "
            f"event_number + 1000))).* from clean.sales as sales where {_ONE_LINE}"
        ),
        {"gross_sales", "net_sales", "units_sold"},
    ),
    "an order left out by a wrong rule": (
        statement(f"delete from clean.sales where order_id = {_ONE_ORDER}"),
        {"orders", "gross_sales"},
    ),
    "a cent of rounding": (
        statement(f"update clean.sales set taxes = taxes + 0.01, total_sales = total_sales + 0.01 where {_ONE_LINE}"),
        {"taxes", "total_sales"},
    ),
    "a figure changed in the mart": (
        statement(
            "update marts.daily_revenue set shipping = shipping - 1 where event_date = {day} and currency = 'EUR'"
        ),
        {"shipping"},
    ),
}
"""Name of the damage, how it is done, and figures that it has to be found in; what few days have anything for first."""
OF_THE_MART = "a figure changed in the mart"
"""The one that is done once revenue is computed."""


def damage(pipeline: Pipeline, shop: Shop, days: Days, sure: list[date]) -> dict[str, date]:
    """Do each damage on a day of its own, the first that has something to damage, and look again.

    Args:
        pipeline: With a database to be damaged.
        shop: The description.
        days: All days.
        sure: Those to choose from.

    Returns:
        The day of each damage.
    """
    planted: dict[str, date] = {}
    for name, (do, _) in DAMAGES.items():
        if name == OF_THE_MART:
            look_again(pipeline, days, "daily_revenue")
        for day in sure:
            try:
                do(pipeline.database, shop, day)
            except NothingThereError:
                continue
            planted[name] = day
            sure = [one for one in sure if abs((one - day).days) > 1]
            break
    look_again(pipeline, days, "daily_witness")
    return planted


def unexplained(database: Database) -> dict[date, dict[str, Decimal]]:
    """What the comparison leaves unexplained, or finds absent, by day and metric."""
    rows: list[dict[str, Any]] = query(
        database,
        "select business_day, metric, sum(abs(coalesce(unexplained, by_its_rules))) as amount from marts.daily_witness "
        "where unexplained <> 0 or (shop_says is null and by_its_rules <> 0) group by 1, 2",
    )
    found: dict[date, dict[str, Decimal]] = {}
    for row in rows:
        found.setdefault(row["business_day"], {})[row["metric"]] = Decimal(row["amount"])
    return found
