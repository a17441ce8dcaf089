"""Customer accounts as of a moment: who registered, moved, and ordered first when."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from analytics_pipeline.demo_shop.buyers import account
from analytics_pipeline.demo_shop.generator import Registration
from analytics_pipeline.demo_shop.model import Customer


class FirstOrder(NamedTuple):
    """When a buyer's first order with gross sales was placed, and since when that is so.

    `created_at` is None if there was one and every one is deleted.
    """

    created_at: datetime | None
    known_at: datetime

    def then(self, later: "FirstOrder") -> "FirstOrder":
        """The first order of two, `later` being placed after this one: what moved up did so at the deletion."""
        if self.created_at is not None:
            return self
        return FirstOrder(later.created_at, max(self.known_at, later.known_at))


def changes(seed: int, registration: Registration) -> Iterator[datetime]:
    """The moments at which an account begins to exist or changes, orders apart."""
    yield registration.registered_at
    moves_after = account(seed, registration.customer_id).moves_after
    if moves_after:
        yield registration.registered_at + moves_after


def customer_at(seed: int, registration: Registration, first_order: FirstOrder | None, now: datetime) -> Customer:
    """The account as the shop shows it at a moment; `updated_at` moves with the address and with the first order.

    An account whose only order comes late is open before it.
    """
    person = account(seed, registration.customer_id)
    seen = [moment for moment in changes(seed, registration) if moment <= now]
    has_moved = len(seen) > 1
    return Customer(
        customer_id=registration.customer_id,
        created_at=registration.registered_at,
        updated_at=max([*seen, first_order.known_at] if first_order else seen),
        email=person.email,
        name=person.name,
        country=person.moves_to if has_moved else person.country,
        first_order_at=first_order.created_at if first_order else None,
    )
