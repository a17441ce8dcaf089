"""The raw layer: the shop's answers as they came."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from analytics_pipeline.assets.describe import SHOP_POOL, by_day, table_asset
from analytics_pipeline.assets.drift import FieldAudit, field_specs
from analytics_pipeline.assets.odd import readable_result, readable_spec
from analytics_pipeline.assets.publish import ContractAudit, contract_specs, publish
from analytics_pipeline.contracts import RAW_CUSTOMERS, RAW_ORDERS, RAW_PRODUCTS, Contract
from analytics_pipeline.database.slices import Accompanied, Changes, newest_change
from analytics_pipeline.history.binding import bind
from analytics_pipeline.history.extractions import Extracted, ExtractionFigures
from analytics_pipeline.history.prepare import prepare
from analytics_pipeline.history.proofs import COUNT, NONE, PROVED, DayProof, ProofsHeld
from analytics_pipeline.history.replaced import ReplacedKept
from analytics_pipeline.history.rules import OtherRules, keep_rules, other_rules
from analytics_pipeline.history.stale import ask_for
from analytics_pipeline.history.undated import UndatedKept, judged_table
from analytics_pipeline.history.written import DaysWritten, Writing, database_clock
from analytics_pipeline.partitions import DayRange, days_of
from analytics_pipeline.resources import DatabaseResource, ShopResource
from analytics_pipeline.sources.extraction import Extraction, extract_customers, extract_orders, extract_products
from analytics_pipeline.sources.mapping import business_day
from analytics_pipeline.sources.spec import Endpoint
from analytics_pipeline.spool import Spool, spool
from analytics_pipeline.transforms.records import day_reader
from analytics_pipeline.transforms.undated import judge_undated
from analytics_pipeline.transforms.version import definition

SOURCE_COUNT = "extracted_records_equal_the_shops_count"
SAME_RULES = "days_are_made_by_the_same_rules"
SECONDS_BETWEEN_REPORTS = 5.0
OVERLAP = timedelta(days=1)
"""How far before the newest change stamp the changed records are asked for again: a shop may show a change late, and
records change while a long list is read."""


def build_raw_assets(partitions: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return raw/orders by business day, and raw/customers and raw/products as a whole."""

    @_raw_asset(RAW_ORDERS, **by_day(partitions))
    def raw_orders(context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource) -> Iterator[Any]:
        days = days_of(context.partition_keys)
        stored = database.database()
        bind(stored, shop.description)
        prepare(stored)
        keep_rules(stored, shop.description)
        yield _rules_result(other_rules(stored, shop.description), days)
        fields = FieldAudit(RAW_ORDERS, shop.description.orders, stored)
        ask_for(stored, days)
        # Before the first request: whatever the shop changes from here on, this extraction may lack.
        began = database_clock(stored)
        writing = Writing(context.run.run_id, definition(shop.description), dict.fromkeys(days, began))
        # Orders come in while today's list is read, so its count may differ.
        is_over = days.last < business_day(began, shop.description.zone)
        with shop.client() as client, spool(RAW_ORDERS.table.arrow_schema) as rows:
            extraction = extract_orders(client, days.first, days.last)
            ids: set[tuple[object, ...]] = set()

            def value() -> Accompanied:
                # An order that came for two days counts on each of them, as the shop counts it.
                different = list({str(order_id) for order_id, _ in ids})
                extracted = Extracted(writing, _figures(extraction, len(ids)), different)
                proofs = ProofsHeld(_proofs(days, began, _by_day(ids), extraction.source_count))
                today = business_day(began, shop.description.zone)
                undated = UndatedKept(judged_table(judge_undated(extraction.undated, today, shop.description)))
                replaced = ReplacedKept(writing, day_reader(shop.description))
                return Accompanied(rows.reader(), (DaysWritten(writing), replaced, extracted, proofs, undated))

            yield from _extracted(
                context, RAW_ORDERS, extraction, rows, value=value, ids=ids, fields=fields, is_over=is_over
            )

    def dimension(contract: Contract, name: str) -> dg.AssetsDefinition:
        @_raw_asset(contract)
        def raw_dimension(
            context: dg.AssetExecutionContext, shop: ShopResource, database: DatabaseResource
        ) -> Iterator[Any]:
            stored = database.database()
            bind(stored, shop.description)
            endpoint: Endpoint = getattr(shop.description, name)
            extract = {"customers": extract_customers, "products": extract_products}[name]
            newest = newest_change(stored, contract.table) if endpoint.changed_since else None
            since = newest - OVERLAP if newest else None
            fields = FieldAudit(contract, endpoint, stored)
            with shop.client() as client, spool(contract.table.arrow_schema) as rows:
                extraction = extract(client, since)
                value = lambda: Changes(rows.reader()) if since else rows.reader()  # noqa: E731
                yield from _extracted(context, contract, extraction, rows, value=value, ids=set(), fields=fields)

        return raw_dimension

    return [raw_orders, dimension(RAW_CUSTOMERS, "customers"), dimension(RAW_PRODUCTS, "products")]


