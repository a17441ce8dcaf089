"""What a call says: its id, its topic, and which order of which day it is of, as each platform writes that. Pure.

Calls are signed by then (`signatures`), and still hints only: what an order comes to is read from the shop.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.mapping import compile_path, decode, id_text, parse_stamp
from analytics_pipeline.shop.protocol import Times
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.shop.webhooks import Dialect, Webhooks
from analytics_pipeline.webhooks.refusals import Reason, Refused
from analytics_pipeline.webhooks.signatures import Headers

STRANGE = "?"
"""Stands for a topic that is no plain word."""
_ID = re.compile(r"[!-~]{1,200}")
_DIGITS = 16
_TOPIC = re.compile(r"[\w./:-]{1,100}", re.ASCII)
_PING = re.compile(rb"webhook_id=\d{1,20}")
_OF_SHOPIFYS_ORDERS = {"orders/edited": "order_edit", "refunds/create": "", "order_transactions/create": ""}
"""Topics of what belongs to an order, and where in the body that is."""
_ORDER_OF_SHOPIFY = "gid://shopify/Order/"
_ISO, _UNIX = Times(), Times(format="unix_seconds")

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """What a call says.

    Attributes:
        call_id: Its id, the same when it comes again.
        content: SHA-256 of its body, as hex digits.
        topic: What it is about, in the platform's words.
        is_of_order: Whether it says of an order what figures may follow from.
        order_id: The order, as the description's `order_id` reads it; None where it cannot be read.
        order_date: The order's business day; None where the call does not say when it was placed.
        changed_at: The order's change stamp; None without one.
        happened_at: When that happened which it reports, by the shop; None where that is not said.
        is_deletion: Whether it reports that the order is gone.
        is_id_signed: Whether its id is part of what is signed. Otherwise whoever has recorded it can give it another.
    """

    call_id: str
    content: str
    topic: str
    is_of_order: bool = True
    order_id: str | None = None
    order_date: date | None = None
    changed_at: datetime | None = None
    happened_at: datetime | None = None
    is_deletion: bool = False
    is_id_signed: bool = True

    @property
    def is_dated(self) -> bool:
        """Whether it says when it is of: then another one of the same content is the same call."""
        return self.changed_at is not None or self.happened_at is not None


class CallReader:
    """Reads the signed calls of one shop."""

    def __init__(self, shop: Shop, webhooks: Webhooks) -> None:
        self._read = _READERS[webhooks.dialect]
        # Ids in headers are not signed. WooCommerce makes them of webhook and second: orders of one second share one.
        self._is_id_signed = webhooks.dialect not in {"shopify", "woocommerce"}
        self._records = _Records(shop, webhooks)

    def read(self, headers: Headers, body: bytes) -> Call:
        """Read one.

        Raises:
            Refused: Its body is no object of JSON.
        """
        try:
            document = decode(body)
        except ValueError:
            raise Refused(Reason.UNREADABLE) from None
        if not isinstance(document, dict):
            raise Refused(Reason.UNREADABLE)
        content = hashlib.sha256(body).hexdigest()
        call_id, topic, said = self._read(headers, document, self._records)
        if call_id and not self._is_id_signed:
            call_id = f"{call_id}/{content[:_DIGITS]}"
        return Call(
            call_id=call_id if call_id and _ID.fullmatch(call_id) else content,
            content=content,
            topic=topic if _TOPIC.fullmatch(topic) else STRANGE,
            is_id_signed=self._is_id_signed,
            **said,
        )


def is_ping(headers: Headers, body: bytes) -> bool:
    """Whether an unsigned call is WooCommerce's first one, by which it tries an address out; it says nothing."""
    return not headers.getlist("x-wc-webhook-topic") and bool(_PING.fullmatch(body))


class _Records:
    """Reads a record as the description's orders are read, where the platform's calls spell its fields otherwise."""

    def __init__(self, shop: Shop, webhooks: Webhooks) -> None:
        self._shop, fields, dialect = shop, shop.orders.fields, webhooks.dialect
        self.within = compile_path(webhooks.order)
        self._times = shop.times_of(shop.orders)
        spelled: Callable[[str], str] = str
        if dialect == "shopify":
            # Calls hold what the REST API does: createdAt of GraphQL is created_at there, and stamps have an offset.
            spelled, self._times = _in_snake_case, _ISO
        self.is_graphql = dialect == "shopify" and "graphql" in getattr(shop.orders, "path", "")
        order_id = "admin_graphql_api_id" if self.is_graphql and fields.order_id == "id" else fields.order_id
        self._id = compile_path({"legacyResourceId": "id"}.get(order_id, spelled(order_id)))
        self._created, self._updated = (
            compile_path(spelled(path)) if path else None for path in (fields.created_at, fields.updated_at)
        )

    def order(self, record: object) -> Json:
        """What a record of an order says of it."""
        if not isinstance(record, dict):
            return {}
        placed = self._stamp(self._created, record)
        return {
            "order_id": self._order_id(record),
            "order_date": business_day(placed, self._shop.zone) if placed else None,
            "changed_at": self._stamp(self._updated, record),
        }

    def _order_id(self, record: Json) -> str | None:
        try:
            return id_text(self._id(record))
        except ValueError:
            return None

    def _stamp(self, path: Callable[[Any], object] | None, record: Json) -> datetime | None:
        try:
            return parse_stamp(path(record), self._times, self._shop.zone) if path else None
        except ValueError:
            return None

    def happened_at(self, value: object, times: Times) -> datetime | None:
        """Read a stamp of the call itself."""
        try:
            return parse_stamp(value, times, self._shop.zone)
        except ValueError:
            return None


