"""`analytics-pipeline shop`: describing a shop, from the first line to a day's revenue. One module a command.

Nothing here writes to the database.
"""

import click

from analytics_pipeline.cli import Command, Commands
from analytics_pipeline.cli.serving import DEFAULT_PORT, serve_demo_shop
from analytics_pipeline.cli.shop import checking, listing, previewing, starting
from analytics_pipeline.shop.schema import schema_text


@click.group(
    "shop",
    cls=Commands,
    invoke_without_command=True,
    examples=(
        "analytics-pipeline shop list",
        "analytics-pipeline shop init garden-shop --like woocommerce",
        "analytics-pipeline shop init --from-file sales_raw.csv",
        "analytics-pipeline shop check",
        "analytics-pipeline shop check garden-shop",
        "analytics-pipeline shop preview garden-shop --date 2026-11-22",
    ),
)
@click.option("--port", type=click.IntRange(0, 65535), default=None, hidden=True)
@click.option("--faults", type=click.FloatRange(0, 1), default=None, hidden=True)
@click.pass_context
def command(context: click.Context, port: int | None, faults: float | None) -> None:
    """List, begin, check and preview descriptions of shops; nothing is written to the database."""
    if context.invoked_subcommand is not None:
        return
    click.echo("`shop` alone serves the demo shop for one more release: use `demo --serve`.", err=True)
    serve_demo_shop(DEFAULT_PORT if port is None else port, faults or 0.0)


@command.command(
    "schema",
    cls=Command,
    examples=("analytics-pipeline shop schema > shop.schema.json",),
    short_help="Print the JSON Schema of descriptions, for editors.",
)
def schema() -> None:
    """Print the JSON Schema of the language in which shops are described; `init` writes it into a folder of yours."""
    click.echo(schema_text(), nl=False)


command.add_command(listing.command)
command.add_command(starting.command)
command.add_command(checking.command)
command.add_command(previewing.command)
