"""Marts over all shops, computed from every shop's tables, and which of their days a shop has written anew since.

A mart of one shop is published by `publishing`; the restatements of its numbers are kept there.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date, datetime

from analytics_pipeline.catalogue import Installation
from analytics_pipeline.days import Days
from analytics_pipeline.history.written import DaysWritten, Writing, listed
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.marts.shops import REVENUE, ShopOfMarts, There, gaps_of, reading_shops
from analytics_pipeline.tables.all_shops import SHOP_DAYS_READ
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.layout import ensure_schema, ensure_table
from analytics_pipeline.warehouse.reshaping import beside, refuse_readers, reshape, shape_change
from analytics_pipeline.warehouse.slices import Query, exists, is_there, keys_of, put_rows, query, replace_rows
from analytics_pipeline.warehouse.turns import take_turns

Written = dict[date, dict[str, datetime | None]]
"""When each shop has written a day, by day and the shop's name; None where the shop lacks the day."""
NO_ONES = ""
"""Value of one shop's parameters, which no mart over all shops has."""


def publish_of_shops(
    database: Database, mart: Mart, shops: Sequence[ShopOfMarts], part: Days | None, run_id: str
) -> int:
    """Compute days of a mart over all shops, or all of one without days, in one transaction; returns its rows.

    What a shop lacks is a gap that the mart names; nothing of a shop is waited for.

    Args:
        database: The shops' database.
        mart: The mart.
        shops: The shops.
        part: The days; None for a mart without days.
        run_id: Dagster's id of the run.

    Raises:
        TableMismatchError: The stored table cannot be given its shape.
        ContractError: Two rows have the same key.
    """
    plain, table = database.of(None), mart.table
    for name in (table.schema, SHOP_DAYS_READ.schema):
        ensure_schema(plain, name)
    there = _there(database, shops)
    with plain.connect() as connection, closing(connection.cursor()) as cursor:
        take_turns(cursor, table.qualified_name)
        change = shape_change(cursor, table)
        if part is not None and change is not None:
            booked = _book(cursor, table.qualified_name) if is_there(cursor, MATERIALISED_DAYS) else {}
            part = Days(min([part.first, *booked]), max([part.last, *booked]))
        # Before the rows are computed: what a shop writes meanwhile is computed once more, and never passed over.
        written = _with_gaps(database, shops, _written(database, mart, shops, part), part)
        first, last = (None, None) if part is None else (part.first, part.last)
        sql = reading_shops(mart, shops, there).sql(
            shop_currency=NO_ONES, shop_timezone=NO_ONES, first_day=first, last_day=last
        )
        rows = Query(sql)
        with keys_of(table):
            if change is None:
                keys = ensure_table(connection, table)
                count = replace_rows(cursor, table, rows, part)
            else:
                refuse_readers(cursor, table, change)
                keys, made = [], beside(cursor, table)
                count = put_rows(cursor, made, rows, None)
                reshape(cursor, table, change, made)
            for statement in (*keys, *ensure_table(connection, SHOP_DAYS_READ)):
                cursor.execute(statement)
        if part is None and written:  # one without days is made of them all the same, and known to be by the same book
            part = Days(min(written), max(written))
        if part is not None:
            _note(cursor, mart, part, written, Writing(run_id, _version(mart, shops), _as_of(database, shops, part)))
        connection.commit()
    return count


def stale_days_of_all_marts(database: Database, installation: Installation) -> list[date]:
    """Return the days, in order, that some mart over all shops has to be computed for; see `stale_days_of_shops`."""
    shops = installation.shops_of_marts
    return sorted({day for mart in installation.marts for day in stale_days_of_shops(database, mart, shops)})


def stale_days_of_shops(database: Database, mart: Mart, shops: Sequence[ShopOfMarts]) -> list[date]:
    """Return the days of a mart that a shop has written since, or that another statement or other shops made.

    A day that is over and that a shop lacks is among them once, so that the mart can name the gap, and once more when
    it is none any longer: a shop's days begin with the first that it has loaded, which changes. Days before each
    shop's `first_day`, as after that was moved, stay as they are.
    """
    plain, now = database.of(None), _written(database, mart, shops)
    if not now:
        return []
    now, first = _with_gaps(database, shops, now), min(shop.first_day for shop in shops)
    if not exists(plain, mart.table) or not exists(plain, SHOP_DAYS_READ) or not exists(plain, MATERIALISED_DAYS):
        return sorted(day for day in now if day >= first)
    read: Written = {}
    for row in query(
        plain, f"select day, shop, written_at from {SHOP_DAYS_READ.sql_name} where mart = '{mart.table.name}'"
    ):
        read.setdefault(row["day"], {})[row["shop"]] = row["written_at"]
    with plain.connect() as connection, closing(connection.cursor()) as cursor:
        book = _book(cursor, mart.table.qualified_name)
    version = _version(mart, shops)
    return sorted(
        day
        for day in {*now, *read}
        if day >= first and (now.get(day, {}) != read.get(day, {}) or book.get(day) != version)
    )


