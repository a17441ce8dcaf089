"""Rights that a login lacks, said with the SQL that grants them.

The server names the object; who asks and where is known from the connection. Nothing is granted here.
"""

import re

from analytics_pipeline.errors import DatabaseRefusedError

TABLE_RIGHTS = "select, insert, update, delete"
NEW_DATABASE = "template template0 encoding 'UTF8' lc_collate 'C'"
"""How a database is made: ids and codes compare byte by byte, the same everywhere, and indexes are built faster."""
NAMED = re.compile(r"(?:permission denied for|must be owner of) (?P<kind>materialized view|[a-z]+)(?: (?P<name>.+))?$")


def missing_right(reason: str, *, login: str, database: str, label: str) -> DatabaseRefusedError:
    """Say which right a login lacks, and how it is granted.

    Args:
        reason: The server's own words, such as `permission denied for schema public`.
        login: Name of the login.
        database: Name of the database that it worked in.
        label: Server and database, without secrets.
    """
    reason = (reason.strip().splitlines() or ["permission denied"])[0]
    login = quoted(login or "LOGIN")
    grant = _grant(reason, login)
    if "to create database" in reason:
        remedy = (
            f"A superuser makes it: create database {quoted(database)} owner {login} {NEW_DATABASE}; "
            f"or lets the login do so: alter role {login} createdb;"
        )
    elif grant is not None:
        remedy = f"Its owner or a superuser grants it, connected to the database {database}: {grant};"
    else:
        remedy = "Let the database's owner grant it, or use another login."
    return DatabaseRefusedError(f"the login of {label} lacks a right: {reason}. {remedy}")


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _grant(reason: str, login: str) -> str | None:
    """Return the statement that grants what the server misses, None where it cannot be known from its words."""
    found = NAMED.search(reason)
    if found is None:
        return None
    kind, name = found["kind"], (found["name"] or "").strip('"')
    if "must be owner" in reason:
        return f"alter {kind} {name} owner to {login}"
    grants = {
        "database": f"grant create on database {quoted(name)} to {login}",
        "schema": f"grant usage, create on schema {quoted(name)} to {login}",
        "table": f"grant {TABLE_RIGHTS} on table {name} to {login}",
        "view": f"grant select on table {name} to {login}",
        "sequence": f"grant usage on sequence {name} to {login}",
        "function": f"grant execute on function {name} to {login}",
    }
    return grants.get(kind)
