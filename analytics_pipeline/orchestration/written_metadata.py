"""What Dagster is told of a table that was written: rows and figures by day, its shape, what was computed anew."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from analytics_pipeline.days import Days, business_day
from analytics_pipeline.history.maturity import lateness, state_of
from analytics_pipeline.history.proofs import read_proofs
from analytics_pipeline.history.publishing import Anew, Published
from analytics_pipeline.history.written import written_days
from analytics_pipeline.orchestration.day_metadata import name_days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database

ROW_COUNT = "dagster/partition_row_count"
COMPUTED_ANEW = "computed_anew"
HELD = "last_held_against_the_shop"
SHAPE = ("dagster/column_schema", "dagster/column_lineage")
"""Told once a run, with its last day: what follows materialisations reads it there, and not in the definitions."""
Figures = dict[str, dict[str, Any]]
"""Metadata by partition key."""


def report_published(
    context: dg.OutputContext, database: Database, table: Table, published: Published, shop: Shop
) -> None:
    """Report the run's days as its output, and of stale days beside them as materialisations of their own."""
    as_of = written_days(database, table)
    today, settles_after = business_day(datetime.now(UTC), shop.zone), lateness(database, shop).days
    stored = figures_by_day(database, table, Days.of(day for days in published.days for day in days))
    proofs = read_proofs(database)
    figures: Figures = {
        day.isoformat(): {
            ROW_COUNT: 0,
            "state": state_of(day, as_of.get(day), today, settles_after, shop),
            HELD: proofs[day].held_at.isoformat() if day in proofs else "never",
            **stored.get(day.isoformat(), {}),
        }
        for days in published.days
        for day in days
    }
    report_by_day(context, figures, at_last=anew(context, published.anew))
    for key in sorted(figures.keys() - set(context.asset_partition_keys)):
        context.log_event(dg.AssetMaterialization(context.asset_key, metadata=figures[key], partition=key))


def report_by_day(
    context: dg.OutputContext,
    figures: Figures,
    left: Mapping[str, Mapping[str, Any]] | None = None,
    at_last: Mapping[str, Any] | None = None,
) -> None:
    """Report the run's days as the output.

    Args:
        context: Of the output.
        figures: Metadata of the days that have rows.
        left: What is said of days whose rows stayed.
        at_last: What is said once, with the last day.
    """
    said = {day: {ROW_COUNT: 0, **figures.get(day, {})} for day in context.asset_partition_keys}
    said |= {day: dict(note) for day, note in (left or {}).items()}
    last = max(said)
    name_days(context, {**said, last: {**said[last], **shape(context), **(at_last or {})}})


def shape(context: dg.OutputContext) -> dict[str, Any]:
    """Return columns and lineage as the definition has them."""
    described = context.definition_metadata or {}
    return {name: described[name] for name in SHAPE if name in described}


def anew(context: dg.OutputContext, found: Anew) -> dict[str, Any]:
    """Return, and log, what was computed anew since the mart is another one; days of it are reported together, once.

    An event for each of a history's days would take longer than computing them; their partitions are there already.
    """
    if found == Anew():
        return {}
    context.log.info("%s is computed anew: %s", context.asset_key.to_user_string(), found)
    return {COMPUTED_ANEW: str(found)}


def row_counts(counts: Counter[str]) -> Figures:
    """Return the row counts of days as their metadata."""
    return {day: {ROW_COUNT: count} for day, count in counts.items()}


def figures_by_day(database: Database, table: Table, part: Days) -> Figures:
    """Return the row count and the plotted sums of each day that has rows, by partition key."""
    figures: Figures = defaultdict(lambda: {ROW_COUNT: 0})
    sums = "".join(f", sum({name})::float8" for name in table.plotted)
    by_currency = ", currency" if table.plotted else ""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"select {table.day_column}::text, count(*){by_currency}{sums} from {table.sql_name} "
            f"where {table.where(part)} group by {table.day_column}{by_currency}"
        )
        for day, rows, *measured in cursor.fetchall():
            figures[day][ROW_COUNT] += rows
            if measured:
                currency, *amounts = measured
                names = (f"{name}_{currency}" for name in table.plotted)
                figures[day] |= {
                    name: dg.MetadataValue.float(amount) for name, amount in zip(names, amounts, strict=True)
                }
    return figures
