"""The mart engine: everything that a mart's SQL file says about itself.

A file `marts/NAME.sql` is the whole of a mart. Its leading comment is the description and one line `grain: column,
column`; every output column has its description behind it as a comment. A line `restatements: column, column` (or
`all numbers`) names the columns of which every published number and every later change is kept on record. From the
parsed statement come the tables it reads, the types of its columns and their lineage. `:first_day` and `:last_day`
bound the slice, `:shop_currency` and `:shop_timezone` are the shop's. Running the statement is the IO manager's part.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from analytics_pipeline.errors import MartError
from analytics_pipeline.marts.types import OutputTypes, UnfixedError, mark_fractions, sql_type
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.tables.shape import COUNT, DAY, MONEY, Column, Table

MARTS_FOLDER = Path(__file__).parent
LAYER = "marts"
DIALECT = "postgres"
FIRST_DAY, LAST_DAY, SHOP_CURRENCY, SHOP_TIMEZONE = "first_day", "last_day", "shop_currency", "shop_timezone"
PARAMETERS = frozenset({FIRST_DAY, LAST_DAY, SHOP_CURRENCY, SHOP_TIMEZONE})

WHO_ORDERED = frozenset({"customer_key", "customer_id"})
PLOTTED = ("net_sales",)
KEYS = ("grain:", "restatements:")
"""What a line of the leading comment begins with that is no description."""
ALL_NUMBERS = "all numbers"
MARK = "\x1f"
"""Encloses a parameter's name in a statement that is about to be cut; no text file holds one."""
NAME = re.compile("[a-z][a-z0-9_]*")

