"""Checks about lists that belong to orders: each record has its order."""

from analytics_pipeline.orchestration.checks.stored import StoredCheck
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.shape import in_sql


def related_checks(shop: Shop) -> tuple[StoredCheck, ...]:
    """Return one check per related list of a shop."""
    return tuple(_has_its_order("/".join(related_contract(name).table.path)) for name in shop.orders.related)


def _has_its_order(table: str) -> StoredCheck:
    return StoredCheck(
        "related_records_have_their_order",
        table,
        "Each record names an order that is stored. The others are in no figure: their orders were placed on days that "
        "are not loaded, or are gone; a record is joined as soon as its order comes.",
        f"""
        select record_id as example, 1 as difference
        from {in_sql(*table.split("/"))} as related
        where record_date {{slice}} and not exists (select from "@raw".orders where order_id = related.parent_id)
        """,
        compared_with=("raw/orders", "clean/sales"),
        is_blocking=False,
    )
