"""Whose a database is: bound to one shop by a random id that the first load gives it, with the shop's name and address.

Two shops in one database would overwrite each other's days without a word, and move each other's cursors. So whoever
writes looks here first; under another name or address nothing is written until `rebind` has asked the shop.
"""

import hashlib
import os
import uuid
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from analytics_pipeline.errors import MissingSecretError, SettingsError
from analytics_pipeline.settings import DATABASE_URL, HOME
from analytics_pipeline.shop.references import has_reference, resolve
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.operations import INSTALLATION
from analytics_pipeline.tables.shape import schema_in_sql
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.schema import Stored, prepare, read_stored
from analytics_pipeline.warehouse.slices import exists, query

ID, NAME, BASE_URL, RESOLVED = "shop_id", "shop_name", "shop_base_url", "shop_base_url_hash"
OPS = INSTALLATION.schema
COMMENT = "Answers of the shop "
"""How the schema `raw` was marked before there was a table."""
OF_FILES = "files:"
"""Begins the address of a shop that is read from files; its folder follows."""
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Binding:
    """The shop that a database is bound to.

    Attributes:
        name: Its name in the description.
        base_url: Its address as the description has it, references unresolved; None where it was not kept.
        resolved: Hash of the address that references led to; empty where there are none.
    """

    name: str
    base_url: str | None
    resolved: str = ""

    def fits(self, shop: Shop) -> bool:
        """Return whether the description is of this shop, by name and address."""
        other = _described(shop)
        if self.name != other.name or self.base_url not in {None, other.base_url}:
            return False
        return not (self.resolved and other.resolved) or self.resolved == other.resolved


def refuse_another_shop(database: Database, shop: Shop, stored: Stored | None = None) -> None:
    """Look whose the database is, before anything is written to it; one that nobody has bound is free.

    Args:
        database: Where the tables lie.
        shop: The shop that it has to hold.
        stored: What the database has said of itself, if it has been asked.

    Raises:
        SettingsError: It is bound to another shop, or to one of another name or address.
    """
    bound = binding_of(database, stored)
    if bound is not None and not bound.fits(shop):
        raise _refusal(database, bound, shop)


def binding_of(database: Database, stored: Stored | None = None) -> Binding | None:
    """Return to which shop the database is bound, None for a new one; see `refuse_another_shop`."""
    facts = (stored or read_stored(database)).facts
    return _bound(facts) if NAME in facts else _commented(database)


def bound_shops(database: Database) -> dict[str | None, Binding]:
    """Return the shops that the schemas of a database are bound to, by namespace.

    Schemas that the login may not read are another one's.
    """
    rows = query(
        database,
        "select nspname as name, "
        "has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as is_ours "
        "from pg_namespace as n join pg_class as c on c.relnamespace = n.oid "
        f"where relname = '{INSTALLATION.name}' and (nspname = '{OPS}' or right(nspname, {len(OPS) + 1}) = '_{OPS}') "
        "order by 1",
    )
    readable = {row["name"].removesuffix(OPS).removesuffix("_") or None: row["is_ours"] for row in rows}
    namespaces = [namespace for namespace, is_ours in {None: True, **readable}.items() if is_ours]
    found = {namespace: binding_of(database.of(namespace)) for namespace in namespaces}
    return {namespace: bound for namespace, bound in found.items() if bound is not None}


def bind(database: Database, shop: Shop) -> None:
    """Bind the database to the shop, or look whether it is; of two that bind at once one is refused.

    Raises:
        SettingsError: It is bound to another shop.
    """
    stored = read_stored(database)
    refuse_another_shop(database, shop, stored)
    prepare(database, stored)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('analytics_pipeline bind', 0))")
        cursor.execute(f"select name, value from {INSTALLATION.sql_name}")
        bound = _bound(dict(cursor.fetchall()))
        if bound is not None and not bound.fits(shop):
            raise _refusal(database, bound, shop)
        if bound is None or bound.base_url is None:
            _keep(cursor, shop)
            connection.commit()


def rebind(database: Database, shop: Shop) -> None:
    """Bind the database to the shop whatever it was bound to; whoever calls has made sure that it is the same one."""
    prepare(database)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        _keep(cursor, shop)
        connection.commit()


def _bound(facts: Mapping[str, str]) -> Binding | None:
    return Binding(facts[NAME], facts.get(BASE_URL), facts.get(RESOLVED, "")) if NAME in facts else None


def _commented(database: Database) -> Binding | None:
    raw = f"to_regnamespace('{schema_in_sql(RAW_ORDERS.table.schema)}')"
    comment = f"select obj_description(oid, 'pg_namespace') as text from pg_namespace where oid = {raw}"
    texts = [row["text"] or "" for row in query(database, comment)]
    return next((Binding(text.removeprefix(COMMENT), None) for text in texts if text.startswith(COMMENT)), None)


def _keep(cursor: Connection, shop: Shop) -> None:
    described = _described(shop)
    names = {NAME: described.name, BASE_URL: described.base_url or "", RESOLVED: described.resolved}
    table = INSTALLATION.sql_name
    cursor.execute(
        f"insert into {table} (name, value, set_at) values ($1, $2, clock_timestamp()) on conflict (name) do nothing",
        (ID, str(uuid.uuid4())),
    )
    for name, value in names.items():
        cursor.execute(
            f"insert into {table} (name, value, set_at) values ($1, $2, clock_timestamp()) "
            "on conflict (name) do update set value = excluded.value, set_at = excluded.set_at",
            (name, value),
        )


def _described(shop: Shop) -> Binding:
    resolved = ""
    if shop.base_url is None:
        return Binding(shop.name, f"{OF_FILES}{shop.files.folder}" if shop.files else OF_FILES)
    if has_reference(shop.base_url):
        with suppress(MissingSecretError, ValueError):
            url = resolve(shop.base_url, os.environ, where="base_url").rstrip("/")
            # A demo shop or a tunnel takes another port each time; an address elsewhere is another place.
            if urlsplit(url).hostname not in THIS_MACHINE:
                resolved = hashlib.sha256(url.encode()).hexdigest()
    return Binding(shop.name, shop.base_url.rstrip("/"), resolved)


def _refusal(database: Database, bound: Binding, shop: Shop) -> SettingsError:
    described = _described(shop)
    place = f" at {bound.base_url}" if bound.base_url is not None and bound.name == shop.name else ""
    other_place = f" at {described.base_url}" if place else ""
    where = f" in {database.schema(RAW_ORDERS.table.schema)} and so on" if database.namespace else ""
    is_not = f"not {shop.name}{other_place}; nothing was written. "
    holds = f"{database.label} holds{where} the shop {bound.name}{place}, {is_not}"
    if place and not _has_orders(database):
        return SettingsError(
            f"{holds}No order is stored yet: `analytics-pipeline rebind` binds it to the address of the description."
        )
    meant = "" if place else f"If {bound.name} is meant, name its description with --shop. "
    return SettingsError(
        f"{holds}{meant}For {shop.name} beside it give the description a `namespace:` of its own, or set {HOME} or "
        f"{DATABASE_URL} to another place. If it is the same shop under another name or address, `analytics-pipeline "
        "rebind` asks it for stored orders and binds it."
    )


def _has_orders(database: Database) -> bool:
    table = RAW_ORDERS.table
    return exists(database, table) and bool(query(database, f"select 1 from {table.sql_name} limit 1"))
