"""What `doctor` and `shop check` say of a shop: its description, credentials, answers, and the records of a day.

A business day is cleaned without writing; of customers and products a page is.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from analytics_pipeline.cli.preview import (
    Preview,
    preview_customers,
    preview_orders,
    preview_products,
)
from analytics_pipeline.cli.probes import Probe, Warned
from analytics_pipeline.errors import AnswerError, ShopUnavailableError
from analytics_pipeline.settings import DEFAULT_SHOP, SHOPS
from analytics_pipeline.shop.calendar import last_awaited_day
from analytics_pipeline.shop.files import FileList
from analytics_pipeline.shop.spec import PageProducts, Shop, load_shop
from analytics_pipeline.shop.twins import same_tables, twins_of
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.opening import open_directly
from analytics_pipeline.sources.source import Source

RETRIES = 1
"""Of a shop that does not answer: whoever calls waits for it."""
Connect = Callable[[], AbstractContextManager[Source]]
Seen = Callable[[str, Preview], None]
"""Is given the preview of orders, customers or products."""


def shop_probes(
    reference: str, day: date | None, *, beside: Sequence[Shop] = (), seen: Seen = lambda _, __: None
) -> Iterator[Probe]:
    """Yield the subjects, each with what says how it is.

    Args:
        reference: Name or path of the description.
        day: Whose orders are cleaned; the last one that has some when None.
        beside: The shops that there are.
        seen: Is given each preview, for whoever wants to know more than a line.
    """
    yield from offline_probes(reference, beside)
    yield "credentials", lambda: _credentials(load_shop(reference))
    yield "shop", lambda: _shop(load_shop(reference))

    def connect() -> AbstractContextManager[Source]:
        return open_directly(_impatient(load_shop(reference)))

    yield "orders", partial(_orders, connect, day, seen)
    yield "customers", partial(_dimension, connect, preview_customers, partial(seen, "customers"))
    yield "products", lambda: _products(load_shop(reference), connect, partial(seen, "products"))


def offline_probes(reference: str, beside: Sequence[Shop] = ()) -> Iterator[Probe]:
    """Yield what can be said of a description, and of it beside others, without asking the shop."""
    yield "description", lambda: _describe_shop(reference)
    yield "time zone", lambda: _time_zone(load_shop(reference))
    if len(beside) > 1:
        yield "beside", lambda: _beside(load_shop(reference), beside)


def _describe_shop(reference: str) -> str:
    shop = load_shop(reference)
    said = f"{reference}: shop {shop.name}, {shop.currency}, business days since {shop.first_day}"
    if (called := Path(reference).stem) == shop.name or Path(reference).parent.name != SHOPS:
        return said
    return Warned(
        f"{said}; --shop takes the file's name, {called}: call file and shop alike, since messages name the shop"
    )


def _beside(shop: Shop, others: Sequence[Shop]) -> str:
    """Say whether another shop would write the same tables, or is asked for the same."""
    twins = [*same_tables(shop, others), *twins_of(shop, others, os.environ)]
    return Warned("; ".join(twins)) if twins else "no other shop here is asked for the same"


def _time_zone(shop: Shop) -> str:
    now = datetime.now(UTC)
    local = now.astimezone(shop.zone)
    day = last_awaited_day(shop, now)
    which = "last day of the shop" if day == shop.last_day else "last complete business day"
    return f"{shop.timezone}: it is {local:%Y-%m-%d %H:%M} there, the {which} is {day}"


def _credentials(shop: Shop) -> str:
    if not shop.lists:
        return "none are needed: it is read from files"
    with ShopClient(shop):
        return (
            "no credentials asked for"
            if shop.auth.type == "none"
            else f"all variables of auth type {shop.auth.type} are set"
        )


def _impatient(shop: Shop) -> Shop:
    return shop.model_copy(update={"limits": shop.limits.model_copy(update={"retries": RETRIES})})


def _shop(shop: Shop) -> str:
    try:
        with open_directly(_impatient(shop)) as source:
            found = source.check()
    except ShopUnavailableError as error:
        if shop.name != DEFAULT_SHOP:
            raise
        hint = "The demo shop runs while `analytics-pipeline up`, `demo` or `demo --serve` does."
        raise ShopUnavailableError(f"{error}. {hint}") from error
    said = "; ".join([found.summary, *found.notes])
    return Warned(said) if found.notes else said


def _orders(connect: Connect, day: date | None, seen: Seen) -> str:
    with connect() as source:
        until = last_awaited_day(source.shop, datetime.now(UTC))
        chosen = day or source.last_day_with_orders(until)
        if chosen is None:
            return Warned(f"the shop has no order from {source.shop.first_day} to {until}")
        found = preview_orders(source, chosen)
    seen("orders", found)
    held = sum(fate.records for fate in found.quarantined)
    left_out = sum(fate.records for fate in found.excluded)
    counted = "" if source.shop.is_of_files else f", {_counted(found)}"
    summary = (
        f"{chosen}, cleaned without writing: {found.records} records{counted}; {found.clean} clean, "
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


def _dimension(connect: Connect, preview: Callable[[Source], Preview], seen: Callable[[Preview], None]) -> str:
    with connect() as source:
        listed = source.shop.customers if preview is preview_customers else source.shop.products
        if isinstance(listed, FileList) and not listed.files:
            return "no files of them are described: they are known by the orders alone"
        found = preview(source)
    seen(found)
    where = "in all files" if isinstance(listed, FileList) else f"on the first page, {_counted(found)}"
    messages = [f"{found.records} records {where}", *map(str, found.quarantined)]
    return _describe(found, messages, is_odd=bool(found.quarantined))


def _products(shop: Shop, connect: Connect, seen: Callable[[Preview], None]) -> str:
    if not isinstance(shop.products, PageProducts):
        return _dimension(connect, preview_products, seen)
    from analytics_pipeline.cli.pages import describe_pages  # noqa: PLC0415 - loads the parsers of HTML and XML

    return describe_pages(shop, shop.products, seen)


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
