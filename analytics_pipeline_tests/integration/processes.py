"""Runs in processes of their own, as the command line and the daemon start them, so that they can be killed.

The processes are forked from a server that has imported the project once: importing takes longer than the runs.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from multiprocessing.context import ForkServerProcess

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.orchestration.running import open_instance, run_days
from analytics_pipeline.settings import Settings

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def start_run(environment: Mapping[str, str], first: date, last: date) -> ForkServerProcess:
    """Start the daily job over some business days in a new process; its exit code is 0 when the run succeeds.

    Args:
        environment: The project's variables: home, database and shop.
        first: First business day.
        last: Last business day.
    """
    return start_runs(environment, [Days(first, last)])


def start_runs(environment: Mapping[str, str], ranges: Sequence[Days]) -> ForkServerProcess:
    """Start the daily job over one range after the other in a new process; its exit code is 0 when all runs succeed."""
    process = _CONTEXT.Process(target=_run, args=(dict(environment), list(ranges)), daemon=True)
    process.start()
    return process


def _run(environment: dict[str, str], ranges: Sequence[Days]) -> None:
    os.environ.update(environment)
    settings = Settings.from_environment()
    with open_instance(settings) as instance:
        definitions = build_definitions(settings.shop)
        summaries = [run_days(definitions, instance, days, job_name="daily") for days in ranges]
    for failure in (failure for summary in summaries for failure in summary.failures):
        sys.stderr.write(f"{failure}\n")
    sys.exit(0 if all(summary.succeeded for summary in summaries) else 1)