_Said = tuple[str | None, str, Json]
"""Id and topic of a call, and what else it says."""


def _shopify(headers: Headers, body: Json, records: _Records) -> _Said:
    call_id, topic = _first(headers, "x-shopify-webhook-id"), _first(headers, "x-shopify-topic") or STRANGE
    if topic == "orders/delete":
        return call_id, topic, {"order_id": _shopify_id(body.get("id"), records), "is_deletion": True}
    if topic in _OF_SHOPIFYS_ORDERS:
        within = body.get(_OF_SHOPIFYS_ORDERS[topic], body)
        within = within if isinstance(within, dict) else {}
        happened_at = records.happened_at(within.get("created_at"), _ISO)
        return call_id, topic, {"order_id": _shopify_id(within.get("order_id"), records), "happened_at": happened_at}
    if topic.startswith("orders/") and "order_id" not in body:
        return call_id, topic, records.order(body)
    return call_id, topic, {"is_of_order": False}


def _woocommerce(headers: Headers, body: Json, records: _Records) -> _Said:
    call_id, topic = _first(headers, "x-wc-webhook-delivery-id"), _first(headers, "x-wc-webhook-topic") or STRANGE
    if topic.partition(".")[0] != "order":
        return call_id, topic, {"is_of_order": False}
    is_deletion = topic.endswith(".deleted")
    return call_id, topic, {**records.order(body), "is_deletion": is_deletion}


def _stripe(_: Headers, body: Json, records: _Records) -> _Said:
    call_id, topic = _text(body.get("id")), _text(body.get("type")) or STRANGE
    data = body.get("data")
    about = data.get("object") if isinstance(data, dict) else body.get("related_object")
    about = about if isinstance(about, dict) else {}
    kind = about.get("object") or about.get("type")
    happened_at = records.happened_at(body.get("created"), _UNIX if isinstance(data, dict) else _ISO)
    if kind == "charge":
        return call_id, topic, {**records.order(about), "happened_at": happened_at}
    if kind == "refund" and about.get("charge"):
        return call_id, topic, {"order_id": _text(about["charge"]), "happened_at": happened_at}
    return call_id, topic, {"is_of_order": False}


def _bigcommerce(_: Headers, body: Json, records: _Records) -> _Said:
    call_id, topic = _text(body.get("hash")), _text(body.get("scope")) or STRANGE
    data = body.get("data")
    is_of_order = topic.startswith("store/order/") and not topic.startswith("store/order/message/")
    if not is_of_order or not isinstance(data, dict):
        return call_id, topic, {"is_of_order": is_of_order}
    happened_at = records.happened_at(body.get("created_at"), _UNIX)
    is_deletion = topic == "store/order/archived"
    return (
        call_id,
        topic,
        {
            "order_id": _text(data.get("order_id")) or _text(data.get("id")),
            "happened_at": happened_at,
            "is_deletion": is_deletion,
        },
    )


def _standard(headers: Headers, body: Json, records: _Records) -> _Said:
    call_id, topic = _first(headers, "webhook-id"), _text(body.get("type")) or STRANGE
    if topic.partition(".")[0] != "order":
        return call_id, topic, {"is_of_order": False}
    said = records.order(records.within(body))
    happened_at = records.happened_at(body.get("timestamp"), _ISO)
    return call_id, topic, {**said, "happened_at": happened_at, "is_deletion": topic.endswith(".deleted")}


def _shopify_id(number: object, records: _Records) -> str | None:
    text = _text(number)
    return f"{_ORDER_OF_SHOPIFY}{text}" if text and records.is_graphql else text


def _first(headers: Headers, name: str) -> str | None:
    return next(iter(headers.getlist(name)), None)


def _text(value: object) -> str | None:
    try:
        return id_text(value)
    except ValueError:
        return None


def _in_snake_case(path: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", path)


_READERS: dict[Dialect, Callable[[Headers, Json, _Records], _Said]] = {
    "shopify": _shopify,
    "woocommerce": _woocommerce,
    "stripe": _stripe,
    "bigcommerce": _bigcommerce,
    "standard": _standard,
}
