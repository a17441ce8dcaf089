"""Reading decoded order records into columns, by the paths of the shop description.

Values stay as the API gave them; a record that breaks a rule is noted as a fault and never stops the others. What the values mean is
`orders`' part.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pandas as pd

from analytics_pipeline.sources.mapping import compile_path, decode, parse_stamp
from analytics_pipeline.sources.spec import Model, Shop

Getter = Callable[[object], object]
Columns = dict[str, list[object]]

SHOWN = 200
"""Characters of an offending value that are kept."""
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
        shown = None if value is None else str(value)[:SHOWN]
        self.by_record.setdefault(record, Fault(reason, table, column, shown))


@dataclass
class OrderRecords:
    """Order records as columns of raw values, one list per field; lists of one group have the same length.

    Attributes:
        orders: One entry per record.
        lines: One entry per line, with `record`, its record's position.
        refunds: One entry per refund, with `record`.
        refund_lines: One entry per refund line, with `record` and `refund`, its refund's position.
        excluded: Reason by position of the records left out on purpose.
        credit_notes: Positions of records that are goods taken back.
    """

    orders: Columns
    lines: Columns
    refunds: Columns
    refund_lines: Columns
    excluded: dict[int, str]
    credit_notes: set[int]


def newest_versions(raw: pd.DataFrame, shop: Shop) -> tuple[pd.DataFrame, list[object]]:
    """Return one row per order id, the newest version, and its decoded payload.

    Newest is the one with the latest change stamp of the shop, then the latest extraction.

    Args:
        raw: `order_id`, `order_date`, `extracted_at`, `payload` of `raw/orders`.
        shop: Names the path of the change stamp.
    """
    documents = [decode(payload) for payload in raw["payload"]]
    if not raw["order_id"].duplicated().any():
        return raw.reset_index(drop=True), documents
    path = shop.orders.fields.updated_at
    changed = compile_path(path) if path else lambda _: None
    newest: dict[str, tuple[tuple[datetime, object, str], int]] = {}
    for place, (order_id, document) in enumerate(zip(raw["order_id"], documents, strict=True)):
        version = (_stamp_or_earliest(changed(document), shop), raw["extracted_at"].iat[place], raw["payload"].iat[place])
        if order_id not in newest or version > newest[order_id][0]:
            newest[order_id] = (version, place)
    places = sorted(place for _, place in newest.values())
    return raw.iloc[places].reset_index(drop=True), [documents[place] for place in places]


def _stamp_or_earliest(value: object, shop: Shop) -> datetime:
    try:
        return parse_stamp(value, shop.times, shop.zone)
    except ValueError:
        return EARLIEST


class OrderReader:
    """Reads decoded order records of one shop; the description's paths are compiled once."""

    def __init__(self, shop: Shop) -> None:
        orders = shop.orders
        self._order_fields = _getters(orders.fields)
        self._lines_of = compile_path(orders.lines.records)
        self._line_fields = _getters(orders.lines.fields)
        self._refunds_of = compile_path(orders.refunds.records) if orders.refunds else None
        self._refund_fields = _getters(orders.refunds.fields) if orders.refunds else {}
        refund_lines = orders.refunds.lines if orders.refunds else None
        self._refund_lines_of = compile_path(refund_lines.records) if refund_lines else None
        self._refund_line_fields = _getters(refund_lines.fields) if refund_lines else {}
        self._exclusions = [(compile_path(rule.when), rule.reason) for rule in orders.exclude]
        self._is_credit_note = compile_path(orders.returns_when) if orders.returns_when else None

    def read(self, documents: Sequence[object], faults: Faults) -> OrderRecords:
        """Read all fields of all records; lists that are no lists are noted as faults."""
        excluded = {}
        for place, document in enumerate(documents):
            reason = next((reason for when, reason in self._exclusions if when(document)), None)
            if reason is not None:
                excluded[place] = reason
        credit_notes = set()
        if self._is_credit_note:
            credit_notes = {place for place, document in enumerate(documents) if self._is_credit_note(document)}
        line_owners, lines = _flatten(documents, self._lines_of, faults, "clean.order_lines", "lines", is_required=True)
        refund_owners, refunds = (
            _flatten(documents, self._refunds_of, faults, "clean.sales", "refunds") if self._refunds_of else ([], [])
        )
        inner_refunds, refund_lines = (
            _flatten(refunds, self._refund_lines_of, faults, "clean.sales", "refunds.lines", owners=refund_owners)
            if self._refund_lines_of
            else ([], [])
        )
        return OrderRecords(
            orders=_columns(self._order_fields, documents),
            lines={"record": list(line_owners), **_columns(self._line_fields, lines)},
            refunds={"record": list(refund_owners), **_columns(self._refund_fields, refunds)},
            refund_lines={
                "record": [refund_owners[refund] for refund in inner_refunds],
                "refund": list(inner_refunds),
                **_columns(self._refund_line_fields, refund_lines),
            },
            excluded=excluded,
            credit_notes=credit_notes,
        )


def _getters(fields: Model) -> dict[str, Getter]:
    """Compile the mapped paths; a field that is not mapped is absent."""
    return {name: compile_path(path) for name, path in fields if path is not None}


def _columns(getters: dict[str, Getter], values: Sequence[object]) -> Columns:
    return {name: [get(value) for value in values] for name, get in getters.items()}


def _flatten(
    documents: Iterable[object],
    list_of: Getter,
    faults: Faults,
    table: str,
    column: str,
    *,
    owners: Sequence[int] | None = None,
    is_required: bool = False,
) -> tuple[list[int], list[object]]:
    """Return all entries of all documents' lists, with the position of the document that each belongs to."""
    places: list[int] = []
    entries: list[object] = []
    for place, document in enumerate(documents):
        found = list_of(document)
        if isinstance(found, list):
            entries += found
            places += [place] * len(found)
        elif found is not None or is_required:
            faults.note(owners[place] if owners is not None else place, "not a list", table, column, found)
    return places, entries
