"""Unusual days of a demo shop: found, explained, told by the run and by the command, the same however they are run."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.anomalies.judging import Finding, judge
from analytics_pipeline.cli import main
from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, Happening
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline, at, content_hash
from analytics_pipeline_tests.integration.loaded import copy_of, evaluations, loaded_pipeline
from analytics_pipeline_tests.integration.tables import execute

FIRST, LAST = date(2025, 1, 1), date(2025, 2, 24)
OUTAGE, RUSH, BAD_FEED, DISCOUNT_SLIP = (date(2025, 2, day) for day in (5, 10, 15, 20))
UNUSUAL = {OUTAGE, RUSH, BAD_FEED, DISCOUNT_SLIP}
SHOP = DemoShopSettings(
    opened=FIRST,
    orders_per_day=(40, 60),
    happenings=(
        Happening(OUTAGE, "outage"),
        Happening(RUSH, "rush"),
        Happening(BAD_FEED, "bad_feed"),
        Happening(DISCOUNT_SLIP, "discount_slip"),
    ),
)
BERLIN = ZoneInfo("Europe/Berlin")
CHECK = dg.AssetCheckKey(dg.AssetKey(["ops", "anomalies"]), "figures_are_as_expected")


@pytest.fixture(scope="module")
def year(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The shop's days, loaded in one run; not to be changed."""
    days, now = Days(FIRST, LAST), at("2025-05-01")
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), SHOP, days, lambda: now) as pipeline:
        yield pipeline


