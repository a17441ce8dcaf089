"""Which refunds and cancellations count, and which go into quarantine with their money while their order stays clean.

An order gives back at most what it sold: all in all, on each line, and of its shipping, taxes included. Refunds are
taken in the order of their moments; one that goes beyond is left out whole, and later ones that fit still count. No
event lies before its order's day, or after the day that follows its extraction. (A credit note has no bound of money.)
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import business_day
from analytics_pipeline.shop.charges import PAYMENTS
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CANCELLATION, REFUND
from analytics_pipeline.transforms.charges import Charge, PlacedCharges
from analytics_pipeline.transforms.lines import lines_of
from analytics_pipeline.transforms.records import EARLIEST, ORDERS, SALES, Fault
from analytics_pipeline.transforms.refunds import ListedRefund, Refund
from analytics_pipeline.transforms.values import ZERO, decimals, places

BEFORE_ITS_ORDER, IN_THE_FUTURE = "before its order", "in the future"
LISTED_TWICE, NAMELESS_TWICE = "occurs twice in the order", "without an id, as another refund of the order"
TOO_MANY_UNITS = "more units taken back than were sold"
MORE_THAN_SOLD = "more money given back than was sold"
CLOCKS_DIFFER = timedelta(days=1)
LONGEST_ID = 100
"""Characters of a refund's id that stand in the key of ops/quarantine; Postgres' indexes hold some 2,700 bytes."""


@dataclass(frozen=True)
class HeldEvent:
    """A refund or a cancellation in quarantine.

    Attributes:
        record: Position of its record.
        kind: `refund` or `cancellation`.
        event_id: Which refund of the order, unique among its refunds.
        fault: The rule that it broke.
        money: What it gives back; None where that cannot be read.
        place: Position among all refunds; None for a cancellation.
    """

    record: int
    kind: str
    event_id: str
    fault: Fault
    money: Decimal | None
    place: int | None = None


def judge_money_back(
    orders: pd.DataFrame,
    lines: pd.DataFrame,
    charges: PlacedCharges,
    listed: Sequence[ListedRefund],
    *,
    credit_notes: set[int],
    is_clean: np.ndarray,
    shop: Shop,
) -> tuple[dict[int, list[Refund]], list[HeldEvent]]:
    """Return the refunds that count, by record and oldest first, and the events that do not.

    Args:
        orders: The order frame, with `extracted_at`.
        lines: The line frame.
        charges: The charges of all records.
        listed: All refunds as listed.
        credit_notes: Records that are goods taken back.
        is_clean: Whether each record is neither faulty nor excluded; of the others nothing is judged.
        shop: For business days, and for what it gives per order and not per line.
    """
    by_record: defaultdict[int, list[int]] = defaultdict(list)
    for place, refund in enumerate(listed):
        if is_clean[refund.record]:
            by_record[refund.record].append(place)
    cancelled = [record for record in places(orders["cancelled_at"].notna()) if is_clean[record]]
    if not by_record and not cancelled:
        return {}, []
    sold = _Sold(orders, lines, charges, shop)
    accepted: dict[int, list[Refund]] = {}
    held: list[HeldEvent] = []
    for record in sorted({*by_record, *cancelled}):
        account, owned = sold.account(record, is_bounded=record not in credit_notes), by_record.get(record, [])
        event_ids = dict(zip(owned, _event_ids([listed[place].refund_id for place in owned]), strict=True))
        for place in sorted(owned, key=lambda place: _moment(listed[place])):
            fault = account.take(listed[place])
            if fault is not None:
                held.append(HeldEvent(record, REFUND, event_ids[place], fault, listed[place].money, place))
        if account.refunds:
            accepted[record] = account.refunds
        fault = account.cancellation_fault()
        if fault is not None:
            held.append(HeldEvent(record, CANCELLATION, "", fault, account.total - account.given_back))
    return accepted, held


def _moment(listed: ListedRefund) -> datetime:
    """Return when to take a refund; at what cannot be read nothing is taken."""
    return EARLIEST if isinstance(listed.refund, Fault) else listed.refund.refunded_at


def _event_ids(refund_ids: Sequence[str | None]) -> list[str]:
    """Return a key for each refund of an order: its id, numbered where there are several of it or where it has none."""
    taken: set[str] = set()
    found = []
    for refund_id in refund_ids:
        name = _short(refund_id) if refund_id else ""
        key, number = name or "#1", 1
        while key in taken:
            number += 1
            key = f"{name} #{number}".strip()
        taken.add(key)
        found.append(key)
    return found


def _short(text: str) -> str:
    if len(text) <= LONGEST_ID:
        return text
    return f"{text[:LONGEST_ID]}... {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


class _Sold:
    """What orders sold, as lists: the few of which something is given back are looked up one by one."""

    def __init__(self, orders: pd.DataFrame, lines: pd.DataFrame, charges: PlacedCharges, shop: Shop) -> None:
        self._lines, self._charges, self._zone = lines, charges, shop.zone
        self._days: list[date] = pa.array(orders["order_date"]).to_pylist()
        self._extracted: list[datetime] = pa.array(orders["extracted_at"]).to_pylist()
        self._cancelled_at: list[datetime | None] = pa.array(orders["cancelled_at"]).to_pylist()
        names = ("order_total", "order_discount", "shipping", "shipping_tax", "taxes")
        self._amounts = list(zip(*(decimals(orders[name]) for name in names), strict=True))
        self._units: list[int] = pa.array(lines["quantity"]).to_pylist()
        self._nets, self._taxes = decimals(lines["net_sales"]), decimals(lines["taxes"])
        self._spreads_taxes = shop.orders.lines.fields.tax is None
        self._untaxed = {charge.kind for charge in shop.orders.charges if charge.tax is None}
        self._spreads_shipping_tax = shop.orders.fields.shipping_tax is None

    def account(self, record: int, *, is_bounded: bool) -> "_Account":
        """Open the account of a record; `is_bounded` says whether it can give back only what it sold."""
        total, discount, shipping, shipping_tax, taxes = self._amounts[record]
        # A line's share of what the shop gives per order is our estimate: the shop may have shared it out otherwise.
        shared = discount + (taxes - shipping_tax if self._spreads_taxes else ZERO)
        found = lines_of(self._lines, record)
        rows = range(found.start, found.stop)
        charges = self._charges.of(record)
        on_account = -sum((charge.money for charge in charges if charge.is_payment), ZERO)
        of_charges: defaultdict[ChargePlace, Decimal] = defaultdict(lambda: ZERO)
        for charge in charges:
            of_charges[charge.kind, charge.counts_in] += abs(charge.money) if charge.is_payment else charge.money
        for kind, counts_in in of_charges:
            of_charges[kind, counts_in] += taxes if kind in self._untaxed and kind not in PAYMENTS else ZERO
        return _Account(
            zone=self._zone,
            first_day=self._days[record],
            last_day=business_day(self._extracted[record], self._zone) + CLOCKS_DIFFER,
            cancelled_at=self._cancelled_at[record],
            total=total,
            worth=total + on_account,
            is_bounded=is_bounded,
            units={row: self._units[row] for row in rows},
            of_lines={row: self._nets[row] + self._taxes[row] + shared for row in rows},
            of_shipping=shipping + (taxes if self._spreads_shipping_tax else shipping_tax),
            of_charges=of_charges,
        )


ChargePlace = tuple[str, str]
"""A kind of charge, and what it counts in."""


@dataclass
class _Account:
    """What one order sold, and the refunds that it has given so far.

    Attributes:
        zone: The shop's.
        first_day: First business day on which something can be given back; likewise the last.
        cancelled_at: When it was cancelled.
        total: What it added up to when placed.
        worth: The same before it was paid with gift cards and store credit.
        is_bounded: Whether it can give back only what it sold.
        units: Units of each of its lines that are not taken back yet.
        of_lines: Money of each line that is not given back yet, tax included.
        of_shipping: The same of shipping.
        of_charges: The same of charges.
        given_back: What the refunds take off the total.
        worth_back: What they add up to.
        refunds: The refunds that count, oldest first.
    """

    zone: ZoneInfo
    first_day: date
    last_day: date
    cancelled_at: datetime | None
    total: Decimal
    worth: Decimal
    is_bounded: bool
    units: dict[int, int]
    of_lines: dict[int, Decimal]
    of_shipping: Decimal
    of_charges: defaultdict[ChargePlace, Decimal]
    given_back: Decimal = ZERO
    worth_back: Decimal = ZERO
    refunds: list[Refund] = field(default_factory=list)
    ids: set[str | None] = field(default_factory=set)

    def take(self, listed: ListedRefund) -> Fault | None:
        """Count a refund, or return why it does not count."""
        refund = listed.refund
        if isinstance(refund, Fault):
            return refund
        if listed.refund_id in self.ids:
            return Fault(LISTED_TWICE if listed.refund_id else NAMELESS_TWICE, SALES, "refund_id", listed.refund_id)
        fault = self._date_fault(refund.refunded_at, SALES, "refunded_at") or self._excess(refund)
        if fault is None:
            self.ids.add(listed.refund_id)
            self.refunds.append(refund)
            self.given_back += refund.given_back
            self.worth_back += refund.worth
            self.of_shipping -= refund.shipping + refund.shipping_tax
            for line in refund.lines:
                self.units[line.row] -= line.units
                self.of_lines[line.row] -= line.amount + line.tax
            for place, amount in _by_place(refund.charges).items():
                self.of_charges[place] -= amount
        return fault

    def cancellation_fault(self) -> Fault | None:
        """Return why the cancellation, if there is one, does not count."""
        return self._date_fault(self.cancelled_at, ORDERS, "cancelled_at") if self.cancelled_at else None

    def _date_fault(self, moment: datetime, table: str, column: str) -> Fault | None:
        day = business_day(moment, self.zone)
        if day < self.first_day:
            return Fault(BEFORE_ITS_ORDER, table, column, moment.isoformat())
        return Fault(IN_THE_FUTURE, table, column, moment.isoformat()) if day > self.last_day else None

    def _excess(self, refund: Refund) -> Fault | None:
        """Return what the refund gives back beyond what is left."""
        units: Counter[int] = Counter()
        goods: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)
        for line in refund.lines:
            units[line.row] += line.units
            goods[line.row] += line.amount + line.tax
        for row, count in units.items():
            if count > self.units[row]:
                return Fault(TOO_MANY_UNITS, SALES, "quantity", f"{count}, of which {self.units[row]} were left")
        if refund.on_account > refund.worth:
            shown = f"{refund.on_account}, of which {refund.worth} is given back"
            return Fault(MORE_THAN_SOLD, SALES, "charges", shown)
        bounds = [
            *((amount, self.of_lines[row], "amount") for row, amount in goods.items()),
            (refund.shipping + refund.shipping_tax, self.of_shipping, "shipping"),
            *(
                (amount, self.of_charges[kind, counts_in], f"charges.{kind}")
                for (kind, counts_in), amount in _by_place(refund.charges).items()
            ),
            (refund.worth, self.worth - self.worth_back, "refunds"),
        ]
        for amount, left, column in bounds if self.is_bounded else ():
            if amount > max(left, ZERO):
                return Fault(MORE_THAN_SOLD, SALES, column, f"{amount}, of which {left} was left")
        return None


def _by_place(charges: Sequence[Charge]) -> dict[ChargePlace, Decimal]:
    """Return what is given back of charges, tax included, as positive amounts."""
    found: defaultdict[ChargePlace, Decimal] = defaultdict(lambda: ZERO)
    for charge in charges:
        found[charge.kind, charge.counts_in] += abs(charge.money)
    return found
