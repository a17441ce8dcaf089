"""The lines of orders: what the shop lists of each, and the gross sales, discounts, returns and taxes that follow.

Gross sales never contain tax: where prices include it, net = value - discount - tax, and a discount is freed of tax at
the line's own rate.
"""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.tables.shape import DAY, MONEY, TEXT
from analytics_pipeline.transforms.amounts import Amounts
from analytics_pipeline.transforms.records import LINES, Entries, Faults, OrderRecords
from analytics_pipeline.transforms.typed import TOO_LARGE, TypedColumns
from analytics_pipeline.transforms.values import (
    MONEY_LIMIT,
    WHOLE,
    ZERO,
    arrow_series,
    decimals,
    money,
    or_zero,
    places,
    repeated,
    round_money,
    spread,
)

QUANTITY = pa.decimal128(13, 0)
"""Narrow enough for a product with money in 38 digits."""


def line_frame(orders: pd.DataFrame, records: OrderRecords, amounts: Amounts, faults: Faults) -> pd.DataFrame:
    """Return one row per line of all records, the faulty ones too, with `record`, its record's position.

    Args:
        orders: The order frame of `orders`, one row per record.
        records: The records' columns.
        amounts: Reads the records' amounts.
        faults: Takes a note of each record with a line that breaks a rule.
    """
    entries = records.lines
    listed = _typed(entries, amounts, faults)
    owners = np.asarray(entries.owners, dtype=np.int64)
    is_credit_note = np.isin(owners, list(records.credit_notes))
    lines = pd.DataFrame({"record": owners})
    for name, kind in (("order_date", DAY), ("order_id", TEXT), ("currency", TEXT)):
        lines[name] = arrow_series(pa.array(orders[name]).take(pa.array(owners)), kind)
    lines["line_id"] = listed.ids("line_id") if listed.has("line_id") else _positions(owners)
    lines["product_id"] = listed.ids("product_id")
    lines["title"] = listed.texts("title")
    lines["quantity"] = listed.counts("quantity")
    is_rounded = listed.has("unit_price") and amounts.shop.money.round_to is not None
    lines["unit_price"] = listed.prices("unit_price") if is_rounded else listed.money("unit_price")
    for name in ("discount", "tax", *(["line_total"] if listed.has("line_total") else [])):
        lines[name] = listed.money(name)
    if is_rounded:  # the value of the line is, and not its price, which may need more decimals
        lines["line_total"] = listed.products("unit_price", "quantity")
    _note_missing_values(lines, listed)
    _note_wrong_signs(lines, listed, is_credit_note)
    lines["value"] = _values(lines, listed)
    for name in ("discount", "tax"):
        lines[name] = or_zero(lines[name])
    _spread_order_amounts(lines, orders, faults, spreads_taxes=not listed.has("tax"))
    _add_sales(lines, orders, listed, is_credit_note)
    for name in ("gross_sales", "discounts", "returns"):
        for place in places(lines[name] < 0):
            faults.note(entries.owners[place], "less than zero", LINES, name, lines[name].iat[place])
    return lines


def lines_of(lines: pd.DataFrame, record: int) -> slice:
    """Return the rows of one record; lines stand in the order of their records."""
    owners = lines["record"].to_numpy()
    return slice(int(np.searchsorted(owners, record, "left")), int(np.searchsorted(owners, record, "right")))


def sums_by_record(lines: pd.DataFrame, names: Sequence[str], records: int) -> pd.DataFrame:
    """Return what some columns of lines add up to, a row for each record, null where it has no lines."""
    columns = {name: pa.array(lines[name]) for name in ("record", *names)}
    known = pc.ScalarAggregateOptions(min_count=0)
    grouped = pa.table(columns).group_by("record", use_threads=False)
    found = grouped.aggregate([(name, "sum", known) for name in names])
    rows = pc.index_in(pa.array(range(records)), value_set=found["record"])
    sums = found.select([f"{name}_sum" for name in names]).rename_columns(names).take(rows)
    frame: pd.DataFrame = sums.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _typed(entries: Entries, amounts: Amounts, faults: Faults) -> TypedColumns:
    def note(place: int, reason: str, field: str, value: object) -> None:
        faults.note(entries.owners[place], reason, LINES, field, value)

    return TypedColumns(entries.columns, amounts.of(entries.owners), note)


