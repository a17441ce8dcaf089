"""The schema version of the project's own tables: what a database has, what is pending, and the way there.

A step from one version to the next is a numbered file of `tables/migrations`; there is no way back. What is only new
needs none: `layout` adds tables and columns. Views and functions, a file each in `tables/views`, are made anew when
their text has changed. What a database has is kept in its `ops.installation`, so that one query says whether it is up
to date. Whose it is is no matter here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import psycopg

from analytics_pipeline import tables
from analytics_pipeline.errors import DatabaseRefusedError, NewerSchemaError, TableMismatchError
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.tables.operations import INSTALLATION
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection, sqlstate
from analytics_pipeline.warehouse.layout import (
    add_columns,
    create_statements,
    ensure_schema,
    ensure_table,
    key_statements,
    patiently,
    wait_for_turn,
)
from analytics_pipeline.warehouse.slices import UNDEFINED_TABLE, query

VERSION, SHAPES, VIEW = "schema_version", "schema_shapes", "schema_view_"
"""Names of facts in `ops.installation`; the last one is followed by the view's name."""
CONTRACT_TABLES = tuple(contract.table for contract in CONTRACTS)
FOLDER = Path(tables.__file__).parent


@dataclass(frozen=True)
class Migration:
    """One step: the statements of a file, which run in one transaction on the tables as the version before has them.

    Attributes:
        number: The version that it leads to.
        name: The file's name, as in `0001_days_read_again_have_one_reason`.
        sql: The statements.
    """

    number: int
    name: str
    sql: str


@dataclass(frozen=True)
class Schema:
    """What this installation of the project wants of a database.

    Attributes:
        migrations: Every step, in order.
        views: Statements of views and functions, by name.
    """

    migrations: tuple[Migration, ...]
    views: Mapping[str, str]

    @property
    def version(self) -> int:
        """The newest version."""
        return self.migrations[-1].number

    @cached_property
    def facts(self) -> dict[str, str]:
        """What a database that is up to date has in `ops.installation`."""
        shapes = [text for table in (*OPS_TABLES, *CONTRACT_TABLES) for text in _shape(table)]
        hashes = {f"{VIEW}{name}": _hash(text) for name, text in self.views.items()}
        return {VERSION: str(self.version), SHAPES: _hash(*shapes), **hashes}


@dataclass(frozen=True)
class Stored:
    """What a database says of itself.

    Attributes:
        facts: The rows of `ops.installation`; none where that table is not there.
        missing: Tables of the history that it lacks, as in ops.polls.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Its schema version; 0 before there were any."""
        return int(self.facts.get(VERSION, 0))

    @property
    def is_new(self) -> bool:
        """Whether nothing has been made yet."""
        return len(self.missing) == len(OPS_TABLES)

    def pending(self, schema: Schema) -> list[str]:
        """Return what is to be done, a name each, in this order; nothing where the database is up to date."""
        changed = {name for name, value in schema.facts.items() if self.facts.get(name) != value}
        shapes = ["tables and columns"] if self.missing or SHAPES in changed else []
        views = [f"ops.{name}" for name in schema.views if f"{VIEW}{name}" in changed]
        steps = [step.name for step in schema.migrations if step.number > self.version and not self.is_new]
        # A new database takes the newest version with its tables.
        return [*steps, *shapes, *views]


@cache
def packaged_schema() -> Schema:
    """Return the schema of this installation, from its files."""
    steps = sorted((FOLDER / "migrations").glob("*.sql"))
    return Schema(
        tuple(Migration(int(step.stem[:4]), step.stem, step.read_text(encoding="utf-8")) for step in steps),
        {path.stem: path.read_text(encoding="utf-8") for path in sorted((FOLDER / "views").glob("*.sql"))},
    )


def read_stored(database: Database) -> Stored:
    """Return what a database says of itself; one query where it has been opened before."""
    names = ", ".join(f"('{table.qualified_name}', '{table.sql_name}')" for table in OPS_TABLES)
    wanted = f"(values {names}) as wanted (name, in_sql)"
    missing = f"select name, null as value from {wanted} where to_regclass(in_sql) is null"
    try:
        rows = query(database, f"select name, value from {INSTALLATION.sql_name} union all {missing}")
    except psycopg.Error as error:
        if sqlstate(error) != UNDEFINED_TABLE:
            raise
        rows = query(database, missing)
    facts = {row["name"]: row["value"] for row in rows if row["value"] is not None}
    return Stored(facts, tuple(row["name"] for row in rows if row["value"] is None))


