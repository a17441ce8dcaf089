"""Lists that belong to orders and have a path of their own: `orders.related`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline_tests.cases.related_shop import (
    NOON,
    Refunds,
    describe_related,
    polled_within_a_week,
    refund,
    state,
)
from analytics_pipeline_tests.cases.small_shop import BERLIN, Case, order
from analytics_pipeline_tests.fake_shop import Reply


@pytest.fixture
def refunds(case: Case) -> Refunds:
    """No refund yet; the description names the list."""
    found = Refunds(case.shop)
    describe_related(case)
    return found


RETURNED = "select order_id, returns::numeric(19,2)::text as value from clean.sales where event_type = 'line_returned'"


def returns(case: Case) -> dict[str, str]:
    """Returns by the day on which they are in the marts, those of 0 left out."""
    return {day: value for day, value in case.revenue("returns").items() if Decimal(value)}


def lossy(reply: Reply) -> Reply:
    """The same answer without its records, but with the count of them."""
    assert isinstance(reply.body, dict)
    return Reply({**reply.body, "refunds": []})


def marked(case: Case) -> list[str]:
    return [str(row["day"]) for row in case.rows("select day from ops.stale_days order by day")]


def test_a_refund_of_today_reaches_an_order_of_last_month_by_the_run_of_today(case: Case, refunds: Refunds) -> None:
    case.shop.orders.append(order("O9", "2026-10-21"))
    case.describe(first_day=date(2026, 10, 1))
    assert case.run("2026-10-21", "2026-11-20").succeeded
    refunds.records.append(refund("R1", "O9", "2026-11-21"))
    asked = len(case.shop.fake.asked)
    summary = case.run("2026-11-21")
    assert summary.succeeded, summary.failures
    assert returns(case) == {"2026-11-21": "4.00"}
    assert case.rows("select order_date, event_type from clean.sales where order_id = 'O9' order by 2") == [
        {"order_date": date(2026, 10, 21), "event_type": "line_returned"},
        {"order_date": date(2026, 10, 21), "event_type": "line_sold"},
    ]
    assert marked(case) == []
    paths = [one.path for one in case.shop.fake.asked[asked:]]
    assert paths.count("/orders") == paths.count("/refunds") == 2  # a page, and the empty one behind it
    raw = case.rows("select record_id, record_date, parent_id from raw.order_refunds")
    assert raw == [{"record_id": "R1", "record_date": date(2026, 11, 21), "parent_id": "O9"}]


def test_the_refund_of_an_older_order_restates_a_published_day_as_a_refund(case: Case, refunds: Refunds) -> None:
    assert case.run("2026-11-20", "2026-11-22").succeeded
    refunds.records.append(refund("R1", "O1", "2026-11-22"))
    assert case.run("2026-11-22").succeeded
    assert returns(case) == {"2026-11-22": "4.00"}
    found = case.rows("select distinct cause, order_ids from ops.restatements where metric = 'returns'")
    assert found == [{"cause": "refund", "order_ids": ["O1"]}]


def test_a_refund_that_comes_before_its_order_is_named_and_joined_when_the_order_comes(
    case: Case, refunds: Refunds
) -> None:
    late = case.shop.orders.pop(0)
    refunds.records.append(refund("R1", late["id"], "2026-11-22"))
    summary = case.run("2026-11-20", "2026-11-22")
    assert summary.succeeded
    assert any("related_records_have_their_order" in warning for warning in summary.warnings)
    assert returns(case) == {}
    case.shop.orders.insert(0, late)
    summary = case.run("2026-11-20")
    assert not any("related_records_have_their_order" in warning for warning in summary.warnings)
    assert returns(case) == {"2026-11-22": "4.00"}


def test_a_refund_that_moves_to_another_order_leaves_the_first_one(case: Case, refunds: Refunds) -> None:
    refunds.records.append(refund("R1", "O1", "2026-11-21"))
    assert case.run("2026-11-20", "2026-11-22").succeeded
    refunds.records[0] = refund("R1", "O2", "2026-11-22")
    assert case.run("2026-11-22").succeeded  # its old version still stands on the day before
    assert case.rows("select order_id from clean.sales where event_type = 'line_returned'") == [{"order_id": "O2"}]
    assert case.run("2026-11-21").succeeded
    assert case.rows("select order_id from clean.sales where event_type = 'line_returned'") == [{"order_id": "O2"}]
    assert marked(case) == []


def test_a_refund_that_comes_twice_counts_once_and_one_that_is_gone_counts_no_more(
    case: Case, refunds: Refunds
) -> None:
    refunds.records += [refund("R1", "O1", "2026-11-22"), refund("R1", "O1", "2026-11-22")]
    describe_related(case, count=None)
    assert case.run("2026-11-20", "2026-11-22").succeeded
    assert returns(case) == {"2026-11-22": "4.00"}
    describe_related(case)
    refunds.records.clear()
    assert case.run("2026-11-22").succeeded
    assert returns(case) == {}
    assert case.rows("select refunded_total::text as given from clean.orders where order_id = 'O1'") == [
        {"given": "0.0000"}
    ]


def test_a_refund_that_was_stored_and_not_joined_since_a_run_ended_waits_for_the_next_cleaning(
    case: Case, refunds: Refunds
) -> None:
    assert case.run("2026-11-20", "2026-11-22").succeeded
    refunds.records.append(refund("R1", "O1", "2026-11-22"))
    assert case.run("2026-11-22", job="raw").succeeded
    found = case.rows("select day, order_ids, event_days from ops.stale_days where reason = 'related'")
    assert found == [
        {
            "day": date(2026, 11, 20),
            "order_ids": ["O1"],
            "event_days": [date(2026, 11, 20), date(2026, 11, 22)],
        }
    ]
    # A run that is at work will clean it; without one it is loaded again.
    assert days_to_load(case.database, in_flight={date(2026, 11, 22)}, most=9) == []
    assert days_to_load(case.database, in_flight=(), most=9)[0] == Days(date(2026, 11, 20), date(2026, 11, 20))
    assert case.run("2026-11-22", job="clean").succeeded
    assert case.rows("select event_date from clean.sales where event_type = 'line_returned'") == [
        {"event_date": date(2026, 11, 22)}
    ]
    assert marked(case) == []


def test_two_runs_at_once_of_which_one_has_the_orders_and_one_their_refunds_lose_none(
    case: Case, refunds: Refunds
) -> None:
    assert case.run("2026-11-20").succeeded
    refunds.records += [
        refund("R1", "O1", "2026-11-22"),
        refund("R2", "O1", "2026-11-21", "3.00"),
        refund("R3", "O2", "2026-11-22", "2.00"),
    ]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(case.run, ("2026-11-21", "2026-11-22")))
    assert [failure for one in runs for failure in one.failures] == []
    assert {(row["order_id"], row["value"]) for row in case.rows(RETURNED)} == {
        ("O1", "4.00"),
        ("O1", "3.00"),
        ("O2", "2.00"),
    }
    assert case.rows("select day from ops.stale_days where reason = 'related'") == []


def test_loading_everything_again_in_any_order_gives_the_same_tables(case: Case, refunds: Refunds) -> None:
    refunds.records += [
        refund("R1", "O1", "2026-11-20"),
        refund("R2", "O1", "2026-11-22", "3.00"),
        refund("R3", "O3", "2026-11-22", "2.00"),
        refund("R4", "O2", "2026-11-22", "30.00"),
    ]
    assert case.run("2026-11-20", "2026-11-22").succeeded
    before = state(case)
    assert before["ops.quarantine"]  # R4 gives back more than was paid
    for day in ("2026-11-22", "2026-11-20"):
        assert case.run(day).succeeded
        assert state(case) == before
    assert case.run("2026-11-20", "2026-11-22", job="clean").succeeded
    assert state(case) == before


def test_a_day_whose_refunds_cannot_be_proved_is_not_cleaned_and_the_others_are(case: Case, refunds: Refunds) -> None:
    refunds.records.append(refund("R1", "O2", "2026-11-21"))
    original = refunds.answer
    case.shop.fake.routes["/refunds"] = lambda asked: lossy(original(asked))
    summary = case.run("2026-11-20", "2026-11-22")
    assert not summary.succeeded
    assert any("order_refunds" in failure and "2026-11-21" in failure for failure in summary.failures)
    assert case.rows("select order_id from clean.orders order by 1") == [{"order_id": "O1"}, {"order_id": "O3"}]
    assert case.rows("select day, state from ops.related_proofs where state <> 'proved'") == [
        {"day": date(2026, 11, 21), "state": "refused"}
    ]
    case.shop.fake.routes["/refunds"] = original
    assert all(run.succeeded for run in case.catch_up(datetime(2026, 11, 23, 15, tzinfo=BERLIN)))
    assert case.rows("select order_id from clean.orders order by 1") == [
        {"order_id": "O1"},
        {"order_id": "O2"},
        {"order_id": "O3"},
    ]
    assert returns(case) == {"2026-11-21": "4.00"}


def test_a_refund_that_the_feed_names_has_its_day_loaded_and_its_order_cleaned_along(
    case: Case, refunds: Refunds
) -> None:
    describe_related(case, changed_since={"param": "since", "format": "iso_utc"})
    refunds.records.append(refund("R1", "O1", "2026-11-21"))
    assert case.run("2026-11-20", "2026-11-22").succeeded
    assert case.catch_up(NOON) == []
    refunds.records[0] = refund("R1", "O1", "2026-11-21", "5.00", updated_at=datetime.now(BERLIN).isoformat())
    (run,) = case.catch_up(NOON)
    assert run.succeeded
    assert returns(case) == {"2026-11-21": "5.00"}
    assert marked(case) == []
    assert case.catch_up(NOON) == []


def test_a_refund_that_changes_or_goes_without_a_word_is_found_when_its_day_is_read_again(
    case: Case, refunds: Refunds
) -> None:
    refunds.records += [refund("R1", "O1", "2026-11-21"), refund("R2", "O2", "2026-11-22", "2.00")]
    assert case.run("2026-11-20", "2026-11-22").succeeded
    refunds.records[:] = [refund("R1", "O1", "2026-11-21", "5.00")]
    assert polled_within_a_week(case) == {("2026-11-21", "related_list"), ("2026-11-22", "related_list")}
    assert case.run("2026-11-21", "2026-11-22").succeeded
    assert returns(case) == {"2026-11-21": "5.00"}
