"""The lineage of a mart's columns: which columns of which tables each is made of."""

from sqlglot import exp
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.scope import build_scope

from analytics_pipeline.marts.statement import DIALECT
from analytics_pipeline.marts.types import SqlSchema


def lineage_of(qualified: exp.Query, schema: SqlSchema) -> dict[str, tuple[tuple[str, str, str], ...]]:
    """Return of each output column the columns that it is made of, as (layer, table, column).

    Args:
        qualified: The statement, with the table of each column.
        schema: What there is.
    """
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
