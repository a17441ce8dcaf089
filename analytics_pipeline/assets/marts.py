"""The marts: one asset per SQL file, computed by Postgres. A new mart is a new file in `marts/`, and nothing else."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from analytics_pipeline.assets.describe import by_day, mart_metadata, table_asset
from analytics_pipeline.database.claim import claim_database
from analytics_pipeline.database.slices import Query
from analytics_pipeline.mart_sql import Mart
from analytics_pipeline.partitions import days_of
from analytics_pipeline.resources import DatabaseResource, ShopResource
from analytics_pipeline.sources.spec import Shop

HOURS_TO_FINISH = 2
"""Hours after the daily run's start within which the marts have to be there."""


def build_mart_assets(
    marts: Sequence[Mart], partitions: dg.DailyPartitionsDefinition, shop: Shop
) -> list[dg.AssetsDefinition]:
    """Return one asset per mart, fresh every morning in the shop's time zone."""
    return [_mart_asset(mart, partitions, _freshness(shop)) for mart in marts]


def _freshness(shop: Shop) -> dg.FreshnessPolicy:
    deadline = (shop.daily_run_hour + HOURS_TO_FINISH) % 24
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"0 {deadline} * * *", lower_bound_delta=timedelta(hours=HOURS_TO_FINISH), timezone=shop.timezone
    )


def _mart_asset(
    mart: Mart, partitions: dg.DailyPartitionsDefinition, freshness: dg.FreshnessPolicy
) -> dg.AssetsDefinition:
    @table_asset(
        mart.table,
        deps=[dg.AssetKey([layer, name]) for layer, name in mart.sources],
        metadata=mart_metadata(mart),
        kinds={"sql", "postgres"},
        freshness_policy=freshness,
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
