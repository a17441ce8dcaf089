"""Cleaning of customers and products: from raw records to one typed row each, newest version, personal data hashed.

A value that cannot be read becomes null and is counted; the record as sent stays in the raw table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.mapping import compile_path, decode, id_text
from analytics_pipeline.profile.fields import kind_of
from analytics_pipeline.shop.endpoints import Records
from analytics_pipeline.shop.fields import CustomerFields, ProductFields
from analytics_pipeline.shop.spec import PageProducts, Shop
from analytics_pipeline.tables import contracts
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.shape import DAY, TEXT
from analytics_pipeline.transforms.amounts import Amounts
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.raw import NO_ID
from analytics_pipeline.transforms.records import Columns, without_nothing
from analytics_pipeline.transforms.typed import TypedColumns
from analytics_pipeline.transforms.values import arrow_series, places


@dataclass(frozen=True)
class CleanDimension:
    """Clean rows, and the values that could not be read.

    Attributes:
        rows: The contract's columns with Arrow dtypes.
        unreadable: Id, field, kind of value and reason of each value that became null; never the value, which may be
            of a person and stays in the raw table.
    """

    rows: pd.DataFrame
    unreadable: list[str]


def clean_customers(raw: pd.DataFrame, shop: Shop, emails: EmailKey) -> CleanDimension:
    """Clean the customers.

    Args:
        raw: Rows of `raw/customers` with Arrow dtypes; not changed. May be empty.
        shop: Maps the records.
        emails: Hashes the addresses.
    """
    ids, fields, unreadable = _newest(raw, "customer_id", shop.customers, shop.customers.fields, shop)
    first_orders: list[datetime | None] = pa.array(fields.stamps("first_order_at")).to_pylist()
    first_days = [None if stamp is None else business_day(stamp, shop.zone) for stamp in first_orders]
    columns = {
        "customer_id": ids,
        "email_hash": arrow_series([emails.hash(address) for address in fields.values("email")], TEXT),
        "country": fields.texts("country"),
        "registered_at": fields.stamps("created_at"),
        "first_order_date": arrow_series(first_days, DAY),
        "updated_at": fields.stamps("updated_at"),
    }
    return _dimension(columns, contracts.CLEAN_CUSTOMERS, unreadable)


def clean_products(raw: pd.DataFrame, shop: Shop) -> CleanDimension:
    """Clean the products.

    Args:
        raw: Rows of `raw/products` with Arrow dtypes; not changed. May be empty.
        shop: Maps the records.
    """
    ids, fields, unreadable = _newest(raw, "product_id", shop.products, shop.products.fields, shop)
    columns = {
        "product_id": ids,
        "title": fields.texts("title"),
        "category": fields.texts("category"),
        "price": fields.money("price"),
        "cost": fields.money("cost"),
        "updated_at": fields.stamps("updated_at"),
    }
    return _dimension(columns, contracts.CLEAN_PRODUCTS, unreadable)


def _dimension(columns: Mapping[str, pd.Series], contract: Contract, unreadable: list[str]) -> CleanDimension:
    return CleanDimension(pd.DataFrame(columns)[[column.name for column in contract.table.columns]], unreadable)


def _newest(
    raw: pd.DataFrame, id_column: str, described: Records, mapped: CustomerFields | ProductFields, shop: Shop
) -> tuple[pd.Series, TypedColumns, list[str]]:
    """Return the ids, the fields of the newest version of each, and the list that unreadable values are noted in.

    Amounts are in the shop's currency.

    A record without an id is noted there, and has no row.
    """
    order = [id_column, "changed_at", "extracted_at", "payload"]
    newest = raw.sort_values(order, na_position="first", kind="stable")
    newest = newest.drop_duplicates(id_column, keep="last").reset_index(drop=True)
    unreadable: list[str] = []
    documents = [_decoded(payload) for payload in newest["payload"]]
    faults = _faults_of_ids(newest[id_column], documents, dict(mapped)[id_column])
    if faults:
        unreadable += [f"{newest[id_column].iat[place]}: {id_column}, {fault}" for place, fault in faults.items()]
        documents = [document for place, document in enumerate(documents) if place not in faults]
        newest = newest.drop(index=list(faults)).reset_index(drop=True)
    ids: list[str] = newest[id_column].tolist()

    def note(place: int, reason: str, field: str, value: object) -> None:
        unreadable.append(f"{ids[place]}: {field}: {reason}" + ("" if value is None else f", but {kind_of(value)}"))

    def found(place: int, field: str, look_up: Callable[[object], object], document: object) -> object:
        try:
            return look_up(document)
        except ValueError as error:
            note(place, f"its path cannot be looked up ({error})", field, None)
            return None

    columns: Columns = {}
    nothing = described.stands_for_nothing()
    for field, path in mapped:
        if path is not None:
            look_up = compile_path(path)
            values = [found(place, field, look_up, document) for place, document in enumerate(documents)]
            columns[field] = without_nothing(values, nothing.get(field, frozenset()))
    amounts = Amounts(_as_written(described, shop), [shop.currency] * len(ids)).of()
    return newest[id_column], TypedColumns(columns, amounts, note, described.times), unreadable


def _as_written(described: Records, shop: Shop) -> Shop:
    """Return the shop that says how amounts are written: 19.99 on pages for people, though it be 1999 in the API."""
    if not isinstance(described, PageProducts):
        return shop
    return shop.model_copy(update={"money": shop.money.model_copy(update={"unit": "major"})})


def _decoded(payload: str) -> object:
    try:
        return decode(payload)
    except ValueError:
        return None


def _faults_of_ids(keys: pd.Series, documents: Sequence[object], path: str) -> dict[int, str]:
    """Return why records stand under a key of their content, by position."""
    faults: dict[int, str] = {}
    look_up = compile_path(path)
    for place in places(keys.str.startswith(NO_ID)):
        try:
            if id_text(look_up(documents[place])) != keys.iat[place]:
                faults[place] = "not all of it is UTF-8"
        except ValueError as error:
            faults[place] = str(error) if isinstance(documents[place], dict) else "not an object that can be read"
    return faults
