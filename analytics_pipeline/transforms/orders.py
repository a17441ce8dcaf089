"""Cleaning of orders: from a slice of `raw/orders` to clean orders, lines, ledger, quarantine and exclusions.

Each record ends in exactly one of clean, quarantine and exclusions; of a clean one, refunds and the cancellation may be
in quarantine. Columns are read in `records`, lines in `lines`, refunds in `refunds` and judged in `money_back`; events
are in `ledger`, and the balance is drawn in `accounting`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import compress
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa

from analytics_pipeline.decoding.mapping import id_text
from analytics_pipeline.shop.fields import IncludesTax
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables import contracts
from analytics_pipeline.tables.contract import CURRENCY_PATTERN
from analytics_pipeline.tables.contracts import CANCELLATION, MOVED
from analytics_pipeline.tables.own_fields import orders_contract
from analytics_pipeline.tables.shape import FLAG, MONEY, STAMP, TEXT
from analytics_pipeline.transforms.accounting import Accounting, account, balances
from analytics_pipeline.transforms.amounts import Amounts
from analytics_pipeline.transforms.charge_entries import entries_of_orders, entries_of_refunds
from analytics_pipeline.transforms.charges import AMOUNTS, PlacedCharges, read_charges
from analytics_pipeline.transforms.currencies import EXPONENTS
from analytics_pipeline.transforms.described import described
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.file_places import with_places
from analytics_pipeline.transforms.ledger import build_ledger
from analytics_pipeline.transforms.lines import line_frame, sums_by_record
from analytics_pipeline.transforms.money_back import HeldEvent, judge_money_back
from analytics_pipeline.transforms.raw import NO_ID
from analytics_pipeline.transforms.records import (
    ORDERS,
    Faults,
    OrderReader,
    OrderRecords,
    Path,
    is_true,
    newest_versions,
    superseded_days,
)
from analytics_pipeline.transforms.refunds import read_refunds
from analytics_pipeline.transforms.related import NO_CHILDREN, Children, put_into_orders
from analytics_pipeline.transforms.set_apart import exclusion_rows, fit, held_event_rows, quarantine_rows
from analytics_pipeline.transforms.typed import TypedColumns
from analytics_pipeline.transforms.values import (
    ORDER_LIMIT,
    ZERO,
    arrow_series,
    means_nothing,
    money,
    or_zero,
    places,
    repeated,
)

DIFFERS = "does not equal the sum of its parts"
NO_CANCELLATIONS: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True)
class CleanOrders:
    """What became of a slice of raw orders; every frame has its contract's columns and Arrow dtypes."""

    orders: pd.DataFrame
    order_lines: pd.DataFrame
    sales: pd.DataFrame
    quarantine: pd.DataFrame
    exclusions: pd.DataFrame
    balances: pd.DataFrame
    accounting: Accounting
    unreadable: Sequence[str] = ()
    """Id, field and reason of each value that became null, of fields that no figure is made of."""


