"""`analytics-pipeline excerpts`: what errors would have quoted, for whoever may read it."""

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.cli.opening import open_database
from analytics_pipeline.cli.shops import each_shop
from analytics_pipeline.history.excerpts import read_excerpts
from analytics_pipeline.plain import plain, plain_lines
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop

SHOWN = 10


@click.command(
    "excerpts",
    cls=Command,
    examples=(
        "analytics-pipeline excerpts",
        "analytics-pipeline excerpts --run 3f2a9c1e",
    ),
)
@click.option("--run", "run_id", metavar="ID", help="Only of runs whose ids begin so.")
@click.option("--all", "is_all", is_flag=True, help=f"All that is kept, not the newest {SHOWN}.")
@each_shop
def command(settings: Settings, run_id: str | None, *, is_all: bool) -> None:
    """Show what errors would have quoted: the shop's own words, or the values that broke a rule.

    It may be of a person, so it is in no message, log or alert. It is kept for 30 days (ops.error_excerpts).
    """
    shop = load_shop(settings.shop)
    database = open_database(settings, shop)
    found = read_excerpts(database, run_id)
    if not found:
        click.echo("nothing is kept")
    for row in found if is_all else found[:SHOWN]:
        of_run = f", run {row['run_id']}" if row["run_id"] else ""
        click.echo(f"{row['at'].astimezone(shop.zone):%Y-%m-%d %H:%M %Z}  {plain(row['place'])}{of_run}")
        click.echo(f"  {plain(row['message'])}")
        for line in plain_lines(row["excerpt"]).splitlines():
            click.echo(f"    {line}")
    if not is_all and len(found) > SHOWN:
        click.echo(f"and {len(found) - SHOWN} older ones with --all")
