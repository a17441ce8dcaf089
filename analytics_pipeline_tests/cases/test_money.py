"""Money that goes back without having come, and days of which all orders are in quarantine."""

import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.cli.history import ledger_lines
from analytics_pipeline.days import Days
from analytics_pipeline.orchestration.checks.marts import mart_checks
from analytics_pipeline_tests.cases.small_shop import Case, Record, order
from analytics_pipeline_tests.integration.tables import execute

Call = Callable[..., Result]

OPEN = (
    "select kind, subject from ops.incidents where closed_at is null and kind in ('run_failed', 'check_failed') "
    "order by opened_at"
)
LEDGER = "select coalesce(sum(total_sales), 0)::numeric(19,2)::text as money from clean.sales"
HELD = (
    "select order_id, kind, event_id, reason, money_at_risk::numeric(19,2)::text as money from ops.quarantine "
    "order by order_id, kind, event_id"
)


@pytest.fixture
def call(
    case: Case,
    instance: dg.DagsterInstance,  # noqa: ARG001 - the one that the commands open
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Call]:
    """Call a command on the case's shop within this process, with the case's code location."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        monkeypatch.setattr("analytics_pipeline.definitions.defs", case.definitions)
        return CliRunner().invoke(main, [*arguments, "--shop", str(case.path)])

    with patch.dict(os.environ):
        yield invoke


def refund(refund_id: str | None, moment: str, amount: str) -> Record:
    return {"id": refund_id, "created_at": moment, "adjustment": amount}


def test_C29_refunds_of_1900_and_2999_are_in_quarantine_and_the_sale_stays(case: Case) -> None:  # noqa: N802
    case.shop.orders[:] = [order("O1", "2026-11-20", "190.00")]
    case.run("2026-11-20", "2026-11-22")
    changed = {"updated_at": "2026-11-23T12:00:00+01:00"}
    refunds = [refund("A", "1900-01-01T00:00:00Z", "9.50"), refund("B", "2999-12-31T00:00:00Z", "19.00")]
    case.shop.orders[:] = [order("O1", "2026-11-20", "190.00", refunds=refunds, **changed)]
    assert [summary.succeeded for summary in case.catch_up()] == [True]
    assert case.rows(LEDGER) == [{"money": "190.00"}]
    assert sum(map(float, case.revenue("total_sales").values())) == 190
    assert case.rows(HELD) == [
        {"order_id": "O1", "kind": "refund", "event_id": "A", "reason": "before its order", "money": "9.50"},
        {"order_id": "O1", "kind": "refund", "event_id": "B", "reason": "in the future", "money": "19.00"},
    ]
    assert case.rows("select order_id, has_quarantined_events from clean.orders") == [
        {"order_id": "O1", "has_quarantined_events": True}
    ]
    adds_up = case.rows(
        "select sum(unexplained_difference)::numeric(19,2)::text as money from marts.daily_reconciliation"
    )
    assert adds_up == [{"money": "0.00"}]


def test_C32_a_wrong_mapping_is_blocked_and_seen_and_the_other_days_are_written(case: Case, call: Call) -> None:  # noqa: N802
    amounts = {"total": "10.00", "subtotal": "9.00"}
    case.shop.orders[:] = [order(f"O{number}", "2026-11-20", **amounts) for number in range(4)]
    case.shop.orders.append(order("P1", "2026-11-21", total="10.00", subtotal="10.00"))
    case.shop.orders += [order(f"Q{number}", "2026-11-22", **amounts) for number in (1, 2)]
    right = call("run", "--from", "2026-11-20", "--to", "2026-11-22")
    assert right.exit_code == 0, right.output
    assert right.stdout.splitlines()[-1] == "in quarantine: nothing"
    case.shop.orders[4] = order("P1", "2026-11-21", "12.00", total="12.00", subtotal="12.00")

    case.describe(lambda description: description["orders"]["fields"].update(total="subtotal"))
    wrong = call("run", "--from", "2026-11-20", "--to", "2026-11-22")

    assert wrong.exit_code == 1
    rule = "does not equal the sum of its parts (total)"
    day = f"2026-11-20: 4 of 4 orders (100.00 %), mostly: {rule}"
    assert f"quarantine_stays_below_the_limit of ops/quarantine ({day}; 2026-11-22: 2 of 2 orders" in wrong.stderr
    not_written = "Not written, for what is in quarantine: 2026-11-20, 2026-11-22. See: "
    assert wrong.stderr.splitlines()[-1] == f"{not_written}analytics-pipeline quarantine list --blocked"
    assert "2026-11-21: done" in wrong.stdout
    assert case.revenue() == {"2026-11-20": "40.00", "2026-11-21": "12.00", "2026-11-22": "20.00"}
    listed = call("quarantine", "list", "--blocked").output
    assert listed.startswith(f"{rule}\n    6 orders, 54.00 EUR at risk; 2026-11-20 to 2026-11-22, such as Q1\n")
    assert call("quarantine", "list").output == "nothing is in quarantine\n"
    assert case.rows(OPEN) == [{"kind": "run_failed", "subject": "daily of 2026-11-20 to 2026-11-22"}]

    case.describe(lambda description: description["orders"]["fields"].update(total="total"))
    assert call("run", "--from", "2026-11-20", "--to", "2026-11-22").exit_code == 0
    assert call("quarantine", "list", "--blocked").output == "no day is blocked, or none of these options\n"


def test_a_bad_order_of_a_day_with_few_is_written_told_as_an_incident_and_ends_with_3(case: Case, call: Call) -> None:
    unknown = order("B2", "2026-11-20", price="N/A")
    case.shop.orders[:] = [order("A", "2026-11-20", refunds=[refund("R", "2026-11-20T13:00:00Z", "10.01")]), unknown]
    case.shop.orders.append(order("B1", "2026-11-20", total="11.00"))
    ended = call("run", "--date", "2026-11-20")
    assert ended.exit_code == 3, ended.output
    assert "look at this: check quarantine_holds_little_of_a_day of ops/quarantine: limit 20.00 %" in ended.stderr
    assert ended.stdout.splitlines()[-1] == (
        "in quarantine: 1 order, 11.00 EUR; 1 order of unknown amount; 1 refund, 10.01 EUR; "
        "mostly: does not equal the sum of its parts (total), 1 order"
    )
    assert case.revenue() == {"2026-11-20": "10.00"}
    assert case.rows(OPEN) == [{"kind": "check_failed", "subject": "ops/quarantine:quarantine_holds_little_of_a_day"}]
    shown = call("quarantine", "show", "A").output
    assert "held back      refund R; the order itself is clean" in shown
    case.shop.orders[0]["refunds"] = []
    replayed = call("quarantine", "replay")
    assert replayed.exit_code == 3, replayed.output
    assert replayed.stdout.startswith("came back: 1 refund, 10.01 EUR\nstill in quarantine: 2 orders, 11.00 EUR, 1 of ")
    case.shop.orders[1:] = []
    assert call("run", "--date", "2026-11-20").exit_code == 0
    assert case.rows(OPEN) == []


def test_money_of_the_ledger_is_that_of_all_days_and_what_lies_outside_is_named(case: Case) -> None:
    late = refund("R", "2026-11-25T12:00:00+01:00", "3.00")
    case.shop.orders[:] = [order("O1", "2026-11-20", refunds=[refund("Q", "2026-11-21T12:00:00+01:00", "1.00"), late])]
    case.run("2026-11-20")
    start = "             ledger = all days + outside: "
    after = "after the last loaded day (2 days, 2026-11-21 to 2026-11-25)"
    assert list(ledger_lines(case.database)) == [f"{start}0.00; 6.00 EUR = 10.00 of daily_revenue + -4.00 {after}"]
    case.run("2026-11-22")
    later, between = "-3.00 after the last loaded day (1 day, 2026-11-25)", "-1.00 on days that are not loaded"
    messages = f"{start}0.00; 6.00 EUR = 10.00 of daily_revenue + {later} + {between} (1 day, 2026-11-21)"
    assert list(ledger_lines(case.database)) == [messages]
    [check] = [check for check in mart_checks() if check.name == "the_ledger_is_all_days_and_what_lies_outside"]
    ranges = [Days(date(2026, 11, day), date(2026, 11, day)) for day in (20, 22)]
    assert check.examine(case.database, ranges).passed
    execute(case.database, "update marts.daily_revenue set total_sales = 10.01 where event_date = '2026-11-20'")
    # A wrong day is found by a run of another one.
    failed = check.examine(case.database, ranges[1:])
    assert (failed.passed, failed.metadata["examples"].value) == (False, "2026-11-20 EUR")
    assert next(iter(ledger_lines(case.database))).startswith(f"{start}-0.01; 6.00 EUR = 10.01 of daily_revenue")
