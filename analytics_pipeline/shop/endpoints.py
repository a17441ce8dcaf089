"""The model of a list of the shop: its request, how it is paged, where its records and its count are.

What the records mean is said by the models of spec.py; requests and what is laid over them are in requests.py.
"""

import difflib
from collections import Counter
from typing import ClassVar

from pydantic import Field, model_validator

from analytics_pipeline.decoding.envelope import THE_ANSWER_ITSELF
from analytics_pipeline.shop.bulk import Bulk
from analytics_pipeline.shop.fields import as_text, mapped_names
from analytics_pipeline.shop.paging import Pagination
from analytics_pipeline.shop.placeholders import Draft
from analytics_pipeline.shop.protocol import LATER, DottedPath, Model, Nothing, RecordsPath, Text, Times
from analytics_pipeline.shop.requests import (
    ChangedSince,
    CountRequest,
    Overlay,
    Query,
    Request,
    Window,
    drafted,
    placeholder_fault,
)

_SIZE = "size_param and size belong together: give both or none, or put {{size}} in params or body"


class Records(Model):
    """What is said of the records of every list, wherever they are read from.

    Attributes:
        empty: Values that stand for nothing, by field.
        times: How the list writes stamps, where otherwise than the shop.
    """

    empty: Nothing = Field(default_factory=dict)
    times: Times | None = LATER

    @property
    def mapped_fields(self) -> list[str]:
        """Names of all mapped fields, those of entries with their list in front: `lines.discount`."""
        return mapped_names("", getattr(self, "fields"))  # noqa: B009 - each kind of list has its own

    def stands_for_nothing(self, prefix: str = "") -> dict[str, frozenset[str]]:
        """Return the texts that mean nothing, by field; of the entries of a list with its prefix, such as `lines.`."""
        return {
            name.removeprefix(prefix): frozenset(map(as_text, values))
            for name, values in self.empty.items()
            if name.startswith(prefix) and "." not in name.removeprefix(prefix)
        }

    @model_validator(mode="after")
    def _empty_names_mapped_fields(self) -> "Records":
        for name in self.empty:
            if name not in self.mapped_fields:
                close = difflib.get_close_matches(name, self.mapped_fields, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise ValueError(f"empty names {name}, which is not mapped{hint}")
        return self


class Endpoint(Request, Records):
    """A list that is asked for by requests: where it is and how it is paged.

    Attributes:
        given_places: Placeholders that whoever asks for such a list has values for, beside those of paging and
            windows.
        records: Path of the list in the answer, or `@` when the answer is the list.
        pagination: How the list is paged.
        count: Path of the shop's own count of the query's records.
        count_header: Header with that count.
        count_request: A request of its own for that count.
        changed_since: How records are asked for that changed since a stamp.
    """

    given_places: ClassVar[frozenset[str]] = frozenset()

    records: RecordsPath
    pagination: Pagination
    count: DottedPath | None = None
    count_header: Text | None = None
    count_request: CountRequest | None = None
    changed_since: ChangedSince | None = None

    @property
    def body_paths(self) -> dict[str, str]:
        """Paths in the answer beside the records, by what they are for: count, next, pages, more."""
        found = {
            "count": self.count,
            "next": getattr(self.pagination, "next", None),
            "pages": getattr(self.pagination, "pages", None),
            "more": getattr(self.pagination, "more", None),
        }
        return {purpose: path for purpose, path in found.items() if path is not None}

    @property
    def count_place(self) -> str | None:
        """Where the shop's count is described to be, in words; None where none is described."""
        if self.count_request is not None:
            return self.count_request.place
        if self.count_header is not None:
            return f"in the header {self.count_header}"
        return f"at `{self.count}`" if self.count is not None else None

    @property
    def is_counted(self) -> bool:
        """Whether the shop's own count of a query is described."""
        return self.count_place is not None

    @property
    def overlays(self) -> dict[str, Overlay]:
        """What may be laid over the request, by key."""
        return {"changed_since": self.changed_since} if self.changed_since else {}

    @property
    def query_names(self) -> list[str]:
        """Names of all query parameters that the endpoint sets, authentication apart."""
        short = [name for overlay in self.overlays.values() for name in overlay.short_forms]
        return [*self.params, *self.pagination.short_forms, *short]

    def sends(self, param: str | None) -> bool:
        """Whether a query parameter of this name is set by any request for the list."""
        laid = [name for overlay in self.overlays.values() for name in overlay.params]
        return param in {*self.query_names, *laid, *(self.count_request.params if self.count_request else ())}

    @property
    def paged(self) -> Draft:
        """The request with the parameters of paging, of the path alone."""
        return drafted(self, self.path, Query(self.pagination.short_forms))

    @model_validator(mode="after")
    def _fits_together(self) -> "Endpoint":
        twice = sorted(name for name, uses in Counter(self.query_names).items() if uses > 1)
        if twice:
            raise ValueError(f"the query parameter {', '.join(twice)} is set in more than one place")
        if sum(one is not None for one in (self.count, self.count_header, self.count_request)) > 1:
            raise ValueError("give one of count, count_header and count_request")
        return self

    @model_validator(mode="after")
    def _paths_lie_apart(self) -> "Endpoint":
        listed = self.records.partition("[]")[0]
        paths = [listed, *self.body_paths.values()]
        for path in paths[1:]:
            if self.records == THE_ANSWER_ITSELF:
                raise ValueError(f'records is "@": a list has no {path} beside its records')
            if any(path != other and path.startswith(other + ".") for other in paths) or path == listed:
                raise ValueError(f"{path} lies inside another path of the answer that is a plain value or the list")
        return self

    @model_validator(mode="after")
    def _placeholders_are_filled(self) -> "Endpoint":
        paging = self.pagination
        size, place = getattr(paging, "size", None), paging.place
        if size is None and getattr(paging, "size_param", None) is not None:
            raise ValueError(f"pagination: {_SIZE}")
        needed = {"size": f"pagination: {_SIZE}"} if size is not None else {}
        if place is not None:
            needed[place] = f"pagination: give param, or put {{{{{place}}}}} into params or body"
        given = self.given_places
        fault = placeholder_fault(self.paged, self.overlays, needed=needed, given=given)
        with_body = [key for key, overlay in self.overlays.items() if overlay.body is not None]
        if with_body and self.method != "POST":
            fault = f"{with_body[0]}: a body needs method: POST"
        if fault is None and self.count_request is not None:
            counting = drafted(self.count_request, self.count_request.path)
            fault = placeholder_fault(counting, self.overlays, needed={}, given=given)
            fault = fault and f"count_request: {fault}"
        if fault is not None:
            raise ValueError(fault)
        return self


class DatedEndpoint(Endpoint):
    """A list whose records each belong to the business day of their creation.

    Attributes:
        created_window: How records are asked for that were created in a range of business days.
        bulk: How long ranges are asked for as a job of the shop's.
    """

    created_window: Window | None = None
    bulk: Bulk | None = None

    @model_validator(mode="after")
    def _has_a_window_for_jobs(self) -> "DatedEndpoint":
        if self.bulk is not None and self.created_window is None:
            raise ValueError("bulk needs created_window, which says how {{from}} and {{to}} are written")
        return self

    @property
    def overlays(self) -> dict[str, Overlay]:
        """What may be laid over the request, by key."""
        return {**super().overlays, **({"created_window": self.created_window} if self.created_window else {})}
