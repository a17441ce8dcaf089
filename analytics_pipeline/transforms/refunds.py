"""The refunds of orders, read and typed; which of them count is decided in `money_back`.

What is wrong with a refund is a fault of the refund alone: its order is judged by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from analytics_pipeline.transforms.amounts import Amounts
from analytics_pipeline.transforms.charge_entries import ChargeEntries
from analytics_pipeline.transforms.charges import Charge, given_back
from analytics_pipeline.transforms.records import SALES, Entries, Fault, Faults, OrderRecords
from analytics_pipeline.transforms.typed import TypedColumns
from analytics_pipeline.transforms.values import ZERO, decimals, or_zero, places, round_money


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
    charges: list[Charge] = field(default_factory=list)
    adjustment_tax: Decimal = ZERO

    @property
    def worth(self) -> Decimal:
        """All of it: goods, shipping, charges and taxes."""
        goods = sum((line.amount + line.tax for line in self.lines), ZERO)
        charges = sum((charge.money for charge in self.charges if not charge.is_payment), ZERO)
        return goods + self.shipping + self.shipping_tax + self.adjustment + self.adjustment_tax + charges

    @property
    def on_account(self) -> Decimal:
        """How much of its worth goes back onto gift cards and store credit, which the order was paid with."""
        return -sum((charge.money for charge in self.charges if charge.is_payment), ZERO)

    @property
    def given_back(self) -> Decimal:
        """What it takes off what the order added up to."""
        return self.worth - self.on_account


@dataclass(frozen=True)
class ListedRefund:
    """A refund as an order lists it.

    Attributes:
        record: Position of its record.
        refund_id: The shop's id of it, None where it gives none.
        refund: What it gives back, or what is wrong with it.
        money: What it gives back in all, None where an amount cannot be read, or none is found beside a fault.
    """

    record: int
    refund_id: str | None
    refund: Refund | Fault
    money: Decimal | None


def read_refunds(
    orders: pd.DataFrame, lines: pd.DataFrame, records: OrderRecords, charges: Sequence[ChargeEntries], amounts: Amounts
) -> list[ListedRefund]:
    """Return all refunds as they are listed.

    Args:
        orders: The order frame, one row per record.
        lines: The line frame.
        records: The records' columns.
        charges: What they give back of charges.
        amounts: Reads the records' amounts.
    """
    entries = records.refunds
    if not entries.owners:
        return []
    faults = Faults()
    listed = _typed(entries, range(len(entries.owners)), amounts, faults)
    stamps = listed.stamps("refunded_at")
    listed.note(places(stamps.isna()), "missing", "refunded_at")
    ids: list[str | None] = pa.array(listed.texts("refund_id")).to_pylist()
    moments: list[datetime | None] = pa.array(stamps).to_pylist()
    given = zip(*(_given_back(listed, name) for name in ("shipping", "shipping_tax", "adjustment")), strict=True)
    goods, unread = _lines(orders, lines, records, amounts, faults)
    charges_back, unread_charges = given_back(orders, records, charges, amounts, faults)
    unread |= unread_charges
    of_shipping, of_adjustment = (orders[f"includes_tax_refund_{part}"].tolist() for part in ("shipping", "adjustment"))
    shares = _tax_shares(orders) if any(of_adjustment) else []
    found = []
    for place, (record, moment, others) in enumerate(zip(entries.owners, moments, given, strict=True)):
        shipping, shipping_tax, adjustment = (amount or ZERO for amount in others)
        without_tax = shipping - shipping_tax if of_shipping[record] else shipping
        tax = round_money(adjustment * shares[record]) if of_adjustment[record] else ZERO
        refund = Refund(
            moment or _NEVER,
            without_tax,
            shipping_tax,
            adjustment - tax,
            goods[place],
            charges_back.get(place, []),
            tax,
        )
        if adjustment < ZERO and refund.given_back < ZERO:  # keeps more than all the rest of it gives back
            listed.note([place], "negative", "adjustment")
        fault, is_unread = faults.by_record.get(place), place in unread or None in others
        money = None if is_unread or (fault and not refund.given_back) else refund.given_back
        found.append(ListedRefund(record, ids[place], fault or refund, money))
    return found


def _tax_shares(orders: pd.DataFrame) -> list[Decimal]:
    """Return which share of the goods of each order, with their tax, is tax."""
    names = ("gross_sales", "discounts", "returns", "taxes", "other_taxes")
    shares = []
    for gross, discounts, returns, taxes, others in zip(
        *(decimals(or_zero(orders[name])) for name in names), strict=True
    ):
        whole = gross - discounts - returns + taxes - others
        shares.append((taxes - others) / whole if whole else ZERO)
    return shares


_NEVER = datetime.max.replace(tzinfo=UTC)
"""Stands for the moment of a refund that has none, which is a fault."""


def _lines(
    orders: pd.DataFrame, lines: pd.DataFrame, records: OrderRecords, amounts: Amounts, faults: Faults
) -> tuple[list[list[RefundLine]], set[int]]:
    """Return the lines of each refund, and the refunds of which an amount cannot be read."""
    goods: list[list[RefundLine]] = [[] for _ in records.refunds.owners]
    unread: set[int] = set()
    entries = records.refund_lines
    if not entries.owners:
        return goods, unread
    listed = _typed(entries, records.refund_of, amounts, faults)
    rows = {key: row for row, key in enumerate(zip(lines["record"], lines["line_id"], strict=True))}
    found = [rows.get(key, _NO_ROW) for key in zip(entries.owners, listed.texts("line_id"), strict=True)]
    units = listed.counts("quantity")
    includes_tax: list[bool] = orders["includes_tax_refund_lines"].tolist()
    for name in ("quantity", "amount"):
        listed.note([place for place, value in enumerate(listed.values(name)) if value is None], "missing", name)
    values, taxes = _given_back(listed, "amount", is_required=True), _given_back(listed, "tax")
    listed.note([place for place, row in enumerate(found) if row == _NO_ROW], LACKS_LINE, "line_id")
    listed.note(places(units < 0), "negative", "quantity")
    columns = zip(records.refund_of, found, pa.array(units).to_pylist(), values, taxes, strict=True)
    for place, (refund, row, count, amount, tax) in enumerate(columns):
        if amount is None or tax is None:
            unread.add(refund)
        else:
            without_tax = amount - tax if includes_tax[entries.owners[place]] else amount
            goods[refund].append(RefundLine(row, count or 0, without_tax, tax))
    return goods, unread


_NO_ROW = -1
LACKS_LINE = "refund of a line that the order lacks"


def _typed(entries: Entries, refunds: Sequence[int], amounts: Amounts, faults: Faults) -> TypedColumns:
    """Return typed columns whose faults are noted by refund, of which `refunds` has each entry's."""

    def note(place: int, reason: str, field: str, value: object) -> None:
        faults.note(refunds[place], reason, SALES, field, value)

    described = amounts.shop.orders.refunds
    return TypedColumns(entries.columns, amounts.of(entries.owners), note, described.times if described else None)


def _given_back(listed: TypedColumns, field: str, *, is_required: bool = False) -> list[Decimal | None]:
    """Return the amounts of a field, None where one cannot be read, else zero where absent; negative ones are noted."""
    amounts = listed.money(field)
    if field != "adjustment":  # one below zero is what is kept of the lines' value
        listed.note(places(amounts < 0), "negative", field)
    known = decimals(or_zero(amounts))
    missing = amounts.isna().tolist()
    return [
        None if is_missing and (is_required or given is not None) else amount
        for amount, is_missing, given in zip(known, missing, listed.values(field), strict=True)
    ]
