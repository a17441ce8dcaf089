"""Comparing profiles: what is reported, what is kept, and what is no drift at all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics_pipeline.profile.drift import Comparison, KnownField, compare
from analytics_pipeline.profile.fields import FieldProfile

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)


def after(
    known: Sequence[KnownField],
    record: dict[str, Any],
    *others: dict[str, Any],
    count: int = 20,
    roles: dict[str, str] | None = None,
    is_newest: bool = True,
    hours: int = 1,
) -> Comparison:
    """Compare `count` records like the first one, and the others, with what is known."""
    profile = FieldProfile()
    for one in [*[record] * count, *others]:
        profile.look_at(one)
    now = NOON + timedelta(hours=hours)
    return compare(known, profile.fields(), profile.records, roles or {}, now=now, is_newest=is_newest)


def known(*records: dict[str, Any], count: int = 20) -> tuple[KnownField, ...]:
    """What is known after a first profile."""
    first = after((), records[0], *records[1:], count=count, hours=0)
    assert first.changes == ()
    return first.known


def describe(comparison: Comparison) -> list[str]:
    return [f"{change.change} {change.path}" for change in comparison.changes]


def row(comparison: Comparison, path: str, json_type: str = "string") -> KnownField:
    [found] = [field for field in comparison.known if (field.path, field.json_type) == (path, json_type)]
    return found


def test_the_same_fields_are_no_change_and_are_counted_on() -> None:
    second = after(known({"a": "x", "b": 1}, {"b": 2}), {"a": "y", "b": 1})
    assert second.changes == ()
    assert row(second, "a") == KnownField("a", "string", NOON, NOON + timedelta(hours=1), 40, 41, 1.0, "x")


def test_a_new_field_is_reported_with_its_share_and_an_example() -> None:
    found = after(known({"a": "x"}), {"a": "x"}, {"a": "x", "tier": "gold"})
    assert [str(change) for change in found.changes] == ["new: tier, string in 1 of 21, such as gold"]
    assert describe(after(found.known, {"a": "x", "tier": "gold"})) == []


def test_a_new_object_is_reported_without_what_lies_in_it() -> None:
    found = after(known({"a": "x"}), {"a": "x", "gift": {"text": "hi", "cards": [{"id": 1}]}})
    assert describe(found) == ["new gift"]
    assert {field.path for field in found.known} >= {"gift.text", "gift.cards[].id"}
    assert describe(after(found.known, {"a": "x", "gift": {"text": "hi", "cards": [{"id": 1}], "price": 1}})) == [
        "new gift.price"
    ]


def test_a_mapped_field_that_was_rare_so_far_is_no_surprise() -> None:
    roles = {"refunds": "refunds", "refunds[]": "refunds", "refunds[].id": "refunds.refund_id"}
    found = after(known({"refunds": []}), {"refunds": [{"id": "1", "why": "late"}]}, roles=roles)
    assert describe(found) == []
    assert describe(after(known({"refunds": []}), {"refunds": [{"id": "1"}]})) == ["new refunds[]"]


@pytest.mark.parametrize(("count", "expected"), [(19, []), (20, ["missing a"])])
def test_a_field_is_missed_only_among_enough_records(count: int, expected: list[str]) -> None:
    assert describe(after(known({"a": "x", "b": 1}), {"b": 1}, count=count)) == expected


def test_a_field_is_missed_only_if_enough_records_were_seen_before() -> None:
    assert describe(after(known({"a": "x", "b": 1}, count=19), {"b": 1}, count=500)) == []


@pytest.mark.parametrize(("having", "expected"), [(94, []), (95, ["missing a"])])
def test_a_field_is_missed_only_if_nearly_all_records_had_it(having: int, expected: list[str]) -> None:
    before = known({"a": "x", "b": 1}, *[{"b": 1}] * (100 - having), count=having)
    assert describe(after(before, {"b": 1})) == expected


def test_a_field_that_one_record_still_has_is_not_missing() -> None:
    assert describe(after(known({"a": "x"}), {}, {"a": "x"}, count=500)) == []
    assert describe(after(known({"a": "x"}), {"a": None})) == []


def test_missing_is_reported_once_and_so_is_its_return() -> None:
    gone = after(known({"a": "x", "b": 1}), {"b": 1}, hours=1)
    assert [str(change) for change in gone.changes] == ["missing: a, string, last seen 2025-06-02 12:00 UTC, such as x"]
    assert row(gone, "a").missing_since == NOON + timedelta(hours=1)
    still = after(gone.known, {"b": 1}, hours=2)
    assert describe(still) == []
    assert row(still, "a").missing_since == NOON + timedelta(hours=1)
    back = after(still.known, {"a": "x", "b": 1}, hours=3)
    assert [str(change) for change in back.changes] == ["back: a, string, missed since 2025-06-02 13:00 UTC, such as x"]
    assert row(back, "a").missing_since is None
    assert describe(after(back.known, {"a": "x", "b": 1}, hours=4)) == []


def test_a_field_is_judged_beside_what_it_lies_in() -> None:
    before = known({"refunds": []}, *[{"refunds": [{"id": 1, "why": "late"}]}] * 30)
    assert describe(after(before, {"refunds": []}, count=100)) == []
    assert describe(after(before, {"refunds": [{"id": 1}]})) == ["missing refunds[].why"]
    whole = known({"who": {"name": "x"}})
    gone = after(whole, {"other": 1})
    assert describe(gone) == ["missing who", "new other"]
    assert describe(after(gone.known, {"who": {"name": "x"}, "other": 1})) == ["back who"]


def test_what_lies_in_an_object_comes_back_with_it() -> None:
    without_vip = after(known({"who": {"name": "x", "vip": True}}), {"who": {"name": "x"}})
    assert describe(without_vip) == ["missing who.vip"]
    gone = after(without_vip.known, {"other": 1})
    back = after(gone.known, {"who": {"name": "x", "vip": True}, "other": 1})
    assert describe(back) == ["back who"]
    assert [field.path for field in back.known if field.missing_since] == []


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (1, "1", "was number, is string"),
        ("1", 1, "was string, is number"),
        ({}, [], "was object, is list"),
        (True, 1, "was boolean, is number"),
    ],
)
def test_another_type_is_reported_once(before: object, now: object, words: str) -> None:
    found = after(known({"a": before}), {"a": now})
    assert [(change.change, change.message) for change in found.changes] == [("retyped", words)]
    again = after(found.known, {"a": now})
    assert describe(again) == []
    assert describe(after(again.known, {"a": before})) == []


def test_null_is_no_type_of_its_own() -> None:
    assert describe(after(known({"a": None}), {"a": "x"})) == []
    assert describe(after(known({"a": "x"}), {"a": "x"}, {"a": None})) == []
    assert describe(after(known({"who": None}), {"who": {"id": 1}})) == []


def test_a_type_that_was_replaced_is_marked_and_a_rare_one_is_not() -> None:
    replaced = after(known({"a": 1}), {"a": "1"})
    assert row(replaced, "a", "number").missing_since is not None
    assert row(replaced, "a", "string").missing_since is None
    mixed = after(known({"a": 1}, *[{"a": "1"}] * 10), {"a": "1"})
    assert row(mixed, "a", "number").missing_since is None


def test_mapped_fields_come_first_the_missing_ones_before_all() -> None:
    before = known({"a": "x", "total": "1.00", "tax": 1})
    found = after(before, {"tax": "1", "b": 1}, roles={"total": "total", "tax": "taxes"})
    assert describe(found) == ["missing total", "retyped tax", "missing a", "new b"]
    assert str(found.changes[0]).startswith("missing: total (mapped as total), ")


def test_old_records_miss_nothing_bring_nothing_back_and_are_not_counted() -> None:
    before = known({"a": "x", "b": 1})
    old = after(before, {"b": 1}, is_newest=False)
    assert describe(old) == []
    assert [field.records for field in old.known] == [20, 20]
    gone = after(before, {"b": 1})
    old = after(gone.known, {"a": "x", "b": 1}, is_newest=False)
    assert describe(old) == []
    assert row(old, "a") == row(gone, "a")
    assert describe(after(old.known, {"b": 1})) == []


def test_what_only_old_records_have_is_reported_once_and_not_missed_later() -> None:
    old = after(known({"a": "x"}), {"a": "x", "old": 1}, is_newest=False)
    assert describe(old) == ["new old"]
    assert describe(after(old.known, {"a": "x"})) == []
    assert describe(after(old.known, {"a": "x", "old": 1}, is_newest=False)) == []
    assert describe(after(old.known, {"a": "x", "old": 1})) == ["back old"]
    rare = after(known({"a": "x"}), {"a": "x"}, {"a": "x", "rare": 1}, is_newest=False)
    assert describe(after(rare.known, {"a": "x", "rare": 1})) == []
