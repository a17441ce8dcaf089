"""Related records within their orders: where they are put, and what stands there already."""

from typing import Any

import pytest

from analytics_pipeline.transforms.records import Faults
from analytics_pipeline.transforms.related import Children, put_into_orders
from analytics_pipeline.transforms.version import code_version, rules_of
from analytics_pipeline_tests.unit.transforms.conftest import DAY, shop

FIELDS = {"record_id": "id", "parent_id": "order_id", "created_at": "created_at"}


def with_list(into: str = "refund_list") -> Any:  # noqa: ANN401 - a shop
    listed = {"path": "/refunds", "records": "@", "pagination": {"type": "single"}, "fields": FIELDS, "into": into}
    return shop(related={"refunds": listed})


def put(document: dict[str, Any], into: str, *payloads: str) -> Faults:
    faults = Faults()
    children = Children({"refunds": {("O1", DAY): payloads}})
    put_into_orders([document], [("O1", DAY)], children, with_list(into), faults)
    return faults


@pytest.mark.parametrize(
    ("document", "into", "after"),
    [
        ({}, "refunds", {"refunds": [{"id": 1}, {"id": 2}]}),
        ({"refunds": None}, "refunds", {"refunds": [{"id": 1}, {"id": 2}]}),
        ({"refunds": [{"id": 0}]}, "refunds", {"refunds": [{"id": 0}, {"id": 1}, {"id": 2}]}),
        ({"more": {"x": 1}}, "more.nodes", {"more": {"x": 1, "nodes": [{"id": 1}, {"id": 2}]}}),
        ({}, "more.nodes", {"more": {"nodes": [{"id": 1}, {"id": 2}]}}),
    ],
)
def test_records_are_put_under_their_key_or_added_to_what_is_listed_there(
    document: dict[str, Any], into: str, after: dict[str, Any]
) -> None:
    assert not put(document, into, '{"id": 1}', '{"id": 2}').by_record
    assert document == after


def test_an_order_without_any_has_an_empty_list() -> None:
    document: dict[str, Any] = {}
    put(document, "refund_list")
    assert document == {"refund_list": []}


@pytest.mark.parametrize("document", [{"refunds": "three"}, {"refunds": {"count": 3}}])
def test_an_order_that_holds_something_else_there_is_a_fault(document: dict[str, Any]) -> None:
    fault = put(document, "refunds", '{"id": 1}').by_record[0]
    assert (fault.reason, fault.column) == ("holds something else than a list of refunds", "refunds")


def test_lists_beside_the_orders_are_rules_of_a_description_and_their_paging_is_none() -> None:
    described, plain = with_list(), shop()
    assert code_version(described) != code_version(plain)
    assert rules_of(described).mapping != rules_of(plain).mapping
    related = described.orders.related["refunds"].model_copy(update={"path": "/other"})
    orders = described.orders.model_copy(update={"related": {"refunds": related}})
    assert code_version(described.model_copy(update={"orders": orders})) == code_version(described)


@pytest.mark.parametrize("rule", ["when", "cursor"])
def test_an_order_of_which_it_cannot_be_told_whether_it_is_asked_for_is_a_fault_and_not_without_refunds(
    rule: str,
) -> None:
    paging = {"type": "cursor", "next": "next", "param": "after"}
    listed = {"path": "/orders/{{id}}/refunds", "records": "refunds", "pagination": paging, "into": "refunds"}
    described = shop(
        follow={"refunds": listed | {"when": "paid", "cursor": "at"} | {rule: "sum(refunds[].amount) || ''"}}
    )
    faults = Faults()
    texts, numbers = ({"paid": True, "refunds": [{"amount": amount}]} for amount in ("1.00", 1))
    untold = [texts, numbers, {"paid": False, "refunds": []}]
    put_into_orders(untold, [(name, DAY) for name in "ABC"], Children(), described, faults)
    assert {place: fault.column for place, fault in faults.by_record.items()} == {0: f"follow.refunds.{rule}"}
