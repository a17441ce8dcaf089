"""Connections to Postgres: which server, which database, and clear errors when the door stays shut.

Statements about tables belong to `layout` and `slices`, the drivers to `drivers`, the embedded server's life to
`embedded`.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import psycopg

from analytics_pipeline.errors import DatabaseRefusedError, DatabaseUnavailableError, PipelineError, SettingsError
from analytics_pipeline.settings import DATABASE_URL, Settings
from analytics_pipeline.warehouse import drivers
from analytics_pipeline.warehouse.drivers import DRIVER_ERRORS, Begin, Connection, sqlstate, without_rows
from analytics_pipeline.warehouse.embedded import psql_command, start_embedded_server
from analytics_pipeline.warehouse.lost import is_lost, sentence
from analytics_pipeline.warehouse.rights import NEW_DATABASE, missing_right, quoted

SHOWN_OPTIONS = frozenset({"host", "port", "user", "dbname", "sslmode", "application_name", "connect_timeout"})
"""Options of a URL that hold no secret."""

DATA_DATABASE = "analytics"
INSTANCE_DATABASE = "dagster"
MAINTENANCE_DATABASE = "postgres"

INSUFFICIENT_PRIVILEGE = "42501"
DUPLICATE_DATABASE = "42P04"
UNIQUE_VIOLATION = "23505"


@dataclass(frozen=True)
class Database:
    """One database on one server, as one shop has it.

    Attributes:
        namespace: Begins the names of the shop's schemas, as `de` those of `de_raw` and `de_marts`; None for the shop
            with the plain names.
        url: `postgresql://user:password@host:port/database?options`; holds the password, so it is never shown: see
            `label`.
    """

    url: str
    namespace: str | None = None

    def __repr__(self) -> str:
        return f"Database({self.label})"

    def of(self, namespace: str | None) -> "Database":
        """Return the database as another shop has it."""
        return replace(self, namespace=namespace)

    def schema(self, layer: str) -> str:
        """Return the name of the shop's schema of a layer."""
        return f"{self.namespace}_{layer}" if self.namespace else layer

    @property
    def name(self) -> str:
        """The database's name."""
        return urlsplit(self.url).path.lstrip("/")

    @property
    def label(self) -> str:
        """The URL without the password, fit for logs and for messages."""
        if not is_readable(self.url):
            return f"the server of {DATABASE_URL}"
        parts = urlsplit(self.url)
        user, _, host = parts.netloc.rpartition("@")
        login = f"{user.partition(':')[0]}@" if user else ""
        options = urlencode(
            [(name, value) for name, value in parse_qsl(parts.query) if name in SHOWN_OPTIONS],
            safe="/",
            quote_via=quote,  # a blank is %20 to Postgres, and + is none
        )
        return f"{parts.scheme}://{login}{host}{parts.path}" + (f"?{options}" if options else "")

    @property
    def login(self) -> str:
        """The name of the URL's login."""
        return unquote(urlsplit(self.url).username or "") if is_readable(self.url) else ""

    def missing_right(self, error: Exception) -> DatabaseRefusedError:
        """Say which right the login lacks and how it is granted, from the server's own words."""
        reason = re.split(r"ERROR:|Postgres:|\(psycopg2\.\S+\)", str(error), maxsplit=1)[-1]
        reason = reason.removesuffix(f" ({INSUFFICIENT_PRIVILEGE})")  # see `drivers.without_rows`
        return missing_right(reason, login=self.login, database=self.name, label=self.label)

    def named(self, name: str) -> "Database":
        """Return the database `name` on the same server."""
        parts = urlsplit(self.url)
        return Database(f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else ""))

    @contextmanager
    def connect(self, *, autocommit: bool = False, is_kept: bool | None = None) -> Iterator[Connection]:
        """Give a connection until the block ends, rolling back what was not committed then.

        One that did its work without an error is kept open for whoever comes next: to open one takes longer than most
        statements. One with autocommit is kept only where the caller says so, who takes back what it has set for its
        session; otherwise that ends with it.

        Raises:
            DatabaseUnavailableError: The server cannot be reached, or went away.
            DatabaseRefusedError: The login fails, or lacks a right for a statement.
        """
        with self._lent(drivers.begin, is_kept=not autocommit if is_kept is None else is_kept) as connection:
            connection.autocommit = autocommit
            drivers.mean(connection, self.namespace)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a cursor of the driver that reads tables as Arrow batches, until the block ends; it writes nothing.

        Raises:
            DatabaseUnavailableError: The server cannot be reached, or went away.
            DatabaseRefusedError: The login fails, or lacks a right for a statement.
        """
        with self._lent(drivers.begin_reading) as connection, closing(connection.cursor()) as cursor:
            try:
                yield cursor
            except OSError as error:  # Arrow's, of a stream of batches that ended in the middle
                if "[libpq]" not in str(error) or not is_lost(str(error)):
                    raise
                raise DatabaseUnavailableError(f"{self.label}: {sentence(str(error))}") from None

    @contextmanager
    def _lent(self, begin: Begin, *, is_kept: bool = True) -> Iterator[Connection]:
        connection = (drivers.taken(self.url, begin) if is_kept else None) or self._open(begin)
        is_used = True
        try:
            yield connection
            is_used = not (is_kept and drivers.keep(self.url, begin, connection))
        except DRIVER_ERRORS as error:
            if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
                raise self.missing_right(error) from None
            if is_lost(str(error), sqlstate(error)):
                raise DatabaseUnavailableError(f"{self.label}: {sentence(str(without_rows(error)))}") from None
            raise without_rows(error) from None
        finally:
            if is_used:
                drivers.close(connection)

    def _open(self, begin: Begin) -> Connection:
        try:
            return begin(self.url)
        except DRIVER_ERRORS as error:
            # The driver's own message may quote the URL: it is read here, and kept out of the chain.
            raise connection_error(str(error), self.label) from None


def is_readable(url: str) -> bool:
    """Return whether a URL's login can be told from its host: not where a password holds a `/`, `?` or `#` as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return "@" in parts.netloc or "@" not in f"{parts.path}{parts.query}{parts.fragment}"


