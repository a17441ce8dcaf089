"""A shop of a few records whose answers a test can bend, and the pipeline on it: what the cases are made of."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import yaml

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.late_changes.poll import Poll, poll
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline.orchestration.running import RunSummary, run_days
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply

BERLIN = ZoneInfo("Europe/Berlin")
Record = dict[str, Any]


def order(order_id: object, day: str, price: str = "10.00", **changes: object) -> Record:
    """One order of one line at noon of a day (a whole stamp may be given instead), in Berlin's time."""
    stamp = day if "T" in day else datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=BERLIN).isoformat()
    return {
        "id": order_id,
        "created_at": stamp,
        "updated_at": stamp,
        "currency": "EUR",
        "lines": [{"id": "1", "sku": "P1", "quantity": 1, "price": price}],
        "refunds": [],
        **changes,
    }


def three_orders() -> list[Record]:
    """Three orders of 10.00 EUR on 2026-11-20 to 22."""
    return [order(f"O{number}", f"2026-11-{19 + number}") for number in (1, 2, 3)]


@dataclass
class SmallShop:
    """Answers `/orders`, `/customers` and `/products` from lists of records that a test may change at any time.

    `/orders` takes `from` (inclusive) and `to` (exclusive), `since` (changed since) and `page`/`size`, and gives
    `{"orders": [...], "total": n}`, oldest first. A test that wants other answers sets `fake.routes` itself.
    """

    fake: FakeShop
    orders: list[Record] = field(default_factory=three_orders)
    customers: list[Record] = field(default_factory=list)
    products: list[Record] = field(default_factory=lambda: [{"id": "P1", "name": "Thing", "price": "10.00"}])

    def __post_init__(self) -> None:
        self.fake.routes["/orders"] = self.answer_orders
        self.fake.routes["/customers"] = lambda _: Reply({"customers": self.customers})
        self.fake.routes["/products"] = lambda _: Reply({"products": self.products})

    def asked_for(self, asked: Asked) -> list[Record]:
        """The orders that a request means, all pages of them."""
        found = self.orders
        if "from" in asked.query:
            found = [one for one in found if _stamp(one, "created_at") >= datetime.fromisoformat(asked.query["from"])]
        if "to" in asked.query:
            found = [one for one in found if _stamp(one, "created_at") < datetime.fromisoformat(asked.query["to"])]
        if "since" in asked.query:
            found = [one for one in found if _stamp(one, "updated_at") >= datetime.fromisoformat(asked.query["since"])]
        return found

    def answer_orders(self, asked: Asked) -> Reply:
        """The page that a request asks for."""
        found = self.asked_for(asked)
        size = int(asked.query.get("size", 1000))
        start = (int(asked.query.get("page", 1)) - 1) * size
        return Reply({"orders": found[start : start + size], "total": len(found)})


def _stamp(record: Record, name: str) -> datetime:
    return datetime.fromisoformat(record[name])


DESCRIPTION: dict[str, Any] = {
    "name": "small",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "first_day": date(2026, 11, 1),
    "limits": {"retries": 0},
    "orders": {
        "path": "/orders",
        "records": "orders",
        "count": "total",
        "pagination": {"type": "page_number", "param": "page", "size_param": "size", "size": 100},
        "created_window": {"from_param": "from", "to_param": "to", "format": "iso_utc"},
        "changed_since": {"param": "since", "format": "iso_utc"},
        "fields": {
            "order_id": "id",
            "created_at": "created_at",
            "updated_at": "updated_at",
            "cancelled_at": "cancelled_at",
            "currency": "currency",
            "customer_id": "customer_id",
            "email": "email",
            "total": "total",
        },
        "lines": {
            "records": "lines",
            "fields": {
                "line_id": "id",
                "product_id": "sku",
                "quantity": "quantity",
                "unit_price": "price",
                "discount": "discount",
                "tax": "tax",
            },
        },
        "refunds": {
            "records": "refunds",
            "fields": {"refund_id": "id", "refunded_at": "created_at", "adjustment": "adjustment"},
            "lines": {
                "records": "lines",
                "fields": {"line_id": "line_id", "quantity": "quantity", "amount": "amount"},
            },
        },
    },
    "customers": {
        "path": "/customers",
        "records": "customers",
        "pagination": {"type": "single"},
        "fields": {"customer_id": "id", "email": "email", "name": "name", "country": "country"},
    },
    "products": {
        "path": "/products",
        "records": "products",
        "pagination": {"type": "single"},
        "fields": {"product_id": "id", "title": "name", "price": "price"},
    },
}


@dataclass
class Case:
    """The pipeline on a small shop: description, database and instance of one test.

    Attributes:
        shop: What the shop has.
        database: The database of the tables.
        instance: Dagster's instance, in memory.
        folder: Where descriptions are written.
        description: The description as plain data; `describe` changes it and builds the definitions anew.
    """

    shop: SmallShop
    database: Database
    instance: dg.DagsterInstance
    folder: Path
    description: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(DESCRIPTION, default=str)))

    def __post_init__(self) -> None:
        self.describe()

    @property
    def path(self) -> Path:
        """The description's file."""
        return self.folder / "small.yaml"

    def describe(self, change: Callable[[dict[str, Any]], object] = lambda _: None, **keys: object) -> None:
        """Change the description (`change` in place, `keys` at its top) and go on with the changed one."""
        change(self.description)
        self.description.update({"base_url": self.shop.fake.url, **keys})
        # Days are written without quotes, which the description's reader asks for.
        whole = {**self.description, "first_day": date.fromisoformat(str(self.description["first_day"]))}
        self.path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
        # A resource keeps the description that it has read, by its path: each change is a file of its own.
        self.folder = self.folder / "next"
        self.folder.mkdir()
        self.path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
        self.definitions = build_definitions(str(self.path))

    def run(self, first: str, last: str | None = None, *, job: str = "daily") -> RunSummary:
        """Run a job over some business days, as the command line does."""
        days = Days(date.fromisoformat(first), date.fromisoformat(last or first))
        return run_days(self.definitions, self.instance, days, job_name=job)

    def poll(self, now: datetime | None = None) -> Poll | None:
        """Ask the shop once what changed, by default at noon after the last loaded day."""
        catalogue = build_catalogue(str(self.path))
        with ShopClient(catalogue.shop) as client:
            return poll(ApiSource(client), self.database, catalogue.daily_marts, now=now or self._noon_after())

    def _noon_after(self) -> datetime | None:
        if not exists(self.database, MATERIALISED_DAYS):
            return None
        last = self.rows("select max(day) as day from ops.materialised_days where table_name = 'raw.orders'")[0]["day"]
        return last and datetime.combine(last + timedelta(days=1), time(12), BERLIN)

    def catch_up(self, now: datetime | None = None) -> list[RunSummary]:
        """Poll, and load what is stale, as one tick of the sensor has it done."""
        self.poll(now)
        ranges = days_to_load(self.database, in_flight=(), most=1000)
        return [
            run_days(self.definitions, self.instance, days, job_name=job_of_stale_days(self.database, days))
            for days in ranges
        ]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query; numerics come as text."""
        return query(self.database, sql)

    def revenue(self, column: str = "gross_sales") -> dict[str, str]:
        """A column of daily_revenue by day, with two decimals; several currencies are reported by `day currency`."""
        found = self.rows(
            f"select event_date, currency, {column}::numeric(19,2)::text as value from marts.daily_revenue"
        )
        one = len({row["currency"] for row in found}) == 1
        return {
            str(row["event_date"]) if one else f"{row['event_date']} {row['currency']}": row["value"] for row in found
        }
