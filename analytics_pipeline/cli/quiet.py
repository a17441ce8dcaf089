"""What libraries write by themselves while the database is away: a line instead of pages.

Dagster's storage tries again and logs each attempt with the driver's whole text, and Python reports what generators
raise while they are thrown away. The command's own last line says what happened.
"""

import logging
import sys

from analytics_pipeline.warehouse.lost import is_lost, lost_database


def quiet_lost_database() -> None:
    """Keep such logs to one line, and leave out reports of what a lost database broke off."""
    logging.getLogger().addFilter(_first_line)  # Dagster's storage logs there
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _report


_shown: set[str] = set()


def _first_line(record: logging.LogRecord) -> bool:
    """Cut a record about a lost database to its first line, and drop it when it says nothing new."""
    text = record.getMessage()
    if not is_lost(text):
        return True
    first = next(iter(text.splitlines()), "")
    record.msg, record.args, record.exc_info = first, None, None
    is_new = first not in _shown
    _shown.add(first)
    return is_new


def _report(unraisable: "sys.UnraisableHookArgs") -> None:
    if unraisable.exc_value is None or lost_database(unraisable.exc_value) is None:
        sys.__unraisablehook__(unraisable)
