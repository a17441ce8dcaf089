"""The type of a mart's output column, exact to the last decimal: derived from the statement, or not at all.

sqlglot names kinds of types (`annotate_types`). How many decimals a number has is reckoned here, as Postgres does it:
a sum has those of its summands, a product those of both factors, a division has none that could be known beforehand.
"""

import pyarrow as pa
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.scope import Scope, build_scope

from analytics_pipeline.tables.shape import COUNT, DAY, DAYS, FLAG, MONEY, SHARE, STAMP, TEXT, TEXTS

MOST_DIGITS = 38
"""Of an Arrow decimal."""
SqlSchema = dict[str, dict[str, dict[str, str]]]
"""SQL types by layer, table and column, as sqlglot takes them."""

_SQL_TYPES: dict[pa.DataType, str] = {
    STAMP: "timestamptz",
    TEXT: "text",
    DAY: "date",
    COUNT: "bigint",
    FLAG: "boolean",
    TEXTS: "array<text>",
    DAYS: "array<date>",
    SHARE: "double precision",
}
_PLAIN: dict[object, pa.DataType] = {
    exp.DataType.Type.DATE: DAY,
    exp.DataType.Type.TIMESTAMPTZ: STAMP,
    exp.DataType.Type.BOOLEAN: FLAG,
}
_FRACTIONS = frozenset({"EPOCH", "SECOND", "SECONDS", "MILLISECOND", "MILLISECONDS", "JULIAN"})
_DIFFERENCE = "difference"
_NOT_FIXED = "has no fixed number of decimals"
_LIKE_THEIR_PARTS = (
    *(exp.Neg, exp.Paren, exp.Abs, exp.Sum, exp.Min, exp.Max, exp.Add, exp.Sub, exp.Mod, exp.Coalesce, exp.Greatest),
    *(exp.Least, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.Distinct),
)
_LIKE_THE_FIRST_PART = (exp.Filter, exp.Window, exp.Nullif, exp.IgnoreNulls)


class UnfixedError(Exception):
    """A number has no fixed count of decimals, or more digits than fit."""


def sql_type(kind: pa.DataType) -> str:
    """Return how sqlglot writes a column's type."""
    return f"decimal({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else _SQL_TYPES[kind]


def annotated(query: exp.Query, schema: dict[str, object]) -> exp.Query:
    """Return a statement with qualified columns with the kind of type of each part, where it can be known.

    Args:
        query: The statement; it is changed.
        schema: SQL types by layer, table and column.
    """
    _mark_fractions(query)
    while True:
        typed: exp.Query = annotate_types(query, schema=schema, dialect="postgres")
        if not _mark_a_difference(typed):
            return typed


def _mark_a_difference(query: exp.Query) -> bool:
    """Have a difference of two days taken for a number and one of moments for an interval; whether there was one.

    sqlglot takes both for what is on the left. Inner ones come first, as the kind of outer ones follows from them.
    """
    found = [
        node
        for node in query.find_all(exp.Sub)
        if all(part.type and part.type.is_type(*exp.DataType.TEMPORAL_TYPES) for part in (node.left, node.right))
        and not (isinstance(node.parent, exp.Cast) and node.parent.meta.get(_DIFFERENCE))
    ]
    if found:
        parts = (found[-1].left, found[-1].right)
        are_days = all(part.type is not None and part.type.is_type(exp.DataType.Type.DATE) for part in parts)
        kind = exp.DataType.Type.INT if are_days else exp.DataType.Type.INTERVAL
        marked = exp.Cast(this=found[-1].copy(), to=exp.DataType(this=kind))
        marked.meta[_DIFFERENCE] = True
        found[-1].replace(marked)
    return bool(found)


def _mark_fractions(query: exp.Expr) -> None:
    """Have the parts of a moment that need not be whole, such as `epoch`, taken for fractions when types are annotated.

    sqlglot takes every `extract` for a whole number.
    """
    for node in list(query.find_all(exp.Extract)):
        if node.name.upper() in _FRACTIONS:
            node.replace(exp.cast(node.copy(), exp.DataType.Type.DOUBLE))


