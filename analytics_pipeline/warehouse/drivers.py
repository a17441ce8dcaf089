"""The two drivers: connections opened, kept and closed, rows fetched, and errors that quote nobody's.

psycopg asks and writes, all of a transaction on one connection; ADBC reads tables as Arrow batches. A layer in a
statement becomes the schema of a shop here. Which server, database and shop is `connection`'s part.
"""

import atexit
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from threading import Lock
from typing import Any, cast

import adbc_driver_manager
import psycopg
from adbc_driver_postgresql import dbapi
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper, TextLoader

from analytics_pipeline.tables.shape import LAYERS, OF_THE_SHOP

Connection = Any
"""A DB-API connection, or a cursor of one: psycopg's, or ADBC's where tables are read."""
Begin = Callable[[str], Connection]
"""Opens a connection of one kind to a URL."""
DRIVER_ERRORS = (psycopg.Error, adbc_driver_manager.Error)


_LAYER = re.compile(f'{re.escape(OF_THE_SHOP)}({"|".join(LAYERS)})"')


def in_schemas(statement: str, namespace: str | None) -> str:
    """Return a statement whose layers are the schemas of one shop, as in `"ops".polls` or `"de_ops".polls`."""
    return _LAYER.sub(rf'"{namespace}_\1"' if namespace else r'"\1"', statement)


@cache
def _cursors(namespace: str | None) -> type[psycopg.RawCursor[Any]]:
    """Return the kind of cursor that means one shop's schemas by layers."""

    class OfOneShop(psycopg.RawCursor[Any]):
        def execute(self, query: Any, *arguments: Any, **settings: Any) -> "OfOneShop":  # noqa: ANN401 - psycopg's
            return super().execute(in_schemas(query, namespace), *arguments, **settings)

        def copy(self, statement: Any, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - as above
            return super().copy(in_schemas(statement, namespace), *arguments, **settings)

    return OfOneShop


def mean(connection: Connection, namespace: str | None) -> None:
    """Have the cursors that a connection gives from now on mean the schemas of one shop by layers."""
    connection.cursor_factory = _cursors(namespace)


class _InUtc(TimestamptzLoader):
    """Gives stamps in UTC, whatever zone the server has."""

    def load(self, data: Buffer) -> datetime:
        return super().load(data).astimezone(UTC)


def _adapted() -> AdaptersMap:
    """Return how values come and go: numbers and JSON as Postgres prints them, texts as texts and not as unknown."""
    known = AdaptersMap(psycopg.adapters)
    for name in ("numeric", "json", "jsonb"):
        known.register_loader(name, TextLoader)
    known.register_loader("timestamptz", _InUtc)
    known.register_dumper(str, StrDumper)
    known.register_dumper(int, Int8Dumper)
    return known


_ADAPTED = _adapted()


def begin(url: str) -> Connection:
    """Open a connection that takes `$1` as Postgres does and prepares nothing: tables change while it is kept."""
    connection: Connection = psycopg.connect(
        url, client_encoding="utf8", prepare_threshold=None, cursor_factory=psycopg.RawCursor, context=_Context()
    )
    if not (connection.pgconn.parameter_status(b"DateStyle") or b"").startswith(b"ISO"):
        connection.execute("set datestyle to iso")
        connection.commit()
    return connection


class _Context:
    """What psycopg asks for adapters."""

    adapters = _ADAPTED
    connection = None


def begin_reading(url: str) -> Connection:
    """Open a connection that reads Arrow batches."""
    # The driver opens one more for itself and reads the server's catalogue of types, which takes ten times as long as
    # connecting, but where a connection is cloned from one that is open.
    with _counting:
        opened = _readers.setdefault(url, set())
        connection = next(iter(opened)).adbc_clone() if opened else dbapi.connect(_in_utf8(url))
        opened.add(connection)
        return connection


def _in_utf8(url: str) -> str:
    """Return a URL whose sessions give UTF-8, as Arrow's texts are, whatever a role, a database or the client sets."""
    return f"{url}{'&' if '?' in url else '?'}client_encoding=utf8"


_readers: dict[str, set[Connection]] = {}
"""The connections that read and are open, by URL."""
_counting = Lock()
"""Held while a connection is taken, kept, cloned or closed: ADBC counts its own without one, and threads make it
miscount."""


MOST_KEPT = 4
_kept: dict[tuple[str, Begin], list[Connection]] = {}
"""Open connections that nobody uses, by URL and kind; each is outside of a transaction."""


def taken(url: str, begin: Begin) -> Connection | None:
    """Return a kept connection that still has a server at its other end, outside of a transaction."""
    while (kept := _pop(url, begin)) is not None:
        try:
            _ask(kept)
        except DRIVER_ERRORS:
            close(kept)
        else:
            return kept
    return None


def _ask(kept: Connection) -> None:
    """Ask for nothing, outside of a transaction: whoever takes it may have to set how its own is isolated."""
    if isinstance(kept, psycopg.Connection):
        kept.autocommit = True
        kept.execute("")
        kept.autocommit = False
    else:
        with closing(kept.cursor()) as cursor:
            cursor.execute("select 1")
        kept.rollback()


def _pop(url: str, begin: Begin) -> Connection | None:
    with _counting:
        waiting = _kept.get((url, begin))
        return waiting.pop() if waiting else None


def keep(url: str, begin: Begin, connection: Connection) -> bool:
    """Put a connection aside, undoing what was not committed; returns False where it is to be closed."""
    try:
        connection.rollback()
    except DRIVER_ERRORS:  # what was read or committed before counts all the same
        return False
    with _counting:
        waiting = _kept.setdefault((url, begin), [])
        if len(waiting) >= MOST_KEPT:
            return False
        waiting.append(connection)
        return True


def close(connection: Connection) -> None:
    """Close a connection; what it has not committed is undone."""
    with _counting:
        for opened in _readers.values():
            opened.discard(connection)
        connection.close()


@atexit.register
def _close_kept() -> None:
    for waiting in _kept.values():
        for connection in waiting:
            connection.close()
    _kept.clear()


def without_rows(error: Exception) -> Exception:
    """Return a driver's error, as one of psycopg of the same code, that quotes no row; its `excerpt` does.

    Postgres quotes keys and rows in the lines after the first one (DETAIL, CONTEXT), and values where these are the
    fault; psycopg quotes values that it cannot turn into the server's.
    """
    if hasattr(error, "excerpt"):
        return error
    text, code = str(error), sqlstate(error)
    first = first_line(error)
    kind = type(error) if isinstance(error, psycopg.Error) else _kind(code)
    if issubclass(kind, psycopg.DataError):
        first = re.sub(r"\".*\"|'.*'", '"..."', first)
    cleaned: Any = kind(f"Postgres: {first} ({code or 'no code'})")
    cleaned.sqlstate, cleaned.excerpt = code, text
    return cast("Exception", cleaned)


def _kind(code: str | None) -> type[psycopg.Error]:
    try:
        return psycopg.errors.lookup(code or "")
    except KeyError:
        return psycopg.DatabaseError


def first_line(error: Exception) -> str:
    """Return what a server says first; it may quote a value."""
    text = str(error)
    lines = (text.partition("ERROR:")[2].strip() or text).splitlines()
    return lines[0] if lines else ""


def sqlstate(error: BaseException) -> str | None:
    """Return Postgres' five-letter code of a driver's error."""
    code: str | None = getattr(error, "sqlstate", None)
    return code


def fetched(cursor: Connection) -> list[dict[str, Any]]:
    """Return the rows that a cursor has been given, as dictionaries."""
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
