"""Which incidents open, are reported again and are over, as pure functions of the facts and of what is open."""

from datetime import UTC, date, datetime, timedelta

import pytest

from analytics_pipeline.alerts.incidents import (
    CHECK_FAILED,
    DAY_LATE,
    DAY_PARKED,
    RUN_FAILED,
    Decision,
    Facts,
    FailedCheck,
    Incident,
    ParkedDay,
    Phase,
    Run,
    Trouble,
    decide,
    due_message,
    last_message,
    open_failures,
)
from analytics_pipeline.alerts.messages import message_of, trial_message
from analytics_pipeline.days import Days
from analytics_pipeline.history.freshness import Freshness
from analytics_pipeline.shop.spec import load_shop

SHOP = load_shop("demo")
T0 = datetime(2026, 11, 25, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


def days(first: int, last: int | None = None) -> Days:
    """Days of November 2026."""
    return Days(date(2026, 11, first), date(2026, 11, last or first))


THE_24TH = days(24)


def run(
    run_id: str, hour: int, *, ok: bool = False, of: Days | None = THE_24TH, job: str = "daily", again: bool = False
) -> Run:
    return Run(run_id, job, of, ok, T0 + hour * HOUR, again)


def kept(trouble: Trouble, **changes: object) -> Incident:
    """The incident that a trouble opens, as it is kept."""
    columns = {
        "key": trouble.key,
        "kind": trouble.kind,
        "subject": trouble.subject,
        "opened_at": trouble.since,
        "text": trouble.text,
        "run_id": trouble.run_id,
    }
    return Incident(**{**columns, **changes})  # type: ignore[arg-type]


def opened(facts: Facts, *open_incidents: Incident) -> list[str]:
    return [trouble.key for trouble in decide(facts, open_incidents, SHOP).opened]


def failed_run(*runs: Run) -> Incident:
    (trouble,) = decide(Facts(runs=runs), (), SHOP).opened
    return kept(trouble)


def test_nothing_wrong_opens_nothing() -> None:
    assert decide(Facts(runs=(run("a", 0, ok=True),)), (), SHOP) == Decision((), (), ())


def test_a_failed_run_opens_an_incident_with_reasons_and_what_to_do() -> None:
    facts = Facts(runs=(run("a", 0),), reasons={"a": ("one", "two", "three", "four", "five")})
    (trouble,) = decide(facts, (), SHOP).opened

    assert (trouble.kind, trouble.subject, trouble.since, trouble.run_id) == (
        RUN_FAILED,
        "daily of 2026-11-24",
        T0,
        "a",
    )
    assert trouble.text.splitlines() == [
        "The run daily of 2026-11-24 of the shop demo failed:",
        "- one",
        "- two",
        "- three",
        "- and 2 more",
        "Mend the cause and run it again, in the UI or with: analytics-pipeline run --from 2026-11-24 --to 2026-11-24",
    ]


def test_a_layers_run_is_run_again_as_such_and_a_run_without_days_without_days() -> None:
    (of_marts,) = decide(Facts(runs=(run("a", 0, job="marts"),)), (), SHOP).opened
    (of_raw,) = decide(Facts(runs=(run("a", 0, job="raw", of=None),)), (), SHOP).opened

    assert "analytics-pipeline run --job marts --from 2026-11-24" in of_marts.text
    assert of_raw.text.endswith("analytics-pipeline run --job raw")
    assert of_raw.subject == "raw"


def test_a_run_that_dagster_starts_again_says_so_and_stays_one_incident() -> None:
    incident = failed_run(run("a", 0, again=True))
    assert "Dagster starts it again by itself" in incident.text
    retried = Facts(runs=(run("a", 0, again=True), run("b", 1)))
    decision = decide(retried, (incident,), SHOP)

    assert (decision.opened, decision.closed) == ((), ())
    assert [trouble.run_id for trouble in decision.changed] == ["b"]


def test_an_open_incident_of_the_same_run_changes_nothing() -> None:
    incident = failed_run(run("a", 0))

    assert decide(Facts(runs=(run("a", 0),)), (incident,), SHOP) == Decision((), (), ())


@pytest.mark.parametrize(
    ("failed", "later", "is_over"),
    [
        (run("a", 0), (run("b", 1, ok=True),), True),
        (run("a", 0), (run("b", -1, ok=True),), False),  # it was right, and was then tried again in vain
        (run("a", 0), (run("b", 1, ok=True, of=days(23)),), False),
        (run("a", 0), (run("b", 1, ok=True, of=days(1, 30)),), True),
        (run("a", 0), (run("b", 1, ok=True, of=None),), False),
        (run("a", 0, of=days(1, 3)), (run("b", 1, ok=True, of=days(1, 2)),), False),
        (run("a", 0, of=days(1, 3)), (run("b", 1, ok=True, of=days(1, 2)), run("c", 2, ok=True, of=days(3))), True),
        (run("a", 0), (run("b", 1, ok=True, job="late_changes"),), True),
        (run("a", 0), (run("b", 1, ok=True, job="marts"),), False),
        (run("a", 0, job="late_changes"), (run("b", 1, ok=True),), True),
        (run("a", 0, job="changed_orders"), (run("b", 1, ok=True, job="late_changes"),), True),
        (run("a", 0, job="changed_orders"), (run("b", 1, ok=True, job="changed_orders"),), True),
        (run("a", 0), (run("b", 1, ok=True, job="changed_orders"),), False),  # it has read no customers
        (run("a", 0, job="marts"), (run("b", 1, ok=True, job="marts"),), True),
        (run("a", 0, job="marts"), (run("b", 1, ok=True, job="raw"),), False),
        (run("a", 0, job="marts"), (run("b", 1, ok=True),), True),
        (run("a", 0, of=None, job="raw"), (run("b", 1, ok=True, job="raw"),), True),
        (run("a", 0, of=None, job="raw"), (run("b", 1, ok=True, job="clean"),), False),
        (run("a", 0), (run("b", 1, ok=True), run("c", 2)), False),
    ],
)
def test_a_failed_run_is_over_when_later_runs_have_made_all_its_days_right(
    failed: Run, later: tuple[Run, ...], is_over: bool
) -> None:
    incident = failed_run(failed)
    in_sight = decide(Facts(runs=(failed, *later)), (incident,), SHOP)

    assert bool(in_sight.closed) is is_over
    assert (failed.key in {one.key for one in open_failures((failed, *later))}) is not is_over
    if all(one.succeeded for one in later):
        out_of_sight = decide(Facts(runs=later), (incident,), SHOP)
        assert bool(out_of_sight.closed) is is_over


def test_a_failed_run_that_has_left_the_window_stays_open() -> None:
    assert decide(Facts(), (failed_run(run("a", 0)),), SHOP).closed == ()
    assert decide(Facts(), (failed_run(run("a", 0, of=None)),), SHOP).closed == ()


def test_failed_runs_of_other_days_or_jobs_are_incidents_of_their_own() -> None:
    runs = (run("a", 0), run("b", 1, of=days(23, 24)), run("c", 2, job="marts"), run("d", 3))

    assert {one.run_id for one in open_failures(runs)} == {"b", "c", "d"}


def test_a_failed_check_opens_and_is_over_when_it_holds() -> None:
    facts = Facts(checks=(FailedCheck("clean/orders:adds_up", T0, "x"),))
    (trouble,) = decide(facts, (), SHOP).opened

    assert (trouble.kind, trouble.subject, trouble.run_id) == (CHECK_FAILED, "clean/orders:adds_up", "x")
    assert trouble.text.startswith("The check adds_up of clean/orders failed.")
    assert decide(Facts(), (kept(trouble),), SHOP).closed == (kept(trouble),)
    assert decide(facts, (kept(trouble),), SHOP) == Decision((), (), ())


def test_a_check_that_failed_in_a_failed_run_is_reported_with_the_run() -> None:
    check = FailedCheck("clean/orders:adds_up", T0, "a")
    facts = Facts(runs=(run("a", 0),), checks=(check,))

    assert opened(facts) == [run("a", 0).key]
    assert opened(Facts(checks=(check,)), failed_run(run("a", 0))) == []  # although the run has left the window
    mended = Facts(runs=(run("a", 0), run("b", 1, ok=True)), checks=(check,))
    assert opened(mended) == ["check_failed/clean/orders:adds_up"]


def test_an_open_incident_of_a_check_goes_on_when_the_check_fails_in_a_run_again() -> None:
    (before,) = decide(Facts(checks=(FailedCheck("c:n", T0, "x"),)), (), SHOP).opened
    facts = Facts(runs=(run("a", 1),), checks=(FailedCheck("c:n", T0 + HOUR, "a"),))
    decision = decide(facts, (kept(before),), SHOP)

    assert [trouble.kind for trouble in decision.opened] == [RUN_FAILED]
    assert [trouble.run_id for trouble in decision.changed] == ["a"]
    assert decision.closed == ()


def test_a_parked_day_opens_and_is_over_when_it_is_gone() -> None:
    facts = Facts(parked=(ParkedDay(date(2026, 11, 3), T0, "edit, refund", 3, "x"),))
    (trouble,) = decide(facts, (), SHOP).opened

    assert (trouble.key, trouble.kind, trouble.since) == ("day_parked/2026-11-03", DAY_PARKED, T0)
    assert "stale (edit, refund), its runs failed 3 times" in trouble.text
    assert decide(Facts(), (kept(trouble),), SHOP).closed == (kept(trouble),)


def freshness_of(day: int, *, is_due: bool = True, missing: tuple[str, ...] = ("marts.a",)) -> Freshness:
    return Freshness(date(2026, 11, day), T0, is_due, missing, None if missing else T0)


def test_only_a_day_that_is_due_and_missing_opens_an_incident() -> None:
    (trouble,) = decide(Facts(freshness=(freshness_of(24),)), (), SHOP).opened

    assert (trouble.kind, trouble.subject, trouble.since, trouble.run_id) == (DAY_LATE, "2026-11-24", T0, None)
    assert "due by 04:00 CET and is not whole in marts.a" in trouble.text
    assert opened(Facts(freshness=(freshness_of(24, is_due=False),))) == []
    assert opened(Facts(freshness=(freshness_of(24, missing=()),))) == []
    both = Facts(freshness=(freshness_of(24, missing=()), freshness_of(25, is_due=False)))
    assert decide(both, (kept(trouble),), SHOP).closed == (kept(trouble),)


INCIDENT = Incident("run_failed/daily/2026-11-24/2026-11-24", RUN_FAILED, "daily of 2026-11-24", T0, "It failed.", "r")


@pytest.mark.parametrize(
    ("last_sent", "closed", "over_told", "due"),
    [
        (None, None, None, "opened"),
        (0, None, None, None),
        (-23, None, None, None),
        (-24, None, None, "open"),
        (0, 0, None, "over"),
        (None, 0, None, "over"),
        (-100, 0, None, "over"),
        (-100, -50, -50, None),
    ],
)
def test_a_message_is_due_at_the_opening_after_the_set_time_and_at_the_end(
    last_sent: int | None, closed: int | None, over_told: int | None, due: Phase | None
) -> None:
    stamps = [None if hours is None else T0 + hours * HOUR for hours in (last_sent, closed, over_told)]
    incident = kept_with(last_sent_at=stamps[0], closed_at=stamps[1], over_sent_at=stamps[2])

    assert due_message(incident, T0, 24 * HOUR) == due


def kept_with(**changes: object) -> Incident:
    return kept(Trouble(INCIDENT.key, INCIDENT.kind, INCIDENT.subject, T0, INCIDENT.text, INCIDENT.run_id), **changes)


def test_a_receiver_that_lacks_the_last_message_gets_that_one() -> None:
    assert last_message(kept_with(sends=1)) == "opened"
    assert last_message(kept_with(sends=2)) == "open"
    assert last_message(kept_with(sends=2, closed_at=T0)) == "over"


@pytest.mark.parametrize(
    ("phase", "title", "text"),
    [
        ("opened", "run failed: daily of 2026-11-24", "It failed.\nSince 2026-11-25 04:00 CET.\nhttp://ui/runs/r"),
        ("open", "still run failed: daily of 2026-11-24", "It failed.\nSince 2026-11-25 04:00 CET.\nhttp://ui/runs/r"),
        (
            "over",
            "over: run failed: daily of 2026-11-24",
            "From 2026-11-25 04:00 CET to 2026-11-25 05:00 CET. Nothing to do.\nhttp://ui/runs/r",
        ),
    ],
)
def test_a_message_reports_what_since_when_what_to_do_and_where(phase: Phase, title: str, text: str) -> None:
    message = message_of(kept_with(closed_at=T0 + HOUR), phase, SHOP, "http://ui")

    assert (message.title, message.text) == (f"[demo] {title}", text)
    assert message.is_over is (phase == "over")


def test_a_message_without_a_run_links_to_the_ui() -> None:
    assert message_of(kept_with(run_id=None), "opened", SHOP, "http://ui").text.endswith("\nhttp://ui")


def test_the_trial_message_says_that_it_is_one() -> None:
    assert trial_message(SHOP).title == "[demo] test"


def test_a_shop_that_is_no_longer_asked_for_late_changes_is_reported_of_until_it_is() -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def silent(minutes: float) -> Facts:
        return Facts(silent_since=now - timedelta(minutes=minutes), now=now)

    assert decide(silent(60), (), SHOP).opened == ()  # four polls, and an hour
    (trouble,) = decide(silent(61), (), SHOP).opened
    assert (trouble.key, trouble.subject) == ("no_poll", "late changes")
    assert "since 2026-11-25 11:59 CET" in trouble.text
    known = Incident(trouble.key, trouble.kind, trouble.subject, trouble.since, trouble.text)
    assert decide(silent(90), (known,), SHOP).closed == ()
    assert decide(silent(1), (known,), SHOP).closed == (known,)
    assert decide(Facts(now=now), (), SHOP).opened == ()  # nobody ever asked


def test_a_shop_that_is_asked_every_minute_may_be_silent_for_an_hour_all_the_same() -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    often = SHOP.model_copy(update={"late_changes": SHOP.late_changes.model_copy(update={"every_minutes": 1.0})})
    hour_ago, longer_ago = now - timedelta(minutes=60), now - timedelta(minutes=61)
    assert decide(Facts(silent_since=hour_ago, now=now), (), often).opened == ()
    assert len(decide(Facts(silent_since=longer_ago, now=now), (), often).opened) == 1


def test_a_shop_beside_others_has_its_own_tables_and_commands_in_messages() -> None:
    american = SHOP.model_copy(update={"name": "us", "namespace": "ny"})
    parked = (ParkedDay(date(2026, 11, 3), T0, "edit", 3, "x"),)
    facts = Facts(freshness=(freshness_of(24),), parked=parked, runs=(run("a", 1),))

    texts = [trouble.text for trouble in decide(facts, (), american).opened]

    assert len(texts) == 3
    assert [text for text in texts if not text.endswith(" --shop us")] == []
    assert sum("is not whole in ny_marts.a" in text for text in texts) == 1
