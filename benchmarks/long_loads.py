"""Part e: what must not cost the square: a shop loaded in two parts, last day first, and ten years of days in one run.

Loading one day to look at it and then everything before it moves the first order of most of that day's customers. What
a step reports Dagster of each business day grows with the days, and with nothing else.
"""

import os
import sys
from contextlib import suppress
from datetime import UTC, date, datetime

import dagster as dg
import psutil
import pyarrow as pa

from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.orchestration.running import QUIET, RANGE_END, RANGE_START
from analytics_pipeline.settings import DATABASE_URL
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from benchmarks.io_manager import TimedIOManager
from benchmarks.laboratory import Laboratory
from benchmarks.ledger import FIRST_DAY, make_ledger
from benchmarks.measuring import Measured, Results, run_process, take_turns
from benchmarks.report import goal, seconds, spread, table

FIRST, DAY_BEFORE, LAST = date(2025, 1, 1), date(2026, 11, 24), date(2026, 11, 25)
NOW = datetime(2026, 11, 26, 4, tzinfo=UTC)
SHOP = DemoShopSettings(opened=FIRST, orders_per_day=(85, 120))
REST, TOGETHER, DAY_FIRST = "the rest alone", "the last day, then the rest", "only the rest of the two"
GOAL_ORDER = 1.15
YEAR, TEN_YEARS, ROWS_A_DAY = 365, 3_652, 20
GOAL_DAYS = 1.25


def run(laboratory: Laboratory, repeat: int) -> str:
    """Measure part e and return its results as markdown."""
    counted: list[str] = []
    with serve(SHOP, now=lambda: NOW) as shop:
        loads = take_turns(
            [
                lambda: _rest_alone(laboratory, shop.url, counted),
                lambda: _last_day_first(laboratory, shop.url),
            ],
            repeat,
        )
    days = take_turns([lambda: _days(laboratory, YEAR), lambda: _days(laboratory, TEN_YEARS)], repeat)
    return _report(loads, days, counted[-1])


def _rest_alone(laboratory: Laboratory, url: str, counted: list[str]) -> dict[str, Measured]:
    with laboratory.fresh_database() as database:
        took = _load(laboratory, database, url, "--from", str(FIRST), "--to", str(DAY_BEFORE))
        found = query(
            database,
            "select (select count(*) from clean.orders)::int as orders, "
            "(select count(*) from clean.customers)::int as customers",
        )[0]
        counted.append(f"{found['orders']:,} orders, {found['customers']:,} customers")
        return {REST: took}


def _last_day_first(laboratory: Laboratory, url: str) -> dict[str, Measured]:
    with laboratory.fresh_database() as database:
        day = _load(laboratory, database, url, "--date", str(LAST))
        rest = _load(laboratory, database, url, "--from", str(FIRST), "--to", str(DAY_BEFORE))
        return {TOGETHER: Measured(day.seconds + rest.seconds), DAY_FIRST: rest}


def _load(laboratory: Laboratory, database: Database, url: str, *range_of_days: str) -> Measured:
    """Run the command and return the processor time of its process and of the server, in place of the wall time."""
    laboratory.settle()
    server = _server_seconds(laboratory)
    took = run_process(
        [sys.executable, "-m", "analytics_pipeline", "run", *range_of_days],
        laboratory.environment(database, ANALYTICS_DEMO_SHOP_URL=url),
        laboratory.home,
    )
    return Measured(took.processor + _server_seconds(laboratory) - server)


def _server_seconds(laboratory: Laboratory) -> float:
    """Return the processor time of the server's first process and of all its children that have ended or still run."""
    first = psutil.Process(int((laboratory.home / "postgres" / "postmaster.pid").read_text("utf-8").split()[0]))
    running = 0.0
    for child in first.children():
        with suppress(psutil.NoSuchProcess):  # it has just ended, and counts among those that have
            running += sum(child.cpu_times()[:2])
    spent = first.cpu_times()
    return running + spent.user + spent.system + spent.children_user + spent.children_system


def _days(laboratory: Laboratory, days: int) -> dict[str, Measured]:
    """Write a ledger of many days through the IO manager, in one Dagster run."""
    ledger = make_ledger(ROWS_A_DAY * days, days)
    partitions = dg.DailyPartitionsDefinition(start_date=str(FIRST_DAY))

    @dg.asset(key=CLEAN_SALES.table.path, partitions_def=partitions, io_manager_key="postgres")
    def sales() -> pa.Table:
        return ledger

    io_manager = TimedIOManager()
    with laboratory.fresh_database() as database, dg.DagsterInstance.ephemeral() as instance:
        os.environ[DATABASE_URL] = database.url
        dg.materialize(
            [sales],
            instance=instance,
            tags={RANGE_START: str(FIRST_DAY), RANGE_END: str(FIRST_DAY + days - 1)},
            resources={"postgres": io_manager},
            run_config=QUIET,
        )
    return {f"{days:,} days": io_manager.took}


def _report(loads: Results, days: Results, counted: str) -> str:
    rest = loads[REST].seconds
    loaded = [
        [what, seconds(loads[what]), spread(loads[what]), f"{loads[what].seconds / rest:.2f}"]
        for what in (REST, DAY_FIRST, TOGETHER)
    ]
    year, ten = days[f"{YEAR:,} days"].seconds / YEAR, days[f"{TEN_YEARS:,} days"].seconds / TEN_YEARS
    written = [
        [
            what,
            seconds(samples),
            spread(samples),
            f"{samples.seconds / int(what.split()[0].replace(',', '')) * 1000:.2f} ms",
        ]
        for what, samples in days.items()
    ]
    growth = ten / year
    shares = {what: loads[what].seconds / rest for what in (DAY_FIRST, TOGETHER)}
    return "\n".join(
        [
            f"### e. Long loads: {FIRST} to {LAST}, {counted}; and ten years of days",
            "",
            table(["processor time of command and server", "median", "spread", "time / rest"], loaded),
            "",
            table([f"IO manager, {ROWS_A_DAY} rows a day", "median", "spread", "a day"], written),
            "",
            *(
                goal(f"{what}: {share:.2f} of the rest alone, at most {GOAL_ORDER}", is_met=share <= GOAL_ORDER)
                for what, share in shares.items()
            ),
            goal(
                f"a day of ten years takes {growth:.2f} of a day of one, at most {GOAL_DAYS}",
                is_met=growth <= GOAL_DAYS,
            ),
        ]
    )
