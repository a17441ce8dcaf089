"""What differs between two versions of orders: the business days, by how much, and why. Pure.

The one definition of what an order adds to a business day, of when that is another amount, and of the cause. The write
of the ledger holds its new rows against the old ones by it (`history.order_changes`), polls what the shop shows against
what is stored (`late_changes`), and restatements name what was found here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.shop.charges import ENDS, REFUNDED, ChargeKind
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.history import LEDGER_MEASURES, OF_KINDS
from analytics_pipeline.tables.shape import MONEY
from analytics_pipeline.transforms.values import ZERO

LATE_ORDER, CANCELLATION, REFUND, EDIT = "late_order", "cancellation", "refund", "edit"
DELETED, LEFT_OUT, QUARANTINE_REPLAY = "deleted", "left_out", "quarantine_replay"
BACKFILL, CODE_VERSION_CHANGE, CUSTOMER_RECORD = "backfill", "code_version_change", "customer_record"

ORDER_DAY = ("order_id", "order_date", "event_date", "currency")
"""What a difference is of: an order, where it stands, and one of the business days to which it adds something."""
COUNTED = (
    *("event_type", "is_cancellation", "customer_key", "product_id", "quantity"),
    *("gross_sales", "discounts", "returns", "shipping", "charges", "taxes", "outside_sales"),
)
"""What makes an event count differently; everything else of it follows or counts nowhere."""
EVENTS = pa.schema([CLEAN_SALES.table.arrow_schema.field(name) for name in (*ORDER_DAY, *COUNTED)])
"""The columns of the ledger that are compared; its other amounts follow from these."""
_ITSELF = [f"its_{name}" for name in COUNTED]
_AMOUNTS = ("gross_sales", "discounts", "returns", "shipping", "charges", "taxes", *OF_KINDS)
_TAKES_BACK = pa.array(["line_returned", "shipping_refunded", "adjustment", *REFUNDED])
_WIDE = pa.decimal128(38, 4)


@dataclass(frozen=True)
class OrderState:
    """An order as one side knows it.

    Attributes:
        order_date: Its business day.
        event_days: Business days of its events: sale, returns, cancellation. Empty where it counts nowhere.
        refunds: Number of events that took something back, a cancellation apart.
        cancellations: Number of events that a cancellation reversed it by.
    """

    order_date: date
    event_days: frozenset[date] = field(default=frozenset())
    refunds: int = 0
    cancellations: int = 0


def what_happened(cancellations: int, refunds: int) -> str:
    """Return what was done to an order that counts before and after, of the whole or of one of its days.

    Args:
        cancellations: How many more of its events are of a cancellation than before.
        refunds: How many more of them take something back otherwise.
    """
    if cancellations > 0:
        return CANCELLATION
    return REFUND if refunds > 0 else EDIT


def states(events: pa.Table) -> dict[str, OrderState]:
    """Return how orders stand by their events: rows of the ledger with at least the columns named here."""
    grouped = events.select(["order_id", "order_date", "event_date"])
    for name, counts in _happenings(events).items():
        grouped = grouped.append_column(name, counts)
    found = grouped.group_by("order_id").aggregate(
        [("order_date", "min"), ("event_date", "distinct"), ("refunds", "sum"), ("cancellations", "sum")]
    )
    return {
        row["order_id"]: OrderState(
            row["order_date_min"],
            frozenset(row["event_date_distinct"]),
            row["refunds_sum"],
            row["cancellations_sum"],
        )
        for row in found.to_pylist()
    }


def differences(old: pa.Table, new: pa.Table) -> pa.Table:
    """Return on which days orders count differently, and by how much.

    Args:
        old: Events of orders, as `EVENTS`.
        new: Events of the same orders in another version.

    Returns:
        One row per order and day whose events differ in what is `COUNTED`: the columns of `ORDER_DAY`, the measures of
        the ledger, new less old, and `cause`, as far as the events tell it: cancellation, refund or edit.
    """
    names = [*ORDER_DAY, *LEDGER_MEASURES, "cause"]
    both = pa.concat_tables([_added(old, is_old=True), _added(new, is_old=False)])
    # Equal events of both sides come to nothing against each other: what is left over differs. Then each day's sums.
    events = _summed(both, [*ORDER_DAY, *_ITSELF])
    left_over = events.column_names.index("left_over")
    events = events.set_column(left_over, "differing", _flag(pc.not_equal(events["left_over"], 0)))
    days = _summed(events.drop_columns(_ITSELF), list(ORDER_DAY))
    days = days.filter(pc.greater(days["differing"], 0))
    sold_then, sold_now = (_flag(pc.greater(days[name], 0)) for name in ("sold_then", "sold_now"))
    causes = map(what_happened, days["cancellations"].to_pylist(), days["refunds"].to_pylist())
    days = days.append_column("orders", pc.subtract(sold_now, sold_then))
    days = days.append_column("cause", pa.array(causes, pa.string()))
    amounts = {name: days[name].cast(MONEY) for name in _AMOUNTS}
    amounts["net_sales"] = pc.subtract(pc.subtract(amounts["gross_sales"], amounts["discounts"]), amounts["returns"])
    amounts["total_sales"] = pc.add(
        pc.add(pc.add(amounts["net_sales"], amounts["shipping"]), amounts["charges"]), amounts["taxes"]
    )
    counts = {name: days[name] for name in days.column_names if name not in _AMOUNTS}
    return pa.table(counts | {name: sums.cast(MONEY) for name, sums in amounts.items()}).select(names)


@dataclass(frozen=True)
class Circumstances:
    """What is known of orders beside their events.

    Attributes:
        code_versions: The days whose ledger was there before, each with the hash of what it was made with.
        code_version: The hash of what the new rows are made with.
        stored: Orders that had events before.
        remaining: Orders that have events now.
        quarantined: Orders without events before, since they were quarantined whole.
        excluded: Orders without events before, since they were left out on purpose.
        replaced: Orders whose old record has been kept since it came otherwise or no more.
        sent: Orders without events now that the shop has sent, with the days under which it did.
        moved: Orders with days that they have left for others, as the shop said.
    """

    code_versions: Mapping[date, str]
    code_version: str
    stored: Collection[str] = frozenset()
    remaining: Collection[str] = frozenset()
    quarantined: Collection[str] = frozenset()
    excluded: Collection[str] = frozenset()
    replaced: Collection[str] = frozenset()
    sent: Mapping[str, Collection[date]] = field(default_factory=dict)
    moved: Collection[tuple[str, date]] = frozenset()

    def cause(self, order_id: str, order_date: date, happened: str, *, by_rules: bool) -> str:
        """Return why an order counts differently.

        Args:
            order_id: The order.
            order_date: The business day under which it stands.
            happened: What its events tell.
            by_rules: Whether the record is the same, and what it is made with is not.
        """
        if order_date not in self.code_versions:
            return BACKFILL
        if by_rules:
            return CODE_VERSION_CHANGE
        if order_id not in self.stored:
            return self._cause_of_new(order_id, order_date)
        if order_id not in self.remaining:
            return self._cause_of_gone(order_id, order_date)
        return happened

    def _cause_of_new(self, order_id: str, order_date: date) -> str:
        is_quarantined = order_id in self.quarantined
        if not is_quarantined and order_id not in self.excluded:
            return LATE_ORDER
        if self.code_versions[order_date] != self.code_version and order_id not in self.replaced:
            return CODE_VERSION_CHANGE
        return QUARANTINE_REPLAY if is_quarantined else EDIT

    def _cause_of_gone(self, order_id: str, order_date: date) -> str:
        if order_id not in self.sent and (order_id, order_date) not in self.moved:
            return DELETED
        return LEFT_OUT if order_date in self.sent.get(order_id, ()) else EDIT


def _happenings(events: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return whether each event is of a cancellation, and whether it takes something back otherwise, as 0 or 1."""
    takes_back = pc.is_in(events["event_type"], value_set=_TAKES_BACK)
    return {
        "cancellations": _flag(events["is_cancellation"]),
        "refunds": _flag(pc.and_(takes_back, pc.invert(events["is_cancellation"]))),
    }


