"""What the next run computes anew of the marts, and which published numbers that changes: said beforehand.

The numbers are those of `publishing` itself, in a transaction that is undone: rows come into tables beside the marts,
from which marts above read, and what would be put on record is read back. So nobody's reading is disturbed, and what is
said is what happens. Runs that compute marts or commit orders wait meanwhile.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.history.mart_days import mart_days, shop_values
from analytics_pipeline.history.publishing import Anew, Outdated, compute, outdated_days
from analytics_pipeline.marts.engine import LAYER, Mart
from analytics_pipeline.marts.statement import reading_elsewhere
from analytics_pipeline.tables.history import RESTATEMENTS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection, fetched, without_rows
from analytics_pipeline.warehouse.layout import stored_columns
from analytics_pipeline.warehouse.reshaping import beside, refuse_readers, shape_change
from analytics_pipeline.warehouse.slices import Query, keys_of, replace_rows
from analytics_pipeline.warehouse.turns import take_turns

RUN = "analytics-pipeline plan"
"""Stands for the run's id in what is undone."""
CELLS = "planned_cells"
AT_ONCE = 10_000
"""Cells that are fetched together: there may be more than memory holds."""


@dataclass(frozen=True)
class Planned:
    """A mart that the next run computes anew.

    Attributes:
        mart: The mart.
        anew: Which days, and why.
        reads: Names of marts that it reads and that are computed anew, too.
        lacking: Number of days that stay as they are, since a mart that it reads lacks them.
    """

    mart: Mart
    anew: Anew
    reads: tuple[str, ...] = ()
    lacking: int = 0

    def __str__(self) -> str:
        parts = [str(self.anew)] if self.anew != Anew() else []
        parts += [f"so is {', '.join(self.reads)}, which it reads"] if self.reads else []
        parts += [f"{self.lacking:,} days stay, since a mart that it reads lacks them"] if self.lacking else []
        return "; ".join(parts)


