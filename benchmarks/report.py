"""How results are shown: markdown tables, the machine they come from, and the place in README.md where they stand."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.measuring import Samples

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table, aligned to be read as text too: first column left, others right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(aligned)} |"

    rule = [("-" * (width - 1) + ":") if number else "-" * width for number, width in enumerate(widths)]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def seconds(samples: Samples) -> str:
    """Return the median wall time."""
    return f"{samples.seconds:.2f} s"


def spread(samples: Samples) -> str:
    """Return the shortest and the longest wall time."""
    shortest, longest = samples.spread
    return f"{shortest:.2f}-{longest:.2f} s"


def megabytes(samples: Samples) -> str:
    """Return the peak memory; a dash for what is no process."""
    return "-" if samples.megabytes is None else f"{samples.megabytes:.0f} MB"


def goal(finding: str, *, is_met: bool) -> str:
    """Return a line that says whether a goal is reached."""
    return f"- {'met' if is_met else '**not met**'}: {finding}"


def machine(postgres_version: str) -> str:
    """Return what was measured on, and when."""
    memory = psutil.virtual_memory().total / 1_000_000_000
    return (
        f"{datetime.now(UTC).date()} on {os.cpu_count()} cores ({_processor()}), {memory:.0f} GB of memory, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, PostgreSQL {postgres_version}"
    )


def write_results(text: str) -> None:
    """Put the results between the two markers of README.md."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def write_part(part: str, text: str, measured: str) -> None:
    """Put the results of one part in the place of its earlier ones in README.md, or behind the others.

    Args:
        part: Its letter.
        text: Its results, from the heading on.
        measured: On what they were measured, which may be another machine than that of the others.
    """
    heading, _, rest = text.partition("\n")
    section = f"{heading}\n\n{measured}\n{rest}"
    before, _, results = README.read_text(encoding="utf-8").partition(BEGIN)
    results, _, after = results.partition(END)
    sections = re.split(r"^(?=### )", results, flags=re.MULTILINE)
    others = [one.strip("\n") for one in sections if not one.startswith(f"### {part}. ")]
    later = next((place for place, one in enumerate(others) if one.startswith("### ") and one[4] > part), len(others))
    message = "\n\n".join([*others[:later], section.strip("\n"), *others[later:]])
    README.write_text(f"{before}{BEGIN}\n{message}\n{END}{after}", encoding="utf-8")


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown processor"
