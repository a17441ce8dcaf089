"""Profiles of JSON records: which fields they have, of which types, in how many records, with an example.

A field is a path, such as `customer.id` or `lines[].price`. What follows from a profile is `drift`'s part; which paths
the description reads is `mapped`'s. Values of people never become examples: see `example_of`.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from analytics_pipeline.decoding.tolerant import Unreadable

DEEPEST = 8
"""Levels of objects and lists that are followed."""
MOST_PATHS = 1_000
MOST_KEYS = 100
"""An object with more different keys than this over all records is a map: its keys are data and not names."""
MOST_ENTRIES = 200
"""Entries of one list that are looked at."""
ANY_KEY = "*"
"""The name of all keys of a map."""
KINDS = {
    str: "string",
    int: "number",
    float: "number",
    Decimal: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    list: "list",
    Unreadable: "number",
}
_LONGEST_NAME = 60
_NAME = re.compile(r"@?[^\W\d][\w$:-]*")
_ID = re.compile(r"(?=.*\d)[0-9a-fA-F-]{8,}|(?:[A-Za-z]|[A-Za-z]{2,4}[-_:])\d{3,}[\d_:-]*")
_IS_OF_PEOPLE = re.compile(
    r"e-?mail|phone|mobile|fax|name|address|street|zip|postal|post_?code|city|birth|dob|gender|passw|token|secret|"
    r"signature|session|cookie|key|iban|bic|card|account|vat|note|comment|message|customer|buyer|billing|recipient|"
    r"contact|person|user|company|owner|latitude|longitude|url|link",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.+Z-]{4,30})?")
_DECIMAL = re.compile(r"-?\d{1,10}(?:\.\d{1,6})?")
_PLAIN_WORD = re.compile(r"(?!\d+\.\d+\.\d+\.)(?!\+?\d[\d-]{6,}$)[A-Za-z0-9][A-Za-z0-9_.-]{0,19}")
_LONGEST_NUMBER = 10
"""Digits of a number that is shown: longer ones are telephone numbers, cards and the like."""


@dataclass(frozen=True)
class Field:
    """A path with one of its JSON types.

    Attributes:
        path: Names joined by dots; `[]` stands for the entries of a list, `*` for the keys of a map.
        json_type: string, number, boolean, null, object or list.
        records: Records that have it.
        holders: Records that have the object or the list that it lies in.
        example: A value as text, or only its length where it may tell of a person; None for objects, lists and null.
    """

    path: str
    json_type: str
    records: int
    holders: int
    example: str | None = None


class _Seen:
    __slots__ = ("example", "last", "records")

    def __init__(self, example: object) -> None:
        self.records = 0
        self.last = 0
        self.example = example


class _Node:
    __slots__ = ("by_type", "children", "depth", "is_map", "path", "seen")

    def __init__(self, path: str, depth: int, *, is_map: bool) -> None:
        self.path = path
        self.depth = depth
        self.is_map = is_map
        self.children: dict[str, _Node] = {}
        self.seen: dict[str, _Seen] = {}
        self.by_type: dict[type, _Seen] = {}


class FieldProfile:
    """Takes in decoded records one by one.

    Attributes:
        records: Objects taken in; whatever is no object is left out.
        notes: What was cut short, in words.
    """

    def __init__(self, *, personal: Collection[str] = (), maps: Collection[str] = ()) -> None:
        """Begin with nothing.

        Args:
            personal: Paths whose values are of a person, beside those whose names say so; all of them when it holds
                `*`.
            maps: Paths of objects whose keys are known to be data.
        """
        self.records = 0
        self.notes: list[str] = []
        self._personal = frozenset(personal)
        self._maps = frozenset(maps)
        self._paths = 0
        self._root = _Node("", 0, is_map="" in self._maps)

    def look_at(self, record: object) -> None:
        """Take in a record."""
        if isinstance(record, dict):
            self.records += 1
            self._count(self._root, record)
            self._walk_object(self._root, record)

    def fields(self) -> list[Field]:
        """Return all fields found so far, ordered by path and type."""
        return sorted(self._fields(self._root, self.records), key=lambda field: (field.path, field.json_type))

    def _walk_object(self, node: _Node, entries: dict[str, Any]) -> None:
        # A record of many lines meets the same few fields again and again: what is counted already costs two look-ups.
        number = self.records
        for key, value in entries.items():
            child = node.children.get(key) or self._child(node, key)
            if child is None:
                continue
            kind = type(value)
            seen = child.by_type.get(kind)
            if seen is None or seen.last != number:
                self._count(child, value)
            if kind is dict:
                self._walk_object(child, value)
            elif kind is list and value:
                self._walk_list(child, value)

    def _walk_list(self, node: _Node, values: list[Any]) -> None:
        entries = node.children.get("[]") or self._add(node, "[]", f"{node.path}[]")
        if entries is None:
            return
        for value in values[:MOST_ENTRIES]:
            self._count(entries, value)
            if type(value) is dict:
                self._walk_object(entries, value)
            elif type(value) is list and value:
                self._walk_list(entries, value)

    def _count(self, node: _Node, value: object) -> None:
        seen = node.by_type.get(type(value))
        if seen is None:
            seen = node.by_type[type(value)] = node.seen.setdefault(KINDS[type(value)], _Seen(value))
        if seen.last != self.records:
            seen.last = self.records
            seen.records += 1
            if seen.example == "":
                seen.example = value

    def _child(self, node: _Node, key: str) -> _Node | None:
        """Return the node of a key that has none of its own yet; None where nothing more is followed."""
        name = ANY_KEY if node.is_map or not _is_name(key) else key
        if name != ANY_KEY and len(node.children) >= MOST_KEYS:
            self._note(f"{node.path or 'the record'} has more than {MOST_KEYS} keys, which count as one from there on")
            node.is_map, node.children, name = True, {}, ANY_KEY
        return node.children.get(name) or self._add(node, name, f"{node.path}.{name}" if node.path else name)

    def _add(self, node: _Node, name: str, path: str) -> _Node | None:
        if node.depth >= DEEPEST:
            self._note(f"what lies deeper than {DEEPEST} levels is not looked at")
            return None
        if self._paths >= MOST_PATHS:
            self._note(f"more than {MOST_PATHS} different paths: the others are not looked at")
            return None
        self._paths += 1
        child = node.children[name] = _Node(path, node.depth + 1, is_map=path in self._maps)
        return child

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _fields(self, node: _Node, holders: int) -> Iterator[Field]:
        if node is not self._root:
            for kind, seen in node.seen.items():
                is_personal = ANY_KEY in self._personal or node.path in self._personal or is_of_people(node.path)
                yield Field(node.path, kind, seen.records, holders, example_of(seen.example, is_personal=is_personal))
        for name, child in node.children.items():
            holder = node.seen.get("list" if name == "[]" else "object")
            yield from self._fields(child, holder.records if holder else 0)


def _is_name(key: str) -> bool:
    return len(key) <= _LONGEST_NAME and _NAME.fullmatch(key) is not None and _ID.fullmatch(key) is None


def is_of_people(path: str) -> bool:
    """Return whether the names of a path say that its value is of a person, or a secret."""
    words = {word.lower() for word in _WORDS.findall(path)}
    return "ip" in words or _IS_OF_PEOPLE.search(path) is not None


def example_of(value: object, *, is_personal: bool) -> str | None:
    """Return a value as an example, or only its length when it may tell of a person.

    A text is shown only when it is a stamp, a decimal or one short word: names, addresses and free text are more.
    """
    if isinstance(value, bool):
        return "boolean" if is_personal else str(value).lower()
    if isinstance(value, str):
        return value if not is_personal and _may_be_shown(value) else f"string of {len(value)} characters"
    if isinstance(value, int | float | Decimal):
        digits = sum(character.isdigit() for character in str(value))
        return f"number of {digits} digits" if is_personal or digits > _LONGEST_NUMBER else str(value)
    return None


def kind_of(value: object) -> str:
    """Say what a value is without telling it, as in `an object` or `a string of 12 characters`."""
    kind = KINDS.get(type(value), "value")
    size = f" of {len(value)} characters" if isinstance(value, str) else ""
    return f"a{'n' if kind[0] in 'aeiou' else ''} {kind}{size}"


def _may_be_shown(text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in (_STAMP, _DECIMAL, _PLAIN_WORD))
