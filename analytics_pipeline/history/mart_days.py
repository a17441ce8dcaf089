"""Marts by business day as `publishing` computes them: from their file, the shop and the marts that they read.

Nothing is computed or stored here.
"""

import hashlib
from collections.abc import Mapping

from analytics_pipeline.days import Days
from analytics_pipeline.history.publishing import MartDays
from analytics_pipeline.marts.engine import LAYER, Mart
from analytics_pipeline.marts.statement import ShopValues
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.warehouse.slices import DailyQuery

REPORTS = (SHOP_REPORTS.table.schema, SHOP_REPORTS.table.name)


def shop_values(shop: Shop) -> ShopValues:
    """Return the shop's values for the parameters of marts, as `Mart.sql` takes them."""
    return {
        "shop_currency": shop.currency,
        "shop_timezone": shop.timezone,
        "report_rules": shop.report_rules,
        "cannot_tell": " ".join(("", *shop.cannot_tell, "")),
    }


def code_versions(marts: Mapping[str, Mart], shop: Shop) -> dict[str, str]:
    """Return what each mart's days are made by: a hash of its statement and of those of all marts below it.

    A day that was computed from another statement of a mart below is as outdated as one of its own other statement.

    Args:
        marts: Marts by name, each after the ones that it reads.
        shop: The shop.
    """
    found: dict[str, str] = {}
    for name, mart in marts.items():
        own = mart.code_version(**shop_values(shop))
        read = [found[table] for layer, table in mart.sources if layer == LAYER]
        found[name] = hashlib.sha256(" ".join([own, *read]).encode()).hexdigest()[:12] if read else own
    return found


def daily_query(mart: Mart, shop: Shop) -> DailyQuery:
    """Return the statement of a mart by business day, for any days."""

    def statement(part: Days) -> str:
        return mart.sql(**shop_values(shop), first_day=part.first, last_day=part.last)

    return DailyQuery(statement)


def mart_days(
    mart: Mart, days: Days | None, marts: Mapping[str, Mart], shop: Shop, query: DailyQuery | None = None
) -> MartDays:
    """Return days of a mart, to be computed.

    Args:
        mart: The mart.
        days: The run's days; None where only those are wanted that have to be computed anyway.
        marts: All marts by name, each after the ones that it reads.
        shop: The shop.
        query: The mart's rows, where its asset has given them; those of its file when None.
    """
    read = [marts[name] for layer, name in mart.sources if layer == LAYER]
    return MartDays(
        (query or daily_query(mart, shop)).of,
        days,
        code_version=code_versions(marts, shop)[mart.table.name],
        zone=shop.timezone,
        watched=mart.watched,
        reads_first_orders=mart.reads_first_orders,
        reads_reports=any(REPORTS in one.sources for one in (mart, *read)),
        reads_marts={one.table.qualified_name: one.reads_first_orders for one in read if one.is_daily},
        closed_until=shop.closed_until,
    )
