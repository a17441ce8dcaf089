"""Reading decoded order records into columns, by the paths of the shop description.

Values stay as the API gave them; a record that breaks a rule is noted as a fault and never stops the others. What the
values mean is `orders`' part, `lines`' and `refunds`'.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.expressions import Holders
from analytics_pipeline.decoding.mapping import column_reader, compile_path, decode, parse_stamp, reads_parent
from analytics_pipeline.shop.fields import DESCRIPTIVE_LISTS, DESCRIPTIVE_TEXTS, as_text
from analytics_pipeline.shop.files import UNREADABLE
from analytics_pipeline.shop.protocol import Model
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.values import means_nothing

Columns = dict[str, list[object]]
Version = tuple[str, date, datetime, str]
"""A version of an order: its id, its business day, when it was read, and the record as sent."""

ORDERS, LINES, SALES, EXCLUSIONS = "clean.orders", "clean.order_lines", "clean.sales", "ops.exclusions"
SHOWN = 200
"""Characters of an offending value that are kept."""
FALSE_TEXTS = frozenset({"", "false", "0", "no", "null"})
_READ_ELSEWHERE = frozenset({*DESCRIPTIVE_TEXTS, *DESCRIPTIVE_LISTS})
EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Fault:
    """Why a record goes into quarantine.

    Attributes:
        reason: The broken rule, a few words that are the same for every record that breaks it.
        table: Table that the record was meant for.
        column: Column that breaks it.
        value: The offending value as text, or None.
    """

    reason: str
    table: str
    column: str
    value: str | None


@dataclass
class Faults:
    """The first fault of each record, by the record's position."""

    by_record: dict[int, Fault] = field(default_factory=dict)

    def note(self, record: int, reason: str, table: str, column: str, value: object = None) -> None:
        """Keep a fault, unless the record has one already."""
        if record not in self.by_record:
            if isinstance(value, dict) and UNREADABLE in value:  # of a file: what stands there
                value = value[UNREADABLE]
            shown = None if value is None else str(value)[:SHOWN].replace("\x00", "\ufffd")
            self.by_record[record] = Fault(reason, table, column, shown)


@dataclass(frozen=True)
class Entries:
    """The entries of a list that records hold, lines say, of all records one after the other.

    Attributes:
        owners: Position of the record that each entry belongs to, ascending.
        columns: A list per mapped field, as long as `owners`.
    """

    owners: list[int]
    columns: Columns


@dataclass(frozen=True)
class OrderRecords:
    """Order records as columns of raw values.

    Attributes:
        orders: One entry per record.
        lines: The records' lines.
        refunds: The records' refunds.
        refunds_as_sent: The same, each as it was decoded.
        refund_lines: The lines of all refunds.
        refund_of: Position among `refunds` of each refund line's refund.
        excluded: Reason by position of the records left out on purpose.
        credit_notes: Positions of records that are goods taken back.
    """

    orders: Columns
    lines: Entries
    refunds: Entries
    refunds_as_sent: list[object]
    refund_lines: Entries
    refund_of: list[int]
    excluded: dict[int, str]
    credit_notes: set[int]


def newest_versions(raw: pd.DataFrame, shop: Shop) -> tuple[pd.DataFrame, list[object]]:
    """Return one row per order id and day, the newest version, and its decoded payload, None where it is unreadable.

    Newest is the one with the latest change stamp of the shop, then the latest extraction.

    Args:
        raw: `order_id`, `order_date`, `extracted_at`, `payload` of `raw/orders`.
        shop: Names the path of the change stamp.
    """
    documents = [decoded(payload) for payload in raw["payload"]]
    is_kept = ~raw["order_id"].duplicated(keep=False).to_numpy(dtype=bool)
    repeated = np.flatnonzero(~is_kept)
    newest: dict[tuple[str, date], tuple[tuple[datetime, datetime, str], int]] = {}
    rows = raw.iloc[repeated]
    for place, order_id, day, extracted_at, payload in zip(
        repeated.tolist(), rows["order_id"], rows["order_date"], rows["extracted_at"], rows["payload"], strict=True
    ):
        version = (_changed_at(documents[place], shop), extracted_at, payload)
        if (order_id, day) not in newest or version > newest[order_id, day][0]:
            newest[order_id, day] = (version, place)
    is_kept[[place for _, place in newest.values()]] = True
    return raw[is_kept].reset_index(drop=True), [documents[place] for place in np.flatnonzero(is_kept)]


def day_reader(shop: Shop) -> Callable[[str], date | None]:
    """Return what says the business day of a record as the description has it, None of one that it cannot read."""
    moment = compile_path(shop.orders.fields.created_at)

    def day(payload: str) -> date | None:
        try:
            return business_day(parse_stamp(moment(decode(payload)), shop.times_of(shop.orders), shop.zone), shop.zone)
        except ValueError:
            return None

    return day