def clean_orders(
    raw: pd.DataFrame,
    shop: Shop,
    emails: EmailKey | None = None,
    *,
    superseded: Collection[tuple[str, date]] | None = None,
    children: Children = NO_CHILDREN,
    cancellations: Mapping[str, datetime] = NO_CANCELLATIONS,
) -> CleanOrders:
    """Clean the orders of some business days.

    Args:
        raw: Rows of `raw/orders`, whole days, with Arrow dtypes; not changed. May be empty.
        shop: Maps the records, and bounds the days of refunds and cancellations.
        emails: Hashes the addresses; without it they are left out, for who asks what orders come to and not whose.
        superseded: Orders and days of which a newer version stands on another day; found among the rows when None.
        children: The orders' records of related lists.
        cancellations: Since when orders were seen cancelled before, where the shop does not say it.
    """
    if superseded is None:
        superseded = _superseded_within(raw, shop)
    latest, documents = newest_versions(raw, shop)
    faults = Faults()
    put_into_orders(documents, zip(latest["order_id"], latest["order_date"], strict=True), children, shop, faults)
    records = OrderReader(shop).read(documents, faults)
    amounts = Amounts(shop, _codes(records.orders.get("currency"), len(documents), shop))
    entries_back = entries_of_refunds(documents, records, shop, faults)
    if superseded:
        keys = zip(latest["order_id"], latest["order_date"], strict=True)
        records.excluded.update({place: MOVED for place, key in enumerate(keys) if key in superseded})
    orders = _order_frame(latest, records, amounts, faults, emails)
    if shop.orders.cancelled_when is not None:
        orders["cancelled_at"] = moments_of_cancellation(orders, documents, shop, cancellations, faults)
    charges = read_charges(orders, entries_of_orders(documents, shop, faults), records.credit_notes, amounts, faults)
    orders["other_taxes"] = charges.with_taxes(orders["shipping_tax"])
    lines = line_frame(orders, records, amounts, faults)
    orders = _with_sums(orders, lines, charges, faults)
    differing = _note_wrong_totals(orders, faults, shop.money.tolerance)
    faulty = {place: fault for place, fault in faults.by_record.items() if place not in records.excluded}
    if shop.is_of_files:
        faulty = with_places(faulty, documents)
    is_clean = ~np.isin(np.arange(len(orders)), [*faulty, *records.excluded])
    listed = read_refunds(orders, lines, records, entries_back, amounts)
    refunds, held = judge_money_back(
        orders, lines, charges, listed, credit_notes=records.credit_notes, is_clean=is_clean, shop=shop
    )
    orders = _marked(orders, held)
    events, orders["refunded_total"] = build_ledger(
        orders, lines, charges, refunds, credit_notes=records.credit_notes, is_clean=is_clean, shop=shop
    )
    kept = orders if is_clean.all() else orders[is_clean].reset_index(drop=True)
    columns, unreadable = described(
        list(compress(documents, is_clean)), kept["order_id"].tolist(), amounts.of(np.flatnonzero(is_clean).tolist())
    )
    clean = fit(kept, orders_contract(shop), columns)
    quarantine, exclusions = quarantine_rows(orders, faulty, shop), exclusion_rows(orders, records.excluded)
    of_events = held_event_rows(orders, records, held, shop)
    return CleanOrders(
        orders=clean,
        order_lines=fit(lines[is_clean[lines["record"].to_numpy()]], contracts.CLEAN_ORDER_LINES),
        sales=fit(events, contracts.CLEAN_SALES),
        quarantine=pd.concat([quarantine, of_events], ignore_index=True) if held else quarantine,
        exclusions=exclusions,
        balances=balances(orders, clean, quarantine, exclusions),
        accounting=replace(
            account(len(raw), orders, clean, quarantine, exclusions),
            tolerated_orders=int(is_clean[list(differing)].sum()),
            rounded_amounts=amounts.rounded.amounts,
            rounded_by=amounts.rounded.by,
        ),
        unreadable=unreadable,
    )


def _superseded_within(raw: pd.DataFrame, shop: Shop) -> frozenset[tuple[str, date]]:
    rows = raw[raw["order_id"].duplicated(keep=False).to_numpy(dtype=bool)]
    columns = (rows[name] for name in ("order_id", "order_date", "extracted_at", "payload"))
    return superseded_days(zip(*columns, strict=True), shop)


def _order_frame(
    latest: pd.DataFrame, records: OrderRecords, amounts: Amounts, faults: Faults, emails: EmailKey | None
) -> pd.DataFrame:
    """Return one row per record with its typed fields and the amounts that it lists."""

    def note(place: int, reason: str, field: str, value: object) -> None:
        faults.note(place, reason, ORDERS, field, value)

    shop = amounts.shop
    listed = TypedColumns(records.orders, amounts.of(), note, shop.orders.times)
    is_credit_note = np.isin(np.arange(len(latest)), list(records.credit_notes))
    orders = {name: latest[name] for name in ("order_id", "order_date", "extracted_at", "payload")}
    _note_missing_ids(latest, listed)
    orders["ordered_at"] = listed.stamps("created_at")
    listed.note(places(orders["ordered_at"].isna()), "missing", "created_at")
    for name in ("updated_at", "cancelled_at"):
        orders[name] = listed.stamps(name)
    for name in ("customer_id", "country"):
        orders[name] = listed.ids(name)
    hashes = [emails.hash(address) if emails else None for address in listed.values("email")]
    orders["email_hash"] = arrow_series(hashes, TEXT)
    orders["customer_key"] = orders["customer_id"].fillna("email:" + orders["email_hash"])
    orders["currency"] = _currencies(listed, shop)
    orders["is_credit_note"] = arrow_series(pa.array(is_credit_note, type=FLAG), FLAG)
    orders |= tax_flags(listed, len(latest), shop)
    for name in ("discounts", "taxes", "total"):
        orders[f"{name}_listed"] = listed.money(name)
    orders["order_discount"] = or_zero(listed.money("order_discount"))
    orders["shipping_listed"] = or_zero(listed.money("shipping"))
    orders["shipping_tax"] = or_zero(listed.money("shipping_tax"))
    listed.note(places((orders["order_discount"] < 0) & ~is_credit_note), "negative", "order_discount")
    return pd.DataFrame(orders, copy=False)


