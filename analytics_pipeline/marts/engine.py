"""The mart engine: everything that a mart's SQL file says about itself.

A file `marts/NAME.sql` is the whole of a mart. Its leading comment is the description and one line `grain: column,
column`; every output column has its description behind it as a comment. A line `restatements: column, column` (or
`all numbers`) names the columns of which every published number and every later change is kept on record; what other
lines mean is said in `header`. From the parsed statement come the tables it reads, the types of its columns and their
lineage. `:first_day` and `:last_day` bound the slice, the other parameters are the shop's. Finding the files is the
part of `folders`, running the statement that of the IO manager.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from analytics_pipeline.errors import MartError
from analytics_pipeline.marts.currencies import mixed_amounts
from analytics_pipeline.marts.header import CheckLine, Header, fault, read_header
from analytics_pipeline.marts.lineage import lineage_of
from analytics_pipeline.marts.statement import (
    DAYS,
    DIALECT,
    FIRST_DAY,
    LAST_DAY,
    cut,
    filled,
    line_of,
    of_the_days,
    of_the_shop,
    parameters,
    parse,
    sources,
)
from analytics_pipeline.marts.types import OutputTypes, SqlSchema, UnfixedError, annotated, sql_type
from analytics_pipeline.tables.names import NAME, RESERVED
from analytics_pipeline.tables.shape import COUNT, DAY, MONEY, Column, Table

LAYER = "marts"
OWN_LAYERS = frozenset({"raw", "clean", "ops", "seeds", LAYER})
WHO_ORDERED = frozenset({"customer_key", "customer_id"})
PLOTTED = ("net_sales",)
ALL_NUMBERS = "all numbers"


@dataclass(frozen=True)
class Check:
    """What a mart's file asserts of its rows.

    Attributes:
        said: The line.
        statement: Selects the rows that contradict it.
        sources: Tables that it reads, as (layer, name); the mart itself is among them, as a rule.
    """

    said: CheckLine
    statement: exp.Query
    sources: tuple[tuple[str, str], ...]

    @cached_property
    def parts(self) -> list[str]:
        """The statement for Postgres, cut at its parameters."""
        return cut(self.statement)


@dataclass(frozen=True)
class Mart:
    """One mart, as its file describes it.

    Attributes:
        table: Shape of the table.
        statement: The parsed `select`.
        sources: Tables it reads, as (layer, name).
        lineage: Columns that each output column is made of, as (layer, table, column).
        watched: Columns whose published numbers, and their later changes, are kept on record.
        reads_first_orders: Whether a day of it may depend on the day of a customer's first order: it reads who ordered,
            or a mart that does.
        path: The file.
        header: What its leading comment says.
        checks: What it asserts of its rows.
    """

    table: Table
    statement: exp.Query
    sources: tuple[tuple[str, str], ...]
    lineage: Mapping[str, tuple[tuple[str, str, str], ...]]
    watched: tuple[str, ...]
    reads_first_orders: bool
    path: Path
    header: Header
    checks: tuple[Check, ...] = ()

    @cached_property
    def is_daily(self) -> bool:
        """Whether the mart is written by business day."""
        return self.table.day_column is not None

    def sql(
        self,
        *,
        shop_currency: str,
        shop_timezone: str,
        report_rules: str = "{}",
        cannot_tell: str = " ",
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> str:
        """Return the statement for Postgres with the parameters put in as typed literals.

        Args:
            shop_currency: The shop's currency.
            shop_timezone: IANA name of the shop's time zone.
            report_rules: By what definitions the shop's own report is made, as JSON.
            cannot_tell: Figures that are null, each name between spaces.
            first_day: First business day of the slice; only for a daily mart.
            last_day: Last business day of the slice, included.
        """
        values = of_the_shop(shop_currency, shop_timezone, report_rules, cannot_tell)
        if first_day is not None and last_day is not None:
            values |= of_the_days(first_day, last_day)
        return filled(self._parts, values)

    def code_version(
        self, *, shop_currency: str, shop_timezone: str, report_rules: str = "{}", cannot_tell: str = " "
    ) -> str:
        """Return twelve hex digits that change with what is computed and with what is kept on record of it.

        Args:
            shop_currency: The shop's currency.
            shop_timezone: IANA name of the shop's time zone.
            report_rules: By what definitions the shop's own report is made, as JSON.
            cannot_tell: Figures that are null, each name between spaces.
        """
        statement = self.sql(
            shop_currency=shop_currency,
            shop_timezone=shop_timezone,
            report_rules=report_rules,
            cannot_tell=cannot_tell,
        )
        return hashlib.sha256(f"{statement} {self.watched}".encode()).hexdigest()[:12]

    @cached_property
    def _parts(self) -> list[str]:
        return cut(self.statement)


def read_text(path: Path) -> str:
    """Return a file's text, or raise MartError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MartError(f"{path}: no text in UTF-8 that can be read ({type(error).__name__}).") from None


