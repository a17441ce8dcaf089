"""The marts: one asset per SQL file, computed by Postgres. A new mart is a new file in `marts/`, and nothing else."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from analytics_pipeline.history.mart_days import daily_query, shop_values
from analytics_pipeline.marts.engine import LAYER, Mart
from analytics_pipeline.marts.folders import BrokenMart
from analytics_pipeline.marts.statement import FIRST_DAY, LAST_DAY
from analytics_pipeline.orchestration.assets.describe import OWNER, by_day, mart_metadata, table_asset
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.warehouse.slices import Query


def build_mart_assets(
    marts: Sequence[Mart], partitions: dg.DailyPartitionsDefinition, shop: Shop
) -> list[dg.AssetsDefinition]:
    """Return one asset per mart."""
    return [_mart_asset(mart, partitions, shop) for mart in marts]


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


def _mart_asset(mart: Mart, partitions: dg.DailyPartitionsDefinition, described: Shop) -> dg.AssetsDefinition:
    @table_asset(
        mart.table,
        described,
        deps=[dg.AssetKey([layer, name]) for layer, name in mart.sources],
        description=description_of(mart),
        owners=list(mart.header.owners) or [OWNER],
        metadata=mart_metadata(mart),
        code_version=mart.code_version(**shop_values(described)),
        kinds={"sql", "postgres"},
        **(by_day(partitions) if mart.is_daily else {}),
    )
    def mart_asset(
        context: dg.AssetExecutionContext,  # noqa: ARG001 - guarded
        shop: ShopResource,
        database: DatabaseResource,  # noqa: ARG001 - as above
    ) -> Any:  # noqa: ANN401 - Query or DailyQuery: Dagster takes no union
        if mart.is_daily:
            return daily_query(mart, shop.description)
        return Query(mart.sql(**shop_values(shop.description)))

    return mart_asset
