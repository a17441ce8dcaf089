"""Paging through a list of records: parameters in, one page and the way to the next one out.

All styles read the same list in the order of the records' ids: an opaque cursor (the default), a page number, or an
offset. A cursor remembers the query and the id that it continues after, so that later changes do not shift it.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

_STYLES = ("cursor", "page", "offset")
_PAGING = frozenset({*_STYLES, "limit"})
DEFAULT_LIMIT = 100
MOST = 500


class Record(Protocol):
    """Anything that can be listed. Id and `updated_at` together tell its versions apart."""

    @property
    def record_id(self) -> str:
        """The id that lists are ordered by."""

    @property
    def updated_at(self) -> datetime:
        """When this version came to be."""


_T = TypeVar("_T", bound=Record)


class ParameterError(ValueError):
    """A request's parameter is unknown or makes no sense; the message says which, and what is expected."""


@dataclass(frozen=True, slots=True)
class Query:
    """A list request: what is asked for (`window`, by parameter), and which part of it (`paging`)."""

    window: Mapping[str, str]
    paging: Mapping[str, str]
    limit: int
    after: str | None

    @property
    def style(self) -> str:
        """The parameter that pages: cursor, page or offset."""
        return next((style for style in _STYLES if style in self.paging), "cursor")


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """One page of a list. `next_paging` is the paging parameter of the next page, None on the last one."""

    records: Sequence[_T]
    total: int
    number: int
    pages: int
    next_cursor: str | None
    next_paging: Mapping[str, str] | None


def read_query(parameters: Mapping[str, str], window_names: frozenset[str]) -> Query:
    """Sort a request's parameters into window and paging.

    Raises:
        ParameterError: an unknown parameter, two styles of paging at once, a limit outside 1..500, or a cursor that is
            none or belongs to another query.
    """
    if unknown := sorted(parameters.keys() - window_names - _PAGING):
        raise ParameterError(f"unknown parameter {unknown[0]!r}, known are {', '.join(sorted(window_names | _PAGING))}")
    paging = {name: value for name, value in parameters.items() if name in _STYLES}
    if len(paging) > 1:
        raise ParameterError(f"{' and '.join(sorted(paging))} exclude each other")
    window = {name: value for name, value in parameters.items() if name in window_names}
    limit = _number("limit", parameters.get("limit", str(DEFAULT_LIMIT)), least=1, most=MOST)
    if "cursor" not in paging:
        return Query(window, paging, limit, after=None)
    after, continued = _read_cursor(paging["cursor"])
    if window and window != continued:
        raise ParameterError("cursor belongs to a request with other parameters")
    return Query(continued, paging, limit, after)


def page_of(records: Sequence[_T], query: Query) -> Page[_T]:
    """The page of a list, ascending by id, that a query asks for; empty beyond the end.

    Raises:
        ParameterError: a page below 1 or an offset below 0.
    """
    start = _start(records, query)
    chosen = records[start : start + query.limit]
    next_start = start + len(chosen)
    number = start // query.limit + 1
    next_cursor = next_paging = None
    if chosen and next_start < len(records):
        next_cursor = _cursor(chosen[-1].record_id, query.window)
        following = {"cursor": next_cursor, "page": str(number + 1), "offset": str(next_start)}
        next_paging = {query.style: following[query.style]}
    return Page(chosen, len(records), number, -(-len(records) // query.limit), next_cursor, next_paging)


def _start(records: Sequence[_T], query: Query) -> int:
    if query.after is not None:
        return bisect_right(records, query.after, key=lambda record: record.record_id)
    if query.style == "page":
        return (_number("page", query.paging["page"], least=1) - 1) * query.limit
    if query.style == "offset":
        return _number("offset", query.paging["offset"], least=0)
    return 0


def _number(name: str, text: str, *, least: int, most: int = 10**9) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise ParameterError(f"{name} must be a whole number from {least} to {most}, not {text[:40]!r}")
    return int(text)


def _cursor(after: str, window: Mapping[str, str]) -> str:
    return urlsafe_b64encode(json.dumps([after, dict(window)]).encode()).decode()


def _read_cursor(cursor: str) -> tuple[str, dict[str, str]]:
    try:
        after, window = json.loads(urlsafe_b64decode(cursor))
        return str(after), {str(name): str(value) for name, value in window.items()}
    except (ValueError, TypeError, AttributeError):
        raise ParameterError("cursor is not one that this shop gave out") from None