def superseded_days(versions: Iterable[Version], shop: Shop) -> frozenset[tuple[str, date]]:
    """Return the orders that moved, each with a day on which an older version of it stands.

    Newest is a version as in `newest_versions`; of versions that are equally new the later day's.

    Args:
        versions: All versions of some orders.
        shop: Names the path of the change stamp.
    """
    newest: dict[str, tuple[datetime, datetime, date]] = {}
    places: set[tuple[str, date]] = set()
    for order_id, day, extracted_at, payload in versions:
        version = (_changed_at(decoded(payload), shop), extracted_at, day)
        newest[order_id] = max(version, newest.get(order_id, version))
        places.add((order_id, day))
    return frozenset((order_id, day) for order_id, day in places if newest[order_id][2] != day)


def decoded(payload: str) -> object:
    """Return a record, None of one that cannot be read."""
    try:
        return decode(payload)
    except ValueError:
        return None


def _changed_at(document: object, shop: Shop) -> datetime:
    path = shop.orders.fields.updated_at
    try:
        return parse_stamp(compile_path(path)(document), shop.times_of(shop.orders), shop.zone) if path else EARLIEST
    except ValueError:
        return EARLIEST


class Path:
    """A path of the description; a record in which it cannot be looked up gets a fault, and None for its value.

    Attributes:
        reads_parent: Whether it may look at the records that hold a value, so that it has to be given them.
    """

    def __init__(
        self, expression: str, table: str, column: str, nothing: frozenset[str] = frozenset(), levels: int = 0
    ) -> None:
        """Compile the expression.

        Args:
            expression: As the description has it.
            table: Table that a fault is noted for; likewise the column.
            column: See `table`.
            nothing: The texts of values that stand for none.
            levels: How many records hold a value: 1 for a line or a refund, 2 for the line of a refund.
        """
        self.reads_parent = levels > 0 and reads_parent(expression)
        self._look_up, self._look_up_all = compile_path(expression, levels), column_reader(expression, levels)
        self._table, self._column, self._nothing = table, column, nothing

    def read(
        self,
        values: Sequence[object],
        owners: Iterable[int],
        faults: Faults,
        holders: Sequence[Holders] | None = None,
    ) -> list[object]:
        """Return what the path finds in each value.

        Args:
            values: Records, or entries of their lists.
            owners: The positions of the values' records.
            faults: Takes a note of each record in which the path cannot be looked up.
            holders: The records that hold each value, the nearest first; needed where the path reads `parent`.
        """
        try:
            found = self._look_up_all(values, holders)
        except ValueError:
            above = holders if holders is not None else [()] * len(values)
            each = zip(values, owners, above, strict=True)
            found = [self._read_one(value, owner, faults, held) for value, owner, held in each]
        return without_nothing(found, self._nothing)

    def _read_one(self, value: object, owner: int, faults: Faults, holders: Holders) -> object:
        try:
            return self._look_up(value, holders)
        except ValueError as error:
            faults.note(owner, "its path cannot be looked up", self._table, self._column, " ".join(str(error).split()))
            return None


