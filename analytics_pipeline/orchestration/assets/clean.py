"""The clean layer: typed tables made of the raw one, the ledger, and what was quarantined or left out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.days import Days
from analytics_pipeline.history.blocked import keep_blocked
from analytics_pipeline.history.cancellations import cancellations_seen
from analytics_pipeline.history.hooks import CleanedDays, order_tables
from analytics_pipeline.history.moves import find_moves
from analytics_pipeline.history.related import find_related, read_children
from analytics_pipeline.history.replaced import replaced_records
from analytics_pipeline.history.rules import keep_rules
from analytics_pipeline.history.written import read_as_of, written_days
from analytics_pipeline.job_names import CHANGED_ORDERS
from analytics_pipeline.orchestration.assets.describe import (
    BACKFILL_DAYS,
    IO_MANAGER,
    OWNER,
    by_day,
    code_at,
    table_asset,
    table_metadata,
)
from analytics_pipeline.orchestration.assets.guard import guarded
from analytics_pipeline.orchestration.assets.limits import QuarantineAudit, limit_specs
from analytics_pipeline.orchestration.assets.publish import ContractAudit, contract_specs, figure, publish, shown
from analytics_pipeline.orchestration.io_manager import COLUMNS, PostgresIOManager
from analytics_pipeline.orchestration.namespaces import SHOP, job_of, settings_in
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import (
    CLEAN_CUSTOMERS,
    CLEAN_ORDERS,
    CLEAN_PRODUCTS,
    CLEAN_SALES,
    EXAMPLES,
    RAW_CUSTOMERS,
    RAW_ORDERS,
    RAW_PRODUCTS,
)
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.accounting import Accounting, MoneyByCurrency
from analytics_pipeline.transforms.dimensions import CleanDimension, clean_customers, clean_products
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline.transforms.related import NO_CHILDREN, Children, orders_of
from analytics_pipeline.transforms.version import code_version, dimension_code_version
from analytics_pipeline.transforms.whole_days import in_whole_days
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import read
from analytics_pipeline.warehouse.staging import Staged, StagedRows
from analytics_pipeline.warehouse.turns import exclusive, unchanged

BALANCE = "raw_orders_are_clean_quarantined_or_excluded"
READABLE = "all_values_are_readable"
RAW_COLUMNS = ["order_id", "order_date", "extracted_at", "payload"]
CHUNK_ORDERS = 2_000
"""Orders that are cleaned at a time, rounded up to whole days: bounds the memory of a long range."""


def build_clean_assets(partitions: dg.DailyPartitionsDefinition, described: Shop) -> list[dg.AssetsDefinition]:
    """Return the tables made of raw/orders, which one step writes, and clean/customers and clean/products.

    Args:
        partitions: The business days.
        described: The shop, which decides about the version of their code.
    """
    tables = order_tables(described)

    def clean_order_tables(
        context: dg.AssetExecutionContext,
        raw_orders: pa.RecordBatchReader,
        shop: ShopResource,
        database: DatabaseResource,
        postgres: dg.ResourceParam[PostgresIOManager],
    ) -> Iterator[Any]:
        # Two runs of one day would otherwise leave tables of which some are of the one run and some of the other.
        stored, emails = database.database(), database.email_key()
        with exclusive(stored, "clean orders"), ExitStack() as stack:
            days = days_of(context.partition_keys)
            keep_rules(stored, shop.description)
            # A day that was refused before it was ever loaded is not loaded by being cleaned.
            loaded = written_days(stored, RAW_ORDERS.table)
            part = Days.of(day for day in days if day in loaded)
            # Before the raw rows are read, which are at least as new as this.
            as_of = read_as_of(stored, RAW_ORDERS.table, days)
            with unchanged(stored, RAW_ORDERS.table) as cursor:
                related = find_related(cursor, part, shop.description)
                part -= related.lacking
                moves = find_moves(cursor, part | related.along, shop.description)
                asked = _begun(raw_orders)
                along = moves.beside | related.along
                beside = stack.enter_context(_beside(stored, along))
                replaced = replaced_records(cursor, part | along)
            cleaned_days = CleanedDays(
                as_of,
                replaced["order_id"].to_pylist(),
                _replaced_sales(replaced, shop.description, emails, stored),
                along,
                moves.left,
                related.marks,
                are_orders_alone=job_of(context.job_name, described.namespace) == CHANGED_ORDERS,
            )
            staged = stack.enter_context(postgres.begin_orders(part | along, cleaned_days, context.run.run_id))
            audits = {name: ContractAudit(contract) for name, contract in tables.items()}
            quarantine = QuarantineAudit(shop.description.quarantine)
            accounting, unreadable = Accounting(), list[str]()
            for is_beside, chunk in chain(_chunks(_of_days(asked, related.lacking)), _chunks(beside, is_beside=True)):
                frame = chunk.to_pandas(types_mapper=pd.ArrowDtype)
                children = _children(stored, shop.description, frame)
                cleaned = clean_orders(
                    frame,
                    shop.description,
                    emails,
                    superseded=moves.superseded,
                    children=children,
                    cancellations=cancellations_seen(stored, shop.description, set(frame["order_id"])),
                )
                accounting += cleaned.accounting
                unreadable += cleaned.unreadable
                if not is_beside:
                    quarantine.look_at(cleaned)
                for name, contract in tables.items():
                    rows: pd.DataFrame = getattr(cleaned, name)
                    audits[name].look_at(rows)
                    staged.write(contract.table, rows)
                context.log.info("cleaned %s orders, up to %s", accounting.raw_orders, chunk["order_date"][-1])
            if moves.beside:
                context.log.info("orders have moved: cleaned with their other days %s", moves.beside)
            if related.along:
                context.log.info("cleaned along, since related records have changed: %s", related.along)
            if related.lacking:
                context.log.warning("not cleaned, since a related list has never been loaded: %s", related.lacking)
            results = [result for audit in audits.values() for result in audit.results()]
            results += [_balance_result(accounting), *quarantine.results()]
            if described.orders.is_described:
                results.append(_readable_result(dg.AssetKey(CLEAN_ORDERS.table.path), unreadable))
            if quarantine.blocked:
                blocked_days = [day.day for day in quarantine.blocked]
                keep_blocked(stored, blocked_days, quarantine.held(), context.run.run_id)
            yield quarantine.doubt()
            yield from publish(results, _outputs(staged, tables))

    return [
        _step(partitions, described)(guarded(clean_order_tables, described.namespace)),
        _dimension(RAW_CUSTOMERS, CLEAN_CUSTOMERS, clean_customers, described),
        _dimension(RAW_PRODUCTS, CLEAN_PRODUCTS, lambda raw, shop, _: clean_products(raw, shop), described),
    ]


def _step(partitions: dg.DailyPartitionsDefinition, described: Shop) -> Callable[[Any], dg.AssetsDefinition]:
    """Return `dagster.multi_asset` for the tables made of raw orders."""
    tables = order_tables(described)
    settings: dict[str, Any] = {
        "name": "clean_orders",
        "ins": {"raw_orders": dg.AssetIn(key=RAW_ORDERS.table.path, metadata={COLUMNS: RAW_COLUMNS})},
        "deps": [dg.AssetKey(related_contract(name).table.path) for name in described.orders.related],
        "check_specs": [
            *(spec for contract in tables.values() for spec in contract_specs(contract.table)),
            _balance_spec(),
            *([_readable_spec(dg.AssetKey(CLEAN_ORDERS.table.path))] if described.orders.is_described else []),
            *limit_specs(),
        ],
    }
    outs = {name: _out(contract.table, described) for name, contract in tables.items()}
    return dg.multi_asset(outs=outs, **settings_in(settings, described), **by_day(partitions))


def _out(table: Table, described: Shop) -> dg.AssetOut:
    settings = {
        "key": table.path,
        "description": table.description,
        "metadata": table_metadata(table) | code_at(Path(__file__)),
        "code_version": code_version(described),
        "group_name": table.schema,
        "kinds": {"pandas", "postgres"},
        "owners": [OWNER],
        "io_manager_key": IO_MANAGER,
        "tags": {SHOP: described.name},
    }
    return dg.AssetOut(**settings_in(settings, described))


def _replaced_sales(replaced: pa.Table, shop: Shop, emails: EmailKey, database: Database) -> pa.Table:
    """Return what replaced records come to in the ledger, by the rules of now."""
    if not replaced.num_rows:  # nearly always
        return CLEAN_SALES.table.arrow_schema.empty_table()
    records = replaced.to_pandas(types_mapper=pd.ArrowDtype)
    children = _children(database, shop, records)
    seen = cancellations_seen(database, shop, set(records["order_id"]))
    sales = clean_orders(records, shop, emails, superseded=(), children=children, cancellations=seen).sales
    return pa.Table.from_pandas(sales, schema=CLEAN_SALES.table.arrow_schema, preserve_index=False)


def _children(database: Database, shop: Shop, raw: pd.DataFrame) -> Children:
    """Return the related records of some rows, where the shop has any."""
    return read_children(database, shop, orders_of(raw)) if shop.orders.joined else NO_CHILDREN


def _begun(batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Begin to read now: from here on the stream is of one state of the table."""
    first = list(islice(batches, 1))
    return pa.RecordBatchReader.from_batches(batches.schema, chain(first, batches))


