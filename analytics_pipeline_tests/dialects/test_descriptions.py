"""Each packaged description reads its dialect's answers, and makes the right figures of them to the cent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from analytics_pipeline.shop.spec import load_shop, packaged_path, packaged_shops
from analytics_pipeline.sources.lists import extract_changed_orders, extract_customers, extract_products
from analytics_pipeline_tests.dialects import bigcommerce, medusa, shopify, stripe, vendure, woocommerce
from analytics_pipeline_tests.dialects.base import Dialect
from analytics_pipeline_tests.dialects.bigcommerce import STORE, BigCommerce
from analytics_pipeline_tests.dialects.cleaning import cleaned, client_of, differences, figures_by_day
from analytics_pipeline_tests.dialects.json_server import JsonServer
from analytics_pipeline_tests.dialects.medusa import Medusa
from analytics_pipeline_tests.dialects.numbers import order_number
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, SETTINGS, Clock, serving
from analytics_pipeline_tests.dialects.shopify_graphql import ShopifyGraphQL
from analytics_pipeline_tests.dialects.shopify_rest import ShopifyRest
from analytics_pipeline_tests.dialects.stripe import Stripe
from analytics_pipeline_tests.dialects.vendure import Vendure
from analytics_pipeline_tests.dialects.woocommerce import WooCommerce


@dataclass(frozen=True)
class Played:
    """A dialect that a description of a name is read against: where its address and its secrets are looked up."""

    kind: type[Dialect]
    address: str
    secrets: Mapping[str, str]
    path: str = ""

    def environment(self, url: str) -> dict[str, str]:
        return {self.address: url + self.path, **self.secrets}


NAMES = {
    "bigcommerce": Played(BigCommerce, "BIGCOMMERCE_URL", {"BIGCOMMERCE_TOKEN": bigcommerce.TOKEN}, f"/stores/{STORE}"),
    "json-server": Played(JsonServer, "JSON_SERVER_URL", {}),
    "medusa": Played(Medusa, "MEDUSA_URL", {"MEDUSA_SECRET_KEY": medusa.SECRET_KEY}),
    "shopify": Played(
        ShopifyGraphQL,
        "SHOPIFY_URL",
        {"SHOPIFY_CLIENT_ID": shopify.CLIENT_ID, "SHOPIFY_CLIENT_SECRET": shopify.CLIENT_SECRET},
    ),
    "shopify-rest": Played(ShopifyRest, "SHOPIFY_URL", {"SHOPIFY_TOKEN": shopify.TOKEN}),
    "stripe": Played(Stripe, "STRIPE_URL", {"STRIPE_KEY": stripe.KEY}),
    "vendure": Played(Vendure, "VENDURE_URL", {"VENDURE_USER": vendure.USER, "VENDURE_PASSWORD": vendure.PASSWORD}),
    "woocommerce": Played(
        WooCommerce, "WOOCOMMERCE_URL", {"WOOCOMMERCE_KEY": woocommerce.KEY, "WOOCOMMERCE_SECRET": woocommerce.SECRET}
    ),
}


def test_every_packaged_description_of_a_platform_is_played() -> None:
    assert {*NAMES} == {*packaged_shops()} - {"demo"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("with_charges", [False, True])
def test_a_description_gives_the_right_figures_of_every_day(name: str, with_charges: bool) -> None:
    played = NAMES[name]
    with serving(played.kind, with_charges=with_charges) as running:
        clean = cleaned(name, played.environment(running.url), DAYS[0], DAYS[-1])
        assert clean.quarantine.to_dict("records") == []
        figures = figures_by_day(clean)
        wrong = {day: differences(figures.get(day, {}), running.dialect.truth(day)) for day in DAYS}
        assert {day: found for day, found in wrong.items() if found} == {}
        assert len(clean.exclusions) == running.dialect.tests()


@pytest.mark.parametrize("name", NAMES)
def test_a_description_names_each_figure_that_its_dialect_cannot_tell(name: str) -> None:
    kind, told = NAMES[name].kind, {charge.kind for charge in load_shop(name).orders.charges}
    figures = {"tips": {"tip"}, "fees": {"fee", "handling", "surcharge"}, "duties": {"duty"}}
    figures |= {"gift_cards_sold": {"gift_card_sold"}, "gift_cards_redeemed": {"gift_card_redeemed"}}
    untold = {figure for figure, kinds in figures.items() if not kinds & told}
    if "orders" in kind.inexpressible:
        untold.add("customers")
    assert {*load_shop(name).cannot_tell} == (kind.inexpressible - {"outside_sales"}) | untold


@pytest.mark.parametrize("name", NAMES)
def test_a_description_reads_all_customers_and_products(name: str) -> None:
    played = NAMES[name]
    with serving(played.kind) as running, client_of(name, played.environment(running.url)) as client:
        demo_shop = running.dialect.shop
        customers = [row for batch in extract_customers(client) for row in batch.to_pylist()]
        assert len(customers) == len({row["customer_id"] for row in customers}) == len(demo_shop.customers())
        products = [row for batch in extract_products(client) for row in batch.to_pylist()]
        assert len(products) == len({row["product_id"] for row in products}) == len(demo_shop.products())


@pytest.mark.parametrize("name", [name for name in NAMES if load_shop(name).notices_changes])
def test_a_description_finds_the_orders_that_changed(name: str) -> None:
    played = NAMES[name]
    since = NOW - timedelta(days=5)
    with serving(played.kind) as running, client_of(name, played.environment(running.url)) as client:
        found = {row["order_id"] for batch in extract_changed_orders(client, since) for row in batch.to_pylist()}
        changed = [one.order_id for one in running.dialect.orders() if running.dialect.changed_at(one) > since]
        assert {_number(one) for one in found} == {order_number(one) for one in changed}


def _number(order_id: str) -> int:
    """The number of an order in a dialect's own id of it."""
    return order_number(order_id) if order_id.startswith("D") else int(re.sub(r"\D", "", order_id))


