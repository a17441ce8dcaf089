"""Dagster's code server, whose runs need not import the project: `python -m analytics_pipeline.cli.code_server ...`.

The arguments are those of `dagster`; `up` starts it. Dagster starts each run in a new process that imports everything
first, which takes longer than a run of one day. Here they are forked from a process that has done so. The definitions
are made by each run itself: descriptions, marts and seeds are read as they are by then. All else is Dagster's.
"""

import multiprocessing
import os
import pkgutil
import sys
import tempfile
from multiprocessing.context import BaseContext
from multiprocessing.forkserver import ensure_running
from typing import Any

from dagster import _cli
from dagster._grpc import server

from analytics_pipeline import orchestration

ENTRY_POINT, SERVER, CONTEXT = "get_python_environment_entry_point", "DagsterApiServer", "_mp_ctx"
LONGEST_FOLDER = 60
"""Bytes of the folder for temporary files below which the name of a socket in it can be bound."""


def main() -> None:
    """Be `dagster`, and start what it starts in the same way."""
    # As names, so that a Dagster without them is noticed: its runs would be slow, and nobody would know why.
    if getattr(server, ENTRY_POINT, None) is None or getattr(server, SERVER, None) is None:
        raise SystemExit(f"this version of dagster has no {ENTRY_POINT} or no {SERVER} for its code server")
    setattr(server, ENTRY_POINT, lambda executable: [executable, "-m", __spec__.name])
    if len(os.fsencode(tempfile.gettempdir())) < LONGEST_FOLDER:
        _fork_runs(server.DagsterApiServer)
    sys.argv[0] = "dagster"
    dagster: Any = _cli.main
    dagster()


def _fork_runs(made: Any) -> None:  # noqa: ANN401 - Dagster's class
    """Have the server's processes forked."""
    initialise = made.__init__

    def initialise_and_preload(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Dagster's
        initialise(self, *arguments, **options)
        if not isinstance(getattr(self, CONTEXT, None), BaseContext):
            raise SystemExit(f"this version of dagster does not start runs by {CONTEXT}")
        setattr(self, CONTEXT, _preloading())

    made.__init__ = initialise_and_preload


def _preloading() -> BaseContext:
    """Start a process that imports what runs need, and return what forks it."""
    context = multiprocessing.get_context("forkserver")
    found = pkgutil.walk_packages(orchestration.__path__, f"{orchestration.__name__}.")
    context.set_forkserver_preload([module.name for module in found])
    ensure_running()
    return context


if __name__ == "__main__":
    main()
