"""The ledger: every event of an order as one row, on the business day on which it happened.

A line sold and a shipping charge stand on the order's day, a refund on its own day. A cancelled order stays a sale on
its day; what was not refunded before is reversed on the day of the cancellation, so that the order adds up to zero.
(Dating and sign as in Shopify's sales reports.)
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.days import business_day
from analytics_pipeline.shop.charges import ChargeKind, CountsIn
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT
from analytics_pipeline.transforms.charges import AMOUNTS, Charge, PlacedCharges, amounts_of
from analytics_pipeline.transforms.lines import lines_of
from analytics_pipeline.transforms.refunds import Refund, RefundLine
from analytics_pipeline.transforms.values import ZERO, arrow_series, decimals, places

_OF_THE_ORDER = ("order_date", "order_id", "customer_key", "currency")
Columns = dict[str, Any]
"""Arrow arrays by the names of the ledger's columns."""


@dataclass(frozen=True)
class Reversal:
    """One event that takes money back; all but returns is negative, as in the ledger."""

    record: int
    event_type: str
    event_at: datetime
    is_cancellation: bool
    product_id: str | None = None
    quantity: int = 0
    returns: Decimal = ZERO
    shipping: Decimal = ZERO
    taxes: Decimal = ZERO
    charges: Decimal = ZERO
    outside_sales: Decimal = ZERO

    @property
    def given_back(self) -> Decimal:
        """What it takes off what the order added up to."""
        return self.returns - self.shipping - self.charges - self.taxes - self.outside_sales


