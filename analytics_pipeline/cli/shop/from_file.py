"""A description that is begun from a file of orders, and what becomes of that file by it."""

import re
from collections import Counter
from pathlib import Path

import click

from analytics_pipeline.errors import FileRefusedError
from analytics_pipeline.plain import counted
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.shop.schema import FIRST_LINE
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.files.describing import UNSURE, description_text, pattern_of
from analytics_pipeline.sources.files.finding import LocalFolder
from analytics_pipeline.sources.files.guessing import guess
from analytics_pipeline.sources.files.opening import opened
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline.sources.files.reading import read_rows
from analytics_pipeline.sources.files.rows import REASONS


def name_of(file: Path) -> str:
    """A shop's name made of a file's: small letters, digits and hyphens."""
    stem = re.sub(r"[^a-z0-9]+", "-", file.name.lower().partition(".")[0]).strip("-")
    return stem if stem[:1].isalpha() else f"shop-{stem}".rstrip("-")


def described(name: str, file: Path, project: Path, pattern: str | None = None) -> str:
    """Return the text of a description for files like this one.

    Args:
        name: The shop's.
        file: A file of orders.
        project: The folder that the description is written into.
        pattern: Which files of the folder are meant; those named like this one when None.

    Raises:
        FileRefusedError: The file cannot be read as a table at all.
    """
    found = guess(file)
    folder = file.resolve().parent
    inside = folder.is_relative_to(project.resolve())
    place = folder.relative_to(project.resolve()).as_posix() if inside else str(folder)
    return f"{FIRST_LINE}\n{description_text(found, name, place, pattern or pattern_of(file.name))}"


def show_reading(description: Path, file: Path) -> None:
    """Show what is unsure about a description, and how many rows of the file can be read by it."""
    unsure = [line.strip() for line in description.read_text(encoding="utf-8").splitlines() if UNSURE in line]
    if unsure:
        click.echo(f"Unsure, {counted(len(unsure), 'line')}:")
        for line in unsure:
            click.echo(f"  {re.sub(' {2,}', '  ', line)}")
    reading = load_shop(description).orders
    if not isinstance(reading, Reading):
        return
    try:
        rows, reasons = _read(file, reading)
    except FileRefusedError as error:
        click.echo(f"As it stands the file is refused: {error}")
        return
    click.echo(f"By it {counted(rows, 'row')} of {file.name} can be read.")
    for reason, count in sorted(reasons.items()):
        click.echo(f"  {counted(count, 'row')} not: {REASONS[reason]}")


def _read(file: Path, reading: Reading) -> tuple[int, Counter[str]]:
    """Return the number of rows that can be read, and why others cannot."""
    rows, reasons = 0, Counter[str]()
    (found, *_) = members(LocalFolder(file.parent).at(file.name), reading)
    with opened(found, reading) as content:
        for chunk in read_rows(content):
            bad = {fault.line for fault in chunk.unreadable}
            rows += len(chunk.records) - len(bad)
            reasons.update(one.reason for one in (*chunk.faults, *chunk.unreadable, *chunk.excluded))
    return rows, reasons