@dataclass(frozen=True)
class Plan:
    """What would change; to be read before the block of `planned` ends.

    Attributes:
        cursor: In the transaction that is undone.
        marts: What is computed anew, each after the ones that it reads.
        missing: Names of marts that are not stored yet, and of those that wait for such a one.
    """

    cursor: Connection
    marts: tuple[Planned, ...]
    missing: tuple[str, ...]

    def by_column(self) -> list[dict[str, Any]]:
        """Return mart, column, currency (null where the grain has none), number of cells, sum of the differences."""
        return self._rows(
            f"select mart, metric as column, currency, count(*) as cells, sum(difference)::text as difference "
            f"from {CELLS} group by 1, 2, 3 order by 1, 2, 3"
        )

    def cells(self, most: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield each number that changes: mart, day, key, column, old_value, new_value, difference and cause."""
        limit = "" if most is None else f" limit {most}"
        self.cursor.execute(
            "declare all_cells cursor for select mart, day::text, key, metric as column, old_value::text, "
            f"new_value::text, difference::text, cause from {CELLS} order by mart, day, key, metric{limit}"
        )
        try:
            while rows := self._rows(f"fetch {AT_ONCE} from all_cells"):
                yield from rows
        finally:
            self.cursor.execute("close all_cells")

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        self.cursor.execute(sql)
        return fetched(self.cursor)


def outdated_marts(database: Database, catalogue: Catalogue) -> list[Planned]:
    """Return the marts of which the next run that writes them computes days anew; reads only."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        found: list[Planned] = []
        for mart in catalogue.marts:
            found += _outdated(cursor, catalogue, mart, found)
        return found


@contextmanager
def planned(
    database: Database,
    catalogue: Catalogue,
    names: Collection[str] = (),
    explained: Callable[[Mart], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Iterator[Plan]:
    """Compute what would change, until the block ends; nothing of it is kept.

    Args:
        database: Where the tables lie; those of the history are up to date.
        catalogue: The installation.
        names: Names of the marts to look at, with those that they read; all when empty.
        explained: Turns errors of a mart into those that name its file.

    Raises:
        TableMismatchError: A mart cannot be given its shape.
        ContractError: Two rows of a mart have the same key.
    """
    wanted = _with_sources(catalogue, names)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, *(mart.table.qualified_name for mart in wanted))
        cursor.execute(
            f"create temporary table {CELLS} on commit drop as "
            f"select *, null::text as currency from {RESTATEMENTS.sql_name} limit 0"
        )
        found: list[Planned] = []
        missing: list[str] = []
        places: dict[tuple[str, str], tuple[str, str]] = {}
        whole = {mart.table.name for mart in catalogue.marts if not mart.is_daily}
        for mart in wanted:
            unread = {name for layer, name in mart.sources if layer == LAYER} & {*missing} & whole
            if unread or stored_columns(cursor, mart.table) is None:
                missing.append(mart.table.name)
                continue
            outdated = _outdated(cursor, catalogue, mart, found)
            found += outdated
            with explained(mart), _quoting_nothing():
                rows = _compute(cursor, catalogue, mart, places, is_outdated=bool(outdated))
            if rows is not None:
                places[LAYER, mart.table.name] = (rows.schema, rows.name)
        yield Plan(cursor, tuple(found), tuple(missing))


@contextmanager
def _quoting_nothing() -> Iterator[None]:
    """Let errors of the block name no row: who explains them does so before the connection has ended."""
    try:
        yield
    except psycopg.Error as error:
        raise without_rows(error) from None


def _with_sources(catalogue: Catalogue, names: Collection[str]) -> list[Mart]:
    """Return some marts and those below them, each after the ones that it reads; all when none is named."""
    wanted = set(names) or {mart.table.name for mart in catalogue.marts}
    for mart in reversed(catalogue.marts):
        if mart.table.name in wanted:
            wanted |= {name for layer, name in mart.sources if layer == LAYER}
    return [mart for mart in catalogue.marts if mart.table.name in wanted]


def _outdated(cursor: Connection, catalogue: Catalogue, mart: Mart, found: Sequence[Planned]) -> list[Planned]:
    """Return a stored mart if it is outdated, after those found so far; one without days by its shape only."""
    change = shape_change(cursor, mart.table)
    outdated = Outdated((), {})
    if mart.is_daily and stored_columns(cursor, mart.table) is not None:
        days = mart_days(mart, None, _by_name(catalogue), catalogue.shop)
        outdated = outdated_days(cursor, mart.table, days, change)
    if change is None and not outdated.days and not outdated.lacking:
        return []
    anew, below = Anew(tuple(Days.of(outdated.days).ranges), change), {one.mart.table.name for one in found}
    reads = sorted(f"{layer}.{name}" for layer, name in mart.sources if layer == LAYER and name in below)
    return [Planned(mart, anew, tuple(reads), len(outdated.lacking))]


def _compute(
    cursor: Connection,
    catalogue: Catalogue,
    mart: Mart,
    places: Mapping[tuple[str, str], tuple[str, str]],
    *,
    is_outdated: bool,
) -> Table | None:
    """Compute a mart beside the stored one, from what is beside those below it; None where it stays as it is."""
    shop, change = catalogue.shop, shape_change(cursor, mart.table)
    moved = replace(mart, statement=reading_elsewhere(mart.statement, places))
    if mart.is_daily:
        if not is_outdated:
            return None
        days = mart_days(moved, None, _by_name(catalogue), shop)
        with keys_of(mart.table):
            _, rows = compute(cursor, mart.table, days, RUN, change, is_beside=True)
        _keep_cells(cursor, mart)
        return rows
    if change is not None:
        refuse_readers(cursor, mart.table, change)
    rows = beside(cursor, mart.table)
    statement = moved.sql(**shop_values(shop))
    with keys_of(mart.table):
        replace_rows(cursor, rows, Query(statement), None)
    return rows


def _by_name(catalogue: Catalogue) -> dict[str, Mart]:
    return {mart.table.name: mart for mart in catalogue.marts}


def _keep_cells(cursor: Connection, mart: Mart) -> None:
    rest = [name for name in mart.table.key if name != mart.table.day_column]
    currency = "key" if rest == ["currency"] else "null"
    if "currency" in rest and len(rest) > 1:
        # Values of a key are joined by blanks, those within escaped: see `restatements`.
        parts = r"regexp_split_to_array(key, '(?<!\\) ')"
        currency = f"case when cardinality({parts}) = {len(rest)} then ({parts})[{rest.index('currency') + 1}] end"
    cursor.execute(
        f"insert into {CELLS} select *, {currency} from {RESTATEMENTS.sql_name} where mart = $1 and run_id = $2",
        (mart.table.name, RUN),
    )