def _added(events: pa.Table, *, is_old: bool) -> pa.Table:
    """Return what each event adds to its day, an old one the same less, beside what it is."""
    is_sold = pc.greater(events["gross_sales"], 0)
    is_return = pc.equal(events["event_type"], "line_returned")
    none = pa.scalar(0, pa.int64())
    added = {
        "left_over": pa.chunked_array([pa.array([1] * len(events), pa.int64())]),
        "units_sold": pc.if_else(is_sold, events["quantity"], none),
        "units_returned": pc.if_else(is_return, pc.negate(events["quantity"]), none),
        **{name: events[name].cast(_WIDE) for name in _AMOUNTS if name not in OF_KINDS},
        **{name: _of_kinds(events, *measure) for name, measure in OF_KINDS.items()},
        **_happenings(events),
    }
    if is_old:
        added = {name: pc.negate(amounts) for name, amounts in added.items()}
    sold = _flag(is_sold)
    nothing = pc.multiply(sold, 0)
    added |= {"sold_then": sold, "sold_now": nothing} if is_old else {"sold_then": nothing, "sold_now": sold}
    what = {name: events[name] for name in ORDER_DAY} | {f"its_{name}": events[name] for name in COUNTED}
    return pa.table(what | added)


def _of_kinds(events: pa.Table, column: str, sign: int, kinds: Sequence[ChargeKind]) -> pa.ChunkedArray:
    """Return what each event adds to a measure of some kinds of charges."""
    is_one = pc.is_in(events["event_type"], value_set=pa.array([f"{kind}_{end}" for kind in kinds for end in ENDS]))
    amounts = pc.if_else(is_one, events[column], pa.scalar(ZERO, MONEY))
    return (amounts if sign > 0 else pc.negate(amounts)).cast(_WIDE)


def _summed(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Add up all other columns by some."""
    sums = [name for name in rows.column_names if name not in keys]
    found = rows.group_by(list(keys)).aggregate([(name, "sum") for name in sums])
    return found.rename_columns([name.removesuffix("_sum") for name in found.column_names])


def _flag(is_so: pa.ChunkedArray) -> pa.ChunkedArray:
    return is_so.cast(pa.int64())