@pytest.fixture
def stored(server: Database, year: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A copy of the loaded database, to be changed, which the settings name with its shop."""
    with copy_of(server, year.database) as database:
        monkeypatch.setenv("ANALYTICS_DATABASE_URL", database.url)
        monkeypatch.setenv("ANALYTICS_SHOP", str(year.description))
        yield database


def judged(database: Database, first: date, last: date | None = None) -> list[Finding]:
    return judge(database, "EUR", BERLIN, Days(first, last or first))


def found_on(year: Pipeline, day: date, metric: str) -> dict[str, object]:
    [row] = year.rows(f"select * from ops.anomalies where day = date '{day}' and metric = '{metric}'")
    return row


def test_every_unusual_day_is_found_and_hardly_another_one(year: Pipeline) -> None:
    days = {row["day"] for row in year.rows("select distinct day from ops.anomalies")}
    assert days >= UNUSUAL
    assert len(days - UNUSUAL) <= 1


def test_an_outage_is_spread_over_all_and_the_figure_is_the_marts(year: Pipeline) -> None:
    row = found_on(year, OUTAGE, "orders")
    assert Decimal(str(row["value"])) == year.shop.shop.truth(OUTAGE).revenue["EUR"].orders
    assert row["direction"] == "below"
    assert Decimal(str(row["value"])) < Decimal(str(row["low"])) < Decimal(str(row["expected"]))
    assert (row["segment_kind"], row["segment"], row["share_explained"]) == (None, None, None)
    assert "spread over all" in str(row["explanation"])
    assert (row["is_pipeline_suspect"], row["suspicion"]) == (False, None)


def test_a_rush_is_carried_by_the_country_or_the_guests_that_it_comes_from(year: Pipeline) -> None:
    row = found_on(year, RUSH, "orders")
    assert row["direction"] == "above"
    assert row["segment_kind"] in {"country", "customer kind"}
    assert Decimal(str(row["share_explained"])) > Decimal("0.5")
    assert f"{row['segment']}" in str(row["explanation"])


def test_a_discount_slip_is_carried_by_the_orders_with_much_discount(year: Pipeline) -> None:
    row = found_on(year, DISCOUNT_SLIP, "discount_share")
    true = year.shop.shop.truth(DISCOUNT_SLIP).revenue["EUR"]
    assert Decimal(str(row["value"])) == (true.discounts / true.gross_sales).quantize(Decimal("0.0001"))
    assert (row["segment_kind"], row["segment"]) == ("discount", "a discount of 30 to 60 %")


def test_a_bad_feed_shows_in_quarantine(year: Pipeline) -> None:
    row = found_on(year, BAD_FEED, "quarantined_orders")
    assert Decimal(str(row["value"])) == len(year.shop.shop.truth(BAD_FEED).quarantined)
    assert row["direction"] == "above"


@pytest.mark.parametrize(("orders", "is_suspect"), [(20, True), (2, False)])
def test_what_is_missing_and_lies_in_quarantine_makes_the_pipeline_a_suspect(
    stored: Database, orders: int, is_suspect: bool
) -> None:
    columns = "order_date, order_id, kind, event_id, table_name, reason, column_name, currency, money_at_risk, payload"
    execute(
        stored,
        f"delete from ops.quarantine where order_date = date '{OUTAGE}'",
        f"insert into ops.quarantine ({columns}) select date '{OUTAGE}', 'Q' || number, 'order', '', "
        f"'clean.orders', 'total', 'total', 'EUR', 100, '{{}}' from generate_series(1, {orders}) as numbers(number)",
        "insert into raw.orders (order_id, order_date, extracted_at, payload) "
        f"select order_id, order_date, now(), '{{}}' from ops.quarantine where order_date = date '{OUTAGE}'",
    )
    found = {finding.metric: finding for finding in judged(stored, OUTAGE)}
    assert found["orders"].is_pipeline_suspect == is_suspect
    messages = found["orders"].suspicion or ""
    assert messages == ("20 orders of the day, 2,000.00, lie in quarantine" if is_suspect else "")


def test_a_single_day_is_judged_as_within_the_range(stored: Database, year: Pipeline) -> None:
    whole = judged(stored, FIRST, LAST)
    assert {finding.day for finding in whole} >= UNUSUAL
    for day in UNUSUAL:
        assert judged(stored, day) == [finding for finding in whole if finding.day == day]
    assert judged(stored, FIRST, FIRST + timedelta(days=20)) == []
    assert year.database != stored


def test_a_run_warns_of_an_unusual_day_with_the_explanation_and_clears_what_no_longer_holds(
    year: Pipeline, stored: Database
) -> None:
    pipeline = Pipeline(year.shop, year.description, year.definitions, year.instance, stored)
    before = content_hash(stored, "ops.anomalies")
    summary = pipeline.run(OUTAGE, job="marts")
    assert summary.succeeded
    [warning] = summary.warnings
    assert warning.startswith("check figures_are_as_expected of ops/anomalies: anomalies ")
    evaluation = evaluations(pipeline, summary.run_id)[CHECK]
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert not evaluation.blocking
    assert str(evaluation.metadata["examples"].value).startswith(f"{OUTAGE} ")
    assert "below expectation" in str(evaluation.metadata["examples"].value)
    assert content_hash(stored, "ops.anomalies") == before
    yesterday = OUTAGE - timedelta(days=1)
    execute(
        stored,
        f"create temporary table stale as select * from ops.anomalies where day = date '{OUTAGE}'",
        f"update stale set day = date '{yesterday}'",
        "insert into ops.anomalies select * from stale",
    )
    quiet = pipeline.run(yesterday, job="marts")
    assert (quiet.succeeded, quiet.warnings) == (True, [])
    assert content_hash(stored, "ops.anomalies") == before


def test_a_day_that_is_not_in_the_mart_is_not_judged(stored: Database) -> None:
    execute(stored, f"delete from marts.daily_revenue where event_date = date '{OUTAGE}'")
    assert judged(stored, OUTAGE) == []


def test_fewer_than_28_days_in_the_tables_are_no_ground_to_judge_on(stored: Database) -> None:
    execute(stored, f"delete from marts.daily_revenue where event_date < date '{OUTAGE - timedelta(days=28)}'")
    assert judged(stored, OUTAGE) != []
    execute(stored, f"delete from marts.daily_revenue where event_date = date '{OUTAGE - timedelta(days=28)}'")
    assert judged(stored, OUTAGE) == []


def test_tables_that_were_never_made_are_no_reason_to_fail(stored: Database, database: Database) -> None:
    assert judged(database, OUTAGE) == []
    execute(stored, "drop table clean.customers", "drop table clean.products")
    assert {finding.metric for finding in judged(stored, OUTAGE)} >= {"orders"}


def extraction(**changed: object) -> str:
    """An extraction of the day of the outage, at which nothing is strange."""
    row = {
        "run_id": "'a-run'",
        "first_day": f"date '{OUTAGE}'",
        "last_day": f"date '{OUTAGE}'",
        "as_of": "timestamptz '2025-02-06 04:00:00+01'",
        "records": 20,
        "orders": 20,
        "records_of_other_days": 0,
        "source_count": 20,
        "requests": 2,
        "retries": 0,
        "bytes": 1000,
        "milliseconds_waited": 0,
    } | changed
    return f"insert into ops.extractions ({', '.join(row)}) values ({', '.join(str(value) for value in row.values())})"


@pytest.mark.parametrize(
    ("changed", "suspicion"),
    [
        ({}, None),
        ({"retries": 1}, None),
        (
            {"as_of": "timestamptz '2025-02-05 13:00:00+01'"},
            "the day was read at 2025-02-05 13:00, before it was over",
        ),
        ({"source_count": 25}, "20 records arrived of 25 that the shop counts"),
        (
            {"source_count": "null", "retries": 2, "requests": 5},
            "2 of 5 requests had to be repeated, and the shop gives no count",
        ),
        (
            {"source_count": "null", "records": 23},
            "3 records came twice, as pages that shift bring them, and the shop gives no count",
        ),
    ],
)
def test_the_pipeline_is_a_suspect_for_what_its_extraction_tells(
    stored: Database, changed: dict[str, object], suspicion: str | None
) -> None:
    judged(stored, OUTAGE)  # makes the tables of the pipeline's history where they are missing
    older = {"run_id": "'older'", "as_of": "timestamptz '2025-02-05 09:00:00+01'"}
    execute(stored, "delete from ops.extractions", extraction(**older), extraction(**changed))
    found = judged(stored, OUTAGE)
    assert found
    assert {finding.suspicion for finding in found} == {suspicion}
    assert {finding.is_pipeline_suspect for finding in found} == {suspicion is not None}


def test_orders_that_were_deleted_or_lie_in_raw_only_make_the_pipeline_a_suspect(stored: Database) -> None:
    judged(stored, OUTAGE)
    deleted = (
        "insert into ops.deleted_orders (order_id, order_date, deleted_at, run_id, extracted_at, payload) "
        f"values ('D1', date '{OUTAGE}', now(), 'a-run', now(), '{{}}')"
    )
    execute(
        stored,
        deleted,
        f"insert into raw.orders values ('D2', date '{OUTAGE}', now(), '{{}}')",
    )
    [suspicion] = {finding.suspicion for finding in judged(stored, OUTAGE)}
    assert suspicion is not None
    assert "the tables made of it have" in suspicion
    assert "1 orders of the day are no longer in the shop's answers" in suspicion


def test_a_day_without_an_order_is_one_finding_and_none_if_last_years_date_had_none_either(stored: Database) -> None:
    empty = ("orders", "gross_sales", "discounts", "returns", "net_sales")
    zeros = ", ".join(f"{name} = 0" for name in empty)
    execute(stored, f"update marts.daily_revenue set {zeros} where event_date = date '{OUTAGE}'")
    [finding] = judged(stored, OUTAGE)
    assert (finding.metric, finding.value, finding.direction) == ("orders", Decimal(0), "below")
    assert finding.explanation.endswith("no order at all: closed, or nothing came in")
    execute(
        stored,
        f"create temporary table last_year as select * from marts.daily_revenue where event_date = date '{OUTAGE}'",
        "update last_year set event_date = date '2024-02-05'",
        "insert into marts.daily_revenue select * from last_year",
    )
    assert judged(stored, OUTAGE) == []


def test_an_order_that_is_cancelled_at_once_is_found_in_sales_and_returns_though_it_adds_up_to_nothing(
    stored: Database,
) -> None:
    day = date(2025, 2, 12)
    event = (
        "insert into clean.sales "
        "select order_date, 'D-BIG', {number}, '{kind}', event_at, event_date, false, 'P1', 'c-1', currency, {units}, "
        "{gross}, 0, {returned}, {gross} - {returned}, 0, 0, 0, 0, {gross} - {returned} "
        f"from clean.sales where event_date = date '{day}' limit 1"
    )
    execute(
        stored,
        event.format(number=1, kind="line_sold", units=900, gross=50_000, returned=0),
        event.format(number=2, kind="line_returned", units=-900, gross=0, returned=50_000),
        f"update marts.daily_revenue set gross_sales = gross_sales + 50000, returns = returns + 50000 "
        f"where event_date = date '{day}'",
    )
    found = {finding.metric: finding for finding in judged(stored, day)}
    assert {"gross_sales", "returns"} <= set(found)
    assert "net_sales" not in found
    for metric in ("gross_sales", "returns"):
        assert (found[metric].segment_kind, found[metric].segment) == ("order", "D-BIG")
        assert (
            "cancelled at once: a guest bought and returned 900 units of P1 the same day" in found[metric].explanation
        )


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command in this process."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["anomalies", *arguments])


@pytest.mark.usefixtures("stored")
def test_the_command_lists_the_days_newest_first_with_what_makes_the_difference(
    call: Callable[..., Result],
) -> None:
    listed = call("--all")
    assert listed.exit_code == 0, listed.output
    days = [line for line in listed.output.splitlines() if line.startswith("2025-")]
    assert days == sorted(days, reverse=True)
    assert {f"{day:%Y-%m-%d %A}" for day in UNUSUAL} <= set(days)
    assert "  orders " in listed.output
    assert "not as expected" in listed.output.splitlines()[-1]

    one = call("--from", str(RUSH), "--to", str(RUSH))
    assert [line for line in one.output.splitlines() if line.startswith("2025-")] == [f"{RUSH:%Y-%m-%d %A}"]
    assert call("--to", str(FIRST)).output.startswith("no figure is known to be other than expected; ")
    assert call("--from", "yesterday").exit_code == 2


@pytest.mark.usefixtures("database")
def test_the_command_reports_when_nothing_is_judged_yet(call: Callable[..., Result]) -> None:
    assert call().output == "nothing is judged yet: analytics-pipeline run\n"
