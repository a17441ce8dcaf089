"""The embedded server's life: shared, restarted, stopped with its last user, and careful with the rights of folders."""

import atexit
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.embedded import start_embedded_server
from analytics_pipeline.database.slices import query
from analytics_pipeline.errors import SettingsError
from analytics_pipeline_tests.integration.loaded import is_alive, postmaster_of, stop_server, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
OTHER_PROCESS = """
import sys
from pathlib import Path
from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.embedded import start_embedded_server
from analytics_pipeline.database.slices import query
url = start_embedded_server(Path(sys.argv[1]))
print(url, query(Database(url).named("postgres"), sys.argv[2]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A new folder of mode 700, as mktemp -d makes it."""
    folder = Path(tempfile.mkdtemp(prefix="analytics-pipeline-home-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server's own end, which comes first
    yield folder
    stop_server(folder)


def other_process(home: Path, sql: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(home / "postgres"), sql],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def modes_above(folder: Path) -> dict[Path, int]:
    return {above: stat.S_IMODE(above.stat().st_mode) for above in folder.parents}


def answer_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_processes_share_the_server_and_the_last_one_stops_it(home: Path) -> None:
    first = other_process(home, "select 1 as one")
    assert "'one': 1" in answer_of(first)
    postmaster = postmaster_of(home)
    assert postmaster is not None
    second = other_process(home, "create table made_by_second as select 2 as two; select 1")
    second.communicate()
    third = other_process(
        home, "select count(*) as sessions from pg_stat_activity where backend_type = 'client backend'"
    )
    assert "'sessions':" in answer_of(third)

    assert postmaster_of(home) == postmaster
    third.communicate()
    assert is_alive(postmaster)
    first.communicate()
    assert not is_alive(postmaster)


def test_a_killed_user_does_not_keep_the_server_running(home: Path) -> None:
    killed = other_process(home, "select 1 as one")
    assert "'one': 1" in answer_of(killed)
    killed.kill()
    killed.communicate()
    postmaster = postmaster_of(home)
    assert postmaster is not None
    last = other_process(home, "select 1 as one")
    assert "'one': 1" in answer_of(last)
    last.communicate()

    assert not is_alive(postmaster)


def test_a_server_that_was_killed_is_started_again_with_its_data(home: Path) -> None:
    url = start_embedded_server(home / "postgres")
    database = Database(url).named("postgres")
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create table kept as select 7 as value")
        connection.commit()
    assert start_embedded_server(home / "postgres") == url
    first = postmaster_of(home)
    assert first is not None
    first.kill()
    wait_until(lambda: not is_alive(first))

    assert start_embedded_server(home / "postgres") == url
    assert query(database, "select value from kept") == [{"value": 7}]
    assert postmaster_of(home) not in {None, first}


@as_root
def test_a_home_of_mode_700_is_opened_and_nothing_above_it(home: Path) -> None:
    before = modes_above(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    start_embedded_server(home / "postgres")

    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
    assert modes_above(home) == before


@as_root
def test_a_home_below_a_closed_folder_is_refused_and_no_rights_change(home: Path) -> None:
    state = home / "below" / "state"
    state.parent.mkdir()
    before = modes_above(state)

    with pytest.raises(
        SettingsError, match=r"may not enter .*Set ANALYTICS_HOME to a folder that all may enter"
    ) as raised:
        start_embedded_server(state / "postgres")

    assert f"may not enter {home}," in str(raised.value)
    assert modes_above(state) == before
    assert not (state / "postgres").exists()
