"""`analytics-pipeline rebind`: the shop has another name or address and is still the one whose orders are stored."""

import click

from analytics_pipeline.cli import Command, shop_option
from analytics_pipeline.cli.opening import shop_database
from analytics_pipeline.history.binding import binding_of, rebind
from analytics_pipeline.late_changes.same_shop import ask_for_stored_orders
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.opening import open_directly
from analytics_pipeline.warehouse.connection import create_database
from analytics_pipeline.warehouse.schema import read_stored, refuse_newer


@click.command(
    "rebind",
    cls=Command,
    examples=("analytics-pipeline rebind --shop my-shop",),
)
@shop_option
def command() -> None:
    """Confirm that the described shop is the one whose orders are stored, after its name or address has changed.

    Of several shops one has to be named. A few stored orders are asked for at the shop; when it has none of them, the
    exit code is 1 and nothing is written.
    """
    settings = Settings.from_environment()
    shop = load_shop(settings.shop)
    database = shop_database(settings, shop)
    create_database(database)
    stored = read_stored(database)
    refuse_newer(database, stored)
    bound = binding_of(database, stored)
    if bound is None:
        click.echo(f"{database.label} is not bound yet: the first run binds it to {shop.name}")
        return
    if bound.fits(shop):
        click.echo(f"{database.label} is bound to {shop.name} already")
        return
    with open_directly(shop) as source:
        sample = ask_for_stored_orders(source, database)
    if sample.asked and not sample.found:
        raise click.ClickException(
            f"{shop.name} has none of {sample.asked} orders that {database.label} holds of {bound.name}: it is another "
            "shop, and nothing was written"
        )
    rebind(database, shop)
    message = f"{sample.found} of {sample.asked} stored orders are there" if sample.asked else "no order is stored"
    click.echo(f"{database.label} is bound to {shop.name} now: {message}")
