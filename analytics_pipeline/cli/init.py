"""`analytics-pipeline init`: a folder of the user's own, with what lies in `project/` beside this module.

What is read from such a folder is said by `settings` and `catalogue`; nothing of it is known here but where it begins.
"""

import re
import shlex
from pathlib import Path

import click

from analytics_pipeline.cli import Command, typed_command
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.orchestration.running import INSTANCE_FILE, instance_file
from analytics_pipeline.settings import SHOP, SHOPS
from analytics_pipeline.shop.schema import FILE, FIRST_LINE, schema_text
from analytics_pipeline.shop.spec import packaged_shops

TEMPLATE = Path(__file__).parent / "project"
EXAMPLE = "my-shop"
"""Name of the shop in the template's files; its variables begin with the same in capitals."""
TO_DESCRIBE = f"Describe the shop's API in `shops/{EXAMPLE}.yaml`."
DESCRIBED = (
    f"The shop is the packaged `{EXAMPLE}`. A description of your own that begins with it: "
    f"`analytics-pipeline shop init NAME --like {EXAMPLE}`."
)
"""What the README says in place of the sentence before, where the shop is a packaged one."""
ITS_TOKEN = "MY_SHOP_TOKEN=\n"  # noqa: S105 - a line of the example, without a value
SHOP_NAME = re.compile("[a-z][a-z0-9_-]*")


@click.command(
    "init",
    cls=Command,
    examples=("analytics-pipeline init analytics --shop garden-shop", "analytics-pipeline init try-it --shop demo"),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--shop", default=EXAMPLE, show_default=True, metavar="NAME", help="Name of the shop; of a packaged one: that one."
)
def command(folder: Path, shop: str) -> None:
    """Write a folder of your own: a shop to fill in, a mart and a seed as examples, settings, files for Dagster.

    Nothing that is there already is written over.
    """
    if not SHOP_NAME.fullmatch(shop):
        raise SettingsError(f"{shop!r} is no name of a shop: small letters, digits, - and _, a letter first.")
    files = project_files(shop)
    if there := [folder / name for name in files if (folder / name).exists()]:
        raise SettingsError(f"{there[0]} exists already, and nothing was written; choose another folder.")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    click.echo(f"{folder}: {', '.join(sorted(files))}\nNext: cd {shlex.quote(str(folder))}, and read its README.md.")
    click.echo(f"It works by `{typed_command(folder)}` and `dagster dev` there.")


def project_files(shop: str) -> dict[str, str]:
    """Return the texts of a new folder by their paths in it; a packaged shop has its description in the package."""
    paths = {str(path.relative_to(TEMPLATE)): path for path in sorted(TEMPLATE.rglob("*")) if path.is_file()}
    is_packaged = shop in packaged_shops()
    if is_packaged:
        del paths[f"shops/{EXAMPLE}.yaml"]
    paths[INSTANCE_FILE] = instance_file()
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    if is_packaged:
        texts["README.md"] = texts["README.md"].replace(TO_DESCRIBE, DESCRIBED)
        # What commands take without --shop: there is no description in shops/.
        texts[".env.example"] = texts[".env.example"].replace(ITS_TOKEN, f"{SHOP}={shop}\n")
    files = {renamed(name, shop): renamed(text, shop) for name, text in texts.items()}
    named = {name: f"{FIRST_LINE}\n{text}" for name, text in files.items() if name.startswith(f"{SHOPS}/")}
    return {**files, **named, FILE: schema_text()}


def renamed(text: str, shop: str) -> str:
    """Put the shop's name in place of the example's, in names of variables too."""
    old, new = (name.upper().replace("-", "_") for name in (EXAMPLE, shop))
    return text.replace(EXAMPLE, shop).replace(old, new)
