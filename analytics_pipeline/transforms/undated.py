"""What becomes of orders without a business day: in quarantine with a reason, or left out by a rule."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline.transforms.raw import UndatedRecord, keys_of

Row = dict[str, Any]


def judge_undated(records: Sequence[UndatedRecord], seen_on: date, shop: Shop) -> list[Row]:
    """Return one row per order, with the columns of `ops.undated_orders` but for the stamps.

    Args:
        records: Orders whose business day is not known.
        seen_on: The business day on which they were seen.
        shop: Maps and judges them.
    """
    if not records:
        return []
    raw = [
        {
            "order_id": key,
            "order_date": seen_on,
            "extracted_at": datetime.now(UTC),
            "payload": record.payload,
        }
        for key, record in zip(keys_of(records), records, strict=True)
    ]
    frame = pa.Table.from_pylist(raw, schema=RAW_ORDERS.table.arrow_schema).to_pandas(types_mapper=pd.ArrowDtype)
    judged = clean_orders(frame, shop)
    payloads = {row["order_id"]: row["payload"] for row in raw}
    quarantined = pa.Table.from_pandas(judged.quarantine, preserve_index=False).to_pylist()
    excluded = pa.Table.from_pandas(judged.exclusions, preserve_index=False).to_pylist()
    return [
        *({**row, "seen_on": seen_on, "is_excluded": False} for row in quarantined),
        *(
            {**row, "seen_on": seen_on, "is_excluded": True, "payload": payloads[row["order_id"]]}
            | {"money_at_risk": row["order_total"]}
            for row in excluded
        ),
    ]
