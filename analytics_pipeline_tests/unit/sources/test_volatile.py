"""Fields that a comparison of two versions of a record leaves out."""

import json

import pytest
from pydantic import ValidationError

from analytics_pipeline.decoding.mapping import is_same_record, without
from analytics_pipeline.sources.came import Came, fingerprint
from analytics_pipeline_tests.unit.transforms.conftest import shop

ONE = {
    "id": "A",
    "seen": 1,
    "stock": {"left": 5, "sold": 2},
    "lines": [{"n": 1, "left": 3}, "odd", {"n": 2, "left": 4}],
}
OTHER = {
    "id": "A",
    "seen": 2,
    "stock": {"left": 4, "sold": 2},
    "lines": [{"n": 1, "left": 2}, "odd", {"n": 2, "left": 9}],
}
FIELDS = ("seen", "stock.left", "lines[].left")


def test_records_that_differ_in_volatile_fields_alone_are_the_same() -> None:
    one, other = json.dumps(ONE), json.dumps(OTHER)
    assert is_same_record(one, other, FIELDS)
    assert not is_same_record(one, other)
    for missing in range(3):
        assert not is_same_record(one, other, FIELDS[:missing] + FIELDS[missing + 1 :])
    assert not is_same_record(one, json.dumps(OTHER | {"total": "1"}), FIELDS)


def test_a_field_that_is_not_there_costs_nothing() -> None:
    assert without([1], FIELDS) == [1]
    assert without({"stock": None, "lines": {"left": 1}}, FIELDS) == {"stock": None, "lines": {}}


def came(record: dict[str, object], *volatile: str) -> str:
    found = Came(volatile)
    found.look_at([json.dumps(record).encode()], [("A", None, None)])
    return fingerprint({"A": found.marks("A")}, ["A"])


def test_a_day_has_the_same_fingerprint_where_only_volatile_fields_differ() -> None:
    assert came(ONE, *FIELDS) == came(OTHER, *FIELDS)
    assert came(ONE) != came(OTHER)
    assert came(ONE, *FIELDS) != came(OTHER | {"total": "1"}, *FIELDS)


@pytest.mark.parametrize("path", ["", "a b", "lines[0].left", "a..b", "[].a"])
def test_a_volatile_field_is_a_plain_path(path: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        shop(volatile=[path])
    assert shop(volatile=["a", "lines[].left"]).orders.volatile == ("a", "lines[].left")
