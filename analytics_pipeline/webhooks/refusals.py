"""Calls that are refused: why, with which status, and how many; nothing else of them is kept."""

from collections import Counter
from contextlib import closing
from enum import Enum
from threading import Lock

from analytics_pipeline.tables.webhooks import WEBHOOK_REFUSALS
from analytics_pipeline.warehouse.connection import Database


class Reason(Enum):
    """Why a call is refused, by the word of `ops.webhook_refusals`, and the HTTP status that says so."""

    UNSIGNED = ("unsigned", 401)
    WRONG_SIGNATURE = ("wrong_signature", 401)
    LATE = ("late", 401)
    TOO_LARGE = ("too_large", 413)
    TOO_MANY_HEADERS = ("too_many_headers", 431)
    TOO_SLOW = ("too_slow", 408)
    CUT = ("cut", 400)
    UNREADABLE = ("unreadable", 400)
    BUSY = ("busy", 503)
    NO_DATABASE = ("no_database", 503)

    def __init__(self, word: str, status: int) -> None:
        self.word, self.status = word, status


class Refused(Exception):  # noqa: N818 - what happened to a call, no fault of the program
    """A call is not taken.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.word)
        self.reason = reason


class Refusals:
    """Counts what one shop's calls were refused for; a flood of them costs one statement now and then."""

    def __init__(self) -> None:
        self._counts: Counter[Reason] = Counter()
        self._lock = Lock()

    def __bool__(self) -> bool:
        """Whether there is something to be written."""
        return bool(self._counts)

    def note(self, reason: Reason) -> None:
        """Count one."""
        with self._lock:
            self._counts[reason] += 1

    def keep(self, database: Database) -> None:
        """Add what was counted to the table; what cannot be written is counted on."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            with database.connect() as connection, closing(connection.cursor()) as cursor:
                for reason in sorted(
                    counts, key=lambda one: one.word
                ):  # in one order, so that nobody waits in a circle
                    cursor.execute(
                        f"""
                        insert into {WEBHOOK_REFUSALS.sql_name} as stored (day, reason, calls, last_at)
                        values ((clock_timestamp() at time zone 'UTC')::date, $1, $2, clock_timestamp())
                        on conflict (day, reason) do update set
                            calls = stored.calls + excluded.calls, last_at = excluded.last_at
                        """,
                        (reason.word, counts[reason]),
                    )
                connection.commit()
        except BaseException:
            with self._lock:
                self._counts += counts
            raise
