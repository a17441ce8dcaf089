"""Paging: from an answer to the next request, for each style that a description can name, and the guards against loops.

Nothing here makes a request. Styles and their rule for an empty page:

- page_number: ends at `pages` where the answer gives it. An empty page ends too, unless `empty_page_ends` is false.
- offset: an empty page ends, since the offset cannot advance.
- cursor, next_link, link_header: only a missing cursor or link ends; an empty page with one goes on.
- single: there is no next page.

Page numbers and offsets without a total of pages end at the shop's count of records; without a count, at a page
shorter than an earlier one. A short first page proves nothing, since shops cap sizes silently: one more page is
asked for.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import assert_never

from requests.utils import parse_header_links

from analytics_pipeline.errors import PaginationError
from analytics_pipeline.sources.protocol import Cursor, LinkHeader, NextLink, Offset, PageNumber, Pagination, Single
from analytics_pipeline.sources.urls import resolve_link


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A URL and the query parameters to add to it; credentials are the client's affair."""

    url: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """What paging needs to know of an answer.

    Attributes:
        request: What was asked.
        url: The URL that answered, for resolving links.
        shown: The same for messages, without secrets.
        records: Records on this page.
        seen: Records on all pages so far, this one included.
        largest: Most records on any page so far, this one included.
        count: The shop's own count of all records, where it gives one.
        next: Value at the description's `next`.
        pages: Value at the description's `pages`.
        link: The `Link` header.
    """

    request: PageRequest
    url: str
    shown: str
    records: int
    seen: int
    largest: int
    count: int | None = None
    next: object = None
    pages: object = None
    link: str | None = None


def first_request(pagination: Pagination, request: PageRequest) -> PageRequest:
    """The request for the first page: the given one with the parameters of paging."""
    params = {**request.params, **_size(pagination)}
    if isinstance(pagination, PageNumber):
        params[pagination.param] = str(pagination.first)
    elif isinstance(pagination, Offset):
        params[pagination.param] = "0"
    return PageRequest(request.url, params)


def following_request(pagination: Pagination, page: Page) -> PageRequest | None:
    """The request for the page after this one, None at the end.

    Raises:
        PaginationError: The answer's cursor, link or number of pages is none, or the link leads to another origin.
    """
    match pagination:
        case PageNumber():
            return _after_page_number(pagination, page)
        case Offset():
            return _after_offset(pagination, page)
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


def _size(pagination: Pagination) -> dict[str, str]:
    if isinstance(pagination, Single) or pagination.size_param is None:
        return {}
    return {pagination.size_param: str(pagination.size)}


def _is_last(page: Page) -> bool:
    if page.records == 0:
        return True
    if page.count is not None:
        return page.seen >= page.count
    return page.records < page.largest


def _after_page_number(style: PageNumber, page: Page) -> PageRequest | None:
    number = int(page.request.params[style.param])
    if page.pages is not None:
        if isinstance(page.pages, bool) or not isinstance(page.pages, int) or page.pages < 0:
            raise PaginationError(
                f"{page.shown}: `{style.pages}` should be the number of pages, but is {page.pages!r:.80}"
            )
        ends = number - style.first + 1 >= page.pages or (page.records == 0 and style.empty_page_ends)
    else:
        ends = _is_last(page)
    return None if ends else _with(page.request, style.param, str(number + 1))


def _after_offset(style: Offset, page: Page) -> PageRequest | None:
    # Advancing by what came, not by what was asked for, loses nothing when the shop caps the size.
    offset = int(page.request.params[style.param]) + page.records
    return None if _is_last(page) else _with(page.request, style.param, str(offset))


def _after_cursor(style: Cursor, page: Page) -> PageRequest | None:
    if _is_nothing(page.next):
        return None
    if isinstance(page.next, bool) or not isinstance(page.next, str | int):
        raise PaginationError(f"{page.shown}: `{style.next}` should be a cursor, but is {type(page.next).__name__}")
    request = page.request if style.repeat_params else PageRequest(page.request.url, _size(style))
    return _with(request, style.param, str(page.next))


def _follow(link: object, where: str, page: Page) -> PageRequest | None:
    if _is_nothing(link):
        return None
    if not isinstance(link, str):
        raise PaginationError(f"{page.shown}: {where} should be a URL, but is {type(link).__name__}")
    try:
        return PageRequest(resolve_link(link, against=page.url), {})
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


def _with(request: PageRequest, name: str, value: str) -> PageRequest:
    return PageRequest(request.url, {**request.params, name: value})


class LoopGuard:
    """Stops paging that does not come to an end. Keeps a number for each page, not the pages."""

    def __init__(self, max_pages: int) -> None:
        """Takes the cap on the number of pages."""
        self._max_pages = max_pages
        self._asked: set[int] = set()
        self._previous: Hashable = None

    def check_request(self, request: PageRequest, shown: str) -> None:
        """Raises PaginationError when the request was made before, or is one too many."""
        mark = hash((request.url, tuple(sorted(request.params.items()))))
        if mark in self._asked:
            raise PaginationError(f"{shown}: the shop's paging leads in a circle: this page was asked for before")
        if len(self._asked) >= self._max_pages:
            raise PaginationError(
                f"{shown}: more than {self._max_pages} pages; raise limits.max_pages if the shop has so many"
            )
        self._asked.add(mark)

    def check_records(self, fingerprint: Hashable, shown: str) -> None:
        """Raises PaginationError when a page has the records of the one before; `None` stands for an empty page."""
        if fingerprint is not None and fingerprint == self._previous:
            raise PaginationError(
                f"{shown}: the shop served the same page of records twice in a row; check the parameters of paging "
                f"(does the shop know them?), or use {{type: single}} if one request gives everything"
            )
        self._previous = fingerprint
