"""The marts: one asset per SQL file, computed by Postgres. A new mart is a new file in `marts/`, and nothing else."""

from collections.abc import Sequence

import dagster as dg

from analytics_pipeline.assets.describe import by_day, mart_metadata, table_asset
from analytics_pipeline.database.claim import claim_database
from analytics_pipeline.database.slices import Query
from analytics_pipeline.mart_sql import Mart
from analytics_pipeline.partitions import days_of
from analytics_pipeline.resources import DatabaseResource, ShopResource


def build_mart_assets(marts: Sequence[Mart], partitions: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return one asset per mart."""
    return [_mart_asset(mart, partitions) for mart in marts]


def _mart_asset(mart: Mart, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @table_asset(
        mart.table,
        deps=[dg.AssetKey([layer, name]) for layer, name in mart.sources],
        metadata=mart_metadata(mart),
        kinds={"sql", "postgres"},
        **(by_day(partitions) if mart.is_daily else {}),
    )
    def mart_asset(context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource) -> Query:
        claim_database(database.database(), shop.description.name)
        currency = shop.description.currency
        if not mart.is_daily:
            return Query(mart.sql(shop_currency=currency))
        days = days_of(context.partition_keys)
        return Query(mart.sql(shop_currency=currency, first_day=days.first, last_day=days.last))

    return mart_asset
