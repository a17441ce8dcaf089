"""Changes of the shop that polls once missed, and days that nobody loaded."""

from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import dagster as dg
import pytest

from analytics_pipeline.cli.held import held_line, read_held
from analytics_pipeline.days import Days
from analytics_pipeline.errors import FeedError
from analytics_pipeline.history.stale import ask_for, days_that_wait, days_to_load, note_failure, parked_days
from analytics_pipeline.history.written import database_clock
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline_tests.cases.small_shop import BERLIN, Case, SmallShop, order
from analytics_pipeline_tests.fake_shop import Asked, Reply
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.shifting_shop import ShiftingShop, edit

NOON = datetime(2026, 11, 16, 12, tzinfo=BERLIN)
DAYS = [f"2026-11-{day}" for day in range(10, 16)]


def paged(case: Case, size: int) -> None:
    """Ask for pages of a size."""
    case.describe(lambda description: description["orders"]["pagination"].update({"size": size}))


def test_c7_an_order_that_slips_past_a_page_while_the_list_shifts_arrives_all_the_same(
    case: Case, small_shop: SmallShop
) -> None:
    small_shop.orders = [order(f"O{number}", day) for number, day in enumerate(DAYS, 1)]
    paged(case, 2)
    assert case.run(DAYS[0], DAYS[-1]).succeeded
    for number in range(1, 7):
        edit(small_shop, f"O{number}", NOON + timedelta(hours=2 * number))
    shop = ShiftingShop(small_shop)
    shop.at_pages[2] = lambda: edit(small_shop, "O1", NOON + timedelta(hours=20, minutes=shop.readings))

    assert all(summary.succeeded for summary in case.catch_up())

    assert case.revenue() == dict.fromkeys(DAYS, "11.00")


def test_c7_a_poll_that_saw_less_than_the_shop_counts_has_failed(case: Case, small_shop: SmallShop) -> None:
    assert case.run("2026-11-20", "2026-11-22").succeeded
    edit(small_shop, "O1", NOON + timedelta(days=7))

    def lacks_one(asked: Asked) -> Reply:
        found = small_shop.asked_for(asked)
        return Reply({"orders": found[:-1] if asked.query["page"] == "1" else [], "total": len(found)})

    small_shop.fake.routes["/orders"] = lacks_one
    with pytest.raises(FeedError, match="orders and gave"):
        case.poll()

    assert case.rows("select * from ops.stale_days") == case.rows("select * from ops.polls") == []


def told_the_time(case: Case, stamp: datetime) -> None:
    """Set the shop's own time, and have no day read again: what is found comes from the list of changes."""
    case.shop.fake.date = format_datetime(stamp.astimezone(UTC), usegmt=True)
    case.describe(late_changes={"overlap_minutes": 10, "reread_share": 0.0})


def cursor_of(case: Case) -> datetime:
    """The stamp from which the next poll asks, but for the overlap."""
    (last,) = case.rows("select newest_change from ops.polls order by polled_at desc limit 1")
    stamp: datetime = last["newest_change"]
    return stamp


@pytest.mark.parametrize("ahead", [timedelta(hours=21), timedelta(days=365 * 900)], ids=["a day", "centuries"])
def test_a_stamp_of_the_future_does_not_move_the_cursor_past_the_shops_time(
    case: Case, small_shop: SmallShop, ahead: timedelta
) -> None:
    shops_time = datetime(2026, 11, 23, 12, tzinfo=BERLIN)
    told_the_time(case, shops_time)
    assert case.run("2026-11-20", "2026-11-22").succeeded
    edit(small_shop, "O1", shops_time + ahead)
    assert all(summary.succeeded for summary in case.catch_up())
    assert case.revenue()["2026-11-20"] == "11.00"
    assert cursor_of(case) <= shops_time - timedelta(minutes=10)

    edit(small_shop, "O2", shops_time + timedelta(minutes=1))
    told_the_time(case, shops_time + timedelta(hours=1))
    assert all(summary.succeeded for summary in case.catch_up())

    assert case.revenue()["2026-11-21"] == "11.00"


def test_a_change_that_the_shop_shows_late_is_found_within_the_overlap_and_not_before_it(
    case: Case, small_shop: SmallShop
) -> None:
    seen = datetime(2026, 11, 23, 11, tzinfo=BERLIN)
    told_the_time(case, seen + timedelta(hours=1))
    assert case.run("2026-11-20", "2026-11-22").succeeded
    edit(small_shop, "O3", seen)
    assert all(summary.succeeded for summary in case.catch_up())
    assert cursor_of(case) == seen

    edit(small_shop, "O1", seen - timedelta(minutes=9))
    edit(small_shop, "O2", seen - timedelta(minutes=11))
    assert all(summary.succeeded for summary in case.catch_up())

    assert case.revenue() == {"2026-11-20": "11.00", "2026-11-21": "10.00", "2026-11-22": "11.00"}


