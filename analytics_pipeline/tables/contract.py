"""What a contract is, and how one is written: columns, rules, and the table and schema that come of both.

Which tables there are is in `contracts`, and in the modules beside it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from analytics_pipeline.tables.shape import MONEY, TEXT, Column, Table

CURRENCY_PATTERN = re.compile("[A-Z]{3}")
HOLDS: dict[str, Callable[[Any], pd.Series]] = {}
"""What tells of values, or of rows, whether a rule holds, by the rule in words."""
FORMERLY: dict[str, str] = {}
"""Rules that say of rows with nothing in later columns what they said before these came: the words of before.

By these the code version knows them, so that it stays what it was where no later key of a description is used.
"""


@dataclass(frozen=True)
class Contract:
    """A table's shape together with the schema that its rows are validated against."""

    table: Table
    schema: pandera.DataFrameSchema


def column(
    kind: pa.DataType,
    description: str,
    *checks: pandera.Check,
    nullable: bool = False,
    personal: bool = False,
    json: bool = False,
    filler: str | None = None,
    later: bool = False,
    was_required: bool = False,
) -> pandera.Column:
    """Return a column of Arrow's type `kind`; `shape.Column` says what the rest means."""
    return pandera.Column(
        pd.ArrowDtype(kind),
        checks=list(checks),
        nullable=nullable,
        description=description,
        metadata={
            "is_personal": personal,
            "is_json": json,
            "filler": filler,
            "is_later": later,
            "was_required": was_required,
        },
    )


def rule(message: str, holds: Callable[[Any], pd.Series], *, formerly: str | None = None) -> pandera.Check:
    """Return a rule over rows, or over values; no two rules are the same in words."""
    if message in HOLDS:
        raise ValueError(f"there is a rule in these words already: {message}")
    HOLDS[message] = holds
    if formerly is not None:
        FORMERLY[message] = formerly
    return pandera.Check(holds, error=message)


NOT_EMPTY = rule("is not empty", lambda values: values.str.len() > 0)
NOT_NEGATIVE = rule("is not negative", lambda values: values >= 0)
CURRENCY_CODE = rule("is a three-letter currency code", lambda values: values.str.fullmatch(CURRENCY_PATTERN.pattern))


def money(description: str, *checks: pandera.Check, nullable: bool = False) -> pandera.Column:
    """Return a column of amounts."""
    return column(MONEY, description, *checks, nullable=nullable)


def later_money(description: str) -> pandera.Column:
    """Return a column of amounts that came after the first version; rows of before have nothing in it."""
    return column(MONEY, description, filler="0", later=True)


def later_text(description: str, *, json: bool = False) -> pandera.Column:
    """Return a column of texts that came after the first version; null in rows of before and where it is not mapped."""
    return column(TEXT, description, nullable=True, json=json, later=True)


def contract(
    name: str,
    description: str,
    columns: Mapping[str, pandera.Column],
    *,
    rules: Iterable[pandera.Check] = (),
    key: tuple[str, ...] = (),
    day_column: str | None = None,
    merge_column: str | None = None,
    indexes: tuple[str, ...] = (),
) -> Contract:
    """Return the contract of a table named `layer/name`."""
    layer, table_name = name.split("/")
    schema = pandera.DataFrameSchema(
        dict(columns),
        checks=list(rules),
        unique=list(key) or None,
        strict=True,
        ordered=True,
        name=name,
        description=description,
    )
    table = Table(
        schema=layer,
        name=table_name,
        description=description,
        columns=tuple(_table_column(column_name, column) for column_name, column in columns.items()),
        key=key,
        day_column=day_column,
        merge_column=merge_column,
        indexes=indexes,
    )
    return Contract(table, schema)


def _table_column(name: str, column: pandera.Column) -> Column:
    metadata = column.metadata or {}
    return Column(
        name=name,
        type=column.dtype.type.pyarrow_dtype,
        description=column.description or "",
        is_nullable=bool(column.nullable),
        is_personal=bool(metadata["is_personal"]),
        is_json=bool(metadata["is_json"]),
        is_later=bool(metadata["is_later"]),
        was_required=bool(metadata["was_required"]),
        filler=metadata["filler"],
    )
