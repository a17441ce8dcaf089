"""Cleaning of orders: from a slice of `raw/orders` to clean orders, lines, ledger, quarantine and exclusions.

Each record ends in exactly one of clean, quarantine and exclusions. Columns are read in `records`, lines in `lines`, events in `ledger`; the
balance is drawn in `accounting`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from analytics_pipeline import contracts
from analytics_pipeline.contracts import CURRENCY_PATTERN, Contract
from analytics_pipeline.sources.mapping import parse_stamp
from analytics_pipeline.sources.spec import Shop
from analytics_pipeline.tables import FLAG, MONEY, STAMP, TEXT
from analytics_pipeline.transforms.accounting import Accounting, account
from analytics_pipeline.transforms.ledger import build_ledger, refunded_totals
from analytics_pipeline.transforms.lines import line_frame, money
from analytics_pipeline.transforms.records import Fault, Faults, OrderReader, OrderRecords, newest_versions
from analytics_pipeline.transforms.values import ZERO, arrow_series, hash_email, money_column, text_or_none

ORDERS = "clean.orders"


@dataclass(frozen=True)
class CleanOrders:
    """What became of a slice of raw orders; every frame has its contract's columns and Arrow dtypes."""

    orders: pd.DataFrame
    order_lines: pd.DataFrame
    sales: pd.DataFrame
    quarantine: pd.DataFrame
    exclusions: pd.DataFrame
    accounting: Accounting


def clean_orders(raw: pd.DataFrame, shop: Shop) -> CleanOrders:
    """Clean the orders of some business days.

    Args:
        raw: Rows of `raw/orders`, whole days, with Arrow dtypes; not changed. May be empty.
        shop: Maps the records, and bounds the days of refunds and cancellations.
    """
    latest, documents = newest_versions(raw, shop)
    faults = Faults()
    records = OrderReader(shop).read(documents, faults)
    orders = _order_frame(latest, records, shop, faults)
    lines = line_frame(orders, records, shop, faults)
    orders = _with_sums(orders, lines)
    _note_wrong_totals(orders, faults)
    events, refunded = build_ledger(orders, lines, records, shop, faults, {*faults.by_record, *records.excluded})
    orders["refunded_total"] = refunded_totals(refunded, len(orders))
    faulty = {place: fault for place, fault in faults.by_record.items() if place not in records.excluded}
    is_clean = ~np.isin(np.arange(len(orders)), [*faulty, *records.excluded])
    result = CleanOrders(
        orders=_fit(orders[is_clean], contracts.CLEAN_ORDERS),
        order_lines=_fit(lines[is_clean[lines["record"].to_numpy()]], contracts.CLEAN_ORDER_LINES),
        sales=_fit(events[is_clean[events["record"].to_numpy()]], contracts.CLEAN_SALES),
        quarantine=_quarantine(orders, faulty),
        exclusions=_exclusions(orders, records.excluded),
        accounting=Accounting(),
    )
    return replace(result, accounting=account(len(raw), orders, result.orders, result.quarantine, result.exclusions))


def _order_frame(latest: pd.DataFrame, records: OrderRecords, shop: Shop, faults: Faults) -> pd.DataFrame:
    """Return one row per record with its typed fields and the amounts that it lists."""
    count = len(latest)
    columns = records.orders

    def texts(name: str, read: Callable[[object], str | None] = text_or_none) -> list[str | None]:
        return [read(value) for value in columns[name]] if name in columns else [None] * count

    customers, hashes = texts("customer_id"), texts("email", hash_email)
    keys = [customer or (f"email:{hashed}" if hashed else None) for customer, hashed in zip(customers, hashes, strict=True)]
    orders = latest[["order_id", "order_date", "payload"]].copy()
    orders["ordered_at"] = _stamps("created_at", "ordered_at", records, shop, faults)
    orders["updated_at"] = _stamps("updated_at", "updated_at", records, shop, faults)
    orders["cancelled_at"] = _stamps("cancelled_at", "cancelled_at", records, shop, faults)
    orders["customer_key"] = arrow_series(keys, TEXT)
    orders["customer_id"] = arrow_series(customers, TEXT)
    orders["email_hash"] = arrow_series(hashes, TEXT)
    orders["country"] = arrow_series(texts("country"), TEXT)
    orders["currency"] = _currencies(records, shop, count, faults)
    is_credit_note = np.isin(np.arange(count), list(records.credit_notes))
    orders["is_credit_note"] = arrow_series(pa.array(is_credit_note, type=FLAG), FLAG)
    includes_tax = [bool(value) for value in columns.get("prices_include_tax", [None] * count)]
    orders["includes_tax"] = arrow_series(includes_tax, FLAG)
    for field, name in (("discounts", "discounts_listed"), ("taxes", "taxes_listed"), ("total", "total_listed")):
        orders[name] = _listed(field, records, count, faults)
    for field, name in (("order_discount", "order_discount"), ("shipping", "shipping_listed"), ("shipping_tax", "shipping_tax")):
        orders[name] = _listed(field, records, count, faults).fillna(ZERO)
    for place in np.flatnonzero((orders["order_discount"] < 0).to_numpy(dtype=bool) & ~is_credit_note):
        faults.note(int(place), "negative", ORDERS, "discounts", columns["order_discount"][place])
    return orders