class OutputTypes:
    """Types of the output columns of one statement."""

    def __init__(self, typed: exp.Query) -> None:
        """Take a statement with qualified columns and annotated types."""
        root = build_scope(typed)
        self._scopes = {id(scope.expression): scope for scope in root.traverse()} if root else {}
        self._typed = typed
        self._asked: set[int] = set()

    def arrow(self, place: int) -> pa.DataType | None:
        """Return the Arrow type of an output column, None where its kind is not known or none of a table's.

        Raises:
            UnfixedError: It is a number whose decimals cannot be known, or too many.
        """
        node = self._typed.selects[place].unalias()
        kind = node.type
        if kind is None:
            return None
        if kind.is_type(exp.DataType.Type.DECIMAL):
            return self._decimal(place)
        if kind.is_type(*exp.DataType.INTEGER_TYPES):
            return COUNT
        if kind.is_type(*exp.DataType.TEXT_TYPES):
            return TEXT
        return _PLAIN.get(kind.this)

    def is_fraction(self, place: int) -> bool:
        """Return whether an output column is a number that need not be whole."""
        kind = self._typed.selects[place].unalias().type
        return kind is not None and kind.is_type(*exp.DataType.REAL_TYPES)

    def is_interval(self, place: int) -> bool:
        """Return whether an output column is a stretch of time."""
        kind = self._typed.selects[place].unalias().type
        return kind is not None and kind.is_type(exp.DataType.Type.INTERVAL)

    def _decimal(self, place: int) -> pa.DataType:
        scope = self._scopes[id(self._typed)]
        scale = self._projected(scope, place)
        digits = self._digits(self._typed.selects[place], scope)
        if scale <= MONEY.scale and (digits is None or digits - scale <= MONEY.precision - MONEY.scale):
            return MONEY
        if max(digits or 0, scale) > MOST_DIGITS:
            raise UnfixedError(f"has more than {MOST_DIGITS} digits")
        return pa.decimal128(digits or MOST_DIGITS, scale)

    def _digits(self, node: exp.Expr, scope: Scope) -> int | None:
        """Return the digits that a cast gives to a number, here or where a subquery selects it."""
        node = node.unalias()
        if isinstance(node, exp.Column):
            source = _source(scope, node.table)
            if isinstance(source, Scope) and isinstance(source.expression, exp.Select):
                return self._digits(source.expression.selects[_place(source.expression, node)], source)
            return _digits_and_decimals(node.type)[0]
        return _digits_and_decimals(node.to)[0] if isinstance(node, exp.Cast) else None

    def _projected(self, scope: Scope, place: int) -> int:
        """Return the decimals of a query's output column; those of a union's are the most of its parts."""
        if scope.set_operation_scopes:
            return max(self._projected(part, place) for part in scope.set_operation_scopes)
        if not isinstance(scope.expression, exp.Query):
            raise UnfixedError(_NOT_FIXED)
        node = scope.expression.selects[place]
        if id(node) in self._asked:  # a recursive query
            raise UnfixedError(_NOT_FIXED)
        self._asked.add(id(node))
        scale = self._scale(node.unalias(), scope)
        self._asked.discard(id(node))
        return scale

    def _scale(self, node: exp.Expr, scope: Scope) -> int:
        """Return the decimals of an expression."""
        if isinstance(node, exp.Mul):
            return self._scale(node.left, scope) + self._scale(node.right, scope)
        if isinstance(node, exp.Column):
            return self._scale_of_column(node, scope)
        if isinstance(node, exp.Subquery):
            return self._projected(self._scopes[id(node.unnest())], 0)
        if parts := _parts(node):
            return max(self._scale(part, scope) for part in parts)
        return _own_scale(node)

    def _scale_of_column(self, column: exp.Column, scope: Scope) -> int:
        source = _source(scope, column.table)
        if isinstance(source, Scope) and isinstance(source.expression, exp.Query):
            return self._projected(source, _place(source.expression, column))
        return _fixed(column.type)


def _parts(node: exp.Expr) -> list[exp.Expr]:
    """Return the parts of an expression that has as many decimals as the one of them that has the most."""
    if isinstance(node, _LIKE_THEIR_PARTS):
        return list(node.iter_expressions())
    if isinstance(node, exp.Case):
        branches = [branch.args["true"] for branch in node.args["ifs"]]
        return [*branches, *filter(None, [node.args.get("default")])]
    is_open_cast = isinstance(node, exp.Cast) and node.to.is_type(exp.DataType.Type.DECIMAL) and not node.to.expressions
    return [node.this] if is_open_cast or isinstance(node, _LIKE_THE_FIRST_PART) else []


def _own_scale(node: exp.Expr) -> int:
    """Return the decimals of what needs no look at its parts."""
    if isinstance(node, exp.Literal) and not node.is_string and "e" not in node.name.lower():
        return len(node.name.partition(".")[2])
    if isinstance(node, exp.Round | exp.Trunc) and (decimals := node.args.get("decimals")) is not None:
        if isinstance(decimals, exp.Literal) and decimals.is_int:
            return int(decimals.name)
        raise UnfixedError(_NOT_FIXED)
    if isinstance(node, exp.Null | exp.Round | exp.Trunc | exp.Ceil | exp.Floor):
        return 0
    return _fixed(node.to if isinstance(node, exp.Cast) else node.type)


def _source(scope: Scope, name: str) -> object:
    """Return what a qualified column is read from: a table, a query, or None; a correlated subquery sees outer ones."""
    place: Scope | None = scope
    while place is not None:
        if name in place.sources:
            return place.sources[name]
        place = place.parent
    return None


def _place(query: exp.Query, column: exp.Column) -> int:
    names = [one.alias_or_name for one in query.selects]
    if column.name not in names:
        raise UnfixedError(_NOT_FIXED)
    return names.index(column.name)


def _fixed(kind: exp.DataType | None) -> int:
    """Return the decimals that a type has for all its numbers."""
    digits, decimals = _digits_and_decimals(kind)
    if kind is not None and (digits is not None or kind.is_type(*exp.DataType.INTEGER_TYPES)):
        return decimals
    raise UnfixedError(_NOT_FIXED)


def _digits_and_decimals(kind: exp.DataType | None) -> tuple[int | None, int]:
    """Return digits and decimals of `numeric(19, 4)`, no digits for a type that names none."""
    if kind is None or not kind.is_type(exp.DataType.Type.DECIMAL) or not kind.expressions:
        return None, 0
    digits, *decimals = (int(parameter.name) for parameter in kind.expressions)
    return digits, decimals[0] if decimals else 0