def sql_columns(table: Table) -> tuple[tuple[str, str], ...]:
    """Return names and SQL types of a table's columns."""
    return tuple((column.name, sql_type(column.type)) for column in table.columns)


def register(schema: SqlSchema, table: Table) -> None:
    """Add a table's columns to those that marts may read."""
    schema.setdefault(table.schema, {})[table.name] = dict(sql_columns(table))


@dataclass(frozen=True)
class Draft:
    """A file that is read and not yet held against the tables that it reads."""

    path: Path
    header: Header
    statement: exp.Query
    checks: tuple[Check, ...]

    @property
    def sources(self) -> set[tuple[str, str]]:
        """Tables that it reads, as (layer, name)."""
        return {*sources(self.statement)}

    @property
    def marts(self) -> set[str]:
        """Names of other marts that it reads, the checks included."""
        read = [*sources(self.statement), *(source for check in self.checks for source in check.sources)]
        return {name for layer, name in read if layer == LAYER} - {self.path.stem}


def read_draft(path: Path) -> Draft:
    """Read a file.

    Raises:
        MartError: It is no mart, whatever it reads.
    """
    if not NAME.fullmatch(path.stem):
        raise MartError(
            f"{path}: the file's name becomes the table's: small letters, digits and underscores, a letter first."
        )
    text = read_text(path)
    statement = parse(path, text)
    header = read_header(path, text)
    if len(parameters(statement) & DAYS) == 1:
        raise MartError(f"{path}: a mart by business day is bounded on both sides, by :{FIRST_DAY} and :{LAST_DAY}.")
    if own := [f"{layer}.{name}" for layer, name in header.reads if layer in OWN_LAYERS]:
        raise fault(path, header.lines["reads"], f"{own[0]} is the pipeline's own and needs no line `reads:`.")
    if stars := [node for node in statement.selects if node.is_star]:
        line = line_of(stars[0])
        raise fault(path, line, "`*` names no output columns; write each one, with its description behind it.")
    return Draft(path, header, statement, tuple(_check(path, line) for line in header.checks))


def _check(path: Path, line: CheckLine) -> Check:
    statement = parse(path, line.sql, f"the check {line.name}", line.line)
    return Check(line, statement, sources(statement))


def _qualified(path: Path, line: int, statement: exp.Query, schema: SqlSchema) -> exp.Query:
    """Return a statement with the table of each column, which are all there."""
    for layer, name in sources(statement):
        found = [table for table in statement.find_all(exp.Table) if (table.db, table.name) == (layer, name)]
        at = line - 1 + line_of(found[0])
        if not layer:
            raise fault(path, at, f"reads {name} without its layer; write it as in clean.sales.")
        if name not in schema.get(layer, {}):
            message = f"reads {layer}.{name}, which no contract and no other mart describes"
            hint = "" if layer in OWN_LAYERS else f"; one from outside needs a line `-- reads: {layer}.{name}`"
            raise fault(path, at, f"{message}{hint}.")
    try:
        return qualify(statement.copy(), schema={**schema}, dialect=DIALECT)
    except SqlglotError as error:
        message, _, place = str(error).partition(" Line: ")
        raise fault(path, line - 1 + int(place.partition(",")[0]) if place else line, message) from error


def _refuse_ungrouped(path: Path, qualified: exp.Query) -> None:
    """Refuse a column beside an aggregate without `group by`; Postgres judges where there is one."""
    for select in qualified.find_all(exp.Select):
        tables = {source.alias_or_name for source in select.find_all(exp.Table, exp.Subquery)}
        parts = [part for one in select.selects for part in _outside_windows(one)]
        plain = [part for part in parts if isinstance(part, exp.Column) and part.table in tables]
        if plain and not select.args.get("group") and any(isinstance(part, exp.AggFunc) for part in parts):
            name = plain[0].name
            raise fault(path, line_of(plain[0]), f"{name} stands beside an aggregate: it has to be in a `group by`.")


