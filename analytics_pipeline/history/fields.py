"""The known fields of the shop's records, and every change of them."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, fields
from datetime import datetime

import pyarrow as pa

from analytics_pipeline.profile.drift import FieldChange, KnownField
from analytics_pipeline.tables.operations import FIELD_CHANGES, FIELDS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import fetched
from analytics_pipeline.warehouse.turns import key_of_lock


def known_fields(database: Database, endpoint: str) -> list[KnownField]:
    """Return what is known of one of the shop's lists, nothing before its first profile."""
    names = ", ".join(column.name for column in fields(KnownField))
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"select {names} from {FIELDS.sql_name} where endpoint = $1 order by path, json_type", (endpoint,)
        )
        return [KnownField(**row) for row in fetched(cursor)]


def record_fields(
    database: Database,
    endpoint: str,
    known: Sequence[KnownField],
    changes: Sequence[FieldChange],
    *,
    run_id: str,
    seen_at: datetime,
) -> None:
    """Replace what is known of a list and add the changes, in one transaction."""
    rows = [{"endpoint": endpoint, **asdict(field)} for field in known]
    changed = [{"endpoint": endpoint, "run_id": run_id, "seen_at": seen_at, **asdict(change)} for change in changes]
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select pg_advisory_xact_lock({key_of_lock(0)})", (FIELDS.qualified_name,))
        cursor.execute(f"delete from {FIELDS.sql_name} where endpoint = $1", (endpoint,))
        for table, listed in ((FIELDS, rows), (FIELD_CHANGES, changed)):
            if listed:
                arrow = pa.Table.from_pylist(listed, schema=table.arrow_schema)
                copy_rows(cursor, table.sql_name, arrow)
        connection.commit()
