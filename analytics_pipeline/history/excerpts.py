"""Keeps what errors quote apart from their messages, in `ops.error_excerpts`: it may be of a person.

Everything that goes on to Dagster, a log or a message is an error that quotes nothing. What is kept has a bounded size
and age.
"""

import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from analytics_pipeline.errors import PipelineError, UnforeseenError
from analytics_pipeline.plain import plain_lines
from analytics_pipeline.tables.operations import ERROR_EXCERPTS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline.warehouse.slices import exists, query

DAYS_KEPT = 30
ROWS_KEPT = 200
LONGEST = 2_000
FRAMES = 4
"""Lines of code that are kept of an error that nobody foresaw."""
_PACKAGE = Path(__file__).parents[1]


@contextmanager
def excerpts_apart(
    database: Database, place: str, run_id: str | None = None, *, passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Keep what an error of the block quotes, and let an error go on that quotes nothing.

    Args:
        database: Where it is kept; a database that cannot be reached keeps nothing.
        place: The step or the command.
        run_id: Dagster's id of the run.
        passing: Errors of others that quote nothing, and go on as they are.

    Raises:
        UnforeseenError: In place of an error that is not the project's own.
    """
    try:
        yield
    except passing:
        raise
    except PipelineError as error:
        message = "\n".join(_quoted(error))
        if message:
            keep(database, place, str(error), message, run_id)
        # Dagster stores the texts of the errors behind one, too.
        error.__cause__, error.__suppress_context__ = None, True
        raise
    except Exception as error:  # noqa: BLE001 - it goes on as another one
        quoted = "\n".join([*_quoted(error), f"{error!r}", *traceback.format_exception(error, limit=-FRAMES)])
        unforeseen = UnforeseenError(_kind_and_place(error), excerpt=quoted)
        keep(database, place, str(unforeseen), quoted, run_id)
    else:
        return
    # Whoever entered the block handles the first error still: it would be reported as this one's context.
    raise unforeseen from None


def keep(database: Database, place: str, message: str, excerpt: str, run_id: str | None = None) -> bool:
    """Keep an excerpt, and forget what is too old or too much.

    Returns:
        Whether it is kept: not where the database is the fault.
    """
    with suppress(PipelineError, psycopg.Error):
        prepare(database)
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                f"insert into {ERROR_EXCERPTS.sql_name} (at, run_id, place, message, excerpt) "
                "values (clock_timestamp(), $1, $2, $3, $4)",
                (run_id, place, message, excerpt[:LONGEST].replace("\x00", "\ufffd")),
            )
            _forget(cursor)
            connection.commit()
        return True
    return False


def forget_old_excerpts(database: Database) -> None:
    """Forget what has been kept long enough; the table is there."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        _forget(cursor)
        connection.commit()


def read_excerpts(database: Database, run_id: str | None = None) -> list[dict[str, Any]]:
    """Return what is kept, the newest first.

    Args:
        database: Where it is kept.
        run_id: Only of the runs whose ids begin so.
    """
    if not exists(database, ERROR_EXCERPTS):
        return []
    found = query(
        database,
        f"select at, run_id, place, message, excerpt from {ERROR_EXCERPTS.sql_name} "
        f"where at > now() - interval '{DAYS_KEPT} days' order by at desc",
    )
    return [row for row in found if run_id is None or (row["run_id"] or "").startswith(run_id)]


def _forget(cursor: Any) -> None:  # noqa: ANN401 - a cursor
    table = ERROR_EXCERPTS.sql_name
    cursor.execute(
        f"delete from {table} where at < now() - interval '{DAYS_KEPT} days' "
        f"or at < (select at from {table} order by at desc offset {ROWS_KEPT - 1} limit 1)"
    )


def _quoted(error: BaseException | None) -> Iterator[str]:
    """Yield the excerpts of an error and of those behind it."""
    while error is not None:
        excerpt: str | None = getattr(error, "excerpt", None)
        if excerpt:
            yield plain_lines(excerpt)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _kind_and_place(error: BaseException) -> str:
    """Say what kind of error it is and in which line of this project it came up, and nothing of what it says."""
    if hasattr(error, "excerpt"):  # of the driver: it quotes nothing any more
        return str(error)
    kind = f"{type(error).__module__.partition('.')[0]}'s {type(error).__name__}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(frame.filename).parents]
    if not frames:
        return f"an error that nobody foresaw: {kind}."
    place = Path(frames[-1].filename).relative_to(_PACKAGE)
    return f"an error that nobody foresaw: {kind} at {place}, line {frames[-1].lineno}."