def gaps(database: Database, shops: Sequence[ShopOfMarts], part: Days | None = None) -> dict[str, Days]:
    """Return the days that are over and that a shop lacks, by the shop's name; shops that lack none are not there.

    Args:
        database: The shops' database.
        shops: The shops.
        part: Only from the first of these days to the last one.
    """
    found: dict[str, list[date]] = {}
    for row in query(database.of(None), gaps_of(shops, _there(database, shops), part)):
        found.setdefault(row["shop"], []).append(row["day"])
    return {shop: Days.of(days) for shop, days in found.items()}


def _there(database: Database, shops: Sequence[ShopOfMarts]) -> There:
    """Return which tables of the shops have been made."""
    wanted = [(shop.namespace, place) for shop in shops for place in shop.tables]
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select nspname, relname from pg_class as c join pg_namespace as n on n.oid = relnamespace")
        made = {*cursor.fetchall()}
    return {one for one in wanted if (database.of(one[0]).schema(one[1][0]), one[1][1]) in made}


def _written(database: Database, mart: Mart, shops: Sequence[ShopOfMarts], part: Days | None = None) -> Written:
    """Return when each shop has written each day, or each of some days, of what the mart reads.

    Whatever changes a day's figures has the shop's own revenue of the day written anew: so a refund today of an order
    of last month is known here by both days.
    """
    read = {f"{layer}.{name}" for layer, name in mart.sources} | {REVENUE}
    written: Written = {}
    for shop in shops:
        if not exists(database.of(shop.namespace), MATERIALISED_DAYS):
            continue
        for row in query(
            database.of(shop.namespace),
            f"select day, max(written_at) as at from {MATERIALISED_DAYS.sql_name} "
            f"where table_name in ({listed(sorted(read))}) and {_within(part)} group by day "
            f"having bool_or(table_name = '{REVENUE}')",
        ):
            written.setdefault(row["day"], {})[shop.name] = row["at"]
    return written


def _within(part: Days | None) -> str:
    return "true" if part is None else part.where("day")


def _with_gaps(database: Database, shops: Sequence[ShopOfMarts], written: Written, part: Days | None = None) -> Written:
    """Return what the shops have written together with what they lack."""
    found = {day: {**of_day} for day, of_day in written.items()}
    for shop, days in gaps(database, shops, part).items():
        for day in days:
            found.setdefault(day, {})[shop] = None
    return found


def _as_of(database: Database, shops: Sequence[ShopOfMarts], part: Days) -> Mapping[date, datetime]:
    """Return as of when days are that all shops have: the oldest of their own."""
    stamps: dict[date, list[datetime | None]] = {}
    statement = (
        f"select day, as_of from {MATERIALISED_DAYS.sql_name} where table_name = '{REVENUE}' and {_within(part)}"
    )
    for shop in shops:
        own = database.of(shop.namespace)
        for row in query(own, statement) if exists(own, MATERIALISED_DAYS) else ():
            stamps.setdefault(row["day"], []).append(row["as_of"])
    return {
        day: min(stamp for stamp in found if stamp is not None)
        for day, found in stamps.items()
        if len(found) == len(shops) and None not in found
    }


def _book(cursor: Connection, name: str) -> dict[date, str]:
    cursor.execute(f"select day, code_version from {MATERIALISED_DAYS.sql_name} where table_name = $1", (name,))
    return dict(cursor.fetchall())


def _note(cursor: Connection, mart: Mart, part: Days, written: Written, writing: Writing) -> None:
    """Keep the book of the days, and what each was made from."""
    DaysWritten(writing).after(cursor, mart.table, part)
    cursor.execute(f"delete from {SHOP_DAYS_READ.sql_name} where mart = $1 and {part.where('day')}", (mart.table.name,))
    made = [(day, shop, at) for day, shops in written.items() if day in part for shop, at in shops.items()]
    columns = [[row[place] for row in made] for place in range(3)]
    cursor.execute(
        f"insert into {SHOP_DAYS_READ.sql_name} (mart, day, shop, written_at) "
        "select $1, * from unnest($2::date[], $3::text[], $4::timestamptz[])",
        (mart.table.name, *columns),
    )


def _version(mart: Mart, shops: Sequence[ShopOfMarts]) -> str:
    """Return what the mart's days are made by: its statement and the shops that it reads."""
    own = mart.code_version(shop_currency=NO_ONES, shop_timezone=NO_ONES)
    return hashlib.sha256(
        " ".join([own, *sorted(f"{shop.name} {shop.currency}" for shop in shops)]).encode()
    ).hexdigest()[:12]
