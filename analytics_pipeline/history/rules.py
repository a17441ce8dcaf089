"""By which rules of the description each day was cut and mapped, and which days are made by others than those of now.

A day's raw orders are cut by the time zone, its clean tables mapped by the whole description. The project's own version
is no rule: a new one changes what it changes when days are loaded again, and has none loaded.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import date

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.tables.history import CODE_VERSIONS, MATERIALISED_DAYS
from analytics_pipeline.transforms.version import Rules, code_version, rules_of
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

RAW, SALES = RAW_ORDERS.table.qualified_name, CLEAN_SALES.table.qualified_name
MOST_SHOWN = 5


@dataclass(frozen=True)
class OtherRules:
    """Days that are made by other rules than those of now.

    Attributes:
        difference: What differs, in words.
        days: The days, oldest first.
    """

    difference: str
    days: tuple[date, ...]

    def __str__(self) -> str:
        ranges = Days.of(self.days).ranges
        shown = ", ".join(map(str, ranges[-MOST_SHOWN:]))
        others = f"{len(ranges) - MOST_SHOWN} other ranges and " if len(ranges) > MOST_SHOWN else ""
        many = len(self.days) > 1
        return f"{len(self.days)} day{'s' if many else ''} {'are' if many else 'is'} {self.difference}: {others}{shown}"


def keep_rules(database: Database, shop: Shop) -> None:
    """Keep what the hash of the description's rules stands for; the table is there."""
    rules = rules_of(shop)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"insert into {CODE_VERSIONS.sql_name} "
            "(hash, timezone, currency, cut, mapping, rules, first_seen_at) "
            "values ($1, $2, $3, $4, $5, $6::text::json, clock_timestamp()) on conflict (hash) do nothing",
            (code_version(shop), rules.timezone, rules.currency, rules.cut, rules.mapping, rules.text),
        )
        connection.commit()


def other_rules(database: Database, shop: Shop) -> list[OtherRules]:
    """Return the days that are made by other rules, by what differs; days whose rules were not kept are left out."""
    if not exists(database, CODE_VERSIONS):
        return []
    now = rules_of(shop)
    kept = {
        row["hash"]: Rules(row["timezone"], row["currency"], row["cut"], row["mapping"], "")
        for row in query(database, f"select hash, timezone, currency, cut, mapping from {CODE_VERSIONS.sql_name}")
    }
    found: dict[str, set[date]] = {}
    for table in (RAW, SALES):
        for made, rules in kept.items():
            difference = _difference(table, rules, now)
            if difference is not None:
                found.setdefault(difference, set()).update(_days_made_by(database, table, made))
    return [OtherRules(difference, tuple(sorted(days))) for difference, days in sorted(found.items()) if days]


def days_by_other_rules(database: Database, shop: Shop) -> list[date]:
    """Return these days, newest first."""
    return sorted({day for found in other_rules(database, shop) for day in found.days}, reverse=True)


def describe_rules(database: Database, shop: Shop) -> str:
    """Say which days are made by other rules than those of now."""
    found = other_rules(database, shop)
    if not found:
        return "no day is known to be made by another time zone, currency or mapping"
    return f"{'; '.join(map(str, found))} (polls load them again, newest first; catch-up does so now)"


def _difference(table: str, made: Rules, now: Rules) -> str | None:
    """Say how rules differ in what matters to a table; of several differences the first one says enough."""
    if made.timezone != now.timezone:
        return f"cut by {made.timezone}, now {now.timezone}"
    if table == RAW:
        return "cut by another stamp or id of the orders" if made.cut != now.cut else None
    if made.currency != now.currency:
        return f"in {made.currency} where orders name no currency, now {now.currency}"
    return "mapped by other fields or rules" if made.mapping != now.mapping else None


def _days_made_by(database: Database, table: str, made: str) -> list[date]:
    rows = query(
        database,
        f"select day from {MATERIALISED_DAYS.sql_name} where table_name = '{table}' and code_version = '{made}'",
    )
    return [row["day"] for row in rows]