def tax_flags(listed: TypedColumns, count: int, shop: Shop) -> dict[str, pd.Series]:
    """Return whether each kind of amount contains tax, a column each: as said of it, else as of prices.

    Args:
        listed: The columns of the orders.
        count: How many orders there are.
        shop: Says it.
    """
    prices, never = (
        listed.flags("prices_include_tax").fillna(value=False),
        repeated(value=False, count=count, kind=FLAG),
    )
    flags: dict[str, pd.Series] = {}
    for part, flag in shop.orders.includes_tax or IncludesTax():
        if isinstance(flag, bool):
            found = repeated(flag, count, FLAG)
        elif flag is not None:
            found = listed.flags(f"includes_tax.{part}").fillna(value=False)
        else:
            found = never if part in {"refund_lines", "refund_adjustment"} else prices
        flags[f"includes_tax_{part}"] = found
    return flags


def moments_of_cancellation(
    orders: pd.DataFrame, documents: Sequence[object], shop: Shop, known: Mapping[str, datetime], faults: Faults
) -> pd.Series:
    """Return when each order was cancelled: as listed; else since it is known; else as of the version that says it.

    Args:
        orders: One row per record, with `order_id`, `extracted_at`, `updated_at` and `cancelled_at` as listed.
        documents: The records.
        shop: Has a rule for what is cancelled.
        known: Since when orders were seen cancelled before.
        faults: Takes a note of each record of which the rule cannot be told.
    """
    rule = Path(str(shop.orders.cancelled_when), ORDERS, "cancelled_at")
    found = rule.read(documents, range(len(documents)), faults)
    names = ("order_id", "cancelled_at", "updated_at", "extracted_at")
    columns = (pa.array(orders[name]).to_pylist() for name in names)
    moments = [
        listed or (known.get(order_id) or changed or read if is_true(is_cancelled) else None)
        for is_cancelled, order_id, listed, changed, read in zip(found, *columns, strict=True)
    ]
    return arrow_series(moments, STAMP)


def _note_missing_ids(latest: pd.DataFrame, listed: TypedColumns) -> None:
    """Note the records that stand under a key of their content, since they have no id that can be read."""
    for place in places(latest["order_id"].str.startswith(NO_ID)):
        try:
            if id_text(listed.values("order_id")[place]) == latest["order_id"].iat[place]:
                continue  # the shop's own id begins like such a key
            reason = "not all of it is UTF-8"
        except ValueError as error:
            reason = str(error)
        listed.note([place], reason, "order_id")


def _currencies(listed: TypedColumns, shop: Shop) -> pd.Series:
    """Return each order's currency, the shop's where the record gives none."""
    given = listed.values("currency")
    codes = _codes(given, len(given), shop)
    bad = [place for place, code in enumerate(codes) if not CURRENCY_PATTERN.fullmatch(code)]
    listed.note(bad, "not a three-letter currency code", "currency")
    if shop.money.needs_currency:
        unknown = [place for place, code in enumerate(codes) if code not in EXPONENTS]
        listed.note(unknown, "no currency with a minor unit that is known", "currency")
    refused = set(bad)
    return arrow_series([None if place in refused else code for place, code in enumerate(codes)], TEXT)