def _of_days(batches: pa.RecordBatchReader, lacking: Days) -> pa.RecordBatchReader:
    """Leave out the rows of some days, where there are any."""
    if not lacking:
        return batches
    left_out = pa.array(list(lacking), pa.date32())
    kept = (batch.filter(pc.invert(pc.is_in(batch["order_date"], left_out))) for batch in batches)
    return pa.RecordBatchReader.from_batches(batches.schema, kept)


@contextmanager
def _beside(database: Database, days: Days) -> Iterator[pa.RecordBatchReader | None]:
    if not days:
        yield None
        return
    with read(database, RAW_ORDERS.table, days, RAW_COLUMNS) as rows:
        yield rows


def _chunks(batches: pa.RecordBatchReader | None, *, is_beside: bool = False) -> Iterator[tuple[bool, pa.Table]]:
    if batches is not None:
        for chunk in in_whole_days(batches, "order_date", days=BACKFILL_DAYS, rows=CHUNK_ORDERS):
            yield is_beside, chunk


def _outputs(staged: Staged, tables: Mapping[str, Contract]) -> Iterator[dg.Output[StagedRows]]:
    """Yield one output a table: the IO manager commits them all with the first, and only reports the others.

    A kill after the commit leaves right tables without all of their events; the next run of the days reports them anew.
    """
    for name, contract in tables.items():
        yield dg.Output(StagedRows(staged, contract.table), output_name=name)