def _outside_windows(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield aggregates of an output column and the columns outside of these, but for windows and inner queries."""
    if isinstance(node, exp.AggFunc | exp.Column):
        yield node
    elif isinstance(node, exp.Filter | exp.WithinGroup):
        yield from _outside_windows(node.this)
    elif not isinstance(node, exp.Window | exp.Query | exp.Anonymous):
        for part in node.iter_expressions():
            yield from _outside_windows(part)


def build_mart(draft: Draft, schema: SqlSchema, earlier: Mapping[str, Mart]) -> Mart:
    """Hold a file against the tables that it reads.

    Args:
        draft: The file.
        schema: What it may read.
        earlier: The marts that it may read, by name.

    Raises:
        MartError: It does not fit them.
    """
    path, header, statement = draft.path, draft.header, draft.statement
    grain = header.grain
    qualified = _qualified(path, 1, statement, schema)
    _refuse_ungrouped(path, qualified)
    typed = annotated(qualified, {**schema})
    if header.is_of_all_shops and (mixed := mixed_amounts(typed)):
        message = "amounts of different currencies are taken together: group by currency, or say which one is meant."
        raise fault(path, line_of(mixed[0]), message)
    columns = _columns(path, statement, typed, grain)
    types = {column.name: column.type for column in columns}
    if missing := set(grain) - types.keys():
        named = ", ".join(sorted(missing))
        raise fault(path, header.lines["grain"], f"its grain names {named}, which is no output column.")
    is_daily = FIRST_DAY in parameters(statement)
    if is_daily and types[grain[0]] != DAY:
        raise fault(
            path,
            header.lines["grain"],
            f"a mart by business day has a date first in its grain, {grain[0]} is none.",
        )
    table = Table(
        schema=LAYER,
        name=path.stem,
        description=header.description,
        columns=columns,
        key=grain,
        day_column=grain[0] if is_daily else None,
        plotted=PLOTTED if is_daily and {"currency", *PLOTTED} <= types.keys() else (),
    )
    _refuse_wrong_checks(draft, table, schema)
    return Mart(
        table,
        statement,
        sources(statement),
        lineage_of(qualified, schema),
        _watched(path, table, header),
        any(column.name in WHO_ORDERED for column in qualified.find_all(exp.Column))
        or any(earlier[name].reads_first_orders for layer, name in sources(statement) if layer == LAYER),
        path,
        header,
        draft.checks,
    )


def _refuse_wrong_checks(draft: Draft, table: Table, schema: SqlSchema) -> None:
    known = {layer: {**tables} for layer, tables in schema.items()}
    register(known, table)
    for check in draft.checks:
        _qualified(draft.path, check.said.line, check.statement, known)
        if table.day_column is None and parameters(check.statement) & DAYS:
            message = f"the check {check.said.name} has a day, and the mart has none; leave it out."
            raise fault(draft.path, check.said.line, message)


def _watched(path: Path, table: Table, header: Header) -> tuple[str, ...]:
    """Return the columns that a line `restatements:` names."""
    restatements = header.restatements
    if restatements is None:
        return ()
    line = header.lines["restatements"]
    if table.day_column is None:
        raise fault(path, line, "restatements are of business days, and this mart has none.")
    numbers = [name.name for name in table.columns if name.type in (MONEY, COUNT) and name.name not in table.key]
    finer = [name.name for name in table.columns if pa.types.is_decimal(name.type) and name.type != MONEY]
    if refused := [name for name in finer if restatements == ALL_NUMBERS or name in restatements.split(", ")]:
        message = (
            f"numbers on record have {MONEY.scale} decimals and {MONEY.precision} digits, {', '.join(refused)} has "
            f"more; cast it to numeric({MONEY.precision}, {MONEY.scale}), or name the columns to keep on record."
        )
        raise fault(path, line, message)
    named = numbers if restatements == ALL_NUMBERS else [name.strip() for name in restatements.split(",")]
    if unknown := sorted(set(named) - set(numbers)):
        message = (
            f"restatements of {', '.join(unknown)}, which is no column of numbers; write {ALL_NUMBERS}, or some of "
            f"{', '.join(numbers)}."
        )
        raise fault(path, line, message)
    return tuple(named)


def _columns(path: Path, statement: exp.Query, typed: exp.Query, grain: Iterable[str]) -> tuple[Column, ...]:
    names = [node.alias_or_name for node in statement.selects]
    for node in statement.selects:
        if not NAME.fullmatch(name := node.alias_or_name):
            message = f"output columns have names in lower case, as in count(*) as orders: {name or 'one'}."
            raise fault(path, line_of(node), message)
        if name in RESERVED:
            message = f"{name} is a word of Postgres' own, which no column can have as its name; take another one."
            raise fault(path, line_of(node), message)
        if names.count(name) > 1:
            raise fault(path, line_of(node), f"two output columns have the same name, {name}.")
    types = OutputTypes(typed)
    return tuple(_column(path, node, place, types, grain) for place, node in enumerate(statement.selects))


def _column(path: Path, node: exp.Expr, place: int, types: OutputTypes, grain: Iterable[str]) -> Column:
    name, description = node.alias_or_name, " ".join(comment.strip() for comment in node.comments or [])
    if not description:
        message = f"the output column {name} has no description; write it behind the column as `-- ...`."
        raise fault(path, line_of(node), message)
    try:
        kind = types.arrow(place)
    except UnfixedError as error:
        message = (
            f"the output column {name} {error}; say how many are to be stored, as in cast({name} as numeric(19, 4))."
        )
        raise fault(path, line_of(node), message) from None
    if kind is None:
        wanted = "numeric(19, 4)" if types.is_fraction(place) else "bigint"
        if types.is_interval(place):
            raise fault(path, line_of(node), f"the output column {name} is an interval; store the number of its days.")
        message = f"the type of the output column {name} cannot be derived; cast it, as in cast({name} as {wanted})."
        raise fault(path, line_of(node), message)
    return Column(name=name, type=kind, description=description, is_nullable=name not in grain)
