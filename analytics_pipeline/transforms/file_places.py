"""Where in the files the rows of an order stand, for what is said of one that goes into quarantine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from analytics_pipeline.shop.files import FILE, LINE, ROWS, UNREADABLE
from analytics_pipeline.transforms.records import SHOWN, Fault


def with_places(faults: Mapping[int, Fault], documents: Sequence[object]) -> dict[int, Fault]:
    """Return faults of orders that are read from files, each with file and line beside the value.

    Args:
        faults: By the order's position.
        documents: The orders' records.
    """
    return {record: _placed(fault, documents[record]) for record, fault in faults.items()}


def _placed(fault: Fault, document: object) -> Fault:
    if not isinstance(document, dict):
        return fault
    rows = document.get(ROWS)
    listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    unreadable = [row for row in listed if UNREADABLE in row]
    lines: dict[object, list[int]] = {}
    for row in unreadable or listed or [document]:
        if isinstance(row.get(LINE), int):
            lines.setdefault(row.get(FILE, document.get(FILE)), []).append(row[LINE])
    place = ", ".join(f"{file} {_shown(numbers)}" for file, numbers in lines.items())
    value = f"{fault.value or ''} ({place})" if place else fault.value
    return replace(fault, value=value.strip()[-SHOWN:] if value else value)


def _shown(lines: Sequence[int]) -> str:
    first, last = min(lines), max(lines)
    return f"line {first}" if first == last else f"lines {first} to {last}"
