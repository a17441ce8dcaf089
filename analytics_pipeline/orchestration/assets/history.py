"""The tables of the pipeline's own history, as Dagster shows them in the lineage: nobody materialises them.

They are written in the transactions of the assets that they depend on here (`history`).
"""

import dagster as dg

from analytics_pipeline.orchestration.assets.describe import OWNER, table_metadata
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_CUSTOMERS, CLEAN_SALES, EXCLUSIONS, QUARANTINE, RAW_ORDERS
from analytics_pipeline.tables.files import FILE_TABLES
from analytics_pipeline.tables.history import (
    DAY_PROOFS,
    DELETED_ORDERS,
    EXTRACTIONS,
    OPS_TABLES,
    ORDER_CHANGES,
    REPLACED_ORDERS,
    UNDATED_ORDERS,
)
from analytics_pipeline.tables.reports import HELD_BACK_SALES, SHOP_REPORTS
from analytics_pipeline.tables.shape import Table

WRITTEN_BESIDE = {
    EXTRACTIONS.name: (RAW_ORDERS.table,),
    DAY_PROOFS.name: (RAW_ORDERS.table,),
    DELETED_ORDERS.name: (RAW_ORDERS.table,),
    UNDATED_ORDERS.name: (RAW_ORDERS.table,),
    REPLACED_ORDERS.name: (RAW_ORDERS.table,),
    HELD_BACK_SALES.name: (QUARANTINE.table, EXCLUSIONS.table),
    ORDER_CHANGES.name: (CLEAN_SALES.table, CLEAN_CUSTOMERS.table),
}
"""The assets whose transactions write a table, where it is not read by what depends on them."""


def history_specs(shop: Shop) -> list[dg.AssetSpec]:
    """Return one asset per table, external to Dagster; the shop's own report is one of Dagster's where there is one.

    What is kept of files is shown of a shop that has some.
    """
    unused = [*(() if shop.files else FILE_TABLES), *([SHOP_REPORTS.table] if shop.report else [])]
    return [_spec(table) for table in OPS_TABLES if table not in unused]


def _spec(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey(table.path),
        deps=[dg.AssetKey(written.path) for written in WRITTEN_BESIDE.get(table.name, ())],
        description=table.description,
        metadata=table_metadata(table),
        group_name="history",
        owners=[OWNER],
        kinds={"postgres"},
    )
