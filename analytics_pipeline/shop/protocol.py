"""How a shop is talked to, as models of its description: budget, limits, errors and stamps; paging is in paging.py.

Also the base model and the value types (paths, secrets, days) that the other models are built of. What a request holds
is in requests.py, who asks in credentials.py; the behaviour behind each model is elsewhere: client.py, pagination.py,
mapping.py.
"""

import re
from datetime import date, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from analytics_pipeline.decoding.envelope import THE_ANSWER_ITSELF
from analytics_pipeline.decoding.mapping import compile_path, is_plain_path
from analytics_pipeline.shop.references import has_reference, is_secret_reference

TIME_OF_DAY_PATTERN = r"^([01]\d|2[0-3]):[0-5]\d$"
ONE_REFERENCE = r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"
"""What editors hold a secret against: one reference without a default."""
NO_NAMESPACES = ("raw", "clean", "ops", "marts", "features", "seeds", "shops", "public", "information_schema")
_PLAIN_JSON = ["string", "boolean", "integer"]
_SECRET_NAME = re.compile(
    r"authorization|cookie|token|secret|passw|credential|(api|access|auth|consumer|private)[-_]?key|^key$",
    re.IGNORECASE,
)


def _expression(text: str) -> str:
    try:
        compile_path(text)
    except ValueError as error:
        raise ValueError(f"is no JMESPath: {' '.join(str(error).split())}") from None
    return text


def _dotted(text: str) -> str:
    if not is_plain_path(text):
        raise ValueError("must be a plain dotted path of names, such as page.next")
    return text


def _records_path(text: str) -> str:
    listed, _, within = text.partition("[].")
    if text != THE_ANSWER_ITSELF and not (is_plain_path(listed) and (listed == text or is_plain_path(within))):
        raise ValueError(
            'must be a plain dotted path of names, with one [] at most, such as data.orders.edges[].node, or "@" when '
            "the answer itself is the list"
        )
    return text


def _secret(text: str) -> str:
    if not is_secret_reference(text):
        raise ValueError("must be one ${NAME} reference without default: secrets come from the environment only")
    return text


def _url_path(text: str) -> str:
    if not re.fullmatch(r"/[^\s?#]*", text):
        raise ValueError("must start with / and hold no ? or #; fixed parameters go under params")
    return text


def _iso_day(value: object) -> date:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> date:
    raise ValueError("must be a day such as 2026-01-31")


def _time_of_day(value: object) -> time:
    # YAML reads 10:30 without quotes as the number 630, so that only text can be known from a mistake.
    if not isinstance(value, str) or not re.fullmatch(TIME_OF_DAY_PATTERN, value):
        raise ValueError('must be a time of day in quotes, such as "06:00"')
    return time.fromisoformat(value)


def _namespace(text: str) -> str:
    if text in NO_NAMESPACES or text.startswith("pg_"):
        raise ValueError(f"must be none of {', '.join(NO_NAMESPACES)}, and not begin with pg_")
    return text


def _listed(values: object) -> object:
    return tuple(values) if isinstance(values, list) else (values,)


def looks_like_credential(name: str) -> bool:
    """Whether the name of a parameter, header or key is one under which secrets are sent."""
    return _SECRET_NAME.search(name) is not None


def fault_of_fixed(name: str, value: str) -> str | None:
    """What is wrong with a fixed value of a parameter or header, in words; None where nothing is."""
    if looks_like_credential(name):
        return f"{name} looks like a credential; describe it under auth with a ${{NAME}} reference"
    if has_reference(value):
        return f"{name} must be plain text; ${{NAME}} references are for base_url and auth"
    if not re.fullmatch(r"[^\x00-\x1f\x7f]*", value) or not name.strip():
        return f"{name!r} must have a name, and a value on one line"
    return None


def _fixed_values(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        fault = fault_of_fixed(name, value)
        if fault:
            raise ValueError(fault)
    return values


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Namespace = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$"), AfterValidator(_namespace)]
Reason = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
FieldPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w-]*(\[\])?(\.[A-Za-z_][\w-]*(\[\])?)*$")]
"""A field of a record, or of the entries of a list in it: `stock`, `lines[].stock`."""
Expression = Annotated[str, AfterValidator(_expression)]
DottedPath = Annotated[str, AfterValidator(_dotted)]
RecordsPath = Annotated[str, AfterValidator(_records_path)]
UrlPath = Annotated[str, AfterValidator(_url_path)]
Secret = Annotated[str, AfterValidator(_secret), WithJsonSchema({"type": "string", "pattern": ONE_REFERENCE})]
Text = Annotated[str, Field(min_length=1)]
Day = Annotated[date, BeforeValidator(_iso_day)]
TimeOfDay = Annotated[
    time, BeforeValidator(_time_of_day), WithJsonSchema({"type": "string", "pattern": TIME_OF_DAY_PATTERN})
]
_OneOrSeveral = Annotated[
    tuple[str | bool | int, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"type": ["string", "boolean", "integer", "array"], "items": {"type": _PLAIN_JSON}}),
]
Nothing = Annotated[dict[str, _OneOrSeveral], Field(strict=False)]
Fixed = Annotated[dict[str, str], AfterValidator(_fixed_values)]
LATER: Any = Field(default=None, exclude_if=lambda value: value is None)
"""Default of a key that came after the first version: one that is not given is no part of what is hashed of a model."""
StampFormat = Literal["iso_utc", "iso_utc_bare", "iso_offset", "iso_local", "date", "unix_seconds"]