SqlSchema = dict[str, dict[str, dict[str, str]]]
"""SQL types by layer, table and column, as sqlglot takes them."""


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
    """

    table: Table
    statement: exp.Query
    sources: tuple[tuple[str, str], ...]
    lineage: Mapping[str, tuple[tuple[str, str, str], ...]]
    watched: tuple[str, ...]
    reads_first_orders: bool
    path: Path

    @cached_property
    def is_daily(self) -> bool:
        """Whether the mart is written by business day."""
        return self.table.day_column is not None

    def sql(
        self, *, shop_currency: str, shop_timezone: str, first_day: date | None = None, last_day: date | None = None
    ) -> str:
        """Return the statement for Postgres with the parameters put in as typed literals.

        Args:
            shop_currency: The shop's currency.
            shop_timezone: IANA name of the shop's time zone.
            first_day: First business day of the slice; only for a daily mart.
            last_day: Last business day of the slice, included.
        """
        values = {SHOP_CURRENCY: _literal(shop_currency), SHOP_TIMEZONE: _literal(shop_timezone)}
        if first_day is not None and last_day is not None:
            values[FIRST_DAY] = f"CAST({_literal(first_day.isoformat())} AS DATE)"
            values[LAST_DAY] = f"CAST({_literal(last_day.isoformat())} AS DATE)"
        texts, names = self._parts[::2], self._parts[1::2]
        return texts[0] + "".join(
            values.get(name, f":{name}") + text for name, text in zip(names, texts[1:], strict=True)
        )

    def definition(self, *, shop_currency: str, shop_timezone: str) -> str:
        """Return twelve hex digits that change with what is computed and with what is kept on record of it.

        Args:
            shop_currency: The shop's currency.
            shop_timezone: IANA name of the shop's time zone.
        """
        statement = self.sql(shop_currency=shop_currency, shop_timezone=shop_timezone)
        return hashlib.sha256(f"{statement} {self.watched}".encode()).hexdigest()[:12]

    @cached_property
    def _parts(self) -> list[str]:
        """The statement for Postgres, cut at its parameters: text, parameter, text and so on.

        To write it anew for each slice would take longer than Postgres needs to compute one.
        """

        def marked(node: exp.Expression) -> exp.Expression:
            is_parameter = isinstance(node, exp.Placeholder) and node.name in PARAMETERS
            return exp.Literal.string(f"{MARK}{node.name}{MARK}") if is_parameter else node

        text = self.statement.transform(marked).sql(dialect=DIALECT, comments=False)
        return re.split(f"'{MARK}([a-z_]+){MARK}'", text)


def _literal(text: str) -> str:
    return exp.Literal.string(text).sql(dialect=DIALECT)


@dataclass(frozen=True)
class BrokenMart:
    """A mart that cannot be computed: its file is wrong, or that of one that it reads.

    Attributes:
        name: Its name.
        reason: What is wrong, with file, place and remedy.
        reads: Marts that it reads, as far as that can be told.
    """

    name: str
    reason: str
    reads: tuple[str, ...] = ()


def read_marts(*folders: Path) -> tuple[tuple[Mart, ...], tuple[BrokenMart, ...]]:
    """Read every SQL file of some folders: marts, each after the ones that it reads, and those that are broken.

    Args:
        folders: Where they lie; only the packaged ones when none is given. A name that is given twice is broken.
    """
    apart = dict.fromkeys(folder.resolve() for folder in folders or (MARTS_FOLDER,))
    found = {path: path.stat() for folder in apart for path in sorted(folder.glob("*.sql"))}
    return _read_marts(tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in found.items()))


@cache
def _read_marts(
    files: tuple[tuple[Path, int, int], ...],
) -> tuple[tuple[Mart, ...], tuple[BrokenMart, ...]]:
    """Read files, which are known by time and size: to parse them takes longer than everything else of a start."""
    named = {path.stem: [one for one, *_ in files if one.stem == path.stem] for path, *_ in files}
    paths = {name: found[-1] for name, found in named.items()}
    schema: SqlSchema = {}
    for table in (*(contract.table for contract in CONTRACTS), *OPS_TABLES):
        _register(schema, table)
    marts: dict[str, Mart] = {}
    broken: dict[str, BrokenMart] = {}
    waiting: dict[str, exp.Query] = {}
    for name, found in named.items():
        try:
            path = _only(found)
            waiting[name] = _statement(path, _text(path))
        except MartError as error:
            broken[name] = BrokenMart(name, str(error))
    while waiting:
        reads = {name: _mart_names(statement) - {name} for name, statement in waiting.items()}
        ready = [name for name in waiting if not reads[name] & waiting.keys()]
        if not ready:
            folders = ", ".join(sorted({str(paths[name].parent) for name in waiting}))
            reason = f"the marts {', '.join(sorted(waiting))} in {folders} read each other in a circle; break it."
            broken |= {name: BrokenMart(name, reason, tuple(sorted(reads[name]))) for name in waiting}
            break
        for name in ready:
            statement = waiting.pop(name)
            upstream = tuple(sorted(reads[name] & paths.keys()))
            if lost := [one for one in upstream if one in broken]:
                broken[name] = BrokenMart(name, f"{paths[name]}: reads marts.{lost[0]}, which is broken.", upstream)
                continue
            try:
                marts[name] = _mart(paths[name], statement, schema, marts)
            except MartError as error:
                broken[name] = BrokenMart(name, str(error), upstream)
            else:
                _register(schema, marts[name].table)
    return tuple(marts.values()), tuple(broken.values())


def load_marts(*folders: Path) -> tuple[Mart, ...]:
    """Return the marts of some folders (`read_marts`), in an order in which each follows the ones that it reads.

    Raises:
        MartError: A file cannot be read; the message names file, place and remedy.
    """
    marts, broken = read_marts(*folders)
    for one in broken:
        raise MartError(one.reason)
    return marts


def _only(paths: Sequence[Path]) -> Path:
    if len(paths) > 1:
        raise MartError(f"{paths[-1]}: there is a mart of this name already, {paths[0]}; rename one of them.")
    return paths[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MartError(f"{path}: no text in UTF-8 that can be read ({type(error).__name__}).") from None


def _register(schema: SqlSchema, table: Table) -> None:
    schema.setdefault(table.schema, {})[table.name] = {column.name: sql_type(column.type) for column in table.columns}


def _statement(path: Path, text: str) -> exp.Query:
    if not NAME.fullmatch(path.stem):
        raise MartError(
            f"{path}: the file's name becomes the table's: small letters, digits and underscores, a letter first."
        )
    try:
        statements = sqlglot.parse(text, read=DIALECT)
    except SqlglotError as error:
        raise MartError(f"{path}: not a statement that Postgres would read: {_told(error)}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise MartError(f"{path}: a mart is exactly one select statement.")
    used = {node.name for node in statements[0].find_all(exp.Placeholder)}
    if unknown := used - PARAMETERS:
        raise MartError(
            f"{path}: unknown parameter :{', :'.join(sorted(unknown))}; there are :{', :'.join(sorted(PARAMETERS))}."
        )
    if len(used & {FIRST_DAY, LAST_DAY}) == 1:
        raise MartError(f"{path}: a mart by business day is bounded on both sides, by :{FIRST_DAY} and :{LAST_DAY}.")
    return statements[0]


def _told(error: SqlglotError) -> str:
    """Return what the parser says, without the excerpt of the file that it underlines for terminals."""
    if not isinstance(error, ParseError) or not error.errors:
        return str(error).splitlines()[0]
    return "; ".join(f"line {found['line']}, column {found['col']}: {found['description']}" for found in error.errors)


def _sources(statement: exp.Query) -> tuple[tuple[str, str], ...]:
    """Return the tables that a statement reads, as (layer, name); a name that no `with` defines has the layer ''."""
    defined = {query.alias for query in statement.find_all(exp.CTE)}
    tables = [table for table in statement.find_all(exp.Table) if isinstance(table.this, exp.Identifier)]
    return tuple(sorted({(table.db, table.name) for table in tables if table.db or table.name not in defined}))


def _mart_names(statement: exp.Query) -> set[str]:
    return {name for layer, name in _sources(statement) if layer == LAYER}


def _mart(path: Path, statement: exp.Query, schema: SqlSchema, earlier: Mapping[str, Mart]) -> Mart:
    description, grain, restatements = _header(path)
    sources = _sources(statement)
    for layer, name in sources:
        if not layer:
            raise MartError(f"{path}: reads {name} without its layer; write it as in clean.sales.")
        if name not in schema.get(layer, {}):
            raise MartError(f"{path}: reads {layer}.{name}, which no contract and no other mart describes.")
    try:
        qualified = qualify(statement.copy(), schema={**schema}, dialect=DIALECT)
        mark_fractions(qualified)
        typed = annotate_types(qualified, schema={**schema}, dialect=DIALECT)
    except SqlglotError as error:
        raise MartError(f"{path}: {error}") from error
    columns = _columns(path, statement, typed, grain)
    types = {column.name: column.type for column in columns}
    if missing := set(grain) - types.keys():
        raise MartError(f"{path}: its grain names {', '.join(sorted(missing))}, which is no output column.")
    is_daily = any(node.name == FIRST_DAY for node in statement.find_all(exp.Placeholder))
    if is_daily and types[grain[0]] != DAY:
        raise MartError(f"{path}: a mart by business day has a date first in its grain, {grain[0]} is none.")
    table = Table(
        schema=LAYER,
        name=path.stem,
        description=description,
        columns=columns,
        key=grain,
        day_column=grain[0] if is_daily else None,
        plotted=PLOTTED if is_daily and {"currency", *PLOTTED} <= types.keys() else (),
    )
    return Mart(
        table,
        statement,
        sources,
        _lineage(qualified, schema),
        _watched(path, table, restatements),
        any(column.name in WHO_ORDERED for column in qualified.find_all(exp.Column))
        or any(earlier[name].reads_first_orders for name in _mart_names(statement)),
        path,
    )


def _watched(path: Path, table: Table, restatements: str | None) -> tuple[str, ...]:
    """Return the columns that a line `restatements:` names."""
    if restatements is None:
        return ()
    if table.day_column is None:
        raise MartError(f"{path}: restatements are of business days, and this mart has none.")
    numbers = [name.name for name in table.columns if name.type in (MONEY, COUNT) and name.name not in table.key]
    finer = [name.name for name in table.columns if pa.types.is_decimal(name.type) and name.type != MONEY]
    if refused := [name for name in finer if restatements == ALL_NUMBERS or name in restatements.split(", ")]:
        raise MartError(
            f"{path}: numbers on record have {MONEY.scale} decimals and {MONEY.precision} digits, {', '.join(refused)} "
            f"has more; cast it to numeric({MONEY.precision}, {MONEY.scale}), or name the columns to keep on record."
        )
    named = numbers if restatements == ALL_NUMBERS else [name.strip() for name in restatements.split(",")]
    if unknown := sorted(set(named) - set(numbers)):
        raise MartError(
            f"{path}: restatements of {', '.join(unknown)}, which is no column of numbers; write {ALL_NUMBERS}, or "
            f"some of {', '.join(numbers)}."
        )
    return tuple(named)


def _header(path: Path) -> tuple[str, tuple[str, ...], str | None]:
    """Return description, grain, and what stands behind `restatements:`."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    grains, restatements = ([line.removeprefix(key) for line in lines if line.startswith(key)] for key in KEYS)
    description = " ".join(line for line in lines if not line.startswith(KEYS))
    if len(grains) != 1 or not description:
        raise MartError(
            f"{path}: begins with no comment that says what a row is, and has no line `-- grain: column, column`."
        )
    watched = ", ".join(restatements).strip() or None
    return description, tuple(name.strip() for name in grains[0].split(",")), watched


