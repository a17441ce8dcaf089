"""The checks on raw/orders of a shop that is read from files: what was taken in, and whether it adds up."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from analytics_pipeline.history.file_facts import GONE_REMEDY, FilesStored, files_stored
from analytics_pipeline.history.files import StoredFile
from analytics_pipeline.orchestration.assets.publish import shown
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.files.records import file_lists
from analytics_pipeline.tables.contracts import EXAMPLES, RAW_ORDERS
from analytics_pipeline.transforms.file_joins import JoinsMade
from analytics_pipeline.transforms.file_records import described_reading
from analytics_pipeline.warehouse.connection import Database

TAKEN_IN, ADD_UP = "every_file_is_taken_in", "rows_of_files_add_up"
OF_THE_SHOPS_DAYS = "no_rows_lie_outside_of_the_shops_days"
AGREE = "files_with_the_same_order_agree"
_DESCRIPTIONS = {
    TAKEN_IN: "Each file of the folder was read and taken in, or its content is known; the others are named.",
    ADD_UP: "Rows in a file = rows stored, those in quarantine too + rows left out with a reason, of each file.",
    OF_THE_SHOPS_DAYS: "No row of a file is of a day before first_day, after last_day or to come; such rows are kept.",
    AGREE: "Where several files have lines of one order, no newer file lacks a line that an older one had.",
}
_KEY = dg.AssetKey(RAW_ORDERS.table.path)


def file_specs(shop: Shop) -> list[dg.AssetCheckSpec]:
    """Return the checks of `file_results`; none for a shop that is asked over HTTP."""
    if not shop.is_of_files:
        return []
    return [
        dg.AssetCheckSpec(name, asset=_KEY, blocking=False, description=description)
        for name, description in _DESCRIPTIONS.items()
    ]


def file_results(database: Database, shop: Shop, joined: JoinsMade | None) -> list[dg.AssetCheckResult]:
    """Return what is to be said of all files, after a look.

    Args:
        database: Where the tables lie.
        shop: The description.
        joined: What has come of orders that several files have; None of a shop that is asked over HTTP.
    """
    if joined is None:
        return []
    stored = files_stored(database, shop, datetime.now(UTC))
    read_by = {name: described_reading(shop, listed) for name, listed in file_lists(shop).items()}
    return [_taken_in(stored, read_by), _add_up(stored), _of_the_shops_days(stored, shop), _agree(joined)]


def _taken_in(stored: FilesStored, read_by: dict[str, str]) -> dg.AssetCheckResult:
    otherwise = stored.read_otherwise(read_by)
    figures: dict[str, Any] = {
        "files_taken_in": sum(one.file_id is not None for one in stored.files),
        "files_known_under_another_name": len(stored.known),
        "refused": _named(stored.refused),
        "waiting": _named(stored.waiting),
    }
    if otherwise:
        figures["gone_and_read_by_an_earlier_description"] = _named(otherwise)
        figures["remedy"] = GONE_REMEDY
    notes = [f"{one.path}: {note}" for one in stored.files for note in one.notes]
    if notes:
        figures["notes"] = _some(notes)
    return _result(
        TAKEN_IN,
        passed=not (stored.refused or stored.waiting or otherwise),
        figures=figures,
        is_error=bool(stored.refused),
    )


def _add_up(stored: FilesStored) -> dg.AssetCheckResult:
    taken = [one for one in stored.files if one.file_id is not None]
    figures = {
        name: sum(getattr(one, name) for one in taken)
        for name in ("rows", "rows_stored", "rows_unreadable", "rows_excluded", "rows_without_day")
    }
    wrong = [one.path for one in taken if one.rows != one.rows_stored + one.rows_excluded]
    differing = [*wrong, *stored.differing]
    return _result(ADD_UP, passed=not differing, figures={**figures, "differing": _some(differing)}, is_error=True)


def _of_the_shops_days(stored: FilesStored, shop: Shop) -> dg.AssetCheckResult:
    outside = stored.outside
    figures: dict[str, Any] = {"rows_before_first_day": outside.before, "rows_of_later_days": outside.after}
    if outside.before:
        figures["remedy"] = f"the first of them is of {outside.first}: give it as first_day, which is {shop.first_day}"
    if outside.after:
        figures["last_day_of_them"] = f"{outside.last}"
    return _result(OF_THE_SHOPS_DAYS, passed=not outside.any, figures=figures)


def _agree(joined: JoinsMade) -> dg.AssetCheckResult:
    figures = {
        "orders_of_several_files": joined.orders,
        "shown_with_fewer_lines": joined.lacking,
        "examples": ", ".join(joined.examples),
    }
    if joined.lacking:
        figures["remedy"] = "with whole_orders: true the newest file's lines of an order are all that it has"
    return _result(AGREE, passed=not joined.lacking, figures=figures)


def _result(name: str, *, passed: bool, figures: dict[str, Any], is_error: bool = False) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=_KEY,
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        metadata=shown(figures),
    )


def _named(files: Sequence[StoredFile]) -> str:
    return _some([one.fault or one.path for one in files])


def _some(texts: Sequence[str]) -> str:
    rest = f" and {len(texts) - EXAMPLES} others" if len(texts) > EXAMPLES else ""
    return "; ".join(texts[:EXAMPLES]) + rest
