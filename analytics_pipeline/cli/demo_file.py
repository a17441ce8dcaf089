"""`analytics-pipeline demo --from-file`: a file of orders, described by a guess, to revenue by day in one command.

The file stays where it is. Its description lies in the state folder, and its tables in schemas of their own, beside
those of whatever shop the database holds.
"""

import glob
import hashlib
import os
import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from analytics_pipeline.cli.exit_codes import DOUBTFUL
from analytics_pipeline.cli.figures import cents, orders_and_money
from analytics_pipeline.cli.loading import load_days
from analytics_pipeline.cli.opening import shop_database
from analytics_pipeline.cli.shop.from_file import described, show_reading
from analytics_pipeline.days import Days
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.job_names import DAILY
from analytics_pipeline.settings import FROM_FILES, PROJECT, SHOP, SHOPS, Settings
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.sources.opening import open_directly
from analytics_pipeline.tables.contracts import EXCLUSIONS, QUARANTINE
from analytics_pipeline.tables.history import UNDATED_ORDERS
from analytics_pipeline.tables.shape import Table as ShapeTable
from analytics_pipeline.tables.shape import in_sql
from analytics_pipeline.warehouse.connection import Database, psql_line
from analytics_pipeline.warehouse.slices import query

SHOWN_DAYS = 31
COLUMNS = ("event_date", "orders", "units_sold", "gross_sales", "returns", "net_sales", "customers")


def load_file(file: Path) -> int:
    """Load a file of orders, show its revenue by day and what was left out, and return the exit code.

    Raises:
        FileRefusedError: It cannot be read as a table.
        SettingsError: It is not there, or holds no order of a day that is over.
    """
    path = _description(Settings.from_environment(), file)
    show_reading(path, file)
    os.environ[PROJECT], os.environ[SHOP] = str(path.parents[1]), str(path)
    settings, shop = Settings.from_environment(), load_shop(path)
    with open_directly(shop) as source:
        last = source.last_day_with_orders(last_complete_day(shop, datetime.now(UTC)))
    if last is None:
        raise SettingsError(f"{file}: no row has a readable day that is over; `shop init --from-file` shows why.")
    _wait_until_complete(file, shop)
    click.echo()
    summary = load_days(settings, Days(shop.first_day, last), job_name=DAILY)
    if not summary.succeeded:
        reasons = "\n".join(f"  {reason}" for reason in summary.failures)
        raise click.ClickException(f"run {summary.run_id} failed:\n{reasons}")
    database = shop_database(settings, shop)
    _show(database, shop)
    _say_held_back(database, "quarantine", QUARANTINE.table, "money_at_risk")
    if without_day := _reasons(database, UNDATED_ORDERS, "where not is_excluded"):
        click.echo(f"{'no day':12} in no figure, since their day cannot be read")
        _say_each(without_day)
    _say_held_back(database, "excluded", EXCLUSIONS.table, "order_total")
    click.echo(
        f"\n{summary.checks} checks evaluated, every blocking one passed.\n"
        f"description  {path}\n"
        f"tables       {database.schema('marts')}.daily_revenue, {database.schema('clean')}.sales and others: "
        f"{psql_line(settings)}   (while `up` runs)\n"
        f"next         ANALYTICS_PROJECT={path.parents[1]} analytics-pipeline up\n"
        "             to keep it: analytics-pipeline init FOLDER; in it, delete the example in shops/, and then\n"
        f"             analytics-pipeline shop init --from-file {shlex.quote(str(file.resolve()))}"
    )
    return DOUBTFUL if summary.doubts else 0


def _wait_until_complete(file: Path, shop: Shop) -> None:
    """Wait as long as a file that was changed just now may still be growing."""
    settles = 0.0 if shop.files is None else shop.files.settle_seconds
    seconds = file.stat().st_mtime + settles - time.time()
    if 0 < seconds <= settles:
        click.echo(f"Changed just now: waiting {seconds:.0f} s, for it may be growing.")
        time.sleep(seconds + 0.5)


def _description(settings: Settings, file: Path) -> Path:
    """Write the description that is guessed, of this file alone; each file has a folder and schemas of its own."""
    if not file.is_file():
        raise SettingsError(f"{file}: there is no such file.")
    name = f"file_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    project = settings.home / FROM_FILES / name
    (project / SHOPS).mkdir(parents=True, exist_ok=True)
    text = described(name, file, project, pattern=glob.escape(file.name))
    path = project / SHOPS / f"{name}.yaml"
    path.write_text(text.replace(f"name: {name}\n", f"name: {name}\nnamespace: {name}\n", 1), encoding="utf-8")
    return path


def _show(database: Database, shop: Shop) -> None:
    rows = query(
        database,
        f"select {', '.join(f'{name}::text' for name in COLUMNS)} from {in_sql('marts', 'daily_revenue')} "
        f"where currency = '{shop.currency}' order by event_date limit {SHOWN_DAYS + 1}",
    )
    table = Table(title=f"revenue by day, {shop.currency}", box=box.SIMPLE, padding=(0, 0, 0, 1))
    for name in COLUMNS:
        heading = "day" if name == "event_date" else name.replace("_", "\n")
        table.add_column(heading, justify="left" if name == "event_date" else "right", no_wrap=True)
    for row in rows[:SHOWN_DAYS]:
        table.add_row(*(cents(row[name] or "-") for name in COLUMNS))
    Console(color_system=None).print(table)
    if len(rows) > SHOWN_DAYS:
        click.echo(f"The first {SHOWN_DAYS} days; the others are in the table.")


def _say_held_back(database: Database, word: str, table: ShapeTable, money: str) -> None:
    click.echo(f"{word:12} {orders_and_money(database, table, money)}")
    _say_each(_reasons(database, table))


def _say_each(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(f"{'':13}{line}")


def _reasons(database: Database, table: ShapeTable, where: str = "") -> list[str]:
    """Say why orders are in a table of `ops`, how many, and where in the file the first of them stands."""
    has_values = any(column.name == "value" for column in table.columns)
    field = "column_name || ': ' || reason" if has_values else "reason"
    place = "substring(value from '\\(([^()]* lines? [^()]*)\\)$')" if has_values else "null::text"
    rows = query(
        database,
        f"select {field} as reason, count(*) as n, (array_agg({place} order by length({place}), {place}))[1] as place "
        f"from {table.sql_name} {where} group by 1 order by 2 desc, 1",
    )
    places = [f", such as {row['place']}" if row["place"] else "" for row in rows]
    return [f"{row['reason']}: {row['n']}{place}" for row, place in zip(rows, places, strict=True)]
