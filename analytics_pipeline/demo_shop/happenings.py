"""Unusual days that a demo shop can be told to have. Values only: what they do to a day's orders is in `unusual`."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class HappeningKind(StrEnum):
    """What can be unusual about a business day."""

    OUTAGE = "outage"  # the shop takes no orders for most of the day: about 65 % of them are missing
    RUSH = "rush"  # twice the orders; the further ones are of guests from one country and have one product
    PRICE_SLIP = "price_slip"  # the product that brings most is listed at a tenth of its price, and some more buy it
    BAD_FEED = "bad_feed"  # a quarter of the records is broken
    DISCOUNT_SLIP = "discount_slip"  # nearly every order has a voucher of 50 %


@dataclass(frozen=True, slots=True)
class Happening:
    """What is unusual about one business day of the shop.

    Raises:
        ValueError: an unknown kind.
    """

    day: date
    kind: HappeningKind | str

    def __post_init__(self) -> None:
        HappeningKind(self.kind)
