"""Marts by business day as `publishing` computes them: from their file, the shop and the marts that they read.

Nothing is computed or stored here.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime

from analytics_pipeline.days import DayRange
from analytics_pipeline.history.publishing import MartDays
from analytics_pipeline.marts.engine import LAYER, Mart
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.slices import Slice


def code_versions(marts: Mapping[str, Mart], shop: Shop) -> dict[str, str]:
    """Return what each mart's days are made by: a hash of its statement and of those of all marts below it.

    A day that was computed from another statement of a mart below is as outdated as one of its own other statement.

    Args:
        marts: Marts by name, each after the ones that it reads.
        shop: The shop.
    """
    found: dict[str, str] = {}
    for name, mart in marts.items():
        own = mart.code_version(shop_currency=shop.currency, shop_timezone=shop.timezone)
        read = [found[table] for layer, table in mart.sources if layer == LAYER]
        found[name] = hashlib.sha256(" ".join([own, *read]).encode()).hexdigest()[:12] if read else own
    return found


def mart_days(
    mart: Mart,
    days: DayRange | None,
    marts: Mapping[str, Mart],
    shop: Shop,
    state: Callable[[date, datetime | None], str] = lambda _, __: "settling",
) -> MartDays:
    """Return days of a mart, to be computed.

    Args:
        mart: The mart.
        days: The run's days; None where only those are wanted that have to be computed anyway.
        marts: All marts by name, each after the ones that it reads.
        shop: The shop.
        state: How far a day's figures can still move, from the day and the time when its orders were read.
    """

    def statement(part: Slice) -> str:
        return mart.sql(
            shop_currency=shop.currency, shop_timezone=shop.timezone, first_day=part.first, last_day=part.last
        )

    read = [marts[name] for layer, name in mart.sources if layer == LAYER]
    return MartDays(
        statement,
        days,
        code_version=code_versions(marts, shop)[mart.table.name],
        zone=shop.timezone,
        watched=mart.watched,
        reads_first_orders=mart.reads_first_orders,
        reads_marts={one.table.qualified_name: one.reads_first_orders for one in read if one.is_daily},
        closed_until=shop.closed_until,
        state=state,
    )
