"""What Dagster knows about a table before anything runs: columns, constraints, tags, lineage, owners, code.

Everything derives from the table's shape; nothing here is particular to one asset.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.orchestration.assets.guard import guarded
from analytics_pipeline.orchestration.namespaces import SHOP, settings_in
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.shape import Table

OWNER = "team:data"
SHOP_POOL = "shop_api"
"""Pool of the steps that ask the shop: all runs share the shop's budget."""
IO_MANAGER = "postgres"
BACKFILL_DAYS = 31
"""Business days of one run of a backfill."""


def table_asset(table: Table, shop: Shop, **settings: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:  # noqa: ANN401
    """Return `dagster.asset` for one table, with what all tables have in common.

    Args:
        table: Gives key, group, description and column schema.
        shop: Whose table it is.
        settings: Further arguments of `dagster.asset`; they win over the common ones, and the metadata over where the
            code of the step is.
    """
    common: dict[str, Any] = {
        "key": table.path,
        "description": table.description,
        "metadata": table_metadata(table),
        "group_name": table.schema,
        "owners": [OWNER],
        "io_manager_key": IO_MANAGER,
        "tags": {SHOP: shop.name},
    }
    described = settings_in(common | settings, shop)

    def make(step: Callable[..., Any]) -> dg.AssetsDefinition:
        code = code_at(Path(inspect.getfile(step)), step.__code__.co_firstlineno)
        decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition]
        decorator = dg.asset(**{**described, "metadata": code | described["metadata"]})
        return decorator(guarded(step, shop.namespace))

    return make


def code_at(path: Path, line: int = 1) -> dict[str, Any]:
    """Return the place of what makes a table as definition metadata, for the UI of the machine where it lies."""
    place = dg.LocalFileCodeReference(file_path=str(path), line_number=line)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[place])}


def by_day(partitions: dg.DailyPartitionsDefinition) -> dict[str, Any]:
    """Return the arguments of an asset that is partitioned by business day."""
    policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=BACKFILL_DAYS)
    return {"partitions_def": partitions, "backfill_policy": policy}


def table_metadata(table: Table) -> dict[str, Any]:
    """Return the table's name and column schema as definition metadata."""
    return {
        "dagster/table_name": table.qualified_name,
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    column.postgres_type,
                    column.description,
                    constraints=dg.TableColumnConstraints(
                        nullable=column.is_nullable, unique=table.key == (column.name,)
                    ),
                    tags={"personal": ""} if column.is_personal else {},
                )
                for column in table.columns
            ],
            constraints=dg.TableConstraints(other=[f"primary key ({', '.join(table.key)})"] if table.key else []),
        ),
    }


def mart_metadata(mart: Mart) -> dict[str, Any]:
    """Return a mart's table metadata together with its column lineage, its statement and its file."""
    lineage = {
        column: [dg.TableColumnDep(dg.AssetKey([layer, table]), name) for layer, table, name in sources]
        for column, sources in mart.lineage.items()
    }
    return {
        **table_metadata(mart.table),
        **code_at(mart.path),
        "dagster/column_lineage": dg.TableColumnLineage(lineage),
        "sql": dg.MetadataValue.md(
            f"```sql\n{mart.statement.sql(dialect='postgres', pretty=True, comments=False)}\n```"
        ),
    }