def _columns(path: Path, statement: exp.Query, typed: exp.Query, grain: Iterable[str]) -> tuple[Column, ...]:
    names = [node.alias_or_name for node in statement.selects]
    if unnamed := [name for name in names if not NAME.fullmatch(name)]:
        raise MartError(
            f"{path}: output columns have names in lower case, as in count(*) as orders: {unnamed[0] or 'one'}."
        )
    if len(set(names)) != len(names):
        raise MartError(f"{path}: two output columns have the same name.")
    types = OutputTypes(typed)
    return tuple(_column(path, node, place, types, grain) for place, node in enumerate(statement.selects))


def _column(path: Path, node: exp.Expr, place: int, types: OutputTypes, grain: Iterable[str]) -> Column:
    name, description = node.alias_or_name, " ".join(comment.strip() for comment in node.comments or [])
    if not description:
        raise MartError(f"{path}: the output column {name} has no description; write it behind the column as `-- ...`.")
    try:
        kind = types.arrow(place)
    except UnfixedError as error:
        raise MartError(
            f"{path}: the output column {name} {error}; say how many are to be stored, as in "
            f"cast({name} as numeric(19, 4))."
        ) from None
    if kind is None:
        raise MartError(
            f"{path}: the type of the output column {name} cannot be derived; cast it, as in cast({name} as "
            f"{'numeric(19, 4)' if types.is_fraction(place) else 'bigint'})."
        )
    return Column(name=name, type=kind, description=description, is_nullable=name not in grain)


def _lineage(qualified: exp.Query, schema: SqlSchema) -> dict[str, tuple[tuple[str, str, str], ...]]:
    # Without these options the library copies the statement for every column, at each start of a process.
    nodes: dict[str, Node] = lineage(
        None, qualified, schema=schema, dialect=DIALECT, scope=build_scope(qualified), trim_selects=False, copy=False
    )
    return {column: _leaves(node) for column, node in nodes.items()}


def _leaves(node: Node) -> tuple[tuple[str, str, str], ...]:
    found = set()
    for leaf in node.walk():
        table = leaf.expression
        if not leaf.downstream and isinstance(table, exp.Table) and table.db:
            found.add((table.db, table.name, leaf.name.rpartition(".")[2].strip('"')))
    return tuple(sorted(found))