def hold(case: Case, now: datetime) -> None:
    """Make the simulated time that of every proof that lies after it: the database's clock is no simulated one."""
    execute(case.database, f"update ops.day_proofs set held_at = least(held_at, timestamptz '{now.isoformat()}')")


def test_c11_a_refund_that_leaves_the_change_stamp_as_it_is_is_found_within_a_week(
    case: Case, small_shop: SmallShop
) -> None:
    small_shop.orders = [order(f"O{number}", f"2026-11-0{number}") for number in (1, 2, 3)]
    now = datetime(2026, 11, 5, 12, tzinfo=BERLIN)
    assert case.run("2026-11-01", "2026-11-04").succeeded
    hold(case, now)
    small_shop.orders[0]["refunds"] = [{"id": "R1", "created_at": "2026-11-04T15:00:00+01:00", "adjustment": "4.00"}]
    days, reasons = 0, set[str]()
    while "refund" not in reasons:
        days += 1
        assert days <= 7
        now += timedelta(days=1)
        messages = held_line(read_held(case.database, load_shop(str(case.path)), now), load_shop(str(case.path)))
        assert "each settling day every 4 days" in messages
        assert "oldest proof of a settling day: 2026-11-01, 2026-11-05 12:00 CET" in messages
        found = case.poll(now)
        assert found is not None
        reasons = {stale.reason for stale in found.stale}
    assert all(summary.succeeded for summary in case.catch_up(now))

    assert days == 4
    assert case.revenue()["2026-11-01"] == "10.00"
    assert case.revenue("net_sales")["2026-11-04"] == "-4.00"
    (restated,) = case.rows("select day, cause, order_ids from ops.restatements where metric = 'net_sales'")
    assert (str(restated["day"]), restated["cause"], restated["order_ids"]) == ("2026-11-04", "refund", ["O1"])
    # The days that had not changed were compared and not loaded, and are held as of now.
    held = case.rows("select held_at from ops.day_proofs where day between '2026-11-02' and '2026-11-03'")
    assert [row["held_at"] for row in held] == [now, now]
    assert case.rows("select count(*) as runs from ops.extractions where first_day = '2026-11-02'") == [{"runs": 0}]


def test_c11_an_order_deleted_or_put_in_without_a_word_is_found_where_its_day_is_read_again(
    case: Case, small_shop: SmallShop
) -> None:
    case.describe(
        lambda description: description["orders"].update({"changed_since": None}), late_changes={"reread_days": 30}
    )
    assert case.run("2026-11-20", "2026-11-22").succeeded
    now = datetime(2026, 11, 23, 12, tzinfo=BERLIN)
    hold(case, now)
    # As many as before, so that no count reports.
    small_shop.orders[0] = order("O9", "2026-11-20", "7.00")
    later = now + timedelta(hours=21)
    found = case.poll(later)

    assert found is not None
    assert {(str(stale.day), stale.reason, stale.order_ids) for stale in found.stale if stale.reason != "missing"} == {
        ("2026-11-20", "deleted", ("O1",)),
        ("2026-11-20", "late_order", ("O9",)),
    }
    assert found.again.held == {date(2026, 11, 21), date(2026, 11, 22)}  # the day that differs has no new proof
    assert all(summary.succeeded for summary in case.catch_up(now))
    assert case.revenue()["2026-11-20"] == "7.00"


def test_orders_that_the_shop_shows_no_more_are_kept_where_it_is_described(case: Case, small_shop: SmallShop) -> None:
    small_shop.orders = [order(f"O{number}", day) for number, day in enumerate(DAYS, 1)]
    assert case.run(DAYS[0], DAYS[-1]).succeeded
    small_shop.orders = small_shop.orders[3:]
    now = datetime(2026, 11, 20, 12, tzinfo=BERLIN)
    for shown, differing in ((8, set[str]()), (None, set(DAYS[:3]))):
        case.description["orders"]["shown_days"] = shown
        case.describe()
        found = case.poll(now)
        assert found is not None
        assert {str(stale.day) for stale in found.stale if stale.reason == "count"} == differing
    case.description["orders"]["shown_days"] = 3
    case.describe()
    summary = case.run(DAYS[0], DAYS[0])
    assert not summary.succeeded
    assert "or the first one that it shows (orders.shown_days)" in " ".join(summary.failures)
    assert case.revenue() == dict.fromkeys(DAYS, "10.00")


