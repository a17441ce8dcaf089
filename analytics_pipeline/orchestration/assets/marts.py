"""The marts: one asset per SQL file, computed by Postgres. A new mart is a new file in `marts/`, and nothing else."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import dagster as dg

from analytics_pipeline.days import business_day
from analytics_pipeline.history.mart_days import mart_days
from analytics_pipeline.history.maturity import lateness, state_of
from analytics_pipeline.marts.engine import LAYER, Mart
from analytics_pipeline.marts.folders import BrokenMart
from analytics_pipeline.marts.statement import FIRST_DAY, LAST_DAY
from analytics_pipeline.orchestration.assets.describe import OWNER, by_day, mart_metadata, table_asset
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.slices import Query


def build_mart_assets(
    marts: Sequence[Mart], partitions: dg.DailyPartitionsDefinition, shop: Shop
) -> list[dg.AssetsDefinition]:
    """Return one asset per mart."""
    by_name = {mart.table.name: mart for mart in marts}
    return [_mart_asset(mart, partitions, by_name, shop) for mart in marts]


def description_of(mart: Mart) -> str:
    """Return the mart's description for the UI; what is no mart by business day says so."""
    if mart.is_daily:
        return mart.table.description
    return f"{mart.table.description}\n\nEvery run computes it whole, since it has no `:{FIRST_DAY}` and `:{LAST_DAY}`."


def broken_mart_specs(broken: Sequence[BrokenMart]) -> list[dg.AssetSpec]:
    """Return marts that cannot be computed: they stand in the lineage with the reason, and no job has them."""
    return [
        dg.AssetSpec(
            dg.AssetKey([one.layer, one.name]),
            deps=[dg.AssetKey([LAYER, name]) for name in one.reads],
            description=f"**Broken, and not computed:** {one.reason}",
            group_name=one.layer,
            kinds={"sql", "postgres"},
            owners=[OWNER],
        )
        for one in broken
    ]


def _state(day: date, as_of: datetime | None, *, shop: Shop, settles_after: int) -> str:
    return state_of(day, as_of, business_day(datetime.now(UTC), shop.zone), settles_after, shop)


def _mart_asset(
    mart: Mart, partitions: dg.DailyPartitionsDefinition, marts: Mapping[str, Mart], described: Shop
) -> dg.AssetsDefinition:
    @table_asset(
        mart.table,
        deps=[dg.AssetKey([layer, name]) for layer, name in mart.sources],
        description=description_of(mart),
        owners=list(mart.header.owners) or [OWNER],
        metadata=mart_metadata(mart),
        code_version=mart.code_version(shop_currency=described.currency, shop_timezone=described.timezone),
        kinds={"sql", "postgres"},
        **(by_day(partitions) if mart.is_daily else {}),
    )
    def mart_asset(context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource) -> Any:  # noqa: ANN401 - Query or MartDays
        stored, at_work = database.database(), shop.description
        if not mart.is_daily:
            return Query(mart.sql(shop_currency=at_work.currency, shop_timezone=at_work.timezone))
        state = partial(_state, shop=at_work, settles_after=lateness(stored, at_work).days)
        return mart_days(mart, days_of(context.partition_keys), marts, at_work, state)

    return mart_asset
