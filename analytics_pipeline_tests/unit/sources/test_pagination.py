"""Paging as pure functions: the next request of every style, its rule for empty pages, and the loop guards."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from analytics_pipeline.errors import PaginationError
from analytics_pipeline.shop.paging import Pagination
from analytics_pipeline.shop.placeholders import Draft, PageRequest
from analytics_pipeline.sources.pagination import LoopGuard, Page, first_request, following_request

URL = "https://shop.example/v1/orders"


def style(**keys: object) -> Pagination:
    return TypeAdapter[Pagination](Pagination).validate_python(keys)


def following(pagination: Pagination, params: dict[str, str], **page: Any) -> PageRequest | None:  # noqa: ANN401  # facts of several types
    """What follows on a request with these parameters, of which those of paging say which page it was."""
    names = {name: place.strip("{}") for name, place in pagination.short_forms.items()}
    fixed = {name: value for name, value in params.items() if name not in names}
    values = {names[name]: value if name == "cursor" else int(value) for name, value in params.items() if name in names}
    asked = first_request(pagination, Draft(URL, fixed)).having(**values)
    sent = {name: place for name, place in asked.params.items() if name in params or names.get(name) != "size"}
    facts = {"records": 2, "largest": 2, **page}
    draft = following_request(pagination, Page(replace(asked, params=sent), url=URL, shown=URL, **facts))
    return None if draft is None else draft.filled()


def params_of(request: PageRequest | None) -> dict[str, object] | None:
    return None if request is None else dict(request.params)


NUMBER = style(type="page_number", param="page", size_param="size", size=2)
PAGES = style(type="page_number", param="page", pages="pages", first=0)
EAGER = style(type="page_number", param="page", pages="pages", empty_page_ends=True)
OFFSET = style(type="offset", param="offset", size_param="limit", size=2)
CURSOR = style(type="cursor", param="cursor", next="next", size_param="limit", size=2)
LEAN = style(type="cursor", param="cursor", next="next", size_param="limit", size=2, repeat_params=False)
LINK = style(type="next_link", next="links.next")
HEADER = style(type="link_header")
SINGLE = style(type="single")


@pytest.mark.parametrize(
    ("pagination", "params"),
    [
        (NUMBER, {"day": "1", "size": "2", "page": "1"}),
        (PAGES, {"day": "1", "page": "0"}),
        (OFFSET, {"day": "1", "limit": "2", "offset": "0"}),
        (CURSOR, {"day": "1", "limit": "2"}),
        (LINK, {"day": "1"}),
        (HEADER, {"day": "1"}),
        (SINGLE, {"day": "1"}),
    ],
)
def test_the_first_request_adds_what_paging_needs(pagination: Pagination, params: dict[str, str]) -> None:
    assert first_request(pagination, Draft(URL, {"day": "1"})).filled() == PageRequest(URL, params)


def test_page_numbers_and_offsets_go_on_to_an_empty_page_whatever_a_short_one_seems_to_say() -> None:
    assert params_of(following(NUMBER, {"page": "3", "d": "1"})) == {"page": "4", "d": "1"}
    assert params_of(following(NUMBER, {"page": "4"}, records=1)) == {"page": "5"}
    assert following(NUMBER, {"page": "5"}, records=0) is None
    assert params_of(following(OFFSET, {"offset": "2"}, records=1)) == {"offset": "3"}
    assert following(OFFSET, {"offset": "3"}, records=0) is None


def test_the_number_of_pages_ends_paging_with_the_last_of_them_unless_that_is_full() -> None:
    assert params_of(following(PAGES, {"page": "0"}, pages=2)) == {"page": "1"}
    assert following(PAGES, {"page": "1"}, records=1, pages=2) is None
    assert params_of(following(PAGES, {"page": "1"}, pages=2)) == {"page": "2"}
    assert following(PAGES, {"page": "2"}, records=0, pages=2) is None
    assert params_of(following(PAGES, {"page": "2"}, records=1, pages=2)) == {"page": "3"}
    assert following(PAGES, {"page": "0"}, pages=1) is None
    assert following(PAGES, {"page": "0"}, records=0, pages=0) is None


def test_the_number_of_pages_may_come_in_a_header() -> None:
    header = style(type="page_number", param="page", pages_header="X-WP-TotalPages")
    assert following(header, {"page": "2"}, records=1, pages="2") is None
    assert params_of(following(header, {"page": "1"}, pages="2")) == {"page": "2"}
    with pytest.raises(PaginationError, match="the header X-WP-TotalPages should be the number of pages"):
        following(header, {"page": "1"}, pages="two")


@pytest.mark.parametrize("flag", [False, 0, "false"])
def test_a_flag_that_says_no_more_ends_every_style(flag: object) -> None:
    for keys in (
        {"type": "page_number", "param": "page"},
        {"type": "offset", "param": "page"},
        {"type": "cursor", "param": "page", "next": "next"},
        {"type": "next_link", "next": "next"},
        {"type": "link_header"},
    ):
        flagged = style(**keys, more="has_more")
        assert following(flagged, {"page": "1"}, more=flag, next="c", link="<https://shop.example/2>; rel=next") is None


def test_a_flag_that_says_more_must_come_with_a_way_to_it() -> None:
    number = style(type="page_number", param="page", more="has_more")
    assert params_of(following(number, {"page": "1"}, records=0, more=True)) == {"page": "2"}
    cursor = style(type="cursor", param="cursor", next="next", more="has_more")
    assert params_of(following(cursor, {}, more="true", next="b")) == {"cursor": "b"}
    for flagged, params in ((cursor, {}), (style(type="offset", param="o", more="has_more"), {"o": "0"})):
        with pytest.raises(PaginationError, match="`has_more` says that more follows"):
            following(flagged, params, records=0, more=True)
    with pytest.raises(PaginationError, match="`has_more` should be true or false, but is str"):
        following(number, {"page": "1"}, more="maybe")


def test_an_absent_flag_leaves_the_end_to_an_empty_page_or_the_cursor() -> None:
    assert following(style(type="page_number", param="page", more="has_more"), {"page": "1"}) is not None
    assert following(style(type="cursor", param="c", next="next", more="has_more"), {}, next=None) is None


@pytest.mark.parametrize("last", [0, "0"], ids=["number", "text"])
def test_a_certain_cursor_may_end(last: object) -> None:
    ending = style(type="cursor", param="cursor", next="next", ends_at=[0])
    assert following(ending, {}, next=last) is None
    assert following(CURSOR, {}, next=last) is not None


def test_an_empty_page_before_the_last_ends_page_numbers_only_where_the_description_says_so() -> None:
    assert params_of(following(PAGES, {"page": "1"}, records=0, pages=5)) == {"page": "2"}
    assert following(PAGES, {"page": "4"}, records=0, pages=5) is None
    assert following(EAGER, {"page": "1"}, records=0, pages=5) is None


def test_a_number_of_pages_that_is_none_is_reported() -> None:
    with pytest.raises(PaginationError, match=r"`pages` should be the number of pages, .* \(str\)"):
        following(PAGES, {"page": "0"}, pages="many")


def test_offsets_advance_by_what_came_and_not_by_what_was_asked_for() -> None:
    assert params_of(following(OFFSET, {"offset": "500", "limit": "500"}, records=100, largest=100)) == {
        "offset": "600",
        "limit": "500",
    }


def test_a_cursor_is_sent_with_the_parameters_again_or_with_the_size_alone() -> None:
    asked = {"day": "1", "limit": "2", "cursor": "a"}
    assert params_of(following(CURSOR, asked, next="b")) == {"day": "1", "limit": "2", "cursor": "b"}
    assert params_of(following(LEAN, asked, next="b")) == {"limit": "2", "cursor": "b"}
    assert params_of(following(CURSOR, asked, next=77)) == {"day": "1", "limit": "2", "cursor": "77"}


@pytest.mark.parametrize("end", [None, "", False])
def test_a_missing_cursor_or_link_ends(end: object) -> None:
    assert following(CURSOR, {}, next=end) is None
    assert following(LINK, {}, next=end) is None
    assert following(HEADER, {}, link=None) is None


def test_an_empty_page_with_a_cursor_or_link_goes_on() -> None:
    assert following(CURSOR, {}, records=0, next="b") is not None
    assert following(LINK, {}, records=0, next="?page=2") is not None


@pytest.mark.parametrize("value", [True, ["b"], {"after": "b"}])
def test_a_cursor_or_link_of_another_type_is_reported(value: object) -> None:
    for pagination in (CURSOR, LINK):
        with pytest.raises(PaginationError, match=r"`(links\.)?next` should be a"):
            following(pagination, {}, next=value)


@pytest.mark.parametrize(
    ("link", "resolved"),
    [
        ("https://shop.example/v1/orders?p=2", "https://shop.example/v1/orders?p=2"),
        ("https://SHOP.example:443/v1/orders?p=2", "https://SHOP.example:443/v1/orders?p=2"),
        ("/v1/orders?p=2#top", "https://shop.example/v1/orders?p=2"),
        ("?p=2", "https://shop.example/v1/orders?p=2"),
        ("https://user:word@shop.example/x", "https://shop.example/x"),
    ],
)
def test_links_are_resolved_against_the_request(link: str, resolved: str) -> None:
    assert following(LINK, {"day": "1"}, next=link) == PageRequest(resolved, {})


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/orders",
        "http://shop.example/v1/orders",
        "https://shop.example:8443/v1/orders",
        "//evil.example/v1/orders",
        "https://shop.example@evil.example/",
        "ftp://shop.example/",
        "javascript:alert(1)",
        "https://[broken",
    ],
)
def test_links_to_another_origin_are_refused(link: str) -> None:
    for pagination, where in ((LINK, {"next": link}), (HEADER, {"link": f'<{link}>; rel="next"'})):
        with pytest.raises(PaginationError, match="own origin only"):
            following(pagination, {}, **where)


@pytest.mark.parametrize(
    "header",
    [
        '<https://shop.example/v1/orders?p=2>; rel="next"',
        '<https://shop.example/a>; rel="prev", <https://shop.example/v1/orders?p=2>; rel="next"',
        "<https://shop.example/v1/orders?p=2>; rel=next; title=x",
        '</v1/orders?p=2>; Rel="last NEXT"',
    ],
)
def test_the_link_header_is_read_as_the_standard_says(header: str) -> None:
    assert following(HEADER, {}, link=header) == PageRequest("https://shop.example/v1/orders?p=2", {})


def test_a_link_header_without_next_ends() -> None:
    assert following(HEADER, {}, link='<https://shop.example/a>; rel="prev"') is None


def test_a_request_that_comes_again_is_noticed() -> None:
    guard = LoopGuard(max_pages=10)
    assert not guard.was_asked(PageRequest(URL, {"cursor": "a", "day": "1"}))
    assert not guard.was_asked(PageRequest(URL, {"cursor": "b", "day": "1"}))
    assert guard.was_asked(PageRequest(URL, {"day": "1", "cursor": "a"}))


def test_the_cap_on_pages_allows_exactly_so_many() -> None:
    guard = LoopGuard(max_pages=2)
    for page in "12":
        guard.was_asked(PageRequest(URL, {"page": page}))
        guard.check_number(URL)
    guard.was_asked(PageRequest(URL, {"page": "3"}))
    with pytest.raises(PaginationError, match=r"more than 2 pages; raise limits\.max_pages"):
        guard.check_number(URL)


def test_the_same_records_twice_in_a_row_are_noticed_but_empty_pages_are_not() -> None:
    guard = LoopGuard(max_pages=10)
    assert [guard.is_repeated(fingerprint) for fingerprint in (1, 2, 1, None, None, 3, 3)] == [False] * 6 + [True]
