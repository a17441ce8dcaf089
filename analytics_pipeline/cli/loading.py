"""What the commands that load days share: a run with its progress on the terminal, and the alerts at its end."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click
import dagster as dg

from analytics_pipeline.catalogue import Catalogue, installed
from analytics_pipeline.cli import collect_as_usual
from analytics_pipeline.cli.figures import orders_and_money
from analytics_pipeline.cli.opening import open_database, shop_database
from analytics_pipeline.days import Days
from analytics_pipeline.errors import PipelineError
from analytics_pipeline.history.quarantine import Row, Selection, reasons
from analytics_pipeline.orchestration.alerting import Evaluation, evaluate
from analytics_pipeline.orchestration.jobs import ASKING_JOBS
from analytics_pipeline.orchestration.namespaces import named
from analytics_pipeline.orchestration.running import RunSummary, open_instance, run_days
from analytics_pipeline.plain import counted
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.client import refuse_missing_secrets
from analytics_pipeline.tables.contracts import QUARANTINE
from analytics_pipeline.warehouse.connection import Database

WITHOUT_MARTS = ("raw", "clean")
"""Jobs that compute no mart."""


def load_days(settings: Settings, days: Days, *, job_name: str, is_alerting: bool = False) -> RunSummary:
    """Run a job over some days and show each step as it ends, on standard error.

    Args:
        settings: The installation, with one shop.
        days: The business days.
        job_name: Name of the job, without the shop's namespace.
        is_alerting: Whether to look for incidents afterwards and to report them, and marts that are broken as doubts.

    Raises:
        PipelineError: The shop description is wrong, a secret of it is not set, or the database is out of reach or
            another shop's.
    """
    shop = load_shop(settings.shop)
    if job_name in ASKING_JOBS:
        refuse_missing_secrets(shop)
    started = time.monotonic()

    def report(line: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s {line}", err=True)

    report(f"opening database and instance for {days}")
    open_database(settings, shop)
    with open_instance(settings) as instance:
        from analytics_pipeline.definitions import defs  # noqa: PLC0415 - reads the shop that the options have chosen

        collect_as_usual()
        summary = run_days(defs, instance, days, job_name=named(job_name, shop.namespace), report=report)
        if is_alerting:
            catalogue = installed(settings)
            report_incidents(settings, catalogue, instance, defs)
            if job_name not in WITHOUT_MARTS:
                summary.doubts += [f"{one.layer}.{one.name} is not computed: {one.reason}" for one in catalogue.broken]
    for warning in summary.warnings:
        click.echo(f"warning: {warning}", err=True)
    for doubt in summary.doubts:
        click.echo(f"look at this: {doubt}", err=True)
    return summary


def quarantine_line(database: Database, days: Days) -> str:
    """Say what of some days is in quarantine, and what for mostly."""
    found = reasons(database, Selection(first_day=days.first, last_day=days.last))
    if not found:
        return "in quarantine: nothing"
    held = orders_and_money(database, QUARANTINE.table, "money_at_risk", days)
    return f"in quarantine: {held}; mostly: {commonest(found)}"


def commonest(found: Sequence[Row]) -> str:
    """Describe the most frequent of some reasons, as `history.quarantine.reasons` gives them, frequent ones first."""
    first = found[0]
    return f"{first['reason']} ({first['column_name']}), {counted(int(first['orders_of_reason']), first['kind'])}"


def report_incidents(
    settings: Settings, catalogue: Catalogue, instance: dg.DagsterInstance, definitions: dg.Definitions
) -> None:
    """Report incidents; whoever cannot be notified is named, and the run stays what it is."""
    tell_incidents(
        lambda: evaluate(
            instance,
            shop_database(settings, catalogue.shop),
            catalogue,
            datetime.now(UTC),
            check_keys=definitions.resolve_asset_graph().asset_check_keys,
        )
    )


def tell_incidents(look: Callable[[], Evaluation]) -> None:
    """Look for what is wrong and say whom it reached; what keeps from looking is a warning."""
    try:
        done = look()
    except PipelineError as error:
        click.echo(f"warning: no alerts: {error}", err=True)
        return
    for title in done.sent:
        click.echo(f"alert sent: {title}", err=True)
    for failure in done.failures:
        click.echo(f"warning: alert not sent: {failure}", err=True)
