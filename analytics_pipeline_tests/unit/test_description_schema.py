"""The JSON Schema of descriptions: what editors refuse is what loading refuses, and nothing that loads is refused."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from analytics_pipeline.cli.init import TEMPLATE
from analytics_pipeline.errors import DescriptionError
from analytics_pipeline.shop.schema import description_schema
from analytics_pipeline.shop.spec import load_shop, packaged_path, packaged_shops

EXAMPLES = [
    *(packaged_path(name) for name in packaged_shops()),
    *sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.yaml")),
    TEMPLATE / "shops" / "my-shop.yaml",
]
VALIDATOR = jsonschema.Draft202012Validator(description_schema())


class _Loader(yaml.SafeLoader):
    """YAML as editors read it: days stay texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _values(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - made of SafeLoader
    return values


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(description_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_description_of_the_project_fits_it(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(_values(path))] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("currancy",), "EUR"),
        (("currency",), "Euro"),
        (("due_by",), "25:00"),
        (("daily_run_hour",), 24),
        (("auth",), {"type": "bearer", "token": "a-token-in-the-file"}),
        (("auth",), {"type": "magic"}),
        (("orders", "pagination"), {"type": "offset", "size": 0}),
        (("orders", "fields"), {"order_id": "id"}),
        (("orders", "empty"), {"customer_id": 1.5}),
        (("orders", "created_window", "format"), "iso"),
        (("late_changes", "every_minutes"), 0),
    ],
)
def test_what_loading_refuses_for_its_form_the_schema_refuses_too(
    place: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    values = _values(packaged_path("demo"))
    around = values
    for key in place[:-1]:
        around = around.setdefault(key, {})
    around[place[-1]] = value
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(DescriptionError):
        load_shop(path)
    assert list(VALIDATOR.iter_errors(values))


def test_one_value_or_several_may_stand_for_nothing() -> None:
    values = _values(packaged_path("demo"))
    values["orders"]["empty"] = {"customer_id": "0", "email": ["-", False]}
    assert list(VALIDATOR.iter_errors(values)) == []


def test_a_reader_is_told_what_a_key_is_for() -> None:
    window = description_schema()["$defs"]["Window"]["properties"]
    assert window["from"]["description"].startswith("Whether the lower bound belongs to what is asked for")


def test_every_key_is_explained() -> None:
    schema = description_schema()
    models = {"Shop": schema, **schema["$defs"]}
    unexplained = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, described in model.get("properties", {}).items()
        if key != "type" and not described.get("description")
    ]
    assert unexplained == []
