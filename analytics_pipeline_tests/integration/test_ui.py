"""What a newcomer sees: `demo`, then `up`, then the UI in a browser, on one state folder of its own.

The pictures of the README are taken here too, when the environment names a folder for them:
`SCREENSHOTS=docs/images python3 make.py test analytics_pipeline_tests/integration/test_ui.py`
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import psutil
import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright

from analytics_pipeline.cli.serving import demo_settings
from analytics_pipeline.demo_shop import DemoShop, RevenueTruth
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.orchestration.code_location import LOCATION
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.integration.command_line import run, running
from analytics_pipeline_tests.integration.loaded import embedded_database, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
SIZE = {"width": 1600, "height": 1000}
SECONDS_TO_START = 60
MILLISECONDS_TO_SHOW = 20_000
MILLISECONDS_TO_ARRANGE = 1_000
WITHOUT_CHECKS = {"daily_revenue_as_closed"}
SCHEDULE = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION, "scheduleName": "daily"}
RUNS_OF_A_JOB = """query ($job: PipelineSelector!) { pipelineOrError(params: $job) { ... on Pipeline { runs {
  runId status parentRunId tags { key value } repositoryOrigin { repositoryLocationName repositoryName } } } } }"""
DRY_TICK = """mutation ($schedule: ScheduleSelector!, $time: Float) {
  scheduleDryRun(selectorData: $schedule, timestamp: $time) {
    ... on DryRunInstigationTick { evaluationResult { runRequests { tags { key value } } } } } }"""
REPEAT = """mutation ($run: ReexecutionParams) { launchPipelineReexecution(reexecutionParams: $run) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
NEEDS_WHOLE_HISTORY = {"new_customers", "returning_customers"}
"""A guest's first order may be older than the days that the demo loads."""


@dataclass(frozen=True)
class Demo:
    """A finished `demo`: its state folder, and what it printed."""

    home: Path
    process: CompletedProcess[str]


@dataclass(frozen=True)
class Up:
    """A running `up`: its process, the UI's address, and the database."""

    process: Popen[str]
    url: str
    database: Database


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """The demo, in an empty folder that the embedded server's own user may enter."""
    home = Path(tempfile.mkdtemp(prefix="analytics-pipeline-demo-"))
    home.chmod(0o755)
    (home / "elsewhere").mkdir()
    yield Demo(home, run("demo", folder=home / "elsewhere", ANALYTICS_HOME=str(home / "state")))
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def up(demo: Demo) -> Iterator[Up]:
    """`up` over the tables of the demo, once the UI answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["up", "--port", str(port)]
    with running(arguments, folder=demo.home, ANALYTICS_HOME=str(demo.home / "state")) as process:
        assert process.stdout is not None
        messages = [process.stdout.readline() for _ in range(4)]
        assert re.search(r"postgresql://postgres@/analytics\?host=\S+", "".join(messages)), messages
        url = f"http://127.0.0.1:{port}"
        assert f"UI        {url} " in messages[-1]
        _wait_for(url, process)
        yield Up(process, url, embedded_database(demo.home / "state"))


def _wait_for(url: str, process: Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/server_info", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    pytest.fail(f"the UI did not start at {url}")


@pytest.fixture(scope="module", autouse=True)
def _patience() -> None:
    """Pages are slow on a machine that does other things too."""
    expect.set_options(timeout=MILLISECONDS_TO_SHOW)


@pytest.fixture
def page() -> Iterator[Page]:
    """An empty page of a headless Chromium, with the UI's menus folded away."""
    with _opened(scale=1) as opened:
        yield opened


@pytest.fixture
def wide_page() -> Iterator[Page]:
    """The same with room for the whole graph, whose parts are not drawn outside the window."""
    with _opened(scale=6) as opened:
        yield opened


@contextmanager
def _opened(scale: int) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        size = {name: length * scale for name, length in SIZE.items()}
        opened = browser.new_page(viewport=size, device_scale_factor=1 / scale)  # type: ignore[arg-type]  # a dictionary is one
        opened.set_default_timeout(MILLISECONDS_TO_SHOW)
        opened.add_init_script(
            "localStorage.setItem('dagster-nav-collapsed', 'true');"
            """localStorage.setItem('asset-node-facets', '["checks", "partitions"]');"""
        )
        yield opened
        browser.close()


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended and that its parent has not asked for yet does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _take_picture(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / name)


def test_demo_prints_the_last_week_and_where_to_go_next(demo: Demo) -> None:
    assert demo.process.returncode == 0, demo.process.stderr
    printed = demo.process.stdout
    assert "marts.daily_revenue, last 7 days, EUR" in printed
    assert len(re.findall(r"^  20\d\d-\d\d-\d\d +\d+ ", printed, re.MULTILINE)) == 7
    assert "checks evaluated, every blocking one passed." in printed
    assert re.search(r"In quarantine: \d+ orders, [\d.]+ EUR", printed)
    [typed] = re.findall(r"^  (\S*analytics-pipeline) status$", printed, re.MULTILINE)
    assert shutil.which(typed, path=os.environ["PATH"]) or Path(typed).is_file()
    assert f"  {typed} up\n" in printed
    assert "warning" not in demo.process.stderr


def test_status_after_the_demo_is_fresh(demo: Demo) -> None:
    messages = run("status", folder=demo.home, ANALYTICS_HOME=str(demo.home / "state")).stdout
    assert "no day between them is missing" in messages
    assert re.search(r"freshness +fresh: the last complete business day is ", messages)


def test_the_week_that_the_demo_shows_equals_the_truth(demo: Demo, up: Up) -> None:
    [read] = query(up.database, "select max(extracted_at) as stamp from raw.orders")
    moment: datetime = read["stamp"]
    shop = DemoShop(demo_settings(load_shop("demo")), lambda: moment)
    rows = query(up.database, "select * from marts.daily_revenue order by event_date desc limit 7")
    compared = [measure.name for measure in fields(RevenueTruth) if measure.name not in NEEDS_WHOLE_HISTORY]
    for row in rows:
        truth = shop.truth(row["event_date"]).revenue["EUR"]
        figures = {name: Decimal(str(row[name])) for name in compared}
        assert figures == {name: getattr(truth, name) for name in compared}, row["event_date"]
        assert str(row["event_date"]) in demo.process.stdout
        assert f"{truth.net_sales:.2f}" in demo.process.stdout


def test_up_listens_on_loopback_only(up: Up) -> None:
    tree = [psutil.Process(up.process.pid), *psutil.Process(up.process.pid).children(recursive=True)]
    tree = [process for process in tree if process.name() != "postgres"]  # another user's; it is asked elsewhere
    assert len(tree) >= 4  # itself, the code server, the web server, the daemon
    listening = [
        connection.laddr.ip
        for process in tree
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    assert len(listening) >= 2  # the UI and the demo shop


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium, or put one on the PATH")
def test_the_asset_graph_shows_every_table_of_every_layer(up: Up, wide_page: Page) -> None:
    groups = ",".join(f"global%40global%3A{group}" for group in ("raw", "clean", "ops", "marts"))
    wide_page.goto(f"{up.url}/asset-groups/?expanded={groups}")
    graph = wide_page.locator("svg")
    tables = [contract.table for contract in (*CONTRACTS, SHOP_REPORTS)] + [mart.table for mart in load_marts()]
    expect(graph.get_by_text("Asset checks", exact=True)).to_have_count(len(tables))
    for table in tables:
        expect(graph.get_by_text(table.name, exact=True).first).to_be_visible()
    checked = graph.get_by_text(re.compile(r"^\d+ / \d+ Passed$"))
    expect(checked).to_have_count(len(tables) - len(WITHOUT_CHECKS))
    for text in checked.all_inner_texts():
        passed, of = text.removesuffix(" Passed").split(" / ")
        assert passed == of
    expect(graph.get_by_text(re.compile(r"^\d+% filled$"))).to_have_count(
        sum(bool(table.day_column) for table in tables)
    )
    expect(graph.get_by_text("history", exact=True)).to_be_visible()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium, or put one on the PATH")
def test_the_lineage_of_a_mart_goes_back_to_what_the_shop_sent(up: Up, page: Page) -> None:
    page.goto(f"{up.url}/assets/marts/daily_revenue?view=lineage&lineageScope=upstream")
    graph = page.locator("svg")
    expect(graph.get_by_text("sales", exact=True)).to_be_visible()
    expect(graph.get_by_text("raw", exact=True)).to_have_count(0)
    page.get_by_role("button", name="All", exact=True).click()
    expect(graph.get_by_text("raw", exact=True)).to_be_visible()
    expect(graph.get_by_text("daily_revenue", exact=True)).to_be_visible()
    page.wait_for_timeout(MILLISECONDS_TO_ARRANGE)
    # What is shown of a table comes after its place is.
    expect(graph.get_by_text("Asset checks", exact=True)).to_have_count(5)
    expect(graph.get_by_text(re.compile(r"^\d+ / \d+ Passed$"))).to_have_count(5)
    _take_picture(page, "lineage.png")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium, or put one on the PATH")
def test_the_page_of_a_mart_shows_its_columns_and_its_checks(up: Up, page: Page) -> None:
    mart = next(mart.table for mart in load_marts() if mart.table.name == "daily_revenue")
    page.goto(f"{up.url}/assets/marts/daily_revenue")
    expect(page.get_by_text(mart.description).first).to_be_visible()
    for column in mart.columns:
        row = page.get_by_role("row").filter(has=page.get_by_text(column.name, exact=True))
        expect(row.get_by_text(column.description, exact=True).first).to_be_attached()
        expect(row.get_by_text(column.postgres_type, exact=True).first).to_be_attached()
    expect(page.get_by_text("Latest check results").locator("xpath=..")).to_have_text(re.compile(r"results\s*\d"))
    _take_picture(page, "daily_revenue.png")
    page.goto(f"{up.url}/assets/marts/daily_revenue?view=checks&checkDetail=daily_revenue_equals_the_ledger")
    expect(page.get_by_text("daily_revenue_has_every_day").first).to_be_visible()
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible()
    expect(page.get_by_text("unexplained_difference", exact=True).first).to_be_visible()


def ask(up: Up, query: str, **variables: object) -> dict[str, Any]:
    """Ask the web server by GraphQL, as the UI does."""
    answer = requests.post(f"{up.url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    assert "errors" not in answer, answer
    (found,) = answer["data"].values()
    return dict(found)


def values(tags: list[dict[str, str]]) -> dict[str, str]:
    """The tags of a run by their names."""
    return {tag["key"]: tag["value"] for tag in tags}


def runs_of_the_code_location(up: Up) -> dict[str, dict[str, Any]]:
    """The runs that the UI lists for the job `daily` of the code location, by id."""
    place = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION, "pipelineName": "daily"}
    return {run["runId"]: run for run in ask(up, RUNS_OF_A_JOB, job=place)["runs"]}


def _tree(up: Up) -> list[psutil.Process]:
    return psutil.Process(up.process.pid).children(recursive=True)


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.NoSuchProcess):  # a run that has just ended
        return process.cmdline()
    return []


def test_a_run_of_the_command_line_is_listed_like_the_schedules_and_the_ui_repeats_it(demo: Demo, up: Up) -> None:
    yesterday = query(up.database, "select max(order_date) as day from raw.orders")[0]["day"].isoformat()
    by_hand = run("run", "--date", yesterday, folder=demo.home, ANALYTICS_HOME=str(demo.home / "state"))
    assert by_hand.returncode == 0, by_hand.stderr
    (run_id,) = re.findall(r"checks, run (\S+)", by_hand.stdout)

    listed = runs_of_the_code_location(up)[run_id]
    assert listed["repositoryOrigin"] == {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
    tags = values(listed["tags"])
    tick = ask(up, DRY_TICK, schedule=SCHEDULE, time=time.time())
    (requested,) = tick["evaluationResult"]["runRequests"]
    assert tags["dagster/partition"] == yesterday
    assert "dagster/partition" in values(requested["tags"])
    assert not any("range" in name for name in tags)

    again = ask(up, REPEAT, run={"parentRunId": run_id, "strategy": "ALL_STEPS", "useParentRunTags": True})
    assert again["__typename"] == "LaunchRunSuccess", again
    repeated = str(again["run"]["runId"])
    wait_until(lambda: runs_of_the_code_location(up)[repeated]["status"] in ("SUCCESS", "FAILURE"))
    ended = runs_of_the_code_location(up)[repeated]
    # It had not to import all: what forks runs is below the code server.
    assert [child for child in _tree(up) if any("multiprocessing.forkserver" in word for word in _words(child))]
    assert (ended["status"], ended["parentRunId"]) == ("SUCCESS", run_id)
    assert values(ended["tags"])["dagster/partition"] == yesterday


def test_c46_up_refuses_mutations_by_links_and_foreign_hosts_and_origins(up: Up) -> None:
    reading, writing = "{version}", "mutation { wipeAssets(assetPartitionRanges: []) { __typename } }"
    graphql = f"{up.url}/graphql"
    foreign: list[dict[str, str]] = [{"Host": "evil.example"}, {"Origin": "http://evil.example"}]
    assert requests.get(graphql, {"query": reading}, timeout=30).json()["data"]["version"]
    assert requests.post(graphql, json={"query": "mutation { __typename }"}, timeout=30).json()["data"]
    assert requests.get(graphql, {"query": writing}, timeout=30).status_code == 403
    for headers in foreign:
        assert requests.get(graphql, {"query": reading}, headers=headers, timeout=30).status_code == 403
        assert requests.post(graphql, json={"query": writing}, headers=headers, timeout=30).status_code == 403
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    refused = requests.get(graphql, headers={**upgrade, "Origin": "http://evil.example"}, timeout=30)
    assert refused.status_code == 403


def test_up_ends_when_it_is_interrupted_and_leaves_no_process(demo: Demo, up: Up) -> None:
    """The last of this module, since it ends what the others look at."""
    tree = psutil.Process(up.process.pid).children(recursive=True)
    postmaster = psutil.Process(int((demo.home / "state" / "postgres" / "postmaster.pid").read_text().split()[0]))
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    wait_until(lambda: not any(_is_alive(process) for process in [*tree, postmaster]))
    with pytest.raises(requests.ConnectionError):
        requests.get(up.url, timeout=5)
