"""Which paths of a shop's record its description reads, and what for.

From the expressions of the description alone; no record is looked at.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics_pipeline.decoding.expressions import PARENT, parse
from analytics_pipeline.shop.charges import Charge
from analytics_pipeline.shop.fields import EXTRA_PREFIX, VALUES
from analytics_pipeline.shop.files import FileOrders
from analytics_pipeline.shop.orders import OrderMapping
from analytics_pipeline.shop.protocol import Model
from analytics_pipeline.shop.spec import Orders, Records

PERSONAL_FIELDS = frozenset({"email", "name", "customer_id"})
Roles = Mapping[str, str]
"""The key of the description by the path that it reads."""

_RECORD = ("",)
Holders = tuple[tuple[str, ...], ...]
"""The paths of the records that hold an entry, the nearest first."""


@dataclass(frozen=True)
class Mapped:
    """One expression of a description.

    Attributes:
        role: The key that holds it, such as `lines.unit_price`.
        expression: As it is written.
        paths: Every path that it reads.
        is_required: Whether no record can be without it.
    """

    role: str
    expression: str
    paths: tuple[str, ...]
    is_required: bool = False

    @property
    def leaves(self) -> tuple[str, ...]:
        """The paths that lead to none of the others."""
        return tuple(
            path for path in self.paths if not any(other.startswith((f"{path}.", f"{path}[")) for other in self.paths)
        )


def mapped_paths(endpoint: Records) -> dict[str, str]:
    """Return every path that a list's description reads, with the key that reads it, such as `lines.unit_price`."""
    roles: dict[str, str] = {}
    for one in expressions_of(endpoint):
        for path in one.paths:
            roles.setdefault(path, one.role)
    return roles


def expressions_of(endpoint: Records) -> list[Mapped]:
    """Return all expressions by which a list's description reads its records.

    What reads records of lists with a path of their own, which the order itself does not have, is left out.
    """
    joined = tuple(endpoint.joined.values()) if isinstance(endpoint, Orders | FileOrders) else ()
    return [one for one in _read(endpoint) if not any(_lies_in(path, joined) for path in one.paths)]


def _lies_in(path: str, keys: Sequence[str]) -> bool:
    return path.startswith(tuple(f"{key}{end}" for key in keys for end in (".", "["))) or path in keys


def personal_paths(roles: Roles) -> set[str]:
    """Return the paths whose values the description takes for those of a person."""
    return {path for path, role in roles.items() if role.rpartition(".")[2] in PERSONAL_FIELDS}


def _read(endpoint: Records) -> Iterator[Mapped]:
    fields: Model = getattr(endpoint, "fields")  # noqa: B009 - each kind of list has its own
    yield from _of_fields("", fields, _RECORD)
    if not isinstance(endpoint, OrderMapping):
        return
    for name, extra in endpoint.extra.items():
        yield _of(f"{EXTRA_PREFIX}{name}", extra.path, _RECORD)
    for rule in endpoint.exclude:
        yield _of(f"exclude ({rule.reason})", rule.when, _RECORD)
    for role, said in (endpoint.includes_tax.expressions if endpoint.includes_tax else {}).items():
        yield _of(role, said, _RECORD)
    if endpoint.cancelled_when:
        yield _of("cancelled_when", endpoint.cancelled_when, _RECORD)
    if endpoint.returns_when:
        yield _of("returns_when", endpoint.returns_when, _RECORD)
    yield from _of_list("lines", endpoint.lines.records, endpoint.lines.fields, _RECORD)
    yield from _of_charges("", endpoint.charges, _RECORD)
    refunds = endpoint.refunds
    if refunds:
        yield from _of_charges("refunds.", refunds.charges, _entries(refunds.records, _RECORD), (_RECORD,))
        yield from _of_list("refunds", refunds.records, refunds.fields, _RECORD)
        if refunds.lines:
            of_refunds = _entries(refunds.records, _RECORD)
            yield from _of_list("refunds.lines", refunds.lines.records, refunds.lines.fields, of_refunds, (_RECORD,))


def _of_list(role: str, records: str, fields: Model, bases: tuple[str, ...], holders: Holders = ()) -> Iterator[Mapped]:
    entries = _entries(records, bases, holders)
    yield _of(role, records, bases, holders)
    # The entries as such, which a list that is empty does not have.
    yield Mapped(role, records, entries)
    yield from _of_fields(f"{role}.", fields, entries, (bases, *holders))


def _of_charges(
    prefix: str, charges: Iterable[Charge], bases: tuple[str, ...], holders: Holders = ()
) -> Iterator[Mapped]:
    for charge in charges:
        role, entries, above = f"{prefix}charges.{charge.kind}", bases, holders
        if charge.records is not None:
            entries, above = _entries(charge.records, bases, holders), (bases, *holders)
            yield _of(role, charge.records, bases, holders)
            yield Mapped(role, charge.records, entries)
        yield _of(role, charge.amount, entries, above)
        if charge.tax is not None:
            yield _of(f"{role}.tax", charge.tax, entries, above)


def _of_fields(prefix: str, fields: Model, bases: tuple[str, ...], holders: Holders = ()) -> Iterator[Mapped]:
    for name, expression in fields:
        if expression is not None:
            is_required = type(fields).model_fields[name].is_required() or name in VALUES
            yield _of(f"{prefix}{name}", expression, bases, holders, is_required=is_required)


def _of(
    role: str, expression: str, bases: tuple[str, ...], holders: Holders = (), *, is_required: bool = False
) -> Mapped:
    found: dict[str, None] = {}
    _visit(parse(expression, len(holders)), bases, holders, found)
    return Mapped(role, expression, tuple(found), is_required)


def _entries(expression: str, bases: tuple[str, ...], holders: Holders = ()) -> tuple[str, ...]:
    lists = _visit(parse(expression, len(holders)), bases, holders, {})
    return tuple(f"{path}[]" for path in lists)


def _visit(
    node: Mapping[str, Any], bases: tuple[str, ...], holders: Holders, found: dict[str, None]
) -> tuple[str, ...]:
    """Note the paths that a part of an expression reads from `bases` or their holders; return what it stands for."""
    kind, children = node["type"], node.get("children", [])
    if kind == "field":
        paths = tuple(f"{base}.{node['value']}" if base else str(node["value"]) for base in bases)
        found.update(dict.fromkeys(paths))
        return paths
    if kind in {"subexpression", "pipe", "index_expression"}:
        for child in children:
            bases = _visit(child, bases, holders, found)
        return bases
    if kind in {PARENT, "index", "identity", "current", "slice"}:
        of_entries = tuple(f"{base}[]" for base in bases)
        return holders[node["value"] - 1] if kind == PARENT else of_entries if kind == "index" else bases
    if kind in {"projection", "filter_projection", "value_projection"}:
        suffix = ".*" if kind == "value_projection" else "[]"
        entries = tuple(f"{path}{suffix}" for path in _visit(children[0], bases, holders, found))
        for condition in children[2:]:
            _visit(condition, entries, holders, found)
        return _visit(children[1], entries, holders, found)
    results = [path for child in children for path in _visit(child, bases, holders, found)]
    return tuple(results) if kind in {"or_expression", "flatten"} else ()
