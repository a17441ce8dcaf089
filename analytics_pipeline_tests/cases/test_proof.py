"""What proves a day: the shop's count, the same answer on another day, and what happens where neither does."""

import re
from contextlib import closing

import pytest

from analytics_pipeline_tests.cases.small_shop import Case, order
from analytics_pipeline_tests.fake_shop import Asked, Reply


def test_each_day_of_a_range_says_what_it_was_held_against_the_shop_by(case: Case) -> None:
    assert case.run("2026-11-20", "2026-11-22").succeeded
    assert case.run("2026-11-23").succeeded
    rows = case.rows(
        "select day::text, state, basis, orders, source_count, held_at = as_of as of_the_reading "
        "from ops.day_proofs join ops.materialised_days using (day) where table_name = 'raw.orders' order by day"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("2026-11-20", "proved", "count", 1, None, True),
        ("2026-11-21", "proved", "count", 1, None, True),
        ("2026-11-22", "proved", "count", 1, None, True),
        ("2026-11-23", "proved", "count", 0, 0, True),
    ]


GOOD = {"2026-11-20": "10.00", "2026-11-21": "10.00", "2026-11-22": "10.00"}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=204), "HTTP 204 where a list is described"),
        (Reply({"orders": [], "errors": ["x"]}), "count of records, described at `total`.*The shop says: x"),
        (Reply({"orders": [order("O2", "2026-11-21")]}), "count of records, described at `total`"),
    ],
    ids=["C1", "C2", "C3"],
)
def test_a_day_whose_described_proof_is_absent_is_refused(case: Case, reply: Reply, message: str) -> None:
    case.shop.orders.append(order("O4", "2026-11-21"))
    assert case.run("2026-11-20", "2026-11-22").succeeded
    loaded = case.revenue()
    case.shop.fake.routes["/orders"] = lambda _: reply
    summary = case.run("2026-11-21")
    assert not summary.succeeded
    assert re.search(message, " ".join(summary.failures)), summary.failures
    assert case.revenue() == loaded
    rows = case.rows("select state, reason from ops.day_proofs where day = '2026-11-21'")
    assert rows[0]["state"] == "refused"
    assert re.search(message, rows[0]["reason"])
    assert not case.rows("select 1 as one from ops.deleted_orders")


def test_a_refused_day_leaves_the_others_of_its_range_written_and_comes_again_by_itself(case: Case) -> None:
    whole = case.shop.answer_orders

    def without_the_21st(asked: Asked) -> Reply:
        days = {one["created_at"][:10] for one in case.shop.asked_for(asked)}
        return Reply({"orders": [], "error": "busy"}) if "2026-11-21" in days else whole(asked)

    case.shop.fake.routes["/orders"] = without_the_21st
    summary = case.run("2026-11-20", "2026-11-22")
    assert not summary.succeeded
    assert "refused 2026-11-21: GET" in " ".join(summary.failures)
    assert "2026-11-20:" not in " ".join(summary.failures), summary.failures
    assert len(summary.failures) == 1, summary.failures
    assert case.revenue() == {"2026-11-20": "10.00", "2026-11-22": "10.00"}
    written = "select day::text from ops.materialised_days where table_name = '{}' order by day"
    for table in ("raw.orders", "clean.sales", "marts.daily_revenue"):
        days = [row["day"] for row in case.rows(written.format(table))]
        assert days == ["2026-11-20", "2026-11-22"], table
    case.shop.fake.routes["/orders"] = whole
    turn(case, "again_at", "1 hour")
    assert [summary.succeeded for summary in case.catch_up()] == [True]
    assert case.revenue() == GOOD
    assert not case.rows("select 1 as one from ops.day_proofs where state <> 'proved'")


def test_a_list_of_customers_takes_none_away_that_lacks_some_unless_the_shop_counts_as_few(case: Case) -> None:
    everybody = [{"id": number, "email": f"{number}@example.com"} for number in range(5)]

    def stored_after(came: int, **total: int) -> object:
        case.shop.fake.answers("/customers", Reply({"customers": everybody[:came], **total}))
        assert case.run("2026-11-20").succeeded
        return case.rows("select count(*) as n from clean.customers")[0]["n"]

    assert stored_after(5) == 5
    assert stored_after(2) == 5, "without a count"
    case.describe(lambda described: described["customers"].update({"count": "total"}))
    assert stored_after(4, total=5) == 5
    assert stored_after(2, total=2) == 2


def turn(case: Case, column: str, interval: str) -> None:
    """Let so much time have passed since what stands in some columns of the proofs."""
    changes = ", ".join(f"{name} = {name} - interval '{interval}'" for name in column.split())
    with case.database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"update ops.day_proofs set {changes}")
        connection.commit()


def state(case: Case, day: str) -> str:
    rows = case.rows(f"select state || ' ' || basis as said from ops.day_proofs where day = '{day}'")
    return str(rows[0]["said"])


def test_without_a_count_a_day_that_comes_empty_is_believed_on_another_day_only(case: Case) -> None:
    case.describe(lambda described: described["orders"].pop("count"))
    assert case.run("2026-11-20", "2026-11-22").succeeded
    assert state(case, "2026-11-21") == "proved none"
    gone = case.shop.orders.pop(1)
    summary = case.run("2026-11-20", "2026-11-22")
    assert not summary.succeeded
    assert "unproved 2026-11-21: it came empty, 1 orders are stored" in " ".join(summary.failures)
    assert case.revenue() == GOOD
    assert state(case, "2026-11-21") == "unproved none"
    assert case.catch_up() == []
    turn(case, "again_at", "1 hour")
    assert [summary.succeeded for summary in case.catch_up()] == [False]
    assert case.revenue() == GOOD
    assert case.catch_up() == []
    turn(case, "since again_at", "1 day")
    assert [summary.succeeded for summary in case.catch_up()] == [True]
    assert state(case, "2026-11-21") == "proved repeat"
    assert case.revenue() == {**GOOD, "2026-11-21": "0.00"}
    assert [row["order_id"] for row in case.rows("select order_id from ops.deleted_orders")] == [gone["id"]]
