"""Orders that the shop shows on another business day than before, or on two days of one answer."""

import threading

import pytest

from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline_tests.cases.small_shop import Case, order


def assert_whole(case: Case) -> None:
    """Every day adds up, each order is in one place, and no order counts as one that the shop no longer has."""
    (sums,) = case.rows(
        "select sum(unexplained_difference)::text as money, sum(unexplained_orders)::bigint as orders "
        "from marts.daily_reconciliation"
    )
    assert (float(sums["money"]), sums["orders"]) == (0.0, 0)
    assert case.rows("select order_id from clean.orders group by order_id having count(*) > 1") == []
    assert case.rows("select order_id from ops.deleted_orders where reappeared_at is null") == []


def restated(case: Case) -> set[tuple[str, str, str, str]]:
    """Restatements of gross sales: day, old and new value, cause."""
    rows = case.rows(
        "select day::text, old_value::numeric(19,2)::text as old, new_value::numeric(19,2)::text as new, cause "
        "from ops.restatements where mart = 'daily_revenue' and metric = 'gross_sales'"
    )
    return {(row["day"], row["old"], row["new"], row["cause"]) for row in rows}


def move(case: Case, order_id: str, day: str, **changes: object) -> None:
    """The shop dates an order anew, and says that it changed."""
    moved = order(order_id, day, **{"updated_at": "2026-11-23T08:00:00+01:00", **changes})  # type: ignore[arg-type]
    case.shop.orders = sorted(
        [moved, *(one for one in case.shop.orders if one["id"] != order_id)], key=lambda one: str(one["created_at"])
    )


def test_c13_a_moved_order_is_on_its_new_day_alone_when_only_that_is_loaded(case: Case) -> None:
    case.shop.orders.insert(1, order("Q1", "2026-11-20", total="99.00"))  # in quarantine, and moves like the other one
    case.run("2026-11-20", "2026-11-22")
    move(case, "O1", "2026-11-22")
    move(case, "Q1", "2026-11-22", total="99.00")

    summary = case.run("2026-11-22")

    assert summary.succeeded, summary.failures
    moved = {"2026-11-20": "0.00", "2026-11-21": "10.00", "2026-11-22": "20.00"}
    assert case.revenue() == moved
    assert restated(case) == {("2026-11-20", "10.00", "0.00", "edit"), ("2026-11-22", "10.00", "20.00", "edit")}
    assert_whole(case)
    assert case.rows("select order_date::text as day from ops.quarantine") == [{"day": "2026-11-22"}]
    left_out = case.rows("select order_id, reason, order_date::text as day from ops.exclusions order by 1")
    reason = "moved to another business day"
    assert left_out == [{"order_id": one, "reason": reason, "day": "2026-11-20"} for one in ("O1", "Q1")]
    assert case.rows("select day::text, reason from ops.stale_days") == [{"day": "2026-11-20", "reason": "moved"}]

    assert all(run.succeeded for run in case.catch_up())
    assert case.revenue() == moved
    assert case.rows("select day from ops.stale_days") == []
    assert case.rows("select order_id from ops.exclusions") == []

    move(case, "O1", "2026-11-20", updated_at="2026-11-24T08:00:00+01:00")
    assert case.run("2026-11-20").succeeded
    assert case.revenue() == {"2026-11-20": "10.00", "2026-11-21": "10.00", "2026-11-22": "10.00"}
    assert_whole(case)


def test_c13_an_order_that_moves_to_a_day_that_is_not_loaded_is_no_order_that_was_deleted(case: Case) -> None:
    case.run("2026-11-20", "2026-11-22")
    move(case, "O1", "2026-11-24")
    move(case, "O2", "2026-10-20")

    assert all(run.succeeded for run in case.catch_up())

    assert case.revenue() == {"2026-11-20": "0.00", "2026-11-21": "0.00", "2026-11-22": "10.00"}
    assert {row[3] for row in restated(case)} == {"edit"}
    assert_whole(case)


def test_c13_two_runs_at_once_leave_a_moved_order_on_one_day(case: Case) -> None:
    case.run("2026-11-20", "2026-11-22")
    move(case, "O1", "2026-11-22", price="11.00")
    done: list[RunSummary] = []
    runs = [threading.Thread(target=lambda day=day: done.append(case.run(day))) for day in ("2026-11-20", "2026-11-22")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [failure for one in done for failure in one.failures] == []
    assert case.revenue() == {"2026-11-20": "0.00", "2026-11-21": "10.00", "2026-11-22": "21.00"}
    assert_whole(case)


def test_c14_of_one_order_on_two_days_of_one_answer_the_newest_counts(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_pipeline.orchestration.assets.clean.CHUNK_ORDERS", 1)
    case.shop.orders = [
        order("T1", "2026-11-09", "10.00", updated_at="2026-11-09T13:00:00+01:00"),
        order("T2", "2026-11-09", "7.00", updated_at="2026-11-13T13:00:00+01:00"),
        order("T1", "2026-11-11", "12.00", updated_at="2026-11-12T13:00:00+01:00"),
        order("T2", "2026-11-11", "5.00", updated_at="2026-11-11T13:00:00+01:00"),
    ]

    summary = case.run("2026-11-09", "2026-11-11")

    assert summary.succeeded, summary.failures
    right = {"2026-11-09": "7.00", "2026-11-10": "0.00", "2026-11-11": "12.00"}
    assert case.revenue() == right
    assert_whole(case)
    assert case.run("2026-11-09").succeeded  # one of the days alone
    assert case.revenue() == right
    assert case.rows("select day from ops.stale_days") == []
    assert_whole(case)
