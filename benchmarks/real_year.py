"""Part b: a real shop's year from HTTP to marts with all checks, beside the usual script, dlt and the limits.

The year is the UCI "Online Retail" data set behind a server of its own, which is not part of the project. What the
pipeline computed is compared with the server's own table of expected figures, day by day.
"""

import csv
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.orchestration.instance_storage import sqlalchemy_url
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from benchmarks.copying import copy_in, copy_out
from benchmarks.laboratory import CHECKOUT, Laboratory, free_port
from benchmarks.measuring import Measured, Results, note, run_process, stopwatch, take_turns
from benchmarks.real_files import INCOMING, describe, invoice_lines, write_csv, write_dimensions
from benchmarks.report import goal, megabytes, seconds, spread, table

FIRST, LAST = "2010-12-01", "2011-12-09"
KEY = "a-key-for-the-benchmark"
DESCRIPTION = CHECKOUT / "docs" / "examples" / "online-retail.yaml"
PIPELINE, FILES, SCRIPT, DLT = (
    "pipeline: raw, clean, ledger, marts, checks",
    "pipeline: the same by three CSVs",
    "usual script: floats, no keys",
    "dlt: raw tables only",
)
HTTP, COPY = "limit: all pages over HTTP, dropped", "limit: COPY of all its tables, with keys"
GOAL_SHARE, GOAL_MEGABYTES, GOAL_FILES = 0.45, 500, 1.2
NEXT = re.compile(rb'.{,40}"next": "([^"]+)"')
COMPARED = ("gross_sales", "returns", "net_sales")


@dataclass(frozen=True)
class RealShop:
    """The server's folder, and where it listens."""

    folder: Path
    url: str


def run(laboratory: Laboratory, folder: Path, repeat: int) -> str:
    """Measure part b and return its results as markdown; the server's `serve.py` lies in `folder`."""
    title = f"### b. A real year: {FIRST} to {LAST}, 25,900 invoices, 541,909 lines"
    if not (folder / "serve.py").exists():
        note(f"b: skipped, there is no {folder / 'serve.py'}")
        return f"{title}\n\nSkipped: the shop's server was not there (`--real-shop`)."
    verdicts: list[str] = []
    with _serving(laboratory, folder) as shop, _files(folder) as description:
        contenders: list[Callable[[], dict[str, Measured]]] = [
            lambda: _pipeline(laboratory, shop, verdicts),
            lambda: _by_files(laboratory, shop, description, verdicts),
            lambda: _script(laboratory, shop, "usual_script", SCRIPT),
        ]
        if importlib.util.find_spec("dlt"):
            contenders.append(lambda: _script(laboratory, shop, "dlt_load", DLT))
        else:
            note("b: without dlt, which the extra `benchmark` installs")
        results = take_turns(contenders, repeat)
    return "\n".join([title, "", *_report(results), *sorted(set(verdicts))])


@contextmanager
def _serving(laboratory: Laboratory, folder: Path) -> Iterator[RealShop]:
    port = free_port()
    with laboratory.serving([str(folder.resolve() / "serve.py"), "--port", str(port), "--key", KEY]):
        yield RealShop(folder, f"http://127.0.0.1:{port}")


@contextmanager
def _files(folder: Path) -> Iterator[Path]:
    """Write the year as three files, and return the description that reads them."""
    with TemporaryDirectory() as place:
        description = describe(DESCRIPTION, Path(place))
        write_dimensions(folder, Path(place))
        write_csv(Path(place) / INCOMING / "lines.csv", invoice_lines(folder))
        yield description


def _pipeline(laboratory: Laboratory, shop: RealShop, verdicts: list[str]) -> dict[str, Measured]:
    """Run the whole command, and then measure what its reading and its storing take at least."""
    with laboratory.fresh_database() as database:
        secrets = {"ONLINE_RETAIL_URL": shop.url, "ONLINE_RETAIL_KEY": KEY}
        took = {PIPELINE: _loaded(laboratory, database, DESCRIPTION, secrets)}
        verdicts.append(_compare(database, shop.folder / "expected_daily.csv"))
        with stopwatch() as watch:
            _read_everything(shop.url)
        took[HTTP] = Measured(watch.seconds)
        tables = [*(contract.table for contract in CONTRACTS), *(mart.table for mart in load_marts())]
        copy_out(database, tables)
        laboratory.settle()
        with stopwatch() as watch:
            copy_in(database, tables)
        took[COPY] = Measured(watch.seconds)
        return took


