"""`analytics-pipeline shop`: the demo shop's API in the foreground."""

from dataclasses import replace

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.demo_shop import DemoShopSettings, run_forever
from analytics_pipeline.settings import DEFAULT_SHOP
from analytics_pipeline.shop.spec import Shop, load_shop

DEFAULT_PORT = 8899


@click.command(
    "shop",
    cls=Command,
    examples=(
        "analytics-pipeline shop",
        "analytics-pipeline shop --port 9000 --faults 0.1",
    ),
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--faults",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of requests that fail: 429, 500, 503, cut answers.",
)
def command(port: int, faults: float) -> None:
    """Serve the demo shop's API on this machine, until Ctrl-C."""
    try:
        run_forever(replace(demo_settings(load_shop(DEFAULT_SHOP)), fault_share=faults), port)
    except OSError as error:
        raise click.ClickException(
            f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); give another one with --port"
        ) from error


def demo_settings(shop: Shop) -> DemoShopSettings:
    """Return the settings of the demo shop that the packaged description means.

    Refunds come within three weeks, so that a month of orders holds all returns of its last week.
    """
    return DemoShopSettings(opened=shop.first_day, longest_refund_days=21)
