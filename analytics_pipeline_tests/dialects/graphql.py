"""As much of GraphQL as the dialects need: a document as fields with arguments, and records shown by them.

Variables, aliases, inline fragments and nested fields are read; named fragments and directives are not. A field that a
record has not is an error, as with every GraphQL server.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'''
    """(?P<block>.*?)"""
    | (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<word>\$?[A-Za-z_]\w*)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<mark>\.\.\.|[{}()\[\]:!=])
    | [\s,]+
    | \#[^\n]*
    ''',
    re.DOTALL | re.VERBOSE,
)
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}


class GraphQLError(Exception):
    """A document or a field that the server does not understand."""


@dataclass(frozen=True)
class Field:
    """A field that is asked for, with its arguments, variables filled in."""

    name: str
    alias: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fields: Sequence["Field"] = ()

    def named(self, name: str) -> "Field | None":
        """The first of its fields with a name."""
        return next((one for one in self.fields if one.name == name), None)


class Scalar(list[Any]):
    """A list that is one value of its own type, whatever is in it."""


Show = Callable[[Field, Any], Any]
"""Gives what stands in a record for a field with arguments, before its own fields are chosen."""


def parse(document: object, variables: Mapping[str, Any] | None = None) -> tuple[str, Sequence[Field]]:
    """The kind of the first operation of a document (query, mutation), and its fields.

    Raises:
        GraphQLError: The document is none.
    """
    if not isinstance(document, str) or not document.strip():
        raise GraphQLError("Must provide query string.")
    return _Parser(document, variables or {}).operation()


def shown(record: object, fields: Sequence[Field], show: Show) -> Any:  # noqa: ANN401 - JSON
    """What is asked for of a record, or of each of a list."""
    if isinstance(record, Scalar):
        return list(record)
    if isinstance(record, list):
        return [shown(one, fields, show) for one in record]
    if not isinstance(record, Mapping):
        if fields and record is not None:
            raise GraphQLError(f'Field must not have a selection since it is no object: "{fields[0].name}"')
        return record
    if not fields:
        raise GraphQLError("Field of an object must have a selection of subfields")
    chosen: dict[str, Any] = {}
    for one in fields:
        if one.name == "__typename":
            continue
        if one.name not in record:
            raise GraphQLError(f"Field '{one.name}' doesn't exist")
        chosen[one.alias] = shown(show(one, record[one.name]), one.fields, show)
    return chosen


class _Parser:
    def __init__(self, document: str, variables: Mapping[str, Any]) -> None:
        self._tokens = list(_tokens(document))
        self._variables = dict(variables)
        self._place = 0

    def operation(self) -> tuple[str, Sequence[Field]]:
        kind = "query"
        if self._next() != "{":
            kind = self._take()
            if self._next() not in {"(", "{"}:
                self._take()
            if self._next() == "(":
                self._definitions()
        return kind, self._fields()

    def _definitions(self) -> None:
        """Variables with their defaults."""
        self._expect("(")
        while self._next() != ")":
            name = self._take()
            self._expect(":")
            while self._next() in {"[", "]", "!"} or re.fullmatch(r"[A-Z]\w*", self._next()):
                self._take()
            if self._next() == "=":
                self._take()
                self._variables.setdefault(name[1:], self._value())
        self._expect(")")

    def _fields(self) -> list[Field]:
        self._expect("{")
        found: list[Field] = []
        while self._next() != "}":
            if self._next() == "...":
                self._take()
                if self._next() == "on":
                    self._take()
                    self._take()
                found += self._fields()
            else:
                found.append(self._field())
        self._expect("}")
        return found

    def _field(self) -> Field:
        alias = name = self._take()
        if self._next() == ":":
            self._take()
            name = self._take()
        arguments = self._arguments() if self._next() == "(" else {}
        return Field(name, alias, arguments, self._fields() if self._next() == "{" else ())

    def _arguments(self) -> dict[str, Any]:
        self._expect("(")
        found: dict[str, Any] = {}
        while self._next() != ")":
            name = self._take()
            self._expect(":")
            found[name] = self._value()
        self._expect(")")
        return found

    def _value(self) -> Any:  # noqa: ANN401 - JSON
        token = self._take()
        if token == "{":
            found = {}
            while self._next() != "}":
                name = self._take()
                self._expect(":")
                found[name] = self._value()
            self._take()
            return found
        if token == "[":
            values = []
            while self._next() != "]":
                values.append(self._value())
            self._take()
            return values
        if token.startswith("$"):
            return self._variables.get(token[1:])
        if token.startswith('"'):
            return token[1:]
        if re.fullmatch(r"-?\d+(\.\d+)?", token):
            return float(token) if "." in token else int(token)
        return _CONSTANTS.get(token, token)

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        if not token:
            raise GraphQLError("Syntax Error: Unexpected <EOF>.")
        self._place += 1
        return token

    def _expect(self, mark: str) -> None:
        if (token := self._take()) != mark:
            raise GraphQLError(f'Syntax Error: Expected "{mark}", found "{token}".')


def _tokens(document: str) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(document):
        match = _TOKEN.match(document, place)
        if match is None:
            raise GraphQLError(f"Syntax Error: Unexpected character {document[place]!r}.")
        place = match.end()
        if match["block"] is not None:
            found.append(f'"{match["block"]}')
        elif match["text"] is not None:
            found.append('"' + re.sub(r"\\.", lambda one: _ESCAPES.get(one[0], one[0]), match["text"][1:-1]))
        elif token := match["word"] or match["number"] or match["mark"]:
            found.append(token)
    return found