def _by_files(laboratory: Laboratory, shop: RealShop, description: Path, verdicts: list[str]) -> dict[str, Measured]:
    """Run the whole command on files that hold the same year; taking them in is part of it."""
    with laboratory.fresh_database() as database:
        took = {FILES: _loaded(laboratory, database, description, {})}
        verdicts.append(_compare(database, shop.folder / "expected_daily.csv"))
        return took


def _loaded(laboratory: Laboratory, database: Database, description: Path, secrets: Mapping[str, str]) -> Measured:
    """Run the whole command."""
    days = ("--from", FIRST, "--to", LAST)
    command = [sys.executable, "-m", "analytics_pipeline", "run", *days, "--shop", str(description)]
    laboratory.settle()
    return run_process(command, laboratory.environment(database, **secrets), laboratory.home)


def _script(laboratory: Laboratory, shop: RealShop, module: str, what: str) -> dict[str, Measured]:
    """Run one of the peers' scripts in this folder."""
    with laboratory.fresh_database() as database:
        url = sqlalchemy_url(database.url) if module == "usual_script" else database.url
        command = [sys.executable, "-m", f"benchmarks.{module}", shop.url, KEY, url]
        laboratory.settle()
        return {what: run_process(command, laboratory.environment(database), laboratory.home)}


def _read_everything(url: str) -> None:
    """Fetch every page once and look at nothing but the way to the next one."""
    with requests.Session() as session:
        session.headers["X-Api-Key"] = KEY

        def fetch(path: str, **params: str | int) -> bytes:
            answer = session.get(f"{url}/v1/{path}", params=params, timeout=60)
            answer.raise_for_status()
            return answer.content

        cursor: dict[str, str] = {}
        while following := NEXT.match(fetch("invoices", limit=500, **cursor)):
            cursor = {"cursor": following[1].decode()}
        for page in range(json.loads(fetch("customers", size=500))["pages"]):
            fetch("customers", size=500, page=page + 1)
        for offset in range(0, json.loads(fetch("products", limit=1))["count"], 500):
            fetch("products", limit=500, offset=offset)


def _compare(database: Database, expected: Path) -> str:
    """Compare revenue with the expected figures, day by day, and say how many days are equal."""
    names = ", ".join(f"{name}::text" for name in COMPARED)
    rows = query(database, f"select event_date::text, {names} from marts.daily_revenue")
    stored = {row["event_date"]: [Decimal(row[name]) for name in COMPARED] for row in rows}
    with expected.open(encoding="utf-8", newline="") as lines:
        wanted = {row["day"]: [Decimal(row[name]) for name in COMPARED] for row in csv.DictReader(lines)}
    days = (date.fromisoformat(LAST) - date.fromisoformat(FIRST)).days + 1
    equal = sum(stored.get(day) == figures for day, figures in wanted.items())
    zero = sum(not any(figures) for day, figures in stored.items() if day not in wanted)
    is_right = equal == len(wanted) and zero == days - len(wanted) and len(stored) == days
    finding = f"{equal} of {len(wanted)} days equal, {zero} zero days ({', '.join(COMPARED)} of marts.daily_revenue)"
    note(finding)
    return goal(finding, is_met=is_right)


def _report(results: Results) -> list[str]:
    script, pipeline, files = results[SCRIPT], results[PIPELINE], results[FILES]
    listed = [
        [what, seconds(samples), spread(samples), f"{samples.seconds / script.seconds:.2f}", megabytes(samples)]
        for what, samples in sorted(results.items(), key=lambda entry: -entry[1].seconds)
    ]
    share, peak = pipeline.seconds / script.seconds, pipeline.megabytes or 0.0
    floor = results[HTTP].seconds + results[COPY].seconds
    return [
        table(["", "median", "spread", "time / script", "peak memory"], listed),
        "",
        f"The pipeline takes {pipeline.seconds / floor:.1f} times the two limits together.",
        "",
        goal(f"{share:.2f} of the script's time, at most {GOAL_SHARE}", is_met=share <= GOAL_SHARE),
        goal(
            f"{files.seconds / pipeline.seconds:.2f} of the API's time by three CSVs, at most {GOAL_FILES}",
            is_met=files.seconds <= GOAL_FILES * pipeline.seconds,
        ),
        goal(f"{peak:.0f} MB at its peak, below {GOAL_MEGABYTES} MB", is_met=peak < GOAL_MEGABYTES),
    ]
