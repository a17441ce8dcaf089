"""What the commands that load days share: a run with its progress on the terminal."""

import time

import click

from analytics_pipeline.partitions import DayRange
from analytics_pipeline.running import RunSummary, open_instance, run_days
from analytics_pipeline.settings import Settings


def load_days(settings: Settings, days: DayRange, *, job_name: str) -> RunSummary:
    """Run a job over some days and show each step as it ends, on standard error.

    Raises:
        PipelineError: The shop description is wrong, or the database is out of reach.
    """
    started = time.monotonic()

    def report(line: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s {line}", err=True)

    report(f"opening database and instance for {days}")
    with open_instance(settings) as instance:
        from analytics_pipeline.definitions import defs  # noqa: PLC0415 - reads the shop that the options have chosen

        summary = run_days(defs, instance, days, job_name=job_name, report=report)
    for warning in summary.warnings:
        click.echo(f"warning: {warning}", err=True)
    return summary
