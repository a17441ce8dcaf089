"""Expressions of descriptions: JMESPath with exact arithmetic and `parent`, compiled to functions.

The nodes that descriptions are made of become Python closures; the library's interpreter evaluates the others, and both
give the same. What the functions do is in `arithmetic`; plain paths, which need none of this, are in `mapping`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

import jmespath
import jmespath.exceptions
from jmespath.visitor import Options, TreeInterpreter

from analytics_pipeline.decoding.arithmetic import ARITHMETIC, Functions

PARENT = "parent"
"""The record that holds the list, where an expression on an entry begins a path with it."""
LONGEST, DEEPEST, MOST_COPIES = 4_000, 200, 10_000
"""Characters and levels of an expression, and how many times larger it may make a value: `[@, @]` makes it twice so."""
Node = Mapping[str, Any]
Holders = tuple[object, ...]
"""The records that hold an entry: the one with its list, the one that holds that, and so on."""


class LookUp(Protocol):
    """From a decoded value, and those that hold it, to what an expression finds."""

    def __call__(self, value: object, holders: Holders = (), /) -> object:
        """Return what is found, None for nothing.

        Raises:
            ValueError: A part of the expression is given a value that it does not take, or cannot calculate exactly.
        """


Evaluate = Callable[[Any, Holders], object]
_FUNCTIONS = Functions()
_OPTIONS = Options(custom_functions=_FUNCTIONS)
_IN_QUOTES = r"`(?:\\.|[^`\\])*`|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_BARE_NUMBER = re.compile(_IN_QUOTES + r"|([(,<>=|&]\s*|\[\s*(?=[-\d.]+\s*,))(-?\d+(?:\.\d+)?)(?![\w.])", re.ASCII)
"""A number where JMESPath wants a literal in quotes: an argument, or beside an operator. What is quoted is passed."""
_CHAINS = {"subexpression", "index_expression", "projection", "value_projection", "filter_projection"}


def parse(expression: str, levels: int = 0) -> Node:
    """Return the tree of an expression, in JMESPath's nodes and one more: `parent`, with its level from 1 as its value.

    Args:
        expression: As it is written.
        levels: How many records hold what it is evaluated on: 1 for a line, 2 for the line of a refund.

    Raises:
        ValueError: It is none, calls a function that there is not, is too long or too deep, or may make a value too
            large.
    """
    if len(expression) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} characters")
    try:
        tree = _adapted(jmespath.compile(_BARE_NUMBER.sub(_quoted, expression)).parsed, levels, 0, begins=True)
    except RecursionError:
        raise ValueError(f"it has more than {DEEPEST} levels") from None
    if _copies(tree) > MOST_COPIES:
        raise ValueError(f"it may make a value more than {MOST_COPIES:,} times larger: use fewer lists and objects")
    return tree


@lru_cache(maxsize=1_000)
def compile_expression(expression: str, levels: int = 0) -> LookUp:
    """Compile an expression.

    Raises:
        ValueError: As `parse`.
    """
    evaluate = _compiled(parse(expression, levels))

    def look_up(value: object, holders: Holders = ()) -> object:
        try:
            return evaluate(value, holders)
        except jmespath.exceptions.JMESPathTypeError as error:  # its own words repeat the value
            wanted = " or ".join(error.expected_types)
            fault = f"invalid type of a value: {error.function_name}() takes {wanted}, not {error.actual_type}"
            raise ValueError(fault) from None
        except ArithmeticError:
            raise ValueError("a number is too long to be calculated with exactly") from None
        except TypeError as error:  # JMESPath compares whatever it is given
            raise ValueError(str(error)) from error
        except RecursionError:
            raise ValueError("a value is nested too deeply") from None

    return look_up


def interpret(expression: str, value: object, holders: Holders = ()) -> object:
    """Return what the library's interpreter finds, without compiling: slow, and the measure of `compile_expression`."""
    return _Interpreter(holders).visit(parse(expression, len(holders)), value)  # type: ignore[arg-type]


