"""`analytics-pipeline shop check`: whether a description is right, offline and then by a page of each list."""

from collections.abc import Iterator
from datetime import date

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.cli.opening import readable_shops
from analytics_pipeline.cli.preview import MappedValue, Preview
from analytics_pipeline.cli.probes import all_pass
from analytics_pipeline.cli.run import Day
from analytics_pipeline.cli.shop.choosing import shop_argument
from analytics_pipeline.cli.shop_probes import offline_probes, shop_probes
from analytics_pipeline.cli.shops import each_shop
from analytics_pipeline.errors import PipelineError
from analytics_pipeline.plain import plain_lines
from analytics_pipeline.settings import Settings

WIDEST, MOST_WORDS = 48, 600


@click.command(
    "check",
    cls=Command,
    examples=(
        "analytics-pipeline shop check",
        "analytics-pipeline shop check garden-shop",
        "analytics-pipeline shop check ./shops/garden-shop.yaml --offline",
        "analytics-pipeline shop check garden-shop --date 2026-11-22",
    ),
    short_help="Check a description, offline and against the shop.",
)
@shop_argument
@click.option("--offline", "is_offline", is_flag=True, help="Only the file; the shop is not asked.")
@click.option("--date", "day", type=Day(), help="Business day of the orders; the last one with orders by default.")
@each_shop
def command(settings: Settings, day: date | None, *, is_offline: bool) -> None:
    """Check a description: every fault of the file, then credentials, rights, clock, and the records of each list.

    Without a name all descriptions of the project folder are checked.
    Of each mapped path it says in how many records it was found. The exit code is 1 when something fails; a warning is
    no failure. Nothing is written.
    """
    reference = settings.shop
    previews: list[tuple[str, Preview]] = []
    beside = readable_shops(settings.beside)
    probes = (
        offline_probes(reference, beside)
        if is_offline
        else shop_probes(reference, day, beside=beside, seen=lambda name, found: previews.append((name, found)))
    )
    has_passed = all_pass(probes, _show_words)
    for name, found in previews:
        click.echo(f"\n{name}: what each mapped path found")
        for line in _mapped(found.mapped):
            click.echo(f"  {line}")
    if not has_passed:
        raise SystemExit(FAILED)


def _show_words(error: PipelineError) -> None:
    """Show what an error quotes of the shop, which is kept apart from its message: nothing else keeps it here."""
    if error.excerpt:
        click.echo(f"      its words:   {plain_lines(error.excerpt)[:MOST_WORDS]}")


def _mapped(values: tuple[MappedValue, ...]) -> Iterator[str]:
    width = max((len(value.role) for value in values), default=0)
    for value in values:
        shown = value.expression if len(value.expression) <= WIDEST else f"{value.expression[: WIDEST - 3]}..."
        yield f"{value.role:{width}}  {shown:{WIDEST}}  found in {value.found} of {value.of}"
