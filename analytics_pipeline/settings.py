"""What the environment decides: where state lies, which database, which shop.

Reads environment variables and nothing else; a `.env` file in the current folder is put into the environment by the
command line (and by `dagster dev`) before anything here is asked. Secrets of a shop are not settings: its description
names their variables.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HOME = "ANALYTICS_HOME"
DATABASE_URL = "ANALYTICS_DATABASE_URL"
SHOP = "ANALYTICS_SHOP"

DEFAULT_SHOP = "demo"
ROOT_HOME = Path("/var/lib/analytics-pipeline")
"""State folder of root: the server that root starts runs as another user, which may not enter root's home."""


@dataclass(frozen=True)
class Settings:
    """One installation: its state folder, its database server and its shop.

    Attributes:
        home: State folder; holds the embedded server's data and Dagster's files.
        database_url: URL of a Postgres server, or None for the embedded one.
        shop: Name of a packaged shop description, or the path of one.
    """

    home: Path
    database_url: str | None
    shop: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; empty variables count as absent.

        Args:
            environment: Variables by name; the process's own when None.
        """
        variables = os.environ if environment is None else environment
        home = variables.get(HOME) or default_home()
        return cls(
            home=Path(home).expanduser().absolute(),
            database_url=variables.get(DATABASE_URL) or None,
            shop=variables.get(SHOP) or DEFAULT_SHOP,
        )

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's instance file and of its logs."""
        return self.home / "dagster"

    @property
    def embedded_data(self) -> Path:
        """Data folder of the embedded server."""
        return self.home / "postgres"


def default_home() -> Path:
    """Return the platform's folder for user data, or `ROOT_HOME` for root."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return ROOT_HOME
    return platformdirs.user_data_path("analytics-pipeline", appauthor=False)