def connection_error(message: str, label: str) -> PipelineError:
    """Turn the client library's words for a failed connection into an error that says what to do.

    Args:
        message: The library's message.
        label: The server, without secrets.
    """
    reason = message.rpartition("FATAL:")[2].strip().splitlines()[0] if "FATAL:" in message else message
    refusals = (
        "authentication failed",
        "no pg_hba.conf entry",
        "does not exist",
        "permission denied",
        "not permitted",
    )
    if "FATAL:" in message and any(refusal in reason for refusal in refusals):
        return DatabaseRefusedError(
            f"{label} refuses the login: {reason}. Check user, password and database in {DATABASE_URL}."
        )
    if "FATAL:" in message:
        return DatabaseUnavailableError(f"{label} takes no connections now: {reason}. Try again in a moment.")
    if "no password supplied" in message:  # the client's own words: the server asked, and waits in vain
        return DatabaseRefusedError(f"{label} asks for a password, and {DATABASE_URL} has none.")
    if "could not translate host name" in message or "failed to resolve host" in message:
        return DatabaseUnavailableError(f"the host of {label} is not known. Check {DATABASE_URL}.")
    return DatabaseUnavailableError(
        f"no Postgres server answers at {label}. Start it, check {DATABASE_URL}, or unset it for the embedded server."
    )


def data_database(settings: Settings) -> Database:
    """Return the database of the project's tables, starting the embedded server when it is the one.

    The name is the one that `ANALYTICS_DATABASE_URL` gives, `analytics` when it gives none.

    Raises:
        SettingsError: The URL is none of Postgres.
        DatabaseUnavailableError: The embedded server does not start.
    """
    server = Database(settings.database_url or start_embedded_server(settings.embedded_data))
    if not is_readable(server.url):
        message = f"{DATABASE_URL} is no URL: in user and password write / as %2F, ? as %3F, # as %23 and @ as %40."
        raise SettingsError(message)
    if urlsplit(server.url).scheme not in {"postgresql", "postgres"}:
        message = f"{DATABASE_URL} has to begin with postgresql://, as in postgresql://user:password@host:5432/{DATA_DATABASE}."
        raise SettingsError(message)
    return server if server.name else server.named(DATA_DATABASE)


def psql_line(settings: Settings) -> str:
    """Return how psql is called for the data, without a secret: those of the embedded server lie in a file."""
    if settings.database_url is None:
        return psql_command(settings.embedded_data)
    return f"psql {shlex.quote(data_database(settings).label)}"


def instance_database(data: Database) -> Database:
    """Return the database of Dagster's instance beside `data`: `dagster` for `analytics`, `X_dagster` for an `X`."""
    return data.named(INSTANCE_DATABASE if data.name == DATA_DATABASE else f"{data.name}_{INSTANCE_DATABASE}")


def is_created(database: Database) -> bool:
    """Return whether the server has `database`; raises as `create_database`, and creates nothing."""
    try:
        with database.connect():
            return True
    except DatabaseRefusedError as refusal:
        if "does not exist" not in str(refusal) or f'"{database.name}"' not in str(refusal):
            raise
        return False


def create_database(database: Database) -> bool:
    """Create `database` when the server lacks it.

    Returns:
        Whether it was created now.

    Raises:
        DatabaseUnavailableError: The server cannot be reached.
        DatabaseRefusedError: The login fails, or may not create databases.
    """
    if is_created(database):
        return False
    with (
        database.named(MAINTENANCE_DATABASE).connect(autocommit=True) as connection,
        closing(connection.cursor()) as cursor,
    ):
        try:
            cursor.execute(f"create database {quoted(database.name)} {NEW_DATABASE}")
        except psycopg.Error as error:
            # Two that create at once meet in the catalogue's own index: the other one made it.
            if sqlstate(error) in {DUPLICATE_DATABASE, UNIQUE_VIOLATION}:
                return False
            if sqlstate(error) == INSUFFICIENT_PRIVILEGE:  # described with the database that is missing, not this one
                raise database.missing_right(error) from None
            raise
    return True
