"""The command line as users run it: a process of its own, with settings of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analytics_pipeline.settings import EMAIL_KEY
from analytics_pipeline_tests.conftest import TESTS_KEY

SECONDS = 240
MODULE = (sys.executable, "-m", "analytics_pipeline")


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without its settings of the project, and with those given."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANALYTICS_", "DAGSTER_"))}
    return {**own, EMAIL_KEY: TESTS_KEY, **settings}


def run(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Args:
        arguments: What follows `analytics-pipeline`.
        folder: Where it runs.
        settings: Environment variables.
    """
    return subprocess.run(
        [*MODULE, *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def running(arguments: Sequence[str], *, folder: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command until the block ends, at the latest; its standard output is a pipe, the rest goes to a file."""
    with (folder / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(
            [*MODULE, *arguments],
            cwd=folder,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
