"""How a database that goes away is reported, whichever library notices it."""

import logging

import psycopg
import psycopg2  # type: ignore[import-untyped]
import pytest
import sqlalchemy.exc
from adbc_driver_manager import AdbcStatusCode, OperationalError
from dagster_postgres.utils import DagsterPostgresException

from analytics_pipeline.cli.quiet import _first_line
from analytics_pipeline.warehouse.lost import lost_database

CLOSED = "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n"


def _wrapped(inner: Exception) -> Exception:
    error = RuntimeError("a step failed")
    error.__cause__ = inner
    return error


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.OperationalError(CLOSED),
        psycopg2.InterfaceError("connection already closed"),
        sqlalchemy.exc.OperationalError("select 1", {}, psycopg2.OperationalError(CLOSED)),
        DagsterPostgresException("too many retries for DB connection"),
        OperationalError("IO: no connection to the server", status_code=AdbcStatusCode.IO),
        OperationalError("IO: gone", status_code=AdbcStatusCode.IO, sqlstate="57P01"),
        psycopg.OperationalError("consuming input failed: " + CLOSED),
        psycopg.OperationalError("the connection is closed"),
        psycopg.errors.AdminShutdown("gone"),
        _wrapped(psycopg2.OperationalError(CLOSED)),
    ],
    ids=[
        "psycopg2",
        "closed",
        "sqlalchemy",
        "dagster",
        "adbc",
        "adbc code",
        "psycopg",
        "psycopg closed",
        "psycopg code",
        "wrapped",
    ],
)
def test_a_lost_database_is_reported_in_one_line_with_what_to_do(error: Exception) -> None:
    messages = str(lost_database(error))
    assert messages.startswith("the database went away in the middle: ")
    assert messages.endswith("call the command again.")
    assert "\n" not in messages


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.ProgrammingError("relation runs does not exist"),
        sqlalchemy.exc.OperationalError("select 1", {}, psycopg2.OperationalError("disk full")),
        ConnectionRefusedError("connection refused"),
        ValueError("server closed the connection"),
    ],
    ids=repr,
)
def test_other_errors_are_none_of_a_lost_database(error: Exception) -> None:
    assert lost_database(error) is None


def test_logs_of_attempts_to_connect_again_are_one_line() -> None:
    record = logging.LogRecord("root", logging.WARNING, "", 1, "Retrying failed: %s", (CLOSED,), None)
    assert _first_line(record)
    assert record.getMessage() == "Retrying failed: server closed the connection unexpectedly"
    assert not _first_line(record)
    other = logging.LogRecord("root", logging.WARNING, "", 1, "two\nlines of something else", None, None)
    assert _first_line(other)
    assert other.getMessage() == "two\nlines of something else"
