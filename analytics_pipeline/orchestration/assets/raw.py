"""The raw layer: the shop's answers as they came."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import Days, business_day
from analytics_pipeline.history.binding import bind
from analytics_pipeline.history.hooks import ExtractedOrders
from analytics_pipeline.history.proving import note_refusals
from analytics_pipeline.history.rules import OtherRules, keep_rules, other_rules
from analytics_pipeline.history.stale import ask_for
from analytics_pipeline.history.undated import judged_table
from analytics_pipeline.history.written import database_clock
from analytics_pipeline.job_names import LATE_CHANGES
from analytics_pipeline.late_changes.files import look
from analytics_pipeline.orchestration.assets.describe import SHOP_POOL, by_day, table_asset
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
from analytics_pipeline.orchestration.assets.files import file_results, file_specs
from analytics_pipeline.orchestration.assets.odd import readable_result, readable_spec
from analytics_pipeline.orchestration.assets.proof import DaysFound, days_spec
from analytics_pipeline.orchestration.assets.publish import ContractAudit, contract_specs, publish
from analytics_pipeline.orchestration.namespaces import job_of
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.shop.endpoints import Records
from analytics_pipeline.shop.files import FileList
from analytics_pipeline.shop.spec import PageProducts, Shop
from analytics_pipeline.sources.following import Followed
from analytics_pipeline.sources.records import Records as Read
from analytics_pipeline.sources.spool import Spool, spool
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import RAW_CUSTOMERS, RAW_ORDERS, RAW_PRODUCTS
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.undated import judge_undated
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import Changes, exists, newest_change, query

SAME_RULES = "days_are_made_by_the_same_rules"
OVERLAP = timedelta(days=1)
"""How far before the newest change stamp the changed records are asked for again: a shop may show a change late, and
records change while a long list is read."""


def build_raw_assets(partitions: dg.DailyPartitionsDefinition, described: Shop) -> list[dg.AssetsDefinition]:
    """Return raw/orders by business day, and raw/customers and raw/products as a whole."""

    @_raw_asset(RAW_ORDERS, described, **by_day(partitions))
    def raw_orders(context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource) -> Iterator[Any]:
        days = days_of(context.partition_keys)
        stored = database.database()
        bind(stored, shop.description)
        keep_rules(stored, shop.description)
        yield _rules_result(other_rules(stored, shop.description), days)
        fields = FieldAudit(RAW_ORDERS, shop.description.orders, stored)
        ask_for(stored, days)
        look(stored, shop.description)
        # Before the first request: whatever the shop changes from here on, this extraction may lack.
        began = database_clock(stored)
        # Orders come in while today's list is read, so its count may differ.
        is_over = days.last < business_day(began, shop.description.zone)
        with shop.source(stored) as source, ExitStack() as stack:
            orders = source.read_orders(days, stack, is_over=is_over, progress=reports(context, RAW_ORDERS))
            read = orders.days
            keep_words(stored, "raw_orders", read, context.run.run_id)
            found = DaysFound(read, stored, days, began, shop.description.zone, is_over=is_over)
            audit = audited(RAW_ORDERS, found, fields)

            def value() -> ExtractedOrders:
                today = business_day(began, shop.description.zone)
                return ExtractedOrders(
                    pa.RecordBatchReader.from_batches(RAW_ORDERS.table.arrow_schema, found.rows()),
                    as_of=dict.fromkeys(days, began),
                    figures=found.extraction_figures(source.statistics),
                    ids=found.ids(),
                    proofs=found.proofs,
                    undated=judged_table(judge_undated(found.undated, today, shop.description)),
                    left=found.left(),
                    followed=[_followed_rows(one, found, days) for one in orders.followed],
                )

            days_proved = found.days_result()
            results = [
                *audit.results(),
                found.count_result(SOURCE_COUNT),
                readable_result(RAW_ORDERS, found.odd, len(found.undated)),
                *fields.results(),
            ]
            yield from file_results(stored, shop.description, orders.joined)
            if found.all_refused:
                note_refusals(stored, found.proofs)
                results.append(days_proved)
            else:
                yield days_proved
            yield from publish(results, outputs(value, {**found.figures(), **costs(source.statistics)}))
            count_refusals(stored, read, context.run.run_id)
            fields.record(context.run.run_id)

    def dimension(contract: Contract, name: str) -> dg.AssetsDefinition:
        @_raw_asset(contract, described)
        def raw_dimension(
            context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource
        ) -> Iterator[Any]:
            stored = database.database()
            bind(stored, shop.description)
            products = shop.description.products
            if contract is RAW_PRODUCTS and isinstance(products, PageProducts):
                # The parsers of HTML and XML are loaded by shops with pages alone.
                from analytics_pipeline.orchestration.assets.pages import products_of_pages  # noqa: PLC0415

                rests = job_of(context.job_name, shop.description.namespace) == LATE_CHANGES
                yield from products_of_pages(context, shop.description, products, stored, rests=rests)
                return
            look(stored, shop.description)
            listed: Records = getattr(shop.description, name)
            newest = newest_change(stored, contract.table) if getattr(listed, "changed_since", None) else None
            since = newest - OVERLAP if newest else None
            fields = FieldAudit(contract, listed, stored)
            with shop.source(stored) as source, spool(contract.table.arrow_schema) as rows:
                extraction = {"customers": source.customers, "products": source.products}[name](since)
                before = _stored_records(stored, contract) if since is None else 0

                def value() -> Any:  # noqa: ANN401  # what the IO manager takes
                    return Changes(rows.reader()) if since or _lacks_some(extraction, before) else rows.reader()

                yield from _extracted(context, contract, extraction, rows, value=value, fields=fields, before=before)

        return raw_dimension

    return [raw_orders, dimension(RAW_CUSTOMERS, "customers"), dimension(RAW_PRODUCTS, "products")]


def _followed_rows(followed: Followed, found: DaysFound, days: Days) -> tuple[Table, pa.RecordBatchReader]:
    table = related_contract(followed.name, is_followed=True).table
    rows = found.written(followed.rows.reader(), set(days))
    return table, pa.RecordBatchReader.from_batches(table.arrow_schema, rows)


def _raw_asset(
    contract: Contract,
    described: Shop,
    **settings: Any,  # noqa: ANN401 - dagster's
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    table = contract.table
    checks = [
        *contract_specs(table),
        count_spec(table, blocking=_count_blocks(contract)),
        readable_spec(contract),
        *field_specs(contract),
    ]
    if contract is RAW_ORDERS:
        description = "No other day was made by another time zone, currency or mapping than the description's of now."
        checks.append(dg.AssetCheckSpec(SAME_RULES, asset=dg.AssetKey(table.path), description=description))
        checks += [days_spec(table), *file_specs(described)]
    return table_asset(
        table, described, kinds={_kind_of(described, table), "postgres"}, pool=SHOP_POOL, check_specs=checks, **settings
    )


def _kind_of(described: Shop, table: Table) -> str:
    """Return where a list of the shop comes from, as the lineage shows it."""
    listed = getattr(described, table.name)
    return "file" if isinstance(listed, FileList) else "web" if isinstance(listed, PageProducts) else "api"


def _extracted(
    context: dg.AssetExecutionContext,
    contract: Contract,
    extraction: Read,
    rows: Spool,
    *,
    value: Callable[[], Any],
    fields: FieldAudit,
    before: int,
) -> Iterator[Any]:
    """Read the whole extraction into the spool, then publish what `value` makes of it."""
    audit = ContractAudit(contract)
    report = reports(context, contract)
    for batch in extraction:
        rows.write(batch)
        audit.look_at(pa.Table.from_batches([batch]).to_pandas(types_mapper=pd.ArrowDtype))
        fields.look_at(batch)
        report(extraction)
    metadata = {
        "records": extraction.records,
        "records_of_other_days": extraction.outside_window,
        "records_without_day": len(extraction.undated),
        "records_kept_escaped": extraction.odd.escaped,
        **costs(extraction.statistics),
    }
    results = [
        *audit.results(),
        _count_result(contract, extraction, before),
        readable_result(contract, extraction.odd, len(extraction.undated)),
        *fields.results(),
    ]
    yield from publish(results, outputs(value, metadata))
    fields.record(context.run.run_id)


def _rules_result(found: Sequence[OtherRules], days: Days) -> dg.AssetCheckResult:
    others = [replace(other, days=tuple(day for day in other.days if day not in days)) for other in found]
    messages = [str(other) for other in others if other.days]
    remedy = "polls load them again, newest first; analytics-pipeline catch-up does so now"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(RAW_ORDERS.table.path),
        check_name=SAME_RULES,
        passed=not messages,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"other_days": "; ".join(messages), "remedy": remedy} if messages else {},
    )


def _count_blocks(contract: Contract) -> bool:
    """Return whether a differing count stops the step: of orders of past days, not of lists that grow while read."""
    return contract is RAW_ORDERS


def _stored_records(database: Database, contract: Contract) -> int:
    """Return how many different customers or products are stored."""
    if not exists(database, contract.table):
        return 0
    name, key = contract.table.sql_name, contract.table.arrow_schema.names[0]
    stored: int = query(database, f"select count(distinct {key}) as n from {name}")[0]["n"]
    return stored


def _lacks_some(extraction: Read, before: int) -> bool:
    """Return whether a whole list has fewer than the shop counts; without a count, below half of what is stored."""
    came, counted = extraction.came.distinct, extraction.source_count
    return before > 0 and not extraction.agrees and (2 * came < before if counted is None else came < counted)


def _count_result(contract: Contract, extraction: Read, before: int) -> dg.AssetCheckResult:
    """Return how many customers or products came, and how many there should be.

    An empty list that nobody counted does not clear a table; one that lacks some of what was stored `before` takes
    nothing away.
    """
    came, counted = extraction.came, extraction.source_count
    clears, lacks = before > 0 and counted is None and not came.distinct, _lacks_some(extraction, before)
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(contract.table.path),
        check_name=SOURCE_COUNT,
        passed=extraction.agrees if counted is not None else not came.shifted and not lacks,
        severity=dg.AssetCheckSeverity.ERROR if clears else dg.AssetCheckSeverity.WARN,
        metadata={
            "unexplained_difference": 0 if counted is None else came.distinct - counted,
            "arrived": came.distinct,
            "arrived_again": extraction.records - came.distinct,
            "came_again_on_another_page": came.shifted,
            "counted_by_the_shop": extraction.count_fault or "the shop gives no count" if counted is None else counted,
            **({"stored_and_kept": before} if lacks else {}),
        },
    )
