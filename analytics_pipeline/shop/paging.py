"""How lists are paged, as models of a description, one for each style; what follows from them is sources' part."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from analytics_pipeline.shop.protocol import DottedPath, Expression, Model, Text

NO_CONTENT = 204
_NEVER_AN_END = {401, 403, 408, 429}


def _end_status(status: int) -> int:
    if status != NO_CONTENT and (not 400 <= status < 500 or status in _NEVER_AN_END):  # noqa: PLR2004 - HTTP's numbers
        raise ValueError("must be 204 or one of 400 to 499, but for 401, 403, 408 and 429")
    return status


EndStatus = Annotated[int, AfterValidator(_end_status)]


class Listed(Model):
    """What every list shares: the statuses by which the shop says that there is nothing, or nothing more.

    Attributes:
        ends_at_status: Statuses by which the shop says that there is nothing, or nothing more.
    """

    ends_at_status: Annotated[tuple[EndStatus, ...], Field(strict=False)] = ()


class Paged(Listed):
    """What all paging styles share: the parameter that asks for a page size, and what ends the list.

    A parameter may be named here, or its placeholder stands elsewhere in the request.

    Attributes:
        size_param: The query parameter for a page size.
        size: The size to ask for.
        more: Path of a flag beside the records that says whether more pages follow.
        repeated_page_ends: Whether the shop serves the last page again where there is no further one.
    """

    size_param: Text | None = None
    size: int | None = Field(default=None, gt=0)
    more: DottedPath | None = None
    repeated_page_ends: bool = False

    @property
    def short_forms(self) -> dict[str, str]:
        """Parameters that are named here, with their placeholders."""
        forms = {self.size_param: "{{size}}", getattr(self, "param", None): f"{{{{{self.place}}}}}"}
        return {name: place for name, place in forms.items() if name is not None}

    @property
    def place(self) -> str | None:
        """The placeholder that tells the pages apart; None for styles without one."""
        return None


class PageNumber(Paged):
    """Pages are counted.

    Attributes:
        param: The query parameter of the page's number.
        first: Number of the first page.
        pages: Path of the number of pages.
        pages_header: Header with the number of pages.
        empty_page_ends: Whether an empty page before the last one ends the list.
    """

    type: Literal["page_number"]
    param: Text | None = None
    first: int = Field(default=1, ge=0)
    pages: DottedPath | None = None
    pages_header: Text | None = None
    empty_page_ends: bool = False

    @model_validator(mode="after")
    def _has_one_number_of_pages(self) -> "PageNumber":
        if self.pages is not None and self.pages_header is not None:
            raise ValueError("give pages or pages_header, not both")
        return self

    @property
    def place(self) -> str | None:
        """The placeholder that tells the pages apart."""
        return "page"


class Offset(Paged):
    """Pages start at a number of records to skip.

    Attributes:
        param: The query parameter of the number of records to skip.
    """

    type: Literal["offset"]
    param: Text | None = None

    @property
    def place(self) -> str | None:
        """The placeholder that tells the pages apart."""
        return "offset"


class Cursor(Paged):
    """Each answer carries an opaque cursor for the next request; those in `ends_at` say that there is none.

    Attributes:
        param: The query parameter of the cursor.
        next: Path of the cursor beside the records.
        last: Path of what serves as the cursor in the last record of a page, in place of `next`.
        repeat_params: Whether the other parameters are sent again with the cursor.
        ends_at: Cursors that mean the end.
        empty_page_ends: Whether an empty page with a cursor ends the list.
    """

    type: Literal["cursor"]
    param: Text | None = None
    next: DottedPath | None = None
    last: Expression | None = None
    repeat_params: bool = True
    ends_at: Annotated[tuple[str | int, ...], Field(strict=False)] = ()
    empty_page_ends: bool = False

    @model_validator(mode="after")
    def _has_one_cursor(self) -> "Cursor":
        if (self.next is None) == (self.last is None):
            raise ValueError("give either next, the path of the cursor beside the records, or last, in the last record")
        return self

    @property
    def place(self) -> str | None:
        """The placeholder that tells the pages apart."""
        return "cursor"


class NextLink(Paged):
    """Each answer's body carries the URL of the next page.

    Attributes:
        next: Path of the URL of the next page.
        empty_page_ends: Whether an empty page with a link ends the list.
    """

    type: Literal["next_link"]
    next: DottedPath
    empty_page_ends: bool = False


class LinkHeader(Paged):
    """Each answer carries the URL of the next page in its `Link` header (RFC 8288)."""

    type: Literal["link_header"]


class Single(Listed):
    """One request gives everything."""

    type: Literal["single"]

    @property
    def short_forms(self) -> dict[str, str]:
        """Parameters that are named here, with their placeholders: none."""
        return {}

    @property
    def place(self) -> str | None:
        """The placeholder that tells the pages apart: none."""
        return None


Pagination = Annotated[
    PageNumber | Offset | Cursor | NextLink | LinkHeader | Single,
    Field(discriminator="type"),
]
