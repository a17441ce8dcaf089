"""A small shop whose list of changed orders shifts while its pages are read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from analytics_pipeline_tests.cases.small_shop import Record, SmallShop
from analytics_pipeline_tests.fake_shop import Asked, Reply


@dataclass
class ShiftingShop:
    """Answers for a small shop; before a page of the list of changed orders is answered, something may happen.

    Attributes:
        shop: Its orders.
        at_pages: What happens before a page is answered, by its number.
        key: What the list is sorted by.
        has_count: Whether it says how many orders there are.
        readings: How often a list has been begun.
    """

    shop: SmallShop
    at_pages: dict[int, Callable[[], object]] = field(default_factory=dict)
    key: Callable[[Record], Any] = field(default=lambda one: one["updated_at"])
    has_count: bool = True
    readings: int = 0

    def __post_init__(self) -> None:
        self.shop.fake.routes["/orders"] = self.answer

    def answer(self, asked: Asked) -> Reply:
        """Let happen what is to happen, and answer."""
        if "since" not in asked.query:
            return self.shop.answer_orders(asked)
        page, size = int(asked.query["page"]), int(asked.query["size"])
        self.readings += page == 1
        self.at_pages.get(page, lambda: None)()
        found = sorted(self.shop.asked_for(asked), key=self.key)
        counted = {"total": len(found)} if self.has_count else {}
        return Reply({"orders": found[(page - 1) * size : page * size], **counted})


def edit(shop: SmallShop, order_id: str, at: datetime) -> None:
    """Change the price of an order to 11.00, and its stamp."""
    one = next(one for one in shop.orders if one["id"] == order_id)
    one["lines"] = [{**one["lines"][0], "price": "11.00"}]
    one["updated_at"] = at.isoformat()


def delete(shop: SmallShop, order_id: str) -> None:
    """Delete an order without a trace."""
    shop.orders = [one for one in shop.orders if one["id"] != order_id]
