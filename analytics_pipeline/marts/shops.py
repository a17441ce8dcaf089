"""Marts over all shops: files with a line `shops: all`, which read every shop's tables, with a column `shop`.

Amounts of different currencies are never added, and a day that a shop lacks is never taken for 0: what could do either
is refused. Which tables are there is known when a statement is made; what one shop lacks, the others have.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import cast

import pyarrow as pa
from sqlglot import exp, parse_one

from analytics_pipeline.days import Days
from analytics_pipeline.errors import MartError
from analytics_pipeline.marts.currencies import CURRENCY
from analytics_pipeline.marts.engine import LAYER, Draft, Mart, build_mart, read_draft
from analytics_pipeline.marts.folders import BrokenMart
from analytics_pipeline.marts.header import fault
from analytics_pipeline.marts.statement import DAYS, DIALECT, FIRST_DAY, LAST_DAY, parameters
from analytics_pipeline.marts.types import SqlSchema, sql_type
from analytics_pipeline.tables.all_shops import SHOP_DAYS
from analytics_pipeline.tables.shape import Column, Table

SHOP = "shop"
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
    earlier = {name: mart for shop in reversed(shops) for name, mart in shop.marts.items()}
    try:
        mart = build_mart(draft, schema, earlier)
    except MartError as error:
        hint = _who_lacks_it(str(error), draft, shops)
        raise MartError(f"{str(error).rstrip('.')}. {hint}" if hint else str(error)) from None
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


def _who_lacks_it(message: str, draft: Draft, shops: Sequence[ShopOfMarts]) -> str:
    """Say of a column that a message names which shops have it, where the others do not."""
    for place in {*draft.sources} & {*_places(shops)} - {OF_SHOP_DAYS}:
        common = {column.name for column in _columns(place, shops)}
        having: dict[str, list[str]] = {}
        for shop in shops:
            for column in shop.tables[place].columns:
                having.setdefault(column.name, []).append(shop.name)
        for name in having.keys() - common:
            if re.search(rf"\b{name}\b", message):
                return (
                    f"Of these shops only {', '.join(having[name])} has it in {'.'.join(place)}: all of them need it."
                )
    return ""


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
    within = (f":{FIRST_DAY}", f":{LAST_DAY}") if mart.is_daily else None
    parts = {
        place: _shop_days(shops, there, within) if place == OF_SHOP_DAYS else _rows(place, shops, there)
        for place in mart.sources
    }

    statement = mart.statement.copy()
    for column in [*statement.find_all(exp.Column)]:
        if (column.text("db"), column.table) in parts:
            column.set("table", exp.to_identifier(_alias((column.text("db"), column.table), mart)))
            column.set("db", None)
    for table in [*statement.find_all(exp.Table)]:
        if (table.db, table.name) in parts:
            _put(parts[table.db, table.name], table, table.alias or _alias((table.db, table.name), mart))
    return replace(mart, statement=statement)


def _alias(place: Place, mart: Mart) -> str:
    """Return what a table without an alias is called, of which there may be two of a name in different layers."""
    is_alone = [name for _, name in mart.sources].count(place[1]) == 1
    return place[1] if is_alone else "_".join(place)


def _put(rows: exp.Query, table: exp.Table, alias: str) -> None:
    """Put rows in a table's place, under an alias, with what is said of it: in `from (a join b)` the join is a's."""
    found = rows.copy().subquery(alias)
    said = {name: value for name, value in table.args.items() if value and name not in {"this", "db", "catalog"}}
    table.replace(found)
    for name, value in said.items():
        found.set(name, value)


def gaps_of(shops: Sequence[ShopOfMarts], there: There, part: Days | None = None) -> str:
    """Return a statement that selects `shop` and `day` of each day that is over and that a shop lacks, in order.

    Args:
        shops: The shops.
        there: Which tables have been made.
        part: Only from the first of these days to the last one.
    """
    within = None if part is None else (f"'{part.first}'", f"'{part.last}'")
    found = _shop_days(shops, there, within).sql(dialect=DIALECT)
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


def _shop_days(shops: Sequence[ShopOfMarts], there: There, within: tuple[str, str] | None) -> exp.Query:
    """Return each shop's days up to its own yesterday, held against the book of its revenue.

    Only days are made that lie within two of them, given as SQL. A shop's days begin with the first that it has loaded,
    or, where it has none, with the first of all shops.
    """
    first, last = within or ("null", "null")
    return _parsed(
        f"with spans as ({' union all '.join(_span(shop, there) for shop in shops)}), "
        "bounds as (select shop, greatest(first_day, coalesce(loaded, min(loaded) over ()), "
        f"cast({first} as date)) as first_day, least(last_day, cast({last} as date)) as last_day from spans) "
        + " union all ".join(_days_of(shop, there) for shop in shops)
    )


def _span(shop: ShopOfMarts, there: There) -> str:
    """Select a shop's first day, the first that it has loaded, and its last one, which is over."""
    loaded = f"(select min(day) from {shop.in_sql(BOOK)} where table_name = '{REVENUE}')"
    if (shop.namespace, BOOK) not in there:
        loaded = "cast(null as date)"
    last = f"cast(date_trunc('day', now() at time zone {_literal(shop.timezone)}) - interval '1 day' as date)"
    if shop.last_day is not None:
        last = f"least({last}, cast('{shop.last_day}' as date))"
    return (
        f"select {_literal(shop.name)} as shop, cast('{shop.first_day}' as date) as first_day, {loaded} as loaded, "
        f"{last} as last_day"
    )


def _days_of(shop: ShopOfMarts, there: There) -> str:
    # A join for each shop: one over the books of all of them is made by looking through these for every day.
    book = f"select day, as_of from {shop.in_sql(BOOK)} where table_name = '{REVENUE}'"
    if (shop.namespace, BOOK) not in there:
        book = "select cast(null as date) as day, cast(null as timestamptz) as as_of where false"
    return (
        f"select {_literal(shop.name)} as {SHOP}, cast(series as date) as day, {_literal(shop.currency)} as "
        f"{CURRENCY}, book.as_of, case when book.day is null then 'not loaded' end as gap "
        f"from bounds cross join lateral generate_series(cast(bounds.first_day as timestamp), "
        "cast(bounds.last_day as timestamp), interval '1 day') as days(series) "
        f"left join ({book}) as book on book.day = cast(series as date) where bounds.shop = {_literal(shop.name)}"
    )


def _parsed(statement: str) -> exp.Query:
    return cast("exp.Query", parse_one(statement, read=DIALECT))


def _literal(text: str) -> str:
    return exp.Literal.string(text).sql(dialect=DIALECT)