def _raw_asset(contract: Contract, **settings: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:  # noqa: ANN401
    table = contract.table
    count_check = dg.AssetCheckSpec(
        SOURCE_COUNT,
        asset=dg.AssetKey(table.path),
        blocking=_count_blocks(contract),
        description="As many records arrived as the shop counts, where it gives a count; checked before the write.",
    )
    checks = [*contract_specs(table), count_check, readable_spec(contract), *field_specs(contract)]
    if contract is RAW_ORDERS:
        description = "No other day was made by another time zone, currency or mapping than the description's of now."
        checks.append(dg.AssetCheckSpec(SAME_RULES, asset=dg.AssetKey(table.path), description=description))
    return table_asset(table, kinds={"api", "postgres"}, pool=SHOP_POOL, check_specs=checks, **settings)


def _extracted(
    context: dg.AssetExecutionContext,
    contract: Contract,
    extraction: Extraction,
    rows: Spool,
    *,
    value: Callable[[], Any],
    ids: set[tuple[object, ...]],
    fields: FieldAudit,
    is_over: bool = True,
) -> Iterator[Any]:
    """Read the whole extraction into the spool and its ids into `ids`, then publish what `value` makes of it."""
    audit = ContractAudit(contract)
    reported = time.monotonic()
    for batch in extraction:
        rows.write(batch)
        key_columns = batch.columns[:2] if contract is RAW_ORDERS else batch.columns[:1]
        ids.update(zip(*(column.to_pylist() for column in key_columns), strict=True))
        audit.look_at(pa.Table.from_batches([batch]).to_pandas(types_mapper=pd.ArrowDtype))
        fields.look_at(batch)
        if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            total = "" if extraction.source_count is None else f" of {extraction.source_count}"
            context.log.info("%s: %s%s records read", contract.table.qualified_name, extraction.records, total)
    statistics = extraction.statistics
    metadata = {
        "records": extraction.records,
        "records_of_other_days": extraction.outside_window,
        "records_without_day": len(extraction.undated),
        "records_kept_escaped": extraction.odd.escaped,
        "requests": statistics.requests,
        "retries": statistics.retries,
        "megabytes": round(statistics.bytes / 1_000_000, 3),
        "seconds_waited": round(statistics.seconds_waited, 3),
    }
    counted = _count_result(contract, extraction, len(ids), is_blocking=is_over and _count_blocks(contract))
    results = [*audit.results(), counted, readable_result(contract, extraction), *fields.results()]
    yield from publish(results, _outputs(value, metadata))
    fields.record(context.run.run_id)


def _rules_result(found: Sequence[OtherRules], days: DayRange) -> dg.AssetCheckResult:
    others = [replace(other, days=tuple(day for day in other.days if day not in days)) for other in found]
    told = [str(other) for other in others if other.days]
    remedy = "polls load them again, newest first; analytics-pipeline catch-up does so now"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(RAW_ORDERS.table.path),
        check_name=SAME_RULES,
        passed=not told,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"other_days": "; ".join(told), "remedy": remedy} if told else {},
    )


def _by_day(orders: Iterable[tuple[Any, ...]]) -> Counter[date]:
    return Counter(day for _, day in orders)


def _proofs(days: DayRange, began: datetime, orders: Counter[date], count: int | None) -> tuple[DayProof, ...]:
    basis = NONE if count is None else COUNT
    alone = count if len(days) == 1 else None
    return tuple(DayProof(day, PROVED, basis, began, orders[day], began, source_count=alone) for day in days)


def _figures(extraction: Extraction, different: int) -> ExtractionFigures:
    statistics = extraction.statistics
    return ExtractionFigures(
        records=extraction.records,
        orders=different,
        records_of_other_days=extraction.outside_window + len(extraction.undated),
        source_count=extraction.source_count,
        requests=statistics.requests,
        retries=statistics.retries,
        bytes=statistics.bytes,
        milliseconds_waited=round(statistics.seconds_waited * 1000),
    )


def _outputs(value: Callable[[], Any], metadata: dict[str, Any]) -> Iterator[dg.Output[Any]]:
    yield dg.Output(value(), metadata=metadata)


def _count_blocks(contract: Contract) -> bool:
    """Return whether a differing count stops the step: of orders of past days, not of lists that grow while read."""
    return contract is RAW_ORDERS


def _count_result(
    contract: Contract, extraction: Extraction, different: int, *, is_blocking: bool
) -> dg.AssetCheckResult:
    # Different ids, since a page that shifts while it is read brings one record twice and another one never.
    arrived = different + extraction.outside_window + len(extraction.undated)
    counted = extraction.source_count
    difference = 0 if counted is None else arrived - counted
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(contract.table.path),
        check_name=SOURCE_COUNT,
        passed=difference == 0,
        severity=dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN,
        metadata={
            "unexplained_difference": difference,
            "arrived": arrived,
            "arrived_again": extraction.records - different,
            "counted_by_the_shop": "the shop gives no count" if counted is None else counted,
        },
    )