def _positions(owners: np.ndarray) -> pd.Series:
    """Return each line's position within its record, from 1."""
    positions = np.arange(len(owners)) - np.searchsorted(owners, owners, "left") + 1
    return arrow_series(pa.array(positions).cast(TEXT), TEXT)


def _note_missing_values(lines: pd.DataFrame, listed: TypedColumns) -> None:
    for field in ("product_id", "quantity", _priced_by(listed), "line_id"):
        listed.note(places(lines[field].isna()), "missing", field)
    if listed.has("line_id"):
        listed.note(places(lines.duplicated(["record", "line_id"])), "occurs twice in the order", "line_id")


def _note_wrong_signs(lines: pd.DataFrame, listed: TypedColumns, is_credit_note: np.ndarray) -> None:
    priced_by = _priced_by(listed)
    if priced_by == "unit_price":
        listed.note(places(lines["unit_price"] < 0), "negative", "unit_price")
        has_price = lines["unit_price"] > 0
    else:
        has_price = lines["line_total"] != 0
        listed.note(places((lines["line_total"] < 0) & ~is_credit_note), "negative", "line_total")
        listed.note(places((lines["line_total"] > 0) & is_credit_note), "not below zero in a credit note", "line_total")
    not_taken_back = has_price & (lines["quantity"] >= 0) & is_credit_note
    listed.note(places(not_taken_back), "not below zero in a credit note", "quantity")
    not_sold = has_price & (lines["quantity"] <= 0) & ~is_credit_note
    listed.note(places(not_sold), "not above zero for a line with a price", "quantity")
    listed.note(places((lines["discount"] < 0) & ~is_credit_note), "negative", "discount")


def _priced_by(listed: TypedColumns) -> str:
    """Return the field that says what a line costs."""
    return "unit_price" if listed.has("unit_price") else "line_total"


def _values(lines: pd.DataFrame, listed: TypedColumns) -> pd.Series:
    """Return quantity times unit price; null where either is, or where it is too large to be money.

    Where there is a value of the whole line, the shop's or one that is rounded, it is that.
    """
    if "line_total" in lines:
        return lines["line_total"]
    quantities = pa.array(lines["quantity"]).cast(WHOLE).cast(QUANTITY)
    values = pc.multiply(quantities, pa.array(lines["unit_price"]))
    is_money = pc.less(pc.abs(values), pa.scalar(MONEY_LIMIT, values.type))
    listed.note(places(~arrow_series(is_money, pa.bool_())), TOO_LARGE, "unit_price")
    return arrow_series(pc.if_else(is_money, values, pa.scalar(None, values.type)).cast(MONEY), MONEY)


def _spread_order_amounts(lines: pd.DataFrame, orders: pd.DataFrame, faults: Faults, *, spreads_taxes: bool) -> None:
    """Add what the shop gives per order to its lines: order-wide discounts, and taxes where the lines carry none."""
    _spread(lines, "discount", orders["order_discount"], faults)
    if spreads_taxes:
        goods_taxes = money(orders["taxes_listed"] - orders["other_taxes"])
        _spread(lines, "tax", or_zero(goods_taxes), faults)


def _spread(lines: pd.DataFrame, column: str, amounts: pd.Series, faults: Faults) -> None:
    """Add an amount of each record to a column of its lines, in proportion to what these cost after discounts."""
    records = places(amounts != 0)
    if not records:
        return
    wholes, weights = decimals(amounts), decimals(or_zero(lines["value"] - lines["discount"]))
    shares = [ZERO] * len(lines)
    for record in records:
        rows = lines_of(lines, record)
        try:
            shares[rows] = spread(wholes[record], weights[rows])
        except ValueError as error:
            faults.note(record, str(error), LINES, column, wholes[record])
        if rows.start == rows.stop:
            faults.note(record, "has no lines to spread over", LINES, column, wholes[record])
    lines[column] = money(lines[column] + arrow_series(shares, MONEY))


