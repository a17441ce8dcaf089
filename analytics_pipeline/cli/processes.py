"""Processes that run together until one of them ends or somebody asks: started, asked to end, and none left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

SECONDS_TO_STOP = 20
SECONDS_BETWEEN_TRIES = 0.2


@dataclass
class Processes:
    """Processes of this one, each with all that it starts in a session of its own.

    Ctrl-C reaches this process alone, which then asks the others to end in order. From the first one on, SIGINT and
    SIGTERM ask for the end.

    Attributes:
        inherited: Open files that each process shall hold too.
    """

    inherited: Sequence[int] = ()
    _started: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _is_asked: bool = False

    def __post_init__(self) -> None:
        # Before anything starts, so that no signal finds a process running and nobody who ends it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._is_asked = True

    def start(self, command: Sequence[str]) -> None:
        """Start a process, unless the end has been asked for."""
        if self._is_asked:
            return
        # A file of the current folder must not stand in for a module of the same name (PYTHONSAFEPATH).
        safely = {**os.environ, "PYTHONSAFEPATH": "1"}
        self._started.append(
            subprocess.Popen(command, start_new_session=True, env=safely, pass_fds=self.inherited)  # noqa: S603 - ours
        )

    @property
    def are_to_go_on(self) -> bool:
        """Whether nobody has asked for the end and no process has ended by itself."""
        return not self._is_asked and all(process.poll() is None for process in self._started)

    def wait(self) -> int:
        """Wait for the end, and end what still runs, the last one first.

        Returns:
            0 when somebody asked for it, else the exit code of the process that ended by itself, or 1.
        """
        while self.are_to_go_on:
            time.sleep(SECONDS_BETWEEN_TRIES)
        ended = [process.returncode for process in self._started if process.poll() is not None]
        for process in reversed(self._started):
            _end(process)
        return 0 if self._is_asked else next((code for code in ended if code), 1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, and see to it that nothing of its session is left."""
    with suppress(subprocess.TimeoutExpired):
        # As kill asks, and not as Ctrl-C does: one that is still importing would print where it was.
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS_TO_STOP)
    left = [found for found in psutil.process_iter() if _session_of(found.pid) == process.pid]
    for found in left:
        with suppress(psutil.NoSuchProcess):
            found.terminate()
    _, alive = psutil.wait_procs(left, timeout=SECONDS_TO_STOP)
    for found in alive:
        with suppress(psutil.NoSuchProcess):
            found.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_STOP)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
