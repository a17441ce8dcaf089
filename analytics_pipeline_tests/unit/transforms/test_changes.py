"""What differs between two versions of an order: on which days, by how much, and why."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from analytics_pipeline.transforms.changes import EVENTS, Circumstances, OrderState, differences, states

OTHER, NOW = "hash of the old rules", "hash of the rules of now"


def day(number: int) -> date:
    return date(2025, 3, number)


def event(kind: str = "line_sold", on: int = 1, order: str = "A", **changed: object) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("gross_sales", "discounts", "returns", "shipping", "charges", "taxes", "outside_sales"), Decimal(0)
    )
    sold = {"quantity": 2, "gross_sales": Decimal(20)} if kind == "line_sold" else {"quantity": 0}
    what = {"order_id": order, "order_date": day(1), "event_date": day(on), "currency": "EUR", "event_type": kind}
    return what | {"is_cancellation": False, "customer_key": "c", "product_id": "p"} | nothing | sold | changed


def events(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=EVENTS)


def compared(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what differs, without measures that do not."""
    found = differences(events(*old), events(*new)).sort_by("event_date").to_pylist()
    return [
        {name: value for name, value in row.items() if value and name not in {"order_id", "order_date", "currency"}}
        for row in found
    ]


RETURN = event("line_returned", 4, quantity=-1, returns=Decimal(10), taxes=Decimal("-1.9000"))
CANCELLED = RETURN | {"is_cancellation": True}


def test_orders_that_count_as_before_do_not_differ() -> None:
    assert compared([event(), RETURN], [RETURN, event()]) == []
    assert compared([], []) == []


def test_two_equal_events_differ_from_one() -> None:
    (found,) = compared([event()], [event(), event()])
    assert (found["units_sold"], found["gross_sales"], found.get("orders")) == (2, Decimal(20), None)


def test_a_refund_differs_on_its_own_day_alone_with_all_its_measures() -> None:
    assert compared([event()], [event(), RETURN]) == [
        {
            "event_date": day(4),
            "units_returned": 1,
            "returns": Decimal(10),
            "net_sales": Decimal(-10),
            "taxes": Decimal("-1.9"),
            "total_sales": Decimal("-11.9"),
            "cause": "refund",
        }
    ]


def test_an_order_that_goes_takes_everything_along() -> None:
    (found,) = compared([event(shipping=Decimal(3))], [])
    assert (found["orders"], found["units_sold"], found["total_sales"]) == (-1, -2, Decimal(-23))


def test_charges_differ_in_the_measures_of_their_kinds() -> None:
    tip = event("tip_charged", charges=Decimal(5), taxes=Decimal(1))
    paid = event("gift_card_redeemed_charged", outside_sales=Decimal(-7))
    back = event("tip_refunded", 4, charges=Decimal(-2))
    assert compared([event()], [event(), tip, paid, back]) == [
        {
            "event_date": day(1),
            "charges": Decimal(5),
            "taxes": Decimal(1),
            "total_sales": Decimal(6),
            "tips": Decimal(5),
            "gift_cards_redeemed": Decimal(7),
            "cause": "edit",
        },
        {
            "event_date": day(4),
            "charges": Decimal(-2),
            "total_sales": Decimal(-2),
            "tips": Decimal(-2),
            "cause": "refund",
        },
    ]


def test_an_order_counts_where_it_is_sold_for_more_than_nothing() -> None:
    (found,) = compared([event(gross_sales=Decimal(0))], [event()])
    assert (found["orders"], found["units_sold"]) == (1, 2)


@pytest.mark.parametrize("changed", [{"customer_key": None}, {"product_id": None}, {"event_type": "adjustment"}])
def test_an_event_of_another_customer_product_or_kind_differs_by_nothing_but_itself(changed: dict[str, Any]) -> None:
    free = event(gross_sales=Decimal(0), quantity=0)
    (found,) = compared([free], [free | changed])
    assert set(found) == {"event_date", "cause"}


@pytest.mark.parametrize(
    ("old", "new", "causes"),
    [
        ([event()], [event(quantity=3)], {1: "edit"}),
        ([event()], [event(), CANCELLED], {4: "cancellation"}),
        ([event(), RETURN], [event()], {4: "edit"}),
        ([event(), RETURN], [event(), CANCELLED], {4: "cancellation"}),
        ([event()], [event(quantity=3), RETURN], {1: "edit", 4: "refund"}),
        ([event()], [event(), event("shipping_refunded", 5, shipping=Decimal(-1))], {5: "refund"}),
    ],
)
def test_events_reports_what_happened_day_by_day(
    old: list[dict[str, Any]], new: list[dict[str, Any]], causes: dict[int, str]
) -> None:
    assert {row["event_date"]: row["cause"] for row in compared(old, new)} == {
        day(number): cause for number, cause in causes.items()
    }


def test_the_state_of_an_order_has_its_days_and_what_took_something_back() -> None:
    found = states(
        events(event(), RETURN, event("adjustment", 5), CANCELLED | {"event_date": day(6)}, event(order="B"))
    )
    assert found == {
        "A": OrderState(day(1), frozenset(map(day, (1, 4, 5, 6))), refunds=2, cancellations=1),
        "B": OrderState(day(1), frozenset({day(1)})),
    }


@pytest.mark.parametrize(
    ("known", "cause"),
    [
        ({"code_versions": {}}, "backfill"),
        ({"by_rules": True}, "code_version_change"),
        ({"code_versions": {}, "by_rules": True}, "backfill"),
        ({"stored": "A", "remaining": "A"}, "refund"),
        ({"remaining": "A"}, "late_order"),
        ({"remaining": "A", "quarantined": "A"}, "quarantine_replay"),
        ({"remaining": "A", "excluded": "A"}, "edit"),
        ({"remaining": "A", "excluded": "A", "code_versions": {day(1): OTHER}}, "code_version_change"),
        ({"remaining": "A", "quarantined": "A", "code_versions": {day(1): OTHER}}, "code_version_change"),
        # The record is another one, too: the rules alone would not have let it in.
        (
            {"remaining": "A", "quarantined": "A", "code_versions": {day(1): OTHER}, "replaced": "A"},
            "quarantine_replay",
        ),
        ({"stored": "A"}, "deleted"),
        ({"stored": "A", "sent": {"A": {day(1)}}}, "left_out"),
        ({"stored": "A", "sent": {"A": {day(2)}}}, "edit"),
        ({"stored": "A", "moved": {("A", day(1))}}, "edit"),
        ({"stored": "A", "moved": {("A", day(2))}}, "deleted"),
    ],
)
def test_the_cause_follows_from_what_is_known_of_the_order(known: dict[str, Any], cause: str) -> None:
    by_rules = known.pop("by_rules", False)
    around = Circumstances(**{"code_versions": {day(1): NOW}, "code_version": NOW} | known)
    assert around.cause("A", day(1), "refund", by_rules=by_rules) == cause
