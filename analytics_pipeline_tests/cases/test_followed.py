"""Lists that are asked for order by order: `orders.follow`."""

from datetime import date, datetime
from typing import Any

from analytics_pipeline_tests.cases.related_shop import describe_follow, polled_within_a_week, refund
from analytics_pipeline_tests.cases.small_shop import BERLIN, Case
from analytics_pipeline_tests.fake_shop import Asked, Reply

RETURNED = "select order_id, returns::numeric(19,2)::text as value from clean.sales where event_type = 'line_returned'"


def test_only_orders_that_need_it_are_asked_for_and_a_failing_call_refuses_their_day_alone(case: Case) -> None:
    for order in case.shop.orders[:2]:
        order["refunded"] = True
    broken = [True]

    def second(_: Asked) -> Reply:
        return Reply({"error": "gone"}, 404) if broken[0] else Reply([refund("R2", "O2", "2026-11-22", "3.00")])

    case.shop.fake.routes["/orders/O1/refunds"] = lambda _: Reply([refund("R1", "O1", "2026-11-22")])
    case.shop.fake.routes["/orders/O2/refunds"] = second
    describe_follow(case)
    summary = case.run("2026-11-20", "2026-11-22")
    assert any("what belongs to order O2 could not be read" in failure for failure in summary.failures)
    assert case.rows(RETURNED) == [{"order_id": "O1", "value": "4.00"}]
    assert case.rows("select order_id from raw.orders order by 1") == [{"order_id": "O1"}, {"order_id": "O3"}]
    assert [one.path for one in case.shop.fake.asked].count("/orders/O3/refunds") == 0
    broken[0] = False
    assert all(run.succeeded for run in case.catch_up(datetime(2026, 11, 23, 15, tzinfo=BERLIN)))
    assert case.rows(f"{RETURNED} order by 1") == [
        {"order_id": "O1", "value": "4.00"},
        {"order_id": "O2", "value": "3.00"},
    ]
    assert case.rows("select parent_id, record_date from raw.order_refunds order by 1") == [
        {"parent_id": "O1", "record_date": date(2026, 11, 20)},
        {"parent_id": "O2", "record_date": date(2026, 11, 21)},
    ]


def test_what_an_order_began_to_list_is_read_to_its_end_from_its_cursor(case: Case) -> None:
    (first, *_) = case.shop.orders
    line = first["lines"][0]
    first["more"] = "c1"
    pages: dict[str, dict[str, Any]] = {
        "c1": {"lines": [{**line, "id": "2"}], "next": "c2"},
        "c2": {"lines": [{**line, "id": "3"}], "next": None},
    }
    case.shop.fake.routes["/lines"] = lambda asked: Reply(pages[asked.query["after"]])

    def change(description: dict[str, Any]) -> None:
        description["orders"]["follow"] = {
            "more_lines": {
                "path": "/lines",
                "params": {"order": "{{id}}"},
                "records": "lines",
                "pagination": {"type": "cursor", "param": "after", "next": "next"},
                "when": "more",
                "cursor": "more",
                "into": "lines",
            }
        }

    case.describe(change)
    assert case.run("2026-11-20", "2026-11-22").succeeded
    assert case.rows("select order_id, line_id from clean.order_lines order by 1, 2") == [
        {"order_id": "O1", "line_id": "1"},
        {"order_id": "O1", "line_id": "2"},
        {"order_id": "O1", "line_id": "3"},
        {"order_id": "O2", "line_id": "1"},
        {"order_id": "O3", "line_id": "1"},
    ]
    assert case.revenue() == {"2026-11-20": "30.00", "2026-11-21": "10.00", "2026-11-22": "10.00"}
    assert {one.query["order"] for one in case.shop.fake.asked if one.path == "/lines"} == {"O1"}


def test_what_changes_in_an_answer_to_an_order_that_stays_the_same_is_found_when_its_day_is_read_again(
    case: Case,
) -> None:
    case.shop.orders[0]["refunded"] = True
    listed = [refund("R1", "O1", "2026-11-22")]
    case.shop.fake.routes["/orders/O1/refunds"] = lambda _: Reply(listed)
    describe_follow(case)
    assert case.run("2026-11-20", "2026-11-22").succeeded
    listed.append(refund("R2", "O1", "2026-11-22", "1.00"))
    assert polled_within_a_week(case) == {("2026-11-20", "refund")}
    assert case.run("2026-11-20").succeeded
    assert case.rows(f"{RETURNED} order by 2") == [
        {"order_id": "O1", "value": "1.00"},
        {"order_id": "O1", "value": "4.00"},
    ]
