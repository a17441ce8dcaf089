"""The recipes of docs/shops.md: each is laid over a small description and read from a server that has the trap."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from analytics_pipeline.days import Days, business_day
from analytics_pipeline.errors import ShopRefusedError
from analytics_pipeline.late_changes.due import aged_days
from analytics_pipeline.shop.calendar import loadable_days, partition_days
from analytics_pipeline.shop.placeholders import merged
from analytics_pipeline.shop.spec import PageProducts, Shop
from analytics_pipeline.sources.lists import extract_days, extract_orders
from analytics_pipeline.sources.pages.client import PageClient
from analytics_pipeline.sources.pages.crawl import Crawl
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline.transforms.raw import related_list
from analytics_pipeline.transforms.related import Children
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.page_shop import PageShop, html, product
from analytics_pipeline_tests.unit.sources.conftest import Bench, description

DAY = date(2026, 1, 31)
AT = "2026-01-31T08:00:00Z"
PAGE = Path(__file__).parents[3] / "docs" / "shops.md"
_RECIPE = re.compile(r"^\*\*(?P<title>[^*\n]+)\.\*\*.*?\n\n```yaml\n(?P<keys>.*?)^```$", re.MULTILINE | re.DOTALL)
EMAILS = EmailKey(b"a key of 32 letters and some more")
Record = dict[str, Any]


@cache
def recipes() -> dict[str, str]:
    """The recipes by title."""
    text = PAGE.read_text(encoding="utf-8").partition("\n## Recipes\n")[2]
    found = {one["title"].replace("\n", " "): one["keys"] for one in _RECIPE.finditer(text)}
    assert len(found) == len(re.findall(r"^```yaml", text, re.MULTILINE))
    return found


class Kitchen:
    """Tries recipes against a server."""

    def __init__(self, fake: FakeShop, bench: Bench) -> None:
        self.fake, self.bench = fake, bench

    def shop(self, title: str = "", **orders: object) -> Shop:
        """A description with keys of orders, and a recipe over it."""
        fields = {"order_id": "id", "created_at": "created_at", "updated_at": "updated_at", "total": "total"}
        base: object = description(self.fake.url, orders={"fields": fields})
        base = merged(merged(base, {"orders": orders}), yaml.safe_load(recipes()[title]) if title else None)
        whole = cast("Record", base)
        if "line_total" in whole["orders"]["lines"]["fields"]:
            del whole["orders"]["lines"]["fields"]["unit_price"]
        return Shop.model_validate(whole)

    def raw(self, shop: Shop) -> pd.DataFrame:
        """The raw orders of the day, as the shop gives them."""
        extraction = extract_orders(self.bench.client(shop, {"SHOP_KEY": "the key"}), DAY, DAY)
        table = pa.Table.from_batches(list(extraction), schema=extraction.schema)
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def ids(self, shop: Shop) -> list[str]:
        """Ids of the raw orders of the day, sorted."""
        return sorted(self.raw(shop)["order_id"])

    def clean(self, shop: Shop, *orders: Record) -> CleanOrders:
        """What becomes of orders that a shop lists."""
        self.fake.answers("/orders", Reply({"orders": list(orders)}))
        return clean_orders(self.raw(shop), shop, EMAILS)

    def figures(self, shop: Shop, *orders: Record) -> dict[str, Decimal]:
        """The sums of the ledger that are not zero, of orders without a fault."""
        clean = self.clean(shop, *orders)
        assert clean.quarantine.to_dict("records") == []
        return sums(clean)


def sums(clean: CleanOrders) -> dict[str, Decimal]:
    """The sums of the ledger that are not zero."""
    names = ("gross_sales", "discounts", "returns", "shipping", "charges", "outside_sales", "taxes", "total_sales")
    found = {name: sum(clean.sales[name], Decimal(0)) for name in names}
    return {name: amount for name, amount in found.items() if amount}


def faults(clean: CleanOrders) -> list[tuple[str, str]]:
    return list(zip(clean.quarantine["kind"], clean.quarantine["column_name"], strict=True))


def amounts(**given: str) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in given.items()}


@pytest.fixture
def kitchen(fake: FakeShop, bench: Bench) -> Kitchen:
    return Kitchen(fake, bench)


def line(**changes: object) -> Record:
    return {"id": 1, "sku": "P", "quantity": 2, "price": "10.00", **changes}


def order(total: object = "20.00", *lines: Record, **changes: object) -> Record:
    """An order of two pieces at 10.00."""
    return {"id": "A", "created_at": AT, "updated_at": AT, "total": total, "lines": list(lines) or [line()], **changes}


def many(number: int) -> list[Record]:
    return [order(id=str(place)) for place in range(number)]


def test_every_recipe_is_tried_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [title for title in recipes() if f'"{title}"' not in tests] == []


# Asking


def test_products_are_read_from_pages_where_there_is_no_list(kitchen: Kitchen) -> None:
    keys = yaml.safe_load(recipes()["The shop has no list of products"])
    keys["products"]["pages"]["url"] = kitchen.fake.url
    pages = PageShop(kitchen.fake)
    pages.robots = "User-agent: *\nDisallow: /\nUser-agent: garden-figures\nDisallow: /products/old/"
    pages.pages = {f"/products/{name}": html(product(name)) for name in ("S1", "old/S2")}
    shop, bench = Shop.model_validate({**description(kitchen.fake.url), **keys}), kitchen.bench
    assert isinstance(shop.products, PageProducts)
    with PageClient(shop, shop.products.pages, environment={}, sleep=bench.sleep, clock=lambda: bench.now) as client:
        (batch,) = Crawl(client, shop, shop.products, {}, datetime.now(UTC))
    assert batch["product_id"].to_pylist() == ["S1"]
    assert bench.waits == [2.0, 2.0, 2.0]


def test_closed_and_cancelled_orders_are_asked_for(kitchen: Kitchen) -> None:
    def route(asked: Asked) -> Reply:
        return Reply({"orders": many(3) if asked.query.get("status") == "any" else many(1)})

    kitchen.fake.routes["/orders"] = route
    assert kitchen.ids(kitchen.shop("Closed and cancelled orders are hidden")) == ["0", "1", "2"]
    assert kitchen.ids(kitchen.shop()) == ["0"]


def test_only_days_are_loaded_that_the_shop_shows_wholly(kitchen: Kitchen) -> None:
    today = date(2026, 7, 1)
    recipe = kitchen.shop("Old orders are shown no more")
    assert loadable_days(recipe, today) == Days(date(2026, 5, 4), date(2026, 6, 30))
    assert loadable_days(recipe, date(2026, 1, 20)) == Days(date(2026, 1, 1), date(2026, 1, 19))
    assert (
        loadable_days(kitchen.shop(), today)
        == partition_days(recipe, today)
        == Days(date(2026, 1, 1), date(2026, 6, 30))
    )


def test_orders_that_share_a_stamp_come_once_each_where_pages_are_sorted_by_id(kitchen: Kitchen) -> None:
    def route(asked: Asked) -> Reply:
        place = int(asked.query["offset"])
        listed = many(6)
        if asked.query.get("order") != "id" and place:
            listed = [listed[at] for at in (3, 4, 5, 0, 1, 2)]  # ties come in another order on each page
        end = place + 3
        return Reply({"orders": listed[place:end]})

    kitchen.fake.routes["/orders"] = route
    pages = {"type": "offset", "param": "offset"}
    recipe = kitchen.shop("Sorted by a stamp that many orders share, pages lose some", pagination=pages)
    assert kitchen.ids(recipe) == [str(number) for number in range(6)]


def test_a_list_that_comes_newest_first_is_read_by_the_last_records_id(kitchen: Kitchen) -> None:
    def route(asked: Asked) -> Reply:
        newest = [one for one in reversed(many(7)) if one["id"] < asked.query.get("starting_after", "x")]
        assert asked.query["limit"] == "100"
        return Reply({"orders": newest[:3], "has_more": len(newest) > 3})

    kitchen.fake.routes["/orders"] = route
    assert kitchen.ids(kitchen.shop("The cursor is the id of the last record")) == [str(at) for at in range(7)]
    assert len(kitchen.fake.asked) == 3


def paged(asked: Asked) -> Reply:
    first = int(asked.query["page"]) * 3 - 3
    listed = many(7)[first : first + 3]
    return Reply({"orders": listed}, headers={"X-Total-Pages": "3"}) if listed else Reply(status=204)


@pytest.mark.parametrize(("is_counted", "requests"), [(True, 3), (False, 4)])
def test_a_number_of_pages_in_a_header_and_a_204_end_a_list(
    kitchen: Kitchen, *, is_counted: bool, requests: int
) -> None:
    kitchen.fake.routes["/orders"] = paged
    title = "The number of pages stands in a header" if is_counted else "Behind the last page comes 204 or 404"
    assert len(kitchen.ids(kitchen.shop(title))) == 7
    assert len(kitchen.fake.asked) == requests


def test_a_bound_that_is_left_out_loses_no_order_of_midnight(kitchen: Kitchen) -> None:
    def route(asked: Asked) -> Reply:
        midnight = "2026-01-30T23:00:00Z"
        return Reply({"orders": [order(created_at=midnight)] if asked.query["after"] < midnight else []})

    kitchen.fake.routes["/orders"] = route
    assert kitchen.ids(kitchen.shop("The window leaves its lower bound out")) == ["A"]


def test_a_graphql_query_is_asked_by_get(kitchen: Kitchen) -> None:
    def route(asked: Asked) -> Reply:
        first = int(json.loads(asked.query.get("variables", '{"c": 0}'))["c"])  # left out while there is no cursor
        assert (asked.method, asked.query["query"][:5]) == ("GET", "query")
        info = {"hasNextPage": first < 2, "endCursor": str(first + 2)}
        return Reply({"data": {"orders": {"nodes": many(4)[first : first + 2], "pageInfo": info}}})

    kitchen.fake.routes["/graphql"] = route
    assert kitchen.ids(kitchen.shop("A GraphQL query by GET")) == ["0", "1", "2", "3"]


def test_failures_with_http_200_are_waited_for_or_refused(kitchen: Kitchen) -> None:
    throttled = Reply({"errors": [{"message": "wait", "extensions": {"code": "THROTTLED"}}]})
    kitchen.fake.answers("/orders", throttled, Reply({"orders": many(1)}))
    recipe = kitchen.shop("A failure comes with HTTP 200")
    assert kitchen.ids(recipe) == ["0"]
    kitchen.fake.answers("/orders", Reply({"orders": many(1), "errors": [{"message": "no such field"}]}))
    with pytest.raises(ShopRefusedError):
        kitchen.ids(recipe)


def test_a_reset_in_milliseconds_is_not_waited_for_in_seconds(kitchen: Kitchen) -> None:
    spent = Reply({"orders": many(1)}, headers={"X-Requests-Left": "0", "X-Reset-Ms": "1500"})
    kitchen.fake.answers("/orders", spent, Reply({"orders": []}))
    pages = {"type": "page_number", "param": "page"}
    recipe = kitchen.shop("The shop says in milliseconds when it may be asked again", pagination=pages)
    assert kitchen.ids(recipe) == ["0"]
    assert sum(kitchen.bench.waits) == pytest.approx(1.5)


def test_a_key_is_sent_as_it_is(kitchen: Kitchen) -> None:
    kitchen.fake.answers("/orders", Reply({"orders": []}))
    kitchen.ids(kitchen.shop("A key goes in `Authorization` as it is"))
    assert kitchen.fake.asked[0].headers["Authorization"] == "the key"


# Stamps


def test_a_stamp_without_offset_is_the_shops_clock_where_it_is_said(kitchen: Kitchen) -> None:
    late = order(created_at="2026-01-31 23:30:00")
    recipe = kitchen.shop("Stamps without offset are the shop's clock")
    assert [*kitchen.clean(recipe, late).orders["order_date"]] == [DAY]
    assert len(kitchen.clean(kitchen.shop(), late).orders) == 0  # half past midnight of the next day


def test_bounds_are_asked_for_in_utc_without_a_z(kitchen: Kitchen) -> None:
    kitchen.fake.answers("/orders", Reply({"orders": []}))
    kitchen.ids(kitchen.shop("The shop turns bounds with an offset into its own clock"))
    assert parse_qs(urlsplit(kitchen.fake.asked[0].target).query) == {
        "dates_are_gmt": ["true"],
        "after": ["2026-01-30T22:59:59"],
        "before": ["2026-01-31T23:00:00"],
    }


def test_milliseconds_are_asked_for_and_read(kitchen: Kitchen) -> None:
    late = datetime(2026, 1, 31, 22, 59, 59, 999_000, tzinfo=UTC)
    recipe = kitchen.shop("Stamps are milliseconds since 1970")
    figures = kitchen.figures(recipe, order(created=int(late.timestamp() * 1000), updated=None))
    assert figures == amounts(gross_sales="20", total_sales="20")
    asked = kitchen.fake.asked[0].query
    assert (asked["from"], asked["to"]) == ("1769813999000", "1769900400000")


def test_orders_have_stamps_of_mails_and_their_refunds_iso_stamps(kitchen: Kitchen) -> None:
    stamp = "Sat, 31 Jan 2026 08:00:00 +0000"
    refund = {"id": 1, "created": "2026-02-01T08:00:00Z", "amount": "5.00"}
    given = order(created_at=stamp, updated_at=stamp, refunds=[refund])
    figures = kitchen.figures(kitchen.shop("One list writes its stamps otherwise"), given)
    assert figures == amounts(gross_sales="20", returns="5", total_sales="15")


def test_a_cancelled_order_without_a_date_is_taken_back_on_the_day_of_its_change(kitchen: Kitchen) -> None:
    given = order(status="cancelled", updated_at="2026-02-03T08:00:00Z")
    clean = kitchen.clean(kitchen.shop("Cancelled is a state without a date"), given, order(id="B", status="open"))
    days = dict(zip(clean.sales["event_date"], clean.sales["returns"], strict=True))
    assert days == {DAY: 0, date(2026, 2, 3): 20}


# Amounts


@pytest.mark.parametrize("price", [None, "6.666666666666667"])
def test_a_line_has_an_amount_and_keeps_its_units(kitchen: Kitchen, price: object) -> None:
    recipe = kitchen.shop("A line has an amount and no price of one unit")
    clean = kitchen.clean(recipe, order("20.00", line(quantity=3, price=price, amount="20.00")))
    assert sums(clean) == amounts(gross_sales="20", total_sales="20")
    assert sum(clean.order_lines["quantity"]) == 3


def test_an_amount_of_a_line_that_is_mapped_as_the_price_of_a_unit_is_held_by_the_total(kitchen: Kitchen) -> None:
    assert faults(kitchen.clean(kitchen.shop(), order("20.00", line(price="20.00")))) == [("order", "total")]


def test_cents_are_those_of_the_orders_currency(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("Amounts are in cents", fields={"currency": "currency"})
    euros, yen = (order(2000, line(price=1000), id=code, currency=code) for code in ("eur", "JPY"))
    totals = kitchen.clean(recipe, euros, yen).orders
    assert dict(zip(totals["currency"], totals["order_total"], strict=True)) == {"EUR": 20, "JPY": 2000}


def test_noise_of_floats_is_rounded(kitchen: Kitchen) -> None:
    noisy = order(64.760002, line(price=32.380001))
    figures = kitchen.figures(kitchen.shop("Amounts are 32-bit floats"), noisy)
    assert figures == amounts(gross_sales="64.76", total_sales="64.76")
    assert faults(kitchen.clean(kitchen.shop(), noisy)) == [("order", "total")]


def test_numbers_of_json_are_exact(kitchen: Kitchen) -> None:
    lines = [line(id=number, quantity=1, price=0.1) for number in range(3)]
    assert kitchen.figures(kitchen.shop(), order(0.3, *lines)) == amounts(gross_sales="0.3", total_sales="0.3")


def test_a_total_may_be_a_cent_off(kitchen: Kitchen) -> None:
    clean = kitchen.clean(kitchen.shop("A total is a cent off"), order("20.01"))
    assert (*clean.orders["order_total"], *clean.orders["rounding"]) == (Decimal(20), Decimal("0.01"))
    assert faults(kitchen.clean(kitchen.shop(), order("20.01"))) == [("order", "total")]


@pytest.mark.parametrize(
    ("title", "total", "given", "discount"),
    [
        ("A discount is a ratio of the line", "16.98", {"ratio": 0.151}, "3.02"),
        ("A discount is a ratio of the line", "20.00", {}, "0"),
        ("A discount is a negative number", "17.00", {"discount": "-3.00"}, "3"),
        ("A discount is the difference of two amounts", "17.00", {"subtotal": "20.00", "total": "17.00"}, "3"),
        ("A discount is the difference of two amounts", "17.00", {"subtotal": 20, "discounted": 17}, "3"),
    ],
)
def test_a_discount_is_calculated(kitchen: Kitchen, title: str, total: str, given: Record, discount: str) -> None:
    figures = kitchen.figures(kitchen.shop(title), order(total, line(**given)))
    expected = amounts(gross_sales="20", discounts=discount, total_sales=total)
    assert figures == {name: amount for name, amount in expected.items() if amount}


def test_allocated_discounts_and_taxes_are_added_up_in_whatever_order_they_come(kitchen: Kitchen) -> None:
    taxes = [{"title": "state", "price": "1.20"}, {"title": "city", "price": "0.34"}]
    discounts = [{"amount": "1.00"}, {"amount": "0.50"}]
    recipe = kitchen.shop("Discounts are allocated in a list")
    expected = amounts(gross_sales="20", discounts="1.5", taxes="1.54", total_sales="20.04")
    for step in (1, -1):
        given = line(allocations=discounts[::step], tax_lines=taxes[::step], total_discount="0.00")
        assert kitchen.figures(recipe, order("20.04", given)) == expected


def test_freight_of_lines_is_shipping(kitchen: Kitchen) -> None:
    lines = [line(id=1, freight="3.50"), line(id=2, freight=None), line(id=3, freight=1.25)]
    figures = kitchen.figures(kitchen.shop("Freight stands on each line"), order("64.75", *lines))
    assert figures == amounts(gross_sales="60", shipping="4.75", total_sales="64.75")


def test_tips_and_fees_of_either_sign_are_charges(kitchen: Kitchen) -> None:
    fees = [{"total": "2.00"}, {"total": "-0.50"}]
    recipe = kitchen.shop("Tips, fees and duties are in the total")
    figures = kitchen.figures(recipe, order("24.50", tip="3.00", fee_lines=fees))
    assert figures == amounts(gross_sales="20", charges="4.5", total_sales="24.5")


def test_a_gift_card_is_neither_sold_nor_a_discount(kitchen: Kitchen) -> None:
    card = line(id=2, quantity=1, price="50.00", gift_card=True)
    recipe = kitchen.shop("Gift cards are among the lines")
    figures = kitchen.figures(recipe, order("55.00", line(), card, paid_by_card="15.00"))
    assert figures == amounts(gross_sales="20", outside_sales="35", total_sales="20")


# Orders


def test_orders_that_are_none_are_left_out_with_their_reason(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("Test orders and failed payments are listed")
    clean = kitchen.clean(recipe, order(), order(id="B", test=True), order(id="C", status="failed"))
    assert sums(clean) == amounts(gross_sales="20", total_sales="20")
    assert sorted(clean.exclusions["reason"]) == ["failed_order", "test_order"]


def test_an_order_without_lines_is_left_out_or_clean_or_held_by_its_total(kitchen: Kitchen) -> None:
    free, lost = order("0.00", lines=[]), order("12.00", id="B", lines=[])
    clean = kitchen.clean(kitchen.shop("Orders without lines"), free, lost)
    assert [*clean.exclusions["reason"]] == ["no_lines", "no_lines"]
    assert faults(kitchen.clean(kitchen.shop(), free, lost)) == [("order", "total")]


def test_guests_with_one_id_are_told_apart_by_their_address(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("All guests have one id")
    addresses = ("ada@example.com", " Ada@Example.com ", "bob@example.com", None)
    guests = [order(id=str(place), customer_id=0, email=email) for place, email in enumerate(addresses)]
    keys = kitchen.clean(recipe, *guests).orders["customer_key"]
    assert (len(set(keys)), keys.iloc[0] == keys.iloc[1]) == (3, True)


def test_a_flat_record_is_its_own_line(kitchen: Kitchen) -> None:
    clean = kitchen.clean(kitchen.shop("A flat record is its own line"), {"id": 1, "created_at": AT, "total": "7.00"})
    assert sums(clean) == amounts(gross_sales="7", total_sales="7")


def test_a_product_may_be_listed_twice_where_its_id_is_not_the_lines(kitchen: Kitchen) -> None:
    twice = order("40.00", line(), line())
    clean = kitchen.clean(kitchen.shop("An order lists a product twice"), twice)
    assert [*clean.order_lines["line_id"]] == ["1", "2"]
    wrong = kitchen.shop(lines={"fields": {"line_id": "sku"}})
    assert faults(kitchen.clean(wrong, twice)) == [("order", "line_id")]


def test_a_line_that_an_edit_took_off_is_none(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("Lines that an edit took off stay listed")
    edited = order("10.00", line(current_quantity=1), line(id=2, current_quantity=0))
    clean = kitchen.clean(recipe, edited)
    assert sums(clean) == amounts(gross_sales="10", total_sales="10")
    assert faults(kitchen.clean(kitchen.shop(), edited)) == [("order", "total")]


def test_a_credit_note_takes_back_on_its_own_day_and_one_with_a_positive_line_is_held(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("A credit note is an order")
    note = order("-20.00", line(quantity=-2), id="C1")
    odd = order("373.57", line(quantity=1, price="373.57"), id="C496350")
    clean = kitchen.clean(recipe, note, odd)
    assert sums(clean) == amounts(returns="20", total_sales="-20")
    assert faults(clean) == [("order", "quantity")]


# Refunds


def back(**changes: object) -> Record:
    return {"id": "R1", "created_at": "2026-02-02T08:00:00Z", **changes}


def test_a_negative_refund_is_given_back(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("Amounts of refunds are negative")
    figures = kitchen.figures(recipe, order(refunds=[back(total="-4.00")]))
    assert figures == amounts(gross_sales="20", returns="4", total_sales="16")


@pytest.mark.parametrize(("beside", "returns"), [([], "10"), ([{"amount": "3.00"}], "13"), ([{"amount": -2}], "8")])
def test_a_refund_is_its_lines_and_what_was_given_beside_or_kept(
    kitchen: Kitchen, beside: list[Record], returns: str
) -> None:
    recipe = kitchen.shop("A refund is more, or less, than its lines")
    goods = [{"line_id": 1, "quantity": 1, "subtotal": "10.00"}]
    figures = kitchen.figures(recipe, order(refunds=[back(lines=goods, adjustments=beside)]))
    assert figures == amounts(gross_sales="20", returns=returns, total_sales=str(20 - int(returns)))


def test_the_tax_of_a_refund_is_no_return(kitchen: Kitchen) -> None:
    refunds = {
        "records": "refunds",
        "fields": {"refund_id": "id", "refunded_at": "created_at", "adjustment": "amount"},
    }
    lines = {"fields": {"tax": "tax"}}
    recipe = kitchen.shop("Amounts of refunds come with tax", refunds=refunds, lines=lines)
    figures = kitchen.figures(recipe, order("23.80", line(tax="3.80"), refunds=[back(amount="11.90")]))
    assert figures == amounts(gross_sales="20", returns="10", taxes="1.9", total_sales="11.9")


def test_days_are_read_again_where_refunds_move_no_stamp(kitchen: Kitchen) -> None:
    shop = kitchen.shop("A refund moves no stamp of its order", changed_since={"param": "since", "format": "iso_utc"})
    now = datetime(2026, 4, 1, tzinfo=UTC)
    held = {DAY: now - timedelta(days=30), date(2026, 2, 1): now - timedelta(days=29)}
    today = business_day(now, shop.zone)
    assert aged_days(held, now, today=today, reread_days=0, sweep_days=shop.sweep_days) == [DAY]


def test_a_refund_that_fails_after_it_was_made_is_given_back_no_more(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("A refund may fail after it was made")
    for status, total in (("pending", 16), ("succeeded", 16), ("failed", 20)):
        given = order(refunds=[back(amount="4.00", status=status)])
        assert kitchen.figures(recipe, given)["total_sales"] == total


def test_refunds_of_a_list_of_their_own_count_though_the_order_lists_none(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("An order's own list of refunds is empty, or says little")
    given = order(refunds=[])
    refund = {"id": 5, "order_id": "A", "created_at": AT, "amount": "4.00"}
    kitchen.fake.answers("/refunds", Reply({"refunds": [refund]}))
    batches = extract_days(kitchen.bench.client(recipe), related_list(recipe, "refunds"), DAY, DAY)
    payloads = [row["payload"] for batch in batches for row in batch.to_pylist()]
    kitchen.fake.answers("/orders", Reply({"orders": [given]}))
    clean = clean_orders(kitchen.raw(recipe), recipe, children=Children({"refunds": {("A", DAY): payloads}}))
    assert sums(clean) == amounts(gross_sales="20", returns="4", total_sales="16")


def test_what_came_back_is_added_to_a_total_that_nets_it_out(kitchen: Kitchen) -> None:
    recipe = kitchen.shop("What came back is netted out of the total")
    assert kitchen.figures(recipe, order("10.00", line(returned_quantity=1)))["total_sales"] == 20
    assert kitchen.figures(recipe, order("20.00", line(returned_quantity=None)))["total_sales"] == 20


# Traps that need no key


def test_a_line_without_any_price_is_held(kitchen: Kitchen) -> None:
    assert faults(kitchen.clean(kitchen.shop(), order("20.00", line(price=None)))) == [("order", "unit_price")]
