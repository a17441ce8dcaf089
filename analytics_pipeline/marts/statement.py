"""The SQL of marts and of their checks: parsed, its tables found, parameters put in. What is selected is not judged.

Messages name the line of the file, wherever in it the statement begins.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TypedDict, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from analytics_pipeline.errors import MartError
from analytics_pipeline.marts.header import fault
from analytics_pipeline.tables.shape import LAYERS

DIALECT = "postgres"
FIRST_DAY, LAST_DAY, SHOP_CURRENCY, SHOP_TIMEZONE = "first_day", "last_day", "shop_currency", "shop_timezone"
REPORT_RULES, CANNOT_TELL = "report_rules", "cannot_tell"
DAYS = frozenset({FIRST_DAY, LAST_DAY})
PARAMETERS = DAYS | {SHOP_CURRENCY, SHOP_TIMEZONE, REPORT_RULES, CANNOT_TELL}
MARK = "\x1f"
"""Encloses a parameter's name in a statement that is about to be cut; no text file holds one."""


class ShopValues(TypedDict):
    """The shop's values of parameters.

    Currency, IANA zone, by what rules its own report is made, as JSON, and what its records do not tell, each name
    between spaces.
    """

    shop_currency: str
    shop_timezone: str
    report_rules: str
    cannot_tell: str


def parse(path: Path, text: str, what: str = "a mart", first_line: int = 1) -> exp.Query:
    """Return the one `select` that a text is.

    Args:
        path: The file.
        text: SQL.
        what: What it is, for messages.
        first_line: Line of the file in which the text begins.

    Raises:
        MartError: It is none, or has unknown parameters.
    """
    try:
        statements = sqlglot.parse(text, read=DIALECT)
    except SqlglotError as error:
        raise MartError(f"{path}: not a statement that Postgres would read: {_describe(error, first_line)}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise fault(path, first_line, f"{what} is exactly one select statement.")
    if unknown := parameters(statements[0]) - PARAMETERS:
        there = ", :".join(sorted(PARAMETERS))
        raise fault(path, first_line, f"unknown parameter :{', :'.join(sorted(unknown))}; there are :{there}.")
    return statements[0]


def parameters(query: exp.Query) -> set[str]:
    """Return the names of a statement's parameters."""
    return {node.name for node in query.find_all(exp.Placeholder)}


def sources(query: exp.Query) -> tuple[tuple[str, str], ...]:
    """Return the tables that a statement reads, as (layer, name); a name that no `with` defines has the layer ''."""
    defined = {part.alias for part in query.find_all(exp.CTE)}
    tables = [table for table in query.find_all(exp.Table) if isinstance(table.this, exp.Identifier)]
    return tuple(sorted({(table.db, table.name) for table in tables if table.db or table.name not in defined}))


def reading_elsewhere(query: exp.Query, places: Mapping[tuple[str, str], tuple[str, str]]) -> exp.Query:
    """Return a statement that reads some tables, given as (layer, name), from other places, with the same columns."""

    def moved(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Table) and (place := places.get((node.db, node.name))):
            if not node.alias:
                node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name)))
            node.set("db", exp.to_identifier(place[0]))
            node.set("this", exp.to_identifier(place[1]))
        if isinstance(node, exp.Column) and (node.text("db"), node.table) in places:
            node.set("db", None)
        return node

    return cast("exp.Query", query.transform(moved))


def line_of(node: exp.Expr, default: int = 1) -> int:
    """Return the line in which a part of a parsed text stands, as far as the parser has kept it."""
    return min((part.meta["line"] for part in node.walk() if "line" in part.meta), default=default)


def cut(query: exp.Query) -> list[str]:
    """Return a statement for Postgres, cut at its parameters: text, parameter, text and so on.

    To write it anew for each slice would take longer than Postgres needs to compute one. Its tables are the shop's own:
    see `tables.shape.Table.sql_name`.
    """

    def marked(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Table | exp.Column) and node.text("db") in LAYERS:
            node.set("db", exp.to_identifier(f"@{node.text('db')}", quoted=True))
        is_parameter = isinstance(node, exp.Placeholder) and node.name in PARAMETERS
        return exp.Literal.string(f"{MARK}{node.name}{MARK}") if is_parameter else node

    text = query.transform(marked).sql(dialect=DIALECT, comments=False)
    return re.split(f"'{MARK}([a-z_]+){MARK}'", text)


def filled(parts: Sequence[str], values: Mapping[str, str]) -> str:
    """Put SQL in place of the parameters of a statement that was `cut`; one without a value stays as it is."""
    texts, names = parts[::2], parts[1::2]
    return texts[0] + "".join(values.get(name, f":{name}") + text for name, text in zip(names, texts[1:], strict=True))


def of_the_shop(shop_currency: str, shop_timezone: str, report_rules: str, cannot_tell: str) -> dict[str, str]:
    """Return the values of the shop's parameters, as literals."""
    return {
        SHOP_CURRENCY: _literal(shop_currency),
        SHOP_TIMEZONE: _literal(shop_timezone),
        REPORT_RULES: _literal(report_rules),
        CANNOT_TELL: _literal(cannot_tell),
    }


def of_the_days(first_day: date, last_day: date) -> dict[str, str]:
    """Return the values of the slice's parameters, as literals."""
    days = {FIRST_DAY: first_day, LAST_DAY: last_day}
    return {name: f"CAST({_literal(day.isoformat())} AS DATE)" for name, day in days.items()}


def _literal(text: str) -> str:
    return exp.Literal.string(text).sql(dialect=DIALECT)


def _describe(error: SqlglotError, first_line: int) -> str:
    """Return what the parser says, without the excerpt of the file that it underlines for terminals."""
    if not isinstance(error, ParseError) or not error.errors:
        return str(error).splitlines()[0]
    return "; ".join(
        f"line {int(found['line']) + first_line - 1}, column {found['col']}: {found['description']}"
        for found in error.errors
    )
