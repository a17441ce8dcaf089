"""Fields of an order that no figure is made of: read in their types, null and reported where they do not fit."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from analytics_pipeline.tables.contracts import CLEAN_ORDERS
from analytics_pipeline.tables.own_fields import orders_contract
from analytics_pipeline.tables.promises import violations
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline_tests.unit.transforms.conftest import EMAILS, fields, order, raw_rows, rows_of, shop

TEXTS = {"channel": "source", "payment_method": "pay", "location": "store.name", "shipping_country": "to.country"}
LISTS = {"discount_codes": "codes[].code", "tags": "tags"}


def cleaned(*records: dict[str, Any], **changes: Any) -> CleanOrders:  # noqa: ANN401  # YAML
    mapped = shop(**{"fields": fields(**TEXTS, **LISTS), **changes})
    result = clean_orders(raw_rows(records), mapped, EMAILS)
    assert violations(orders_contract(mapped), result.orders) == []
    return result


def test_texts_and_lists_are_read_as_they_are_and_null_where_there_is_none() -> None:
    full: dict[str, Any] = {"source": "web", "pay": "card", "store": {"name": "Mitte"}, "to": {"country": "AT"}}
    full |= {"codes": [{"code": "SPRING"}, {"code": "VIP"}], "tags": "gift, b2b , "}
    result = cleaned(order("A", **full), order("B", pay=7, tags=["x", 2, None], codes=[]), order("C"))
    names = (*TEXTS, *LISTS)
    assert rows_of(result.orders, *names) == [
        ("web", "card", "Mitte", "AT", '["SPRING", "VIP"]', '["gift", "b2b"]'),
        (None, "7", None, None, None, '["x", "2"]'),
        (None,) * 6,
    ]
    assert result.unreadable == []


def test_a_shop_that_maps_none_has_nulls_and_the_same_rules_as_before() -> None:
    result = clean_orders(raw_rows([order()]), shop(), EMAILS)
    assert rows_of(result.orders, *TEXTS, *LISTS) == [(None,) * 6]
    assert orders_contract(shop()) is CLEAN_ORDERS


def test_what_is_no_text_or_list_is_null_and_reported_and_its_order_stays_clean() -> None:
    result = cleaned(order("A", source={"id": 1}, tags=[{"name": "x"}]), order("B", source="web"))
    assert rows_of(result.orders, "order_id", "channel", "tags") == [("A", None, None), ("B", "web", None)]
    assert result.unreadable == [
        "A: channel: neither text nor number, but an object",
        "A: tags: neither a list of texts nor a text, but a list",
    ]


def test_a_path_that_cannot_be_looked_up_costs_its_value_alone() -> None:
    result = cleaned(order("A", tags=[1, "x"]), order("B", tags=["a"]), fields=fields(tags="join(',', tags)"))
    assert rows_of(result.orders, "order_id", "tags") == [("A", None), ("B", '["a"]')]
    assert result.unreadable == ["A: tags: its path cannot be looked up"]


EXTRA = {
    "weight": {"path": "w", "type": "number"},
    "deposit": {"path": "d", "type": "money"},
    "parcels": {"path": "p", "type": "count"},
    "is_gift": {"path": "g", "type": "flag"},
    "paid_at": {"path": "at", "type": "stamp"},
    "promised_on": {"path": "on", "type": "day"},
    "note": {"path": "note"},
}
COLUMNS = tuple(f"extra_{name}" for name in EXTRA)


def test_extra_fields_are_columns_of_their_types() -> None:
    given = {"w": "0.3333333333333", "d": "5.00", "p": 2, "g": "true", "at": "2025-03-11T23:30:00Z", "on": "2025-03-14"}
    result = cleaned(order("A", **given, note="leave at the door"), order("B", on="2025-03-11T23:30:00Z"), extra=EXTRA)
    assert rows_of(result.orders, *COLUMNS) == [
        (
            Decimal("0.333333333"),
            Decimal("5.0000"),
            2,
            True,
            datetime(2025, 3, 11, 23, 30, tzinfo=UTC),
            date(2025, 3, 14),
            "leave at the door",
        ),
        (None, None, None, None, None, date(2025, 3, 12), None),
    ]
    types = {column.name: column.postgres_type for column in orders_contract(shop(extra=EXTRA)).table.columns[-7:]}
    assert list(types) == list(COLUMNS)
    assert " ".join(types.values()) == ("numeric(38,9) numeric(19,4) bigint boolean timestamp with time zone date text")


def test_an_extra_value_of_another_type_is_null_and_reported_and_costs_no_revenue() -> None:
    odd = {"w": "heavy", "d": "5.00001", "p": "2.5", "g": "maybe", "at": "soon", "on": "2025-02-30", "note": ["x"]}
    result = cleaned(order("A", **odd), order("B", w="NaN"), order("C", w="1e99"), order("BAD", total="1"), extra=EXTRA)
    assert rows_of(result.orders, *COLUMNS) == [(None,) * 7] * 3
    reported = [line.split(": ")[:2] for line in result.unreadable]
    expected = [*(["A", name] for name in COLUMNS), ["B", "extra_weight"], ["C", "extra_weight"]]
    assert sorted(reported) == sorted(expected)
    assert not any(json.dumps(value) in "".join(result.unreadable) for value in odd.values())


@pytest.mark.parametrize("name", ["Weight", "a b", "1st", "x" * 60])
def test_names_of_extra_fields_become_columns(name: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        shop(extra={name: {"path": "x"}})


def test_empty_counts_for_them_too() -> None:
    result = cleaned(order(w="-"), extra=EXTRA, empty={"extra_weight": ["-"]})
    assert result.unreadable == []
