"""Dagster's own storage, in the same Postgres server as the data.

`dagster.yaml` names the class below, so that the web server, the daemon and every run find the server in the same way as the assets do: the
one of `ANALYTICS_DATABASE_URL`, or the embedded one, which the first of them starts. What is stored and how is dagster-postgres' part.
"""

from collections.abc import Mapping
from typing import Any

from dagster_postgres import DagsterPostgresStorage

from analytics_pipeline.database.connection import create_database, data_database, instance_database
from analytics_pipeline.settings import Settings


class InstanceStorage(DagsterPostgresStorage):
    """dagster-postgres' storage, at the address that the settings give."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the configuration that dagster.yaml may give: none."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "InstanceStorage":  # noqa: ANN401, ARG003
        """Open the storage, creating its database and starting the embedded server where needed.

        Raises:
            DatabaseUnavailableError: The server cannot be reached.
            DatabaseRefusedError: The login fails, or may not create databases.
        """
        database = instance_database(data_database(Settings.from_environment()))
        create_database(database)
        return cls(postgres_url=sqlalchemy_url(database.url), inst_data=inst_data)


def sqlalchemy_url(url: str) -> str:
    """Return a Postgres URL as SQLAlchemy reads it for psycopg2.

    The driver has to be named: SQLAlchemy 2.1 takes psycopg 3 for a plain `postgresql://`, which the event log cannot use.
    """
    return "postgresql+psycopg2://" + url.partition("://")[2]
