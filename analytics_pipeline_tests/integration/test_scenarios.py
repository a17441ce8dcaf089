"""What happens to a shop's data over time and on the way, each told as one story."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from analytics_pipeline.demo_shop import DemoShopSettings, Fault, RunningShop, serve
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline_tests.conftest import Pipeline, at, content_hash
from analytics_pipeline_tests.integration.test_truth import EVENTFUL
from analytics_pipeline_tests.integration.truth import agrees, hashes, run_rightly

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

OPENED = date(2025, 6, 2)
NOW = at("2025-09-01T10:00:00+02:00")
SMALL: dict[str, Any] = {"opened": OPENED, "orders_per_day": (12, 20)}


def _day(number: int) -> date:
    """The business day so many days after the opening."""
    return OPENED + timedelta(days=number)


def test_a_closed_day_has_a_row_of_zeros_and_loses_the_rows_that_stood_there(pipeline_of: PipelineOf) -> None:
    quiet = SMALL | {"currency": "CHF", "refund_share": 0, "cancel_share": 0, "bad_share": 0.3, "test_share": 0.2}
    with serve(DemoShopSettings(**quiet), now=lambda: NOW) as shop:
        truths = run_rightly(pipeline_of(shop), _day(0), _day(1))
    assert truths[1].revenue["CHF"].orders > 0
    port = urlsplit(shop.url).port or 0  # a database belongs to the shop at one address
    with serve(DemoShopSettings(**quiet, closed_days=frozenset({_day(1)})), port, now=lambda: NOW) as shop:
        closed_shop = pipeline_of(shop)
        (closed,) = run_rightly(closed_shop, _day(1), _day(1))
    assert closed.revenue["CHF"].orders == 0
    assert closed_shop.rows("select * from marts.daily_revenue order by event_date")[1] == {
        "event_date": _day(1),
        "currency": "CHF",
        **dict.fromkeys(("orders", "units_sold", "units_returned", "customers"), 0),
        **dict.fromkeys(("new_customers", "returning_customers"), 0),
        **dict.fromkeys(("gross_sales", "discounts", "returns", "net_sales"), "0.0000"),
        **dict.fromkeys(("shipping", "charges", "taxes", "total_sales"), "0.0000"),
        **dict.fromkeys(("tips", "fees", "duties", "gift_cards_sold", "gift_cards_redeemed"), "0.0000"),
        "average_order_value": None,
    }
    for table in ("raw.orders", "clean.orders", "clean.order_lines", "clean.sales", "ops.quarantine", "ops.exclusions"):
        days = closed_shop.rows(f"select distinct order_date as day from {table}")
        assert [row["day"] for row in days] == [_day(0)], table


def test_guests_are_known_by_their_address_and_personal_data_stands_only_in_what_the_shop_sent(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    pipeline = pipeline_of(start_shop(now=NOW, guest_share=0.7, bad_share=0.05, **SMALL))
    run_rightly(pipeline, _day(0), _day(9))
    found = pipeline.rows(
        "select payload->>'email' as written, customer_key from raw.orders join clean.orders using (order_id) "
        "where customer_id is null"
    )
    written = {row["written"] for row in found if row["written"]}
    keys = {row["customer_key"] for row in found if row["written"]}
    assert len(keys) == len({str(address).strip().lower() for address in written}) < len(written)
    assert {row["customer_key"] for row in found if not row["written"]} == {None}
    assert pipeline.rows("select 1 as one from marts.daily_revenue where customers < orders")

    customers = pipeline.shop.shop.customers()
    secrets = {str(address).strip().lower() for address in written} | {customer.email for customer in customers}
    secrets |= {customer.name.lower() for customer in customers}
    columns = pipeline.rows(
        "select table_schema || '.' || table_name as place, column_name as name from information_schema.columns "
        "where table_schema in ('clean', 'ops', 'marts') and data_type = 'text'"
    )
    assert len(columns) > 25
    for column in columns:
        texts = pipeline.rows(f"select distinct lower({column['name']}) as text from {column['place']}")
        assert not any(secret in str(row["text"]) for row in texts for secret in secrets), column


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def test_refunds_cancellations_and_repairs_of_later_days_change_their_own_days(pipeline_of: PipelineOf) -> None:
    clock = Clock(at("2025-06-04T03:00:00+02:00"))
    settings = DemoShopSettings(**{**EVENTFUL, "opened": OPENED, "bad_share": 0.4})
    with serve(settings, now=clock) as shop:
        pipeline = pipeline_of(shop)
        before = run_rightly(pipeline, _day(0), _day(1))
        clock.now = NOW
        after = run_rightly(pipeline, _day(0), _day(12))
    repaired = {order_id for true in before for order_id in true.quarantined} & (after[0].orders | after[1].orders)
    assert repaired
    assert len(pipeline.rows("select distinct event_date from clean.sales where event_date > order_date")) > 10
    cancelled = pipeline.rows(
        "select sum(net_sales) as net, sum(shipping) as shipping, sum(taxes) as taxes, sum(quantity) as units "
        "from clean.sales where order_id in (select order_id from clean.orders where cancelled_at is not null) "
        "group by order_id"
    )
    assert len(cancelled) > 5
    assert {Decimal(str(value)) for row in cancelled for value in row.values()} == {Decimal(0)}


def test_new_customers_are_right_when_only_the_later_part_of_history_is_loaded(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    shop = start_shop(now=NOW, guest_share=0, **SMALL)
    pipeline = pipeline_of(shop)
    assert pipeline.run(_day(30), _day(33)).succeeded
    messages = "select customers, new_customers, returning_customers from marts.daily_revenue order by event_date"
    true = [shop.shop.truth(_day(number)).revenue["EUR"] for number in range(30, 34)]
    right = [(row.customers, row.new_customers, row.returning_customers) for row in true]
    assert [tuple(row.values()) for row in pipeline.rows(messages)] == right
    fields = {"customer_id": "id", "created_at": "created_at", "updated_at": "updated_at"}
    untold = pipeline_of(shop, customers={"fields": fields})
    assert untold.run(_day(30), _day(33)).succeeded
    assert sum(int(str(row["new_customers"])) for row in pipeline.rows(messages)) > sum(
        row.new_customers for row in true
    )


def test_a_shop_that_fails_for_moments_gives_the_same_tables(
    start_shop: StartShop, pipeline_of: PipelineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("analytics_pipeline.sources.opening.ShopClient", partial(ShopClient, sleep=waits.append))
    shop = start_shop(now=NOW, **SMALL)
    pages = {
        "pagination": {"type": "cursor", "param": "cursor", "next": "next_cursor", "size_param": "limit", "size": 20}
    }
    pipeline = pipeline_of(shop, orders=pages, limits={"retries": 9})
    for fault in (Fault.TOO_MANY_REQUESTS, Fault.ERROR_500, Fault.ERROR_503, Fault.CUT_ANSWER):
        shop.shop.misbehave(fault, next_requests=1, path="/orders")
        shop.shop.misbehave(fault, share=0.05)
    run_rightly(pipeline, _day(0), _day(5))
    flaky = hashes(pipeline)
    assert len(waits) > 4
    shop.shop.misbehaviour.stop()
    run_rightly(pipeline, _day(0), _day(5))
    assert hashes(pipeline) == flaky


@pytest.mark.parametrize("fault", [Fault.DUPLICATE_PAGE, Fault.DUPLICATE_RECORD])
@pytest.mark.parametrize("count", ["total", None])
def test_what_a_shop_sends_twice_counts_once(
    fault: Fault, count: str | None, start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    shop = start_shop(now=NOW, **SMALL)
    shop.shop.misbehave(fault, share=1.0)
    counted = {"count": count}
    pipeline = pipeline_of(shop, orders=counted, customers=counted, products=counted)
    run_rightly(pipeline, _day(0), _day(1))
    counts = pipeline.rows("select count(*) as rows, count(distinct order_id) as orders from raw.orders")[0]
    assert int(str(counts["rows"])) > int(str(counts["orders"])) > 0


def test_a_record_that_the_shop_counts_and_does_not_send_fails_the_run_and_keeps_the_rows(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    shop = start_shop(now=NOW, **SMALL)
    pipeline = pipeline_of(shop)
    run_rightly(pipeline, _day(0), _day(1))
    before = hashes(pipeline), content_hash(pipeline.database, "raw.orders", without=())
    shop.shop.misbehave(Fault.MISSING_RECORD, share=1.0, path="/orders")
    summary = pipeline.run(_day(0), _day(1))
    assert not summary.succeeded
    assert any("extracted_records_equal_the_shops_count" in failure for failure in summary.failures)
    assert (hashes(pipeline), content_hash(pipeline.database, "raw.orders", without=())) == before
    agrees(pipeline, _day(0), _day(1))


def test_a_field_that_nobody_knows_is_kept_and_harms_nothing(start_shop: StartShop, pipeline_of: PipelineOf) -> None:
    shop = start_shop(now=NOW, **SMALL)
    shop.shop.misbehave(Fault.NEW_FIELD, share=1.0)
    pipeline = pipeline_of(shop)
    run_rightly(pipeline, _day(0), _day(1))
    kept = pipeline.rows("select bool_and(payload->>'loyalty_tier' = 'gold') as is_kept from raw.orders")
    assert kept == [{"is_kept": True}]


def test_orders_keep_to_their_days_when_the_shop_cannot_be_asked_for_days(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    shop = start_shop(now=at("2025-06-20T10:00:00+02:00"), **SMALL)
    pipeline = pipeline_of(shop, orders={"created_window": None})
    run_rightly(pipeline, _day(0), _day(2))
    days = pipeline.rows("select order_date, count(*) as orders from raw.orders group by 1 order by 1")
    assert [row["order_date"] for row in days] == [_day(0), _day(1), _day(2)]
    assert len(shop.shop.orders_between()) > 4 * sum(int(str(row["orders"])) for row in days)


STYLES: dict[str, dict[str, Any]] = {
    "cursor": {"type": "cursor", "param": "cursor", "next": "next_cursor"},
    "cursor alone": {"type": "cursor", "param": "cursor", "next": "next_cursor", "repeat_params": False},
    "page number": {"type": "page_number", "param": "page"},
    "page number of so many": {"type": "page_number", "param": "page", "pages": "pages"},
    "offset": {"type": "offset", "param": "offset"},
    "next link": {"type": "next_link", "next": "next"},
    "link header": {"type": "link_header"},
}


def test_every_style_of_paging_reads_the_same_orders(start_shop: StartShop, pipeline_of: PipelineOf) -> None:
    shop = start_shop(now=NOW, **SMALL)
    expected = sorted(order_id for number in range(5) for order_id in _ids(shop, _day(number)))
    for name, style in STYLES.items():
        for count in ({"count": "total"}, {"count": None, "count_header": "X-Total-Count"}, {"count": None}):
            paged = {"pagination": {**style, "size_param": "limit", "size": 7}, **count}
            described = load_shop(str(pipeline_of(shop, orders=paged).description))
            with ShopClient(described) as client:
                extraction = extract_orders(client, _day(0), _day(4))
                found = [order_id for batch in extraction for order_id in batch["order_id"].to_pylist()]
            assert sorted(found) == expected, (name, count)
            assert extraction.source_count in (None, len(expected))


def _ids(shop: RunningShop, day: date) -> set[str]:
    truth = shop.shop.truth(day)
    return {*truth.orders, *truth.quarantined, *truth.excluded}
