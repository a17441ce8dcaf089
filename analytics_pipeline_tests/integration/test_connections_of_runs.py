"""How many connections a run opens, as the server counts them."""

from pathlib import Path

import pytest

from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.loaded import wait_until

MOST = 4


@pytest.mark.parametrize("options", [("--date", "2025-01-03"), ("--from", "2025-01-01", "--to", "2025-01-03")])
def test_a_run_opens_four_connections_to_the_data_at_most(
    loaded: Pipeline, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Two of psycopg, since the ledger is sent while its step asks, one of ADBC and one that ADBC opens for itself."""
    settings = {
        "ANALYTICS_HOME": str(tmp_path / "home"),
        "ANALYTICS_DATABASE_URL": loaded.database.url,
        "ANALYTICS_SHOP": str(loaded.description),
    }
    loaded.rows("select 1 as one")  # this process's own is open, and counted before

    def sessions() -> int:
        """Sessions that ever began; a session is counted at its end, at the latest."""
        [row] = loaded.rows("select sessions as n from pg_stat_database where datname = current_database()")
        return int(str(row["n"]))

    wait_until(lambda: sessions() > 0)
    before = sessions()

    done = run("run", *options, folder=tmp_path, **settings)

    assert done.returncode == 0, done.stderr
    wait_until(lambda: sessions() > before)
    assert loaded.rows("select count(*) as n from pg_stat_activity where datname = current_database()") == [{"n": 1}]
    assert 1 <= sessions() - before <= MOST