def _add_sales(lines: pd.DataFrame, orders: pd.DataFrame, listed: TypedColumns, is_credit_note: np.ndarray) -> None:
    """Add the money columns without tax: net_sales, discounts, gross_sales, returns, taxes."""
    owners = lines["record"].to_numpy()
    includes_tax, of_discount = (
        orders[f"includes_tax_{part}"].to_numpy(dtype=bool)[owners] for part in ("lines", "discount")
    )
    discounts = lines["discount"]
    beside_price, differing = discounts, np.flatnonzero(includes_tax != of_discount).tolist()
    if differing:
        discounts, beside_price = _otherwise_taxed(discounts, differing, includes_tax, listed)
    net = money(lines["value"] - beside_price)
    if includes_tax.any():
        net = net.where(~includes_tax, money(net - lines["tax"]))
        is_alike = includes_tax & of_discount & lines["value"].notna().to_numpy(dtype=bool)
        inclusive = np.flatnonzero(is_alike).tolist()
        discounts = discounts.copy()
        discounts.iloc[inclusive] = _discounts_without_tax(lines.iloc[inclusive], inclusive, listed)
    zero = repeated(ZERO, len(lines), MONEY)
    lines["net_sales"] = net
    lines["returns"] = money(zero.where(~is_credit_note, -net))
    lines["discounts"] = money(discounts.where(~is_credit_note, zero))
    lines["gross_sales"] = money((net + discounts).where(~is_credit_note, zero))
    lines["taxes"] = lines["tax"]


def _otherwise_taxed(
    discounts: pd.Series, rows: Sequence[int], includes_tax: np.ndarray, listed: TypedColumns
) -> tuple[pd.Series, pd.Series]:
    """Return discounts without tax, and as they are taken off the value, where only one of both contains tax.

    Args:
        discounts: As listed.
        rows: Positions of the lines of which only the value, or only the discount, contains tax.
        includes_tax: Whether the value of each line does.
        listed: All lines' columns, for the stated rates, without which it cannot be told.
    """
    rates = listed.values("tax_rate")
    without_tax, beside_price = decimals(discounts), decimals(discounts)
    for row in rows:
        rate = None if rates[row] is None else _rate(rates[row])
        if without_tax[row] and rate is None:
            listed.note([row], "no rate from 0 up to 1", "tax_rate")
        elif rate is not None and includes_tax[row]:
            beside_price[row] = round_money(without_tax[row] * (1 + rate))
        elif rate is not None:
            without_tax[row] = beside_price[row] = round_money(without_tax[row] / (1 + rate))
    return arrow_series(without_tax, MONEY), arrow_series(beside_price, MONEY)


def _discounts_without_tax(lines: pd.DataFrame, rows: Sequence[int], listed: TypedColumns) -> pd.Series:
    """Return each line's discount without the tax in it: at the rate that its tax shows, else at its stated rate.

    Args:
        lines: Lines of which discount and tax are known, the prices of which include tax.
        rows: Their positions among all lines.
        listed: All lines' columns, for the stated rates.
    """
    rates = listed.values("tax_rate")
    freed: list[Decimal] = []
    amounts = (decimals(lines[name]) for name in ("value", "discount", "tax"))
    for row, value, discount, tax in zip(rows, *amounts, strict=True):
        if not discount:
            freed.append(ZERO)
        elif value != discount:
            net = discount * (value - discount - tax) / (value - discount)
            is_money = abs(net) < MONEY_LIMIT
            if not is_money:
                listed.note([row], "too large without its tax", "discount")
            freed.append(round_money(net) if is_money else ZERO)
        else:
            rate = _rate(rates[row])
            if rate is None:
                listed.note([row], "no rate from 0 up to 1", "tax_rate")
            freed.append(round_money(discount / (1 + (rate or 0))))
    return arrow_series(freed, MONEY)


def _rate(value: object) -> Decimal | None:
    """Return a stated tax rate, zero for an absent one, None for one that is none."""
    if value is None:
        return ZERO
    try:
        rate = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        return None
    return rate if rate is not None and rate.is_finite() and 0 <= rate < 1 else None
