"""The ledger: every event of an order as one row, on the business day on which it happened.

A line sold and a shipping charge stand on the order's day, a refund on its own day. A cancelled order stays a sale on its day; what was not
refunded before is reversed on the day of the cancellation, so that the order adds up to zero. (Dating and sign as in Shopify's sales reports.)
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa

from analytics_pipeline.sources.mapping import business_day, parse_stamp
from analytics_pipeline.sources.spec import Shop
from analytics_pipeline.tables import COUNT, DAY, MONEY, STAMP, TEXT
from analytics_pipeline.transforms.lines import lines_of, money
from analytics_pipeline.transforms.records import Faults, OrderRecords
from analytics_pipeline.transforms.values import ZERO, arrow_series, count_column, money_column, text_or_none

SALES = "clean.sales"


@dataclass
class Reversal:
    """One event that takes money back."""

    record: int
    event_type: str
    event_at: datetime
    product_id: str | None = None
    quantity: int = 0
    returns: Decimal = ZERO
    shipping: Decimal = ZERO
    taxes: Decimal = ZERO


@dataclass
class Refund:
    """One refund of a record, read and typed."""

    refunded_at: datetime
    shipping: Decimal
    shipping_tax: Decimal
    adjustment: Decimal
    lines: list[tuple[int, int, Decimal, Decimal]] = field(default_factory=list)
    """Row of the line in the line frame, units, value of goods, tax."""


def build_ledger(
    orders: pd.DataFrame, lines: pd.DataFrame, records: OrderRecords, shop: Shop, faults: Faults, kept_out: set[int]
) -> tuple[pd.DataFrame, dict[int, Decimal]]:
    """Return all events, ordered by record, and what each record gave back after it was placed.

    Args:
        orders: The order frame, one row per record.
        lines: The line frame.
        records: The records' columns, for the refunds.
        shop: For stamps and the business days of refunds.
        faults: Takes a note of each record with a refund that breaks a rule.
        kept_out: Records that are faulty or excluded already; their refunds are not read.

    Returns:
        Columns of `clean/sales` and `record`; amounts given back, tax included, by record.
    """
    refunds = _read_refunds(orders, lines, records, shop, faults, kept_out)
    reversals: list[Reversal] = []
    refunded: dict[int, Decimal] = {}
    cancelled = {int(place) for place in np.flatnonzero(orders["cancelled_at"].notna())} - kept_out
    for record in sorted({*refunds, *cancelled}):
        given_back = [event for refund in refunds.get(record, []) for event in _refund_events(record, refund, lines)]
        refunded[record] = sum((event.returns - event.shipping - event.taxes for event in given_back), ZERO)
        if record in cancelled:
            given_back += _cancellation_events(record, orders, lines, refunds.get(record, []))
            refunded[record] = orders["order_total"].iat[record]
        reversals += given_back
    frames = [_line_events(orders, lines, records), _shipping_events(orders), _reversal_events(orders, reversals, shop)]
    return _numbered(pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)), refunded


def refunded_totals(refunded: dict[int, Decimal], record_count: int) -> pd.Series:
    """Return the amounts given back as a column, one per record."""
    return arrow_series([refunded.get(record, ZERO) for record in range(record_count)], MONEY)


def _read_refunds(
    orders: pd.DataFrame, lines: pd.DataFrame, records: OrderRecords, shop: Shop, faults: Faults, kept_out: set[int]
) -> dict[int, list[Refund]]:
    owners = [int(str(owner)) for owner in records.refunds["record"]]
    if not owners:
        return {}
    amounts = {name: _given_back(records.refunds, name, owners, faults) for name in ("shipping", "shipping_tax", "adjustment")}
    refunds: list[Refund | None] = []
    for place, owner in enumerate(owners):
        stamp = _stamp(records.refunds["refunded_at"][place], shop)
        if stamp is None:
            faults.note(owner, "not a stamp", SALES, "event_at", records.refunds["refunded_at"][place])
            refunds.append(None)
            continue
        shipping_tax = amounts["shipping_tax"][place]
        listed = amounts["shipping"][place]
        shipping = listed - shipping_tax if orders["includes_tax"].iat[owner] else listed
        refunds.append(Refund(stamp, shipping, shipping_tax, amounts["adjustment"][place]))
    _read_refund_lines(lines, records, faults, refunds)
    found: dict[int, list[Refund]] = defaultdict(list)
    for owner, refund in zip(owners, refunds, strict=True):
        if refund is not None and owner not in kept_out and owner not in faults.by_record:
            found[owner].append(refund)
    return {owner: sorted(entries, key=lambda refund: refund.refunded_at) for owner, entries in found.items()}


def _read_refund_lines(lines: pd.DataFrame, records: OrderRecords, faults: Faults, refunds: Sequence[Refund | None]) -> None:
    columns = records.refund_lines
    owners = [int(str(owner)) for owner in columns["record"]]
    if not owners:
        return
    quantities, bad = count_column(columns["quantity"])
    for place in bad:
        faults.note(owners[place], "not a whole number", SALES, "quantity", columns["quantity"][place])
    values, taxes = (_given_back(columns, name, owners, faults) for name in ("amount", "tax"))
    for place, owner in enumerate(owners):
        rows = lines_of(lines, owner)
        wanted = text_or_none(columns["line_id"][place])
        ids = lines["line_id"].iloc[rows].tolist()
        refund = refunds[int(str(columns["refund"][place]))]
        units = quantities[place].as_py()
        if wanted not in ids:
            faults.note(owner, "refund of a line that the order lacks", SALES, "line_id", columns["line_id"][place])
        elif units is None or units < 0:
            faults.note(owner, "missing or negative", SALES, "quantity", columns["quantity"][place])
        elif refund is not None:
            refund.lines.append((rows.start + ids.index(wanted), units, values[place], taxes[place]))


def _given_back(columns: dict[str, list[object]], name: str, owners: Sequence[int], faults: Faults) -> list[Decimal]:
    """Return the amounts of a field, zero where absent; negative ones and those that are none are noted."""
    if name not in columns:
        return [ZERO] * len(owners)
    array, bad = money_column(columns[name])
    amounts = [ZERO if amount is None else amount for amount in array.to_pylist()]
    for place in bad:
        faults.note(owners[place], "not an amount with at most four decimals", SALES, name, columns[name][place])
    for place, amount in enumerate(amounts):
        if amount < 0:
            faults.note(owners[place], "negative", SALES, name, columns[name][place])
    return amounts


def _stamp(value: object, shop: Shop) -> datetime | None:
    try:
        return parse_stamp(value, shop.times, shop.zone)
    except ValueError:
        return None


def _refund_events(record: int, refund: Refund, lines: pd.DataFrame) -> list[Reversal]:
    events = [
        Reversal(record, "line_returned", refund.refunded_at, lines["product_id"].iat[row], -units, value, taxes=-tax)
        for row, units, value, tax in refund.lines
    ]
    if refund.shipping or refund.shipping_tax:
        events.append(
            Reversal(record, "shipping_refunded", refund.refunded_at, shipping=-refund.shipping, taxes=-refund.shipping_tax)
        )
    if refund.adjustment:
        events.append(Reversal(record, "adjustment", refund.refunded_at, returns=refund.adjustment))
    return events


def _cancellation_events(record: int, orders: pd.DataFrame, lines: pd.DataFrame, refunds: Iterable[Refund]) -> list[Reversal]:
    """Reverse what the refunds have left of an order."""
    refunds = list(refunds)
    cancelled_at = orders["cancelled_at"].iat[record]
    left = {
        row: [lines["quantity"].iat[row], lines["net_sales"].iat[row], lines["taxes"].iat[row]]
        for row in range(lines_of(lines, record).start, lines_of(lines, record).stop)
    }
    for row, units, value, tax in (line for refund in refunds for line in refund.lines):
        left[row] = [left[row][0] - units, left[row][1] - value, left[row][2] - tax]
    events = [
        Reversal(record, "line_returned", cancelled_at, lines["product_id"].iat[row], -units, value, taxes=-tax)
        for row, (units, value, tax) in left.items()
        if units or value or tax
    ]
    shipping = orders["shipping"].iat[record] - sum((refund.shipping for refund in refunds), ZERO)
    shipping_tax = orders["shipping_tax"].iat[record] - sum((refund.shipping_tax for refund in refunds), ZERO)
    adjustment = sum((refund.adjustment for refund in refunds), ZERO)
    if shipping or shipping_tax:
        events.append(Reversal(record, "shipping_refunded", cancelled_at, shipping=-shipping, taxes=-shipping_tax))
    if adjustment:
        # The goods are taken back at their whole value above, so what an adjustment gave back before is not given back twice.
        events.append(Reversal(record, "adjustment", cancelled_at, returns=-adjustment))
    return events


def _zeros(count: int) -> pd.Series:
    return arrow_series(pa.repeat(pa.scalar(ZERO, MONEY), count), MONEY)


def _line_events(orders: pd.DataFrame, lines: pd.DataFrame, records: OrderRecords) -> pd.DataFrame:
    owners = lines["record"].to_numpy()
    is_credit_note = np.isin(owners, list(records.credit_notes))
    kinds = pa.array(np.where(is_credit_note, "line_returned", "line_sold"), type=TEXT)
    events = _of_orders(orders, owners, arrow_series(kinds, TEXT))
    events["product_id"] = lines["product_id"]
    events["quantity"] = lines["quantity"]
    for name in ("gross_sales", "discounts", "returns", "net_sales", "taxes"):
        events[name] = lines[name]
    events["shipping"] = _zeros(len(lines))
    events["total_sales"] = money(lines["net_sales"] + lines["taxes"])
    return events


def _shipping_events(orders: pd.DataFrame) -> pd.DataFrame:
    charged = ((orders["shipping"] != 0) | (orders["shipping_tax"] != 0)).fillna(value=False).to_numpy(dtype=bool)
    owners = np.flatnonzero(charged)
    kinds = arrow_series(pa.repeat("shipping_charged", len(owners)), TEXT)
    events = _of_orders(orders, owners, kinds)
    events["product_id"] = arrow_series(pa.nulls(len(owners), TEXT), TEXT)
    events["quantity"] = arrow_series([0] * len(owners), COUNT)
    for name in ("gross_sales", "discounts", "returns", "net_sales"):
        events[name] = _zeros(len(owners))
    shipping = orders["shipping"].iloc[owners].reset_index(drop=True)
    taxes = orders["shipping_tax"].iloc[owners].reset_index(drop=True)
    events["taxes"], events["shipping"], events["total_sales"] = taxes, shipping, money(shipping + taxes)
    return events


def _of_orders(orders: pd.DataFrame, owners: np.ndarray, kinds: pd.Series) -> pd.DataFrame:
    """Begin events that stand on the day of their order."""
    taken = orders[["order_date", "order_id", "ordered_at", "customer_key", "currency"]].take(owners).reset_index(drop=True)
    taken = taken.rename(columns={"ordered_at": "event_at"})
    return taken.assign(record=owners, event_type=kinds, event_date=taken["order_date"])


def _reversal_events(orders: pd.DataFrame, reversals: Sequence[Reversal], shop: Shop) -> pd.DataFrame:
    owners = np.array([event.record for event in reversals], dtype=np.int64)
    events = orders[["order_date", "order_id", "customer_key", "currency"]].take(owners).reset_index(drop=True)
    returns = [event.returns for event in reversals]
    events["record"] = owners
    events["event_type"] = arrow_series([event.event_type for event in reversals], TEXT)
    events["event_at"] = arrow_series([event.event_at for event in reversals], STAMP)
    events["event_date"] = arrow_series([business_day(event.event_at, shop.zone) for event in reversals], DAY)
    events["product_id"] = arrow_series([event.product_id for event in reversals], TEXT)
    events["quantity"] = arrow_series([event.quantity for event in reversals], COUNT)
    events["gross_sales"], events["discounts"] = _zeros(len(reversals)), _zeros(len(reversals))
    events["returns"] = arrow_series(returns, MONEY)
    events["net_sales"] = arrow_series([-amount for amount in returns], MONEY)
    events["shipping"] = arrow_series([event.shipping for event in reversals], MONEY)
    events["taxes"] = arrow_series([event.taxes for event in reversals], MONEY)
    events["total_sales"] = arrow_series([event.shipping + event.taxes - event.returns for event in reversals], MONEY)
    return events


def _numbered(events: pd.DataFrame) -> pd.DataFrame:
    """Order events by record, keep their order within it, and count them from 1."""
    owners = events["record"].to_numpy()
    if np.any(owners[1:] < owners[:-1]):
        events = events.take(np.argsort(owners, kind="stable")).reset_index(drop=True)
        owners = events["record"].to_numpy()
    numbers = np.arange(len(owners)) - np.searchsorted(owners, owners, "left") + 1
    return events.assign(event_number=arrow_series(pa.array(numbers, type=COUNT), COUNT))
