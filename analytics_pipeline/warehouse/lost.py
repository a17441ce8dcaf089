"""A database that goes away in the middle of work, described in one sentence whichever library noticed it.

The project's own driver, Dagster's storage and what wraps these raise errors of their own kinds, of many lines each.
"""

from collections.abc import Iterator

from analytics_pipeline.errors import DatabaseUnavailableError

LIBRARIES = {"adbc_driver_manager", "psycopg", "psycopg2", "sqlalchemy", "dagster_postgres"}
CODES = {"57P01", "57P02", "57P03"}
"""Stopped by an administrator, by a crash, and just starting; with class 08, trouble of the connection itself."""
WORDS = (
    "server closed the connection",
    "terminating connection",
    "connection refused",
    "connection reset",
    "connection already closed",
    "connection not open",
    "the connection is closed",
    "the connection is lost",
    "connection to server",
    "no connection to the server",
    "could not receive data from server",
    "could not send data to server",
    "the database system is",
    "ssl syscall error",
    "broken pipe",
    "too many retries for db connection",
)


def is_lost(message: str, code: str | None = None) -> bool:
    """Return whether a library's error says that the connection is gone.

    Args:
        message: Its message.
        code: Postgres' code, where there is one.
    """
    return (code is not None and (code in CODES or code.startswith("08"))) or any(
        words in message.lower() for words in WORDS
    )


def lost_database(error: BaseException) -> DatabaseUnavailableError | None:
    """Return the error that says so when an error comes from a database that went away, else None."""
    for one in _chain(error):
        library = type(one).__module__.partition(".")[0]
        code = getattr(one, "sqlstate", None) or getattr(one, "pgcode", None)
        if library in LIBRARIES and is_lost(str(one), code if isinstance(code, str) else None):
            return DatabaseUnavailableError(sentence(str(one)))
    return None


def sentence(message: str) -> str:
    """Say that the database went away, with the library's first line."""
    first = next((line.strip() for line in message.splitlines() if line.strip()), "no reason given")
    return (
        f"the database went away in the middle: {first.rstrip('.')}. What was committed stays, the rest was undone; "
        "see that the server runs (the embedded one is started again) and call the command again."
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
