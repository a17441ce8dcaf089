"""A ledger to write and read: rows of `clean/sales` over 31 business days, the same for everybody.

Their values look like a shop's (prices, shares of returns, ids) and satisfy the contract; they mean nothing.
"""

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from analytics_pipeline.tables.contracts import CLEAN_SALES, EVENT_TYPES
from analytics_pipeline.tables.promises import violations
from analytics_pipeline.tables.shape import MONEY

FIRST_DAY = np.datetime64("2026-01-01", "D")
DAYS = 31
EVENTS_OF_AN_ORDER = 8
SHARES = (0.88, 0.04, 0.06, 0.01, 0.01)
"""How often each of `EVENT_TYPES` happens."""
PRODUCTS, CUSTOMERS = 4_000, 60_000
SECONDS_OF_A_DAY = 86_400
CENT = pa.scalar(Decimal("0.01"))
CHECKED_ROWS = 20_000

Integers = npt.NDArray[np.int64]


def make_ledger(rows: int, days: int = DAYS) -> pa.Table:
    """Return `rows` events over some days, ordered by business day, with the columns and types of the contract."""
    chance = np.random.default_rng(541_909)
    order = np.arange(rows) // EVENTS_OF_AN_ORDER
    placed = FIRST_DAY + (order * days // (order[-1] + 1)).astype("timedelta64[D]")
    kind = chance.choice(len(SHARES), rows, p=SHARES)
    is_sold, is_returned = kind == 0, kind == 1
    later = np.where(is_returned, chance.integers(1, 40, rows), 0).astype("timedelta64[D]")
    event_day = placed + later
    seconds = chance.integers(0, SECONDS_OF_A_DAY, rows).astype("timedelta64[s]")
    quantity = np.where(is_sold, 1, np.where(is_returned, -1, 0)) * chance.integers(1, 13, rows)
    goods = np.abs(quantity) * np.exp(chance.normal(6, 1, rows)).astype(np.int64)
    gross = np.where(is_sold, goods, 0)
    discounts = np.where(chance.random(rows) < 0.2, gross // 10, 0)
    returns = np.where(is_returned, goods, np.where(kind == 4, 500, 0))
    net = gross - discounts - returns
    shipping = np.where(kind == 2, 495, np.where(kind == 3, -495, 0))
    taxes = (net + shipping) * 19 // 100
    no_product = ~(is_sold | is_returned)
    columns = {
        "order_date": placed,
        "order_id": _names("R", 1_000_000 + order),
        "event_number": np.arange(rows) % EVENTS_OF_AN_ORDER + 1,
        "event_type": pa.array(EVENT_TYPES).take(pa.array(kind)),
        "event_at": pa.array(event_day.astype("datetime64[us]") + seconds).cast(pa.timestamp("us", tz="UTC")),
        "event_date": event_day,
        "is_cancellation": is_returned & (order % 10 == 0),
        "product_id": _names("P", chance.integers(0, PRODUCTS, rows), without=no_product),
        "customer_key": _names("", chance.integers(0, CUSTOMERS, rows), without=order % 5 == 0),
        "currency": pa.repeat("EUR", rows),
        "quantity": quantity,
        "gross_sales": _money(gross),
        "discounts": _money(discounts),
        "returns": _money(returns),
        "net_sales": _money(net),
        "shipping": _money(shipping),
        "charges": _money(np.zeros(rows, dtype=np.int64)),
        "taxes": _money(taxes),
        "outside_sales": _money(np.zeros(rows, dtype=np.int64)),
        "total_sales": _money(net + shipping + taxes),
    }
    ledger = pa.table(columns).cast(CLEAN_SALES.table.arrow_schema)
    broken = violations(CLEAN_SALES, ledger.slice(0, CHECKED_ROWS).to_pandas(types_mapper=pd.ArrowDtype))
    if broken:
        raise ValueError(f"the rows made for the benchmark break the contract: {broken[0]}")
    return ledger


def _names(prefix: str, numbers: Integers, without: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    texts = pa.compute.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")
    return texts if without is None else pa.compute.if_else(pa.array(without), None, texts)


def _money(cents: Integers) -> pa.Array:
    return pa.compute.multiply(pa.array(cents).cast(pa.decimal128(19, 0)), CENT).cast(MONEY)
