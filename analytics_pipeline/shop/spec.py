"""The shop description: the models of its YAML, one class per mapping of the file, and `load_shop`.

How a shop is talked to is in protocol.py and credentials.py, what a list and its requests are in endpoints.py
and requests.py; how faults of a file are found and said is in loading.py. References (`${NAME}`) stay as they are
written: loading needs no environment.
"""

import difflib
import json
from datetime import time
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from analytics_pipeline.errors import DescriptionError
from analytics_pipeline.shop.charges import Charges, named, placed_like
from analytics_pipeline.shop.credentials import ApiKeyAuth, Auth, NoAuth, TokenHeader
from analytics_pipeline.shop.endpoints import DatedEndpoint, Endpoint
from analytics_pipeline.shop.fields import (
    DESCRIPTIVE_LISTS,
    DESCRIPTIVE_TEXTS,
    EXTRA_PREFIX,
    CustomerFields,
    Extra,
    ExtraName,
    IncludesTax,
    Lines,
    OrderFields,
    ProductFields,
    Refunds,
    mapped_names,
)
from analytics_pipeline.shop.loading import read_description
from analytics_pipeline.shop.money import Money
from analytics_pipeline.shop.protocol import (
    LATER,
    Day,
    Errors,
    Expression,
    FieldPath,
    Fixed,
    LateChanges,
    Limits,
    Model,
    Name,
    Reason,
    RequestBudget,
    Text,
    TimeOfDay,
    Times,
)
from analytics_pipeline.shop.quarantine import QuarantineLimits
from analytics_pipeline.shop.references import resolve, with_defaults
from analytics_pipeline.shop.related import Follow, ListName, Related
from analytics_pipeline.shop.report import COUNTED, Report, ReportRules, ShopReport
from analytics_pipeline.shop.untold import CannotTell
from analytics_pipeline.shop.urls import base_url_fault

__all__ = [
    "Endpoint",
    "Orders",
    "QuarantineLimits",
    "Shop",
    "Times",
    "load_shop",
    "packaged_path",
    "packaged_shops",
    "resolve",
]

SWEEP_DAYS = 90
"""After how many days any loaded day is read again, where the shop cannot be asked what changed."""
LEAST_SHOWN_DAYS = 3
_PACKAGED = Path(__file__).parent / "packaged"


class Exclusion(Model):
    """Records left out on purpose, with the reason they are counted under.

    Attributes:
        when: True of a record that is left out.
        reason: What it is counted under.
    """

    when: Expression
    reason: Reason


class Orders(DatedEndpoint):
    """The shop's orders.

    Attributes:
        exclude: Rules that leave orders out on purpose; the first that is true counts.
        returns_when: True of a credit note: the whole record is goods taken back.
        cancelled_when: True of a cancelled order, where the shop does not say when that was.
        volatile: Paths in which two versions of an order may differ and be the same.
        shown_days: How many days the shop shows an order: older ones are kept as they are, and not asked for.
        fields: Paths of an order's fields.
        lines: The order's lines.
        extra: Further columns of clean.orders, by name.
        includes_tax: Which amounts contain tax, field by field.
        charges: Other charges than lines and shipping: tips, fees, duties, gift cards.
        refunds: The order's refunds.
        related: Lists of their own path that belong to orders, by name.
        follow: Lists that are asked for order by order, by name.
    """

    exclude: Annotated[tuple[Exclusion, ...], Field(strict=False)] = ()
    returns_when: Expression | None = None
    cancelled_when: Expression | None = LATER
    volatile: Annotated[tuple[FieldPath, ...], Field(strict=False, exclude_if=lambda paths: not paths)] = ()
    shown_days: int | None = Field(default=None, ge=LEAST_SHOWN_DAYS, exclude_if=lambda days: days is None)
    fields: OrderFields
    lines: Lines
    extra: dict[ExtraName, Extra] = Field(default_factory=dict, exclude_if=lambda extra: not extra)
    includes_tax: IncludesTax | None = LATER
    charges: Charges = ()
    refunds: Refunds | None = None
    related: dict[ListName, Related] = Field(default_factory=dict)
    follow: dict[ListName, Follow] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_rates_where_taxes_differ(self) -> "Orders":
        said = self.includes_tax
        differs = said is not None and said.lines != said.discount and {said.lines, said.discount} != {None}
        if differs and self.lines.fields.discount and not self.lines.fields.tax_rate:
            raise ValueError("includes_tax says of lines and discount different things: map lines.fields.tax_rate")
        return self

    @property
    def mapped_fields(self) -> list[str]:
        """Names of all mapped fields, those of entries with their list in front: `lines.discount`."""
        found = [*super().mapped_fields, *mapped_names("lines.", self.lines.fields)]
        if self.refunds:
            found += mapped_names("refunds.", self.refunds.fields)
            found += mapped_names("refunds.lines.", self.refunds.lines.fields) if self.refunds.lines else []
            found += [f"refunds.{name}" for name in named(self.refunds.charges)]
        return [*found, *named(self.charges), *(f"{EXTRA_PREFIX}{name}" for name in self.extra)]

    @property
    def is_described(self) -> bool:
        """Whether it maps fields that no figure is made of."""
        return bool(self.extra) or any(getattr(self.fields, name) for name in (*DESCRIPTIVE_TEXTS, *DESCRIPTIVE_LISTS))

    @property
    def refund_charges(self) -> Charges:
        """What refunds give back of charges, each with the place that it counts in."""
        return placed_like(self.refunds.charges, self.charges) if self.refunds else ()

    @property
    def joined(self) -> dict[str, str]:
        """The key of an order under which the records of each list are that belongs to orders, by the list's name."""
        own = {name: related.into for name, related in self.related.items()}
        return own | {name: follow.into for name, follow in self.follow.items()}

    @model_validator(mode="after")
    def _lists_have_names_of_their_own(self) -> "Orders":
        twice = sorted(self.related.keys() & self.follow.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)} is a name under related and under follow")
        return self

    @model_validator(mode="after")
    def _gives_back_what_it_charges(self) -> "Orders":
        placed_like(self.refunds.charges if self.refunds else (), self.charges)
        return self


