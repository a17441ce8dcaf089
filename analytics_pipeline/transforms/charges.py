"""The other charges of orders and refunds, read and typed: tips, fees, duties, gift cards, store credit.

Amounts have the sign with which they stand in what the order adds up to: what it is paid with is negative. In which
columns a charge stands is decided here and nowhere else: `amounts_of`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.shop.charges import NET_SALES, PAYMENTS, TOTAL_SALES, ChargeKind, CountsIn
from analytics_pipeline.tables.shape import MONEY
from analytics_pipeline.transforms.amounts import Amounts
from analytics_pipeline.transforms.charge_entries import ChargeEntries
from analytics_pipeline.transforms.records import ORDERS, SALES, Faults, OrderRecords
from analytics_pipeline.transforms.typed import Note, TypedColumns
from analytics_pipeline.transforms.values import (
    ZERO,
    arrow_series,
    decimals,
    means_nothing,
    money,
    or_zero,
    places,
    repeated,
)

AMOUNTS = ("gross_sales", "discounts", "returns", "charges", "outside_sales")
"""Columns of orders and of the ledger in which a charge may stand."""


@dataclass(frozen=True)
class Charge:
    """A charge of an order, or what a refund gives back of one: without tax, as it stands in the order's total."""

    kind: ChargeKind
    counts_in: CountsIn
    amount: Decimal
    tax: Decimal = ZERO

    @property
    def is_payment(self) -> bool:
        """Whether it is what the order was paid with."""
        return self.kind in PAYMENTS

    @property
    def money(self) -> Decimal:
        """All of it, as it stands in the order's total."""
        return self.amount + self.tax


@dataclass(frozen=True)
class PlacedCharges:
    """The charges of all records, by record.

    Attributes:
        records: Position of each charge's record, ascending.
        charges: The charges.
        credit_notes: Records that are goods taken back.
    """

    records: np.ndarray
    charges: Sequence[Charge]
    credit_notes: set[int]

    def __len__(self) -> int:
        return len(self.charges)

    def of(self, record: int) -> Sequence[Charge]:
        """Return the charges of one record."""
        first, last = (int(np.searchsorted(self.records, record, side)) for side in ("left", "right"))
        return self.charges[first:last]

    def of_clean(self, is_clean: np.ndarray) -> "PlacedCharges":
        """Return the charges of some records."""
        kept = is_clean[self.records]
        charges = [charge for charge, is_kept in zip(self.charges, kept, strict=True) if is_kept]
        return PlacedCharges(self.records[kept], charges, self.credit_notes)

    @cached_property
    def amounts(self) -> dict[str, list[Decimal]]:
        """What each adds to the columns of `AMOUNTS` and to the taxes."""
        rows = [
            amounts_of(charge, is_credit_note=record in self.credit_notes)
            for record, charge in zip(self.records.tolist(), self.charges, strict=True)
        ]
        return {name: [row.get(name, ZERO) for row in rows] for name in (*AMOUNTS, "taxes")}

    def with_taxes(self, taxes: pd.Series) -> pd.Series:
        """Return taxes by record with those of the charges added; the same where there are none."""
        return self._added("taxes", taxes).astype(taxes.dtype) if len(self) else taxes

    def added_to(self, sums: pd.DataFrame) -> pd.DataFrame:
        """Add the columns of `AMOUNTS` to sums by record, which is the index; the same where there are none."""
        nothing = repeated(ZERO, len(sums), MONEY)
        for name in AMOUNTS if len(self) else ():
            sums[name] = self._added(name, sums.get(name, nothing))
        return sums

    def _added(self, name: str, to: pd.Series) -> pd.Series:
        found = pc.fill_null(pa.array(to), ZERO).to_pylist()
        for record, amount in zip(self.records.tolist(), self.amounts[name], strict=True):
            found[record] += amount
        return arrow_series(found, _WIDE)


_WIDE = pa.decimal128(38, 4)


def amounts_of(charge: Charge, *, is_credit_note: bool = False) -> dict[str, Decimal]:
    """Return what a charge adds to an order, by column; of a credit note, what counts in net sales are returns."""
    amounts = {"taxes": charge.tax}
    if charge.counts_in == TOTAL_SALES:
        amounts["charges"] = charge.amount
    elif charge.counts_in != NET_SALES:
        amounts["outside_sales"] = charge.amount
    elif is_credit_note:
        amounts["returns"] = -charge.amount
    else:
        # What lowers the price of the order is a discount.
        amounts |= {"gross_sales": max(charge.amount, ZERO), "discounts": max(-charge.amount, ZERO)}
    return amounts


