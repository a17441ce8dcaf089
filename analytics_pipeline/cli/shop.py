"""`analytics-pipeline shop`: the demo shop's API in the foreground."""

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.demo_shop import DemoShopSettings, run_forever
from analytics_pipeline.settings import DEFAULT_SHOP
from analytics_pipeline.sources.spec import load_shop

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
        run_forever(DemoShopSettings(opened=load_shop(DEFAULT_SHOP).first_day, fault_share=faults), port)
    except OSError as error:
        raise click.ClickException(
            f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); give another one with --port"
        ) from error
