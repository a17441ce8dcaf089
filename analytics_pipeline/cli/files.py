"""What commands say of the files of a shop: how many were taken in, which ones are refused or wait, and since when."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from analytics_pipeline.history.file_facts import GONE_REMEDY, FilesStored, files_stored
from analytics_pipeline.history.files import StoredFile
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.files.records import file_lists
from analytics_pipeline.transforms.file_records import described_reading
from analytics_pipeline.warehouse.connection import Database

MOST_SHOWN = 5


def file_lines(database: Database, shop: Shop, now: datetime) -> Iterator[str]:
    """Yield the lines of `status`; nothing for a shop without files. The tables of the history are there."""
    if shop.files is None:
        return
    stored = files_stored(database, shop, now)
    taken = [one for one in stored.files if one.file_id is not None]
    counts = [f"{len(taken)} taken in, {sum(one.rows for one in taken)} rows"]
    counts += [f"{len(stored.known)} of a content that is known"] if stored.known else []
    gone = sum(not one.is_there for one in taken)
    counts += [f"{gone} no longer in the folder, whose rows stay"] if gone else []
    yield f"files        {shop.files.folder}: {'; '.join(counts)}; {_looked(stored, shop, now)}"
    yield from _listed("REFUSED", stored.refused)
    yield from _listed("waiting", stored.waiting)
    read_by = {name: described_reading(shop, listed) for name, listed in file_lists(shop).items()}
    otherwise = stored.read_otherwise(read_by)
    yield from _listed("gone, and read by an earlier description", otherwise)
    if otherwise:
        yield f"             {GONE_REMEDY}"
    yield from _outside(stored, shop)


def _looked(stored: FilesStored, shop: Shop, now: datetime) -> str:
    if stored.looked_at is None:
        return "never looked into: analytics-pipeline run"
    minutes = int((now - stored.looked_at).total_seconds() // 60)
    age = f"{minutes} minutes ago" if minutes < 120 else f"{minutes // 60} hours ago"  # noqa: PLR2004 - two hours
    at = f"last look {stored.looked_at.astimezone(shop.zone):%Y-%m-%d %H:%M %Z}, {age}"
    return at if stored.look_fault is None else f"{at}, FAILED: {stored.look_fault}"


def _listed(state: str, files: Sequence[StoredFile]) -> Iterator[str]:
    for one in files[:MOST_SHOWN]:
        named = one.fault if one.fault and one.path in one.fault else f"{one.path}: {one.fault or ''}"
        yield f"             {state}: {named.rstrip(': ')}"
    if len(files) > MOST_SHOWN:
        yield f"             {state}: {len(files) - MOST_SHOWN} other files (ops.files)"


def _outside(stored: FilesStored, shop: Shop) -> Iterator[str]:
    outside = stored.outside
    if outside.before:
        first = f"first_day {shop.first_day}, the first of {outside.first}"
        yield f"             {outside.before} rows of days before {first}"
    if outside.after:
        yield f"             {outside.after} rows of days that are no business days yet, the last of {outside.last}"
