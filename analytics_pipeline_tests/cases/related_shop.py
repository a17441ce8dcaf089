"""The small shop with refunds in a list of their own: `/refunds` names the order of each, as many shops have it."""

from datetime import datetime, timedelta
from typing import Any

from analytics_pipeline_tests.cases.small_shop import BERLIN, Case, Record, SmallShop
from analytics_pipeline_tests.fake_shop import Asked, Reply
from analytics_pipeline_tests.integration.tables import execute

RELATED: dict[str, Any] = {
    "path": "/refunds",
    "records": "refunds",
    "count": "total",
    "pagination": {"type": "page_number", "param": "page", "size_param": "size", "size": 100},
    "created_window": {"from_param": "from", "to_param": "to", "format": "iso_utc"},
    "fields": {
        "record_id": "id",
        "parent_id": "order_id",
        "created_at": "created_at",
        "updated_at": "updated_at",
    },
    "into": "refund_list",
}
FOLLOW: dict[str, Any] = {
    "path": "/orders/{{id}}/refunds",
    "records": "@",
    "pagination": {"type": "single"},
    "when": "refunded",
    "into": "refund_list",
}


def refund(refund_id: str, order_id: str, day: str, amount: str = "4.00", **changes: object) -> Record:
    """A refund of a part of an order's only line, at noon of a day in UTC."""
    stamp = f"{day}T12:00:00+00:00"
    return {
        "id": refund_id,
        "order_id": order_id,
        "created_at": stamp,
        "updated_at": stamp,
        "lines": [{"line_id": "1", "quantity": 0, "amount": amount}],
        **changes,
    }


class Refunds:
    """The shop's refunds, which a test may change at any time; answers `/refunds` as `/orders` is answered."""

    def __init__(self, shop: SmallShop, *refunds: Record) -> None:
        self.records = list(refunds)
        self._shop = shop
        shop.fake.routes["/refunds"] = self.answer

    def answer(self, asked: Asked) -> Reply:
        """The page that a request asks for."""
        orders, self._shop.orders = self._shop.orders, self.records
        try:
            found = self._shop.asked_for(asked)
        finally:
            self._shop.orders = orders
        size = int(asked.query.get("size", 1000))
        start = (int(asked.query.get("page", 1)) - 1) * size
        return Reply({"refunds": found[start : start + size], "total": len(found)})


def describe_related(case: Case, **changes: object) -> None:
    """Describe the list of refunds as a related one."""

    def change(description: dict[str, Any]) -> None:
        description["orders"]["related"] = {"refunds": {**RELATED, **changes}}
        description["orders"]["refunds"]["records"] = "refund_list"

    case.describe(change)


def describe_follow(case: Case, **changes: object) -> None:
    """Describe refunds as asked for order by order."""

    def change(description: dict[str, Any]) -> None:
        description["orders"]["follow"] = {"refunds": {**FOLLOW, **changes}}
        description["orders"]["refunds"]["records"] = "refund_list"

    case.describe(change)


NOON = datetime(2026, 11, 23, 12, tzinfo=BERLIN)


def polled_within_a_week(case: Case) -> set[tuple[str, str]]:
    """Poll once a day for a week from `NOON` on, loading nothing; what was marked of days that were loaded."""
    found = set()
    held = f"update ops.day_proofs set held_at = least(held_at, timestamptz '{NOON.isoformat()}')"
    execute(case.database, held)  # the database's clock is no simulated one
    for days in range(7):
        polled = case.poll(NOON + timedelta(days=days))
        assert polled is not None
        found |= {(str(stale.day), stale.reason) for stale in polled.stale if stale.reason != "missing"}
    return found


TABLES = ("clean.orders", "clean.order_lines", "clean.sales", "ops.quarantine", "marts.daily_revenue")


def state(case: Case) -> dict[str, list[str]]:
    """All rows of the tables that figures are made of, as text, but for when they were read."""
    return {
        table: sorted(
            row["shown"] for row in case.rows(f"select (to_jsonb(t) - 'extracted_at')::text as shown from {table} as t")
        )
        for table in TABLES
    }
