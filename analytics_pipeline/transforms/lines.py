"""The lines of orders: quantity, price, discount and tax as the shop lists them, and gross sales, discounts, returns and taxes that follow.

Gross sales never contain tax: where prices include it, net = value - discount - tax, and a discount is freed of tax at the line's own rate.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.sources.spec import Shop
from analytics_pipeline.tables import COUNT, DAY, MONEY, TEXT
from analytics_pipeline.transforms.records import Faults, OrderRecords
from analytics_pipeline.transforms.values import ZERO, arrow_series, count_column, money_column, round_money, spread, text_or_none

LINES = "clean.order_lines"
WIDE, QUANTITY = pa.decimal128(19, 0), pa.decimal128(13, 0)
"""Arrow casts integers to the first only; the second is narrow enough for a product with money in 38 digits."""


def line_frame(orders: pd.DataFrame, records: OrderRecords, shop: Shop, faults: Faults) -> pd.DataFrame:
    """Return one row per line of all records, the faulty ones too, with `record`, its record's position.

    Args:
        orders: The order frame of `orders`, one row per record.
        records: The records' columns.
        shop: Says whether lines carry taxes of their own.
        faults: Takes a note of each record with a line that breaks a rule.
    """
    owners = np.asarray(records.lines["record"], dtype=np.int64)
    lines = pd.DataFrame({"record": owners})
    lines["order_date"] = _of_order(orders["order_date"], owners, DAY)
    lines["order_id"] = _of_order(orders["order_id"], owners, TEXT)
    lines["line_id"] = arrow_series(_line_ids(records, owners), TEXT)
    lines["product_id"] = arrow_series([text_or_none(value) for value in records.lines["product_id"]], TEXT)
    lines["title"] = arrow_series([text_or_none(value) for value in records.lines.get("title", [None] * len(owners))], TEXT)
    lines["currency"] = _of_order(orders["currency"], owners, TEXT)
    quantity, bad_quantities = count_column(records.lines["quantity"])
    lines["quantity"] = arrow_series(quantity, COUNT)
    _note(faults, records, bad_quantities, "quantity", "not a whole number")
    for name in ("unit_price", "discount", "tax"):
        lines[name] = arrow_series(_amounts(records, name, faults), MONEY)
    _note_missing_and_wrong_signs(lines, records, faults)
    value = pc.multiply(quantity.cast(WIDE).cast(QUANTITY), pa.array(lines["unit_price"])).cast(MONEY)
    lines["value"] = arrow_series(value, MONEY)
    lines["discount"] = lines["discount"].fillna(ZERO)
    lines["tax"] = lines["tax"].fillna(ZERO)
    _spread_order_amounts(lines, orders, spreads_taxes=shop.orders.lines.fields.tax is None)
    return _with_sales(lines, orders, records)


def lines_of(lines: pd.DataFrame, record: int) -> slice:
    """Return the rows of one record; lines stand in the order of their records."""
    owners = lines["record"].to_numpy()
    return slice(int(np.searchsorted(owners, record, "left")), int(np.searchsorted(owners, record, "right")))


def _of_order(values: pd.Series, owners: np.ndarray, kind: pa.DataType) -> pd.Series:
    return arrow_series(pa.array(values, type=kind).take(pa.array(owners)), kind)


def _line_ids(records: OrderRecords, owners: np.ndarray) -> list[str | None]:
    if "line_id" in records.lines:
        return [text_or_none(value) for value in records.lines["line_id"]]
    firsts = np.searchsorted(owners, owners, "left")
    return [str(position) for position in np.arange(len(owners)) - firsts + 1]


def _amounts(records: OrderRecords, name: str, faults: Faults) -> pa.Array:
    values = records.lines.get(name)
    if values is None:
        return pa.nulls(len(records.lines["record"]), MONEY)
    amounts, bad = money_column(values)
    _note(faults, records, bad, name, "not an amount with at most four decimals")
    return amounts


def _note(faults: Faults, records: OrderRecords, places: list[int], column: str, reason: str) -> None:
    for place in places:
        faults.note(_owner(records, place), reason, LINES, column, records.lines[column][place])


def _owner(records: OrderRecords, place: int) -> int:
    owner = records.lines["record"][place]
    assert isinstance(owner, int)  # noqa: S101 - the reader wrote it
    return owner


def _note_missing_and_wrong_signs(lines: pd.DataFrame, records: OrderRecords, faults: Faults) -> None:
    for column in ("product_id", "quantity", "unit_price", "line_id"):
        for place in np.flatnonzero(lines[column].isna()):
            faults.note(_owner(records, int(place)), "missing", LINES, column)
    _note(faults, records, _where(lines["unit_price"] < 0), "unit_price", "negative")
    is_credit_note = np.isin(lines["record"].to_numpy(), list(records.credit_notes))
    has_price = (lines["unit_price"] > 0).fillna(value=False).to_numpy(dtype=bool)
    wrong = np.where(is_credit_note, (lines["quantity"] >= 0).fillna(value=False), (lines["quantity"] <= 0).fillna(value=False))
    for place in np.flatnonzero(wrong.astype(bool) & has_price):
        reason = "not below zero in a credit note" if is_credit_note[place] else "not above zero for a line with a price"
        faults.note(_owner(records, int(place)), reason, LINES, "quantity", records.lines["quantity"][place])
    if "discount" in records.lines:
        negative = (lines["discount"] < 0).fillna(value=False).to_numpy(dtype=bool) & ~is_credit_note
        _note(faults, records, [int(place) for place in np.flatnonzero(negative)], "discount", "negative")
    if "line_id" in records.lines:
        for place in _where(lines.duplicated(["record", "line_id"])):
            faults.note(_owner(records, place), "occurs twice in the order", LINES, "line_id", records.lines["line_id"][place])


def _where(mask: pd.Series) -> list[int]:
    return [int(place) for place in np.flatnonzero(mask.fillna(value=False).to_numpy(dtype=bool))]


def _spread_order_amounts(lines: pd.DataFrame, orders: pd.DataFrame, *, spreads_taxes: bool) -> None:
    """Add what the shop gives per order to its lines: order-wide discounts, and taxes where the lines carry none."""
    discount_shares: dict[int, Decimal] = {}
    for record in _where(orders["order_discount"] != 0):
        discount_shares |= _shares(lines, record, orders["order_discount"].iat[record])
    _add(lines, "discount", discount_shares)
    if spreads_taxes:
        tax_shares: dict[int, Decimal] = {}
        for record in _where(orders["taxes_listed"].fillna(ZERO) != orders["shipping_tax"]):
            taxes = orders["taxes_listed"].iat[record]
            if not pd.isna(taxes):
                tax_shares |= _shares(lines, record, taxes - orders["shipping_tax"].iat[record])
        _add(lines, "tax", tax_shares)


def _shares(lines: pd.DataFrame, record: int, amount: Decimal) -> dict[int, Decimal]:
    rows = lines_of(lines, record)
    weights = (lines["value"].iloc[rows].fillna(ZERO) - lines["discount"].iloc[rows]).tolist()
    return dict(zip(range(rows.start, rows.stop), spread(amount, weights), strict=True))


def _add(lines: pd.DataFrame, column: str, shares: dict[int, Decimal]) -> None:
    if shares:
        added = [shares.get(place, ZERO) for place in range(len(lines))]
        lines[column] = arrow_series(pa.array(lines[column] + arrow_series(added, MONEY)).cast(MONEY), MONEY)


def _with_sales(lines: pd.DataFrame, orders: pd.DataFrame, records: OrderRecords) -> pd.DataFrame:
    """Add the money columns without tax: net_sales, discounts, gross_sales, returns, taxes."""
    owners = lines["record"].to_numpy()
    includes_tax = orders["includes_tax"].to_numpy(dtype=bool)[owners]
    net = lines["value"] - lines["discount"]
    discounts = lines["discount"]
    if includes_tax.any():
        net = net.where(~includes_tax, net - lines["tax"])
        freed = dict(_discounts_without_tax(lines, np.flatnonzero(includes_tax), records))
        discounts = arrow_series([freed.get(place, amount) for place, amount in enumerate(discounts)], MONEY)
    is_credit_note = np.isin(owners, list(records.credit_notes))
    zero = arrow_series(pa.repeat(pa.scalar(ZERO, MONEY), len(lines)), MONEY)
    lines["net_sales"] = money(net)
    lines["returns"] = money(zero.where(~is_credit_note, -net))
    lines["discounts"] = money(discounts.where(~is_credit_note, zero))
    lines["gross_sales"] = money((net + discounts).where(~is_credit_note, zero))
    lines["taxes"] = lines["tax"]
    return lines


def money(amounts: pd.Series) -> pd.Series:
    """Return a sum or difference of amounts, which Arrow widens, as `decimal128(19,4)` again."""
    return arrow_series(pa.array(amounts).cast(MONEY), MONEY)


def _discounts_without_tax(lines: pd.DataFrame, places: np.ndarray, records: OrderRecords) -> Iterator[tuple[int, Decimal | None]]:
    """Yield each line's discount without the tax in it: at the rate that its tax shows, else at its stated rate."""
    rates = records.lines.get("tax_rate")
    for place in places.tolist():
        value, discount, tax = (lines[name].iat[place] for name in ("value", "discount", "tax"))
        if pd.isna(value):
            yield place, None
        elif discount == 0:
            yield place, ZERO
        elif value != discount:
            yield place, round_money(discount * (value - discount - tax) / (value - discount))
        else:
            yield place, round_money(discount / (1 + _rate(rates[place] if rates else None)))


def _rate(value: object) -> Decimal:
    try:
        rate = Decimal(str(value)) if value is not None else Decimal(0)
    except InvalidOperation:
        return Decimal(0)
    return rate if rate.is_finite() and rate >= 0 else Decimal(0)
