"""Seeds: CSV files of the user's own folder, such as targets and costs. The first line is the contract.

A cell of it is `name:type`, with ` key` behind it for the columns that tell rows apart; a column without a type is
text. Values are read as that type or refused with their line; nothing is guessed. Writing is the IO manager's part.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pyarrow as pa

from analytics_pipeline.errors import ContractError, SeedError
from analytics_pipeline.tables.names import NAME, RESERVED
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, STAMP, TEXT, Column, Table

LAYER = "seeds"
CELL = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(?: *: *(?P<type>[a-z]+(?: *\([0-9 ,]+\))?))?(?P<key> +key)?")
BETWEEN_CELLS = re.compile(r",(?![^(]*\))")
"""A comma that is none of `numeric(19,4)`."""
NUMERIC = re.compile(r"numeric *\( *(?P<digits>\d+) *, *(?P<decimals>\d+) *\)")
TYPES = {"text": TEXT, "date": DAY, "bigint": COUNT, "boolean": FLAG, "timestamptz": STAMP}
"""Types by their names in the first line, beside numeric(digits, decimals)."""
MOST_DIGITS = 38
LARGEST = 2**63


@dataclass(frozen=True)
class Seed:
    """A file whose first line is right.

    Attributes:
        table: Shape of the table.
        path: The file.
    """

    table: Table
    path: Path


def read_seeds(folder: Path) -> tuple[tuple[Seed, ...], dict[str, str]]:
    """Read the first lines of a folder's CSV files.

    Returns:
        The seeds, and what is wrong with the other files, by name.
    """
    seeds, faults = [], {}
    for path in sorted(folder.glob("*.csv")):
        try:
            seeds.append(Seed(_table(path), path))
        except SeedError as error:
            faults[path.stem] = str(error)
    return tuple(seeds), faults


def rows_of(seed: Seed) -> pa.Table:
    """Return the rows of a seed, with the types of its table.

    Raises:
        ContractError: A value is none of its column's type, or a key is absent or given twice.
    """
    columns = seed.table.columns
    rows: list[list[object]] = []
    seen: dict[tuple[object, ...], int] = {}
    for line, cells in _lines(seed.path):
        if len(cells) != len(columns):
            raise _fault(seed, line, f"has {len(cells)} values, and there are {len(columns)} columns.")
        row = [_value(seed, line, column, cell) for column, cell in zip(columns, cells, strict=True)]
        key = tuple(value for column, value in zip(columns, row, strict=True) if column.name in seed.table.key)
        if key and key in seen:
            raise _fault(seed, line, f"has the same {', '.join(seed.table.key)} as line {seen[key]}.")
        seen[key] = line
        rows.append(row)
    schema = seed.table.arrow_schema
    arrays = [pa.array([row[place] for row in rows], field.type) for place, field in enumerate(schema)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines below the first one that are not empty, each with its number."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            file.readline()
            reader = csv.reader(file, strict=True)
            yield from ((reader.line_num + 1, cells) for cells in reader if cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ContractError(f"{path}: no CSV in UTF-8 that can be read ({type(error).__name__}).") from None


def _fault(seed: Seed, line: int, message: str) -> ContractError:
    return ContractError(f"{seed.path}: line {line}: {message} Nothing was written.")


def _table(path: Path) -> Table:
    if not NAME.fullmatch(path.stem):
        raise SeedError(f"{path}: the file's name becomes the table's: small letters, digits and _, a letter first.")
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SeedError(f"{path}: no text in UTF-8 that can be read ({type(error).__name__}).") from None
    cells = [cell.strip().strip('"') for cell in BETWEEN_CELLS.split(first)]
    found = [_column(path, cell) for cell in cells]
    columns = tuple(column for column, _ in found)
    if len({column.name for column in columns}) < len(columns):
        raise SeedError(f"{path}: line 1: two columns have the same name.")
    return Table(
        schema=LAYER,
        name=path.stem,
        description=f"The file {LAYER}/{path.name}, as it is.",
        columns=columns,
        key=tuple(column.name for column, is_key in found if is_key),
    )


def _column(path: Path, cell: str) -> tuple[Column, bool]:
    """Return a column, and whether it is in the key."""
    parts = CELL.fullmatch(cell)
    kind = _type(parts["type"] or "text") if parts else None
    if parts is None or kind is None:
        raise SeedError(
            f"{path}: line 1: {cell!r} is no column; write name:type, with ` key` behind it where it sets rows apart. "
            f"Types are {', '.join(TYPES)} and numeric(digits, decimals)."
        )
    if parts["name"] in RESERVED:
        raise SeedError(
            f"{path}: line 1: {parts['name']} is a word of Postgres' own, which no column can have as its name; take "
            "another one."
        )
    is_key = parts["key"] is not None
    return Column(parts["name"], kind, "A column of the file.", is_nullable=not is_key), is_key


def _type(name: str) -> pa.DataType | None:
    if parts := NUMERIC.fullmatch(name):
        digits, decimals = int(parts["digits"]), int(parts["decimals"])
        return pa.decimal128(digits, decimals) if 0 < digits <= MOST_DIGITS and decimals <= digits else None
    return TYPES.get(name)


def _value(seed: Seed, line: int, column: Column, cell: str) -> object:
    if not cell:
        if column.is_nullable:
            return None
        raise _fault(seed, line, f"{column.name} is in the key and empty.")
    try:
        return _number(cell, column.type) if pa.types.is_decimal(column.type) else READ[column.type](cell)
    except (ValueError, InvalidOperation):
        example = EXAMPLES.get(column.type, "12.50")
        raise _fault(seed, line, f"{column.name} is no {column.postgres_type} such as {example}.") from None


def _number(cell: str, kind: pa.DataType) -> Decimal:
    number = Decimal(cell if re.fullmatch(r"-?\d+(\.\d+)?", cell) else "none")
    whole, _, decimals = cell.lstrip("-").partition(".")
    if len(decimals.rstrip("0")) > kind.scale or len(whole.lstrip("0")) > kind.precision - kind.scale:
        raise ValueError
    return number


def _count(cell: str) -> int:
    number = int(cell if re.fullmatch(r"-?\d+", cell) else "none")
    if not -LARGEST <= number < LARGEST:
        raise ValueError
    return number


def _day(cell: str) -> date:
    return date.fromisoformat(cell if re.fullmatch(r"\d{4}-\d\d-\d\d", cell) else "none")


def _stamp(cell: str) -> datetime:
    stamp = datetime.fromisoformat(cell)
    if stamp.tzinfo is None:
        raise ValueError
    return stamp.astimezone(UTC)


def _flag(cell: str) -> bool:
    if cell not in {"true", "false"}:
        raise ValueError
    return cell == "true"


READ: dict[pa.DataType, Callable[[str], object]] = {TEXT: str, DAY: _day, COUNT: _count, FLAG: _flag, STAMP: _stamp}
EXAMPLES = {DAY: "2026-11-22", COUNT: "12", FLAG: "true", STAMP: "2026-11-22T08:00:00+01:00"}
