"""How everything here is measured: contenders take turns (A B A B), and their median and spread are shown.

What is measured is said by the parts; how results are reported, by `report`.
"""

import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Measured:
    """One measurement: wall time and, for a process, the peak of its resident memory (10^6 bytes) and its CPU time."""

    seconds: float
    megabytes: float | None = None
    processor: float = 0.0


@dataclass
class Samples:
    """All measurements of one thing."""

    measured: list[Measured] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median of the wall times."""
        return statistics.median(sample.seconds for sample in self.measured)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest wall time."""
        times = [sample.seconds for sample in self.measured]
        return min(times), max(times)

    @property
    def megabytes(self) -> float | None:
        """The largest of the peaks; None for what is no process of its own."""
        return max((sample.megabytes for sample in self.measured if sample.megabytes is not None), default=None)


Results = dict[str, Samples]
"""Samples by what was measured."""
Contender = Callable[[], Mapping[str, Measured]]
"""Does its work once, on fresh ground, and says what it measured."""


def take_turns(contenders: Sequence[Contender], repeat: int) -> Results:
    """Let every contender work `repeat` times, in turns, and collect what they measured."""
    results: Results = defaultdict(Samples)
    for turn in range(1, repeat + 1):
        for contender in contenders:
            for what, measured in contender().items():
                results[what].measured.append(measured)
                note(f"{turn}/{repeat} {what}: {measured.seconds:.2f} s")
    return dict(results)


class Stopwatch:
    """The time of a block: see `stopwatch`."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.seconds = 0.0

    def stop(self) -> None:
        """Keep the time since the start."""
        self.seconds = time.perf_counter() - self._started


@contextmanager
def stopwatch() -> "Iterator[Stopwatch]":
    """Measure the block; `seconds` is there after it."""
    watch = Stopwatch()
    yield watch
    watch.stop()


def run_process(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Measured:
    """Run a command as a process and return its wall time and peak memory.

    Args:
        command: Program and arguments.
        environment: All its variables.
        folder: Its working folder.

    Raises:
        RuntimeError: It failed; the message ends with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measured", *command],
        env=dict(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}"
        raise RuntimeError(message)
    return Measured(**json.loads(done.stdout))


def note(line: str) -> None:
    """Describe progress, apart from the results."""
    print(line, file=sys.stderr, flush=True)