def test_a_token_that_has_ended_is_renewed_within_a_reading() -> None:
    played, clock = NAMES["shopify"], Clock()
    with serving(played.kind, clock=clock) as running, client_of("shopify", played.environment(running.url)) as client:
        first = [row["product_id"] for batch in extract_products(client) for row in batch.to_pylist()]
        clock.now += timedelta(hours=25)
        asked = len(running.dialect.asked)
        assert [row["product_id"] for batch in extract_products(client) for row in batch.to_pylist()] == first
        paths = [call.url.rpartition("/")[2] for call in running.dialect.asked[asked:]]
        assert paths == ["graphql.json", "access_token", "graphql.json"]


def test_prices_with_tax_make_no_difference_where_the_platform_gives_lines_without() -> None:
    settings = replace(SETTINGS, prices_include_tax=True)
    played = NAMES["woocommerce"]
    with serving(played.kind, settings=settings, with_charges=True) as running:
        figures = figures_by_day(cleaned("woocommerce", played.environment(running.url), DAYS[0], DAYS[-1]))
        wrong = {day: differences(figures.get(day, {}), running.dialect.truth(day)) for day in DAYS}
        assert {day: found for day, found in wrong.items() if found} == {}


def test_a_session_that_has_ended_is_begun_anew_within_a_reading() -> None:
    played = NAMES["vendure"]
    with serving(Vendure) as running, client_of("vendure", played.environment(running.url)) as client:
        first = [row["product_id"] for batch in extract_products(client) for row in batch.to_pylist()]
        running.dialect.sessions.clear()
        running.dialect.sessions.add("another's")
        asked = len(running.dialect.asked)
        assert [row["product_id"] for batch in extract_products(client) for row in batch.to_pylist()] == first
        queries = [str(call.body["query"]).split("(")[0].strip() for call in running.dialect.asked[asked:]]
        assert queries[:3] == ["query", "mutation", "query"]
        assert queries.count("mutation") == 1


@pytest.mark.parametrize(
    ("words", "fewer"),
    [
        (("refundLineItems(first: 50)",), ("refundLineItems(first: 1)",)),
        (("refunds(first: 11)", "< `11`"), ("refunds(first: 2)", "< `2`")),
    ],
)
def test_refunds_beyond_those_that_are_asked_for_are_in_quarantine_and_not_cut(
    words: tuple[str, ...], fewer: tuple[str, ...], tmp_path: Path
) -> None:
    played, path = NAMES["shopify"], tmp_path / "shopify.yaml"
    text = packaged_path("shopify").read_text(encoding="utf-8")
    for more, less in zip(words, fewer, strict=True):
        assert text.count(more) == 1
        text = text.replace(more, less)
    path.write_text(text, encoding="utf-8")
    with serving(ShopifyGraphQL) as running:
        clean = cleaned(str(path), played.environment(running.url), DAYS[0], DAYS[-1])
        too_much = {
            order_number(one.order_id)
            for one in running.dialect.orders()
            if not one.is_test
            and (len(one.refunds) > 1 if len(words) > 1 else any(len(refund.lines) > 1 for refund in one.refunds))
        }
    held = {_number(order_id) for order_id in clean.quarantine["order_id"]}
    assert held & {order_number(one.order_id) for one in running.dialect.orders()} == too_much != set()
    assert {*clean.quarantine["column_name"]} == {"refunded_at"}
