"""The raw layer of lists that are related to orders: one asset a list, by the business day of its own records.

What is asked for order by order is written with the orders (`raw`), and shown as a table beside them.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import dagster as dg
import pyarrow as pa

from analytics_pipeline.days import business_day
from analytics_pipeline.history.binding import bind
from analytics_pipeline.history.hooks import ExtractedRelated
from analytics_pipeline.history.proving import note_refusals
from analytics_pipeline.history.written import database_clock
from analytics_pipeline.orchestration.assets.describe import OWNER, SHOP_POOL, by_day, table_asset, table_metadata
from analytics_pipeline.orchestration.assets.drift import FieldAudit, field_specs
from analytics_pipeline.orchestration.assets.extracting import (
    SOURCE_COUNT,
    audited,
    costs,
    count_refusals,
    count_spec,
    keep_words,
    outputs,
    reports,
)
from analytics_pipeline.orchestration.assets.odd import readable_result, readable_spec
from analytics_pipeline.orchestration.assets.proof import DaysFound, days_spec
from analytics_pipeline.orchestration.assets.publish import contract_specs, publish
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.ranges import RangeReader
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.transforms.raw import related_list


def build_related_assets(partitions: dg.DailyPartitionsDefinition, described: Shop) -> list[dg.AssetsDefinition]:
    """Return one asset per related list of the shop, by business day."""
    return [_related_asset(name, partitions, described) for name in described.orders.related]


def _related_asset(name: str, partitions: dg.DailyPartitionsDefinition, described: Shop) -> dg.AssetsDefinition:
    contract = related_contract(name)
    table = contract.table

    @table_asset(
        table,
        described,
        kinds={"api", "postgres"},
        pool=SHOP_POOL,
        check_specs=[
            *contract_specs(table),
            count_spec(table, blocking=True),
            readable_spec(contract),
            *field_specs(contract),
            days_spec(table),
        ],
        **by_day(partitions),
    )
    def raw_related(context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource) -> Iterator[Any]:
        days, zone = days_of(context.partition_keys), shop.description.zone
        stored = database.database()
        bind(stored, shop.description)
        fields = FieldAudit(contract, shop.description.orders.related[name], stored)
        began = database_clock(stored)
        is_over = days.last < business_day(began, zone)
        with shop.client() as client, ExitStack() as stack:
            listed = related_list(shop.description, name)
            report = reports(context, contract)
            reader = RangeReader(client, stack, is_over=is_over, progress=report, listed=listed)
            read = reader.read(days.first, days.last)
            keep_words(stored, f"raw_{table.name}", read, context.run.run_id)
            found = DaysFound(read, stored, days, began, zone, is_over=is_over, table=table)
            audit = audited(contract, found, fields)

            def value() -> ExtractedRelated:
                return ExtractedRelated(
                    name,
                    pa.RecordBatchReader.from_batches(table.arrow_schema, found.rows()),
                    as_of=dict.fromkeys(days, began),
                    proofs=found.proofs,
                    left=found.left(),
                )

            days_proved = found.days_result()
            results = [
                *audit.results(),
                found.count_result(SOURCE_COUNT),
                readable_result(contract, found.odd, len(found.undated)),
                *fields.results(),
            ]
            if found.all_refused:
                note_refusals(stored, found.proofs, table)
                results.append(days_proved)
            else:
                yield days_proved
            yield from publish(results, outputs(value, {**found.figures(), **costs(client.statistics)}))
            count_refusals(stored, read, context.run.run_id)
            fields.record(context.run.run_id)

    return raw_related


def followed_specs(described: Shop) -> list[dg.AssetSpec]:
    """Return one table per list that is asked for order by order; the raw orders' asset writes it."""
    tables = [related_contract(name, is_followed=True).table for name in described.orders.follow]
    return [
        dg.AssetSpec(
            dg.AssetKey(table.path),
            deps=[dg.AssetKey(RAW_ORDERS.table.path)],
            description=table.description,
            metadata=table_metadata(table),
            group_name=table.schema,
            owners=[OWNER],
            kinds={"api", "postgres"},
        )
        for table in tables
    ]