def _quoted(found: re.Match[str]) -> str:
    return found[0] if found[2] is None else f"{found[1]}`{found[2]}`"


def _adapted(node: Node, levels: int, depth: int, *, begins: bool) -> Node:
    """Return a node with `parent` for that field where a path begins with it, and exact numbers for floats."""
    kind = node["type"]
    if depth > DEEPEST:
        raise RecursionError
    if kind == "literal":
        return {**node, "value": _exact(node["value"])}
    if kind == "field" and begins and levels and node["value"] == PARENT:
        return {"type": PARENT, "value": 1, "children": []}
    if kind == "slice":
        return node
    if kind == "function_expression":
        _FUNCTIONS.check(node["value"], len(node["children"]))
    children = []
    for place, child in enumerate(node["children"]):
        # In a chain only the first step begins a path; what stands in brackets or parentheses begins one of its own.
        follows = (kind in _CHAINS and place == 1) or (kind in {"subexpression", "index_expression"} and place > 0)
        is_first = (kind in _CHAINS and place == 0) or kind == "flatten"
        children.append(_adapted(child, levels, depth + 1, begins=begins if is_first else not follows))
    if kind == "subexpression":
        children = _climbed(children, levels)
        if len(children) == 1:
            return children[0]
    return {**node, "children": children}


def _copies(node: Node) -> int:
    """Return how many times larger an expression makes a value at most, by the lists and objects that it builds."""
    parts = [child for child in node["children"] if isinstance(child, dict)] if node["type"] != "slice" else []
    built = max(len(parts), 1) if node["type"] in {"multi_select_list", "multi_select_dict"} else 1
    for part in parts:
        built *= _copies(part)
    return built


def _climbed(steps: list[Node], levels: int) -> list[Node]:
    """Return the steps of a path with `parent.parent` as one step of two levels."""
    first = steps[0]
    while first["type"] == PARENT and len(steps) > 1 and first["value"] < levels and _is_field(steps[1], PARENT):
        first = {**first, "value": first["value"] + 1}
        steps = [first, *steps[2:]]
    return steps


def _is_field(node: Node, name: str) -> bool:
    return bool(node["type"] == "field" and node["value"] == name)


def _exact(value: object) -> object:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return {name: _exact(one) for name, one in value.items()} if isinstance(value, dict) else value


class _Interpreter(TreeInterpreter):
    """The library's, with `parent`."""

    def __init__(self, holders: Holders) -> None:
        super().__init__(_OPTIONS)
        self._holders = holders

    def visit_parent(self, node: Node, _value: object) -> object:
        """Return the record that holds what is looked at."""
        return self._holders[node["value"] - 1]


def _compiled(node: Node) -> Evaluate:
    make = _MAKERS.get(node["type"])
    return make(node) if make is not None else _interpreted(node)


def _children(node: Node) -> list[Evaluate]:
    return [_compiled(child) for child in node["children"]]


def _interpreted(node: Node) -> Evaluate:
    return lambda value, holders: _Interpreter(holders).visit(node, value)  # type: ignore[arg-type]


def _current(_node: Node) -> Evaluate:
    return lambda value, _: value


def _parent(node: Node) -> Evaluate:
    place = node["value"] - 1
    return lambda _, holders: holders[place]


def _field(node: Node) -> Evaluate:
    name = node["value"]
    return lambda value, _: value.get(name) if isinstance(value, dict) else None


def _literal(node: Node) -> Evaluate:
    constant = node["value"]
    return lambda *_: constant


def _index(node: Node) -> Evaluate:
    place = node["value"]

    def at(value: Any, _holders: Holders) -> object:  # noqa: ANN401  # any value of JSON
        try:
            return value[place] if isinstance(value, list) else None
        except IndexError:
            return None

    return at


def _chain(node: Node) -> Evaluate:
    """One step after the other, each on what the one before found."""
    first, *others = _children(node)
    if len(others) == 1:
        second = others[0]
        return lambda value, holders: second(first(value, holders), holders)

    def follow(value: object, holders: Holders) -> object:
        found = first(value, holders)
        for step in others:
            found = step(found, holders)
        return found

    return follow


