"""Lines of an order stand in the order of their ids, whatever the order of rows and files."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from analytics_pipeline.shop.files import FileOrders
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.file_joins import Fragment, OrderJoins
from analytics_pipeline.transforms.file_records import FileRead, FileRecords

Row = Mapping[str, Any]
ORDER: list[dict[str, Any]] = [
    {"order": "O1", "placed": "2026-11-01", "line": str(number), "sku": f"P{number}", "price": "1.00"}
    for number in (2, 10, 11)
]


def shop(line_id: str | None = "line") -> Shop:
    fields = {"product_id": "sku", "quantity": "`1`", "unit_price": "price"} | ({"line_id": line_id} if line_id else {})
    return Shop.model_validate(
        {
            "name": "files",
            "timezone": "Europe/Berlin",
            "currency": "EUR",
            "first_day": "2026-11-01",
            "times": {"without_offset": "local"},
            "files": {"folder": "in"},
            "orders": {
                "files": "*.csv",
                "fields": {"order_id": "order", "created_at": "placed"},
                "lines": {"fields": fields},
            },
        }
    )


def read(described: Shop, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The records of one file of these rows."""
    records = FileRecords(described, orders_of(described), "a.csv", FileRead())
    found = [records.take([dict(row) for row in rows], range(2, 2 + len(rows))), records.end()]
    return [record for batch in found for record in batch.to_pylist()]


def orders_of(described: Shop) -> FileOrders:
    assert isinstance(described.orders, FileOrders)
    return described.orders


def lines(payload: str) -> list[str]:
    return [row["line"] for row in json.loads(payload)["rows"]]


@pytest.mark.parametrize("rows", [*permutations(ORDER)])
def test_a_shuffled_file_has_the_same_lines_in_the_same_order_and_the_same_content(rows: Sequence[Row]) -> None:
    [wanted], [record] = read(shop(), ORDER), read(shop(), rows)
    assert lines(record["payload"]) == ["2", "10", "11"]
    assert record["content"] == wanted["content"]
    places = {row["line"]: row["_line"] for row in json.loads(record["payload"])["rows"]}
    assert places == {row["line"]: number for number, row in enumerate(rows, 2)}


@pytest.mark.parametrize("rows", [*permutations(ORDER)])
def test_lines_of_several_files_stand_in_the_same_order(rows: Sequence[Row]) -> None:
    written = datetime(2026, 11, 2, tzinfo=UTC)
    fragments = []
    for number, part in enumerate((rows[:2], rows[2:])):
        [record] = read(shop(), part)
        at = written + timedelta(hours=number)
        fragments.append(
            Fragment(
                f"{number}.csv", at, number, record["line"], record["day"], record["payload"].replace("a.csv", "x")
            )
        )
    [(_, payload)] = OrderJoins(orders_of(shop())).join(fragments).records
    assert lines(payload) == ["2", "10", "11"]


@pytest.mark.parametrize("odd", [None, "", "A3", "1.5", True])
def test_an_id_that_is_no_whole_number_leaves_the_lines_as_they_stand_in_the_file(odd: object) -> None:
    rows = [ORDER[2], ORDER[0] | {"line": odd}, ORDER[1]]
    assert lines(read(shop(), rows)[0]["payload"]) == ["11", odd, "10"]


def test_lines_without_ids_stand_as_in_the_file() -> None:
    [record] = read(shop(None), ORDER[::-1])
    assert [row["sku"] for row in json.loads(record["payload"])["rows"]] == ["P11", "P10", "P2"]


def test_what_only_the_first_row_of_an_order_says_is_kept_though_its_line_is_not_the_first() -> None:
    rows = [ORDER[2] | {"placed": "2026-11-01"}, ORDER[0] | {"placed": None}]
    [record] = read(shop(), rows)
    payload = json.loads(record["payload"])
    assert payload["placed"] == "2026-11-01"
    assert str(record["day"]) == "2026-11-01"
    assert [row["line"] for row in payload["rows"]] == ["2", "11"]
    assert payload["rows"][0]["placed"] is None
    assert "placed" not in payload["rows"][1]
