"""Cancellations of shops that say that an order is cancelled, and not since when."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline_tests.unit.transforms.conftest import (
    EMAILS,
    EXTRACTED_AT,
    fault,
    fields,
    order,
    raw_rows,
    rows_of,
    shop,
)

MAPPED = shop(cancelled_when="state == 'cancelled'")
STAMP = datetime(2025, 3, 14, 8, tzinfo=UTC)
SEEN = datetime(2025, 3, 12, 8, tzinfo=UTC)


def moments(*records: dict[str, Any], known: dict[str, datetime] | None = None, of: Any = MAPPED) -> list[Any]:  # noqa: ANN401
    result = clean_orders(raw_rows(records), of, EMAILS, cancellations=known or {})
    assert len(result.quarantine) == 0
    return [moment for (moment,) in rows_of(result.orders, "cancelled_at")]


def test_the_moment_is_the_one_listed_else_the_one_known_else_the_change_stamp_else_when_it_was_read() -> None:
    cancelled = order(state="cancelled", updated_at="2025-03-14T08:00:00Z")
    listed = cancelled | {"cancelled_at": "2025-03-13T08:00:00Z"}
    assert moments(cancelled) == [STAMP]
    assert moments(cancelled, known={"A": SEEN}) == [SEEN]
    assert moments(listed, known={"A": SEEN}) == [datetime(2025, 3, 13, 8, tzinfo=UTC)]
    without = shop(cancelled_when="state == 'cancelled'", fields=fields(updated_at=None, cancelled_at=None))
    assert moments(cancelled, of=without) == [EXTRACTED_AT]


def test_an_order_that_is_not_cancelled_has_no_moment_whatever_was_known() -> None:
    assert moments(order(state="paid"), order("B"), known={"A": SEEN}) == [None, None]


def test_the_reversal_stands_on_the_day_of_the_moment_and_adds_up_to_zero() -> None:
    cancelled = order(state="cancelled", updated_at="2025-03-14T23:30:00Z")
    sales = clean_orders(raw_rows([cancelled]), MAPPED, EMAILS).sales
    assert {day for (day,) in rows_of(sales[sales["is_cancellation"]], "event_date")} == {date(2025, 3, 15)}
    assert sales["total_sales"].sum() == 0


@pytest.mark.parametrize("rule", ["contains(state, 'c')"])
def test_a_rule_that_cannot_be_looked_up_quarantines_its_order(rule: str) -> None:
    found = fault(order(state=1), order("B", state="x"), of=shop(cancelled_when=rule))
    assert found[:3] == ("clean.orders", "cancelled_at", "its path cannot be looked up")
