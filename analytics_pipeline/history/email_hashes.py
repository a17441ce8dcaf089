"""Which key the e-mail hashes of a database are made with, and the way of older, plain hashes to it.

A database knows its key by the fingerprint in `ops.installation`. Under another key every guest would be somebody new,
so that one is refused.
"""

import re
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.email_key import key_file, make_key, place_of_key, read_key
from analytics_pipeline.settings import EMAIL_KEY, Settings
from analytics_pipeline.tables.operations import INSTALLATION
from analytics_pipeline.tables.shape import schema_in_sql
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import exists, query
from analytics_pipeline.warehouse.turns import exclusive

NAME = "email_key"
GUEST = "email:"
_HASHED = {"email_hash": "", "customer_key": GUEST, "segment": GUEST}
"""Columns that hold hashes, wherever they stand, and what precedes the hash."""
_PLAIN_HASH = re.compile("[0-9a-f]{64}")
_REHASHED = "rehashed"


def email_key(database: Database, settings: Settings) -> EmailKey:
    """Return the key for the hashes of a database; made, and stored hashes replaced, when the database has none yet.

    Raises:
        SettingsError: The database has another key, or the key is missing or none.
    """
    key = _fitting_key(database, settings)
    if key is None:
        key = make_key(settings)
    if bound_fingerprint(database) is None:
        _bind(database, key)
        _fitting_key(database, settings)  # another process may have been first, with another key
    return key


def describe_key(database: Database, settings: Settings) -> str:
    """Say which key a database has and where it lies, and never the key; changes nothing.

    Raises:
        SettingsError: As `email_key`.
    """
    place = place_of_key(settings)
    key = _fitting_key(database, settings)
    if key is None:
        return f"none yet: the first run makes it in {place}"
    is_bound = exists(database, INSTALLATION) and bound_fingerprint(database) is not None
    return f"fingerprint {key.fingerprint}, in {place}" + ("" if is_bound else "; the next run takes it into use")


def _fitting_key(database: Database, settings: Settings) -> EmailKey | None:
    """Return the key that the settings give, None where there is none yet; one that does not fit is refused."""
    bound = bound_fingerprint(database) if exists(database, INSTALLATION) else None
    key = read_key(settings)
    if bound is None or (key is not None and key.fingerprint == bound):
        return key
    found = f"and {key_file(settings)} is missing"
    if key is not None:
        found = f"not with the one in {place_of_key(settings)} (fingerprint {key.fingerprint})"
    raise SettingsError(
        f"the e-mail hashes of {database.label} are made with the key of fingerprint {bound}, {found}: guests would be "
        f"counted anew. Put that key back, as its file or as {EMAIL_KEY}. If it is lost: delete from "
        f"{database.schema(INSTALLATION.schema)}.{INSTALLATION.name} where name = '{NAME}', and load all days again."
    )


def bound_fingerprint(database: Database) -> str | None:
    """Return the fingerprint of the key that the stored hashes are made with; the table is there."""
    rows = query(database, f"select value from {INSTALLATION.sql_name} where name = '{NAME}'")
    return rows[0]["value"] if rows else None


def _bind(database: Database, key: EmailKey) -> None:
    """Mark the database with the key and replace its plain hashes, in one transaction; once, however many try."""
    # No step that cleans is at work meanwhile, with rows of the old hashes in hand.
    with (
        exclusive(database, "clean orders"),
        exclusive(database, "clean customers"),
        database.connect() as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute("set transaction isolation level read committed")
        cursor.execute(f"lock table {INSTALLATION.sql_name} in share row exclusive mode")
        cursor.execute(f"select 1 from {INSTALLATION.sql_name} where name = $1", (NAME,))
        if cursor.fetchone() is not None:
            return
        _replace_hashes(cursor, key)
        cursor.execute(
            f"insert into {INSTALLATION.sql_name} (name, value, set_at) values ($1, $2, clock_timestamp())",
            (NAME, key.fingerprint),
        )
        connection.commit()


def _replace_hashes(cursor: Connection, key: EmailKey) -> None:
    places = list(_places(cursor))
    found: set[str] = set()
    for table, column, prefix in places:
        cursor.execute(f"select distinct substr({column}, {len(prefix) + 1}) from {table} where {_is_plain(column)}")
        found |= {row[0] for row in cursor.fetchall()}
    plain = sorted(one for one in found if _PLAIN_HASH.fullmatch(one))
    if not plain:
        return
    hashes = pa.table({"old": plain, "new": [key.rehash(one) for one in plain]})
    cursor.execute(f"create temporary table {_REHASHED} (old text primary key, new text not null) on commit drop")
    copy_rows(cursor, _REHASHED, hashes)
    for table, column, prefix in places:
        cursor.execute(
            f"update {table} set {column} = '{prefix}' || {_REHASHED}.new from {_REHASHED} "
            f"where {table}.{column} = '{prefix}' || {_REHASHED}.old"
        )


def _places(cursor: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield table, column and prefix of what may hold hashes: also marts of the user's own."""
    schemas = [f"to_regnamespace('{schema_in_sql(layer)}')" for layer in ("clean", "marts", "ops")]
    cursor.execute(
        "select a.attrelid::regclass::text, a.attname from pg_attribute as a join pg_class as c on c.oid = a.attrelid "
        f"where c.relkind = 'r' and c.relnamespace in ({', '.join(schemas)}) and a.atttypid = 'text'::regtype "
        "and a.attnum > 0 and not a.attisdropped and a.attname = any($1) order by 1, 2",
        (list(_HASHED),),
    )
    for table, column in cursor.fetchall():
        yield table, column, _HASHED[column]


def _is_plain(column: str) -> str:
    return f"{column} ~ '^{_HASHED[column]}[0-9a-f]{{64}}$'"
