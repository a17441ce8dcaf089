"""Profiles: paths, types and counts of records, capped where they would explode, and silent about people."""

import json
from decimal import Decimal
from typing import Any

import pytest

from analytics_pipeline.decoding.mapping import decode
from analytics_pipeline.profile import fields
from analytics_pipeline.profile.fields import Field, FieldProfile, example_of, is_of_people


def profiled(*records: object, **settings: Any) -> FieldProfile:  # noqa: ANN401
    profile = FieldProfile(**settings)
    for record in records:
        profile.look_at(decode(json.dumps(record)))
    return profile


def found(profile: FieldProfile) -> dict[str, tuple[str, int, int]]:
    """Type, records and holders of each path that has one type."""
    return {field.path: (field.json_type, field.records, field.holders) for field in profile.fields()}


def test_a_path_has_its_type_its_records_and_those_that_could_have_it() -> None:
    profile = profiled(
        {"id": 1, "who": {"vip": True}, "lines": [{"price": 1.5}, {"price": 2}], "tags": ["a", "b"]},
        {"id": 2, "who": {}, "lines": [], "tags": []},
        {"id": 3},
    )
    assert profile.records == 3
    assert found(profile) == {
        "id": ("number", 3, 3),
        "who": ("object", 2, 3),
        "who.vip": ("boolean", 1, 2),
        "lines": ("list", 2, 3),
        "lines[]": ("object", 1, 2),
        "lines[].price": ("number", 1, 1),
        "tags": ("list", 2, 3),
        "tags[]": ("string", 1, 2),
    }


def test_a_path_of_several_types_has_a_field_for_each() -> None:
    profile = profiled({"a": 1}, {"a": "1"}, {"a": None}, {"a": None}, {"a": [{"b": 1}, {"b": "x"}]})
    assert [field for field in profile.fields() if field.path == "a"] == [
        Field("a", "list", 1, 5),
        Field("a", "null", 2, 5),
        Field("a", "number", 1, 5, "1"),
        Field("a", "string", 1, 5, "1"),
    ]
    assert [(field.json_type, field.records) for field in profile.fields() if field.path == "a[].b"] == [
        ("number", 1),
        ("string", 1),
    ]


def test_what_is_no_object_is_left_out() -> None:
    assert profiled([], "text", None, 5).fields() == []
    assert FieldProfile().fields() == []


@pytest.mark.parametrize(
    "key",
    [
        "4711",
        "2025-06-02",
        "550e8400-e29b-41d4-a716-446655440000",
        "SKU-10023",
        "ada@example.com",
        "Ada Lovelace",
        "a.b",
        "",
        "x" * 61,
        "deadbeef00",
        "P1001",
        "7",
    ],
)
def test_keys_that_are_data_count_as_one(key: str) -> None:
    assert list(found(profiled({"stock": {key: {"units": 1}}}))) == ["stock", "stock.*", "stock.*.units"]


@pytest.mark.parametrize("key", ["address1", "line2", "customer_id", "größe", "@type", "orderTotal", "x-id", "sha256"])
def test_keys_that_are_names_stay(key: str) -> None:
    assert key in found(profiled({key: 1}))


def test_an_object_with_too_many_keys_is_a_map_and_remains_one() -> None:
    records = [{"stock": {f"item_{chr(97 + number // 26)}{chr(97 + number % 26)}": 1}} for number in range(150)]
    profile = profiled(*records)
    assert list(found(profile)) == ["stock", "stock.*"]
    assert profile.notes == ["stock has more than 100 keys, which count as one from there on"]
    assert list(found(profiled(records[0], maps={"stock"}))) == ["stock", "stock.*"]
    assert list(found(profiled({"a": 1, "b": 2}, maps={""}))) == ["*"]


def test_depth_and_number_of_paths_are_capped_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"in": deep}
    profile = profiled(deep)
    assert len(profile.fields()) == fields.DEEPEST
    assert profile.notes == ["what lies deeper than 8 levels is not looked at"]
    monkeypatch.setattr(fields, "MOST_PATHS", 10)
    profile = profiled({f"name_{letter}": 1 for letter in "abcdefghijklmnop"})
    assert len(profile.fields()) == 10
    assert profile.notes == ["more than 10 different paths: the others are not looked at"]


# Examples


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("gold", "gold"),
        ("12.50", "12.50"),
        ("2025-06-02T10:00:00Z", "2025-06-02T10:00:00Z"),
        ("2025-06-02", "2025-06-02"),
        ("85123A", "85123A"),
        (Decimal("10.50"), "10.50"),
        (7, "7"),
        (True, "true"),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
        ("Ada Lovelace", "string of 12 characters"),
        ("ada@example.com", "string of 15 characters"),
        ("+491701234567", "string of 13 characters"),
        ("0170-1234567", "string of 12 characters"),
        ("192.168.1.17", "string of 12 characters"),
        ("https://shop/x?key=1", "string of 20 characters"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "string of 32 characters"),
        ("a\u001b[2J", "string of 5 characters"),
        ("", "string of 0 characters"),
        (4917012345678, "number of 13 digits"),
    ],
)
def test_an_example_is_one_short_word_a_number_or_a_stamp(value: object, shown: str | None) -> None:
    assert example_of(value, is_personal=False) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("Ada", "string of 3 characters"), (19700101, "number of 8 digits"), (True, "boolean"), (None, None)],
)
def test_a_value_of_a_person_is_only_measured(value: object, shown: str | None) -> None:
    assert example_of(value, is_personal=True) == shown


@pytest.mark.parametrize(
    "path",
    [
        "email",
        "eMail",
        "customer.id",
        "billing.line1",
        "first_name",
        "lastName",
        "phone_number",
        "shipping_address.zip",
        "clientIp",
        "browser_ip",
        "ip",
        "ipAddress",
        "dateOfBirth",
        "accessToken",
        "password",
        "order_status_url",
    ],
)
def test_names_of_paths_tell_of_people_and_secrets(path: str) -> None:
    assert is_of_people(path)


@pytest.mark.parametrize("path", ["shipping", "description", "total", "lines[].price", "currency", "tip", "zone"])
def test_other_names_do_not(path: str) -> None:
    assert not is_of_people(path)


def test_mapped_paths_of_people_and_whole_lists_of_them_are_only_measured() -> None:
    record = {"wer": "Ada", "stufe": "gold"}
    examples = [field.example for field in profiled(record, personal={"wer"}).fields()]
    assert examples == ["gold", "string of 3 characters"]
    examples = [field.example for field in profiled(record, personal={"*"}).fields()]
    assert examples == ["string of 4 characters", "string of 3 characters"]


def test_the_first_text_that_is_not_empty_is_the_example() -> None:
    assert [field.example for field in profiled({"a": ""}, {"a": "x"}, {"a": "y"}).fields()] == ["x"]


def test_of_a_large_record_only_the_first_items_of_a_list_are_looked_at() -> None:
    lines: list[dict[str, Any]] = [{"sku": "A", "price": "1.00", "units": number} for number in range(20_000)]
    record = {"lines": [*lines, {"last": 1}]}
    profile = FieldProfile()
    profile.look_at(record)
    assert found(profile)["lines[].sku"] == ("string", 1, 1)
    assert "lines[].last" not in found(profile)
