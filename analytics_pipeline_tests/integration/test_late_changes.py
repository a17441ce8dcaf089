"""A shop that changes after its days were loaded: every figure follows, and nothing is loaded that need not be."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import Fault, serve
from analytics_pipeline.errors import ShopUnavailableError
from analytics_pipeline.history.stale import days_to_load, listed_days, note_failure, parked_days, unpark
from analytics_pipeline.job_names import LATE_CHANGES
from analytics_pipeline_tests.conftest import Pipeline, content_hash
from analytics_pipeline_tests.integration.late import (
    LOADED,
    MORNING,
    OPENED,
    SMALL,
    Clock,
    assert_restated_exactly,
    catch_up,
    database_time,
    look_at,
    restated_since,
    revenue_numbers,
    tomorrow,
    written_since,
)
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.truth import agrees, run_rightly

PipelineOf = Callable[..., Pipeline]


def test_after_each_tick_every_day_is_right_and_no_day_was_loaded_that_need_not_be(pipeline_of: PipelineOf) -> None:
    clock, last = Clock(MORNING), LOADED
    with serve(SMALL, now=clock) as shop:
        pipeline = pipeline_of(shop)
        run_rightly(pipeline, OPENED, last)
        assert not pipeline.rows("select * from ops.restatements")
        causes: set[str] = set()
        for days_later, comes_first in ((2, "the poll"), (4, "the daily runs")):
            earlier = clock.now
            clock.now += timedelta(days=days_later)
            if comes_first == "the daily runs":
                last = _run_daily(pipeline, last, days_later)
            numbers, moment, wrong = revenue_numbers(pipeline), database_time(pipeline), _wrong_days(pipeline, last)

            done = catch_up(pipeline)
            agrees(pipeline, OPENED, last)

            loaded_before = set(Days(OPENED, last - timedelta(days=0 if comes_first == "the poll" else days_later)))
            changed_orders = shop.shop.changed_order_days(earlier, clock.now) & loaded_before
            assert done.days == changed_orders
            assert written_since(pipeline, "daily_revenue", moment) == changed_orders | wrong
            assert len(changed_orders) < len(loaded_before)
            restatements = restated_since(pipeline, moment)
            assert_restated_exactly(numbers, revenue_numbers(pipeline), restatements)
            causes |= {cause for row in restatements for cause in row["cause"].split(", ")}
            if comes_first == "the poll":
                last = _run_daily(pipeline, last, days_later)  # returns of the days since are there already
                agrees(pipeline, OPENED, last)
        assert causes >= {"refund", "edit", "cancellation", "deleted", "late_order", "quarantine_replay"}
        assert pipeline.rows("select * from ops.stale_days") == []
        gone = {str(row["order_id"]) for row in pipeline.rows("select order_id from ops.deleted_orders")}
        assert gone
        assert gone <= shop.shop.deleted_orders().keys()


def _run_daily(pipeline: Pipeline, last: date, count: int) -> date:
    """Run the next days one by one, and return the last of them."""
    for _ in range(count):
        last = tomorrow(last)
        summary = pipeline.run(last)
        assert summary.succeeded, summary.failures
    return last


def _wrong_days(pipeline: Pipeline, last: date) -> set[date]:
    """The days that are not as the shop knows them now."""
    wrong = set()
    for day in Days(OPENED, last):
        try:
            agrees(pipeline, day, day)
        except AssertionError:
            wrong.add(day)
    return wrong


def stale_rows(pipeline: Pipeline) -> list[dict[str, object]]:
    return pipeline.rows("select * from ops.stale_days order by day, reason")


def test_a_failed_poll_is_no_poll_and_moves_nothing(later: Pipeline) -> None:
    later.shop.shop.misbehave(Fault.ERROR_500, share=1.0, path="/orders")

    with pytest.raises(ShopUnavailableError):
        look_at(later, retries=0)

    assert stale_rows(later) == []
    assert later.rows("select * from ops.polls") == []
    later.shop.shop.misbehaviour.stop()
    assert catch_up(later).days
    agrees(later, OPENED, LOADED)


def test_polling_twice_marks_the_same_days_and_loading_settles_them(later: Pipeline) -> None:
    first, second = look_at(later), look_at(later)

    # The second one asks from the first one's newest stamp on, less the overlap.
    assert first.asked_since is not None
    assert second.asked_since is not None
    assert second.asked_since > first.asked_since
    rows = stale_rows(later)
    assert {row["day"] for row in rows} == {stale.day for stale in first.stale}
    assert all(row["event_days"] for row in rows)
    assert "refund" in {row["reason"] for row in rows}
    catch_up(later)
    # What was deleted without a word is found by the write: its customer's first order may be another one now.
    assert {row["reason"] for row in stale_rows(later)} <= {"dimensions"}
    catch_up(later)
    assert stale_rows(later) == []
    assert catch_up(later).days == set()
    agrees(later, OPENED, LOADED)


def test_an_order_that_is_named_again_unchanged_marks_no_day(later: Pipeline) -> None:
    catch_up(later)
    execute(later.database, "update ops.polls set newest_change = '2025-03-01'")

    found = look_at(later)

    assert found.orders_seen > 20
    assert (found.orders_changed, found.stale) == (0, [])


def test_a_day_that_goes_stale_while_it_is_loaded_stays_stale(later: Pipeline) -> None:
    look_at(later)
    days = listed_days(later.database)
    # As if the shop had been seen to change while the run was reading.
    execute(later.database, "update ops.stale_days set seen_at = clock_timestamp() + interval '1 hour'")
    for day in days:
        assert later.run(day, job=LATE_CHANGES).succeeded

    assert listed_days(later.database).keys() == days.keys()


def test_a_failed_run_leaves_its_day_stale_and_the_third_one_parks_it(later: Pipeline) -> None:
    found = look_at(later)
    day = min(stale.day for stale in found.stale)
    later.shop.shop.misbehave(Fault.MISSING_RECORD, share=1.0, path="/orders")
    before = content_hash(later.database, "clean.sales")
    for failures in (1, 2, 3):
        assert days_to_load(later.database, in_flight=(), most=1) == [Days(day, day)]
        assert not later.run(day, job=LATE_CHANGES).succeeded
        assert {row["failures"] for row in stale_rows(later) if row["day"] == day} == {failures}
        assert content_hash(later.database, "clean.sales") == before

    assert parked_days(later.database) == [day]
    assert days_to_load(later.database, in_flight=(), most=1) != [Days(day, day)]
    later.shop.shop.misbehaviour.stop()
    look_at(later)  # it is seen to be stale again, and stays parked
    assert parked_days(later.database) == [day]
    unpark(later.database, [day])
    assert day in catch_up(later).days
    assert parked_days(later.database) == []
    agrees(later, OPENED, LOADED)


def test_a_run_counts_once_however_many_of_its_steps_fail(later: Pipeline) -> None:
    look_at(later)
    day = min(listed_days(later.database))

    for _ in range(3):
        note_failure(later.database, Days(day, day), "one-run", [])

    assert {row["failures"] for row in stale_rows(later) if row["day"] == day} == {1}


def test_what_to_load_is_oldest_first_contiguous_and_leaves_out_what_another_run_is_loading(later: Pipeline) -> None:
    execute(later.database, "delete from ops.stale_days")
    for offset in (0, 1, 2, 5, 6):
        execute(
            later.database,
            "insert into ops.stale_days (day, reason, order_ids, event_days, first_seen_at, seen_at, failures) "
            f"values (date '{OPENED}' + {offset}, 'edit', '{{}}', '{{}}', now(), now(), 0)",
        )

    def chosen(most: int, *in_flight: int) -> list[str]:
        flying = [OPENED + timedelta(days=number) for number in in_flight]
        return [str(days) for days in days_to_load(later.database, in_flight=flying, most=most)]

    assert chosen(10) == ["2025-03-18 to 2025-03-20", "2025-03-23 to 2025-03-24"]
    assert chosen(4) == ["2025-03-18 to 2025-03-20", "2025-03-23"]
    assert chosen(10, 1, 6) == ["2025-03-18", "2025-03-20", "2025-03-23"]


def test_a_day_that_failed_twice_has_a_run_of_its_own_and_parks_no_neighbour(later: Pipeline) -> None:
    execute(
        later.database,
        *(
            "insert into ops.stale_days (day, reason, order_ids, event_days, first_seen_at, seen_at, failures) "
            f"values (date '{OPENED}' + {offset}, 'edit', '{{}}', '{{}}', now(), now(), 0)"
            for offset in range(5)
        ),
    )
    for number in range(2):
        (together,) = days_to_load(later.database, in_flight=(), most=10)
        assert len(together) == 5
        note_failure(later.database, together, f"together {number}", [])

    alone = days_to_load(later.database, in_flight=(), most=10)
    note_failure(later.database, alone[2], "alone", [])

    assert [len(days) for days in alone] == [1] * 5
    assert parked_days(later.database) == [OPENED + timedelta(days=2)]
    today = days_to_load(later.database, in_flight=(), most=10, today=OPENED + timedelta(days=1))
    assert Days(OPENED + timedelta(days=1), OPENED + timedelta(days=1)) in today


def test_days_before_the_shops_first_one_are_neither_listed_nor_loaded(later: Pipeline, tmp_path: Path) -> None:
    """As after the description was told to begin later."""
    catch_up(later)
    catch_up(later)  # a day may have to be loaded with customers after all
    of_the_day = f"day = '{OPENED}' and table_name like 'marts.%'"
    execute(
        later.database,
        f"delete from ops.materialised_days where {of_the_day}",
        f"update ops.materialised_days set as_of = timestamptz '{OPENED} 23:59' where day = '{OPENED}'",
        "insert into ops.stale_days (day, reason, order_ids, event_days, first_seen_at, seen_at, failures) "
        f"values (date '{OPENED}', 'edit', '{{}}', '{{}}', now(), now(), 0)",
    )
    content = yaml.safe_load(later.description.read_text(encoding="utf-8")) | {"first_day": OPENED + timedelta(days=1)}
    description = tmp_path / "shop.yaml"
    description.write_text(yaml.safe_dump(content), encoding="utf-8")

    assert look_at(replace(later, description=description)).stale == []
    loadable = Days(OPENED + timedelta(days=1), LOADED)
    assert days_to_load(later.database, in_flight=(), most=10, loadable=loadable) == []
    cursors = later.rows("select newest_change from ops.polls order by polled_at desc limit 2")
    assert cursors[0] == cursors[1]  # the days that are left out do not hold it back
    assert {stale.day for stale in look_at(later).stale} == {OPENED}


def test_an_order_that_was_deleted_leaves_every_table_is_on_record_and_may_come_back(later: Pipeline) -> None:
    (day,) = [LOADED - timedelta(days=3)]
    kept = later.rows(f"select * from clean.orders where order_date = date '{day}' order by order_id")
    stored = later.rows(f"select order_id, payload::text as payload from raw.orders where order_date = date '{day}'")
    # An order that the shop does not have (any more).
    execute(
        later.database,
        "insert into raw.orders select 'GHOST', order_date, extracted_at, "
        "replace(payload::text, order_id, 'GHOST')::json from raw.orders "
        f"where order_id = '{kept[0]['order_id']}'",
    )
    assert later.run(day, job="clean").succeeded
    assert later.rows("select 1 as one from clean.sales where order_id = 'GHOST'")

    assert later.run(day).succeeded

    for table in ("raw.orders", "clean.orders", "clean.order_lines", "clean.sales"):
        assert later.rows(f"select 1 as one from {table} where order_id = 'GHOST'") == []
    (gone,) = later.rows("select order_date, payload->>'id' as id, reappeared_at from ops.deleted_orders")
    assert gone == {"order_date": day, "id": "GHOST", "reappeared_at": None}
    agrees(later, day, day)
    assert stored
    execute(later.database, f"update ops.deleted_orders set order_id = '{kept[0]['order_id']}'")
    assert later.run(day).succeeded
    assert later.rows("select 1 as one from ops.deleted_orders where reappeared_at is not null")


def test_rerunning_what_did_not_change_writes_no_history(later: Pipeline) -> None:
    catch_up(later)
    catch_up(later)  # a day may have to be loaded with customers after all
    counts = "select (select count(*) from ops.restatements) as a, (select count(*) from ops.order_changes) as b"
    before = later.rows(counts)

    assert later.run(OPENED, LOADED).succeeded
    assert later.run(OPENED, LOADED, job="marts").succeeded

    assert later.rows(counts) == before


def test_a_number_can_be_read_as_it_was_reported_at_any_time(later: Pipeline) -> None:
    published, then = revenue_numbers(later), database_time(later)
    catch_up(later)
    now = database_time(later)

    def reported(moment: str) -> dict[tuple[object, object, object], Decimal | None]:
        rows = later.rows(f"select * from ops.as_reported(timestamptz '{moment}') where mart = 'daily_revenue'")
        return {
            (row["day"], row["key"], row["metric"]): None if row["value"] is None else Decimal(str(row["value"]))
            for row in rows
        }

    assert reported(then) == published
    assert reported(now) == revenue_numbers(later)
    assert reported(now) != reported(then)
    assert reported("2020-01-01") == {}
