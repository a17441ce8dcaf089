"""Dagster's web server behind the guard: `python -m analytics_pipeline.cli.webserver HOSTS ARGUMENTS...`.

`up` starts it. The application is wrapped where Dagster's own command makes it, so that all else is Dagster's: its
options, its signals, how it finds the code location.
"""

import sys
from typing import TYPE_CHECKING, Any

from dagster_webserver import cli
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.types import ASGIApp

from analytics_pipeline.cli.guard import Guard

if TYPE_CHECKING:  # dagster gives this type no public name
    from dagster._core.workspace.context import IWorkspaceProcessContext

MAKER = "create_app_from_workspace_process_context"


def main() -> None:
    """Serve the UI: the first argument has the allowed hosts, separated by commas, the others are Dagster's."""
    hosts = [host for host in sys.argv[1].split(",") if host]

    def guarded(context: "IWorkspaceProcessContext[Any]", *arguments: Any, **options: Any) -> ASGIApp:  # noqa: ANN401 - Dagster's
        return Guard(create_app_from_workspace_process_context(context, *arguments, **options), hosts)

    # As a name, so that a Dagster without it is noticed: an unguarded UI must not start.
    if getattr(cli, MAKER, None) is not create_app_from_workspace_process_context:
        raise SystemExit(f"this version of dagster-webserver does not make its application by {MAKER}")
    setattr(cli, MAKER, guarded)
    cli.dagster_webserver.main(sys.argv[2:], prog_name="dagster-webserver")


if __name__ == "__main__":
    main()
