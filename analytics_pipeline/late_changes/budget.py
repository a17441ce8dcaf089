"""What a poll knows of the days that it may hold against the shop again, and how many requests it may spend on that."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from math import ceil

from analytics_pipeline.days import business_day
from analytics_pipeline.history.maturity import lateness, state_of
from analytics_pipeline.history.proofs import PROVED, read_proofs
from analytics_pipeline.late_changes.rounds import Budget, HeldDay, Pages, Rounds, rounds_of, shortest_rounds
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.history import EXTRACTIONS, POLLS
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

WINDOW_DAYS = 7
"""Over which requests are counted: a day that costs more than a day's budget is read all the same."""
FEWEST_A_DAY = 4
WHATEVER_IT_COSTS = 10**9
PAGE = 100
"""Records of an answer, where the description does not ask for a number."""


def read_budget(database: Database, shop: Shop, now: datetime) -> Budget:
    """Return the budget: a share of all other requests of the last week, but at least a few a day."""
    until = f"<= timestamptz '{now.isoformat()}'"
    week, day = (
        f"> timestamptz '{(now - timedelta(days=days)).isoformat()}' and {{0}} {until}" for days in (WINDOW_DAYS, 1)
    )
    found = query(
        database,
        f"""
        select
            (select coalesce(sum(requests), 0)::bigint from {EXTRACTIONS.sql_name}
             where as_of {week.format("as_of")})
            + coalesce(sum(requests - requests_again), 0)::bigint as others,
            coalesce(sum(requests_again), 0)::bigint as in_the_week,
            coalesce(sum(requests_again) filter (where as_of {day.format("as_of")}), 0)::bigint as in_the_day
        from {POLLS.sql_name} where as_of {week.format("as_of")}
        """,
    )[0]
    a_day = max(float(FEWEST_A_DAY), shop.late_changes.reread_share * int(found["others"]) / WINDOW_DAYS)
    in_the_week, in_the_day = int(found["in_the_week"]), int(found["in_the_day"])
    left = max(0, int(a_day * WINDOW_DAYS) - in_the_week)
    return Budget(
        a_day,
        min(left, max(0, ceil(a_day) - in_the_day)),
        0 if in_the_day else left if in_the_week else WHATEVER_IT_COSTS,
    )


def pages_of(shop: Shop) -> Pages:
    """Return what reading days of a shop costs; a related list is taken to fit one page."""
    orders = shop.api_orders
    has_count = orders.count is not None or orders.count_header is not None
    size = getattr(orders.pagination, "size", None) or PAGE
    of_related = sum(1 if one.is_counted else 2 for one in orders.related.values())
    return Pages(size, of_related + (0 if has_count else 1), is_whole=orders.created_window is None)


def held_days(
    database: Database, shop: Shop, loaded: dict[date, datetime | None], now: datetime
) -> dict[date, HeldDay]:
    """Return the loaded days with the age of their proofs; a call for an order counts as a page of orders.

    A day that settles after its proof was made keeps the short round once more: it may have moved until then.

    Args:
        database: Where the tables lie.
        shop: Its zone bounds the days.
        loaded: The loaded days, each with the time its extraction began, for days without a proof on record.
        now: An aware stamp.
    """
    proofs = read_proofs(database)
    settles_after = lateness(database, shop).days
    size, calls = pages_of(shop).size, _calls_by_day(database, shop)

    def held(day: date, as_of: datetime | None) -> HeldDay:
        proof = proofs.get(day)
        held_at = proof.held_at if proof else as_of
        moved_until = now if held_at is None else held_at
        return HeldDay(
            held_at,
            (proof.orders if proof else 0) + calls.get(day, 0) * size,
            state_of(day, as_of, business_day(moved_until, shop.zone), settles_after, shop) != "final",
            proof is None or proof.state == PROVED,
        )

    return {day: held(day, as_of) for day, as_of in loaded.items()}


def _calls_by_day(database: Database, shop: Shop) -> dict[date, int]:
    """Return how many calls for single orders each day took, of those that had an answer with records."""
    calls: dict[date, int] = {}
    for name in shop.orders.follow:
        table = related_contract(name, is_followed=True).table
        if exists(database, table):
            asked = f"select record_date as day, count(distinct parent_id) as calls from {table.sql_name}"
            for row in query(database, f"{asked} group by record_date"):
                calls[row["day"]] = calls.get(row["day"], 0) + row["calls"]
    return calls


def rounds(shop: Shop, days: Collection[HeldDay], budget: Budget) -> Rounds:
    """Return how long the rounds take at present."""
    return rounds_of(days, pages_of(shop), budget.a_day, shortest_rounds(shop.late_changes.sweep_days))
