"""Which description a command of `shop` means: a name of the project folder or the package, or a path."""

from collections.abc import Callable
from typing import Any

import click

from analytics_pipeline.cli import choose_shop


def shop_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an argument that says what `--shop` does, which is left out where it is clear."""
    return click.argument(
        "named", required=False, callback=choose_shop, expose_value=False, is_eager=True, metavar="[NAME|FILE]"
    )(command)
