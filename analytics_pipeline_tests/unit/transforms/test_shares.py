"""Shares of a day in quarantine, and the limits at, below and above them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from analytics_pipeline.assets.limits import QuarantineAudit
from analytics_pipeline.sources.spec import QuarantineLimits
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline.transforms.shares import QuarantinedDay, quarantined_days
from analytics_pipeline_tests.unit.transforms.conftest import cleaned, line, order, raw_rows, shop


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
    assert [(reason.text, reason.orders, reason.examples) for reason in found.reasons] == [
        ("does not equal the sum of its parts", 7, ("B0", "B1", "B2", "B3", "B4")),
        ("not a three-letter currency code", 1, ("Z",)),
    ]
    assert str(found).startswith("2025-03-10: 8 of 8 orders, 199.9200 of 199.9200 EUR (100.00 %); does not equal")


def test_a_day_without_quarantine_is_not_there() -> None:
    result = cleaned(good(1))
    assert quarantined_days(result.orders, result.quarantine) == []


def results(limits: QuarantineLimits, *parts: CleanOrders) -> list[dg.AssetCheckResult]:
    audit = QuarantineAudit(limits)
    for part in parts:
        audit.look_at(part)
    return list(audit.results())


TENTH = [good(number) for number in range(9)] + [bad(1)]
"""A day of which exactly a tenth is in quarantine, by orders and by money."""


@pytest.mark.parametrize(("limit", "passes"), [(0.0999, False), (0.1, True), (0.1001, True), (None, True), (0, False)])
def test_a_limit_is_passed_at_it_and_not_above(limit: float | None, passes: bool) -> None:
    below, rare = results(QuarantineLimits(warn_above=limit, block_above=limit), cleaned(*TENTH))
    assert (below.passed, rare.passed) == (passes, passes)
    assert (below.severity, rare.severity) == (dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN)


def test_money_alone_can_exceed_the_limit() -> None:
    day = [good(number) for number in range(9)]
    limits = QuarantineLimits(block_above=0.1)
    assert results(limits, cleaned(*day, bad(1, total="28.56")))[0].passed
    assert not results(limits, cleaned(*day, bad(1, total="28.57")))[0].passed


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
    below, rare = results(QuarantineLimits(warn_above=0.05, block_above=0.2), *parts)
    assert not below.passed
    assert below.metadata["days_above"].value == 1
    assert rare.metadata["days_above"].value == 2
    told = str(rare.metadata["worst_days"].value).splitlines()
    assert [text.split(";")[0] for text in told] == [
        "- 2025-03-11: 1 of 2 orders, 28.5600 of 57.1200 EUR (50.00 %)",
        "- 2025-03-10: 1 of 10 orders, 28.5600 of 285.6000 EUR (10.00 %)",
    ]
    assert below.metadata["limit"].value == "20.00 %"


def test_without_limits_and_without_orders_the_checks_pass() -> None:
    for result in results(QuarantineLimits(), cleaned(*TENTH)):
        assert result.passed
        assert str(result.metadata["limit"].value).startswith("none is set (quarantine.")
        assert result.metadata["largest_share"].value == 0.1
    assert all(result.passed for result in results(QuarantineLimits(warn_above=0, block_above=0)))