def _stamps(field: str, column: str, records: OrderRecords, shop: Shop, faults: Faults) -> pd.Series:
    stamps: list[datetime | None] = []
    for place, value in enumerate(records.orders.get(field, [None] * len(records.orders["order_id"]))):
        try:
            stamps.append(None if value is None or value == "" else parse_stamp(value, shop.times, shop.zone))
        except ValueError:
            faults.note(place, "not a stamp", ORDERS, column, value)
            stamps.append(None)
    return arrow_series(stamps, STAMP)


def _currencies(records: OrderRecords, shop: Shop, count: int, faults: Faults) -> pd.Series:
    """Return each order's currency, the shop's where the record gives none."""
    values = records.orders.get("currency")
    if values is None:
        return arrow_series(pa.repeat(shop.currency, count), TEXT)
    currencies: list[str | None] = []
    for place, value in enumerate(values):
        if value is None:
            currencies.append(shop.currency)
        elif isinstance(value, str) and CURRENCY_PATTERN.fullmatch(value.upper()):
            currencies.append(value.upper())
        else:
            faults.note(place, "not a three-letter currency code", ORDERS, "currency", value)
            currencies.append(None)
    return arrow_series(currencies, TEXT)


def _listed(field: str, records: OrderRecords, count: int, faults: Faults) -> pd.Series:
    values = records.orders.get(field)
    if values is None:
        return arrow_series(pa.nulls(count, MONEY), MONEY)
    amounts, bad = money_column(values)
    for place in bad:
        faults.note(place, "not an amount with at most four decimals", ORDERS, field, values[place])
    return arrow_series(amounts, MONEY)


def _with_sums(orders: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Add what the lines add up to, and the order's own shipping, taxes and total."""
    names = ["quantity", "gross_sales", "discounts", "returns", "taxes", "discount"]
    sums = lines.groupby("record")[names].sum().reindex(range(len(orders)))
    orders["units"] = sums["quantity"].fillna(0)
    for name in ("gross_sales", "discounts", "returns", "taxes"):
        orders[name] = money(sums[name].fillna(ZERO))
    orders["line_discounts"] = money(sums["discount"].fillna(ZERO))
    shipping = orders["shipping_listed"]
    orders["shipping"] = money(shipping.where(~orders["includes_tax"].to_numpy(dtype=bool), shipping - orders["shipping_tax"]))
    orders["taxes"] = money(orders["taxes"] + orders["shipping_tax"])
    net = orders["gross_sales"] - orders["discounts"] - orders["returns"]
    orders["order_total"] = money(net + orders["shipping"] + orders["taxes"])
    has_all_amounts = ~np.isin(np.arange(len(orders)), lines["record"][lines["value"].isna()])
    computed = orders["order_total"].where(has_all_amounts)
    orders["claimed_total"] = orders["total_listed"].fillna(computed)
    return orders


def _note_wrong_totals(orders: pd.DataFrame, faults: Faults) -> None:
    """Note the records whose own totals differ from what their parts add up to."""
    for listed, computed, column in (
        ("discounts_listed", "line_discounts", "discounts"),
        ("taxes_listed", "taxes", "taxes"),
        ("total_listed", "order_total", "order_total"),
    ):
        differs = (orders[listed] != orders[computed]).fillna(value=False).to_numpy(dtype=bool)
        for place in np.flatnonzero(differs):
            shown = f"{orders[listed].iat[place]}, its parts add up to {orders[computed].iat[place]}"
            faults.note(int(place), "does not equal the sum of its parts", ORDERS, column, shown)


def _quarantine(orders: pd.DataFrame, faulty: dict[int, Fault]) -> pd.DataFrame:
    places = sorted(faulty)
    found = [faulty[place] for place in places]
    rows = orders.iloc[places].reset_index(drop=True).rename(columns={"claimed_total": "money_at_risk"})
    rows["table_name"] = arrow_series([fault.table for fault in found], TEXT)
    rows["reason"] = arrow_series([fault.reason for fault in found], TEXT)
    rows["column_name"] = arrow_series([fault.column for fault in found], TEXT)
    rows["value"] = arrow_series([fault.value for fault in found], TEXT)
    return _fit(rows, contracts.QUARANTINE)


def _exclusions(orders: pd.DataFrame, excluded: dict[int, str]) -> pd.DataFrame:
    places = sorted(excluded)
    rows = orders.iloc[places].reset_index(drop=True).drop(columns="order_total").rename(columns={"claimed_total": "order_total"})
    rows["reason"] = arrow_series([excluded[place] for place in places], TEXT)
    return _fit(rows, contracts.EXCLUSIONS)


def _fit(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    return rows[[column.name for column in contract.table.columns]].reset_index(drop=True)
