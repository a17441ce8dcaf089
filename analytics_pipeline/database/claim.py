"""One database holds one shop: whose it is stands in the comment of the schema `raw`.

Two shops in one database would overwrite each other's days without a word.
"""

from contextlib import closing

from analytics_pipeline.database.connection import Database
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.settings import DATABASE_URL, HOME

PREFIX = "Answers of the shop "


def claim_database(database: Database, shop: str) -> None:
    """Mark the database as the one of `shop`, or check that it is.

    Raises:
        SettingsError: The database holds another shop.
    """
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        owner = _owner(cursor)
        if owner is None:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended('analytics_pipeline claim', 0))")
            owner = _owner(cursor)
        if owner is None:
            cursor.execute("create schema if not exists raw")
            cursor.execute(f"comment on schema raw is '{PREFIX}{shop}'")
            connection.commit()
        elif owner != shop:
            message = (
                f"{database.label} holds the shop {owner}, not {shop}. One database holds one shop: "
                f"set {HOME} or {DATABASE_URL} to another place for {shop}."
            )
            raise SettingsError(message)


def _owner(cursor: object) -> str | None:
    cursor.execute("select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = 'raw'")  # type: ignore[attr-defined]
    row = cursor.fetchone()  # type: ignore[attr-defined]
    return row[0].removeprefix(PREFIX) if row and row[0] and row[0].startswith(PREFIX) else None
