"""Reading the other charges of decoded records into columns, by the paths of the shop description.

What the values mean is `charges`' part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from analytics_pipeline.decoding.expressions import Holders
from analytics_pipeline.shop.charges import Charge, ChargeKind, CountsIn
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.records import (
    ORDERS,
    SALES,
    Entries,
    Faults,
    OrderRecords,
    Path,
    columns_of,
    flat,
    held,
)


@dataclass(frozen=True)
class ChargeEntries(Entries):
    """The amounts of one charge of the description, of all records, or of all refunds, one after the other.

    Attributes:
        kind: What is charged.
        counts_in: Which figures it counts in.
        has_amounts: Whether each entry has to have an amount: those of a list, unless values are said to be empty.
    """

    kind: ChargeKind
    counts_in: CountsIn
    has_amounts: bool = False


def entries_of_orders(documents: Sequence[object], shop: Shop, faults: Faults) -> list[ChargeEntries]:
    """Return the charges of all records, one entry per charge of the description; the owners are the records."""
    nothing, everyone, above = shop.orders.stands_for_nothing, range(len(documents)), [()] * len(documents)
    readers = [ChargeReader(charge, ORDERS, nothing) for charge in shop.orders.charges]
    return [reader.read(documents, everyone, everyone, faults, above) for reader in readers]


def entries_of_refunds(
    documents: Sequence[object], records: OrderRecords, shop: Shop, faults: Faults
) -> list[ChargeEntries]:
    """Return what refunds give back of charges, likewise; the owners are positions among all refunds."""
    charges, refunds = shop.orders.refund_charges, records.refunds_as_sent
    if not charges:
        return []
    nothing, owners = shop.orders.stands_for_nothing, records.refunds.owners
    above = held(owners, documents, [()] * len(documents))
    readers = [ChargeReader(charge, SALES, nothing, "refunds.", 1) for charge in charges]
    return [reader.read(refunds, range(len(refunds)), owners, faults, above) for reader in readers]


class ChargeReader:
    """Reads one charge of the description: an amount of each holder, or of the entries of a list in it."""

    def __init__(
        self,
        charge: Charge,
        table: str,
        nothing: Callable[[str], Mapping[str, frozenset[str]]],
        prefix: str = "",
        levels: int = 0,
    ) -> None:
        name = f"charges.{charge.kind}"
        empty = {
            "amount": nothing(f"{prefix}charges.").get(charge.kind, frozenset()),
            "tax": nothing(f"{prefix}{name}.").get("tax", frozenset()),
        }
        paths = {"amount": charge.amount, "tax": charge.tax}
        self._kind, self._place, self._has_empty = charge.kind, charge.place, bool(empty["amount"])
        of_entries = levels + (charge.records is not None)
        self._paths = {
            field: Path(path, table, name if field == "amount" else f"{name}.tax", empty[field], of_entries)
            for field, path in paths.items()
            if path is not None
        }
        self._lists = Path(charge.records, table, name, levels=levels) if charge.records is not None else None

    def read(
        self,
        holders: Sequence[object],
        places: Sequence[int],
        owners: Sequence[int],
        faults: Faults,
        above: Sequence[Holders],
    ) -> ChargeEntries:
        """Read it from all holders, which are at some places.

        Args:
            holders: Orders, or refunds.
            places: Their positions.
            owners: The positions of their records.
            faults: Takes a note of each record in which a path cannot be looked up.
            above: The records that hold each holder.
        """
        if self._lists is None:
            return ChargeEntries(
                list(places), columns_of(self._paths, holders, owners, faults, above), self._kind, self._place
            )
        found, entries = flat(holders, owners, self._lists, faults, above)
        above_entries = held(found, holders, above)
        of_records = [owners[place] for place in found]
        columns = columns_of(self._paths, entries, of_records, faults, above_entries)
        return ChargeEntries(found, columns, self._kind, self._place, has_amounts=not self._has_empty)
