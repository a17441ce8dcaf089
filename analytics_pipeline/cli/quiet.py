"""What libraries write by themselves while the database is away: a line each instead of pages.

Dagster's storage tries again and logs each attempt with the driver's whole text, and Python reports what generators
raise while they are thrown away. The command's own last line says what happened.
"""

import logging
import sys

from analytics_pipeline.database.lost import is_lost, lost_database


def quiet_lost_database() -> None:
    """Keep such logs to one line, and leave out reports of what a lost database broke off."""
    logging.getLogger().addFilter(_first_line)  # Dagster's storage logs there
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _report


def _first_line(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    if is_lost(text):
        record.msg, record.args = next(iter(text.splitlines()), ""), None
        record.exc_info = None
    return True


def _report(unraisable: "sys.UnraisableHookArgs") -> None:
    if unraisable.exc_value is None or lost_database(unraisable.exc_value) is None:
        sys.__unraisablehook__(unraisable)
