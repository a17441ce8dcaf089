"""The shape of a table, from which DDL, comments, types on reading and Dagster's column schema derive.

What is in a table stands elsewhere: raw and clean tables in `contracts`, marts in their SQL files.
"""

from dataclasses import dataclass

import pyarrow as pa

from analytics_pipeline.days import Days

LAYERS = ("raw", "clean", "ops", "marts", "features", "seeds")
"""What comes from where: each shop of a database has a schema for each."""
OF_THE_SHOP = '"@'
"""Begins the name of a layer in statements. Which schema that is, the connection knows: see `Table.sql_name`."""

MONEY = pa.decimal128(19, 4)
STAMP = pa.timestamp("us", tz="UTC")
TEXT = pa.string()
DAY = pa.date32()
COUNT = pa.int64()
FLAG = pa.bool_()
SHARE = pa.float64()
TEXTS = pa.list_(pa.string())
DAYS = pa.list_(pa.date32())

POSTGRES_TYPES: dict[pa.DataType, str] = {
    STAMP: "timestamp with time zone",
    TEXT: "text",
    DAY: "date",
    COUNT: "bigint",
    FLAG: "boolean",
    SHARE: "double precision",
    TEXTS: "text[]",
    DAYS: "date[]",
}
"""Every column's Arrow type but decimals, and how Postgres spells it (as `format_type` prints it)."""


def postgres_type(kind: pa.DataType) -> str:
    """Return how Postgres spells an Arrow type; KeyError for one that no column has."""
    return f"numeric({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else POSTGRES_TYPES[kind]


def in_sql(layer: str, name: str) -> str:
    """Return a table in the text of a statement; see `Table.sql_name`. A schema that is no layer stays as it is."""
    return f"{schema_in_sql(layer)}.{name}"


def schema_in_sql(layer: str) -> str:
    """Return a layer's schema in the text of a statement, as `in_sql` does."""
    return f'{OF_THE_SHOP}{layer}"' if layer in LAYERS else layer


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: As in Postgres.
        type: A decimal, or a key of `POSTGRES_TYPES`.
        description: One sentence; becomes the comment in Postgres and the text in Dagster.
        is_nullable: Whether a row may lack it.
        is_personal: Whether it says of a person (always hashed or an id).
        is_json: Whether its text is JSON, stored as sent.
        is_later: Whether it came after the first version and is empty where no later key of a description is used: then
            it decides nothing, and is no part of the code version.
        was_required: Whether no row could lack it in the first version, as none does without a later key.
        filler: What the rows of a table get that is of before the column existed; without one it has to be nullable.
    """

    name: str
    type: pa.DataType
    description: str
    is_nullable: bool = False
    is_personal: bool = False
    is_json: bool = False
    filler: str | None = None
    is_later: bool = False
    was_required: bool = False

    @property
    def postgres_type(self) -> str:
        """The type in DDL."""
        return "json" if self.is_json else postgres_type(self.type)


@dataclass(frozen=True)
class Table:
    """One table, named as its asset: `clean/orders` is `clean.orders`.

    Attributes:
        schema: Layer.
        name: Name within the layer.
        description: What a row is, and where it comes from.
        columns: In the order of the table.
        key: Columns that identify a row; the primary key. Empty where duplicates stay.
        day_column: Column of the business day that slices the table; None for a table that is written whole.
        merge_column: Column whose values are replaced together when only changed records are written.
        indexes: Further indexes, each a column or several with commas.
        plotted: Money columns whose sum by business day and currency Dagster plots.
    """

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    day_column: str | None = None
    merge_column: str | None = None
    indexes: tuple[str, ...] = ()
    plotted: tuple[str, ...] = ()

    @property
    def path(self) -> list[str]:
        """Parts of the asset key."""
        return [self.schema, self.name]

    @property
    def qualified_name(self) -> str:
        """`layer.name`, for values and messages; in statements `sql_name`."""
        return f"{self.schema}.{self.name}"

    @property
    def sql_name(self) -> str:
        """The table in the text of a statement, as in `"@ops".polls`.

        Each connection puts the schema of its shop in place of the layer (`warehouse.drivers`), so that no statement
        reads or writes another shop's table: a name without the mark is a schema that a server may not have.
        """
        return in_sql(self.schema, self.name)

    @property
    def arrow_schema(self) -> pa.Schema:
        """Names, types and nullability of all columns."""
        return pa.schema([pa.field(column.name, column.type, nullable=column.is_nullable) for column in self.columns])

    def where(self, days: Days, alias: str | None = None) -> str:
        """Return the condition in SQL that a row is of some days; of the table under another name where it is given."""
        return days.where(f"{self.day_column}" if alias is None else f"{alias}.{self.day_column}")

    def column(self, name: str) -> Column:
        """Return a column by name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
