"""The contract of clean orders with a description's own fields, each a column of its type."""

from functools import cache

import pyarrow as pa

from analytics_pipeline.shop.fields import EXTRA_PREFIX
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contract import Contract, column, contract
from analytics_pipeline.tables.contracts import CLEAN_ORDERS
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT

EXTRA_TYPES: dict[str, pa.DataType] = {
    "text": TEXT,
    "number": pa.decimal128(38, 9),
    "money": MONEY,
    "count": COUNT,
    "flag": FLAG,
    "stamp": STAMP,
    "day": DAY,
}
"""Types of a description's own fields."""


@cache
def _orders_with(extra: tuple[tuple[str, str, str], ...]) -> Contract:
    own = {name: column(EXTRA_TYPES[kind], f"{path} of the record.", nullable=True) for name, kind, path in extra}
    table = CLEAN_ORDERS.table
    return contract(
        "clean/orders",
        table.description,
        {**CLEAN_ORDERS.schema.columns, **own},
        rules=CLEAN_ORDERS.schema.checks,
        key=table.key,
        day_column=table.day_column,
        indexes=table.indexes,
    )


def orders_contract(shop: Shop) -> Contract:
    """Return the contract of clean/orders with the columns of a description's own fields, after all others."""
    extra = shop.orders.extra.items()
    return (
        _orders_with(tuple((f"{EXTRA_PREFIX}{name}", one.type, one.path) for name, one in extra))
        if extra
        else CLEAN_ORDERS
    )
