"""The shop description: the models of its YAML, one class per mapping of the file, and `load_shop`.

How a shop is talked to is in protocol.py and credentials.py, what a list and its requests are in endpoints.py
and requests.py; how faults of a file are found and said is in loading.py. References (`${NAME}`) stay as they are
written: loading needs no environment.
"""

import difflib
import json
import logging
from datetime import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import ConfigDict, Field, field_validator, model_validator

from analytics_pipeline.errors import DescriptionError
from analytics_pipeline.shop.credentials import ApiKeyAuth, Auth, NoAuth, TokenHeader
from analytics_pipeline.shop.endpoints import Endpoint, Records
from analytics_pipeline.shop.fields import Refunds
from analytics_pipeline.shop.files import FileList, FileOrders, Files
from analytics_pipeline.shop.lists import Customers, Products, ShopCustomers, ShopOrders, ShopProducts
from analytics_pipeline.shop.loading import read_description
from analytics_pipeline.shop.money import Money
from analytics_pipeline.shop.orders import Orders
from analytics_pipeline.shop.pages import PageProducts
from analytics_pipeline.shop.protocol import (
    LATER,
    Day,
    Errors,
    Fixed,
    LateChanges,
    Limits,
    Model,
    Name,
    Namespace,
    RequestBudget,
    Text,
    TimeOfDay,
    Times,
)
from analytics_pipeline.shop.quarantine import QuarantineLimits
from analytics_pipeline.shop.references import resolve, with_defaults
from analytics_pipeline.shop.report import COUNTED, Report, ReportRules, ShopReport
from analytics_pipeline.shop.untold import CannotTell
from analytics_pipeline.shop.urls import base_url_fault
from analytics_pipeline.shop.webhooks import Webhooks

__all__ = [
    "Customers",
    "Endpoint",
    "Orders",
    "PageProducts",
    "Products",
    "QuarantineLimits",
    "Records",
    "Shop",
    "Times",
    "load_shop",
    "packaged_path",
    "packaged_shops",
    "resolve",
]

SWEEP_DAYS = 90
"""After how many days any loaded day is read again, where the shop cannot be asked what changed."""
_LOG = logging.getLogger(__name__)
_PACKAGED = Path(__file__).parent / "packaged"


def _require_one_kind(schema: dict[str, Any]) -> None:
    """Say of the schema what a shop of an API has to have and one of files may lack."""
    schema["required"] = [name for name in schema["required"] if name not in {"customers", "products"}]
    schema["anyOf"] = [{"required": ["base_url", "customers", "products"]}, {"required": ["files"]}]


class Shop(Model):
    """A shop's whole description.

    Attributes:
        name: Names the shop in messages and marks its database: small letters, digits, `_` and `-`.
        namespace: Begins the shop's schemas (`de_raw`, `de_marts`) and asset keys beside other shops; one has the
            plain names.
        base_url: Where the API is, without query; `${NAME}` and `${NAME:-default}` are read from the
            environment. A shop that is read from files has none.
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
        files: Where the shop's files lie, of one that is read from files.
        orders: The list of orders.
        customers: The list of customers; a shop that is read from files may have none.
        products: The list of products, or the pages that show them; a shop that is read from files may have none.
        report: The shop's own daily figures, which are held against ours.
        webhooks: Calls by which the shop says that orders have changed.
    """

    model_config = ConfigDict(json_schema_extra=_require_one_kind)

    name: Name
    namespace: Namespace | None = LATER
    base_url: Text | None = None
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
    files: Files | None = LATER
    orders: ShopOrders
    customers: ShopCustomers
    products: ShopProducts
    report: ShopReport | None = None
    webhooks: Webhooks | None = LATER

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone, which bounds its business days."""
        return ZoneInfo(self.timezone)

    @property
    def is_of_files(self) -> bool:
        """Whether its orders are read from files."""
        return isinstance(self.orders, FileOrders)

    @property
    def api_orders(self) -> Orders:
        """The orders as a list of the API.

        Raises:
            DescriptionError: They are read from files.
        """
        if not isinstance(self.orders, Orders):
            raise DescriptionError(f"shop {self.name}: its orders are read from files, not asked for")
        return self.orders

    @property
    def lists(self) -> dict[str, Endpoint]:
        """Every list that is asked for by requests, by its key."""
        of_orders = {f"orders.related.{name}": listed for name, listed in self.orders.related.items()}
        followed = {f"orders.follow.{name}": listed for name, listed in self.orders.follow.items()}
        lists = {"orders": self.orders, "customers": self.customers, "products": self.products}
        plain = {name: listed for name, listed in lists.items() if isinstance(listed, Endpoint)}
        report = {"report": self.report} if isinstance(self.report, Report) else {}
        return {**plain, **of_orders, **followed, **report}

    def times_of(self, described: Records | Refunds) -> Times:
        """Return how a list writes stamps."""
        return described.times or self.times

    @property
    def notices_changes(self) -> bool:
        """Whether the shop can be asked which orders changed, and says when they did; files are looked at."""
        if not isinstance(self.orders, Orders):
            return True
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
    def _is_a_base_url(cls, text: str | None) -> str | None:
        filled = with_defaults(text) if text is not None else None
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
        _warn_of_the_old_name()
        return {("due_by" if key == "landed_by" else key): value for key, value in described.items()}

    @model_validator(mode="before")
    @classmethod
    def _may_lack_lists_of_files(cls, described: object) -> object:
        """A shop that is read from files knows its customers and products by its orders, where it lists none."""
        if not isinstance(described, dict) or "files" not in described:
            return described
        return {"customers": {"files": []}, "products": {"files": []}, **described}

    @model_validator(mode="after")
    def _has_where_its_lists_are(self) -> "Shop":
        lists = {"orders": self.orders, "customers": self.customers, "products": self.products}
        of_files = [name for name, one in lists.items() if isinstance(one, FileList)]
        if self.lists and self.base_url is None:
            raise ValueError(f"base_url is missing: where the API is that has {', '.join(self.lists)}")
        if of_files and self.files is None:
            raise ValueError(f"files is missing: the folder in which the files of {', '.join(of_files)} lie")
        if isinstance(self.products, PageProducts) and self.products.pages.url is None and self.base_url is None:
            raise ValueError("products.pages.url is missing: scheme and host of the pages")
        if self.base_url is not None and len(of_files) == len(lists):
            raise ValueError("base_url is given, and every list is read from files: take it out")
        return self

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


@cache
def _warn_of_the_old_name() -> None:
    """Say it once a process, which loads a description many times."""
    _LOG.warning("the key landed_by of the shop's description is due_by now; rename it, the next release refuses it")


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
