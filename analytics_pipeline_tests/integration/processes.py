"""Runs in processes of their own, as the command line and the daemon start them, so that they can be killed.

The processes are forked from a server that has imported the project once: importing takes longer than the runs.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from datetime import date
from multiprocessing.context import ForkServerProcess

from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.partitions import DayRange
from analytics_pipeline.running import open_instance, run_days
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
    process = _CONTEXT.Process(target=_run, args=(dict(environment), first, last), daemon=True)
    process.start()
    return process


def _run(environment: dict[str, str], first: date, last: date) -> None:
    os.environ.update(environment)
    settings = Settings.from_environment()
    with open_instance(settings) as instance:
        summary = run_days(build_definitions(settings.shop), instance, DayRange(first, last), job_name="daily")
    for failure in summary.failures:
        sys.stderr.write(f"{failure}\n")
    sys.exit(0 if summary.succeeded else 1)
