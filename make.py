#!/usr/bin/env python3
"""Everything that a contributor does, with nothing but Python 3.11 or newer: `python3 make.py TASK`.

Makes a virtual environment in .venv, installs the pinned dependencies into it, and runs the task there. Needs the
standard library only.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"
CONSTRAINTS = HERE / "constraints.txt"
OLDEST_PYTHON = (3, 11)

TASKS: dict[str, tuple[str, str, list[list[str]]]] = {
    "demo": ("load 30 days of the demo shop and show the last week", "", [["-m", "analytics_pipeline", "demo"]]),
    "up": ("start the Dagster UI, the daily schedule and the demo shop", "", [["-m", "analytics_pipeline", "up"]]),
    "test": (
        "run all tests on several cores; with further arguments, pytest with them in one process",
        "test",
        [["-m", "pytest"]],
    ),
    "trials": (
        "follow a changing shop for weeks, load a real year in other orders, kill what runs: an hour",
        "test",
        [["-m", "pytest", "-s", "-o", "python_files=trial_*.py", "analytics_pipeline_tests/trials"]],
    ),
    "check": (
        "format check, lint and strict type check",
        "test",
        [["-m", "ruff", "format", "--check", "."], ["-m", "ruff", "check", "."], ["-m", "mypy"]],
    ),
    "bench": (
        "run the benchmarks and write benchmarks/README.md; further arguments go to them",
        "benchmark",
        [["-m", "benchmarks"]],
    ),
    "install": ("only make .venv, with the tools for tests", "test", []),
}

WITHOUT_ARGUMENTS = {
    "test": ["-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"],
}
"""What a task is given when the command line gives it nothing."""


def main() -> int:
    """Run the task that the command line names and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="tasks:\n"
        + "\n".join(f"  {name:8} {what}" for name, (what, _, _) in TASKS.items())
        + "\n\nexamples:\n  python3 make.py demo\n  python3 make.py test -k daily_revenue",
    )
    parser.add_argument("task", choices=TASKS, metavar="TASK")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the task")
    chosen = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        print(
            f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed; this is {sys.version.split()[0]}.",
            file=sys.stderr,
        )
        return 2
    _, extra, commands = TASKS[chosen.task]
    arguments = chosen.arguments or WITHOUT_ARGUMENTS.get(chosen.task, [])
    python = install(extra)
    if not commands:
        return 0
    for command in commands[:-1]:
        code = subprocess.call([python, *command], cwd=HERE)
        if code:
            return code
    last = [python, *commands[-1], *arguments]
    if os.name != "nt":
        # The task takes this process's place: Ctrl-C and `kill` reach it, and it ends in its own time.
        sys.stdout.flush()
        os.chdir(HERE)
        os.execv(python, last)  # noqa: S606 - no shell is wanted
    return subprocess.call(last, cwd=HERE)


def install(extra: str) -> str:
    """Bring .venv up to date with the pinned dependencies of an extra, and return its interpreter."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in (CONSTRAINTS, HERE / "pyproject.toml"))).hexdigest()
    stamp = ENVIRONMENT / f"installed-{extra or 'base'}"
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    if not python.exists():
        print(f"making {ENVIRONMENT} ...", flush=True)
        venv.create(ENVIRONMENT, with_pip=True)
    print("installing the pinned dependencies (about a minute) ...", flush=True)
    target = f".[{extra}]" if extra else "."
    # pip takes a blank in these variables for the end of a name: so they name the file from within this folder.
    pinned = {
        "PIP_CONSTRAINT": CONSTRAINTS.name,
        "PIP_BUILD_CONSTRAINT": CONSTRAINTS.name,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--editable", target],
        check=True,
        cwd=HERE,
        env={**os.environ, **pinned},
    )
    stamp.write_text(wanted)
    return str(python)


if __name__ == "__main__":
    raise SystemExit(main())
