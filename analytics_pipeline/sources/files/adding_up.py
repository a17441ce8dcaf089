"""Which amounts of an order add up to its total, by the orders of a file: a guess that the file itself proves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from analytics_pipeline.sources.files.roles import Role
from analytics_pipeline.sources.files.rows import Record

ENOUGH = 0.9
"""Share of the orders that have to add up."""
MOST_ORDERS = 20_000
_LESS: tuple[tuple[Role, ...], ...] = (("order_discount",), ("discount",), ("order_discount", "discount"), ())
_MORE: tuple[tuple[Role, ...], ...] = (("shipping",), ())
_TAXES: tuple[tuple[Role, ...], ...] = (("taxes",), ("tax",), ())
_OF_LINES: frozenset[Role] = frozenset({"discount", "tax"})
AMOUNTS: tuple[Role, ...] = ("order_discount", "discount", "shipping", "taxes", "tax", "total")
"""Roles that are proved or not."""


@dataclass(frozen=True)
class Sum:
    """How orders add up to their totals.

    Attributes:
        roles: Amounts that are in the sum, and the total.
        includes_tax: Whether prices contain the taxes.
        of_lines: Whether the price is that of the whole line, whatever its column is called.
        matching: Orders that add up so.
        orders: Orders that were looked at.
    """

    roles: frozenset[Role]
    includes_tax: bool
    of_lines: bool
    matching: int
    orders: int

    @property
    def is_proved(self) -> bool:
        """Whether it is taken for true."""
        return self.matching >= ENOUGH * self.orders > 0


def adding_up(records: Iterable[Record], roles: Mapping[Role, str]) -> Sum:
    """Return how most orders add up to their totals.

    Args:
        records: The rows, numbers in their one form.
        roles: Which column is what; the order's id, its total and a value of the line are among them.
    """
    orders = [amounts for amounts in _orders(records, roles).values() if amounts is not None]
    return max((_sum(orders, way) for way in _ways(roles)), key=lambda one: one.matching)


@dataclass(frozen=True)
class _Way:
    """What may be taken off, added, be taxes beside the prices or in them, and whether prices are those of units."""

    less: tuple[Role, ...]
    more: tuple[Role, ...]
    taxes: tuple[Role, ...]
    within: bool
    of_lines: bool


@dataclass
class _Order:
    """The amounts of an order: those of its lines added up, the others by its first row."""

    amounts: dict[Role, Decimal]
    by_unit: Decimal = Decimal(0)
    by_line: Decimal = Decimal(0)


def orders_that_repeat(records: Iterable[Record], order_id: str, amount: str) -> int:
    """Return how many orders have an amount in several rows that is the same in all of them; 0 where one differs."""
    seen: dict[object, tuple[object, int]] = {}
    for record in records:
        key, value = record[order_id], record[amount]
        if not isinstance(key, str) or not isinstance(value, str) or (key not in seen and len(seen) == MOST_ORDERS):
            continue
        first, rows = seen.get(key, (value, 0))
        if value != first:
            return 0
        seen[key] = (first, rows + 1)
    return sum(rows > 1 for _, rows in seen.values())


def _ways(roles: Mapping[Role, str]) -> Iterator[_Way]:
    """The ways in which orders may add up, the usual ones first."""
    of_lines = (False, True) if "unit_price" in roles else (True,)
    for parts in product(_LESS, _MORE, _TAXES, (False, True), of_lines):
        way = _Way(*parts)
        if roles.keys() >= {*way.less, *way.more, *way.taxes} and (way.taxes or not way.within):
            yield way


def _sum(orders: Sequence[_Order], way: _Way) -> Sum:
    added = (*way.more, *(() if way.within else way.taxes))
    matching = 0
    for order in orders:
        value = order.by_line if way.of_lines else order.by_unit
        value += sum(order.amounts[role] for role in added) - sum(order.amounts[role] for role in way.less)
        matching += value == order.amounts["total"]
    named = frozenset({*way.less, *way.more, *way.taxes, "total"})
    return Sum(named, way.within, way.of_lines, matching, len(orders))


def _orders(records: Iterable[Record], roles: Mapping[Role, str]) -> dict[str, _Order | None]:
    """The orders by id; None of one with an amount that is no number."""
    found: dict[str, _Order | None] = {}
    named = [role for role in AMOUNTS if role in roles]
    for record in records:
        key = record[roles["order_id"]]
        if not isinstance(key, str) or (key not in found and len(found) == MOST_ORDERS):
            continue
        row = {role: amount for role in named if (amount := _amount(record[roles[role]])) is not None}
        price, quantity = _value(record, roles)
        is_new = key not in found
        order = found.setdefault(key, _Order(row))
        if order is None or price is None or quantity is None or len(row) < len(named):
            found[key] = None
            continue
        for role in _OF_LINES & row.keys() if not is_new else ():
            order.amounts[role] += row[role]
        order.by_unit += price * quantity
        order.by_line += price
    return found


def _value(record: Record, roles: Mapping[Role, str]) -> tuple[Decimal | None, Decimal | None]:
    """The price of a row and its quantity, None for what is none."""
    price = _amount(record[roles.get("unit_price") or roles["line_total"]], none=None)
    return price, _amount(record[roles["quantity"]], none=None) if "quantity" in roles else Decimal(1)


def _amount(value: object, none: Decimal | None = Decimal(0)) -> Decimal | None:
    """An amount; `none` for an empty cell, None for one that is no number."""
    if value is None:
        return none
    return Decimal(value) if isinstance(value, str) else None
