"""What calls say: of which order and day they are, as each platform writes that, whichever description there is."""

import json
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import pytest
from starlette.datastructures import Headers

from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.shop.webhooks import Dialect, Webhooks
from analytics_pipeline.webhooks.dialects import Call, CallReader, is_ping
from analytics_pipeline.webhooks.refusals import Refused

SHOPIFYS_ORDER = {
    "id": 820982911946154508,
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "created_at": "2026-03-01T00:30:00+02:00",
    "updated_at": "2026-03-02T10:00:00+02:00",
    "email": "jon@example.com",
}
WOOCOMMERCES_ORDER = {
    "id": 727,
    "date_created": "2026-03-01T00:30:00",
    "date_created_gmt": "2026-02-28T23:30:00",
    "date_modified_gmt": "2026-03-01T09:00:00",
}
CHARGE = {"id": "ch_1", "object": "charge", "created": 1772317800, "amount": 2000}


loaded = cache(load_shop)


def described(shop: str, dialect: Dialect, **more: Any) -> tuple[Shop, Webhooks]:  # noqa: ANN401 - keys
    return loaded(shop), Webhooks(dialect=dialect, secret="${SECRET}", untested=True, **more)


def read(shop: str, dialect: Dialect, body: object, **headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CallReader(*described(shop, dialect)).read(Headers(named), json.dumps(body).encode())


def shopify(topic: str, body: object, shop: str = "shopify") -> Call:
    return read(shop, "shopify", body, x_shopify_topic=topic, x_shopify_webhook_id="b54557e4")


def test_an_order_of_shopify_is_named_as_the_description_names_it() -> None:
    day, changed_at = date(2026, 2, 28), datetime(2026, 3, 2, 8, tzinfo=UTC)

    graphql, rest = (shopify("orders/updated", SHOPIFYS_ORDER, shop) for shop in ("shopify", "shopify-rest"))

    assert (graphql.order_id, rest.order_id) == (SHOPIFYS_ORDER["admin_graphql_api_id"], str(SHOPIFYS_ORDER["id"]))
    for call in (graphql, rest):
        assert (call.order_date, call.changed_at, call.is_deletion) == (
            day,
            changed_at,
            False,
        )  # Berlin: the day before
        assert call.topic == "orders/updated"
        assert call.call_id.startswith("b54557e4/")


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("refunds/create", {"id": 9, "order_id": 5, "created_at": "2026-03-03T12:00:00Z"}),
        ("orders/edited", {"order_edit": {"id": 9, "order_id": 5, "created_at": "2026-03-03T12:00:00Z"}}),
        ("order_transactions/create", {"id": 9, "order_id": 5, "created_at": "2026-03-03T12:00:00Z"}),
    ],
)
def test_a_refund_an_edit_and_a_transaction_of_shopify_are_of_their_order(topic: str, body: object) -> None:
    for shop, order_id in (("shopify", "gid://shopify/Order/5"), ("shopify-rest", "5")):
        call = shopify(topic, body, shop)
        assert (call.is_of_order, call.order_id, call.order_date, call.changed_at) == (True, order_id, None, None)
        assert call.happened_at == datetime(2026, 3, 3, 12, tzinfo=UTC)


def test_a_deleted_order_of_shopify_is_named_by_its_id_alone() -> None:
    call = shopify("orders/delete", {"id": 5})
    assert (call.order_id, call.is_deletion, call.is_dated) == ("gid://shopify/Order/5", True, False)


@pytest.mark.parametrize(
    ("dialect", "shop", "headers", "body"),
    [
        ("shopify", "shopify", {"x_shopify_topic": "products/update"}, {"id": 1, "created_at": "2026-03-01T00:00:00Z"}),
        ("shopify", "shopify", {"x_shopify_topic": "draft_orders/create"}, SHOPIFYS_ORDER),
        ("shopify", "shopify", {"x_shopify_topic": "orders/risk_assessment_changed"}, {"order_id": 1}),
        ("shopify", "shopify", {}, SHOPIFYS_ORDER),
        ("woocommerce", "woocommerce", {"x_wc_webhook_topic": "product.updated"}, WOOCOMMERCES_ORDER),
        ("stripe", "stripe", {}, {"id": "evt_1", "type": "payout.paid", "data": {"object": {"object": "payout"}}}),
        ("stripe", "stripe", {}, {"id": "evt_1", "type": "ping", "data": []}),
        ("bigcommerce", "bigcommerce", {}, {"scope": "store/order/message/created", "data": {"id": 1}}),
        ("bigcommerce", "bigcommerce", {}, {"scope": "store/product/updated", "data": {"id": 1}}),
        ("standard", "demo", {}, {"type": "customer.created", "data": {"id": "C1"}}),
        ("standard", "demo", {}, {}),
    ],
)
def test_what_says_nothing_of_orders_is_of_none(
    dialect: Dialect, shop: str, headers: dict[str, str], body: object
) -> None:
    assert not read(shop, dialect, body, **headers).is_of_order