def read_charges(
    orders: pd.DataFrame, entries: Sequence[ChargeEntries], credit_notes: set[int], amounts: Amounts, faults: Faults
) -> PlacedCharges:
    """Return the charges of all records.

    Args:
        orders: The order frame of the records, one row each.
        entries: The records' charges.
        credit_notes: Records that are goods taken back.
        amounts: Reads the records' amounts.
        faults: Takes a note of each record with a charge that cannot be read, or that is paid with less than nothing.
    """
    found: list[tuple[int, Charge]] = []
    for listed in entries:

        def note(place: int, reason: str, field: str, value: object, of: ChargeEntries = listed) -> None:
            faults.note(of.owners[place], reason, ORDERS, field, value)

        columns = _Columns(listed, listed.owners, orders, amounts, note)
        columns.note_missing()
        if listed.kind in PAYMENTS:
            below = columns.below_zero("amount")
            columns.note_negative([place for place in below if listed.owners[place] not in credit_notes])
        found += ((listed.owners[place], charge) for place, charge in columns.charges())
    found.sort(key=lambda one: one[0])
    owners = np.array([record for record, _ in found], dtype=np.int64)
    return PlacedCharges(owners, [charge for _, charge in found], credit_notes)


def given_back(
    orders: pd.DataFrame, records: OrderRecords, entries: Sequence[ChargeEntries], amounts: Amounts, faults: Faults
) -> tuple[dict[int, list[Charge]], set[int]]:
    """Return the charges that each refund gives back, by its position, and the refunds of which one cannot be read.

    Args:
        orders: The order frame.
        records: The records' columns.
        entries: What refunds give back of charges.
        amounts: Reads the records' amounts.
        faults: Takes a note, by the refund's position, of those with an amount that cannot be read or is below zero.
    """
    charges: defaultdict[int, list[Charge]] = defaultdict(list)
    unread: set[int] = set()
    for listed in entries:

        def note(place: int, reason: str, field: str, value: object, of: ChargeEntries = listed) -> None:
            faults.note(of.owners[place], reason, SALES, field, value)

        columns = _Columns(listed, [records.refunds.owners[refund] for refund in listed.owners], orders, amounts, note)
        unread.update(listed.owners[place] for place in columns.note_missing())
        columns.note_negative(columns.below_zero("amount"))
        columns.note_negative(columns.below_zero("tax"), "tax")
        unread.update(listed.owners[place] for place in columns.unread())
        for place, charge in columns.charges():
            charges[listed.owners[place]].append(charge)
    return charges, unread


class _Columns:
    """The typed amounts of one charge of the description, an entry each."""

    def __init__(
        self, listed: ChargeEntries, owners: Sequence[int], orders: pd.DataFrame, amounts: Amounts, note: Note
    ) -> None:
        self._listed, self._is_payment = listed, listed.kind in PAYMENTS
        names = {"amount": f"charges.{listed.kind}", "tax": f"charges.{listed.kind}.tax"}
        self._columns = TypedColumns(
            listed.columns,
            amounts.of(owners),
            lambda place, reason, field, value: note(place, reason, names[field], value),
        )
        self._read = {field: self._columns.money(field) for field in names}
        given, taxes = or_zero(self._read["amount"]), or_zero(self._read["tax"])
        includes_tax = orders["includes_tax_charges"].to_numpy(dtype=bool)[np.asarray(owners, dtype=np.int64)]
        self._amounts = given.where(~includes_tax, money(given - taxes)) if includes_tax.any() else given
        self._taxes = taxes

    def charges(self) -> Iterator[tuple[int, Charge]]:
        """Yield the charges that are not zero, each with its position."""
        found = places((self._amounts != 0) | (self._taxes != 0))
        amounts, taxes = (decimals(column.iloc[found]) for column in (self._amounts, self._taxes))
        for place, amount, tax in zip(found, amounts, taxes, strict=True):
            signed = -amount if self._is_payment else amount
            yield place, Charge(self._listed.kind, self._listed.counts_in, signed, tax)

    def below_zero(self, field: str) -> list[int]:
        """Return the positions of amounts below zero."""
        return places(self._read[field] < 0)

    def note_negative(self, found: Sequence[int], field: str = "amount") -> None:
        """Note amounts that must not be below zero."""
        self._columns.note(found, "negative", field)

    def note_missing(self) -> list[int]:
        """Note entries of a list in which no amount is found, and return their positions: a charge would be lost."""
        values = self._columns.values("amount") if self._listed.has_amounts else []
        found = [place for place, value in enumerate(values) if value is None]
        self._columns.note(found, "missing", "amount")
        return found

    def unread(self) -> Iterator[int]:
        """Yield the positions of which an amount is given and cannot be read."""
        for field, amounts in self._read.items():
            values = self._columns.values(field)
            yield from (place for place in places(amounts.isna()) if not means_nothing(values[place]))
