"""What Postgres finds wrong with a mart while it computes it, said with the line of the mart's file."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from analytics_pipeline.errors import ContractError, MartError, PipelineError
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.marts.header import fault
from analytics_pipeline.marts.statement import line_of
from analytics_pipeline.warehouse.connection import INSUFFICIENT_PRIVILEGE
from analytics_pipeline.warehouse.drivers import sqlstate
from analytics_pipeline.warehouse.slices import UNDEFINED_TABLE

NOT_NULL_VIOLATION = "23502"
FOREIGN_KEY_VIOLATION = "23503"
SYNTAX_OR_NAMES = "42"
"""Class of the codes for statements that cannot be run."""
ELSEWHERE = (INSUFFICIENT_PRIVILEGE, UNDEFINED_TABLE)
"""Codes of that class that are no fault of the statement."""


@contextmanager
def with_its_line(mart: Mart | None) -> Iterator[None]:
    """Let errors of the block tell file and line where the mart's file can mend them; nothing was written.

    Raises:
        ContractError: Rows repeat the grain, or lack a column of it.
        MartError: Postgres does not take the statement.
    """
    try:
        yield
    except ContractError as error:
        if mart is None:
            raise
        message = (
            f"two rows have the same {', '.join(mart.table.key)}; group by these columns, or name in the grain what "
            "else sets rows apart. Nothing was written."
        )
        raise _contract(mart, mart.header.lines["grain"], message, error.excerpt) from None
    except psycopg.Error as error:
        known = None if mart is None else _known(mart, error)
        if known is None:
            raise
        raise known from None


def _contract(mart: Mart, line: int, message: str, excerpt: str | None) -> ContractError:
    return ContractError(str(fault(mart.path, line, message)), excerpt=excerpt)


def _known(mart: Mart, error: psycopg.Error) -> PipelineError | None:
    code, said = sqlstate(error) or "", str(error)
    if code == NOT_NULL_VIOLATION and (found := re.search(r'column "(\w+)"', said)):
        message = (
            f"{found[1]} is in the grain and null in some rows; name what these stand for, as in coalesce({found[1]}, "
            "'(unknown)'), or leave them out. Nothing was written."
        )
        return _contract(mart, _line_of_column(mart, found[1]), message, getattr(error, "excerpt", None))
    if code == FOREIGN_KEY_VIOLATION:
        message = (
            f"{mart.table.qualified_name}: {said}. A foreign key of a table of your own is in the way of rows that are "
            "replaced: drop it (alter table ... drop constraint ...), and run again. Nothing was written."
        )
        return MartError(message, excerpt=getattr(error, "excerpt", None))
    if code.startswith(SYNTAX_OR_NAMES) and code not in ELSEWHERE:
        return MartError(str(fault(mart.path, _line_of_name(mart, said), f"{said} Nothing was written.")))
    return None


def _line_of_column(mart: Mart, name: str) -> int:
    return next(line_of(node) for node in mart.statement.selects if node.alias_or_name == name)


def _line_of_name(mart: Mart, said: str) -> int:
    """Return the first line of the statement that has the name which Postgres quotes, else the statement's first."""
    begin = line_of(mart.statement)
    quoted = re.search(r'"(?:[^".]+\.)?([^".]+)"', said)
    name = re.compile(rf"\b{re.escape(quoted[1])}\b") if quoted else re.compile("$^")
    lines = enumerate(mart.path.read_text(encoding="utf-8").splitlines(), 1)
    return next((number for number, line in lines if number >= begin and name.search(line)), begin)
