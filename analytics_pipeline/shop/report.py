"""The shop's own daily report in its description: which fields it has, as a file or an answer, and by what rules.

How it is read is in sources; what the rules mean for our figures is in marts/daily_witness.sql.
"""

import json
import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from analytics_pipeline.shop.endpoints import Endpoint
from analytics_pipeline.shop.paging import Pagination, Single
from analytics_pipeline.shop.protocol import DottedPath, Expression, Model, Reason, Text
from analytics_pipeline.shop.requests import Overlay, Window

MOST_DAYS = 31
COUNTED = frozenset({"zero_orders", "free_units", "gift_cards", "tips", "fees", "duties"})
"""What a report may count that we do not, beside the reasons of `orders.exclude`."""
_MONEY = re.compile(r"\d{1,6}(\.\d{1,4})?")


def _relative(text: str) -> str:
    steps = text.split("/")
    if not text.endswith(".csv") or text.startswith("/") or "\\" in text or ".." in steps or "**" in steps:
        raise ValueError("must be a path within the project folder, such as reports/*.csv, without .. and **")
    return text


LeftOut = Literal["cancelled_orders", "zero_orders", "tips", "fees", "duties"]


class ReportFields(Model):
    """The figures of a report's rows, by our names; expressions over a row.

    Attributes:
        date: The day of the row.
        currency: Currency of the row, else the shop's.
        orders: Orders placed.
        units_sold: Units sold.
        units_returned: Units taken back.
        gross_sales: Gross sales.
        discounts: Discounts, positive.
        returns: Returns, positive.
        net_sales: Net sales.
        shipping: Shipping.
        taxes: Taxes.
        total_sales: Total sales.
        charges: Other charges in total sales.
        tips: Tips.
        fees: Fees.
        duties: Duties.
        gift_cards_sold: Gift cards sold.
        gift_cards_redeemed: Gift cards redeemed.
    """

    date: Expression
    currency: Expression | None = None
    orders: Expression | None = None
    units_sold: Expression | None = None
    units_returned: Expression | None = None
    gross_sales: Expression | None = None
    discounts: Expression | None = None
    returns: Expression | None = None
    net_sales: Expression | None = None
    shipping: Expression | None = None
    taxes: Expression | None = None
    total_sales: Expression | None = None
    charges: Expression | None = None
    tips: Expression | None = None
    fees: Expression | None = None
    duties: Expression | None = None
    gift_cards_sold: Expression | None = None
    gift_cards_redeemed: Expression | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the mapped figures."""
        return tuple(name for name, path in self if path is not None and name not in {"date", "currency"})

    @model_validator(mode="after")
    def _has_a_figure(self) -> "ReportFields":
        if not self.metrics:
            raise ValueError("maps no figure, such as orders or net_sales")
        return self


class OtherOrders(Model):
    """Orders that a report leaves out by a plain field of the shop's record, such as its status.

    Attributes:
        path: The field.
        values: Orders with one of these are left out (`is` in the file).
        others: Orders with none of these are (`is_not` in the file); one without the field is, too.
        reason: Name of the rule.
    """

    path: DottedPath
    values: Annotated[tuple[str, ...], Field(strict=False)] = Field(default=(), alias="is")
    others: Annotated[tuple[str, ...], Field(strict=False)] = Field(default=(), alias="is_not")
    reason: Reason

    @model_validator(mode="after")
    def _has_one_list(self) -> "OtherOrders":
        if bool(self.values) == bool(self.others):
            raise ValueError("give either is or is_not, a list of texts")
        return self


class ReportRules(Model):
    """By what definitions a report is made, where they are others than ours.

    Attributes:
        dates: How days are written, where they are no ISO days or stamps.
        returns_on: On which day what was given back counts.
        leaves_out: What counts for us and not in it: cancelled orders altogether, those whose total is zero, or charges
            that count in total sales here.
        leaves_out_where: The same by a field of the shop's record.
        counts: What counts in it and not for us: orders or units without gross sales, gift cards sold, charges that it
            has among gross and net sales, or orders left out for a reason of `orders.exclude`.
        tolerance: Up to which difference a figure is taken for rounded.
    """

    dates: Literal["iso", "day_month_year", "month_day_year"] = "iso"
    returns_on: Literal["refund_day", "order_day"] = "refund_day"
    leaves_out: Annotated[tuple[LeftOut, ...], Field(strict=False)] = ()
    leaves_out_where: Annotated[tuple[OtherOrders, ...], Field(strict=False)] = ()
    counts: Annotated[tuple[Reason, ...], Field(strict=False)] = ()
    tolerance: str = "0"

    @field_validator("tolerance")
    @classmethod
    def _is_an_amount(cls, text: str) -> str:
        if not _MONEY.fullmatch(text):
            raise ValueError('must be an amount in quotes, such as "0.01"')
        return text

    @model_validator(mode="after")
    def _leaves_out_nothing_that_it_counts(self) -> "ReportRules":
        if both := sorted({*self.leaves_out} & {"tips", "fees", "duties"} & {*self.counts}):
            raise ValueError(f"{both[0]} stand under leaves_out and under counts")
        return self

    @property
    def rules(self) -> str:
        """The rules as JSON, which the statement of the comparison reads."""
        found = {
            "returns_on": self.returns_on,
            "leaves_out": list(self.leaves_out),
            "where": [
                {
                    "path": one.path.split("."),
                    "values": [*one.values, *one.others],
                    "is_listed": bool(one.values),
                    "reason": one.reason,
                }
                for one in self.leaves_out_where
            ],
            "counts": list(self.counts),
            "by_currency": getattr(getattr(self, "fields", None), "currency", None) is not None,
            "tolerance": str(Decimal(self.tolerance)),
        }
        return json.dumps(found, sort_keys=True)


class Report(ReportRules, Endpoint):
    """A report that is asked for by a range of days.

    Attributes:
        created_window: How a range of days is asked for.
        days_per_request: Most days of one request.
        fields: The report's figures, by our names.
    """

    pagination: Pagination = Single(type="single")
    created_window: Window
    days_per_request: int = Field(default=MOST_DAYS, ge=1, le=MOST_DAYS)
    fields: ReportFields

    @property
    def overlays(self) -> dict[str, Overlay]:
        """What is laid over the request, by key."""
        return {**super().overlays, "created_window": self.created_window}


class CsvReport(ReportRules):
    """A report that a person downloads into the project folder.

    Attributes:
        csv: The files; of several that have a day the newest one counts.
        delimiter: What stands between columns.
        decimal: What stands before the decimals.
        encoding: How text is written.
        fields: Figures by our names: a column's header as it stands there, or an expression over the row.
    """

    csv: Annotated[str, AfterValidator(_relative)]
    delimiter: Literal["comma", "semicolon", "tab", "pipe"] = "comma"
    decimal: Literal["point", "comma"] = "point"
    encoding: Literal["utf-8", "utf-16", "windows-1252"] = "utf-8"
    fields: dict[str, Text]

    @field_validator("fields")
    @classmethod
    def _are_known(cls, fields: dict[str, str]) -> dict[str, str]:
        known = ReportFields.model_fields
        if unknown := sorted(fields.keys() - known.keys()):
            raise ValueError(f"{unknown[0]} is no figure; there are: {', '.join(known)}")
        if "date" not in fields:
            raise ValueError("date is missing")
        if not fields.keys() - {"date", "currency"}:
            raise ValueError("maps no figure, such as orders or net_sales")
        return fields


def _kind_of_report(described: object) -> str:
    is_file = isinstance(described, CsvReport) or (isinstance(described, dict) and "csv" in described)
    return CsvReport.__name__ if is_file else Report.__name__


ShopReport = Annotated[
    Annotated[Report, Tag(Report.__name__)] | Annotated[CsvReport, Tag(CsvReport.__name__)],
    Discriminator(_kind_of_report),
]
"""The report, as an answer or as files."""
