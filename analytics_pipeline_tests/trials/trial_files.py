"""The real shop's year by files: by three CSVs it equals the year by its API, and so it does by a file a day.

The files of days come in any order, some in parts, some twice, and one is corrected at the end. Reads the year that may
lie beside the checkout, see integration/test_real_shop.py.
"""

import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random

import pytest

from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import content_hash
from analytics_pipeline_tests.integration.command_line import MODULE, environment
from analytics_pipeline_tests.integration.test_real_shop import (
    DESCRIPTION,
    KEY,
    REAL_SHOP,
    TABLES,
    YEAR,
    new_database,
    serve,
)
from benchmarks.real_files import INCOMING, Row, describe, invoice_lines, write_csv, write_dimensions

AS_FIRST_PUBLISHED = "marts.daily_revenue_as_closed"
"""What depends on when files came: it keeps the figures that stood at first."""
COMPARED = [table.qualified_name for table in TABLES if table.schema in {"clean", "marts"}]
PORTIONS = 4
IN_PARTS, REPEATED = 40, 30
CORRECTED = date(2011, 3, 1)
DAYS = ("--from", YEAR.first.isoformat(), "--to", YEAR.last.isoformat())
STAMPS = count(int(time.time()) - 1_000_000)
"""When files were written: all are complete, and each is newer than the one before."""


@dataclass(frozen=True)
class Shop:
    """A database, and what a command needs to load a shop into it."""

    database: Database
    folder: Path
    description: Path
    settings: Mapping[str, str]

    def run(self, command: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> float:
        """Run a command, and return how many seconds it took."""
        before = time.monotonic()
        done = subprocess.run(
            [*MODULE, command, "--shop", str(self.description), *arguments],
            cwd=self.folder,
            env=environment(**self.settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in codes, done.stdout + done.stderr
        return time.monotonic() - before

    def hashes(self, *, without: str = "") -> dict[str, str]:
        return {table: content_hash(self.database, table) for table in COMPARED if table != without}


def _write(path: Path, rows: Iterable[Row], names: Iterable[str]) -> None:
    write_csv(path, rows, names)
    os.utime(path, (next(STAMPS),) * 2)


@pytest.fixture(scope="module")
def shops(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shop]]:
    """Shops that are loaded by the API, by three files and by a file a day; nothing is loaded yet."""
    with ExitStack() as stack:
        url = stack.enter_context(serve())
        found = {}
        for name in ("api", "files", "days"):
            folder = tmp_path_factory.mktemp(name)
            database = stack.enter_context(new_database(server, f"year_by_{name}"))
            settings = {"ANALYTICS_HOME": str(folder / "state"), "ANALYTICS_DATABASE_URL": database.url}
            settings |= {"ONLINE_RETAIL_URL": url, "ONLINE_RETAIL_KEY": KEY} if name == "api" else {}
            description = DESCRIPTION if name == "api" else describe(DESCRIPTION, folder)
            found[name] = Shop(database, folder, description, settings)
            if name != "api":
                write_dimensions(REAL_SHOP, folder)
        yield found


@pytest.fixture(scope="module")
def by_api(shops: dict[str, Shop]) -> dict[str, str]:
    """The hash of each table after the year by the API."""
    seconds = shops["api"].run("run", *DAYS)
    print(f"the year by the API: {seconds:.0f} s", flush=True)
    return shops["api"].hashes()


def test_the_year_by_three_files_equals_the_year_by_the_api(shops: dict[str, Shop], by_api: dict[str, str]) -> None:
    shop = shops["files"]
    rows = [*invoice_lines(REAL_SHOP)]
    _write(shop.folder / INCOMING / "lines.csv", rows, rows[0])
    seconds = shop.run("run", *DAYS)
    print(f"the year by three files of {len(rows)} lines: {seconds:.0f} s", flush=True)
    assert shop.hashes() == by_api
    again = shop.run("run", *DAYS)
    print(f"once more: {again:.0f} s", flush=True)
    assert shop.hashes() == by_api


def test_files_of_days_in_any_order_in_parts_and_twice_make_the_same_year(
    shops: dict[str, Shop], by_api: dict[str, str]
) -> None:
    shop, incoming, random = shops["days"], shops["days"].folder / INCOMING, Random(7)  # noqa: S311 - no secret
    by_day: dict[date, list[Row]] = {day: [] for day in YEAR}
    for row in invoice_lines(REAL_SHOP):
        by_day[date.fromisoformat(row["created"][:10])].append(row)
    names = [*by_day[YEAR.first][0]]
    assert len(by_day) == 374
    files = {f"lines_{day}.csv": rows for day, rows in by_day.items()}
    for name in random.sample([name for name, rows in files.items() if len(rows) > 1], IN_PARTS):
        rows = files.pop(name)
        random.shuffle(rows)
        middle = len(rows) // 2
        files |= {f"{name[:-4]}_a.csv": rows[:middle], f"{name[:-4]}_b.csv": rows[middle:]}
    order = [*files]
    random.shuffle(order)
    for portion in range(PORTIONS):
        came = order[portion::PORTIONS]
        for name in came:
            _write(incoming / name, files[name], names)
        # Days of which nothing came yet are told of, by the exit code too.
        seconds = shop.run("run", *DAYS, codes=(0, 1))
        print(f"{len(came)} files: {seconds:.0f} s", flush=True)
    for number, name in enumerate(random.sample(order, REPEATED)):
        _write(incoming / f"lines_again_{number}.csv", files[name], names)
    stale = _restated(shop)
    seconds = shop.run("catch-up")
    print(f"{REPEATED} of them once more: {seconds:.0f} s", flush=True)
    assert _restated(shop) == stale
    without = {table: found for table, found in by_api.items() if table != AS_FIRST_PUBLISHED}
    assert shop.hashes(without=AS_FIRST_PUBLISHED) == without

    # One is corrected: a pound more for each piece of its first line.
    [name] = [name for name in files if str(CORRECTED) in name and not name.endswith("_b.csv")]
    first, *others = files[name]
    dearer = first | {"unit_price": str(Decimal(first["unit_price"]) + 1)}
    before = _revenue(shop)
    runs = _runs_by_day(shop)
    _write(incoming / name, [dearer, *others], names)
    shop.run("catch-up")
    after = _revenue(shop)
    print(f"{name} corrected: {before[CORRECTED]} to {after[CORRECTED]}", flush=True)
    assert {day for day in after if after[day] != before[day]} == {CORRECTED}
    assert after[CORRECTED] - before[CORRECTED] == first["quantity"]
    now = _runs_by_day(shop)
    assert {day for day in now if now[day] != runs[day]} == {CORRECTED}


def _restated(shop: Shop) -> list[Row]:
    return query(shop.database, "select count(*) as restated from ops.restatements")


def _revenue(shop: Shop) -> dict[date, Decimal]:
    rows = query(shop.database, "select event_date, gross_sales::text as gross from marts.daily_revenue")
    found = {row["event_date"]: Decimal(row["gross"]) for row in rows}
    assert found.keys() == {*YEAR}
    return found


def _runs_by_day(shop: Shop) -> dict[date, str]:
    rows = query(
        shop.database, "select day, run_id from ops.materialised_days where table_name = 'raw.orders' order by day"
    )
    return {row["day"]: row["run_id"] for row in rows}
