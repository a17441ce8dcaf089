"""Another shape for tables whose rows can be computed again: what differs, and how new rows take the old ones' place.

New rows are computed into a table beside the stored one, which is in nobody's way meanwhile. The stored table stays the
same one in the end, so that rights on it, and views of columns that stay, live on. Which rows there are is no matter
here; tables whose rows cannot be computed again only grow (`layout`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg

from analytics_pipeline.errors import TableMismatchError
from analytics_pipeline.tables.shape import Column, Table
from analytics_pipeline.warehouse.drivers import Connection, sqlstate
from analytics_pipeline.warehouse.layout import (
    comment_statements,
    create_statements,
    key_statements,
    patiently,
    stored_columns,
    stored_key,
)
from analytics_pipeline.warehouse.rights import quoted

BESIDE = "pg_temp"
IS_NEEDED = "2BP01"
"""Postgres' code for what cannot be dropped, since something else is made of it."""


@dataclass(frozen=True)
class ShapeChange:
    """How a shape differs from the stored table.

    Attributes:
        added: New columns.
        removed: Names of stored columns that are gone.
        retyped: Columns of another type, each with the stored one.
        key: Columns of the key, if it is another one.
        stored_key: The stored key.
    """

    added: tuple[Column, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[tuple[Column, str], ...] = ()
    key: tuple[str, ...] | None = None
    stored_key: tuple[str, ...] = ()

    @property
    def lost(self) -> list[str]:
        """Names of stored columns whose values are not kept."""
        return [*self.removed, *(column.name for column, _ in self.retyped)]

    @property
    def is_growth(self) -> bool:
        """Whether there are only new columns, so that old rows could stay."""
        return not self.lost and self.key is None

    def is_of_the_key(self, table: Table) -> bool:
        """Return whether rows have another key than the stored ones."""
        return self.key is not None or bool(set(self.lost) & set(table.key))

    def __str__(self) -> str:
        parts = [f"+ {column.name} {column.postgres_type}" for column in self.added]
        parts += [f"- {name}" for name in self.removed]
        parts += [f"{column.name} {stored} -> {column.postgres_type}" for column, stored in self.retyped]
        if self.key is not None:
            parts.append(f"grain {', '.join(self.stored_key) or 'none'} -> {', '.join(self.key) or 'none'}")
        return "; ".join(parts)


def shape_change(cursor: Connection, table: Table) -> ShapeChange | None:
    """Return how a shape differs from its stored table; None where it fits, or where there is no table."""
    stored = stored_columns(cursor, table)
    if stored is None:
        return None
    found = stored_key(cursor, table)
    key = found[1] if found else ()
    wanted = {column.name: column for column in table.columns}
    change = ShapeChange(
        added=tuple(column for name, column in wanted.items() if name not in stored),
        removed=tuple(name for name in stored if name not in wanted),
        retyped=tuple(
            (wanted[name], kind)
            for name, (kind, _) in stored.items()
            if name in wanted and kind != wanted[name].postgres_type
        ),
        key=None if set(key) == set(table.key) else table.key,
        stored_key=key,
    )
    return change if change != ShapeChange(stored_key=key) else None


def refuse_readers(cursor: Connection, table: Table, change: ShapeChange) -> None:
    """Refuse a change that takes a column from a view.

    Raises:
        TableMismatchError: There is one; the message names it.
    """
    cursor.execute(
        f"""
        select distinct reader.oid::regclass::text, a.attname::text
        from pg_depend as needs
        join pg_rewrite as rule on rule.oid = needs.objid and needs.classid = 'pg_rewrite'::regclass
        join pg_class as reader on reader.oid = rule.ev_class and reader.oid <> needs.refobjid
        join pg_attribute as a on a.attrelid = needs.refobjid and a.attnum = needs.refobjsubid
        where needs.refclassid = 'pg_class'::regclass and needs.refobjid = to_regclass('{table.sql_name}')
        order by 1, 2
        """
    )
    read: dict[str, list[str]] = {}
    for view, column in cursor.fetchall():
        if column in change.lost:
            read.setdefault(view, []).append(column)
    if read:
        message = "; ".join(f"the view {view} reads {', '.join(columns)}" for view, columns in read.items())
        raise _needed(table, change, message)


def beside(cursor: Connection, table: Table) -> Table:
    """Make an empty table of a shape, which lasts until the end of the transaction and is seen by nobody else."""
    made = replace(table, schema=BESIDE, name=f"beside_{table.name}")
    cursor.execute(f"{create_statements(made)[0]} on commit drop")
    return made


def reshape(cursor: Connection, table: Table, change: ShapeChange, rows: Table) -> None:
    """Give a stored table its new shape and the rows of the table beside it, in the caller's transaction.

    From here to the end of the transaction nobody else reads the table. Rows are deleted and columns made anew: who
    began to read before goes on to see the old rows.

    Args:
        cursor: In the transaction, which has the table's turn.
        table: The shape.
        change: How it differs from the stored table.
        rows: The table beside it.

    Raises:
        TableMismatchError: Something is made of what would be dropped.
        TableBusyError: Others have been reading the table all the time.
    """
    name, key = table.sql_name, stored_key(cursor, table)
    is_new_key = change.is_of_the_key(table)
    added = [*change.added, *(column for column, _ in change.retyped)]
    busy = f"{table.qualified_name} gets another shape ({change}) and has been in use"
    with patiently(cursor, busy), _nothing_needed(table, change):
        cursor.execute(f"lock table {name} in access exclusive mode")
        cursor.execute(f"delete from {name}")
        parts = [f"drop constraint {key[0]}"] if key and is_new_key else []
        parts += [f"alter column {quoted(column)} drop not null" for column in change.stored_key if is_new_key]
        parts += [f"drop column {quoted(column)}" for column in change.lost]
        parts += [f"add column {column.name} {column.postgres_type}" for column in added]
        for part in parts:
            cursor.execute(f"alter table {name} {part}")
    names = ", ".join(column.name for column in table.columns)
    cursor.execute(f"insert into {name} ({names}) select {names} from {rows.sql_name}")
    for statement in (*(key_statements(table) if is_new_key else ()), *comment_statements(table)):
        cursor.execute(statement)


@contextmanager
def _nothing_needed(table: Table, change: ShapeChange) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if sqlstate(error) != IS_NEEDED:
            raise
        raise _needed(table, change, "something else in the database is made of what would go") from None


def _needed(table: Table, change: ShapeChange, message: str) -> TableMismatchError:
    return TableMismatchError(
        f"{table.qualified_name} does not get its new shape ({change}): {message}. Drop it, run again, and make it "
        "anew from the new columns; nothing was changed."
    )
