"""Paging: from an answer to the next request, for each style that a description can name, and the guards against loops.

Nothing here makes a request. What ends a list:

- A flag at `more` that is false, where it is described.
- page_number: the number of pages at `pages` or in `pages_header`, where the last page is not full; else an empty page.
  An empty one before the last goes on, unless the description says otherwise.
- offset: an empty page.
- cursor, next_link, link_header: a missing cursor or link, or one of `ends_at`; an empty page with one goes on, unless
  the description says otherwise. A cursor that is the last record's: an empty page.
- single: there is no next page.

A short page proves nothing, since shops cap sizes silently and leave records out after cutting; nor does the shop's
count of records, which may be capped or of the page alone. So page numbers and offsets are read on to an empty page.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never, cast

from requests.utils import parse_header_links

from analytics_pipeline.errors import PaginationError
from analytics_pipeline.shop.paging import Cursor, LinkHeader, NextLink, Offset, PageNumber, Pagination, Single
from analytics_pipeline.shop.placeholders import Draft, PageRequest, names_in
from analytics_pipeline.shop.urls import resolve_link


@dataclass(frozen=True, slots=True)
class Page:
    """What paging needs to know of an answer.

    Attributes:
        request: What was asked, with the values of its placeholders.
        url: The URL that answered, for resolving links.
        shown: The same for messages, without secrets.
        records: Records on this page.
        largest: Most records on any page so far, this one included.
        next: Value at the description's `next`, or in the last record at `last`.
        pages: Value at the description's `pages`, or of its `pages_header`.
        more: Value at the description's `more`.
        link: The `Link` header.
    """

    request: Draft
    url: str
    shown: str
    records: int
    largest: int
    next: object = None
    pages: object = None
    more: object = None
    link: str | None = None


def first_request(pagination: Pagination, request: Draft) -> Draft:
    """The request for the first page: the given one with the parameters and values of paging."""
    size, start = getattr(pagination, "size", None), {}
    if isinstance(pagination, PageNumber):
        start = {"page": pagination.first}
    elif isinstance(pagination, Offset):
        start = {"offset": 0}
    draft = replace(request, params={**request.params, **pagination.short_forms})
    return draft.having(**({} if size is None else {"size": size}), **start)


def following_request(pagination: Pagination, page: Page) -> Draft | None:
    """The request for the page after this one, None at the end.

    Raises:
        PaginationError: The answer's cursor, link, flag or number of pages is none, or a link leads elsewhere.
    """
    more = _says_more(pagination, page)
    if more is False:
        return None
    following = _following(pagination, page, goes_on=more is True)
    if more is True and following is None:
        raise PaginationError(
            f"{page.shown}: `{getattr(pagination, 'more', '')}` says that more follows, but the answer does not say "
            f"where: no record to count on from, no cursor or no link"
        )
    return following


def page_number_reached(pagination: Pagination, page: Page) -> bool:
    """Whether the shop's own number of pages says that this page is the last one or lies behind it."""
    if not isinstance(pagination, PageNumber):
        return False
    pages = _number_of_pages(pagination, page)
    return pages is not None and _number(page, "page") - pagination.first + 1 >= pages


def promises_more(pagination: Pagination, page: Page) -> bool:
    """Whether the shop itself says that pages follow after this one: by its flag, or by its number of pages."""
    more = _says_more(pagination, page)
    if more is not None or not isinstance(pagination, PageNumber):
        return more is True
    return _number_of_pages(pagination, page) is not None and not page_number_reached(pagination, page)


