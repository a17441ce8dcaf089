"""What orders that are in quarantine or left out would add to each day: a shop's own report may count them. Pure.

Most of them clean without the rule that held them back, and come to what the ledger would have. Of the others the
order's own amounts are taken, as far as they can be read; what cannot is None, and never 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import business_day
from analytics_pipeline.shop.charges import NET_SALES, TOTAL_SALES
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contract import CURRENCY_PATTERN
from analytics_pipeline.tables.history import OF_KINDS
from analytics_pipeline.transforms.amounts import Amounts, OwnedAmounts
from analytics_pipeline.transforms.currencies import EXPONENTS
from analytics_pipeline.transforms.orders import NO_CANCELLATIONS, clean_orders, moments_of_cancellation, tax_flags
from analytics_pipeline.transforms.records import Columns, Faults, OrderReader, OrderRecords, newest_versions
from analytics_pipeline.transforms.related import NO_CHILDREN, Children, put_into_orders
from analytics_pipeline.transforms.typed import TypedColumns
from analytics_pipeline.transforms.values import means_nothing

Amount = Decimal | None
_OF_LEDGER = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "total_sales", "charges")
_Key = tuple[str, date, date, str, bool]
ZERO = Decimal(0)


@dataclass(frozen=True)
class HeldBack:
    """What one order would add to one day: rows of `ops.held_back_sales`, but for rule and time.

    Attributes:
        amounts: By figure; one that is missing is 0, None cannot be read.
    """

    order_id: str
    order_date: date
    event_date: date
    currency: str | None
    is_given_back: bool
    is_cancelled: bool
    amounts: Mapping[str, Amount] = field(default_factory=dict)

    def rows(self, **others: object) -> Iterable[dict[str, Any]]:
        """Yield a row for each amount that is not 0."""
        keys = ("order_id", "order_date", "event_date", "currency", "is_given_back", "is_cancelled")
        known = {name: getattr(self, name) for name in keys}
        for metric, value in self.amounts.items():
            if value is None or value:
                yield {**known, "metric": metric, "value": value, **others}


def held_back_sales(
    raw: pd.DataFrame,
    shop: Shop,
    children: Children = NO_CHILDREN,
    cancellations: Mapping[str, datetime] = NO_CANCELLATIONS,
) -> list[HeldBack]:
    """Return what some held back orders would add to each day.

    Args:
        raw: Rows of `raw/orders`, with Arrow dtypes.
        shop: The description.
        children: The orders' records of related lists.
        cancellations: Since when orders were seen cancelled before, where the shop does not say it.
    """
    if raw.empty:
        return []
    cleaned = clean_orders(raw, _lenient(shop), superseded=(), children=children, cancellations=cancellations)
    found = list(_of_ledger(cleaned.sales, cleaned.orders))
    clean = set(cleaned.orders["order_id"])
    return [*found, *_as_stated(raw[~raw["order_id"].isin(clean)], shop, children, cancellations)]


def _lenient(shop: Shop) -> Shop:
    """Return the description without its rules of exclusion and without sums that lines are held against."""
    orders = shop.orders
    sums: dict[str, None] = {"discounts": None, "total": None}
    if orders.lines.fields.tax is not None:
        sums["taxes"] = None
    fields = orders.fields.model_copy(update=sums)
    return shop.model_copy(update={"orders": orders.model_copy(update={"exclude": (), "fields": fields})})


def _of_ledger(sales: pd.DataFrame, orders: pd.DataFrame) -> Iterable[HeldBack]:
    cancelled = dict(zip(orders["order_id"], orders["cancelled_at"].notna(), strict=True))
    totals = dict(zip(orders["order_id"], orders["gross_sales"], strict=True))
    groups: dict[_Key, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for event in pa.Table.from_pandas(sales, preserve_index=False).to_pylist():
        is_sold = event["event_type"] == "line_sold"
        is_given_back = not is_sold and not event["event_type"].endswith("charged")
        key = (event["order_id"], event["order_date"], event["event_date"], event["currency"], is_given_back)
        sums = groups[key]
        for name in _OF_LEDGER:
            sums[name] += event[name]
        for name, (column, sign, kinds) in OF_KINDS.items():
            if event["event_type"].rpartition("_")[0] in kinds:
                sums[name] += sign * event[column]
        if is_sold:
            sums["units_sold" if event["gross_sales"] > 0 else "free_units"] += event["quantity"]
        elif event["event_type"] == "line_returned":
            sums["units_returned"] -= event["quantity"]
    for key, sums in groups.items():
        if not key[-1]:
            sums["orders" if totals[key[0]] > 0 else "zero_orders"] = Decimal(1)
        yield HeldBack(*key, is_cancelled=bool(cancelled[key[0]]), amounts=dict(sums))


@dataclass(frozen=True)
class _Stated:
    """The columns of some records as far as they can be read, with the places of what cannot."""

    columns: Columns
    amounts: OwnedAmounts
    bad: set[tuple[int, str]] = field(default_factory=set)

    def money(self, name: str) -> list[Amount]:
        """Return a column of amounts; one that is absent is 0, one that cannot be read None."""
        values = self.typed().money(name).tolist()
        return [
            None if (place, name) in self.bad else ZERO if pd.isna(value) else value
            for place, value in enumerate(values)
        ]

    def counts(self, name: str) -> list[Amount]:
        """Return a column of whole numbers; None for what is absent or cannot be read."""
        return [None if pd.isna(value) else Decimal(int(value)) for value in self.typed().counts(name)]

    def stamps(self, name: str) -> list[datetime | None]:
        """Return a column of moments."""
        return [None if pd.isna(value) else value.to_pydatetime() for value in self.typed().stamps(name)]

    def has(self, name: str) -> bool:
        """Whether a column is mapped."""
        return name in self.columns

    def flags(self, name: str) -> list[bool]:
        """Return a column of flags; what cannot be read is false."""
        return [bool(value) if not pd.isna(value) else False for value in self.typed().flags(name)]

    def typed(self) -> TypedColumns:
        """Return the columns to be read, by which what cannot be is noted."""
        return TypedColumns(self.columns, self.amounts, lambda place, _, name, __: self.bad.add((place, name)))


def _as_stated(
    raw: pd.DataFrame, shop: Shop, children: Children, cancellations: Mapping[str, datetime]
) -> Iterable[HeldBack]:
    """Yield what orders whose lines cannot be read come to by their own sums, refunds and cancellation included."""
    if raw.empty:
        return
    latest, documents = newest_versions(raw.reset_index(drop=True), shop)
    faults = Faults()  # nobody is notified: the orders are in quarantine already
    put_into_orders(documents, zip(latest["order_id"], latest["order_date"], strict=True), children, shop, faults)
    records = OrderReader(shop).read(documents, faults)
    currencies = _currencies(records.orders.get("currency") or [None] * len(latest), shop)
    amounts = Amounts(shop, [code or "" for code in currencies])
    orders = _Stated(records.orders, amounts.of())
    flags = tax_flags(orders.typed(), len(latest), shop)
    contain = {name.removeprefix("includes_tax_"): column.tolist() for name, column in flags.items()}
    placed = _placed(orders, contain, _Stated(records.lines.columns, amounts.of(records.lines.owners)))
    refunds = _refunds(records, amounts, contain)
    cancelled_at = orders.stamps("cancelled_at")
    if shop.orders.cancelled_when is not None:
        listed = latest.assign(**{name: orders.typed().stamps(name) for name in ("cancelled_at", "updated_at")})
        moments = moments_of_cancellation(listed, documents, shop, cancellations, faults)
        cancelled_at = pa.array(moments).to_pylist()
    ids, days = (pa.array(latest[name]).to_pylist() for name in ("order_id", "order_date"))
    for place, (order_id, day, code) in enumerate(zip(ids, days, currencies, strict=True)):
        sold, given_back = placed[place], refunds.get(place, {})
        if shop.money.needs_currency and code not in EXPONENTS:  # amounts without a unit are no zeros
            sold, given_back = dict.fromkeys(sold), {day: dict.fromkeys(one) for day, one in given_back.items()}
        sale = HeldBack(
            order_id,
            day,
            day,
            code,
            is_given_back=False,
            is_cancelled=cancelled_at[place] is not None,
            amounts=sold,
        )
        yield sale
        yield from _given_back(sale, given_back, cancelled_at[place], shop)


def _currencies(values: Sequence[object], shop: Shop) -> list[str | None]:
    """Return each order's currency, the shop's where the record gives none, None where it cannot be read."""
    codes = [shop.currency if means_nothing(value) else str(value).upper() for value in values]
    return [code if CURRENCY_PATTERN.fullmatch(code) else None for code in codes]


def _placed(orders: _Stated, contain: Mapping[str, Sequence[bool]], lines: _Stated) -> list[dict[str, Amount]]:
    """Return what each order came to when it was placed, by its own sums."""
    count, shop = len(orders.amounts.owners), orders.amounts.amounts.shop
    of_lines = {name: _sums(lines.amounts.owners, lines.money(name), count) for name in ("tax", "discount")}
    shipping, shipping_tax = orders.money("shipping"), orders.money("shipping_tax")
    is_paid_beside = any(charge.place not in {NET_SALES, TOTAL_SALES} for charge in shop.orders.charges)
    found = []
    for place, total in enumerate(orders.money("total") if orders.has("total") else [None] * count):
        taxes = (
            orders.money("taxes")[place] if orders.has("taxes") else _plus(of_lines["tax"][place], shipping_tax[place])
        )
        discounts = (
            orders.money("discounts")[place]
            if orders.has("discounts")
            else _plus(of_lines["discount"][place], orders.money("order_discount")[place])
        )
        freight = _without(shipping[place], shipping_tax[place], contain["shipping"][place])
        net = None if shop.orders.charges else _plus(total, _times(taxes, -1), _times(freight, -1))
        if contain["discount"][place] and discounts:
            discounts = None  # how much of it is tax, only the lines say
        gross = _plus(net, discounts)
        is_sold = None if gross is None and not net else bool(gross if gross is not None else net)
        found.append(
            {
                "orders": None if is_sold is None else Decimal(is_sold),
                "zero_orders": None if is_sold is None else Decimal(not is_sold),
                "units_sold": None,
                "free_units": None,
                "gross_sales": gross,
                "discounts": discounts,
                "net_sales": net,
                "shipping": freight,
                "taxes": taxes,
                "total_sales": None if is_paid_beside else total,
            }
        )
    return found


def _refunds(
    records: OrderRecords, amounts: Amounts, contain: Mapping[str, Sequence[bool]]
) -> dict[int, dict[date, dict[str, Amount]]]:
    """Return what was refunded, by record and day; a refund whose day cannot be read is on none."""
    owners = records.refunds.owners
    refunds = _Stated(records.refunds.columns, amounts.of(owners))
    lines = _Stated(records.refund_lines.columns, amounts.of(records.refund_lines.owners))
    values, taxes, units = (
        _sums(records.refund_of, column, len(owners))
        for column in (lines.money("amount"), lines.money("tax"), lines.counts("quantity"))
    )
    shipping, shipping_tax = refunds.money("shipping"), refunds.money("shipping_tax")
    adjustment = refunds.money("adjustment")
    has_charges = bool(amounts.shop.orders.refund_charges)  # of which nobody knows here what they come to
    found: dict[int, dict[date, dict[str, Amount]]] = defaultdict(dict)
    for number, (owner, at) in enumerate(zip(owners, refunds.stamps("refunded_at"), strict=True)):
        if at is None:
            continue
        freight = _without(shipping[number], shipping_tax[number], contain["refund_shipping"][owner])
        goods = _without(values[number], taxes[number], contain["refund_lines"][owner])
        kept = adjustment[number]
        if contain["refund_adjustment"][owner] and kept:
            kept = None  # how much of it is tax, only the lines say
        one = {
            "returns": None if has_charges else _plus(goods, kept),
            "units_returned": units[number],
            "shipping": _times(freight, -1),
            "taxes": None if has_charges or kept is None else _times(_plus(taxes[number], shipping_tax[number]), -1),
        }
        day = business_day(at, amounts.shop.zone)
        before = found[owner].get(day, dict.fromkeys(one, ZERO))
        found[owner][day] = {name: _plus(before[name], value) for name, value in one.items()}
    return found


def _given_back(
    sale: HeldBack, refunds: Mapping[date, Mapping[str, Amount]], cancelled_at: datetime | None, shop: Shop
) -> Iterable[HeldBack]:
    by_day = {day: dict(amounts) for day, amounts in refunds.items()}
    if cancelled_at is not None:
        left = {
            "returns": _left(sale.amounts["net_sales"], [one["returns"] for one in refunds.values()], -1),
            "shipping": _times(_left(sale.amounts["shipping"], [one["shipping"] for one in refunds.values()], 1), -1),
            "taxes": _times(_left(sale.amounts["taxes"], [one["taxes"] for one in refunds.values()], 1), -1),
            "units_returned": None,
        }
        day = business_day(cancelled_at, shop.zone)
        before = by_day.get(day, dict.fromkeys(left, ZERO))
        by_day[day] = {name: _plus(before[name], value) for name, value in left.items()}
    for day, amounts in by_day.items():
        net = _times(amounts["returns"], -1)
        total = _plus(net, amounts["shipping"], amounts["taxes"])
        yield replace(
            sale, event_date=day, is_given_back=True, amounts={**amounts, "net_sales": net, "total_sales": total}
        )


def _without(amount: Amount, tax: Amount, contains_tax: bool) -> Amount:  # noqa: FBT001
    return _plus(amount, _times(tax, -1)) if contains_tax else amount


def _left(placed: Amount, refunded: Iterable[Amount], sign: int) -> Amount:
    return _plus(placed, *(_times(amount, sign) for amount in refunded))


def _sums(owners: Sequence[int], values: Sequence[Amount], count: int) -> list[Amount]:
    sums: list[Amount] = [ZERO] * count
    for owner, value in zip(owners, values, strict=True):
        sums[owner] = _plus(sums[owner], value)
    return sums


def _plus(*amounts: Amount) -> Amount:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, ZERO) if len(known) == len(amounts) else None


def _times(amount: Amount, factor: int) -> Amount:
    return None if amount is None else amount * factor
