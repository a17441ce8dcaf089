"""Rows of quarantine and exclusions: what is kept of records, refunds and cancellations that are in no clean table.

What is wrong with a record is found where it is read (`records`, `orders`, `money_back`); here it becomes rows.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
import pandas as pd

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables import contracts
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import ORDER
from analytics_pipeline.tables.shape import MONEY, TEXT
from analytics_pipeline.transforms.money_back import HeldEvent
from analytics_pipeline.transforms.records import Fault, OrderRecords
from analytics_pipeline.transforms.values import arrow_series, repeated
from analytics_pipeline.transforms.version import contract_version

ONLY_IN_RAW = '"has a number or a nesting that only the whole record holds: see raw.orders"'
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode  # a value that is none, as its text


def quarantine_rows(orders: pd.DataFrame, faulty: dict[int, Fault], shop: Shop) -> pd.DataFrame:
    """Return the rows of `ops.quarantine` of whole records.

    Args:
        orders: One row per record.
        faulty: The fault of each of them that is in quarantine, by position.
        shop: Whose rules judged them.
    """
    if not faulty:  # nearly always, as below
        return _NO_QUARANTINE.copy(deep=False)
    rows = orders.iloc[sorted(faulty)].reset_index(drop=True).rename(columns={"stated_total": "money_at_risk"})
    return _held(rows.assign(kind=repeated(ORDER, len(rows), TEXT)), [faulty[place] for place in sorted(faulty)], shop)


def held_event_rows(orders: pd.DataFrame, records: OrderRecords, held: Sequence[HeldEvent], shop: Shop) -> pd.DataFrame:
    """Return the rows of `ops.quarantine` of refunds and cancellations of clean orders.

    Args:
        orders: One row per record.
        records: Have the refunds as they were sent.
        held: The events.
        shop: Whose rules judged them.
    """
    if not held:
        return _NO_QUARANTINE.copy(deep=False)
    rows = orders.drop(columns="payload").iloc[[event.record for event in held]].reset_index(drop=True)
    rows["money_at_risk"] = arrow_series([event.money for event in held], MONEY)
    for name, values in (
        ("kind", [event.kind for event in held]),
        ("event_id", [event.event_id for event in held]),
        ("payload", [_as_sent(event, records, orders) for event in held]),
    ):
        rows[name] = arrow_series(values, TEXT)
    return _held(rows, [event.fault for event in held], shop)


def _as_sent(event: HeldEvent, records: OrderRecords, orders: pd.DataFrame) -> str:
    """Return a refund as JSON, not each time the record that lists it; of a cancellation, the record."""
    if event.place is None:
        return str(orders["payload"].iat[event.record])
    try:
        return _encode(records.refunds_as_sent[event.place]).decode()
    except (ValueError, OverflowError, RecursionError):
        return ONLY_IN_RAW


def _held(rows: pd.DataFrame, faults: Sequence[Fault], shop: Shop) -> pd.DataFrame:
    """Give rows of orders, or of their events, the columns that tell what is wrong with each."""
    for name, values in (
        ("table_name", [fault.table for fault in faults]),
        ("reason", [fault.reason for fault in faults]),
        ("column_name", [fault.column for fault in faults]),
        ("value", [fault.value for fault in faults]),
    ):
        rows[name] = arrow_series(values, TEXT)
    if "event_id" not in rows:
        rows["event_id"] = repeated("", len(rows), TEXT)
    rows["contract_version"] = repeated(contract_version(shop), len(rows), TEXT)
    return fit(rows, contracts.QUARANTINE)


def exclusion_rows(orders: pd.DataFrame, excluded: dict[int, str]) -> pd.DataFrame:
    """Return the rows of `ops.exclusions`: of the records left out on purpose, by position, with the reason."""
    if not excluded:
        return _NO_EXCLUSIONS.copy(deep=False)
    rows = orders.drop(columns="order_total").rename(columns={"stated_total": "order_total"})
    rows = rows.iloc[sorted(excluded)].reset_index(drop=True)
    rows["reason"] = arrow_series([excluded[place] for place in sorted(excluded)], TEXT)
    return fit(rows, contracts.EXCLUSIONS)


def _no_rows(contract: Contract) -> pd.DataFrame:
    rows: pd.DataFrame = contract.table.arrow_schema.empty_table().to_pandas(types_mapper=pd.ArrowDtype)
    return rows


_NO_QUARANTINE, _NO_EXCLUSIONS = _no_rows(contracts.QUARANTINE), _no_rows(contracts.EXCLUSIONS)


def fit(rows: pd.DataFrame, contract: Contract, beside: Mapping[str, pd.Series] = MappingProxyType({})) -> pd.DataFrame:
    """Return the columns of a contract; those in `beside` are taken from there."""
    columns = {
        column.name: (beside[column.name] if column.name in beside else rows[column.name]).array
        for column in contract.table.columns
    }
    return pd.DataFrame(columns, copy=False)
