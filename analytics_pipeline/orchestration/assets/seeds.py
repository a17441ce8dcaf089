"""Seeds as assets, loaded whole by every run, and tables from outside as external ones: nobody here writes those."""

import hashlib
from collections.abc import Sequence

import dagster as dg
import pyarrow as pa

from analytics_pipeline.marts.folders import Readable
from analytics_pipeline.orchestration.assets.describe import OWNER, code_at, table_asset, table_metadata
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.seeds import Seed, rows_of
from analytics_pipeline.shop.spec import Shop


def build_seed_assets(seeds: Sequence[Seed], shop: Shop) -> list[dg.AssetsDefinition]:
    """Return one asset per file."""
    return [_seed_asset(seed, shop) for seed in seeds]


def _seed_asset(seed: Seed, shop: Shop) -> dg.AssetsDefinition:
    @table_asset(
        seed.table,
        shop,
        metadata=table_metadata(seed.table) | code_at(seed.path),
        code_version=hashlib.sha256(seed.path.read_bytes()).hexdigest()[:12],
        kinds={"csv", "postgres"},
    )
    def seed_asset(context: dg.AssetExecutionContext, database: DatabaseResource) -> pa.Table:  # noqa: ARG001 - guarded
        return rows_of(seed)

    return seed_asset


def outside_specs(tables: Sequence[Readable]) -> list[dg.AssetSpec]:
    """Return one external asset per table that marts read from outside."""
    return [_spec(table) for table in tables]


def _spec(table: Readable) -> dg.AssetSpec:
    columns = [dg.TableColumn(name, kind) for name, kind in table.columns]
    return dg.AssetSpec(
        dg.AssetKey([table.layer, table.name]),
        description="From outside: marts read it, and nothing here writes it."
        + (f" **Not there:** {table.fault}" if table.fault else ""),
        metadata={
            "dagster/table_name": f"{table.layer}.{table.name}",
            "dagster/column_schema": dg.TableSchema(columns=columns),
        },
        group_name="outside",
        owners=[OWNER],
        kinds={"postgres"},
    )
