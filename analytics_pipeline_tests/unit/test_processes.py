"""Processes that `up` runs together, and how they end."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from analytics_pipeline.cli.processes import Processes


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_ctrl_c_ends_a_process_that_is_still_importing_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    processes, (reading, writing) = Processes(), os.pipe()
    importing = f"import os, time; os.close({writing}); time.sleep(60)"
    processes.inherited = [writing]
    processes.start([sys.executable, "-c", importing])
    os.close(writing)
    assert os.read(reading, 1) == b""  # once the process runs
    os.close(reading)

    os.kill(os.getpid(), signal.SIGINT)

    assert processes.wait() == 0
    assert capfd.readouterr().err == ""


def test_the_exit_code_is_that_of_a_process_that_ended_by_itself() -> None:
    processes = Processes()
    processes.start([sys.executable, "-c", "raise SystemExit(7)"])
    assert processes.wait() == 7
