"""`analytics-pipeline shop preview`: what a description makes of one business day, as tables, and nothing written."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

import click
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from analytics_pipeline.cli import Command, shop_option
from analytics_pipeline.cli.figures import cents
from analytics_pipeline.cli.preview import OrdersPreview, preview_orders
from analytics_pipeline.cli.run import Day
from analytics_pipeline.cli.shop.choosing import shop_argument
from analytics_pipeline.errors import ShopRefusedError
from analytics_pipeline.plain import counted, plain
from analytics_pipeline.profile.fields import Field
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.calendar import last_awaited_day
from analytics_pipeline.shop.spec import PageProducts, Shop, load_shop
from analytics_pipeline.sources.opening import open_directly
from analytics_pipeline.tables.shape import MONEY

MOST_ORDERS, MOST_FIELDS, WIDEST = 20, 40, 240
ORDER_COLUMNS = ("order_id", "ordered_at", "units", "gross_sales", "discounts", "returns", "shipping", "taxes")
TEXTS = {"order_id", "ordered_at", "event_date", "currency", "product_id", "title", "category"}
UNITS = {"units_sold": "units", "units_returned": "quantity"}
"""Columns of orders and events that count what these figures do."""


@click.command(
    "preview",
    cls=Command,
    examples=(
        "analytics-pipeline shop preview garden-shop --date 2026-11-22",
        "analytics-pipeline shop preview ./shops/garden-shop.yaml",
    ),
    short_help="Show what a description makes of one business day.",
)
@shop_argument
@shop_option
@click.option("--date", "day", type=Day(), help="The business day; the last one with orders by default.")
def command(day: date | None) -> None:
    """Show the orders of a business day as they would be stored, and what would not be.

    Orders, what their own totals prove, what would go into quarantine or be left out, the day's figures, and fields
    that the description does not read; of products from public pages those of one page. Nothing is written.
    """
    described = load_shop(Settings.from_environment().shop)
    with open_directly(described) as source:
        until = last_awaited_day(described, datetime.now(UTC))
        of_day = day or source.last_day_with_orders(until)
        if of_day is None:
            raise ShopRefusedError(f"the shop has no order from {described.first_day} to {until}.")
        found = preview_orders(source, of_day)
    untold = {UNITS.get(name, name) for name in described.cannot_tell}
    orders = found.cleaned.orders.drop(columns=untold & {*found.cleaned.orders.columns})
    orders = orders.assign(ordered_at=orders["ordered_at"].dt.tz_convert(described.timezone))
    columns = [name for name in ORDER_COLUMNS if name in orders.columns]
    _show(_table(f"{counted(len(orders), 'clean order')} of {of_day}", orders, (*columns, *_others(orders))))
    _say("Would go into quarantine", map(str, found.quarantined))
    _say("Would be left out on purpose", map(str, found.excluded))
    _say("What the shop's own totals prove", map(str, found.identities))
    _show(
        _table(
            f"Figures by the day of the event; of {of_day} without refunds of earlier orders", _figures(found, untold)
        )
    )
    if described.cannot_tell:
        _say("Cannot be told by the shop's records, and is null in marts", described.cannot_tell)
    _say("Not read by the description", (_field(one) for one in found.unmapped[:MOST_FIELDS]))
    if len(found.unmapped) > MOST_FIELDS:
        click.echo(f"  and {len(found.unmapped) - MOST_FIELDS} more")
    if isinstance(described.products, PageProducts):
        _show_page(described, described.products)


def _show_page(shop: Shop, products: PageProducts) -> None:
    """Show the products of the first page that may be read."""
    from analytics_pipeline.cli.pages import look_at_pages  # noqa: PLC0415 - loads the parsers of HTML and XML

    found = look_at_pages(shop, products)
    rows = found.cleaned.rows[["product_id", "title", "category", "price"]]
    page = found.page
    click.echo()
    _show(_table("Products of a page", rows))
    shown = [f"the products above are those of {page.url}"] if page else ["none may be read"]
    _say("Product pages", [found.rules, found.listed, *found.crawl.listing.faults, *shown])
    _say("What is wrong with the page", [page.reason] if page and page.reason else [])


def _others(orders: pd.DataFrame) -> tuple[str, ...]:
    """Return the other columns of money that are not zero throughout."""
    money = [name for name in orders.columns if getattr(orders[name].dtype, "pyarrow_dtype", None) == MONEY]
    return tuple(name for name in money if name not in ORDER_COLUMNS and (orders[name].fillna(0) != 0).any())


def _figures(found: OrdersPreview, untold: set[str]) -> pd.DataFrame:
    """Return the sums of the events by day and currency: a row each, of money columns and units that are told."""
    sales = found.cleaned.sales
    money = [name for name in sales.columns if getattr(sales[name].dtype, "pyarrow_dtype", None) == MONEY]
    shown = [name for name in ("quantity", *money) if name not in untold]
    return sales.groupby(["event_date", "currency"], sort=True)[shown].sum().reset_index()


def _table(title: str, rows: pd.DataFrame, columns: tuple[str, ...] = ()) -> Table:
    hidden = len(rows) - MOST_ORDERS
    table = Table(
        title=f"{title}{f', the first {MOST_ORDERS}' if hidden > 0 else ''}",
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 0, 0, 1),
    )
    names = columns or tuple(rows.columns)
    for name in names:
        is_text = name in TEXTS
        table.add_column(name.replace("_", "\n", 1), justify="left" if is_text else "right", no_wrap=True)
    for row in rows[list(names)].head(MOST_ORDERS).itertuples(index=False):
        table.add_row(*(_shown(value) for value in row))
    return table


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return cents(plain(str(value)))


def _show(table: Table) -> None:
    console = Console(color_system=None, width=WIDEST)  # a table takes what it needs; a narrow terminal wraps lines
    with console.capture() as drawn:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def _say(heading: str, lines: Iterable[str]) -> None:
    listed = list(lines)
    click.echo(f"{heading}: {'' if listed else 'nothing'}")
    for line in listed:
        click.echo(f"  {line}")
    click.echo()


def _field(field: Field) -> str:
    example = f", such as {plain(field.example)}" if field.example else ""
    return f"{field.path} ({field.json_type}, in {field.records} of {field.holders}{example})"