def _codes(given: Sequence[object] | None, count: int, shop: Shop) -> list[str]:
    """Return codes of currencies, the shop's where none is given, an empty text for what is no text."""
    known = [shop.currency if means_nothing(value) else value for value in given or [None] * count]
    return [value.upper() if isinstance(value, str) else "" for value in known]


def _with_sums(orders: pd.DataFrame, lines: pd.DataFrame, charges: PlacedCharges, faults: Faults) -> pd.DataFrame:
    """Add what the lines and charges add up to, and the order's own shipping, taxes and total."""
    names = ["quantity", "gross_sales", "discounts", "returns", "taxes", "discount"]
    sums = sums_by_record(lines, names, len(orders))
    orders["units"] = sums["quantity"].fillna(0)
    sums = charges.added_to(sums)
    too_large = {place for name in sums.columns[1:] for place in _beyond_limit(sums, name, faults)}
    for name in (*AMOUNTS, "taxes"):
        orders[name] = or_zero(sums[name]) if name in sums else repeated(ZERO, len(orders), MONEY)
    orders["line_discounts"] = or_zero(sums["discount"])
    shipping, includes_tax = orders["shipping_listed"], orders["includes_tax_shipping"].to_numpy(dtype=bool)
    orders["shipping"] = shipping.where(~includes_tax, money(shipping - orders["shipping_tax"]))
    orders["taxes"] = money(orders["taxes"] + orders["other_taxes"])
    net = orders["gross_sales"] - orders["discounts"] - orders["returns"]
    if len(charges):
        net = net + orders["charges"] + orders["outside_sales"]
    orders["order_total"] = money(net + orders["shipping"] + orders["taxes"])
    without_lines = [place for place, fault in faults.by_record.items() if fault.column in {"payload", "lines"}]
    lacks_values = [*lines["record"][lines["value"].isna()], *too_large, *without_lines]
    has_all_values = ~np.isin(np.arange(len(orders)), lacks_values)
    orders["stated_total"] = orders["total_listed"].fillna(orders["order_total"].where(has_all_values))
    orders["rounding"] = or_zero(orders["total_listed"] - orders["order_total"])
    return orders


def _beyond_limit(sums: pd.DataFrame, name: str, faults: Faults) -> list[int]:
    """Note the orders of which a sum is too large to be stored, and clear it; returns their places."""
    found = places(sums[name].abs() >= ORDER_LIMIT)
    for place in found:
        faults.note(place, "the lines add up to too large an amount", ORDERS, name, sums[name].iat[place])
    if found:
        sums[name] = sums[name].mask(sums.index.isin(found))
    return found


def _note_wrong_totals(orders: pd.DataFrame, faults: Faults, tolerance: Decimal) -> set[int]:
    """Note the records whose own totals differ from what their parts add up to, and totals that cannot be reversed.

    Returns:
        The positions of records whose totals differ by no more than the tolerance.
    """
    tolerated: set[int] = set()
    for field, computed in (("discounts", "line_discounts"), ("taxes", "taxes"), ("total", "order_total")):
        listed = orders[f"{field}_listed"]
        differing = set(places(listed != orders[computed]))
        if tolerance and differing:
            within = places((listed - orders[computed]).abs() <= tolerance)
            tolerated.update(differing.intersection(within))
            differing.difference_update(within)
        for place in sorted(differing):
            shown = f"{listed.iat[place]}, its parts add up to {orders[computed].iat[place]}"
            faults.note(place, DIFFERS, ORDERS, field, shown)
    for place in places((orders["order_total"] < 0) & orders["cancelled_at"].notna()):
        faults.note(
            place, "cancelled with a total below zero", ORDERS, "cancelled_at", orders["cancelled_at"].iat[place]
        )
    return tolerated


def _marked(orders: pd.DataFrame, held: Sequence[HeldEvent]) -> pd.DataFrame:
    """Mark the orders of events in quarantine; a cancellation there is none."""
    of_events = np.isin(np.arange(len(orders)), [event.record for event in held])
    is_cancelled = ~np.isin(np.arange(len(orders)), [event.record for event in held if event.kind == CANCELLATION])
    return orders.assign(
        has_quarantined_events=arrow_series(pa.array(of_events, type=FLAG), FLAG),
        cancelled_at=orders["cancelled_at"].where(is_cancelled),
    )
