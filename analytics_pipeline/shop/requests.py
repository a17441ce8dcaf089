"""What a description says of a request: path, method, parameters, body, and what a kind of request lays over them.

How the placeholders in them are filled is in placeholders.py; how a list is paged is in paging.py.
"""

import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from analytics_pipeline.shop.placeholders import PLACEHOLDERS, Draft, Json, Params, merged, names_among_text, names_in
from analytics_pipeline.shop.protocol import (
    DottedPath,
    Model,
    StampFormat,
    Text,
    UrlPath,
    fault_of_fixed,
    looks_like_credential,
)
from analytics_pipeline.shop.references import has_reference


def _param_value(value: object) -> object:
    texts = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str) for one in texts):
        raise ValueError("must be text; put it in quotes if it is, or a list of texts")
    return value if isinstance(value, str) else tuple(texts)


def _params(params: Any) -> Any:  # noqa: ANN401 - checked by pydantic afterwards
    for name, value in params.items() if isinstance(params, dict) else ():
        for text in value if isinstance(value, list | tuple) else [value]:
            fault = fault_of_fixed(str(name), text) if isinstance(text, str) else None
            if fault and not (looks_like_credential(str(name)) and set(names_in(text)) - {"id"}):
                raise ValueError(fault)
    return params


def _json_body(body: object) -> object:
    fault = _body_fault(body)
    if fault:
        raise ValueError(fault)
    return body


def _body_fault(value: object, name: str = "") -> str | None:
    if isinstance(value, dict):
        keys = (
            _body_fault(one, key) if isinstance(key, str) else "has a key that is no text" for key, one in value.items()
        )
        return next(filter(None, keys), None)
    if isinstance(value, list):
        return next(filter(None, (_body_fault(one, name) for one in value)), None)
    if isinstance(value, str):
        if looks_like_credential(name) and not list(names_in(value)):
            return f"{name} looks like a credential; describe it under auth with a ${{NAME}} reference"
        return f"{name} holds a ${{NAME}} reference; those are for base_url and auth" if has_reference(value) else None
    return None if is_json(value) else f"{name} is nothing that JSON knows"


def is_json(value: object) -> bool:
    """Whether a single value is one that JSON can say."""
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


ParamValue = Annotated[str | tuple[str, ...], BeforeValidator(_param_value)]
QueryParams = Annotated[dict[str, ParamValue], BeforeValidator(_params), Field(strict=False)]
Body = Annotated[Any, BeforeValidator(_json_body)]
Method = Literal["GET", "POST"]
_OF_OVERLAYS = {"created_window": {"from", "to"}, "changed_since": {"since"}}
_SHORT_KEYS = {"from": "from_param", "to": "to_param", "since": "param"}


class Overlay(Model):
    """What one kind of request adds to the parameters and the body of its endpoint, or puts in their place.

    Attributes:
        params: Query parameters that are added.
        body: JSON that is put over that of the list.
    """

    params: QueryParams = Field(default_factory=dict)
    body: Body = None

    @property
    def short_forms(self) -> dict[str, str]:
        """Parameters that are named by keys of their own, with their placeholders."""
        return {}

    @property
    def all_params(self) -> Params:
        """Its parameters, the short forms first."""
        return {**self.short_forms, **self.params}


class Window(Overlay):
    """How orders created in a range of business days are asked for.

    Attributes:
        from_param: The parameter of the lower bound; None where `{{from}}` stands elsewhere.
        to_param: The parameter of the upper bound; None where `{{to}}` does.
        format: How stamps are written.
        lower: Whether the lower bound belongs to what is asked for (`from` in the file); None: either may be true, so
            that a second more is asked for. A format of days is taken to be inclusive then.
        to: Whether the upper bound does.
    """

    from_param: Text | None = None
    to_param: Text | None = None
    format: StampFormat
    lower: Literal["exclusive", "inclusive"] | None = Field(default=None, alias="from")
    to: Literal["exclusive", "inclusive"] = "exclusive"

    @property
    def short_forms(self) -> dict[str, str]:
        """Parameters that are named by keys of their own, with their placeholders."""
        return _short({self.from_param: "{{from}}", self.to_param: "{{to}}"})


class ChangedSince(Overlay):
    """How records changed since a stamp are asked for: by `param`, or where `{{since}}` stands.

    Attributes:
        param: The query parameter of the stamp.
        format: How the stamp is written.
    """

    param: Text | None = None
    format: StampFormat

    @property
    def short_forms(self) -> dict[str, str]:
        """Parameters that are named by keys of their own, with their placeholders."""
        return _short({self.param: "{{since}}"})


