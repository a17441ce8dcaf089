"""The leading comment of a mart's file: what a row is, and lines `key: value` that say how the mart is treated.

What the values mean to the mart (`grain`, `restatements`) is the engine's part, and the SQL of a check `statement`'s.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from analytics_pipeline.errors import MartError

KEYS = ("grain", "reads", "restatements", "check", "due", "owner", "shops")
"""What a line of the comment begins with that is no description; only checks may be several."""
KEYED = re.compile(r"(?P<key>[A-Za-z]+)(?: *\((?P<option>[^)]*)\))?:(?P<value>.*)")
CONTINUES = "   "
"""A line that begins so goes on with the key above it."""
WARN = "warn"
CHECK = re.compile(r"\s*(?P<name>[a-z][a-z0-9_]*):(?P<sql>.*)", re.DOTALL)
OUTSIDE = re.compile(r"([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)")
OWNER = re.compile(r"team:[A-Za-z0-9_]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")


@dataclass(frozen=True)
class CheckLine:
    """A line `check: name: select ...`.

    Attributes:
        name: What is asserted, as a name.
        sql: Selects the rows that contradict it.
        is_blocking: Whether such a row stops what comes after the mart; else it is a warning.
        line: Where it stands.
    """

    name: str
    sql: str
    is_blocking: bool
    line: int


@dataclass(frozen=True)
class Header:
    """What the comment says.

    Attributes:
        description: What a row is.
        grain: Columns that tell one row from another.
        restatements: What stands behind `restatements:`.
        checks: In the order of the file.
        is_due: Whether each day has to be there on time.
        owners: E-mail addresses and `team:name`; empty for the project's own.
        reads: Tables from outside that it reads, as (schema, name).
        is_of_all_shops: Whether the tables that it reads are those of every shop.
        lines: Line of each key.
    """

    description: str
    grain: tuple[str, ...]
    restatements: str | None
    checks: tuple[CheckLine, ...]
    is_due: bool
    owners: tuple[str, ...]
    reads: tuple[tuple[str, str], ...]
    is_of_all_shops: bool
    lines: Mapping[str, int]


@dataclass
class _Line:
    number: int
    key: str
    option: str | None
    value: str


def fault(path: Path, line: int, message: str) -> MartError:
    """Return the error of a file and a line."""
    return MartError(f"{path}: line {line}: {message}")


def read_header(path: Path, text: str) -> Header:
    """Read the leading comment of a file's text.

    Raises:
        MartError: It lacks description or grain, or a line of it means nothing.
    """
    lines = list(_lines(path, text))
    found = {line.key: line for line in lines}
    description = " ".join(line.value for line in lines if not line.key)
    if not description:
        raise fault(path, 1, "begins with no comment that says what a row is.")
    if "grain" not in found:
        last = lines[-1].number
        raise fault(path, last, "no line `-- grain: column, column` above it says which columns tell rows apart.")
    return Header(
        description=description,
        grain=_grain(path, found["grain"]),
        restatements=found["restatements"].value.strip() or None if "restatements" in found else None,
        checks=_checks(path, lines),
        is_due=_is_due(path, found.get("due")),
        owners=_owners(path, found.get("owner")),
        reads=_reads(path, found.get("reads")),
        is_of_all_shops=_is_of_all_shops(path, found.get("shops")),
        lines={key: line.number for key, line in found.items() if key},
    )


def _lines(path: Path, text: str) -> Iterator[_Line]:
    """Yield the lines of the comment, each with those that go on with it; descriptions have the key ''."""
    line: _Line | None = None
    seen: set[str] = set()
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.startswith("--"):
            break
        if line is not None and line.key and raw[2:].startswith(CONTINUES):
            line.value += "\n" + raw[2:]
            continue
        if line is not None:
            yield line
        line = _line(path, number, raw[2:].strip())
        if line.key in seen - {"check", ""}:
            raise fault(path, number, f"{line.key} is given twice; keep one.")
        seen.add(line.key)
    if line is not None:
        yield line


def _line(path: Path, number: int, said: str) -> _Line:
    keyed = KEYED.match(said)
    key = keyed["key"].lower() if keyed else ""
    if keyed is None or key not in KEYS:
        if close := difflib.get_close_matches(key, KEYS, 1, cutoff=0.75):
            raise fault(path, number, f"{key}: means nothing; did you mean {close[0]}:?")
        return _Line(number, "", None, said)
    option = keyed["option"]
    if option is not None and (key != "check" or option.strip() != WARN):
        raise fault(path, number, f"{key} ({option}) means nothing; there is only check ({WARN}).")
    return _Line(number, key, option, keyed["value"])


def _listed(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _grain(path: Path, line: _Line) -> tuple[str, ...]:
    grain = _listed(line.value)
    if not grain or len(set(grain)) < len(grain):
        raise fault(path, line.number, "grain names each column that sets rows apart, once.")
    return grain


def _checks(path: Path, lines: list[_Line]) -> tuple[CheckLine, ...]:
    checks: dict[str, CheckLine] = {}
    for line in lines:
        if line.key != "check":
            continue
        parts = CHECK.fullmatch(line.value)
        if parts is None:
            raise fault(path, line.number, "a check is `-- check: what_is_asserted: select ...` of contradicting rows.")
        if parts["name"] in checks:
            raise fault(path, line.number, f"there is a check {parts['name']} already; give it another name.")
        checks[parts["name"]] = CheckLine(parts["name"], parts["sql"], line.option is None, line.number)
    return tuple(checks.values())


def _is_due(path: Path, line: _Line | None) -> bool:
    if line is not None and line.value.strip() not in {"yes", "no"}:
        raise fault(path, line.number, "due is `no` where a day may be late, else `yes`.")
    return line is None or line.value.strip() == "yes"


def _is_of_all_shops(path: Path, line: _Line | None) -> bool:
    if line is not None and line.value.strip() != "all":
        raise fault(path, line.number, "shops is `all`, or is left out: a mart is of one shop, or reads all of them.")
    return line is not None


def _owners(path: Path, line: _Line | None) -> tuple[str, ...]:
    owners = _listed(line.value) if line is not None else ()
    if line is not None and (not owners or not all(OWNER.fullmatch(one) for one in owners)):
        raise fault(path, line.number, "owner is an e-mail address or team:name; several with commas.")
    return owners


def _reads(path: Path, line: _Line | None) -> tuple[tuple[str, str], ...]:
    found = [OUTSIDE.fullmatch(name) for name in _listed(line.value)] if line is not None else []
    names = tuple((name[1], name[2]) for name in found if name is not None)
    if line is not None and (not found or len(names) < len(found)):
        raise fault(path, line.number, "reads names tables from outside, as in sheets.targets; several with commas.")
    return names
