"""Mapped paths that no record of the shop has had so far: misspelt, or of a field that the shop does not send.

Pure. A path counts as found as soon as one record has it, with null too: then `drift` sees to it. What is missing is
judged by what the field is for, since shops also leave out what does not apply:

- what every record has (`EXPECTED`, and whatever is required) is reported from the first record on;
- what most shops send (`USUAL`) is reported once a hundred records lacked it;
- anything else (refunds, cancellations, discounts, rules) may rightly never come. It is reported where a field that
  nothing reads has nearly its name: `totl` beside `total`.

A path is held against the records that have the object that it lies in, or the entries of the list: without any refund,
nothing is known of a refund's fields. An object that no record has counts as a field that none has.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analytics_pipeline.profile.drift import KnownField
from analytics_pipeline.profile.fields import ANY_KEY, Field
from analytics_pipeline.profile.mapped import expressions_of
from analytics_pipeline.shop.spec import Records

EXPECTED = frozenset({"currency", "total", "taxes", "discounts", "updated_at", "lines"})
USUAL = frozenset({"customer_id", "email", "country", "shipping", "title", "category", "price", "name"})
ENOUGH_RECORDS = 100
ALIKE = 0.8


@dataclass(frozen=True)
class Unfound:
    """A mapped path that was found in none of the records.

    Attributes:
        role: The description's key, such as `lines.unit_price`.
        expression: What it is mapped to.
        records: Records looked at that could have had it.
        like: A path that nothing reads and that has nearly its name, where there is one.
        is_suspect: Whether it is worth a warning; else it may rightly be absent.
    """

    role: str
    expression: str
    records: int
    like: str | None
    is_suspect: bool

    def __str__(self) -> str:
        hint = f"; did you mean {self.like}?" if self.like else ""
        return f"{self.role} (`{self.expression}`): mapped, found in 0 of {self.records} records{hint}"


def unfound(
    endpoint: Records, fields: Sequence[Field], records: int, known: Sequence[KnownField] = ()
) -> list[Unfound]:
    """Return the mapped paths that none of some records has, nor any earlier one.

    Args:
        endpoint: The description of the list.
        fields: The profile of the records.
        records: How many they are.
        known: The fields that earlier records had.
    """
    expressions = expressions_of(endpoint)
    read = {path for one in expressions for path in one.paths}
    seen = {field.path for field in fields} | {field.path for field in known}
    earlier = _most_holders(known)
    found = []
    for one in expressions:
        if any(_is_among(path, seen) for path in one.leaves) or all(path.endswith("[]") for path in one.leaves):
            continue
        holders = max(_holders(path, fields, records) for path in one.leaves)
        if not holders:
            continue
        like = next((name for path in one.leaves for name in _alike(path, seen - read)), None)
        name, so_far = one.role.rpartition(".")[2], holders + max(earlier.get(_holder(path), 0) for path in one.leaves)
        is_suspect = (
            like is not None or one.is_required or name in EXPECTED or (name in USUAL and so_far >= ENOUGH_RECORDS)
        )
        found.append(Unfound(one.role, one.expression, holders, like, is_suspect))
    return found


def _is_among(path: str, seen: Iterable[str]) -> bool:
    """Return whether a path was seen; an object with keys that are data has one path for all of them."""
    names = path.split(".")
    forms = {path, *(".".join([*names[:place], ANY_KEY, *names[place + 1 :]]) for place in range(len(names)))}
    return ANY_KEY in path or not forms.isdisjoint(seen)


def _holder(path: str) -> str:
    """Return the path of the object that a path lies in, empty for the record itself."""
    return path.removesuffix("[]") if path.endswith("[]") else path.rpartition(".")[0]


def _holders(path: str, fields: Sequence[Field], records: int) -> int:
    """Return how many records could have had a path: those with the object that it lies in, if any has it."""
    holder = _holder(path)
    if not holder:
        return records
    found = next((field.records for field in fields if (field.path, field.json_type) == (holder, "object")), 0)
    return found if found or holder.endswith("[]") else _holders(holder, fields, records)


def _most_holders(known: Iterable[KnownField]) -> Mapping[str, int]:
    most: dict[str, int] = {}
    for field in known:
        most[_holder(field.path)] = max(most.get(_holder(field.path), 0), field.holders)
    return most


def _alike(path: str, unread: Iterable[str]) -> list[str]:
    """Return the fields beside a path that nothing reads and that are named nearly as it."""
    beside = {name.rpartition(".")[2]: name for name in unread if _holder(name) == _holder(path)}
    return [beside[close] for close in difflib.get_close_matches(path.rpartition(".")[2], beside, 1, ALIKE)]