class OrderReader:
    """Reads decoded order records of one shop; the description's paths are compiled once."""

    def __init__(self, shop: Shop) -> None:
        orders, refunds = shop.orders, shop.orders.refunds
        refund_lines = refunds.lines if refunds else None
        nothing = orders.stands_for_nothing
        read = _paths(orders.fields, ORDERS, nothing())
        self._orders = {name: path for name, path in read.items() if name not in _READ_ELSEWHERE}
        flags = orders.includes_tax.expressions if orders.includes_tax else {}
        self._orders |= {name: Path(said, ORDERS, name) for name, said in flags.items()}
        self._lines_of = Path(orders.lines.records, LINES, "lines")
        self._lines = _paths(orders.lines.fields, LINES, nothing("lines."), levels=1)
        self._refunds_of = Path(refunds.records, SALES, "refunds") if refunds else None
        self._refunds = _paths(refunds.fields, SALES, nothing("refunds."), levels=1) if refunds else {}
        self._refund_lines_of = Path(refund_lines.records, SALES, "refund_lines", levels=1) if refund_lines else None
        self._refund_lines = (
            _paths(refund_lines.fields, SALES, nothing("refunds.lines."), levels=2) if refund_lines else {}
        )
        self._is_of_files = shop.is_of_files
        self._exclusions = [(Path(rule.when, EXCLUSIONS, "reason"), rule.reason) for rule in orders.exclude]
        self._is_credit_note = Path(orders.returns_when, ORDERS, "is_credit_note") if orders.returns_when else None

    def read(self, documents: Sequence[object], faults: Faults) -> OrderRecords:
        """Read all fields of all records; documents and lists that are none are noted as faults."""
        everyone = range(len(documents))
        for record, document in enumerate(documents):
            if not isinstance(document, dict):
                faults.note(record, "not an object that can be read", ORDERS, "payload")
            elif self._has_unreadable_row(document):
                faults.note(record, f"of a row of a file: {document[UNREADABLE]}", ORDERS, "rows")
        excluded: dict[int, str] = {}
        for when, reason in self._exclusions:
            for record, found in enumerate(when.read(documents, everyone, faults)):
                if is_true(found) and not self._has_unreadable_row(documents[record]):
                    excluded.setdefault(record, reason)
        returned = self._is_credit_note.read(documents, everyone, faults) if self._is_credit_note else []
        line_owners, lines = flat(documents, everyone, self._lines_of, faults, is_required=True)
        refund_places, refunds = flat(documents, everyone, self._refunds_of, faults)
        of_orders = held(refund_places, documents, [()] * len(documents))
        refund_of, refund_lines = flat(refunds, refund_places, self._refund_lines_of, faults, of_orders)
        refund_line_owners = [refund_places[refund] for refund in refund_of]
        of_refunds = held(refund_of, refunds, of_orders)
        return OrderRecords(
            orders=columns_of(self._orders, documents, everyone, faults),
            lines=Entries(line_owners, self._line_columns(lines, line_owners, documents, faults)),
            refunds=Entries(refund_places, columns_of(self._refunds, refunds, refund_places, faults, of_orders)),
            refunds_as_sent=refunds,
            refund_lines=Entries(
                refund_line_owners, columns_of(self._refund_lines, refund_lines, refund_line_owners, faults, of_refunds)
            ),
            refund_of=refund_of,
            excluded=excluded,
            credit_notes={record for record, found in enumerate(returned) if is_true(found)},
        )

    def _has_unreadable_row(self, document: object) -> bool:
        """Whether a row of a file could not be read, of which no rule can say what it lacks."""
        return self._is_of_files and isinstance(document, dict) and UNREADABLE in document

    def _line_columns(
        self, lines: Sequence[object], owners: Sequence[int], documents: Sequence[object], faults: Faults
    ) -> Columns:
        """Return the columns of the lines, of which there are many: no holders are listed that nobody looks at."""
        is_needed = any(path.reads_parent for path in self._lines.values())
        holders = held(owners, documents, [()] * len(documents)) if is_needed else None
        return columns_of(self._lines, lines, owners, faults, holders)


def held(places: Sequence[int], holders: Sequence[object], above: Sequence[Holders]) -> list[Holders]:
    """Return the records that hold each entry: the one at its place, and those above that."""
    found = [(holder, *further) for holder, further in zip(holders, above, strict=True)]
    return [found[place] for place in places]


def is_true(found: object) -> bool:
    """Read the result of a rule; shops also write flags as texts and numbers."""
    return found.strip().lower() not in FALSE_TEXTS if isinstance(found, str) else bool(found)


def _paths(fields: Model, table: str, nothing: Mapping[str, frozenset[str]], *, levels: int = 0) -> dict[str, Path]:
    """Compile the mapped paths; a field that is not mapped is absent."""
    mapped = ((name, path) for name, path in fields if path is not None)
    return {name: Path(path, table, name, nothing.get(name, frozenset()), levels) for name, path in mapped}


def without_nothing(values: list[object], nothing: frozenset[str]) -> list[object]:
    """Return values with None for those that stand for none: the description's `empty` names their texts."""
    return [None if as_text(value) in nothing else value for value in values] if nothing else values


def columns_of(
    paths: dict[str, Path],
    values: Sequence[object],
    owners: Sequence[int],
    faults: Faults,
    holders: Sequence[Holders] | None = None,
) -> Columns:
    """Return what each path finds in each value; see `Path.read`."""
    return {
        name: path.read(values, owners, faults, holders if path.reads_parent else None) for name, path in paths.items()
    }


def flat(
    holders: Sequence[object],
    owners: Sequence[int],
    lists: Path | None,
    faults: Faults,
    above: Sequence[Holders] | None = None,
    *,
    is_required: bool = False,
) -> tuple[list[int], list[object]]:
    """Return the entries of all holders' lists, and the position of the holder that each belongs to.

    `owners` are the positions of the holders' records, for the faults, and `above` is what holds the holders. Nothing
    is read without a path of the lists. What is no list is a fault where one is required, else an entry, so that only
    the entry is judged by it.
    """
    places: list[int] = []
    entries: list[object] = []
    if lists is None:
        return places, entries
    for place, found in enumerate(lists.read(holders, owners, faults, above)):
        if isinstance(found, list):
            entries += found
            places += [place] * len(found)
        elif is_required:
            faults.note(owners[place], "not a list", LINES, "lines", found)
        elif found != {} and not means_nothing(found):
            entries.append(found)
            places.append(place)
    return places, entries
