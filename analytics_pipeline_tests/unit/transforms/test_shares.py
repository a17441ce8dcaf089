"""Shares of a day in quarantine, and the limits at, below and above them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from analytics_pipeline.orchestration.assets.limits import QuarantineAudit
from analytics_pipeline.shop.spec import QuarantineLimits
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline.transforms.shares import QuarantinedDay, quarantined_days
from analytics_pipeline_tests.unit.transforms.conftest import cleaned, line, order, raw_rows, refund, shop


def good(number: int, **changes: object) -> dict[str, Any]:
    return order(f"G{number}", **changes)


def bad(number: int, **changes: object) -> dict[str, Any]:
    """A record whose total, 28.56 as of the good ones, is not the sum of its parts."""
    return order(f"B{number}", **{"shipping": "4.00", **changes})


def day_of(*records: dict[str, Any]) -> QuarantinedDay:
    result = cleaned(*records)
    [found] = quarantined_days(result.orders, result.quarantine)
    return found


def test_the_share_of_orders_leaves_out_what_is_excluded() -> None:
    found = day_of(good(1), good(2), good(3), bad(1), order("T", is_test=True))
    assert (found.quarantined, found.orders) == (1, 4)
    assert found.share == Fraction(1, 4)


def test_the_share_of_money_counts_when_it_is_larger() -> None:
    found = day_of(good(1), good(2), good(3), bad(1, total="85.68"))
    assert found.money == {"EUR": Decimal("171.36")}
    assert found.quarantined_money == {"EUR": Decimal("85.68")}
    assert found.share == Fraction(1, 2)


def test_each_currency_is_on_its_own_and_unknown_money_is_on_neither_side() -> None:
    found = day_of(good(1), good(2), good(3), good(4, currency="USD"), bad(1, currency="USD"), bad(2, currency="E"))
    assert found.money == {"EUR": Decimal("85.68"), "USD": Decimal("57.12")}
    assert found.share == Fraction(1, 2)
    unknown = day_of(good(1), good(2), bad(1, total=None, lines=[line(unit_price="N/A")]))
    assert unknown.money == {"EUR": Decimal("57.12")}
    assert unknown.share == Fraction(1, 3)


def test_a_credit_note_hides_no_money() -> None:
    returned = order("C", is_return=True, total="-28.56", lines=[line(quantity=-2, discount="-1.00", tax="-3.61")])
    returned |= {"discount_total": "-1.00", "shipping": "-5.00", "shipping_tax": "-0.95", "tax_total": "-4.56"}
    result = clean_orders(raw_rows([good(1), returned, bad(1)]), shop(returns_when="is_return"))
    assert len(result.orders) == 2
    [found] = quarantined_days(result.orders, result.quarantine)
    assert found.money == {"EUR": Decimal("85.68")}


def test_reasons_come_with_their_numbers_and_at_most_five_ids() -> None:
    found = day_of(*(bad(number) for number in range(7)), order("Z", currency="E"))
    assert [(reason.text, reason.column, reason.orders, reason.examples) for reason in found.reasons] == [
        ("does not equal the sum of its parts", "total", 7, ("B0", "B1", "B2", "B3", "B4")),
        ("not a three-letter currency code", "currency", 1, ("Z",)),
    ]
    amounts = "199.9200 of 199.9200 EUR, 1 of unknown amount"
    assert str(found).startswith(f"2025-03-10: 8 of 8 orders, {amounts} (100.00 %); does not equal")
    mostly = "mostly: does not equal the sum of its parts (total)"
    assert found.summary == f"2025-03-10: 8 of 8 orders (100.00 %), {mostly}"


def test_a_day_without_quarantine_is_not_there() -> None:
    result = cleaned(good(1))
    assert quarantined_days(result.orders, result.quarantine) == []


def results(limits: QuarantineLimits, *parts: CleanOrders) -> list[dg.AssetCheckResult]:
    audit = QuarantineAudit(limits)
    for part in parts:
        audit.look_at(part)
    return [*audit.results(), audit.doubt()]


TENTH = [good(number) for number in range(9)] + [bad(1)]
"""A day of which exactly a tenth is in quarantine, by orders and by money."""


@pytest.mark.parametrize(("limit", "passes"), [(0.0999, False), (0.1, True), (0.1001, True), (None, True), (0, False)])
def test_a_limit_is_passed_at_it_and_not_above(limit: float | None, passes: bool) -> None:
    below, rare, little = results(QuarantineLimits(warn_above=limit, block_above=limit), cleaned(*TENTH))
    assert (below.passed, rare.passed, little.passed) == (passes, passes, True)
    assert (below.severity, rare.severity) == (dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN)


def test_money_alone_blocks_nothing_and_is_reported() -> None:
    day = [good(number) for number in range(9)]
    limits = QuarantineLimits(block_above=0.1)
    for total, is_told in (("28.56", False), ("28.57", True), ("99999999999.99", True)):
        below, rare, little = results(limits, cleaned(*day, bad(1, total=total)))
        assert (below.passed, rare.passed, little.passed) == (True, False, not is_told)
    assert little.severity is dg.AssetCheckSeverity.ERROR


WRITTEN, DOUBTFUL, BLOCKED = "written", "doubtful", "blocked"


@pytest.mark.parametrize(
    ("orders", "quarantined", "outcome"),
    [
        (1, 1, DOUBTFUL),
        (2, 1, DOUBTFUL),
        (2, 2, BLOCKED),
        (3, 1, DOUBTFUL),
        (4, 1, DOUBTFUL),
        (4, 3, DOUBTFUL),
        (4, 4, BLOCKED),
        (5, 1, WRITTEN),  # a fifth
        (5, 2, BLOCKED),
        (5, 5, BLOCKED),
        (10, 2, WRITTEN),
        (10, 3, BLOCKED),
    ],
)
def test_by_default_a_fifth_of_five_and_more_may_be_bad_and_never_all_of_two(
    orders: int, quarantined: int, outcome: str
) -> None:
    day = [*map(bad, range(quarantined)), *map(good, range(orders - quarantined))]
    below, rare, little = results(QuarantineLimits(), cleaned(*day))
    assert (below.passed, little.passed) == (outcome != BLOCKED, outcome != DOUBTFUL)
    assert not rare.passed


def test_a_hundredth_needs_no_word_and_three_do() -> None:
    day = [good(number) for number in range(98)]
    assert results(QuarantineLimits(), cleaned(*day, good(98), bad(1)))[1].passed
    assert results(QuarantineLimits(), cleaned(*day, bad(1), bad(2)))[1].passed
    assert not results(QuarantineLimits(), cleaned(*day[1:], bad(1), bad(2), bad(3)))[1].passed


def test_a_refund_in_quarantine_is_reported_and_blocks_nothing() -> None:
    absurd = refund(adjustment="99999999999.99")
    day = [good(number, refunds=[absurd]) for number in range(3)] + [good(number) for number in range(3, 6)]
    found = day_of(*day)
    assert (found.quarantined, found.marked, found.orders, found.money) == (0, 3, 6, {"EUR": Decimal("171.36")})
    below, rare, little = results(QuarantineLimits(), cleaned(*day))
    assert (below.passed, rare.passed, little.passed) == (True, False, False)
    assert results(QuarantineLimits(), cleaned(*day[2:5], *map(good, range(10, 130))))[2].passed


def test_days_are_judged_one_by_one_the_worst_first() -> None:
    def moved(result: CleanOrders, days: int) -> CleanOrders:
        frames = {
            name: frame.assign(
                order_date=(frame["order_date"] + pd.Timedelta(days=days)).astype(frame["order_date"].dtype)
            )
            for name, frame in (("orders", result.orders), ("quarantine", result.quarantine))
        }
        return CleanOrders(**{**vars(result), **frames})

    half = cleaned(good(1), bad(1))
    parts = [cleaned(*TENTH), moved(half, 1), moved(cleaned(good(1)), 2)]
    below, rare, little = results(QuarantineLimits(warn_above=0.05, block_above=0.2), *parts)
    assert (below.passed, little.passed) == (True, False)
    assert little.metadata["days_above"].value == 1
    assert rare.metadata["days_above"].value == 2
    messages = str(rare.metadata["worst_days"].value).splitlines()
    assert [text.split(";")[0] for text in messages] == [
        "- 2025-03-11: 1 of 2 orders, 28.5600 of 57.1200 EUR (50.00 %)",
        "- 2025-03-10: 1 of 10 orders, 28.5600 of 285.6000 EUR (10.00 %)",
    ]
    assert below.metadata["limit"].value == "20.00 %"


@pytest.mark.parametrize("limit", [None, 1])
def test_without_limits_and_without_orders_the_checks_pass(limit: float | None) -> None:
    none = QuarantineLimits(warn_above=limit, block_above=limit)
    assert all(result.passed for result in results(none, cleaned(bad(1), bad(2))))
    assert all(result.passed for result in results(QuarantineLimits(warn_above=0, block_above=0)))