class Request(Model):
    """A request of the shop.

    Attributes:
        path: Path below base_url.
        method: How it is made.
        params: Query parameters; a list of texts is sent as the parameter so many times.
        body: JSON, with POST.
    """

    path: UrlPath
    method: Method = "GET"
    params: QueryParams = Field(default_factory=dict)
    body: Body = None

    @model_validator(mode="after")
    def _body_has_a_method(self) -> "Request":
        if self.body is not None and self.method != "POST":
            raise ValueError("a body needs method: POST")
        return self


class CountRequest(Request):
    """A request of its own for the shop's count of a query; the window of the query is laid over it.

    Attributes:
        at: Path of the count in the answer.
        header: The header that has it.
    """

    at: DottedPath | None = None
    header: Text | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "CountRequest":
        if (self.at is None) == (self.header is None):
            raise ValueError("give either at or header, the place of the count")
        return self

    @property
    def place(self) -> str:
        """Where the count is described to be, in words."""
        return f"in the header {self.header}" if self.at is None else f"at `{self.at}` of {self.path}"


@dataclass(frozen=True)
class Query:
    """What is asked of a list: what is laid over its request, and values of placeholders."""

    params: Params = field(default_factory=dict)
    body: Json = field(default=None, repr=False)
    values: Mapping[str, object] = field(default_factory=dict)


EVERYTHING = Query()


def laid_over(overlay: Overlay, values: Mapping[str, object]) -> Query:
    """The query of a kind of request, with the values of its placeholders."""
    return Query(overlay.all_params, overlay.body, values)


def drafted(request: Request, url: str, query: Query = EVERYTHING) -> Draft:
    """A request to a URL with a query laid over it."""
    return drafted_over(Draft(url, request.params, request.method, request.body), query)


def drafted_over(draft: Draft, query: Query) -> Draft:
    """A draft with a query laid over it; only a POST has a body."""
    params = {**draft.params, **query.params}
    body = merged(draft.body, query.body) if draft.method == "POST" else None
    return Draft(draft.url, params, draft.method, body, {**draft.values, **query.values})


def placeholder_fault(
    request: Draft, overlays: Mapping[str, Overlay], *, needed: Mapping[str, str], given: Collection[str] = ()
) -> str | None:
    """What is wrong with the placeholders of a request, in words; None where nothing is.

    Args:
        request: The request, with the short forms of paging.
        overlays: What may be laid over it, by key of the description.
        needed: Placeholders that have a value in each request and must stand in it, with the remedy where one does not.
        given: Placeholders that have a value in each request and may stand in it.
    """
    base, own = (request.url, request.params, request.body), {*needed, *given}
    known = own.union(*(_OF_OVERLAYS[key] for key in overlays))
    among_text = names_among_text(base) & {"from", "to", "since"}
    absent = [remedy for name, remedy in needed.items() if name not in set(names_in(base))]
    faults = [_unknown(base, known), *absent]
    if among_text:
        faults.append(
            f"{{{{{min(among_text)}}}}} stands among other characters of every request; put the whole text into the "
            f"params or body of created_window or changed_since"
        )
    for key, overlay in overlays.items():
        faults.append(_unknown((overlay.all_params, overlay.body), own | _OF_OVERLAYS[key]))
        laid = drafted_over(request, Query(overlay.all_params, overlay.body))
        nowhere = sorted(_OF_OVERLAYS[key] - set(names_in((laid.params, laid.body))))
        faults += [
            f"{key} says nowhere where its {name} belongs: give {_SHORT_KEYS[name]}, or put {{{{{name}}}}} into its "
            f"params or body"
            for name in nowhere
        ]
    return next(filter(None, faults), None)


def _unknown(value: Json, known: set[str]) -> str | None:
    for name in names_in(value):
        if name not in known:
            what = "has no value here" if name in PLACEHOLDERS else "is no placeholder"
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {{{{{close[0]}}}}}? " if close else ""
            listed = ", ".join(f"{{{{{one}}}}}" for one in PLACEHOLDERS if one in known) or "none"
            return f"{{{{{name}}}}} {what}; {hint}those with one: {listed}"
    return None


def _short(forms: Mapping[str | None, str]) -> dict[str, str]:
    return {name: place for name, place in forms.items() if name is not None}
