"""What `doctor` says of a shop's records: a business day cleaned without writing, a page of customers and products."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial

from analytics_pipeline.cli.preview import (
    Preview,
    last_day_with_orders,
    preview_customers,
    preview_orders,
    preview_products,
)
from analytics_pipeline.errors import AnswerError
from analytics_pipeline.shop.calendar import last_complete_day
from analytics_pipeline.sources.client import ShopClient


class Warned(str):
    """A line that is worth reading though nothing failed."""

    __slots__ = ()


def record_probes(connect: Callable[[], ShopClient], day: date | None) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the subjects, each with what says how it is; the last day with orders is taken without a `day`."""
    yield "orders", partial(_orders, connect, day)
    yield "customers", partial(_dimension, connect, preview_customers)
    yield "products", partial(_dimension, connect, preview_products)


def _orders(connect: Callable[[], ShopClient], day: date | None) -> str:
    with connect() as client:
        until = last_complete_day(client.shop, datetime.now(UTC))
        chosen = day or last_day_with_orders(client, until)
        if chosen is None:
            return Warned(f"the shop has no order from {client.shop.first_day} to {until}")
        found = preview_orders(client, chosen)
    held = sum(fate.records for fate in found.quarantined)
    left_out = sum(fate.records for fate in found.excluded)
    summary = (
        f"{chosen}, cleaned without writing: {found.records} records, {_counted(found)}; {found.clean} clean, "
        f"{held} would go into quarantine, {left_out} would be left out on purpose"
    )
    messages = [
        summary,
        *(f"quarantine: {one}" for one in found.quarantined),
        *(f"left out: {one}" for one in found.excluded),
    ]
    if found.other_days:
        messages.append(f"{found.other_days} records are of another day: check timezone, times and created_window")
    if held and not found.clean:
        raise AnswerError(f"{'; '.join(messages)}. None is clean: the mapping does not fit the shop's records.")
    return _describe(found, messages, is_odd=bool(held))


def _dimension(connect: Callable[[], ShopClient], preview: Callable[[ShopClient], Preview]) -> str:
    with connect() as client:
        found = preview(client)
    messages = [f"{found.records} records on the first page, {_counted(found)}", *map(str, found.quarantined)]
    return _describe(found, messages, is_odd=bool(found.quarantined))


def _describe(found: Preview, messages: list[str], *, is_odd: bool) -> str:
    suspect = [one for one in found.unfound if one.is_suspect]
    messages += [*map(str, suspect), *(f"customer id {one}: see `empty`" for one in found.shared_ids)]
    absent = [one.role for one in found.unfound if not one.is_suspect]
    if absent and found.records:
        messages.append(f"in no record, which may be right: {', '.join(absent)}")
    text = "; ".join(messages)
    return Warned(text) if is_odd or suspect or found.shared_ids or not found.records else text


def _counted(found: Preview) -> str:
    return "the shop gives no count" if found.source_count is None else f"the shop counts {found.source_count}"