def whole_number(value: object) -> int | None:
    """A number of the shop that counts something, which may come as text or as `3.0`; None where it is none."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value) if len(value) <= _MOST_DIGITS else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < 10**_MOST_DIGITS:
        return None
    return int(value) if value == int(value) else None


def _following(pagination: Pagination, page: Page, *, goes_on: bool) -> Draft | None:
    match pagination:
        case PageNumber():
            return _after_page_number(pagination, page, goes_on=goes_on)
        case Offset():
            return _after_offset(page)
        case Cursor():
            return _after_cursor(pagination, page)
        case NextLink():
            return _follow(page.next, f"`{pagination.next}`", page)
        case LinkHeader():
            return _follow(_next_of(page.link), 'the Link header with rel="next"', page)
        case Single():
            return None
        case _:
            assert_never(pagination)


def _says_more(pagination: Pagination, page: Page) -> bool | None:
    """What the flag at `more` says; None where none is described, or the answer has none."""
    path, value = getattr(pagination, "more", None), page.more
    if path is None or value is None:
        return None
    text = str(value).strip().lower()
    if not isinstance(value, bool | int | str) or text not in _FLAGS:
        raise PaginationError(f"{page.shown}: `{path}` should be true or false, but is {type(value).__name__}")
    return _FLAGS[text]


def _number_of_pages(style: PageNumber, page: Page) -> int | None:
    if page.pages is None:
        return None
    pages = whole_number(page.pages)
    if pages is None:
        place = f"`{style.pages}`" if style.pages is not None else f"the header {style.pages_header}"
        what = type(page.pages).__name__
        raise PaginationError(f"{page.shown}: {place} should be the number of pages, but no such number came ({what})")
    return pages


def _after_page_number(style: PageNumber, page: Page, *, goes_on: bool) -> Draft | None:
    number = _number(page, "page")
    asked, pages = number - style.first + 1, _number_of_pages(style, page)
    following = page.request.having(page=number + 1)
    if goes_on:
        return following
    if page.records == 0:
        return following if pages is not None and asked < pages and not style.empty_page_ends else None
    if pages is None or asked != pages:
        return following
    # A number of pages that is made of the page's own count, or of a capped one, ends with a full page.
    is_full = page.records >= (style.size or (page.largest if asked > 1 else page.records + 1))
    return following if is_full else None


def _after_offset(page: Page) -> Draft | None:
    if page.records == 0:
        return None
    return page.request.having(offset=_number(page, "offset") + page.records)


def _after_cursor(style: Cursor, page: Page) -> Draft | None:
    where = f"`{style.next}`" if style.last is None else f"`{style.last}` of the last record"
    if _is_nothing(page.next) and style.last is not None and page.records:
        raise PaginationError(f"{page.shown}: {where} should be a cursor, but there is none")
    if _is_nothing(page.next) or str(page.next) in map(str, style.ends_at):
        return None
    if isinstance(page.next, bool) or not isinstance(page.next, str | int):
        raise PaginationError(f"{page.shown}: {where} should be a cursor, but is {type(page.next).__name__}")
    request = page.request
    if not style.repeat_params:
        paging = {"size", "cursor"}
        params = {name: value for name, value in request.params.items() if paging.intersection(names_in(value))}
        request = replace(request, params=params)
    return request.having(cursor=page.next)


def _follow(link: object, where: str, page: Page) -> Draft | None:
    if _is_nothing(link):
        return None
    if not isinstance(link, str):
        raise PaginationError(f"{page.shown}: {where} should be a URL, but is {type(link).__name__}")
    try:
        return replace(page.request, url=resolve_link(link, against=page.url), params={})
    except ValueError as error:
        fault = str(error)
    raise PaginationError(
        f"{page.shown}: {where} {fault}; links are followed within the shop's own origin only. "
        f"If the shop writes its links for another address, change base_url to that address or page by number"
    )


def _is_nothing(value: object) -> bool:
    return value is None or value is False or value == ""


def _next_of(header: str | None) -> str | None:
    for link in parse_header_links(header or ""):
        relations = {name.lower(): value for name, value in link.items()}.get("rel", "")
        if "next" in relations.lower().split():
            return link["url"]
    return None


def _number(page: Page, name: str) -> int:
    return cast("int", page.request.values[name])


class LoopGuard:
    """Notices paging that does not come to an end. Keeps a number for each page, not the pages."""

    def __init__(self, max_pages: int) -> None:
        """Takes the cap on the number of pages."""
        self._max_pages = max_pages
        self._asked: set[int] = set()
        self._previous: Hashable = None

    def was_asked(self, request: PageRequest) -> bool:
        """Whether the request was made before; notes it."""
        mark = hash((request.method, request.url, tuple(sorted(request.params.items())), request.body))
        if mark in self._asked:
            return True
        self._asked.add(mark)
        return False

    def check_number(self, shown: str) -> None:
        """Raises PaginationError when the request that was noted last is one too many."""
        if len(self._asked) > self._max_pages:
            raise PaginationError(
                f"{shown}: more than {self._max_pages} pages; raise limits.max_pages if the shop has so many"
            )

    def is_repeated(self, fingerprint: Hashable) -> bool:
        """Whether a page has the records of the one before; `None` stands for an empty page. Notes it."""
        is_same = fingerprint is not None and fingerprint == self._previous
        self._previous = fingerprint
        return is_same


CIRCLE = "the shop's paging leads in a circle: this page was asked for before"
REPEATED = (
    "the shop served the same page of records twice in a row; check the parameters of paging (does the shop know "
    "them?), or use {type: single} if one request gives everything"
)
REMEDY = (
    "If the shop ends a list so, say it under pagination: `repeated_page_ends: true` where the last page comes "
    "again, `empty_page_ends: true` where an empty one does, `ends_at: [0]` where a certain cursor does, `more: PATH` "
    "where a flag beside the records does"
)
MOST_EMPTY_PAGES = 50
_MOST_DIGITS = 15
_FLAGS = {"true": True, "false": False, "1": True, "0": False}
