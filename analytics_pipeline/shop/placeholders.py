"""Requests with places to fill, such as `{{cursor}}`, and the one function that fills them. Pure.

What a description may say of a request is in requests.py; requests are made elsewhere.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from analytics_pipeline.errors import AnswerError

PLACEHOLDERS = ("size", "page", "offset", "cursor", "from", "to", "since", "id")
FROM_THE_SHOP = {"cursor", "id"}
"""What the shop itself gave: escaped as within a JSON text wherever it stands among other characters."""

Params = Mapping[str, str | tuple[str, ...]]
Json = Any
"""What JSON can say, as plain values."""

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What is sent: a URL, the query parameters to add to it, the method and the body; credentials come with sending.

    Body and headers may hold secrets: they are part of no message, nor of what `repr` shows.

    Attributes:
        url: The URL, without what `params` adds to it.
        params: Query parameters.
        method: GET or POST.
        body: JSON text, unless `headers` name another type.
        headers: Headers of this request alone.
        bare: Whether it is sent without the shop's credentials: it asks for them itself, or goes elsewhere.
    """

    url: str
    params: Params = field(repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A request whose placeholders are not filled yet, and the values for them that are known so far."""

    url: str
    params: Params
    method: str = "GET"
    body: Json = field(default=None, repr=False)
    values: Mapping[str, object] = field(default_factory=dict)

    def having(self, **values: object) -> "Draft":
        """The same with further values, or other ones."""
        return replace(self, values={**self.values, **values})

    def filled(self) -> PageRequest:
        """The request with its values put in.

        A parameter that is one placeholder without a value is left out, as is a longer one that holds such a
        placeholder; in the body such a placeholder is null, or no text among other characters.

        Raises:
            AnswerError: An id of the shop cannot stand in a path.
        """
        params: dict[str, str | tuple[str, ...]] = {}
        for name, value in self.params.items():
            if isinstance(value, str):
                text = _filled_param(value, self.values)
                if text is not None:
                    params[name] = text
            else:
                texts = [_filled_param(one, self.values) for one in value]
                params[name] = tuple(text for text in texts if text is not None)
        body = None if self.body is None else json_bytes(filled_json(self.body, self.values))
        return PageRequest(filled_path(self.url, self.values), params, self.method, body)


def json_bytes(value: Json) -> bytes:
    """A plain value as JSON text."""
    return json.dumps(value).encode()


def names_in(value: Json) -> Iterator[str]:
    """Names of all placeholders in the texts of a value, keys excluded; known or not."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from names_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from names_in(one)


def names_among_text(value: Json) -> set[str]:
    """Names of those that stand among other characters."""
    if isinstance(value, str):
        return set() if _PLACEHOLDER.fullmatch(value) else set(names_in(value))
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return {name for part in parts for name in names_among_text(part)}


def merged(base: Json, overlay: Json) -> Json:
    """The base with an overlay on it: mappings are merged key by key, anything else is replaced; None is no overlay."""
    if overlay is None:
        return base
    if not isinstance(base, Mapping) or not isinstance(overlay, Mapping):
        return overlay
    return {**base, **{name: merged(base.get(name), value) for name, value in overlay.items()}}


def filled_json(value: Json, values: Mapping[str, object]) -> Json:
    """A value of a body with its placeholders filled; a text that is exactly one takes the value's own type."""
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        return values.get(whole[1]) if whole else _filled_text(value, values)
    if isinstance(value, Mapping):
        return {name: filled_json(one, values) for name, one in value.items()}
    return [filled_json(one, values) for one in value] if isinstance(value, list | tuple) else value


def filled_path(path: str, values: Mapping[str, object]) -> str:
    """A path or URL with its placeholders filled, each as a single step of it.

    Raises:
        AnswerError: A value is absent, or is `.` or `..`, which would lead elsewhere.
    """

    def step(found: re.Match[str]) -> str:
        text = _text(values.get(found[1]))
        if text in {"", ".", ".."}:
            raise AnswerError(f"{path}: the shop's {found[1]} cannot stand in a path: it is empty or made of dots")
        return quote(text, safe="")

    return _PLACEHOLDER.sub(step, path)


def _filled_param(text: str, values: Mapping[str, object]) -> str | None:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole:
        value = values.get(whole[1])
        return None if value is None else _text(value)
    return None if any(values.get(name) is None for name in names_in(text)) else _filled_text(text, values)


def _filled_text(text: str, values: Mapping[str, object]) -> str:
    def put(found: re.Match[str]) -> str:
        value = _text(values.get(found[1]))
        return json.dumps(value)[1:-1] if found[1] in FROM_THE_SHOP else value

    return _PLACEHOLDER.sub(put, text)


def _text(value: object) -> str:
    return "" if value is None else str(value)
