"""What the environment decides: where state lies, which database, which project folder, which shops.

Reads environment variables, and which shop descriptions lie in the project folder or, of the demo, in the state folder;
a `.env` file in the current folder is put into the environment by the command line (and by `dagster dev`) before
anything here is asked. Secrets of a shop are not settings: its description names their variables.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
DEMO_SHOPS = "demo_shops"
"""Folder of the state folder for descriptions of demo shops beside the packaged one."""
FROM_FILES = "from-file"
"""Folder of the state folder for the folders of files that the demo has loaded, each with its description."""
ALL_SHOPS = "all"
"""What the name of a shop is where all of the project folder are meant, as they are without one."""
SEVERAL = ","
"""Stands between the names of several shops."""
DEFAULT_REPEAT_HOURS = 24
DEFAULT_UI_URL = "http://127.0.0.1:3000"
ROOT_HOME = Path("/var/lib/analytics-pipeline")
"""State folder of root: the server that root starts runs as another user, which may not enter root's home."""


@dataclass(frozen=True)
class Settings:
    """One installation: its state folder, its database server and its shops.

    Attributes:
        home: State folder; holds the embedded server's data and Dagster's files.
        database_url: URL of a Postgres server, or None for the embedded one.
        shops: Names of packaged shop descriptions, or paths of some.
        email_key: Key of the e-mail hashes, or None for the one in the state folder; a secret.
        project: The user's own folder, with shops and marts beside the packaged ones, and seeds.
        is_whole: Whether no shop is left out that lies beside a chosen one.
        is_alone: Whether these are all chosen ones, and not one of several that have their turns.
    """

    home: Path
    database_url: str | None
    shops: tuple[str, ...]
    email_key: str | None = field(default=None, repr=False)
    project: Path = field(default_factory=Path.cwd)
    is_whole: bool = True
    is_alone: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; empty variables count as absent.

        Args:
            environment: Variables by name; the process's own when None.

        Raises:
            SettingsError: The project folder is none.
        """
        variables = os.environ if environment is None else environment
        home = Path(variables.get(HOME) or default_home()).expanduser().absolute()
        project = project_folder(variables)
        own, of_demo = _descriptions(project / SHOPS), _of_demo(home)
        shops = _chosen(variables.get(SHOP), own, of_demo)
        return cls(
            home=home,
            database_url=variables.get(DATABASE_URL) or None,
            shops=shops,
            email_key=variables.get(EMAIL_KEY) or None,
            project=project,
            is_whole=_is_whole(set(shops), set(own), set(of_demo)),
        )

    @property
    def shop(self) -> str:
        """The shop, for what is done for one.

        Raises:
            SettingsError: There are several.
        """
        if len(self.shops) > 1:
            raise SettingsError(f"there are several shops ({', '.join(self.names)}): choose one with --shop NAME.")
        return self.shops[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the shops, as `--shop` takes them."""
        return tuple(Path(shop).stem for shop in self.shops)

    @property
    def described(self) -> tuple[str, ...]:
        """Every shop that something here describes: the chosen ones, those beside them, and those of the demo."""
        of_files = sorted((self.home / FROM_FILES).glob(f"*/{SHOPS}/*.yaml"))
        own = _descriptions(self.project / SHOPS)
        return tuple(dict.fromkeys((*self.shops, *own, *_of_demo(self.home), *map(str, of_files))))

    @property
    def beside(self) -> tuple[str, ...]:
        """The chosen shops, and those that lie beside one of them."""
        groups = (_descriptions(self.project / SHOPS), _of_demo(self.home))
        return tuple(
            dict.fromkeys((*self.shops, *(one for group in groups if {*group} & {*self.shops} for one in group)))
        )

    def each(self) -> Iterator["Settings"]:
        """Yield the settings of one shop after the other."""
        is_one = len(self.shops) == 1
        is_whole, is_alone = self.is_whole and is_one, self.is_alone and is_one
        yield from (replace(self, shops=(shop,), is_whole=is_whole, is_alone=is_alone) for shop in self.shops)

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


def _descriptions(folder: Path) -> tuple[str, ...]:
    return tuple(map(str, sorted(folder.glob("*.yaml"))))


def _of_demo(home: Path) -> tuple[str, ...]:
    return DEFAULT_SHOP, *_descriptions(home / DEMO_SHOPS)


def _is_whole(shops: set[str], own: set[str], of_demo: set[str]) -> bool:
    """Return whether no shop is left out; where the folder has shops, one from elsewhere is not all of them."""
    meant = [group for group in (own, of_demo) if group & shops]
    if own and not own & shops and len(shops) == 1:
        return False
    return all(group <= shops for group in meant)


def _chosen(named: str | None, own: Sequence[str], of_demo: Sequence[str]) -> tuple[str, ...]:
    """Return the chosen shops: a name is that of a description in the project folder first, then of a packaged one."""
    if not named or named == ALL_SHOPS:
        return tuple(own or of_demo)
    by_name = {Path(path).stem: path for path in (*of_demo, *own)}
    return tuple(dict.fromkeys(by_name.get(name, name) for name in named.split(SEVERAL)))
