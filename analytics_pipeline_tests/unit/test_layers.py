"""Who may import whom: rooms lie in an order, a room imports only rooms below it, and one wing knows Dagster."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "analytics_pipeline"
ROOMS = (
    ("__init__", "errors", "plain", "job_names", "days"),
    ("settings", "decoding"),
    ("shop",),
    ("profile",),
    ("tables",),
    ("transforms", "marts", "seeds", "warehouse"),
    ("catalogue",),
    ("history", "sources"),
    ("late_changes", "anomalies", "alerts", "webhooks"),
    ("orchestration",),
    ("definitions",),
    ("cli",),
    ("__main__",),
)
"""From the ground up; rooms of one floor do not know each other."""
FLOORS = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
WITH_DAGSTER = {"orchestration", "definitions", "cli"}
BY_ITSELF = "demo_shop"
ITS_GUESTS = {"cli", BY_ITSELF}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Names of modules that a module imports, anywhere in it; of `from x import y` x.y, where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name.removeprefix(PREFIX) in TREES else str(node.module) for name in names)


PREFIX = f"{PACKAGE.name}."
TREES = dict(modules())
KNOWN = {name: set(imported(tree)) for name, tree in TREES.items()}
NEIGHBOURS = {
    name: {module.removeprefix(PREFIX) for module in found if module.removeprefix(PREFIX) in KNOWN} - {name}
    for name, found in KNOWN.items()
}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def test_each_room_has_its_floor() -> None:
    assert {room_of(name) for name in KNOWN} == {*FLOORS, BY_ITSELF}


def test_a_room_imports_only_rooms_on_floors_below_it() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, found in NEIGHBOURS.items()
        for other in found
        if room_of(name) != room_of(other) and BY_ITSELF not in (room_of(name), room_of(other))
        if FLOORS[room_of(name)] <= FLOORS[room_of(other)]
    ]
    assert wrong == []


def test_only_the_wing_the_assembly_and_the_command_line_import_dagster() -> None:
    users = {room_of(name) for name, found in KNOWN.items() if any(room_of(module) == "dagster" for module in found)}
    assert users == WITH_DAGSTER


def test_the_demo_shop_knows_nobody_and_only_the_command_line_knows_it() -> None:
    assert {room_of(other) for name in KNOWN if room_of(name) == BY_ITSELF for other in NEIGHBOURS[name]} == {BY_ITSELF}
    guests = {room_of(name) for name, found in NEIGHBOURS.items() if BY_ITSELF in map(room_of, found)}
    assert guests == ITS_GUESTS


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        order = [*TopologicalSorter(NEIGHBOURS).static_order()]
    except CycleError as error:
        raise AssertionError(f"a circle of imports: {' -> '.join(error.args[1])}") from None
    assert set(order) == set(KNOWN)


def test_the_page_about_the_architecture_names_every_room_and_only_tests_that_exist() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = page.partition("## The way of an order")[0]
    assert [room for room in (*FLOORS, BY_ITSELF) if f"`{room}`" not in rooms and not room.startswith("__")] == []
    assert len(_TEST.findall(page)) >= len(re.findall(r"^\d+\. .*", page.partition("## Invariants")[2], re.MULTILINE))
    assert [name for name in _TEST.findall(page) if name not in _tests()] == []


def test_the_page_about_traps_names_a_test_for_each_and_only_tests_that_exist() -> None:
    page = (PACKAGE.parent / "docs" / "traps.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!Trap |--).*", page, re.MULTILINE)
    assert [row for row in rows if not _TEST.search(row)] == []
    assert [name for name in _TEST.findall(page) if name not in _tests()] == []


_TEST = re.compile(r"`(test_[A-Za-z0-9_]+)`")


@cache
def _tests() -> set[str]:
    """The names of all tests."""
    files = Path(__file__).parents[1].rglob("test_*.py")
    return {name for path in files for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))}


def test_no_asset_hands_over_a_hook() -> None:
    """A hook is a class with `before` and `after`; which ones run for which table, `history.hooks` says."""
    hooks = {
        node.name
        for name, tree in TREES.items()
        if room_of(name) == "history"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        if {"before", "after"} <= {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
    }
    named = {
        name
        for name, tree in TREES.items()
        if room_of(name) != "history"
        if hooks & {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    }
    assert len(hooks) > 8
    assert named == set()
