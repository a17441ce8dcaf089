"""The command line `analytics-pipeline`, one module a command.

A command's module is imported when the command is asked for, so that `--help` answers at once. Here is what all
commands share: the group, their help, the `.env` file, and errors reported in one line.
"""

import gc
import importlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from dotenv import load_dotenv

from analytics_pipeline.cli.quiet import quiet_lost_database
from analytics_pipeline.cli.screen import guard_screen
from analytics_pipeline.errors import PipelineError
from analytics_pipeline.settings import (
    ALERT_REPEAT_HOURS,
    ALERT_URLS,
    DATABASE_URL,
    EMAIL_KEY,
    HOME,
    PROJECT,
    SEVERAL,
    SHOP,
    UI_URL,
)
from analytics_pipeline.warehouse.lost import lost_database

COMMANDS = {
    "demo": "Load the last 30 days of a demo shop into Postgres and show the last week, or serve it.",
    "up": "Start the Dagster UI with each shop's daily schedule, the database, and demo shops if they are the ones.",
    "run": "Load business days from the shop to the marts, without the UI.",
    "catch-up": "Ask the shop for late changes, and load the business days again that they affect.",
    "init": "Write a folder of your own: a shop, marts, seeds, settings.",
    "rebind": "Confirm that the shop is the same under another name or address.",
    "doctor": "Check shop, credentials, database, rights, time zone and versions.",
    "status": "Show what is loaded, whether it adds up and is on time, what changed, and what is left out.",
    "plan": "Say which marts the next run computes anew, and which published numbers that changes.",
    "alerts": "List what is wrong and what was, or send a test message.",
    "anomalies": "List the days whose figures were not as expected, and why.",
    "excerpts": "Show what errors would have quoted: the shop's words, values that broke a rule.",
    "quarantine": "List, show and replay orders that broke a rule.",
    "shop": "List, begin, check and preview descriptions of shops.",
}
PROGRAM = "analytics-pipeline"
EXAMPLES = (
    "analytics-pipeline demo",
    "analytics-pipeline run --shop my-shop --date 2026-11-22",
    "analytics-pipeline up",
)
SETTINGS = {
    PROJECT: "The folder of your own shops, marts and seeds. Default: the current folder.",
    DATABASE_URL: "A Postgres server, 14 or newer. Default: the embedded one.",
    ALERT_URLS: "Who is notified of incidents: Apprise URLs, separated by blanks or commas. Default: nobody.",
    ALERT_REPEAT_HOURS: "Hours after which an open incident is sent again. Default: 24.",
    UI_URL: "Where messages link to. Default: http://127.0.0.1:3000.",
    EMAIL_KEY: "Key of the hashes of e-mail addresses, for a state folder that does not last. Default: a file in it.",
    HOME: "State folder. Default: the platform's folder for user data; for root /var/lib/analytics-pipeline.",
}

USUAL_THRESHOLD = gc.get_threshold()
OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Imports make half a million objects that stay: to look through them for garbage after every 700 new ones, as Python
does, is a tenth of a command's start."""


class Command(click.Command):
    """A command whose help ends with examples.

    Attributes:
        examples: Whole command lines.
    """

    def __init__(self, name: str | None, *, examples: Sequence[str], **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(name, **attributes)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples, each on a line of its own."""
        _write_examples(formatter, self.examples)


class Commands(click.Group):
    """A command of several commands, whose help ends with examples.

    Attributes:
        examples: Whole command lines.
    """

    def __init__(self, name: str | None, *, examples: Sequence[str], **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(name, **attributes)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples, each on a line of its own."""
        _write_examples(formatter, self.examples)


class _Group(click.Group):
    """A group whose commands are imported on demand, and that reports the project's own errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Settings, from the environment or a .env file in the current folder"):
            formatter.write_dl(list(SETTINGS.items()))
        _write_examples(formatter, EXAMPLES)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        try:
            return super().invoke(ctx)
        except click.ClickException:
            raise
        except Exception as error:
            message = foreseen(error)
            if message is None:
                raise
            raise click.ClickException(message) from error


def foreseen(error: Exception) -> str | None:
    """Return what an error says to a user in a line; None for one that nobody has foreseen."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    described = error if isinstance(error, PipelineError) else lost_database(error)
    return None if described is None else str(described)


def _write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':{formatter.current_indent}}{example}\n")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="analytics-pipeline")
def main() -> None:
    """From a shop's API to revenue in Postgres, right to the cent, as Dagster assets."""
    guard_screen()
    quiet_lost_database()
    # `kill` ends a command as Ctrl-C does, in order: the last user of the embedded server stops it.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    load_dotenv(Path.cwd() / ".env")
    load_dotenv(Path(os.environ.get(PROJECT) or ".").expanduser() / ".env")  # the other one may have named it


def typed_command(folder: Path | None = None) -> str:
    """Return the command as it is typed in a folder (None: the current one): its path, where no shell would find it."""
    script = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM)
    if found is not None and Path(found).exists() and script.exists() and Path(found).samefile(script):
        return PROGRAM
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m analytics_pipeline"
    there = Path.cwd() if folder is None else folder.absolute()
    return shlex.quote(str(script.relative_to(there) if script.is_relative_to(there) else script))


def collect_as_usual() -> None:
    """Look for garbage as Python does, but in nothing that is there already: to be called when all is imported."""
    gc.freeze()
    gc.set_threshold(*USUAL_THRESHOLD)


def choose_shop(_: click.Context, __: click.Parameter, reference: str | None) -> None:
    """Set ANALYTICS_SHOP, for all that reads settings, in processes that this one starts too; an option's callback."""
    if reference is not None:
        os.environ[SHOP] = SEVERAL.join(map(_from_anywhere, reference.split(SEVERAL)))


def _from_anywhere(reference: str) -> str:
    is_file = Path(reference).suffix != "" or len(Path(reference).parts) > 1
    return str(Path(reference).absolute()) if is_file else reference


def shop_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--shop`, which says which shops the settings have."""
    help_text = (
        "A shop of the project folder or a packaged one, or the path of its description; several with commas. Default: "
        "all of the folder; demo where it has none."
    )
    return click.option(
        "--shop", callback=choose_shop, expose_value=False, is_eager=True, metavar="NAME|FILE|all", help=help_text
    )(command)
