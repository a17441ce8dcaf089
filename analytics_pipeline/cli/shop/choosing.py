"""Which description a command of `shop` means: a name of the project folder or the package, or a path."""

import os
from pathlib import Path

from analytics_pipeline.settings import SHOP, Settings


def chosen(reference: str) -> str:
    """Return what `load_shop` takes: a name is that of a description in the project folder first."""
    is_file = Path(reference).suffix != "" or len(Path(reference).parts) > 1
    environment = {**os.environ, SHOP: str(Path(reference).absolute()) if is_file else reference}
    return Settings.from_environment(environment).shop
