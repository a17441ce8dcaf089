"""Cleaning of customers and products: from raw records to one typed row each, newest version, personal data hashed.

A value that cannot be read becomes null and is counted; the record as sent stays in the raw table.
"""

from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd
import pyarrow as pa

from analytics_pipeline import contracts
from analytics_pipeline.sources.mapping import business_day, compile_path, decode, parse_stamp
from analytics_pipeline.sources.spec import Model, Shop
from analytics_pipeline.tables import DAY, MONEY, STAMP, TEXT
from analytics_pipeline.transforms.values import arrow_series, hash_email, money_column, text_or_none


@dataclass(frozen=True)
class CleanDimension:
    """Clean rows, and the values that could not be read.

    Attributes:
        rows: The contract's columns with Arrow dtypes.
        unreadable: `id: column = value` of each value that became null.
    """

    rows: pd.DataFrame
    unreadable: list[str]


def clean_customers(raw: pd.DataFrame, shop: Shop) -> CleanDimension:
    """Clean the customers.

    Args:
        raw: Rows of `raw/customers` with Arrow dtypes; not changed. May be empty.
        shop: Maps the records.
    """
    records = _Records(raw, "customer_id", shop.customers.fields, shop)
    first_orders = [None if stamp is None else business_day(stamp, shop.zone) for stamp in records.stamps("first_order_at")]
    rows = pd.DataFrame(
        {
            "customer_id": arrow_series(records.ids, TEXT),
            "email_hash": arrow_series([hash_email(value) for value in records.values("email")], TEXT),
            "country": arrow_series([text_or_none(value) for value in records.values("country")], TEXT),
            "registered_at": arrow_series(records.stamps("created_at"), STAMP),
            "first_order_date": arrow_series(list[date | None](first_orders), DAY),
            "updated_at": arrow_series(records.stamps("updated_at"), STAMP),
        }
    )
    return CleanDimension(rows[[column.name for column in contracts.CLEAN_CUSTOMERS.table.columns]], records.unreadable)


def clean_products(raw: pd.DataFrame, shop: Shop) -> CleanDimension:
    """Clean the products.

    Args:
        raw: Rows of `raw/products` with Arrow dtypes; not changed. May be empty.
        shop: Maps the records.
    """
    records = _Records(raw, "product_id", shop.products.fields, shop)
    rows = pd.DataFrame(
        {
            "product_id": arrow_series(records.ids, TEXT),
            "title": arrow_series([text_or_none(value) for value in records.values("title")], TEXT),
            "category": arrow_series([text_or_none(value) for value in records.values("category")], TEXT),
            "price": arrow_series(records.amounts("price"), MONEY),
            "updated_at": arrow_series(records.stamps("updated_at"), STAMP),
        }
    )
    return CleanDimension(rows[[column.name for column in contracts.CLEAN_PRODUCTS.table.columns]], records.unreadable)


class _Records:
    """The newest version of each record, read field by field."""

    def __init__(self, raw: pd.DataFrame, id_column: str, fields: Model, shop: Shop) -> None:
        newest = raw.sort_values([id_column, "changed_at", "extracted_at", "payload"], na_position="first", kind="stable")
        newest = newest.drop_duplicates(id_column, keep="last")
        self.ids: list[str] = newest[id_column].tolist()
        self.unreadable: list[str] = []
        self._documents = [decode(payload) for payload in newest["payload"]]
        self._fields = {name: compile_path(path) for name, path in fields if path is not None}
        self._shop = shop

    def values(self, field: str) -> list[object]:
        """Return a field of all records, None where it is not mapped or absent."""
        get = self._fields.get(field)
        return [get(document) if get else None for document in self._documents]

    def stamps(self, field: str) -> list[datetime | None]:
        """Return a stamp of all records, None where it is absent or unreadable."""
        return [self._stamp(place, field, value) for place, value in enumerate(self.values(field))]

    def _stamp(self, place: int, field: str, value: object) -> datetime | None:
        if value is None or value == "":
            return None
        try:
            return parse_stamp(value, self._shop.times, self._shop.zone)
        except ValueError:
            self._note(place, field, value)
            return None

    def amounts(self, field: str) -> pa.Array:
        """Return an amount of all records, null where it is absent or unreadable."""
        values = self.values(field)
        amounts, bad = money_column(values)
        for place in bad:
            self._note(place, field, values[place])
        return amounts

    def _note(self, place: int, field: str, value: object) -> None:
        self.unreadable.append(f"{self.ids[place]}: {field} = {str(value)[:80]}")