def refuse_newer(database: Database, stored: Stored, schema: Schema | None = None) -> None:
    """Refuse a database that a newer version of the project has been at work on.

    Raises:
        NewerSchemaError: It is one.
    """
    known = (schema or packaged_schema()).version
    if stored.version > known:
        raise NewerSchemaError(
            f"{database.label} has the schema version {stored.version}, and this installation knows those up to "
            f"{known}: a newer one has been at work on it. Nothing was written. Upgrade this installation, or name "
            "another database."
        )


def prepare(database: Database, stored: Stored | None = None, schema: Schema | None = None) -> None:
    """Bring a database up to date: migrations, each in a transaction of its own, then tables, columns and views.

    Processes that do so at once take turns. What ends in the middle leaves the version whole that it had come to.

    Args:
        database: Where the tables lie.
        stored: What it has said of itself, if it has been asked.
        schema: What is wanted; that of this installation when None.

    Raises:
        NewerSchemaError: A newer version of the project has been at work on it; nothing is written.
        TableMismatchError: A stored table does not fit its shape.
        TableBusyError: A table is to be changed and is in use.
        DatabaseRefusedError: The login may not do what is to be done.
    """
    schema, stored = schema or packaged_schema(), stored or read_stored(database)
    refuse_newer(database, stored, schema)
    pending = stored.pending(schema)
    if not pending:
        return
    try:
        _bring_up_to_date(database, schema)
    except DatabaseRefusedError as refusal:
        if stored.is_new:
            raise
        raise DatabaseRefusedError(
            f"{database.label} is not up to date (pending: {', '.join(pending)}), and this login may not change it: "
            f"any command with the login of its owner does. {refusal}"
        ) from None


def _bring_up_to_date(database: Database, schema: Schema) -> None:
    ensure_schema(database, INSTALLATION.schema)
    for step in schema.migrations:
        _migrate(database, schema, step)
    add_columns(database, OPS_TABLES)
    for table in CONTRACT_TABLES:
        with suppress(TableMismatchError):  # whoever writes the table is refused, and nobody else
            add_columns(database, [table])
    _complete(database, schema)


def _migrate(database: Database, schema: Schema, step: Migration) -> None:
    with _turn(database, schema) as (cursor, stored):
        if stored.is_new or stored.version >= step.number:
            return
        with patiently(cursor, f"the migration {step.name} changes a table that has been in use"):
            # One statement, so that a step may branch and loop.
            cursor.execute(f"do $migration$ begin {step.sql}\nend $migration$")
        _keep(cursor, {VERSION: str(step.number)})


def _complete(database: Database, schema: Schema) -> None:
    """Make the tables that are missing and the views that have changed, and note what the database has now."""
    with _turn(database, schema) as (cursor, stored):
        for table in OPS_TABLES:
            for statement in ensure_table(cursor.connection, table):
                cursor.execute(statement)
        for name, text in schema.views.items():
            if stored.facts.get(f"{VIEW}{name}") != schema.facts[f"{VIEW}{name}"]:
                with patiently(cursor, f"ops.{name} is made anew and has been in use"):
                    cursor.execute(f"do $view$ begin {text}\nend $view$")
        _keep(cursor, schema.facts)


@contextmanager
def _turn(database: Database, schema: Schema) -> Iterator[tuple[Connection, Stored]]:
    """Wait until nobody else changes tables; give a cursor, whose work is committed, and what the database has now."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        wait_for_turn(connection, cursor)
        stored = read_stored(database)
        refuse_newer(database, stored, schema)
        yield cursor, stored
        connection.commit()


def _keep(cursor: Connection, facts: Mapping[str, str]) -> None:
    for statement in ensure_table(cursor.connection, INSTALLATION):
        cursor.execute(statement)
    for name, value in facts.items():
        cursor.execute(
            f"insert into {INSTALLATION.sql_name} (name, value, set_at) values ($1, $2, clock_timestamp()) "
            "on conflict (name) do update set value = excluded.value, set_at = excluded.set_at "
            "where installation.value <> excluded.value",
            (name, value),
        )


def _shape(table: tables.shape.Table) -> list[str]:
    return [create_statements(table)[0], *key_statements(table)]


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
