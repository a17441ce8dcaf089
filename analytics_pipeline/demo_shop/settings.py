"""What can be chosen about a demo shop. No behaviour belongs here beyond refusing values that make no sense."""

from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from analytics_pipeline.demo_shop.happenings import Happening

LONGEST_REFUND_DAYS = 45
_SHORTEST_REFUND_DAYS = 2
_MOST_ORDERS = 9999
_SHARES = (
    "foreign_share",
    "guest_share",
    "bad_share",
    "test_share",
    "free_share",
    "line_discount_share",
    "order_discount_share",
    "refund_share",
    "cancel_share",
    "edit_share",
    "delete_share",
    "late_share",
    "fault_share",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoShopSettings:
    """One demo shop. Two shops with equal settings have equal orders.

    Attributes:
        name: the shop's name, as `GET /shop` says it.
        seed: another seed is another shop.
        timezone: IANA zone of the shop's business days.
        currency: the shop's currency (ISO 4217).
        opened: first business day with orders.
        orders_per_day: fewest and most orders of an open day; seasons and growth move inside this band.
        prices_include_tax: whether unit prices, discounts and shipping contain tax.
        foreign_currency: a second currency that some orders are placed in, untaxed.
        foreign_share: share of orders in the foreign currency, if there is one.
        guest_share: share of orders without a customer account; a quarter of them carry no e-mail either.
        bad_share: share of orders whose record is broken; a third of them is repaired some days later.
        test_share: share of test orders.
        free_share: share of orders that cost nothing: fully discounted, or free samples only.
        line_discount_share: share of lines with a discount of their own.
        order_discount_share: share of orders with a discount on the whole order.
        refund_share: share of orders refunded, mostly in part, 1 to `longest_refund_days` days later.
        longest_refund_days: days within which refunds come, 2 to 45.
        cancel_share: share of orders cancelled within 5 days, some of them after a refund.
        edit_share: share of orders of which a quantity is changed later.
        delete_share: share of orders that the shop deletes 1 to 20 days after they were placed, without a trace.
        late_share: share of orders that reach the shop 1 to 15 days after they were placed, as an offline till's do.
        closed_days: business days without any order (refunds and cancellations of other days' orders still happen).
        happenings: business days that are unusual, and how. Several things can happen on one day.
        fault_share: share of list requests that fail for a moment (429, 500, 503 or a cut answer, evenly).
        report_returns_on: day on which what was given back counts in the shop's own report: refund_day or order_day.
        report_leaves_out_cancelled: whether that report has no trace of cancelled orders.
        report_counts_tests: whether it counts test orders.
        report_counts_zero_orders: whether it counts orders without gross sales.
        key: bearer key that every request must carry; None asks for none.

    Raises:
        ValueError: a share outside 0..1, or a band of orders per day that is empty or not within 1..9999.
        zoneinfo.ZoneInfoNotFoundError: an unknown time zone.
    """

    name: str = "demo"
    seed: int = 1
    timezone: str = "Europe/Berlin"
    currency: str = "EUR"
    opened: date = date(2025, 1, 1)
    orders_per_day: tuple[int, int] = (50, 100)
    prices_include_tax: bool = False
    foreign_currency: str | None = None
    foreign_share: float = 0.08
    guest_share: float = 0.2
    bad_share: float = 0.005
    test_share: float = 0.01
    free_share: float = 0.01
    line_discount_share: float = 0.2
    order_discount_share: float = 0.08
    refund_share: float = 0.06
    longest_refund_days: int = LONGEST_REFUND_DAYS
    cancel_share: float = 0.02
    edit_share: float = 0.01
    delete_share: float = 0.0
    late_share: float = 0.0
    closed_days: frozenset[date] = frozenset()
    happenings: tuple[Happening, ...] = ()
    fault_share: float = 0.0
    report_returns_on: str = "refund_day"
    report_leaves_out_cancelled: bool = False
    report_counts_tests: bool = False
    report_counts_zero_orders: bool = True
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        ZoneInfo(self.timezone)
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if not _SHORTEST_REFUND_DAYS <= self.longest_refund_days <= LONGEST_REFUND_DAYS:
            raise ValueError(
                f"longest_refund_days must be within {_SHORTEST_REFUND_DAYS}..{LONGEST_REFUND_DAYS}, "
                f"not {self.longest_refund_days}"
            )
        fewest, most = self.orders_per_day
        if not 1 <= fewest <= most <= _MOST_ORDERS:
            raise ValueError(
                f"orders_per_day must be (fewest, most) within 1..{_MOST_ORDERS}, not {self.orders_per_day}"
            )

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.timezone)