def build_ledger(
    orders: pd.DataFrame,
    lines: pd.DataFrame,
    charges: PlacedCharges,
    refunds: Mapping[int, Sequence[Refund]],
    *,
    credit_notes: set[int],
    is_clean: np.ndarray,
    shop: Shop,
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the events of the clean records, ordered by record, and what each gave back after it was placed.

    Args:
        orders: The order frame, one row per record.
        lines: The line frame.
        charges: The charges of all records.
        refunds: Refunds by record, oldest first.
        credit_notes: Records whose lines are goods taken back.
        is_clean: Whether each record is neither faulty nor excluded.
        shop: For the business days of refunds and cancellations.

    Returns:
        Columns of `clean/sales` and `record`; amounts given back, tax included, one per record.
    """
    changed = {*refunds, *places(orders["cancelled_at"].notna())}
    reversals: list[Reversal] = []
    given_back = [ZERO] * len(orders)
    placed = _Placed(orders, lines, charges) if changed else None
    for record in sorted(changed):
        if placed is not None and is_clean[record]:
            refunded = refunds.get(record, [])
            back = [event for refund in refunded for event in placed.refund_events(record, refund)]
            back += placed.cancellation_events(record, refunded)
            given_back[record] = sum((event.given_back for event in back), ZERO)
            reversals += back
    parts = [
        _line_events(orders, lines, is_clean, credit_notes),
        _shipping_events(orders, is_clean),
        *([_charge_events(orders, charges.of_clean(is_clean))] if len(charges) else []),
        *([_reversal_events(orders, reversals, shop)] if reversals else []),
    ]
    events: pd.DataFrame = _numbered(pa.concat_tables(parts)).to_pandas(types_mapper=pd.ArrowDtype)
    return events, arrow_series(given_back, MONEY)


class _Placed:
    """Orders and lines as placed, as lists: the few that are reversed are looked up one by one."""

    def __init__(self, orders: pd.DataFrame, lines: pd.DataFrame, charges: PlacedCharges) -> None:
        self._lines, self._charges = lines, charges
        self._cancelled_at: list[datetime | None] = pa.array(orders["cancelled_at"]).to_pylist()
        self._shipping = decimals(orders["shipping"])
        self._shipping_taxes = decimals(orders["shipping_tax"])
        self._products: list[str] = pa.array(lines["product_id"]).to_pylist()
        self._quantities: list[int] = pa.array(lines["quantity"]).to_pylist()
        self._nets, self._taxes = decimals(lines["net_sales"]), decimals(lines["taxes"])

    def refund_events(self, record: int, refund: Refund) -> Iterator[Reversal]:
        """Yield each line taken back, shipping given back, and the adjustment."""
        moment = refund.refunded_at
        for line in refund.lines:
            product = self._products[line.row]
            yield Reversal(
                record,
                "line_returned",
                moment,
                is_cancellation=False,
                product_id=product,
                quantity=-line.units,
                returns=line.amount,
                taxes=-line.tax,
            )
        given_back = (refund.shipping, refund.shipping_tax, refund.adjustment, refund.adjustment_tax)
        yield from self._other_events(record, moment, given_back, is_cancellation=False)
        yield from (_charge_reversal(record, moment, charge) for charge in refund.charges)

    def cancellation_events(self, record: int, refunds: Sequence[Refund]) -> Iterator[Reversal]:
        """Yield the reversal of what the refunds have left of an order; nothing if it is not cancelled."""
        moment = self._cancelled_at[record]
        if moment is None:
            return
        rows = lines_of(self._lines, record)
        by_row: defaultdict[int, list[RefundLine]] = defaultdict(list)
        for line in (line for refund in refunds for line in refund.lines):
            by_row[line.row].append(line)
        for row in range(rows.start, rows.stop):
            taken_back = by_row[row]
            units = self._quantities[row] - sum(line.units for line in taken_back)
            value = self._nets[row] - sum((line.amount for line in taken_back), ZERO)
            tax = self._taxes[row] - sum((line.tax for line in taken_back), ZERO)
            if units or value or tax:
                yield Reversal(
                    record,
                    "line_returned",
                    moment,
                    is_cancellation=True,
                    product_id=self._products[row],
                    quantity=-units,
                    returns=value,
                    taxes=-tax,
                )
        shipping = self._shipping[record] - sum((refund.shipping for refund in refunds), ZERO)
        shipping_tax = self._shipping_taxes[record] - sum((refund.shipping_tax for refund in refunds), ZERO)
        # The goods are taken back at their whole value above, so that what an adjustment gave back before is reversed.
        adjustment = -sum((refund.adjustment for refund in refunds), ZERO)
        adjustment_tax = -sum((refund.adjustment_tax for refund in refunds), ZERO)
        given_back = (shipping, shipping_tax, adjustment, adjustment_tax)
        yield from self._other_events(record, moment, given_back, is_cancellation=True)
        for charge in _left_of(self._charges.of(record), (back for refund in refunds for back in refund.charges)):
            yield _charge_reversal(record, moment, charge, is_cancellation=True)

    @staticmethod
    def _other_events(
        record: int, moment: datetime, given_back: tuple[Decimal, Decimal, Decimal, Decimal], *, is_cancellation: bool
    ) -> Iterator[Reversal]:
        """Yield the reversal of shipping, its tax, an adjustment, and its tax."""
        shipping, shipping_tax, adjustment, adjustment_tax = given_back
        kind = partial(Reversal, record, event_at=moment, is_cancellation=is_cancellation)
        if shipping or shipping_tax:
            yield kind(event_type="shipping_refunded", shipping=-shipping, taxes=-shipping_tax)
        if adjustment or adjustment_tax:
            yield kind(event_type="adjustment", returns=adjustment, taxes=-adjustment_tax)


def _left_of(charged: Iterable[Charge], given_back: Iterable[Charge]) -> Iterator[Charge]:
    """Yield what is left of charges, summed up by kind and by what they count in."""
    left: dict[tuple[ChargeKind, CountsIn], tuple[Decimal, Decimal]] = {}
    for sign, charge in (*((1, charge) for charge in charged), *((-1, charge) for charge in given_back)):
        place = (charge.kind, charge.counts_in)
        amount, tax = left.get(place, (ZERO, ZERO))
        left[place] = (amount + sign * charge.amount, tax + sign * charge.tax)
    for (kind, counts_in), (amount, tax) in left.items():
        if amount or tax:
            yield Charge(kind, counts_in, amount, tax)


def _charge_reversal(record: int, moment: datetime, charge: Charge, *, is_cancellation: bool = False) -> Reversal:
    amounts = amounts_of(charge)
    value = amounts.get("gross_sales", ZERO) - amounts.get("discounts", ZERO)
    return Reversal(
        record,
        f"{charge.kind}_refunded",
        moment,
        is_cancellation,
        returns=value,
        taxes=-charge.tax,
        charges=-amounts.get("charges", ZERO),
        outside_sales=-amounts.get("outside_sales", ZERO),
    )


def _line_events(orders: pd.DataFrame, lines: pd.DataFrame, is_clean: np.ndarray, credit_notes: set[int]) -> pa.Table:
    owners = lines["record"].to_numpy()
    rows = np.flatnonzero(is_clean[owners])
    owners = owners[rows]
    kinds = np.where(np.isin(owners, list(credit_notes)), "line_returned", "line_sold")
    names = ("product_id", "quantity", "gross_sales", "discounts", "returns", "net_sales", "taxes")
    return _of_orders(orders, owners, pa.array(kinds, type=TEXT), _taken({name: lines[name] for name in names}, rows))


def _shipping_events(orders: pd.DataFrame, is_clean: np.ndarray) -> pa.Table:
    charged = ((orders["shipping"] != 0) | (orders["shipping_tax"] != 0)) & is_clean
    owners = np.asarray(places(charged), dtype=np.int64)
    amounts = _taken({"shipping": orders["shipping"], "taxes": orders["shipping_tax"]}, owners)
    return _of_orders(orders, owners, _constant("shipping_charged", len(owners), TEXT), amounts)


def _charge_events(orders: pd.DataFrame, charges: PlacedCharges) -> pa.Table:
    kinds = pa.array([f"{charge.kind}_charged" for charge in charges.charges], type=TEXT)
    amounts: Columns = {name: pa.array(listed, type=MONEY) for name, listed in charges.amounts.items()}
    return _of_orders(orders, charges.records, kinds, amounts)


def _of_orders(orders: pd.DataFrame, owners: np.ndarray, kinds: "pa.Array[Any]", given: Columns) -> pa.Table:
    """Return events that stand on the day of their order, with some columns given."""
    columns = _taken({name: orders[name] for name in (*_OF_THE_ORDER, "ordered_at")}, owners)
    moments, count = columns.pop("ordered_at"), len(owners)
    columns |= {
        "record": pa.array(owners),
        "event_type": kinds,
        "event_at": moments,
        "event_date": columns["order_date"],
        "is_cancellation": _constant(False, count, FLAG),  # noqa: FBT003  # the value of a column
        "product_id": _constant(None, count, TEXT),
        "quantity": _constant(0, count, COUNT),
    }
    return _with_totals(columns | given)


def _reversal_events(orders: pd.DataFrame, reversals: Sequence[Reversal], shop: Shop) -> pa.Table:
    owners = np.array([event.record for event in reversals], dtype=np.int64)
    columns = _taken({name: orders[name] for name in _OF_THE_ORDER}, owners)
    days = [business_day(event.event_at, shop.zone) for event in reversals]
    columns |= {"record": pa.array(owners), "event_date": pa.array(days, type=DAY)}
    for name, kind in (
        ("event_type", TEXT),
        ("event_at", STAMP),
        ("is_cancellation", FLAG),
        ("product_id", TEXT),
        ("quantity", COUNT),
        *((amount, MONEY) for amount in ("returns", "shipping", "charges", "taxes", "outside_sales")),
    ):
        columns[name] = pa.array([getattr(event, name) for event in reversals], type=kind)
    return _with_totals(columns)


def _with_totals(events: Columns) -> pa.Table:
    """Return events with what their amounts come to, and zero for amounts that they lack; columns in a fixed order."""
    nothing = _constant(ZERO, len(events["record"]), MONEY)
    if "net_sales" not in events:
        gross, discounts, returns = (events.get(name, nothing) for name in ("gross_sales", "discounts", "returns"))
        events["net_sales"] = pc.subtract(pc.subtract(gross, discounts), returns).cast(MONEY)
    total = events["net_sales"]
    for name in ("shipping", "charges", "taxes"):
        total = pc.add(total, events[name]) if name in events else total
    amounts = {name: events.get(name, nothing) for name in (*AMOUNTS, "net_sales", "shipping", "taxes")}
    others = {name: events[name] for name in sorted(events.keys() - amounts.keys())}
    return pa.table(others | amounts | {"total_sales": total.cast(MONEY)})


def _taken(columns: Mapping[str, pd.Series], rows: np.ndarray) -> Columns:
    return {name: pa.array(column).take(pa.array(rows)) for name, column in columns.items()}


def _constant(value: object, count: int, kind: pa.DataType) -> "pa.Array[Any]":
    return pa.repeat(pa.scalar(value, kind), count)


def _numbered(events: pa.Table) -> pa.Table:
    """Order events by record, keep their order within it, and count them from 1."""
    owners = events["record"].to_numpy()
    if np.any(owners[1:] < owners[:-1]):
        order = np.argsort(owners, kind="stable")
        events, owners = events.take(pa.array(order)), owners[order]
    numbers = np.arange(len(owners)) - np.searchsorted(owners, owners, "left") + 1
    return events.append_column("event_number", pa.array(numbers, type=COUNT))
