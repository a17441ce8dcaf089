"""`analytics-pipeline demo`: the whole product on a demo shop, with nothing to set up."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from analytics_pipeline.cli import Command, typed_command
from analytics_pipeline.cli.all_shops import compute_of_all_shops
from analytics_pipeline.cli.demo_file import load_file
from analytics_pipeline.cli.demo_shops import describe_second, refuse_real_shops, serving_demo_shops
from analytics_pipeline.cli.exit_codes import DOUBTFUL
from analytics_pipeline.cli.figures import cents, orders_and_money
from analytics_pipeline.cli.loading import load_days
from analytics_pipeline.cli.opening import shop_database
from analytics_pipeline.cli.serving import DEFAULT_PORT, serve_demo_shop
from analytics_pipeline.cli.shops import Answer, for_each
from analytics_pipeline.days import Days
from analytics_pipeline.job_names import DAILY
from analytics_pipeline.settings import DEFAULT_SHOP, SEVERAL, SHOP, Settings
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.contracts import QUARANTINE
from analytics_pipeline.tables.shape import in_sql
from analytics_pipeline.warehouse.connection import data_database, psql_line
from analytics_pipeline.warehouse.slices import query

CALLS_KEY = "ANALYTICS_DEMO_WEBHOOK_SECRET"
SHOWN_DAYS, SHOWN_ROWS = 7, 6
DAYS = 30
"""Refunds come up to 21 days after their order: with fewer days, the week that is shown would lack some returns."""
COLUMNS = {
    "event_date": "day",
    "orders": "orders",
    "gross_sales": "gross\nsales",
    "discounts": "discounts",
    "returns": "returns",
    "net_sales": "net\nsales",
    "total_sales": "total\nsales",
    "new_customers": "new",
}
COLUMNS_OF_SHOPS = {
    "event_date": "day",
    "shop": "shop",
    "currency": "currency",
    "orders": "orders",
    "returns": "returns",
    "net_sales": "net\nsales",
    "total_sales": "total\nsales",
}
WORDS = ("event_date", "shop", "currency")
OF_SHOPS = "marts.daily_revenue_of_shops"


@click.command(
    "demo",
    cls=Command,
    examples=(
        "analytics-pipeline demo",
        "analytics-pipeline demo --days 90",
        "analytics-pipeline demo --shops 2",
        "analytics-pipeline demo --from-file sales_raw.csv",
        "analytics-pipeline demo --serve --port 9000 --faults 0.1",
    ),
)
@click.option(
    "--days",
    type=click.IntRange(DAYS, 366),
    default=DAYS,
    show_default=True,
    help="Business days to load, up to yesterday.",
)
@click.option(
    "--serve", "is_served", is_flag=True, help="Only serve the demo shop's API on this machine, until Ctrl-C."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="With --serve: port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--faults",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="With --serve: share of requests that fail: 429, 500, 503, cut answers.",
)
@click.option(
    "--webhooks",
    "calls_url",
    metavar="URL",
    help=f"With --serve: call this URL whenever an order changes, signed with {CALLS_KEY}.",
)
@click.option(
    "--shops",
    "number",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="2: also one in New York that sells in dollars, with schemas of its own, and marts over both.",
)
@click.option(
    "--from-file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="In place of the demo shop, a file of orders: guess what it is, load it and show its revenue by day.",
)
def command(  # noqa: PLR0917 - click's, by name
    days: int, port: int, faults: float, calls_url: str | None, number: int, file: Path | None, *, is_served: bool
) -> None:
    """Load the last 30 days of a demo shop into Postgres and show the last week.

    Starts the embedded Postgres (or takes the one of ANALYTICS_DATABASE_URL) and a demo shop's API on loopback, runs
    all layers and checks, and stops both again. The tables stay. With --serve nothing is loaded.
    """
    if is_served:
        serve_demo_shop(port, faults, calls=_calls(calls_url))
        return
    if file is not None:
        raise SystemExit(load_file(file))
    settings = Settings.from_environment()
    references = [DEFAULT_SHOP, *(str(describe_second(settings)) for _ in range(number - 1))]
    os.environ[SHOP] = SEVERAL.join(references)
    settings = Settings.from_environment()
    refuse_real_shops(settings)
    shops = {reference: load_shop(reference) for reference in references}
    code: str | int | None = 0
    with serving_demo_shops(settings, shops, is_usual=False):
        try:
            for_each(settings, partial(_load, days), then=_load_marts_of_all if number > 1 else None)
        except SystemExit as end:
            code = end.code
    if code in {0, DOUBTFUL}:
        _show_way(settings)
    raise SystemExit(code)


def _load(days: int, settings: Settings) -> Answer:
    """Load the last days of a demo shop and show the last week."""
    shop = load_shop(settings.shop)
    yesterday = last_complete_day(shop, datetime.now(UTC))
    summary = load_days(settings, Days(yesterday - timedelta(days=days - 1), yesterday), job_name=DAILY)
    if not summary.succeeded:
        raise click.ClickException(
            f"run {summary.run_id} failed:\n" + "\n".join(f"  {reason}" for reason in summary.failures)
        )
    database = shop_database(settings, shop)
    rows = query(
        database,
        f"select {', '.join(f'{name}::text' for name in COLUMNS)} from {in_sql('marts', 'daily_revenue')} "
        f"where currency = '{shop.currency}' order by event_date desc limit {SHOWN_DAYS}",
    )
    revenue = f"{database.schema('marts')}.daily_revenue"
    _show_table(f"{revenue}, last {len(rows)} days, {shop.currency}", COLUMNS, rows)
    click.echo(
        f"\n{summary.checks} checks evaluated, every blocking one passed.\n"
        f"In quarantine: {orders_and_money(database, QUARANTINE.table, 'money_at_risk')}."
    )
    return Answer(None, DOUBTFUL if summary.doubts else 0)


def _show_way(settings: Settings) -> None:
    click.echo(
        "\nWhere to go next:\n"
        f"  {typed_command()} up\n"
        "                              lineage, checks and the daily schedule on http://127.0.0.1:3000\n"
        f"  {typed_command()} status\n"
        "                              the last day loaded, what is on time, quarantine\n"
        f"  {psql_line(settings)}\n"
        "                              the tables, while `up` runs: marts.daily_revenue, clean.sales, ...\n"
        "  README.md                   how to point it at your own shop"
    )


def _calls(url: str | None) -> tuple[str, str] | None:
    """Return what the demo shop calls, and the secret that it signs with; None for nobody."""
    if url is None:
        return None
    secret = os.environ.get(CALLS_KEY)
    if not secret:
        raise click.UsageError(f"--webhooks needs {CALLS_KEY}, the secret that calls are signed with")
    return url, secret


def _load_marts_of_all(settings: Settings) -> Answer | None:
    """Compute the marts over all demo shops and show the last days of one."""
    answer = compute_of_all_shops(settings)
    rows = query(
        data_database(settings),
        f"select {', '.join(f'{name}::text' for name in COLUMNS_OF_SHOPS)} from {OF_SHOPS} "
        f"order by event_date desc, shop desc, currency desc limit {SHOWN_ROWS}",
    )
    _show_table(f"{OF_SHOPS}, the last days of each zone", COLUMNS_OF_SHOPS, rows)
    return answer


def _show_table(title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, str | None]]) -> None:
    """Show some rows, of which the last day comes first."""
    table = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1))
    for name, heading in columns.items():
        table.add_column(heading, justify="left" if name in WORDS else "right", no_wrap=True)
    for row in reversed(rows):
        table.add_row(*(cents(row[name] or "-") for name in columns))
    Console(color_system=None).print(table)
