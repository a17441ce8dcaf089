"""Folders of marts: their SQL files, each read after the ones that it reads, or reported as broken.

What a file says is `engine`'s part.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analytics_pipeline.errors import MartError
from analytics_pipeline.marts.engine import (
    LAYER,
    OWN_LAYERS,
    Draft,
    Mart,
    build_mart,
    read_draft,
    read_text,
    register,
)
from analytics_pipeline.marts.header import read_header
from analytics_pipeline.marts.statement import sources
from analytics_pipeline.marts.types import SqlSchema
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.history import OPS_TABLES

MARTS_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class BrokenMart:
    """A table that cannot be computed: its file is wrong, or that of one that it reads.

    Attributes:
        name: Its name.
        reason: What is wrong, with file, place and remedy.
        reads: Marts that it reads, as far as that can be known.
        layer: What it is: a mart, but for seeds.
    """

    name: str
    reason: str
    reads: tuple[str, ...] = ()
    layer: str = LAYER


@dataclass(frozen=True)
class Readable:
    """A table that marts may read beside those of the contracts and each other: a seed, or one from outside.

    Attributes:
        layer: Its schema.
        name: Its name within it.
        columns: Names and SQL types of its columns.
        fault: Why it cannot be read, with the remedy; None where it can.
    """

    layer: str
    name: str
    columns: tuple[tuple[str, str], ...] = ()
    fault: str | None = None


def read_marts(*folders: Path, others: Iterable[Readable] = ()) -> tuple[tuple[Mart, ...], tuple[BrokenMart, ...]]:
    """Read every SQL file of some folders: marts, each after the ones that it reads, and those that are broken.

    Args:
        folders: Where they lie; only the packaged ones when none is given. A name that is given twice is broken.
        others: What they may read beside the tables of the contracts and each other.
    """
    found = {path: path.stat() for path in _files(folders)}
    files = tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in found.items())
    return _read_marts(files, tuple(others))


def names_outside(*folders: Path) -> tuple[tuple[str, str], ...]:
    """Return the tables from outside that some folders' marts name in a line `reads:`, as (schema, name)."""
    found: set[tuple[str, str]] = set()
    for path in _files(folders):
        with suppress(MartError):  # reported when the mart itself is read
            found |= {*read_header(path, read_text(path)).reads}
    return tuple(sorted(found - {(layer, name) for layer, name in found if layer in OWN_LAYERS}))


def files_of_all_shops(*folders: Path) -> list[Path]:
    """Return the files of some folders with a line `shops: all`: no shop has these marts (`shops`)."""
    return [path for path in _all_files(folders) if _is_of_all_shops(path)]


def _files(folders: Iterable[Path]) -> list[Path]:
    return [path for path in _all_files(folders) if not _is_of_all_shops(path)]


def _all_files(folders: Iterable[Path]) -> list[Path]:
    apart = dict.fromkeys(folder.resolve() for folder in folders or (MARTS_FOLDER,))
    return [path for folder in apart for path in sorted(folder.glob("*.sql"))]


def _is_of_all_shops(path: Path) -> bool:
    with suppress(MartError):  # reported when the mart itself is read
        return read_header(path, read_text(path)).is_of_all_shops
    return False


@cache
def _read_marts(
    files: tuple[tuple[Path, int, int], ...], others: tuple[Readable, ...]
) -> tuple[tuple[Mart, ...], tuple[BrokenMart, ...]]:
    """Read files, which are known by time and size: to parse them takes longer than everything else of a start."""
    named = {path.stem: [one for one, *_ in files if one.stem == path.stem] for path, *_ in files}
    paths = {name: found[-1] for name, found in named.items()}
    schema = _schema(others)
    lost = {f"{one.layer}.{one.name}": one.fault for one in others if one.fault}
    marts: dict[str, Mart] = {}
    broken: dict[str, BrokenMart] = {}
    waiting: dict[str, Draft] = {}
    for name, found in named.items():
        try:
            waiting[name] = read_draft(_only(found))
        except MartError as error:
            broken[name] = BrokenMart(name, str(error))
    while waiting:
        reads = {name: draft.marts for name, draft in waiting.items()}
        ready = [name for name in waiting if not reads[name] & waiting.keys()]
        if not ready:
            folders = ", ".join(sorted({str(paths[name].parent) for name in waiting}))
            reason = f"the marts {', '.join(sorted(waiting))} in {folders} read each other in a circle; break it."
            broken |= {name: BrokenMart(name, reason, tuple(sorted(reads[name]))) for name in waiting}
            break
        for name in ready:
            draft = waiting.pop(name)
            upstream = tuple(sorted(reads[name] & paths.keys()))
            if gone := [one for one in upstream if one in broken]:
                broken[name] = BrokenMart(name, f"{paths[name]}: reads marts.{gone[0]}, which is broken.", upstream)
                continue
            try:
                _refuse_lost(draft, lost)
                marts[name] = build_mart(draft, schema, marts)
            except MartError as error:
                broken[name] = BrokenMart(name, str(error), upstream)
            else:
                register(schema, marts[name].table)
    return tuple(marts.values()), tuple(broken.values())


def load_marts(*folders: Path) -> tuple[Mart, ...]:
    """Return the marts of some folders (`read_marts`), in an order in which each follows the ones that it reads.

    Raises:
        MartError: A file cannot be read; the message names file, place and remedy.
    """
    marts, broken = read_marts(*folders)
    for one in broken:
        raise MartError(one.reason)
    return marts


def _only(paths: Sequence[Path]) -> Path:
    if len(paths) > 1:
        raise MartError(f"{paths[-1]}: there is a mart of this name already, {paths[0]}; rename one of them.")
    return paths[0]


def _schema(others: Iterable[Readable]) -> SqlSchema:
    """Return the columns of all that a mart may read but for other marts."""
    schema: SqlSchema = {}
    for table in (*(contract.table for contract in CONTRACTS), *OPS_TABLES):
        register(schema, table)
    for one in others:
        if one.columns:
            schema.setdefault(one.layer, {})[one.name] = dict(one.columns)
    return schema


def _refuse_lost(draft: Draft, lost: Mapping[str, str]) -> None:
    """Refuse a mart that reads a seed or a table from outside which cannot be read."""
    for layer, name in (*sources(draft.statement), *(source for check in draft.checks for source in check.sources)):
        if reason := lost.get(f"{layer}.{name}"):
            raise MartError(f"{draft.path}: reads {layer}.{name}: {reason}")
