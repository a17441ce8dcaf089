"""The refunds of orders, read and typed; what they count for is told in `ledger`."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from analytics_pipeline.sources.spec import Shop
from analytics_pipeline.transforms.records import SALES, Entries, Faults, OrderRecords
from analytics_pipeline.transforms.typed import TypedColumns
from analytics_pipeline.transforms.values import decimals, or_zero, places


@dataclass(frozen=True)
class RefundLine:
    """Goods of one order line taken back: row of the line frame, units, value after discount without tax, and tax."""

    row: int
    units: int
    amount: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Refund:
    """One refund; shipping without tax, the adjustment a value of goods without naming them."""

    refunded_at: datetime
    shipping: Decimal
    shipping_tax: Decimal
    adjustment: Decimal
    lines: list[RefundLine] = field(default_factory=list)


def read_refunds(
    orders: pd.DataFrame, lines: pd.DataFrame, records: OrderRecords, shop: Shop, faults: Faults
) -> dict[int, list[Refund]]:
    """Return the refunds by record, oldest first.

    Args:
        orders: The order frame, one row per record.
        lines: The line frame.
        records: The records' columns.
        shop: For the stamps.
        faults: Takes a note of each record with a refund that breaks a rule; what is returned for these is incomplete.
    """
    if not records.refunds.owners:
        return {}
    refunds = _refunds(orders, records.refunds, shop, faults)
    _add_lines(refunds, lines, records, shop, faults)
    found: dict[int, list[Refund]] = defaultdict(list)
    for record, refund in zip(records.refunds.owners, refunds, strict=True):
        if refund is not None:
            found[record].append(refund)
    return {record: sorted(entries, key=lambda refund: refund.refunded_at) for record, entries in found.items()}


def _refunds(orders: pd.DataFrame, entries: Entries, shop: Shop, faults: Faults) -> list[Refund | None]:
    """Return all refunds without their lines, None for one without a day."""
    listed = _typed(entries, shop, faults)
    stamps = listed.stamps("refunded_at")
    listed.note(places(stamps.isna()), "missing", "refunded_at")
    ids = pd.DataFrame({"record": entries.owners, "refund_id": listed.texts("refund_id")})
    listed.note(places(ids.duplicated() & ids["refund_id"].notna()), "occurs twice in the order", "refund_id")
    amounts = [_given_back(listed, name) for name in ("shipping", "shipping_tax", "adjustment")]
    includes_tax: list[bool] = orders["includes_tax"].tolist()
    moments: list[datetime | None] = pa.array(stamps).to_pylist()
    return [
        None
        if moment is None
        else Refund(moment, shipping - shipping_tax if includes_tax[record] else shipping, shipping_tax, adjustment)
        for record, moment, shipping, shipping_tax, adjustment in zip(entries.owners, moments, *amounts, strict=True)
    ]


def _add_lines(
    refunds: Sequence[Refund | None], lines: pd.DataFrame, records: OrderRecords, shop: Shop, faults: Faults
) -> None:
    entries = records.refund_lines
    if not entries.owners:
        return
    listed = _typed(entries, shop, faults)
    rows = {key: row for row, key in enumerate(zip(lines["record"], lines["line_id"], strict=True))}
    sold: list[int | None] = pa.array(lines["quantity"]).to_pylist()
    wanted: list[str | None] = pa.array(listed.texts("line_id")).to_pylist()
    units: list[int | None] = pa.array(listed.counts("quantity")).to_pylist()
    for name in ("quantity", "amount"):
        listed.note([place for place, value in enumerate(listed.values(name)) if value is None], "missing", name)
    amounts, taxes = _given_back(listed, "amount"), _given_back(listed, "tax")
    taken_back: defaultdict[int, int] = defaultdict(int)
    for place, record in enumerate(entries.owners):
        row, count, refund = rows.get((record, wanted[place])), units[place], refunds[records.refund_of[place]]
        if row is None:
            listed.note([place], "refund of a line that the order lacks", "line_id")
        elif count is not None and refund is not None:
            taken_back[row] += count
            if count < 0:
                listed.note([place], "negative", "quantity")
            elif taken_back[row] > (sold[row] or 0):
                listed.note([place], "more units taken back than were sold", "quantity")
            refund.lines.append(RefundLine(row, count, amounts[place], taxes[place]))


def _typed(entries: Entries, shop: Shop, faults: Faults) -> TypedColumns:
    def note(place: int, reason: str, field: str, value: object) -> None:
        faults.note(entries.owners[place], reason, SALES, field, value)

    return TypedColumns(entries.columns, len(entries.owners), shop, note)


def _given_back(listed: TypedColumns, field: str) -> list[Decimal]:
    """Return the amounts of a field, zero where absent; negative ones are noted."""
    amounts = or_zero(listed.money(field))
    listed.note(places(amounts < 0), "negative", field)
    return decimals(amounts)
