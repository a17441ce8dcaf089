"""Marts over all shops: files with a line `shops: all`, which read every shop's tables, with a column `shop`.

Amounts of different currencies are never added, and a day that a shop lacks is never taken for 0: what could do either
is refused. Which tables are there is known when a statement is made; what one shop lacks, the others have.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import cast

import pyarrow as pa
from sqlglot import exp, parse_one

from analytics_pipeline.errors import MartError
from analytics_pipeline.marts.engine import LAYER, Mart, SqlSchema, build_mart, read_draft
from analytics_pipeline.marts.folders import BrokenMart
from analytics_pipeline.marts.header import fault
from analytics_pipeline.marts.statement import DAYS, DIALECT, FIRST_DAY, LAST_DAY, parameters
from analytics_pipeline.marts.types import sql_type
from analytics_pipeline.tables.all_shops import SHOP_DAYS
from analytics_pipeline.tables.shape import Column, Table

SHOP, CURRENCY = "shop", "currency"
OF_SHOP_DAYS = (SHOP_DAYS.schema, SHOP_DAYS.name)
BOOK = ("ops", "materialised_days")
REVENUE = f"{LAYER}.daily_revenue"
Place = tuple[str, str]
"""A table, as (layer, name)."""
There = Collection[tuple[str | None, Place]]
"""Tables that have been made, each as (namespace, place)."""


@dataclass(frozen=True, eq=False)
class ShopOfMarts:
    """A shop as marts over all of them read it.

    Attributes:
        name: Its name, which stands in the column `shop`.
        namespace: Begins its schemas.
        timezone: IANA name.
        currency: Its currency.
        first_day: Its first business day.
        last_day: Its last one, of a shop that has ended.
        tables: What it has, by (layer, name).
        marts: Its marts by name.
    """

    name: str
    namespace: str | None
    timezone: str
    currency: str
    first_day: date
    last_day: date | None
    tables: Mapping[Place, Table]
    marts: Mapping[str, Mart]

    def in_sql(self, place: Place) -> str:
        """Return one of its tables in the text of a statement."""
        return f"{self.namespace}_{place[0]}.{place[1]}" if self.namespace else ".".join(place)


def read_marts_of_all_shops(
    files: Iterable[Path], shops: Sequence[ShopOfMarts]
) -> tuple[tuple[Mart, ...], tuple[BrokenMart, ...]]:
    """Read files with a line `shops: all`, each by itself: they do not read each other.

    Args:
        files: The files.
        shops: The shops, one at least.
    """
    marts, broken = [], []
    for path in files:
        try:
            marts.append(_read(path, _schema(shops), shops))
        except MartError as error:
            broken.append(BrokenMart(path.stem, str(error)))
    return tuple(marts), tuple(broken)


def _read(path: Path, schema: SqlSchema, shops: Sequence[ShopOfMarts]) -> Mart:
    draft = read_draft(path)
    line = draft.header.lines["shops"]
    if any(path.stem in shop.marts for shop in shops):
        raise fault(path, line, "a shop has a mart of this name already; rename one of them.")
    if names := sorted(parameters(draft.statement) - DAYS):
        raise fault(path, line, f"the parameter :{names[0]} is one shop's; {SHOP_DAYS.qualified_name} has each shop's.")
    if draft.header.restatements is not None:
        raise fault(path, draft.header.lines["restatements"], "restatements are kept by the marts of each shop.")
    if draft.checks:
        raise fault(path, draft.header.lines["check"], "checks are of the marts of each shop.")
    mart = build_mart(draft, schema, {name: mart for shop in reversed(shops) for name, mart in shop.marts.items()})
    grain, at = set(mart.table.key), mart.header.lines["grain"]
    has_money = any(pa.types.is_decimal(column.type) for column in mart.table.columns)
    if has_money and CURRENCY not in grain:
        raise fault(path, at, f"it has amounts, and shops have their own currencies: name {CURRENCY} in the grain.")
    if SHOP not in grain and OF_SHOP_DAYS not in mart.sources:
        raise fault(
            path,
            at,
            f"a day that a shop lacks would count as 0: name {SHOP} in the grain, or read {SHOP_DAYS.qualified_name}, "
            "which tells who lacks which day.",
        )
    return mart


def _schema(shops: Sequence[ShopOfMarts]) -> SqlSchema:
    """Return what each shop has, with the columns that are the same in all of them."""
    schema: SqlSchema = {}
    for place in _places(shops):
        schema.setdefault(place[0], {})[place[1]] = {one.name: sql_type(one.type) for one in _columns(place, shops)}
    return schema


def _places(shops: Sequence[ShopOfMarts]) -> list[Place]:
    common = set.intersection(*({*shop.tables} for shop in shops))
    return [*(place for place in shops[0].tables if place in common), OF_SHOP_DAYS]


def _columns(place: Place, shops: Sequence[ShopOfMarts]) -> tuple[Column, ...]:
    """Return the columns of a table that are the same in all shops, with the shop's name before them."""
    if place == OF_SHOP_DAYS:
        return SHOP_DAYS.columns
    found = [{(column.name, column.type) for column in shop.tables[place].columns} for shop in shops]
    common = set.intersection(*found)
    kept = [column for column in shops[0].tables[place].columns if (column.name, column.type) in common]
    return (SHOP_DAYS.columns[0], *(column for column in kept if column.name != SHOP))


