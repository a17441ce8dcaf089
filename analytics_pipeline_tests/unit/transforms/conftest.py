"""A shop's description, a healthy order, and short ways to clean records and to read what came out."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from analytics_pipeline.shop import spec
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables import contracts
from analytics_pipeline.tables.promises import violations
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders

DAY = date(2025, 3, 10)
EXTRACTED_AT = datetime(2025, 4, 1, 2, tzinfo=UTC)
_DEMO_FILE = Path(spec.__file__).parent / "packaged" / "demo.yaml"
_DEMO: dict[str, Any] = yaml.safe_load(_DEMO_FILE.read_text(encoding="utf-8"))


def shop(**changes: Any) -> Shop:  # noqa: ANN401  # YAML
    """The demo shop's description; keywords change its `orders`, where None takes a key away."""
    orders = {key: value for key, value in (_DEMO["orders"] | changes).items() if value is not None}
    return Shop.model_validate(_DEMO | {"first_day": "2025-01-01", "orders": orders})


def fields(**changes: str | None) -> dict[str, str]:
    """The demo shop's order fields with changed paths; None takes a field away."""
    return {key: value for key, value in (_DEMO["orders"]["fields"] | changes).items() if value is not None}


def line_fields(**changes: str | None) -> dict[str, Any]:
    """The demo shop's mapping of lines with changed paths; None takes a field away."""
    paths = {key: value for key, value in (_DEMO["orders"]["lines"]["fields"] | changes).items() if value is not None}
    return {"records": "lines", "fields": paths}


def refunds_with(**changes: str | None) -> dict[str, Any]:
    """The demo shop's mapping of refunds with changed paths of their lines; None takes a field away."""
    refunds = _DEMO["orders"]["refunds"]
    paths = {key: value for key, value in (refunds["lines"]["fields"] | changes).items() if value is not None}
    return dict(refunds | {"lines": refunds["lines"] | {"fields": paths}})


def line(number: int = 1, **changes: object) -> dict[str, Any]:
    """A line of two mugs at 10.00, 1.00 off, taxed at 19 %."""
    return {
        "id": number,
        "product_id": "P1",
        "title": "Mug",
        "quantity": 2,
        "unit_price": "10.00",
        "discount": "1.00",
        "tax": "3.61",
        "tax_rate": "0.19",
    } | changes


def order(order_id: str = "A", **changes: object) -> dict[str, Any]:
    """A healthy order of one line with shipping: 20.00 - 1.00 + 5.00 + 4.56 = 28.56."""
    return {
        "id": order_id,
        "created_at": "2025-03-10T09:00:00Z",
        "updated_at": "2025-03-10T09:00:00Z",
        "cancelled_at": None,
        "is_test": False,
        "currency": "EUR",
        "prices_include_tax": False,
        "customer": {"id": "C1"},
        "email": "ada@example.com",
        "country": "DE",
        "order_discount": "0.00",
        "discount_total": "1.00",
        "shipping": "5.00",
        "shipping_tax": "0.95",
        "tax_total": "4.56",
        "total": "28.56",
        "lines": [line()],
        "refunds": [],
    } | changes


def refund(*lines: Mapping[str, object], refund_id: str = "R1", **changes: object) -> dict[str, Any]:
    """A refund of 20 March without shipping or adjustment."""
    return {
        "id": refund_id,
        "created_at": "2025-03-20T23:30:00Z",
        "shipping": "0.00",
        "shipping_tax": "0.00",
        "adjustment": "0.00",
        "lines": list(lines),
    } | changes


def one_mug(**changes: object) -> dict[str, Any]:
    """A refund line: one of the two mugs taken back."""
    return {"line_id": 1, "quantity": 1, "amount": "9.50", "tax": "1.80"} | changes


EMAILS = EmailKey(b"a key of 32 letters and some more")


def raw_rows(records: Sequence[Mapping[str, Any] | str], *, minutes: Sequence[int] | None = None) -> pd.DataFrame:
    """Rows of `raw/orders` of 10 March; a text is a payload as it is, `minutes` tell when each was extracted."""
    rows = [
        {
            "order_id": "X" if isinstance(record, str) else record["id"],
            "order_date": DAY,
            "extracted_at": EXTRACTED_AT.replace(minute=minutes[place] if minutes else 0),
            "payload": record if isinstance(record, str) else json.dumps(record),
        }
        for place, record in enumerate(records)
    ]
    table = pa.Table.from_pylist(rows, schema=contracts.RAW_ORDERS.table.arrow_schema)
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def cleaned(*records: Mapping[str, Any] | str, of: Shop | None = None) -> CleanOrders:
    """Clean records; whatever comes of them fits the contracts and is wholly explained."""
    result = clean_orders(raw_rows(records), of or shop(), EMAILS)
    fits_contracts(result)
    assert result.accounting.unexplained_orders == 0
    assert result.accounting.unexplained_difference == 0
    return result


def fits_contracts(result: CleanOrders) -> None:
    for contract, rows in (
        (contracts.CLEAN_ORDERS, result.orders),
        (contracts.CLEAN_ORDER_LINES, result.order_lines),
        (contracts.CLEAN_SALES, result.sales),
        (contracts.QUARANTINE, result.quarantine),
        (contracts.EXCLUSIONS, result.exclusions),
    ):
        assert violations(contract, rows) == []


def rows_of(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a frame as tuples of plain values."""
    found: list[dict[str, Any]] = pa.Table.from_pandas(frame[list(columns)], preserve_index=False).to_pylist()
    return [tuple(row.values()) for row in found]


def fault(*records: Mapping[str, Any] | str, of: Shop | None = None) -> tuple[Any, ...]:
    """Table, column, reason and value that the only faulty record is quarantined for; the others become clean."""
    result = cleaned(*records, of=of)
    assert len(result.quarantine) == 1
    return rows_of(result.quarantine, "table_name", "column_name", "reason", "value")[0]


def money(*amounts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(amount) for amount in amounts)
