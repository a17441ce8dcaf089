"""A hundred thousand hostile records in process, then 2,000 over HTTP into Postgres; the figures are printed.

python -m pytest -s analytics_pipeline_tests/trials/trial_hostile_records.py
"""

import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from hypothesis import Phase
from hypothesis import strategies as st

from analytics_pipeline_tests.cases import conftest as cases
from analytics_pipeline_tests.cases.small_shop import Case
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply
from analytics_pipeline_tests.hostile import (
    CLEAN,
    DAY,
    HELD,
    Hostile,
    assert_placed,
    body_of,
    check,
    hostile_shop,
    judge_orders,
    judge_things,
    orders,
    pages,
    places_of,
    things,
)

case, small_shop = cases.case, cases.small_shop
SIZE, STRIDE = 100, 7919
ORDERS, CUSTOMERS, PRODUCTS = 70_000, 15_000, 15_000


def drawn(
    records: Callable[[int], st.SearchStrategy[Hostile]], count: int, take: Callable[[list[Hostile]], None]
) -> None:
    """Draw pages of records, the same ones in each trial, until there are enough."""
    taken = 0

    def page(found: list[Hostile]) -> None:
        nonlocal taken
        if taken < count:
            take(found)
            taken += len(found)

    # Half of the pages that hypothesis draws may be ones that it has drawn before.
    check(pages(records, SIZE), page, max_examples=2 * count // SIZE, phases=[Phase.generate])
    assert taken >= count


def test_a_hundred_thousand_hostile_records_end_in_their_place() -> None:
    shop, came, ended, started = hostile_shop("http://127.0.0.1:1"), Counter[str](), Counter[str](), time.monotonic()

    def take_orders(found: list[Hostile]) -> None:
        judged = judge_orders(found, shop)
        clean, held, excluded = places_of(judged)
        came.update(one.becomes for one in found)
        ended.update({"orders": len(found), "clean": len(clean), "quarantined": len(held), "left out": len(excluded)})
        ended["odd texts"] += sum(one.becomes != CLEAN or len(one.text) > 400 for one in found)

    drawn(orders, ORDERS, take_orders)
    for name, count in (("customers", CUSTOMERS), ("products", PRODUCTS)):

        def take_things(found: list[Hostile], name: str = name) -> None:
            judge_things(found, shop, name)
            ended.update({name: len(found), f"{name} set apart": sum(one.becomes == HELD for one in found)})

        drawn(things, count, take_things)
    print(f"\nin process, {time.monotonic() - started:.0f} s: {dict(ended)}; orders had to become {dict(came)}")


def test_two_thousand_hostile_records_end_in_their_place_in_postgres(case: Case) -> None:
    listed: dict[str, list[Hostile]] = {"orders": [], "customers": [], "products": []}
    for name, records, count in (("orders", orders, 1_600), ("customers", things, 200), ("products", things, 200)):

        def take(found: list[Hostile], name: str = name) -> None:
            number = len(listed[name])
            for one in found:
                renamed = f"{one.record_id}-{number}"
                one.text = one.text.replace(f'"{one.record_id}"'.encode(), f'"{renamed}"'.encode())
                one.record_id = renamed
            listed[name] += found

        drawn(records, count, take)
        # Mixed up: hypothesis begins with pages that are equal, and a shop that serves a page twice is refused.
        listed[name] = [listed[name][place * STRIDE % count] for place in range(count)]
    serve(case.shop.fake, listed)
    shop = hostile_shop(case.shop.fake.url)
    case.describe(orders=shop.orders.model_dump(mode="json", exclude_none=True), quarantine={"block_above": 1.0})
    started = time.monotonic()
    for _ in range(2):
        summary = case.run(DAY.isoformat())
        assert summary.succeeded, summary.failures
        clean = {
            row["order_id"]: Decimal(row["worth"])
            for row in case.rows("select order_id, order_total::text as worth from clean.orders")
        }
        held = {row["order_id"] for row in case.rows("select order_id from ops.quarantine where kind = 'order'")}
        excluded = {row["order_id"] for row in case.rows("select order_id from ops.exclusions")}
        assert_placed(listed["orders"], clean, held, excluded)
        for name, column in (("customers", "customer_id"), ("products", "product_id")):
            stored = {row["id"] for row in case.rows(f"select {column} as id from clean.{name}")}
            assert stored == {one.record_id for one in listed[name] if one.becomes == CLEAN}
        found = case.poll()
        assert found is not None
        assert (found.stale, found.undated) == ([], [])
    ended = {name: len(records) for name, records in listed.items()}
    ended |= {"clean": len(clean), "quarantined": len(held), "left out": len(excluded)}
    print(f"\nend to end, loaded and polled twice in {time.monotonic() - started:.0f} s: {ended}")


def serve(fake: FakeShop, listed: dict[str, list[Hostile]]) -> None:
    """Answer with all records: orders by pages, the others at once."""

    def answer(asked: Asked) -> Reply:
        start = (int(asked.query.get("page", 1)) - 1) * int(asked.query.get("size", 100))
        page = listed["orders"][start : start + int(asked.query.get("size", 100))]
        total = b'"total": %d}' % len(listed["orders"])
        return Reply(body_of(page).rpartition(b'"total"')[0] + total)

    fake.routes["/orders"] = answer
    for name in ("customers", "products"):
        fake.routes[f"/{name}"] = lambda _, name=name: Reply(body_of(listed[name], name))  # type: ignore[misc]