def test_c12_a_day_on_which_the_shop_was_down_is_loaded_by_the_next_poll(case: Case, small_shop: SmallShop) -> None:
    small_shop.orders = [order(f"O{day}", f"2026-11-{day}") for day in range(18, 23)]
    assert case.run("2026-11-18", "2026-11-20").succeeded
    small_shop.fake.routes["/orders"] = lambda _: Reply(status=503)
    assert not case.run("2026-11-21").succeeded
    assert case.rows("select reason, failures from ops.stale_days") == [{"reason": "missing", "failures": 0}]
    small_shop.fake.routes["/orders"] = small_shop.answer_orders
    assert case.run("2026-11-22").succeeded

    for _ in range(2):
        assert all(summary.succeeded for summary in case.catch_up())

    assert case.revenue() == {f"2026-11-{day}": "10.00" for day in range(18, 23)}
    assert case.rows("select * from ops.stale_days") == []
    written = case.instance.get_latest_materialization_event(dg.AssetKey(["marts", "daily_revenue"]))
    assert written is not None
    assert written.asset_materialization is not None
    held_at = written.asset_materialization.metadata["last_held_against_the_shop"].value
    (proof,) = case.rows("select held_at from ops.day_proofs where day = '2026-11-21'")
    assert held_at == proof["held_at"].isoformat()


def test_attempts_at_a_day_for_which_the_shop_does_not_answer_become_rarer_and_never_end(database: Database) -> None:
    prepare(database)
    day = date(2026, 11, 21)
    ask_for(database, Days(day, day))
    note_failure(database, Days(day, day), "daily", [], is_transient=True)
    assert days_to_load(database, in_flight=(), most=9) == [Days(day, day)]  # the poll has asked the shop
    waits = []
    for hours in (0, 0.5, 1, 2, 30):
        execute(
            database,
            "update ops.stale_days set again_at = null, "
            f"first_seen_at = clock_timestamp() - interval '1 hour' * {hours}",
        )
        note_failure(database, Days(day, day), f"run {hours}", [], is_transient=True, waits=True)
        waits.append(round((days_that_wait(database)[day] - database_clock(database)).total_seconds() / 60))
        assert days_to_load(database, in_flight=(), most=9) == []

    assert waits == [15, 30, 60, 120, 240]
    assert parked_days(database) == []
    execute(database, "update ops.stale_days set again_at = clock_timestamp() - interval '1 second'")
    assert days_to_load(database, in_flight=(), most=9) == [Days(day, day)]


def test_a_shop_that_polls_cannot_ask_is_tried_by_one_run_while_it_does_not_answer(database: Database) -> None:
    prepare(database)
    days = [date(2026, 11, number) for number in (10, 14, 18)]
    for number, day in enumerate(days):
        ask_for(database, Days(day, day))
        note_failure(database, Days(day, day), f"run {number}", [], is_transient=True)

    assert days_to_load(database, in_flight=(), most=9, is_answering=False) == [Days(days[0], days[0])]
    assert len(days_to_load(database, in_flight=(), most=9, is_answering=True)) == 3


def test_a_day_loaded_before_proofs_were_kept_gets_one_when_it_is_read_again(case: Case) -> None:
    assert case.run("2026-11-20", "2026-11-22").succeeded
    execute(case.database, "delete from ops.day_proofs where day = '2026-11-21'")
    execute(case.database, "update ops.materialised_days set as_of = '2026-11-10' where day = '2026-11-21'")
    now = datetime(2026, 11, 23, 12, tzinfo=BERLIN)

    found = case.poll(now)

    assert found is not None
    assert found.again.held == {date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22)}
    (proof,) = case.rows("select state, basis, orders, held_at from ops.day_proofs where day = '2026-11-21'")
    assert (proof["state"], proof["basis"], proof["orders"], proof["held_at"]) == ("proved", "count", 1, now)


def test_a_day_that_has_settled_since_it_was_read_is_read_once_more_as_soon_as_a_settling_one(case: Case) -> None:
    assert case.run("2026-11-22").succeeded
    day = date(2026, 11, 22)

    read = []
    for age in (59, 64, 69):  # it settles until it is 60 days old
        found = case.poll(datetime(2026, 11, 22, 12, tzinfo=BERLIN) + timedelta(days=age))
        assert found is not None
        read.append(found.again.held)

    assert read == [{day}, {day}, set()]