def test_an_order_of_woocommerce_is_read_by_the_descriptions_own_paths() -> None:
    ids = {"x_wc_webhook_delivery_id": "f00"}

    call = read("woocommerce", "woocommerce", WOOCOMMERCES_ORDER, x_wc_webhook_topic="order.updated", **ids)
    gone = read("woocommerce", "woocommerce", {"id": 727}, x_wc_webhook_topic="order.deleted", **ids)

    assert (call.order_id, call.order_date) == ("727", date(2026, 3, 1))
    assert call.changed_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert (gone.order_id, gone.is_deletion, gone.order_date) == ("727", True, None)


def test_two_orders_of_one_second_have_one_delivery_id_of_woocommerce_and_are_two_calls() -> None:
    same = {"x_wc_webhook_delivery_id": "f00", "x_wc_webhook_topic": "order.updated"}
    one, again = (read("woocommerce", "woocommerce", {"id": 727}, **same) for _ in range(2))
    other = read("woocommerce", "woocommerce", {"id": 728}, **same)

    assert one.call_id == again.call_id != other.call_id


def test_woocommerces_first_call_is_a_ping_and_nothing_else_is() -> None:
    assert is_ping(Headers({}), b"webhook_id=12")
    assert not is_ping(Headers({}), b"webhook_id=12&id=5")
    assert not is_ping(Headers({}), b'{"id": 5}')
    assert not is_ping(Headers({"x-wc-webhook-topic": "order.updated"}), b"webhook_id=12")


def test_a_charge_of_stripe_has_a_day_and_a_refund_is_of_its_charge() -> None:
    event = {"id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 1772317801}

    charge = read("stripe", "stripe", {**event, "data": {"object": CHARGE}})
    refund = read(
        "stripe", "stripe", {**event, "data": {"object": {"object": "refund", "id": "re_1", "charge": "ch_1"}}}
    )
    thin = read(
        "stripe", "stripe",
        {"id": "evt_2", "type": "v1.charge.updated", "created": "2026-03-01T00:00:00Z",
         "related_object": {"id": "ch_1", "type": "charge"}},
    )  # fmt: skip

    happened_at = datetime(2026, 2, 28, 22, 30, 1, tzinfo=UTC)
    assert (charge.call_id, charge.order_id, charge.order_date) == ("evt_1", "ch_1", date(2026, 2, 28))
    assert (charge.changed_at, charge.happened_at) == (None, happened_at)
    assert (refund.order_id, refund.order_date, refund.happened_at) == ("ch_1", None, happened_at)
    assert (thin.order_id, thin.order_date) == ("ch_1", None)


def test_a_call_of_bigcommerce_has_an_id_alone() -> None:
    body = {
        "scope": "store/order/updated",
        "data": {"type": "order", "id": 250},
        "hash": "dd70",
        "created_at": 1772317801,
    }
    call = read("bigcommerce", "bigcommerce", body)
    assert (call.call_id, call.order_id, call.order_date, call.topic) == ("dd70", "250", None, "store/order/updated")
    assert read("bigcommerce", "bigcommerce", {**body, "scope": "store/order/archived"}).is_deletion


def test_a_standard_call_holds_the_record_that_the_api_shows_where_the_description_says() -> None:
    record = {"id": "D1", "created_at": "2026-02-28T23:30:00Z", "updated_at": "2026-03-01T09:00:00Z"}
    shop, webhooks = described("demo", "standard", order="event.order")
    body = {"type": "order.refunded", "timestamp": "2026-03-01T09:00:01Z", "event": {"order": record}}

    call = CallReader(shop, webhooks).read(Headers({"webhook-id": "msg_1"}), json.dumps(body).encode())

    assert (call.call_id, call.order_id, call.order_date) == ("msg_1", "D1", date(2026, 3, 1))
    assert (call.changed_at, call.happened_at) == (
        datetime(2026, 3, 1, 9, tzinfo=UTC),
        datetime(2026, 3, 1, 9, 0, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("body", [b"", b"webhook_id=5", b"[]", b'"text"', b"\xff\xfe", b"{" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        CallReader(*described("demo", "standard")).read(Headers({}), body)


@pytest.mark.parametrize(
    "record",
    [
        *(None, [], "D1", {}, {"id": None}, {"id": {"a": 1}}, {"id": "x\x00y"}, {"id": "x" * 5000}),
        {"id": "D1", "created_at": "yesterday", "updated_at": 5},
        {"id": True, "created_at": "9999-12-31T23:59:59Z"},
    ],
)
@pytest.mark.parametrize(
    ("dialect", "shop"),
    [("shopify", "shopify"), ("woocommerce", "woocommerce"), ("stripe", "stripe"), ("bigcommerce", "bigcommerce"),
     ("standard", "demo")],
)  # fmt: skip
def test_a_strange_record_is_of_an_order_that_is_not_known_and_stops_nobody(
    dialect: Dialect, shop: str, record: object
) -> None:
    body: dict[str, Any] = {"type": "order.updated", "scope": "store/order/updated", "data": record, "id": "x\x00" * 90}
    headers = {"x_shopify_topic": "orders/é", "x_wc_webhook_topic": "order.updated", "webhook_id": "é" * 300}

    call = read(shop, dialect, body, **headers)

    assert call.topic.isascii()
    assert call.call_id.isascii()
    assert len(call.call_id) <= 220
    assert call.order_date is None
