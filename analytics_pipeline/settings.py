"""What the environment decides: where state lies, which database, which project folder, which shop.

Reads environment variables, and which shop descriptions lie in the project folder; a `.env` file in the current folder
is put into the environment by the command line (and by `dagster dev`) before anything here is asked. Secrets of a shop
are not settings: its description names their variables.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import platformdirs

from analytics_pipeline.errors import SettingsError

HOME = "ANALYTICS_HOME"
EMAIL_KEY = "ANALYTICS_EMAIL_KEY"
DATABASE_URL = "ANALYTICS_DATABASE_URL"
PROJECT = "ANALYTICS_PROJECT"
SHOP = "ANALYTICS_SHOP"
ALERT_URLS = "ANALYTICS_ALERT_URLS"
ALERT_REPEAT_HOURS = "ANALYTICS_ALERT_REPEAT_HOURS"
UI_URL = "ANALYTICS_UI_URL"

SHOPS = "shops"
"""Folder of the project folder for shop descriptions."""
DEFAULT_SHOP = "demo"
DEFAULT_REPEAT_HOURS = 24
DEFAULT_UI_URL = "http://127.0.0.1:3000"
ROOT_HOME = Path("/var/lib/analytics-pipeline")
"""State folder of root: the server that root starts runs as another user, which may not enter root's home."""


@dataclass(frozen=True)
class Settings:
    """One installation: its state folder, its database server and its shop.

    Attributes:
        home: State folder; holds the embedded server's data and Dagster's files.
        database_url: URL of a Postgres server, or None for the embedded one.
        shop: Name of a packaged shop description, or the path of one.
        email_key: Key of the e-mail hashes, or None for the one in the state folder; a secret.
        project: The user's own folder, with shops and marts beside the packaged ones, and seeds.
    """

    home: Path
    database_url: str | None
    shop: str
    email_key: str | None = field(default=None, repr=False)
    project: Path = field(default_factory=Path.cwd)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; empty variables count as absent.

        Args:
            environment: Variables by name; the process's own when None.

        Raises:
            SettingsError: The project folder is none, or has several shops and none is chosen.
        """
        variables = os.environ if environment is None else environment
        home = variables.get(HOME) or default_home()
        project = project_folder(variables)
        return cls(
            home=Path(home).expanduser().absolute(),
            database_url=variables.get(DATABASE_URL) or None,
            shop=_shop(variables.get(SHOP), project),
            email_key=variables.get(EMAIL_KEY) or None,
            project=project,
        )

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's instance file and of its logs."""
        return self.home / "dagster"

    @property
    def embedded_data(self) -> Path:
        """Data folder of the embedded server."""
        return self.home / "postgres"


@dataclass(frozen=True)
class AlertSettings:
    """Who is notified when something goes wrong.

    Attributes:
        urls: What `ANALYTICS_ALERT_URLS` holds; with tokens, so it is never shown.
        repeat_after: Time after which an open incident is reported again.
        ui_url: Where the reader of a message finds the Dagster UI.
    """

    urls: str = field(repr=False)
    repeat_after: timedelta
    ui_url: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "AlertSettings":
        """Read the settings; empty variables count as absent.

        Args:
            environment: Variables by name; the process's own when None.

        Raises:
            SettingsError: The hours are none.
        """
        variables = os.environ if environment is None else environment
        hours = variables.get(ALERT_REPEAT_HOURS) or str(DEFAULT_REPEAT_HOURS)
        try:
            repeat_after = timedelta(hours=float(hours))
        except (ValueError, OverflowError):
            repeat_after = timedelta(0)
        if repeat_after <= timedelta(0):
            raise SettingsError(f"{ALERT_REPEAT_HOURS} has to be a number of hours above 0, such as 24.")
        return cls(
            urls=variables.get(ALERT_URLS) or "",
            repeat_after=repeat_after,
            ui_url=(variables.get(UI_URL) or DEFAULT_UI_URL).rstrip("/"),
        )


def default_home() -> Path:
    """Return the platform's folder for user data, or `ROOT_HOME` for root."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return ROOT_HOME
    return platformdirs.user_data_path("analytics-pipeline", appauthor=False)


def project_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the user's own folder: the named one, else the current one.

    Args:
        environment: Variables by name; the process's own when None.

    Raises:
        SettingsError: The named folder is none.
    """
    named = (os.environ if environment is None else environment).get(PROJECT)
    folder = Path(named).expanduser().absolute() if named else Path.cwd()
    if not folder.is_dir():
        raise SettingsError(
            f"{PROJECT} names {folder}, which is no folder; `analytics-pipeline init {folder}` makes it."
        )
    return folder


def _shop(named: str | None, project: Path) -> str:
    """Return the chosen shop: a name is that of a description in the project folder first, then of a packaged one."""
    own = sorted((project / SHOPS).glob("*.yaml"))
    if not named and len(own) > 1:
        names = ", ".join(path.stem for path in own)
        raise SettingsError(f"{project / SHOPS} has several shops ({names}): choose one by {SHOP}.")
    chosen = [path for path in own if not named or path.stem == named]
    return str(chosen[0]) if chosen else named or DEFAULT_SHOP
