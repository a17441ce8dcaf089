"""What Dagster knows about each table before anything runs."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml

import analytics_pipeline.orchestration.assets as assets_of_the_package
from analytics_pipeline.marts.folders import MARTS_FOLDER, load_marts
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.files import FILE_TABLES
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline_tests.conftest import DEMO_DESCRIPTION

TABLES = {
    table.qualified_name: table
    for table in (*(contract.table for contract in CONTRACTS), *(mart.table for mart in load_marts()))
}


@pytest.fixture(params=TABLES)
def described(request: pytest.FixtureRequest, definitions: dg.Definitions) -> tuple[Table, dg.AssetSpec]:
    """Each table with the asset of the same name."""
    table = TABLES[request.param]
    key = dg.AssetKey(table.path)
    return table, next(spec for spec in definitions.resolve_all_asset_specs() if spec.key == key)


def test_each_table_is_an_asset_and_each_asset_a_table(definitions: dg.Definitions) -> None:
    assets = {".".join(spec.key.path) for spec in definitions.resolve_all_asset_specs()}

    assert assets == set(TABLES) | {table.qualified_name for table in OPS_TABLES if table not in FILE_TABLES}


def test_the_history_stands_in_the_lineage_and_no_job_makes_it(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = {dg.AssetKey(table.path) for table in OPS_TABLES if table not in {SHOP_REPORTS.table, *FILE_TABLES}}

    assert all(graph.get(key).is_external for key in keys)
    assert dg.AssetKey(["ops", "restatements"]) in graph.get(dg.AssetKey(["marts", "daily_reconciliation"])).parent_keys
    for job in definitions.resolve_all_job_defs():
        assert not keys & {*job.asset_layer.executable_asset_keys}


def test_an_asset_has_its_tables_description_an_owner_and_its_kinds(described: tuple[Table, dg.AssetSpec]) -> None:
    table, spec = described

    assert str(spec.description).partition("\n")[0] == table.description
    assert list(spec.owners) == ["team:data"]
    assert "postgres" in spec.kinds
    assert len(spec.kinds) == 2
    assert spec.group_name == table.schema


def test_the_column_schema_is_that_of_the_table(described: tuple[Table, dg.AssetSpec]) -> None:
    table, spec = described
    schema = spec.metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)

    assert spec.metadata["dagster/table_name"] == table.qualified_name
    assert [(column.name, column.type, column.description) for column in schema.columns] == [
        (column.name, column.postgres_type, column.description) for column in table.columns
    ]
    assert all(column.description for column in schema.columns)
    assert [column.constraints.nullable for column in schema.columns] == [
        column.is_nullable for column in table.columns
    ]
    assert [column.name for column in schema.columns if "personal" in column.tags] == [
        column.name for column in table.columns if column.is_personal
    ]
    key = [f"primary key ({', '.join(table.key)})"] if table.key else []
    assert schema.constraints.other == key


def test_a_mart_links_to_its_file_and_another_table_to_the_module_that_makes_it(
    described: tuple[Table, dg.AssetSpec],
) -> None:
    table, spec = described
    found = spec.metadata["dagster/code_references"]
    assert isinstance(found, dg.CodeReferencesMetadataValue)
    (place,) = found.code_references
    assert isinstance(place, dg.LocalFileCodeReference)
    modules = {"raw": "raw.py", "clean": "clean.py", "ops": "clean.py"}
    path = Path(place.file_path)

    assert path.is_file()
    if table.schema == "marts":
        assert path == MARTS_FOLDER / f"{table.name}.sql"
    else:
        name = "anomalies.py" if table.name == "anomalies" else modules[table.schema]
        assert path == Path(*assets_of_the_package.__path__) / name


def versions(definitions: dg.Definitions) -> dict[str, str | None]:
    return {spec.key.to_user_string(): spec.code_version for spec in definitions.resolve_all_asset_specs()}


def test_marts_and_what_is_mapped_have_a_code_version_and_nothing_else(definitions: dg.Definitions) -> None:
    """What the shop sends differs with each extraction: with a version Dagster would take it to be the same."""
    cleaned_or_computed = {name.replace(".", "/") for name in TABLES if not name.startswith("raw.")}

    assert {name for name, version in versions(definitions).items() if version} == cleaned_or_computed - {
        "ops/anomalies"
    }


def test_a_code_version_changes_with_its_own_mapping_alone(definitions_of: Callable[..., dg.Definitions]) -> None:
    before = versions(definitions_of())

    def changed(**changes: object) -> set[str]:
        after = versions(definitions_of(**changes))
        return {name for name in before if before[name] != after[name]}

    of_orders = {"clean/orders", "clean/order_lines", "clean/sales", "ops/quarantine", "ops/exclusions"}
    of_orders |= {"ops/accounting"}
    demo = yaml.safe_load(DEMO_DESCRIPTION.read_text(encoding="utf-8"))

    assert changed(limits={"retries": 1}) == set()
    assert changed(orders=demo["orders"] | {"exclude": []}) == of_orders
    assert changed(products=demo["products"] | {"empty": {"category": ["-"]}}) == {"clean/products"}
    with_zone = {*of_orders, "clean/customers", "clean/products", "marts/daily_revenue_as_closed"}
    assert changed(timezone="Europe/London") == with_zone


def test_a_table_is_partitioned_when_it_has_a_day(described: tuple[Table, dg.AssetSpec]) -> None:
    table, spec = described

    assert (spec.partitions_def is not None) == (table.day_column is not None)


def test_personal_data_are_marked_wherever_they_lie() -> None:
    marked = {(name, column.name) for name, table in TABLES.items() for column in table.columns if column.is_personal}
    names = {(name, column.name) for name, table in TABLES.items() for column in table.columns}
    personal = {"customer_key", "customer_id", "email_hash"}

    assert {place for place in names if place[1] in personal and not place[0].startswith("raw.")} <= marked
    assert {("raw.orders", "payload"), ("raw.customers", "payload"), ("ops.quarantine", "payload")} <= marked
    assert ("raw.products", "payload") not in marked


def test_only_the_steps_that_ask_the_shop_stand_in_its_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.get_all_asset_keys()}

    assert {name for name, names in pools.items() if names} == {
        "raw/orders",
        "raw/customers",
        "raw/products",
        "ops/shop_reports",
    }
    assert {pool for names in pools.values() for pool in names or ()} == {"shop_api"}


def test_backfills_of_partitioned_assets_take_a_month_a_run(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        expected = dg.BackfillPolicy.multi_run(max_partitions_per_run=31) if node.partitions_def else None
        assert node.backfill_policy == expected, key
