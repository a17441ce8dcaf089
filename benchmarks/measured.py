"""Runs one command and reports wall time, CPU time and peak memory of its process, as a line of JSON.

    python -m benchmarks.measured COMMAND [ARGUMENT ...]

A process of its own, with nothing imported: a child begins with its parent's size as its peak, so the parent has to be
small. Output of the command goes to standard error.
"""

import json
import os
import subprocess
import sys
import time


def main() -> int:
    """Run the command line's rest and return its exit code."""
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    spent = usage.ru_utime + usage.ru_stime
    print(json.dumps({"seconds": seconds, "megabytes": kilobytes * 1024 / 1_000_000, "processor": spent}))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    raise SystemExit(main())
