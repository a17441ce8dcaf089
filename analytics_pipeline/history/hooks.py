"""Which hooks run inside the write of which table: the one place that knows. Assets give rows and facts, and no hook.

A hook is one concern of the history (see the modules of this room); here is their choice and their order, which matters
where one reads what another has written.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.days import NO_DAYS, Days
from analytics_pipeline.history.blocked import BlockedForgotten
from analytics_pipeline.history.cancellations import CancellationsKept
from analytics_pipeline.history.dimensions import DimensionsMissed
from analytics_pipeline.history.extractions import Extracted, ExtractionFigures, NotOutdated
from analytics_pipeline.history.first_orders import FirstOrdersMoved
from analytics_pipeline.history.moves import LeftDaysListed
from analytics_pipeline.history.order_changes import SalesChanged
from analytics_pipeline.history.pages import ExtractedPages, PagesKept
from analytics_pipeline.history.proofs import DayProof, ProofsHeld
from analytics_pipeline.history.related import Joined, Marks, RelatedChanged, needs_dimensions
from analytics_pipeline.history.replaced import ReplacedForgotten, ReplacedKept
from analytics_pipeline.history.stale import StaleUnmarked
from analytics_pipeline.history.undated import UndatedKept
from analytics_pipeline.history.written import DaysWritten, Writing
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import (
    ACCOUNTING,
    CLEAN_CUSTOMERS,
    CLEAN_ORDER_LINES,
    CLEAN_ORDERS,
    CLEAN_SALES,
    EXCLUSIONS,
    QUARANTINE,
)
from analytics_pipeline.tables.own_fields import orders_contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.records import day_reader
from analytics_pipeline.transforms.version import code_version
from analytics_pipeline.warehouse.slices import Hook

ORDER_TABLES = {
    "orders": CLEAN_ORDERS,
    "order_lines": CLEAN_ORDER_LINES,
    "quarantine": QUARANTINE,
    "exclusions": EXCLUSIONS,
    "balances": ACCOUNTING,
    "sales": CLEAN_SALES,
}
"""What one step makes of raw orders, in the order in which hooks run: the ledger's come last, and see all new rows."""


def order_tables(shop: Shop) -> dict[str, Contract]:
    """Return the same with the columns of a description's own fields."""
    return ORDER_TABLES | {"orders": orders_contract(shop)}


@dataclass(frozen=True)
class ExtractedOrders:
    """Orders of some days as the shop sent them, and what is known of them beside their rows.

    Attributes:
        rows: Rows of `raw.orders`.
        as_of: When the extraction of each day began, by the database's clock.
        figures: What it brought and cost.
        ids: The orders that came.
        proofs: What was judged of the days.
        undated: Orders without a day, as `undated.JUDGED_SCHEMA`.
        left: Days whose stored rows stay, since they are not proved, with what is to be said of them.
        followed: Rows of the lists that were asked for order by order, with their tables; written at the same moment.
    """

    rows: pa.RecordBatchReader
    as_of: Mapping[date, datetime]
    figures: ExtractionFigures
    ids: Collection[str]
    proofs: Sequence[DayProof]
    undated: pa.Table
    left: Mapping[date, Mapping[str, Any]] = field(default_factory=dict)
    followed: Sequence[tuple[Table, pa.RecordBatchReader]] = ()


@dataclass(frozen=True)
class ExtractedRelated:
    """Records of a related list of some days as the shop sent them, and what is known of them beside their rows.

    Attributes:
        name: The list's name in the description.
        rows: Rows of its raw table.
        as_of: When the extraction of each day began, by the database's clock.
        proofs: What was judged of the days.
        left: Days whose stored rows stay, since they are not proved, with what is to be said of them.
    """

    name: str
    rows: pa.RecordBatchReader
    as_of: Mapping[date, datetime]
    proofs: Sequence[DayProof]
    left: Mapping[date, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class CleanedDays:
    """What is known, beside their rows, of days whose orders are cleaned.

    Attributes:
        as_of: When the extraction behind each day began; a day may be missing.
        replaced: Orders whose old record has been kept since it came otherwise or no more.
        replaced_sales: What these records come to in the ledger by the rules of now.
        beside: Days that are cleaned along, since they hold another version of an order, or orders of which a related
            record has changed.
        left: Those of them that an order has left.
        marks: Days that were marked for related records when the cleaning began.
        are_orders_alone: Whether the run asks for no customers and products.
    """

    as_of: Mapping[date, datetime]
    replaced: Sequence[str] = ()
    replaced_sales: pa.Table | None = None
    beside: Days = NO_DAYS
    left: tuple[date, ...] = ()
    marks: Marks = field(default_factory=dict)
    are_orders_alone: bool = False


def hooks_of(table: Table, value: object, catalogue: Catalogue, run_id: str) -> tuple[Hook, ...]:
    """Return what runs inside the write of a table of its own; none for most.

    Args:
        table: The table.
        value: What its asset gave.
        catalogue: The installation.
        run_id: Dagster's id of the run.
    """
    version = code_version(catalogue.shop)
    if isinstance(value, ExtractedOrders):
        writing = Writing(run_id, version, value.as_of)
        return (
            DaysWritten(writing),
            ReplacedKept(writing, day_reader(catalogue.shop)),
            Extracted(writing, Days.of(value.as_of), value.figures, value.ids),
            ProofsHeld(tuple(value.proofs)),
            UndatedKept(value.undated),
        )
    if isinstance(value, ExtractedRelated):
        return (
            NotOutdated(min(value.as_of.values())),
            DaysWritten(Writing(run_id, version, value.as_of)),
            RelatedChanged(needs_dimensions(catalogue.shop, value.name)),
            ProofsHeld(tuple(value.proofs)),
        )
    if isinstance(value, ExtractedPages):
        return (PagesKept(value.pages),)
    if table is CLEAN_CUSTOMERS.table:
        return (FirstOrdersMoved(Writing(run_id, version), catalogue.daily_marts),)
    return ()


def order_hooks(cleaned: CleanedDays, catalogue: Catalogue, run_id: str) -> dict[str, tuple[Hook, ...]]:
    """Return what runs inside the write of the tables made of raw orders (`ORDER_TABLES`), by the table's name."""
    writing = Writing(run_id, code_version(catalogue.shop), cleaned.as_of)
    written = DaysWritten(writing, cleaned.beside)
    hooks: dict[str, tuple[Hook, ...]] = {
        contract.table.qualified_name: (written,) for contract in ORDER_TABLES.values()
    }
    hooks[QUARANTINE.table.qualified_name] = (written, BlockedForgotten())
    hooks[CLEAN_SALES.table.qualified_name] = (
        # By which rules the days were made before, and which records were replaced, is gone after these two.
        SalesChanged(writing, catalogue.daily_marts, cleaned.replaced, cleaned.replaced_sales),
        written,
        *([CancellationsKept()] if catalogue.shop.orders.cancelled_when else []),
        ReplacedForgotten(),
        # A day is off the list once it is written; one that an order has left comes onto it anew.
        StaleUnmarked(cleaned.are_orders_alone),
        Joined(cleaned.marks),
        LeftDaysListed(cleaned.left),
        *([DimensionsMissed()] if cleaned.are_orders_alone else []),
    )
    return hooks