class Model(BaseModel):
    """Base of all mappings of the file: unknown keys and guessed types are refused, no error repeats a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Points(Model):
    """Paths in the answer by which a shop tells what a request costs and how many points are left of its budget.

    Attributes:
        available: Points that are left.
        restore_rate: Points that come back in a second.
        requested: Points that the request was reckoned at; the next one is taken to cost as many.
    """

    available: DottedPath
    restore_rate: DottedPath
    requested: DottedPath


class RequestBudget(Model):
    """How fast the shop may be asked.

    Attributes:
        per_second: Most requests a second.
        remaining_header: The header that says how many requests are left.
        used_header: The header that says how many are used of how many, such as `32/40`.
        reset_header: The header that says when there are new ones.
        reset_in: What its number means: from now on, or a moment in seconds since 1970.
        cost: Where the answer tells of points.
    """

    per_second: float | None = Field(default=None, gt=0)
    remaining_header: Text | None = None
    used_header: Text | None = None
    reset_header: Text | None = None
    reset_in: Literal["seconds", "milliseconds", "epoch"] = "seconds"
    cost: Points | None = None

    @model_validator(mode="after")
    def _reset_belongs_to_remaining(self) -> "RequestBudget":
        if self.reset_header is not None and self.remaining_header is None and self.used_header is None:
            raise ValueError("reset_header needs remaining_header or used_header, which say when to wait")
        if self.remaining_header is not None and self.used_header is not None:
            raise ValueError("give remaining_header or used_header, not both")
        return self


class Errors(Model):
    """How the shop tells a failure with HTTP 200.

    Attributes:
        at: Path of the failures in the answer: a list or an object, absent or empty in a good answer.
        message: Path of the shop's words in one of them.
        throttled_when: Expression on one of them that is true where the shop only asks to wait.
        unauthorized_when: Expression on one of them that is true where the token has ended: as HTTP 401.
    """

    at: DottedPath
    message: Expression = "message"
    throttled_when: Expression | None = None
    unauthorized_when: Expression | None = None


class Limits(Model):
    """Time-outs in seconds, number of retries, and caps on what is read.

    Attributes:
        connect_timeout: Seconds for a connection.
        read_timeout: Seconds without a byte of the answer.
        answer_timeout: Seconds for a whole answer, however it drips.
        retries: Further attempts after a failure that may pass.
        max_retry_after: Most seconds that the shop's own wish to wait is obeyed.
        max_answer_mb: Most megabytes of an answer.
        max_pages: Most pages of one list.
    """

    connect_timeout: float = Field(default=5, gt=0)
    read_timeout: float = Field(default=60, gt=0)
    answer_timeout: float = Field(default=300, gt=0, le=86_400)
    retries: int = Field(default=6, ge=0, le=20)
    max_retry_after: float = Field(default=60, ge=0)
    max_answer_mb: int = Field(default=64, gt=0, le=1024)
    max_pages: int = Field(default=100_000, gt=0)


class Times(Model):
    """How the shop writes stamps, and what one without offset means.

    Attributes:
        format: How stamps are written.
        without_offset: What a stamp without offset means: UTC, or the shop's clock.
    """

    format: Literal["iso8601", "rfc2822", "unix_seconds"] = "iso8601"
    without_offset: Literal["utc", "local"] = "utc"


class LateChanges(Model):
    """How changes of orders whose day has been loaded are noticed.

    Attributes:
        every_minutes: How often the shop is asked.
        overlap_minutes: How far before the newest change stamp changes are asked for again.
        reread_share: Loaded days are read again and compared, within this share of the other requests.
        reread_days: Without `orders.changed_since`: the last days, which are read again once a day whatever that costs.
        sweep_days: Every loaded day is read again at least so often, whatever that costs; None for as the share allows.
        most_days: Most business days that one poll has loaded again; the others follow at the next ones.
    """

    every_minutes: float = Field(default=15, gt=0)
    overlap_minutes: int = Field(default=60, ge=0)
    reread_share: float = Field(default=0.05, ge=0, le=1)
    reread_days: int = Field(default=30, ge=0)
    sweep_days: int | None = Field(default=None, ge=1)
    most_days: int = Field(default=62, ge=1)
