"""`analytics-pipeline shop init`: the first lines of a description, from a packaged one, a file or the example."""

import re
from pathlib import Path

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.cli.init import EXAMPLE, SHOP_NAME, TEMPLATE, renamed
from analytics_pipeline.cli.opening import readable_shops
from analytics_pipeline.cli.shop.from_file import described, name_of, show_reading
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.settings import SHOPS, project_folder
from analytics_pipeline.shop.schema import FILE, FIRST_LINE, schema_text
from analytics_pipeline.shop.spec import load_shop, packaged_path, packaged_shops
from analytics_pipeline.shop.twins import same_tables

_NAME_LINE = re.compile(r"^name: .*$", re.MULTILINE)


@click.command(
    "init",
    cls=Command,
    examples=(
        "analytics-pipeline shop init garden-shop",
        "analytics-pipeline shop init garden-shop --like woocommerce",
        "analytics-pipeline shop init --from-file sales_raw.csv",
    ),
    short_help="Begin a description in the shops/ of the project folder.",
)
@click.argument("name", required=False)
@click.option("--like", metavar="PACKAGED", help="Begin with a packaged description; `shop list` names them.")
@click.option(
    "--from-file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Begin with what a file of orders seems to be: CSV, TSV, JSON lines, Parquet or Excel.",
)
def command(name: str | None, like: str | None, file: Path | None) -> None:
    """Write shops/NAME.yaml into the project folder, and beside shops/ the schema by which editors complete it.

    A description that is there already is not written over; the schema is, since it goes with the program's version.
    From a file it is called as the file is, unless NAME says otherwise; what is guessed and unsure is marked.
    """
    name = name or (name_of(file) if file is not None else None)
    if name is None or not SHOP_NAME.fullmatch(name):
        raise SettingsError(f"{name or ''!r} is no name of a shop: small letters, digits, - and _, a letter first.")
    if like is not None and like not in packaged_shops():
        raise SettingsError(f"there is no packaged shop {like!r}; there are: {', '.join(packaged_shops())}.")
    if like is not None and file is not None:
        raise SettingsError("give --like, a packaged description, or --from-file, a file of orders; not both.")
    if file is not None and not file.is_file():
        raise SettingsError(f"{file}: there is no such file.")
    project = project_folder()
    path = project / SHOPS / f"{name}.yaml"
    text = description_of(name, like) if file is None else described(name, file, project)
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise SettingsError(f"{path} exists already, and nothing was written; choose another name.") from None
    (project / FILE).write_text(schema_text(), encoding="utf-8")
    click.echo(f"{path}\n{project / FILE}")
    if file is None:
        click.echo(f"Next: fill it in, and `analytics-pipeline shop check {name}`.")
        if variables := secrets_in(path):
            click.echo(f"It reads from the environment or .env: {', '.join(variables)}")
    else:
        show_reading(path, file)
        first_day = load_shop(path).first_day
        click.echo(f"Next: look over it, then `analytics-pipeline shop check {name}` and, for all its days,")
        click.echo(f"`analytics-pipeline run --shop {name} --from {first_day}`.")
    for one in same_tables(load_shop(path), readable_shops(map(str, sorted(path.parent.glob("*.yaml"))))):
        click.echo(f"Before that: {one}.")


def description_of(name: str, like: str | None) -> str:
    """Return the text of a new description, whose first line names the schema.

    Args:
        name: The shop's.
        like: A packaged shop to begin with; the example when None.
    """
    path = packaged_path(like) if like else TEMPLATE / SHOPS / f"{EXAMPLE}.yaml"
    text = path.read_text(encoding="utf-8")
    text = _NAME_LINE.sub(f"name: {name}", text, count=1) if like else renamed(text, name)
    return text if text.startswith(FIRST_LINE) else f"{FIRST_LINE}\n{text}"


def secrets_in(path: Path) -> list[str]:
    """Return the names of the variables that a description refers to, in order."""
    load_shop(path)
    found = re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)", _without_comments(path.read_text(encoding="utf-8")))
    return list(dict.fromkeys(found))


def _without_comments(text: str) -> str:
    return "\n".join(re.sub(r"(^|\s)#.*$", "", line) for line in text.splitlines())