def _dimension(
    raw: Contract,
    clean: Contract,
    transform: Callable[[pd.DataFrame, Shop, EmailKey], CleanDimension],
    described: Shop,
) -> dg.AssetsDefinition:
    key = dg.AssetKey(clean.table.path)

    @table_asset(
        clean.table,
        described,
        ins={"raw": dg.AssetIn(key=raw.table.path)},
        kinds={"pandas", "postgres"},
        code_version=dimension_code_version(described, clean),
        check_specs=[*contract_specs(clean.table), _readable_spec(key)],
    )
    def clean_dimension(
        context: dg.AssetExecutionContext,  # noqa: ARG001 - guarded
        raw: pa.RecordBatchReader,
        shop: ShopResource,
        database: DatabaseResource,
    ) -> Iterator[Any]:
        emails = database.email_key()
        # The raw rows are read within: of two runs the later one would otherwise write what it had read earlier.
        with exclusive(database.database(), f"clean {clean.table.name}"):
            cleaned = transform(raw.read_all().to_pandas(types_mapper=pd.ArrowDtype), shop.description, emails)
            audit = ContractAudit(clean)
            audit.look_at(cleaned.rows)
            yield _readable_result(key, cleaned.unreadable)
            rows = pa.Table.from_pandas(cleaned.rows, schema=clean.table.arrow_schema, preserve_index=False)
            yield from publish(audit.results(), [dg.Output(rows)])

    return clean_dimension


def _readable_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        READABLE, asset=key, description="No value of a record had to become null since it cannot be read."
    )


def _readable_result(key: dg.AssetKey, unreadable: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=READABLE,
        passed=not unreadable,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=shown({"unreadable": len(unreadable), "examples": "; ".join(unreadable[:EXAMPLES])}),
    )


def _balance_spec() -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        BALANCE,
        asset=dg.AssetKey(CLEAN_ORDERS.table.path),
        blocking=True,
        description="Each raw order became clean, quarantined or excluded, and money adds up; checked before writing.",
    )


def _balance_result(accounting: Accounting) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(CLEAN_ORDERS.table.path),
        check_name=BALANCE,
        passed=accounting.unexplained_orders == 0 and accounting.unexplained_difference == 0,
        metadata={
            "unexplained_difference": figure(accounting.unexplained_difference),
            "unexplained_orders": accounting.unexplained_orders,
            "raw_records": accounting.raw_records,
            "raw_orders": accounting.raw_orders,
            "clean_orders": accounting.clean_orders,
            "quarantined_orders": accounting.quarantined_orders,
            "excluded_orders": accounting.excluded_orders,
            "raw_money": _listed(accounting.raw_money),
            "clean_money": _listed(accounting.clean_money),
            "quarantined_money": _listed(accounting.quarantined_money),
            "excluded_money": _listed(accounting.excluded_money),
            "unexplained_money": _listed(accounting.unexplained_money),
            "rounding": _listed({code: amount for code, amount in accounting.rounding.items() if amount}),
            "tolerated_orders": accounting.tolerated_orders,
            "rounded_amounts": accounting.rounded_amounts,
            "rounded_by": str(accounting.rounded_by),
        },
    )


def _listed(money: MoneyByCurrency) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in money.items()) or "none"