def _comparator(node: Node) -> Evaluate:
    left, right = _children(node)
    compare = TreeInterpreter.COMPARATOR_FUNC[node["value"]]
    if node["value"] == "eq" and any(isinstance(child.get("value"), str) for child in _literals(node)):
        return lambda value, holders: left(value, holders) == right(value, holders)  # no number, so none like a flag
    if node["value"] in {"eq", "ne"}:
        return lambda value, holders: compare(left(value, holders), right(value, holders))

    def ordered(value: object, holders: Holders) -> object:
        one, other = left(value, holders), right(value, holders)
        return compare(one, other) if type(one) in _ORDERED and type(other) in _ORDERED else None

    return ordered


_ORDERED = frozenset({int, float, Decimal, str})


def _literals(node: Node) -> Sequence[Node]:
    return [child for child in node["children"] if child["type"] == "literal"]


def _is_false(value: object) -> bool:
    return value is None or value is False or (isinstance(value, str | list | dict) and not value)


def _or(node: Node) -> Evaluate:
    left, right = _children(node)

    def either(value: object, holders: Holders) -> object:
        found = left(value, holders)
        return right(value, holders) if _is_false(found) else found

    return either


def _and(node: Node) -> Evaluate:
    left, right = _children(node)

    def both(value: object, holders: Holders) -> object:
        found = left(value, holders)
        return found if _is_false(found) else right(value, holders)

    return both


def _not(node: Node) -> Evaluate:
    (inner,) = _children(node)

    def negated(value: object, holders: Holders) -> object:
        found = inner(value, holders)
        return not found and (isinstance(found, bool) or not isinstance(found, int | Decimal))  # 0 is as true as 1

    return negated


def _projection(node: Node) -> Evaluate:
    entries, step = _children(node)

    def project(value: object, holders: Holders) -> object:
        found = entries(value, holders)
        if not isinstance(found, list):
            return None
        return [one for one in [step(entry, holders) for entry in found] if one is not None]

    return project


def _filter(node: Node) -> Evaluate:
    entries, step, condition = _children(node)

    def keep(value: object, holders: Holders) -> object:
        found = entries(value, holders)
        if not isinstance(found, list):
            return None
        kept = [step(entry, holders) for entry in found if not _is_false(condition(entry, holders))]
        return [one for one in kept if one is not None]

    return keep


def _flatten(node: Node) -> Evaluate:
    (inner,) = _children(node)

    def flat(value: object, holders: Holders) -> object:
        found = inner(value, holders)
        if not isinstance(found, list):
            return None
        merged: list[object] = []
        for entry in found:
            if isinstance(entry, list):
                merged += entry
            else:
                merged.append(entry)
        return merged

    return flat


def _list(node: Node) -> Evaluate:
    parts = _children(node)
    return lambda value, holders: None if value is None else [part(value, holders) for part in parts]


def _function(node: Node) -> Evaluate:
    name, arguments = node["value"], _children(node)
    ours = ARITHMETIC.get(name)
    if ours is None:
        return lambda value, holders: _FUNCTIONS.call_function(name, [one(value, holders) for one in arguments])
    if len(arguments) == 2:  # noqa: PLR2004  # nearly all
        first, second = arguments
        return lambda value, holders: ours(first(value, holders), second(value, holders))
    return lambda value, holders: ours(*[one(value, holders) for one in arguments])


_MAKERS: Mapping[str, Callable[[Node], Evaluate]] = {
    "and_expression": _and,
    "comparator": _comparator,
    "current": _current,
    "field": _field,
    "filter_projection": _filter,
    "flatten": _flatten,
    "function_expression": _function,
    "identity": _current,
    "index": _index,
    "index_expression": _chain,
    "literal": _literal,
    "multi_select_list": _list,
    "not_expression": _not,
    "or_expression": _or,
    PARENT: _parent,
    "pipe": _chain,
    "projection": _projection,
    "subexpression": _chain,
}