class Customers(Endpoint):
    """The shop's customers.

    Attributes:
        fields: Paths of a customer's fields.
    """

    fields: CustomerFields


class Products(Endpoint):
    """The shop's products.

    Attributes:
        fields: Paths of a product's fields.
    """

    fields: ProductFields


class Shop(Model):
    """A shop's whole description.

    Attributes:
        name: Names the shop in messages and marks its database: small letters, digits, `_` and `-`.
        base_url: Where the API is, without query; `${NAME}` and `${NAME:-default}` are read from the
            environment.
        timezone: IANA name, such as Europe/Berlin: its midnights bound the business days.
        currency: Three letters: of orders that name none, and of rows of zeros.
        first_day: First business day there can be an order; the partitions begin here.
        last_day: Last business day there can be an order, of a shop that has ended.
        daily_run_hour: Hour of the daily run, the shop's time.
        due_by: Time by which yesterday has to be complete, the shop's time, in quotes.
        auth: Credentials.
        headers: Fixed further headers; not for secrets.
        request_budget: How fast the shop may be asked.
        errors: Where an answer with HTTP 200 says that it failed.
        limits: Time-outs, retries and caps.
        times: How the shop writes stamps.
        money: How the shop writes amounts.
        late_changes: How changes of orders are noticed whose day has been loaded.
        intraday: Whether today's figures are kept current with each poll, marked provisional.
        closed_until: Last business day of a closed period: its later changes land on the day they are seen.
        quarantine: How much of a day may be in quarantine.
        cannot_tell: Figures that the shop's records do not tell: null in marts, never 0.
        orders: The list of orders.
        customers: The list of customers.
        products: The list of products.
        report: The shop's own daily figures, which are held against ours.
    """

    name: Name
    base_url: Text
    timezone: Text
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    first_day: Day
    last_day: Day | None = None
    daily_run_hour: int = Field(default=3, ge=0, le=23)
    due_by: TimeOfDay | None = None
    auth: Auth = NoAuth()
    headers: Fixed = Field(default_factory=dict)
    request_budget: RequestBudget = RequestBudget()
    errors: Errors | None = None
    limits: Limits = Limits()
    times: Times = Times()
    money: Money = Money()
    late_changes: LateChanges = LateChanges()
    intraday: bool = False
    closed_until: Day | None = None
    quarantine: QuarantineLimits = QuarantineLimits()
    cannot_tell: CannotTell = ()
    orders: Orders
    customers: Customers
    products: Products
    report: ShopReport | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone, which bounds its business days."""
        return ZoneInfo(self.timezone)

    @property
    def lists(self) -> dict[str, Endpoint]:
        """Every list of the shop, by its key."""
        of_orders = {f"orders.related.{name}": listed for name, listed in self.orders.related.items()}
        followed = {f"orders.follow.{name}": listed for name, listed in self.orders.follow.items()}
        plain = {"orders": self.orders, "customers": self.customers, "products": self.products}
        report = {"report": self.report} if isinstance(self.report, Report) else {}
        return {**plain, **of_orders, **followed, **report}

    def times_of(self, described: Endpoint | Refunds) -> Times:
        """Return how a list writes stamps."""
        return described.times or self.times

    @property
    def notices_changes(self) -> bool:
        """Whether the shop can be asked which orders changed, and says when they did."""
        return self.orders.changed_since is not None and self.orders.fields.updated_at is not None

    @property
    def sweep_days(self) -> int | None:
        """After how many days any loaded day is read again, None for never."""
        return self.late_changes.sweep_days or (None if self.notices_changes else SWEEP_DAYS)

    @property
    def report_rules(self) -> str:
        """By what definitions the shop's own report is made, as JSON; of one that is not described, by ours."""
        if self.report is None:
            return ReportRules().rules
        return json.dumps(json.loads(self.report.rules) | {"first_day": self.first_day.isoformat()}, sort_keys=True)

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            close = difflib.get_close_matches(name, available_timezones(), 1)
            hint = f"did you mean {close[0]}?" if close else "for example Europe/Berlin"
            raise ValueError(f"is no IANA time zone; {hint}") from None
        return name

    @field_validator("base_url")
    @classmethod
    def _is_a_base_url(cls, text: str) -> str:
        filled = with_defaults(text)
        fault = base_url_fault(filled) if filled is not None else None
        if fault:
            raise ValueError(fault)
        return text

    @model_validator(mode="before")
    @classmethod
    def _takes_the_old_name_of_due_by(cls, described: object) -> object:
        """`landed_by` is what `due_by` was called before; it goes with the next release."""
        if not isinstance(described, dict) or "landed_by" not in described or "due_by" in described:
            return described
        return {("due_by" if key == "landed_by" else key): value for key, value in described.items()}

    @model_validator(mode="after")
    def _is_due_after_the_daily_run_began(self) -> "Shop":
        if self.due_by is not None and self.due_by <= time(self.daily_run_hour):
            raise ValueError(f"due_by has to be later than {self.daily_run_hour:02}:00, when the daily run begins")
        return self

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Shop":
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} lies before first_day {self.first_day}")
        return self

    @model_validator(mode="after")
    def _report_counts_what_is_known(self) -> "Shop":
        known = COUNTED | {rule.reason for rule in self.orders.exclude}
        if self.report is not None and (unknown := [name for name in self.report.counts if name not in known]):
            raise ValueError(
                f"report.counts names {unknown[0]}, which is no reason of orders.exclude; there are: "
                f"{', '.join(sorted(known))}"
            )
        return self

    @model_validator(mode="after")
    def _credentials_have_their_own_place(self) -> "Shop":
        if isinstance(self.auth, ApiKeyAuth) and self.auth.param is not None:
            for key, endpoint in self.lists.items():
                if endpoint.sends(self.auth.param):
                    raise ValueError(f"auth.param {self.auth.param} is also a query parameter of {key}")
        header = self.auth.header if isinstance(self.auth, ApiKeyAuth | TokenHeader) else None
        if header is not None and header.lower() in map(str.lower, self.headers):
            raise ValueError(f"auth.header {header} is also given under headers")
        return self


def packaged_shops() -> list[str]:
    """Names of the descriptions that come with the package, such as `demo`."""
    return sorted(path.stem for path in _PACKAGED.glob("*.yaml"))


def packaged_path(name: str) -> Path:
    """Return where a packaged description lies."""
    return _PACKAGED / f"{name}.yaml"


def load_shop(reference: str | Path) -> Shop:
    """Reads and validates a shop description; no request is made and no environment variable is read.

    Args:
        reference: Path of a YAML file, or the name of a packaged shop (a word without suffix and folder, such as
        `demo`).

    Raises:
        DescriptionError: The file is missing or wrong; all faults at once, with line, key path and remedy.
    """
    if isinstance(reference, Path) or Path(reference).suffix or len(Path(reference).parts) != 1:
        return read_description(Path(reference), Shop)
    if reference not in packaged_shops():
        raise DescriptionError(
            f"there is no packaged shop {reference!r}; there are: {', '.join(packaged_shops())}. "
            f"A file of your own is shops/{reference}.yaml in your folder, or is given by its path, such as "
            f"./{reference}.yaml"
        )
    return read_description(packaged_path(reference), Shop)
