"""Drift: how the fields of a new profile differ from the known ones, and what is known after it.

Pure: what is known is stored elsewhere. A field is judged beside the object that it lies in: `refunds[].reason` is
missing when refunds come without it, and not when no refund comes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from analytics_pipeline.profile.fields import Field
from analytics_pipeline.profile.mapped import Roles

NEW, MISSING, RETYPED, BACK = "new", "missing", "retyped", "back"
USUAL_SHARE = 0.95
"""A field is missed only if so large a share of the records had it before."""
ENOUGH_RECORDS = 20
"""And only if so many records were looked at, before and now."""


@dataclass(frozen=True)
class KnownField:
    """A path with one of its types, as all profiles so far have seen it.

    Attributes:
        path: As in `Field`.
        json_type: As in `Field`.
        first_seen_at: When it was seen first.
        last_seen_at: When it was seen last.
        records: Records that had it, of all that were looked at.
        holders: Records that had the object or list that it lies in, since it was first seen.
        share: Records with it among those holders, in the last profile that had any.
        example: As in `Field`, of the first profile.
        missing_since: When it was missed first, None while it is there.
    """

    path: str
    json_type: str
    first_seen_at: datetime
    last_seen_at: datetime
    records: int
    holders: int
    share: float
    example: str | None = None
    missing_since: datetime | None = None


@dataclass(frozen=True)
class FieldChange:
    """One difference.

    Attributes:
        change: new, missing, retyped or back.
        path: The path.
        message: The difference in words.
        role: The key of the description that reads the path, None when none does.
        example: An example of the value; for a missing field the last known one.
    """

    change: str
    path: str
    message: str
    role: str | None = None
    example: str | None = None

    def __str__(self) -> str:
        role = f" (mapped as {self.role})" if self.role else ""
        example = f", such as {self.example}" if self.example is not None else ""
        return f"{self.change}: {self.path}{role}, {self.message}{example}"


@dataclass(frozen=True)
class Comparison:
    """Differences, those of mapped fields first, and what is known from now on."""

    changes: tuple[FieldChange, ...]
    known: tuple[KnownField, ...]


def compare(
    known: Sequence[KnownField], fields: Sequence[Field], records: int, roles: Roles, *, now: datetime, is_newest: bool
) -> Comparison:
    """Compare a profile with what is known; without anything known, everything becomes so and nothing is reported.

    Args:
        known: The known fields of this list of the shop.
        fields: The profile's.
        records: Records that the profile looked at; at least one.
        roles: The paths that the description reads.
        now: The moment of the profile.
        is_newest: Whether the newest loaded business day is among the records. Only then can a field be missing or
            back: old orders may lack what new ones have, and have what these lack.
    """
    profile = _Profile(fields, records)
    if not known:
        return Comparison((), tuple(_first(field, now) for field in fields))
    before = _by_path(known)
    added, changes = _added(before, profile, roles, now, is_newest=is_newest)
    missing: set[str] = set()
    if is_newest:
        missing = {path for path, rows in before.items() if _is_missing(path, rows, profile)}
        changes += [_missing(path, before[path], roles) for path in missing]
        changes += _back(before, profile, roles)
    kept = [_updated(row, profile, missing, now, is_newest=is_newest) for row in known]
    ordered = sorted(changes, key=lambda change: (change.role is None, _ORDER.index(change.change), change.path))
    return Comparison(tuple(ordered), (*kept, *added))


_ORDER = (MISSING, RETYPED, NEW, BACK)


class _Profile:
    """A profile with what is asked of it."""

    def __init__(self, fields: Iterable[Field], records: int) -> None:
        self.by_key = {(field.path, field.json_type): field for field in fields}
        self.by_path: dict[str, list[Field]] = defaultdict(list)
        for field in self.by_key.values():
            self.by_path[field.path].append(field)
        self._records = records

    def holders(self, path: str) -> int:
        """Return the number of records that have the object or the list that a path lies in."""
        holder = _holder(path)
        if holder is None:
            return self._records
        found = self.by_key.get(holder)
        return found.records if found else 0


def _holder(path: str) -> tuple[str, str] | None:
    """Return path and type of what a path lies in, None for the record itself."""
    if path.endswith("[]"):
        return path.removesuffix("[]"), "list"
    parent, dot, _ = path.rpartition(".")
    return (parent, "object") if dot else None


def _by_path(known: Iterable[KnownField]) -> dict[str, list[KnownField]]:
    found: dict[str, list[KnownField]] = defaultdict(list)
    for row in known:
        found[row.path].append(row)
    return dict(found)


def _first(field: Field, now: datetime, missing_since: datetime | None = None) -> KnownField:
    share = field.records / field.holders if field.holders else 0.0
    return KnownField(
        field.path,
        field.json_type,
        first_seen_at=now,
        last_seen_at=now,
        records=field.records,
        holders=field.holders,
        share=share,
        example=field.example,
        missing_since=missing_since,
    )


def _added(
    before: Mapping[str, list[KnownField]], profile: _Profile, roles: Roles, now: datetime, *, is_newest: bool
) -> tuple[list[KnownField], list[FieldChange]]:
    """Return the fields that were not known, and those of them that are worth telling.

    What lies in an object that is new itself comes with it, and a mapped field that was rare is no surprise.
    """
    keys = {(row.path, row.json_type) for rows in before.values() for row in rows}
    added: list[KnownField] = []
    changes: list[FieldChange] = []
    for path, fields in profile.by_path.items():
        unknown = [field for field in fields if (path, field.json_type) not in keys]
        for field in unknown:
            is_missed = not is_newest and _is_usual(field.records, field.holders)
            added.append(_first(field, now, missing_since=now if is_missed else None))
        holder = _holder(path)
        if not unknown or (holder is not None and holder not in keys):
            continue
        if path not in before:
            if path not in roles:
                changes.append(_new(path, fields))
            continue
        had = {row.json_type for row in before[path]} - {"null"}
        got = [field for field in unknown if field.json_type != "null"]
        if had and got:
            message = f"was {_joined(had)}, is {_joined(field.json_type for field in got)}"
            changes.append(FieldChange(RETYPED, path, message, roles.get(path), _example(got)))
    return added, changes


def _new(path: str, fields: Sequence[Field]) -> FieldChange:
    types = _joined(field.json_type for field in fields)
    most = max(field.records for field in fields)
    return FieldChange(NEW, path, f"{types} in {most} of {fields[0].holders}", example=_example(fields))


def _is_missing(path: str, rows: Sequence[KnownField], profile: _Profile) -> bool:
    return (
        path not in profile.by_path
        and not _is_gone(rows)
        and profile.holders(path) >= ENOUGH_RECORDS
        and _is_usual(sum(row.records for row in rows), max(row.holders for row in rows))
    )


def _is_usual(records: int, holders: int) -> bool:
    return holders >= ENOUGH_RECORDS and records / holders >= USUAL_SHARE


def _is_gone(rows: Sequence[KnownField]) -> bool:
    return all(row.missing_since is not None for row in rows)


def _missing(path: str, rows: Sequence[KnownField], roles: Roles) -> FieldChange:
    last = max(row.last_seen_at for row in rows)
    message = f"{_joined(row.json_type for row in rows)}, last seen {last:%Y-%m-%d %H:%M} UTC"
    return FieldChange(MISSING, path, message, roles.get(path), _example(rows))


def _back(before: Mapping[str, list[KnownField]], profile: _Profile, roles: Roles) -> list[FieldChange]:
    changes = []
    for path, rows in before.items():
        fields = profile.by_path.get(path)
        holder = _holder(path)
        comes_with_it = holder is not None and holder[0] in before and _is_gone(before[holder[0]])
        if fields and _is_gone(rows) and not comes_with_it:
            since = min(row.missing_since for row in rows if row.missing_since is not None)
            message = f"{_joined(field.json_type for field in fields)}, missed since {since:%Y-%m-%d %H:%M} UTC"
            changes.append(FieldChange(BACK, path, message, roles.get(path), _example(fields)))
    return changes


def _updated(row: KnownField, profile: _Profile, missing: set[str], now: datetime, *, is_newest: bool) -> KnownField:
    field, holders = profile.by_key.get((row.path, row.json_type)), profile.holders(row.path)
    if not is_newest:
        return replace(row, last_seen_at=now) if field and row.missing_since is None else row
    if field:
        return replace(
            row,
            last_seen_at=now,
            records=row.records + field.records,
            holders=row.holders + holders,
            share=field.records / holders,
            example=row.example if row.example is not None else field.example,
            missing_since=None,
        )
    # A type that always was and now is not has been replaced by another one.
    is_replaced = (
        row.path in profile.by_path
        and row.json_type != "null"
        and holders >= ENOUGH_RECORDS
        and _is_usual(row.records, row.holders)
    )
    since = row.missing_since or (now if row.path in missing or is_replaced else None)
    return replace(row, holders=row.holders + holders, share=0.0 if holders else row.share, missing_since=since)


def _joined(types: Iterable[str]) -> str:
    return " or ".join(sorted(set(types)))


def _example(fields: Sequence[Field] | Sequence[KnownField]) -> str | None:
    return next((field.example for field in fields if field.example is not None), None)
