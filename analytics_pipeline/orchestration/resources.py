"""The resources of assets and checks: the database and the shop, both opened when a step runs and not before.

What they open is described by the environment (`settings`) and the shop description; no secret is a resource's field,
as Dagster shows those.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Protocol, runtime_checkable

import dagster as dg
from pydantic import Field

from analytics_pipeline.history.email_hashes import email_key
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.opening import open_source
from analytics_pipeline.sources.source import Source
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.warehouse.connection import Database, create_database, data_database


@cache
def _created(database: Database) -> Database:
    create_database(database)
    return database


@runtime_checkable
class OfShops(Protocol):
    """A resource of all shops of a code location, that steps have as the one of theirs."""

    def of(self, namespace: str | None) -> Any:  # noqa: ANN401 - itself
        """Return the resource as the shop of a namespace has it."""


class DatabaseResource(dg.ConfigurableResource[Database]):
    """The database of the project's tables, as the environment says; created when missing.

    Attributes:
        shop: Name or path of the description of the shop that it has to hold; any when None.
        namespace: The shop's; None for the one with the plain names.
        others: Descriptions of the shops with namespaces, by namespace.
    """

    shop: str | None = None
    namespace: str | None = None
    others: dict[str, str] = Field(default_factory=dict)

    def of(self, namespace: str | None) -> "DatabaseResource":
        """Return the database as the shop of a namespace has it."""
        if namespace == self.namespace:
            return self
        return DatabaseResource(shop=self.others[namespace or ""], namespace=namespace)

    def database(self) -> Database:
        """Return the database, starting the embedded server when it is the one and does not run.

        Raises:
            DatabaseUnavailableError: The server cannot be reached.
            DatabaseRefusedError: The login fails, or may not create the database.
            SettingsError: It is bound to another shop.
            NewerSchemaError: A newer version of the project has been at work on it.
        """
        return open_warehouse(self.located(), None if self.shop is None else _described(self.shop))

    def located(self) -> Database:
        """Return the database for a step that has called `database` before: it is not looked at again.

        Raises:
            DatabaseUnavailableError, DatabaseRefusedError: As `database`.
        """
        return _created(data_database(Settings.from_environment())).of(self.namespace)

    def email_key(self) -> EmailKey:
        """Return the key of the e-mail hashes, which is made for a new database.

        Raises:
            SettingsError: The database has another key, or the key is missing or none.
        """
        return email_key(self.database(), Settings.from_environment())


class ShopResource(dg.ConfigurableResource[Shop]):
    """The shop that a code location serves, or several.

    Attributes:
        reference: Name of a packaged shop description, or the path of one.
        others: Descriptions of the shops with namespaces, by namespace.
    """

    reference: str
    others: dict[str, str] = Field(default_factory=dict)

    def of(self, namespace: str | None) -> "ShopResource":
        """Return the shop of a namespace."""
        return self if namespace is None else ShopResource(reference=self.others[namespace])

    @property
    def description(self) -> Shop:
        """The validated description."""
        return _described(self.reference)

    def source(self, database: Database) -> AbstractContextManager[Source]:
        """Open what the shop's records are read from, with the secrets that the description names."""
        return open_source(self.description, database)

    @contextmanager
    def client(self) -> Iterator[ShopClient]:
        """Open a client, with the secrets that the description names."""
        with ShopClient(self.description) as client:
            yield client


@cache
def _described(reference: str) -> Shop:
    return load_shop(reference)
