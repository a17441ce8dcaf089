"""Whether a mart over all shops adds amounts of different currencies: what is summed has to be of one currency.

Told by names: a column `currency`, under whatever alias it goes on, is what amounts are in.
"""

from collections.abc import Iterator

from sqlglot import exp

CURRENCY = "currency"


def mixed_amounts(typed: exp.Query) -> list[exp.Expr]:
    """Return the aggregates that take amounts of several currencies together, in order.

    An aggregate is of one where its `group by`, its window or a condition on the rows says so.

    Args:
        typed: A statement with the table of each column and the type of each part.
    """
    names = _names(typed)
    return [
        node
        for select in typed.find_all(exp.Select)
        for node in _aggregates(select)
        if _is_amount(node) and not _is_of_one(node, select, names)
    ]


def _names(typed: exp.Query) -> frozenset[str]:
    """Return the names under which currencies go on; none that an inner select gives to anything else."""
    aliases = [*typed.find_all(exp.Alias)]
    names = {CURRENCY}
    while found := {one.alias for one in aliases if one.alias not in names and _tells(one.this, names)}:
        names |= found
    inner = (one for one in aliases if one.find_ancestor(exp.Subquery, exp.CTE) is not None)
    return frozenset(names - {one.alias for one in inner if not _tells(one.this, names)})


def _tells(node: exp.Expr, names: set[str] | frozenset[str]) -> bool:
    """Return whether a part is a currency and not one picked out of several."""
    columns = [*node.find_all(exp.Column)]
    return bool(columns) and all(one.name in names for one in columns) and node.find(exp.AggFunc) is None


def _aggregates(select: exp.Select) -> Iterator[exp.Expr]:
    """Yield the aggregates of a select, but for those of selects within it."""
    return (node for node in select.find_all(exp.AggFunc) if node.find_ancestor(exp.Select) is select)


def _is_amount(node: exp.Expr) -> bool:
    if isinstance(node, exp.Count | exp.CountIf):
        return False
    # What `within group` orders is what the aggregate takes.
    taken = node.parent.expression.find(exp.Column) if isinstance(node.parent, exp.WithinGroup) else node.this
    return isinstance(taken, exp.Expr) and taken.type is not None and taken.type.is_type(*exp.DataType.REAL_TYPES)


def _is_of_one(node: exp.Expr, select: exp.Select, names: frozenset[str]) -> bool:
    outer = node.parent
    if isinstance(outer, exp.Filter):
        if _is_fixed(outer.expression, select, names):
            return True
        outer = outer.parent
    if isinstance(outer, exp.Window):
        return any(_tells(part, names) for part in outer.args.get("partition_by") or []) or _has_one(select, names)
    group = select.args.get("group")
    return any(_tells(part, names) for part in (group.expressions if group else [])) or _has_one(select, names)


def _has_one(select: exp.Select, names: frozenset[str]) -> bool:
    where = select.args.get("where")
    return where is not None and _is_fixed(where, select, names)


def _is_fixed(condition: exp.Expr, select: exp.Select, names: frozenset[str]) -> bool:
    """Return whether a condition holds a currency against a text, or against that of a row outside of the select."""
    own = {source.alias_or_name for source in select.find_all(exp.Table, exp.Subquery) if _stands_in(source, select)}
    for equal in condition.find_all(exp.EQ):
        for one, other in ((equal.this, equal.expression), (equal.expression, equal.this)):
            if _tells(one, names) and not any(column.table in own for column in other.find_all(exp.Column)):
                return True
    return False


def _stands_in(source: exp.Expr, select: exp.Select) -> bool:
    return source.find_ancestor(exp.Select) is select
