"""Keeps incidents in `ops.incidents`. What is written there is decided in `incidents` and `evaluate`."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from datetime import datetime

from analytics_pipeline.alerts.all_shops import FAILED_OF_ALL
from analytics_pipeline.alerts.incidents import Decision, Incident
from analytics_pipeline.tables.operations import INCIDENTS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection

_COLUMNS = ", ".join(column.name for column in fields(Incident))
_UNSENT = "closed_at is null or over_sent_at is null or unreached <> '{}'"


def read_unfinished(database: Database, *, of_all: bool = False) -> list[Incident]:
    """Return the incidents that are open, and those that somebody has still to be notified of; see `read_open`."""
    return _read(database, f"({_UNSENT})", "opened_at, key", of_all=of_all)


def read_open(database: Database, *, of_all: bool = False) -> list[Incident]:
    """Return the open incidents, the oldest first.

    Args:
        database: Of a shop; of all shops the one with the plain names, where those of a shop may lie beside.
        of_all: Whether those of marts over all shops are meant, and not those of the shop.
    """
    return _read(database, "closed_at is null", "opened_at, key", of_all=of_all)


def read_closed(database: Database, number: int, *, of_all: bool = False) -> list[Incident]:
    """Return the last incidents that are over, the newest first; see `read_open`."""
    return _read(database, "closed_at is not null", f"closed_at desc, key limit {number}", of_all=of_all)


def keep(database: Database, decision: Decision, now: datetime) -> None:
    """Write what was decided, in one transaction: it is kept before anybody is notified, so that no crash loses it."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        for trouble in decision.opened:
            # An incident that was over and is there again since the same moment goes on.
            cursor.execute(
                f"insert into {INCIDENTS.sql_name} "
                "(key, kind, subject, opened_at, sends, text, run_id, unreached) "
                "values ($1, $2, $3, $4, 0, $5, $6, '{}') "
                "on conflict (key, opened_at) do update "
                "set closed_at = null, over_sent_at = null, last_sent_at = null, "
                "unreached = '{}', text = excluded.text, run_id = excluded.run_id",
                (trouble.key, trouble.kind, trouble.subject, trouble.since, trouble.text, trouble.run_id),
            )
        for trouble in decision.changed:
            cursor.execute(
                f"update {INCIDENTS.sql_name} set text = $1, run_id = $2 where key = $3 and closed_at is null",
                (trouble.text, trouble.run_id, trouble.key),
            )
        for incident in decision.closed:
            cursor.execute(
                f"update {INCIDENTS.sql_name} set closed_at = $1, unreached = '{{}}' "
                "where key = $2 and closed_at is null",
                (now, incident.key),
            )
        connection.commit()


def mark_sent(database: Database, incident: Incident, now: datetime, unreached: Sequence[str]) -> None:
    """Write that a message has reached a receiver, and which ones still lack it."""
    column = "last_sent_at" if incident.closed_at is None else "over_sent_at"
    _update(
        database, incident, f"{column} = $1, sends = sends + 1, unreached = string_to_array($2, ',')", now, unreached
    )


def mark_reached(database: Database, incident: Incident, unreached: Sequence[str]) -> None:
    """Write which receivers still lack the last message."""
    _update(database, incident, "unreached = string_to_array($1, ',')", unreached)


def mark_logged(database: Database, incident: Incident, now: datetime) -> None:
    """Write that the end of an incident was logged, since there is nobody to tell."""
    _update(database, incident, "over_sent_at = $1, unreached = '{}'", now)


def _update(database: Database, incident: Incident, change: str, *values: datetime | Sequence[str]) -> None:
    # An empty list cannot be bound.
    bound = [value if isinstance(value, datetime) else ",".join(value) for value in values]
    count = len(bound)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"update {INCIDENTS.sql_name} set {change} where key = ${count + 1} and opened_at = ${count + 2}",
            (*bound, incident.key, incident.opened_at),
        )
        connection.commit()


def _read(database: Database, condition: str, order: str, *, of_all: bool) -> list[Incident]:
    whose = f"key {'=' if of_all else '<>'} '{FAILED_OF_ALL}'"
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select {_COLUMNS} from {INCIDENTS.sql_name} where {condition} and {whose} order by {order}")
        return [_incident(row) for row in cursor.fetchall()]


def _incident(row: Connection) -> Incident:
    kept = Incident(*row)
    return replace(kept, unreached=tuple(kept.unreached))
