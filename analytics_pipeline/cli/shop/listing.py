"""`analytics-pipeline shop list`: the descriptions that there are, in the project folder and in the package."""

from collections.abc import Iterator
from pathlib import Path

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.errors import DescriptionError
from analytics_pipeline.settings import SHOPS, project_folder
from analytics_pipeline.shop.spec import load_shop, packaged_path, packaged_shops


@click.command(
    "list",
    cls=Command,
    examples=("analytics-pipeline shop list",),
    short_help="List your own descriptions and the packaged ones.",
)
def command() -> None:
    """List the descriptions of the project folder, then the packaged ones, each with what its first line says."""
    project = project_folder()
    own = sorted((project / SHOPS).glob("*.yaml"))
    for path in own:
        click.echo(f"{path.stem:16} {path}: {_describe(path)}")
    for name in packaged_shops():
        click.echo(f"{name:16} packaged: {_purpose(packaged_path(name))}")
    if not own:
        click.echo("\nNone of your own yet: `analytics-pipeline shop init NAME --like PACKAGED` begins one.")


def _describe(path: Path) -> str:
    try:
        shop = load_shop(path)
    except DescriptionError as error:
        faults = str(error).count("\n")
        return f"wrong, {faults} faults; see `shop check {path.stem}`" if faults > 1 else "wrong; see `shop check`"
    where = f", in {shop.namespace}_raw and so on" if shop.namespace else ""
    return f"shop {shop.name}, {shop.currency}, {shop.timezone}, since {shop.first_day}{where}"


def _purpose(path: Path) -> str:
    """Return the first comment of a description that is no instruction to an editor."""
    return next(_comments(path), "")


def _comments(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "yaml-language-server" not in line:
            yield line.lstrip("# ")