def reading_shops(mart: Mart, shops: Sequence[ShopOfMarts], there: There) -> Mart:
    """Return a mart whose statement reads each shop's tables.

    Args:
        mart: A mart over all shops.
        shops: The shops.
        there: Which tables have been made: a shop that was never loaded has none.
    """
    parts = {
        place: _shop_days(shops, there, is_daily=mart.is_daily) if place == OF_SHOP_DAYS else _rows(place, shops, there)
        for place in mart.sources
    }

    def of_all(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Table) and (node.db, node.name) in parts:
            return parts[node.db, node.name].copy().subquery(node.alias or node.name)
        if isinstance(node, exp.Column) and (node.text("db"), node.table) in parts:
            node.set("db", None)
        return node

    return replace(mart, statement=cast("exp.Query", mart.statement.transform(of_all)))


def gaps_of(shops: Sequence[ShopOfMarts], there: There) -> str:
    """Return a statement that selects `shop` and `day` of each day that is over and that a shop lacks, in order."""
    found = _shop_days(shops, there, is_daily=False).sql(dialect=DIALECT)
    return f"select shop, day from ({found}) as days where gap is not null order by shop, day"


def _rows(place: Place, shops: Sequence[ShopOfMarts], there: There) -> exp.Query:
    columns = _columns(place, shops)
    names = ", ".join(column.name for column in columns[1:])
    parts = [
        f"select {_literal(shop.name)} as {SHOP}, {names} from {shop.in_sql(place)}"
        for shop in shops
        if (shop.namespace, place) in there
    ]
    nothing = ", ".join(f"cast(null as {column.postgres_type}) as {column.name}" for column in columns)
    return _parsed(" union all ".join(parts) or f"select {nothing} where false")


def _shop_days(shops: Sequence[ShopOfMarts], there: There, *, is_daily: bool) -> exp.Query:
    """Return each shop's days up to its own yesterday, held against the book of its revenue.

    A shop's days begin with the first that it has loaded, or, where it has none, with the first of all shops.
    """
    books = {
        shop: f"select day, as_of from {shop.in_sql(BOOK)} where table_name = '{REVENUE}'"
        if (shop.namespace, BOOK) in there
        else "select cast(null as date) as day, cast(null as timestamptz) as as_of where false"
        for shop in shops
    }
    every = " union all ".join(books.values())
    parts = [_days_of(shop, book, every, is_daily=is_daily) for shop, book in books.items()]
    return _parsed(" union all ".join(parts))


def _days_of(shop: ShopOfMarts, book: str, every: str, *, is_daily: bool) -> str:
    loaded = f"coalesce((select min(day) from ({book}) as own), (select min(day) from ({every}) as others))"
    firsts = [f"cast('{shop.first_day}' as timestamp)", f"cast({loaded} as timestamp)"]
    lasts = [f"date_trunc('day', now() at time zone {_literal(shop.timezone)}) - interval '1 day'"]
    if shop.last_day is not None:
        lasts.append(f"cast('{shop.last_day}' as timestamp)")
    if is_daily:
        firsts.append(f"cast(:{FIRST_DAY} as timestamp)")
        lasts.append(f"cast(:{LAST_DAY} as timestamp)")
    return (
        f"select {_literal(shop.name)} as {SHOP}, cast(series as date) as day, {_literal(shop.currency)} as "
        f"{CURRENCY}, book.as_of, case when book.day is null then 'not loaded' end as gap "
        f"from generate_series(greatest({', '.join(firsts)}), least({', '.join(lasts)}), interval '1 day') "
        f"as days(series) left join ({book}) as book on book.day = cast(series as date)"
    )


def _parsed(statement: str) -> exp.Query:
    return cast("exp.Query", parse_one(statement, read=DIALECT))


def _literal(text: str) -> str:
    return exp.Literal.string(text).sql(dialect=DIALECT)
