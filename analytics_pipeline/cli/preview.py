"""What a description makes of a shop's records, asked from the shop and cleaned, and nothing written.

For whoever wants to know before a run: `doctor` asks for one business day, and for a page of customers and products.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date

import pandas as pd
import pyarrow as pa

from analytics_pipeline.cli.children import ask_for_children
from analytics_pipeline.days import Days
from analytics_pipeline.decoding.mapping import compile_path, decode
from analytics_pipeline.profile.columns import columns_read
from analytics_pipeline.profile.fields import Field, FieldProfile
from analytics_pipeline.profile.mapped import expressions_of, mapped_paths, personal_paths
from analytics_pipeline.profile.unfound import Unfound, unfound
from analytics_pipeline.shop.files import ROWS, UNREADABLE, FileList
from analytics_pipeline.shop.reading import OWN_COLUMNS
from analytics_pipeline.shop.spec import Records, Shop
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.records import Records as Read
from analytics_pipeline.sources.source import Source
from analytics_pipeline.transforms.dimensions import clean_customers, clean_products
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import DIFFERS, CleanOrders, clean_orders
from analytics_pipeline.transforms.records import Columns, Faults, OrderReader
from analytics_pipeline.transforms.related import NO_CHILDREN, put_into_orders

EXAMPLES = 3
HOLDERS = {"object", "list"}
STATED = ("discounts", "taxes", "total")
"""Totals that an order may state of itself."""
ONE_CUSTOMER_ADDRESSES = 3
"""So many e-mail addresses under one customer id, most of them new each time, are several people."""


@dataclass(frozen=True)
class Fate:
    """Records that share one reason.

    Attributes:
        reason: Why, with the field, as in `total: does not equal the sum of its parts`.
        records: How many.
        examples: Ids of some.
    """

    reason: str
    records: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.reason} ({self.records}, such as {', '.join(self.examples)})"


@dataclass(frozen=True)
class MappedValue:
    """What one mapped path found.

    Attributes:
        role: The description's key, such as `lines.unit_price`.
        expression: What it is mapped to.
        found: Records, or entries of the list, in which it found a value.
        of: How many there are.
    """

    role: str
    expression: str
    found: int
    of: int


@dataclass(frozen=True)
class Identity:
    """How often a total that the shop states equals what its parts add up to.

    Attributes:
        field: The total.
        stated: Orders that state it.
        differing: Those of them where it does not.
    """

    field: str
    stated: int
    differing: int

    def __str__(self) -> str:
        if not self.stated:
            return f"{self.field}: stated by no order, so nothing is compared"
        return f"{self.field}: {self.stated - self.differing} of {self.stated} equal the sum of their parts"


@dataclass(frozen=True)
class Preview:
    """What became of the records.

    Attributes:
        records: Records that came.
        source_count: The shop's own count of the query, where it gives one.
        other_days: Records that the shop served though their day is another.
        clean: Records that would be stored.
        quarantined: Why others would go into quarantine, or which of their values would be null.
        excluded: Why others would be left out on purpose.
        unfound: Mapped paths that no record has.
        shared_ids: Customer ids that stand for several people, in words.
        mapped: What each mapped path found.
    """

    records: int
    source_count: int | None
    other_days: int
    clean: int
    quarantined: tuple[Fate, ...] = ()
    excluded: tuple[Fate, ...] = ()
    unfound: tuple[Unfound, ...] = ()
    shared_ids: tuple[str, ...] = ()
    mapped: tuple[MappedValue, ...] = ()


@dataclass(frozen=True)
class OrdersPreview(Preview):
    """What became of the orders of a business day.

    Attributes:
        cleaned: The rows that would be written.
        identities: What the shop's own totals prove.
        unmapped: Fields of the records that no mapped path reads.
    """

    cleaned: CleanOrders = field(kw_only=True)
    identities: tuple[Identity, ...] = ()
    unmapped: tuple[Field, ...] = ()


def preview_orders(source: Source, day: date) -> OrdersPreview:
    """Read the orders of a business day and clean them.

    Raises:
        PipelineError: As `Source.orders`.
    """
    shop, extraction = source.shop, source.orders(Days(day, day))
    raw = _read(extraction)
    children = ask_for_children(source.client, raw, day, day) if isinstance(source, ApiSource) else NO_CHILDREN
    cleaned = clean_orders(raw, shop, EmailKey(secrets.token_bytes()), children=children)
    faults = cleaned.quarantine["column_name"] + ": " + cleaned.quarantine["reason"]
    documents, profile = _profiled(raw, shop.orders)
    if len(documents) == len(raw):
        places = zip(raw["order_id"], raw["order_date"], strict=True)
        put_into_orders(documents, places, children, shop, Faults())
    mapped = _mapped(shop.orders, _values_of_orders(shop, documents))
    return OrdersPreview(
        len(raw),
        extraction.source_count,
        extraction.outside_window,
        len(cleaned.orders),
        tuple(_fates(faults, cleaned.quarantine["order_id"])),
        tuple(_fates(cleaned.exclusions["reason"], cleaned.exclusions["order_id"])),
        _unfound(shop.orders, profile),
        tuple(_shared_ids(cleaned)),
        mapped,
        cleaned=cleaned,
        identities=tuple(_identities(mapped, cleaned)),
        unmapped=_unmapped(shop.orders, profile),
    )


def preview_customers(source: Source) -> Preview:
    """Read the first page of customers, or all that files have, and clean it; raises as `preview_orders`."""
    extraction = source.customers()
    raw = _read(extraction, pages=1)
    cleaned = clean_customers(raw, source.shop, EmailKey(secrets.token_bytes()))
    return _of_dimension(extraction, raw, source.shop.customers, len(cleaned.rows), cleaned.unreadable)


def preview_products(source: Source) -> Preview:
    """Read the first page of products, or all that files have, and clean it; raises as `preview_orders`."""
    extraction = source.products()
    raw = _read(extraction, pages=1)
    cleaned = clean_products(raw, source.shop)
    return _of_dimension(extraction, raw, source.shop.products, len(cleaned.rows), cleaned.unreadable)


def _read(extraction: Read, pages: int | None = None) -> pd.DataFrame:
    batches = [batch for _, batch in zip(range(pages), extraction, strict=False)] if pages else list(extraction)
    frame: pd.DataFrame = pa.Table.from_batches(batches, schema=extraction.schema).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _of_dimension(extraction: Read, raw: pd.DataFrame, endpoint: Records, clean: int, unreadable: list[str]) -> Preview:
    found = preview_of(raw, endpoint, clean, unreadable)
    return replace(found, source_count=extraction.source_count, other_days=extraction.outside_window)


def preview_of(raw: pd.DataFrame, endpoint: Records, clean: int, unreadable: list[str]) -> Preview:
    """Return what became of some customers or products.

    Args:
        raw: Their records.
        endpoint: The description of the list.
        clean: How many were cleaned.
        unreadable: Their values that could not be read.
    """
    unread = [Fate("values that cannot be read", len(unreadable), tuple(unreadable[:EXAMPLES]))] if unreadable else []
    documents, profile = _profiled(raw, endpoint)
    values: Columns = {
        one.role: [_looked_up(one.expression, document) for document in documents] for one in expressions_of(endpoint)
    }
    return Preview(
        len(raw),
        None,
        0,
        clean,
        tuple(unread),
        unfound=_unfound(endpoint, profile),
        mapped=_mapped(endpoint, values),
    )


def _profiled(raw: pd.DataFrame, endpoint: Records) -> tuple[list[object], FieldProfile]:
    """Return the records as decoded values, and their profile; what cannot be decoded is reported by cleaning."""
    profile = FieldProfile(personal=personal_paths(mapped_paths(endpoint)))
    documents = []
    for payload in raw["payload"]:
        with suppress(ValueError):
            documents.append(decode(payload))
            profile.look_at(documents[-1])
    return documents, profile


def _unfound(endpoint: Records, profile: FieldProfile) -> tuple[Unfound, ...]:
    return tuple(unfound(endpoint, profile.fields(), profile.records)) if not profile.notes else ()


def _unmapped(endpoint: Records, profile: FieldProfile) -> tuple[Field, ...]:
    read = mapped_paths(endpoint)
    found = (one for one in profile.fields() if one.path not in read and one.json_type not in HOLDERS)
    return tuple(one for one in found if not isinstance(endpoint, FileList) or not _is_of_rows(one.path, endpoint))


def _is_of_rows(path: str, listed: FileList) -> bool:
    """Whether a path of a record that is made of rows names no column that nothing reads, or names it once more."""
    name, *rest = path.split(".")
    return name in {*OWN_COLUMNS, *columns_read(listed)} or name.startswith(f"{ROWS}[") or UNREADABLE in rest


def _values_of_orders(shop: Shop, documents: Sequence[object]) -> Columns:
    """Return what each mapped path finds, by its key in the description."""
    records = OrderReader(shop).read(documents, Faults())
    parts = {
        "": records.orders,
        "lines.": records.lines.columns,
        "refunds.": records.refunds.columns,
        "refunds.lines.": records.refund_lines.columns,
    }
    return {f"{prefix}{name}": values for prefix, columns in parts.items() for name, values in columns.items()}


def _mapped(endpoint: Records, values: Columns) -> tuple[MappedValue, ...]:
    expressions = {one.role: one.expression for one in expressions_of(endpoint)}
    return tuple(
        MappedValue(role, expressions[role], sum(value is not None for value in found), len(found))
        for role, found in values.items()
        if role in expressions
    )


def _looked_up(path: str, document: object) -> object:
    try:
        return compile_path(path)(document)
    except ValueError:
        return None


def _identities(mapped: Sequence[MappedValue], cleaned: CleanOrders) -> Iterator[Identity]:
    stated = {one.role: one.found for one in mapped}
    faulty = cleaned.quarantine[cleaned.quarantine["reason"] == DIFFERS]["column_name"].astype(str)
    for name in STATED:
        yield Identity(name, stated.get(name, 0), int((faulty == name).sum()))


def _fates(reasons: pd.Series, ids: pd.Series) -> Iterator[Fate]:
    """Yield the reasons, the commonest first."""
    rows = pd.DataFrame({"reason": reasons.astype(str), "id": ids.astype(str)})
    groups = sorted(rows.groupby("reason")["id"], key=lambda group: (-len(group[1]), group[0]))
    for reason, found in groups:
        yield Fate(str(reason), len(found), tuple(found[:EXAMPLES]))


def _shared_ids(cleaned: CleanOrders) -> Iterator[str]:
    orders = cleaned.orders[["customer_id", "email_hash"]].dropna().astype(str)
    for customer_id, addresses in orders.groupby("customer_id")["email_hash"]:
        people = addresses.nunique()
        if people >= ONE_CUSTOMER_ADDRESSES and 2 * people > len(addresses):
            yield f"{customer_id} stands for {people} different e-mail addresses"
