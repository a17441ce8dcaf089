"""Which promises of a table's contract rows break, with examples that tell nothing of a person.

What is promised stands in `contracts`; what is done about a broken promise is the part of whoever asks.
"""

from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pandera
from pandera.errors import SchemaErrors

from analytics_pipeline.profile.fields import example_of
from analytics_pipeline.tables.contract import HOLDS, Contract
from analytics_pipeline.tables.contracts import EXAMPLES
from analytics_pipeline.tables.shape import TEXT, Table

LONGEST_SHOWN = 80
OCCURS_ONCE = "occurs once"
"""The rule that no two rows have the same key."""

_RULES = {
    "multiple_fields_uniqueness": OCCURS_ONCE,
    "not_nullable": "is never null",
    "column_in_dataframe": "every column is there",
    "column_in_schema": "no other column is there",
    "column_ordered": "the columns have their order",
}
"""pandera's names of its own checks, in words."""


@dataclass(frozen=True)
class Violation:
    """One broken promise of a contract.

    Attributes:
        column: Column (or columns of the key), None for a rule over several.
        rule: The promise, in words.
        rows: How many rows break it.
        examples: Up to five of the offending values, with the rows that have them.
    """

    column: str | None
    rule: str
    rows: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        place = f"{self.column}: " if self.column else ""
        return f"{place}{self.rule} ({self.rows} rows, such as {', '.join(self.examples)})"


def violations(contract: Contract, rows: pd.DataFrame) -> list[Violation]:
    """Return the promises of `contract` that `rows` break, none when all hold.

    Args:
        contract: The table's contract.
        rows: Columns in the contract's order, with Arrow dtypes.
    """
    if _are_kept(contract, rows):
        return []
    try:
        contract.schema.validate(rows, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return []
    cases["column"] = cases["column"].where(cases["schema_context"] == "Column", "")
    return [
        _violation(contract.table, rows, column or None, check, group)
        for (column, check), group in cases.groupby(["column", cases["check"].astype(str)], sort=False)
    ]


def _are_kept(contract: Contract, rows: pd.DataFrame) -> bool:
    """Return whether all promises are surely kept; pandera, which takes twice as long, judges the rows where not."""
    table = contract.table
    if [*rows.columns] != [column.name for column in table.columns]:
        return False
    return (
        all(_is_kept(contract.schema.columns[column.name], rows[column.name]) for column in table.columns)
        and all(_all(rows, rule) for rule in contract.schema.checks)
        and not (table.key and rows.duplicated(subset=[*table.key]).any())
    )


def _is_kept(column: pandera.Column, values: pd.Series) -> bool:
    if values.dtype != column.dtype.type:
        return False
    has_nulls = values.isna().any()
    if has_nulls and not column.nullable:
        return False
    return not column.checks or all(_all(values.dropna() if has_nulls else values, rule) for rule in column.checks)


def _all(values: pd.DataFrame | pd.Series, rule: pandera.Check) -> bool:
    """Return whether a rule holds; what it cannot tell, for a null, does not hold."""
    found = HOLDS[str(rule.error)](values)
    return bool(found.all()) and not found.isna().any()


def _violation(table: Table, rows: pd.DataFrame, column: str | None, check: str, cases: pd.DataFrame) -> Violation:
    """Say what pandera found of one check; a frame whose columns are wrong has no rows to show."""
    rule = _RULES.get(check, "has its contract's type" if check.startswith("dtype(") else check)
    places = cases["index"].dropna().unique()
    if not len(places) or tuple(rows.columns) != tuple(name.name for name in table.columns):
        return Violation(column, rule, len(cases), tuple(str(value) for value in cases["failure_case"].head(EXAMPLES)))
    about = ", ".join(table.key) if rule == OCCURS_ONCE else column
    examples = dict.fromkeys(_example(table, rows.loc[place], column) for place in places[: 20 * EXAMPLES])
    return Violation(about, rule, len(places), tuple(examples)[:EXAMPLES])


def _example(table: Table, row: pd.Series, column: str | None) -> str:
    """Return a row's value in `column`, only its kind where it may be of a person, and which row that is."""
    key = table.key or (table.columns[0].name,)
    identity = " ".join(str(row[name]) for name in key)
    if column is None:
        return identity
    value = row[column]
    if pd.isna(value) or value == "":
        shown = "null" if pd.isna(value) else "an empty text"
    elif column in key or table.column(column).type != TEXT:
        shown = str(value)[:LONGEST_SHOWN]
    else:
        shown = example_of(str(value), is_personal=table.column(column).is_personal) or ""
    return shown if column in key else f"{shown} in {identity}"
