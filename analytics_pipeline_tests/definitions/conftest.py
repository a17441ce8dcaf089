"""The packaged code location, and others with a changed shop."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml

from analytics_pipeline.definitions import build_definitions
from analytics_pipeline_tests.conftest import DEMO_DESCRIPTION


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    """The definitions of the packaged demo shop."""
    return build_definitions("demo")


@pytest.fixture
def definitions_of(tmp_path: Path) -> Callable[..., dg.Definitions]:
    """Build the definitions of the demo shop with other settings: `definitions_of(timezone="Europe/London")`."""

    def build(**changes: object) -> dg.Definitions:
        content = yaml.safe_load(DEMO_DESCRIPTION.read_text(encoding="utf-8")) | changes
        path = tmp_path / "shop.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return build_definitions(str(path))

    return build
