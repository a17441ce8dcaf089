"""What a description makes of a shop's records, asked from the shop and cleaned, and nothing written.

For whoever wants to know before a run: `doctor` asks for one business day, and for a page of customers and products.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
import pyarrow as pa

from analytics_pipeline.decoding.mapping import decode
from analytics_pipeline.profile.fields import FieldProfile
from analytics_pipeline.profile.unfound import Unfound, unfound
from analytics_pipeline.shop.spec import Endpoint
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction, extract_customers, extract_orders, extract_products
from analytics_pipeline.transforms.dimensions import clean_customers, clean_products
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders

EXAMPLES = 3
FIRST_SPAN, WIDER = 7, 8
"""Days that are asked for after yesterday, and how much longer each further range is."""
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
    """

    records: int
    source_count: int | None
    other_days: int
    clean: int
    quarantined: tuple[Fate, ...] = ()
    excluded: tuple[Fate, ...] = ()
    unfound: tuple[Unfound, ...] = ()
    shared_ids: tuple[str, ...] = ()


def preview_orders(client: ShopClient, day: date) -> Preview:
    """Ask for the orders of a business day and clean them.

    Raises:
        PipelineError: As `extract_orders`.
    """
    extraction = extract_orders(client, day, day)
    raw = _read(extraction)
    cleaned = clean_orders(raw, client.shop, EmailKey(secrets.token_bytes()))
    faults = cleaned.quarantine["column_name"] + ": " + cleaned.quarantine["reason"]
    return Preview(
        len(raw),
        extraction.source_count,
        extraction.outside_window,
        len(cleaned.orders),
        tuple(_fates(faults, cleaned.quarantine["order_id"])),
        tuple(_fates(cleaned.exclusions["reason"], cleaned.exclusions["order_id"])),
        _unfound(raw, client.shop.orders),
        tuple(_shared_ids(cleaned)),
    )


def preview_customers(client: ShopClient) -> Preview:
    """Ask for the first page of customers and clean it; raises as `preview_orders`."""
    extraction = extract_customers(client)
    raw = _read(extraction, pages=1)
    cleaned = clean_customers(raw, client.shop, EmailKey(secrets.token_bytes()))
    return _of_dimension(extraction, raw, client.shop.customers, len(cleaned.rows), cleaned.unreadable)


def preview_products(client: ShopClient) -> Preview:
    """Ask for the first page of products and clean it; raises as `preview_orders`."""
    extraction = extract_products(client)
    raw = _read(extraction, pages=1)
    cleaned = clean_products(raw, client.shop)
    return _of_dimension(extraction, raw, client.shop.products, len(cleaned.rows), cleaned.unreadable)


def last_day_with_orders(client: ShopClient, until: date) -> date | None:
    """Return the last business day up to `until` on which the shop has an order, None when it has none.

    Longer and longer ranges are asked for, back to the shop's first day, and the one that has orders is halved: a few
    dozen requests for years. A shop that takes no window is read once, from end to end.

    Raises:
        PipelineError: As `extract_orders`.
    """
    first_day = client.shop.first_day
    if until < first_day:
        return None
    if client.shop.orders.created_window is None:
        days = [max(batch.column("order_date").to_pylist()) for batch in extract_orders(client, first_day, until)]
        return max(days, default=None)

    def has_orders(first: date, last: date) -> bool:
        return any(batch.num_rows for batch in extract_orders(client, first, last))

    last, span = until, 1
    while not has_orders(first := max(first_day, last - timedelta(days=span - 1)), last):
        if first == first_day:
            return None
        last, span = first - timedelta(days=1), FIRST_SPAN if span == 1 else span * WIDER
    while first < last:
        middle = first + (last - first) // 2
        if has_orders(middle + timedelta(days=1), last):
            first = middle + timedelta(days=1)
        else:
            last = middle
    return last


def _read(extraction: Extraction, pages: int | None = None) -> pd.DataFrame:
    batches = [batch for _, batch in zip(range(pages), extraction, strict=False)] if pages else list(extraction)
    frame: pd.DataFrame = pa.Table.from_batches(batches, schema=extraction.schema).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _of_dimension(
    extraction: Extraction, raw: pd.DataFrame, endpoint: Endpoint, clean: int, unreadable: list[str]
) -> Preview:
    unread = [Fate("values that cannot be read", len(unreadable), tuple(unreadable[:EXAMPLES]))] if unreadable else []
    return Preview(
        len(raw),
        extraction.source_count,
        extraction.outside_window,
        clean,
        tuple(unread),
        unfound=_unfound(raw, endpoint),
    )


def _unfound(raw: pd.DataFrame, endpoint: Endpoint) -> tuple[Unfound, ...]:
    profile = FieldProfile(personal={"*"})
    for payload in raw["payload"]:
        try:
            profile.look_at(decode(payload))
        except ValueError:
            continue  # cleaning reports it
    return tuple(unfound(endpoint, profile.fields(), profile.records)) if not profile.notes else ()


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
