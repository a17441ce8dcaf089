"""The JSON Schema of a description, for editors that complete and check YAML while it is written.

Generated from the models: keys, types, choices and what is required from their annotations, explanations from the
`Attributes:` of their docstrings. What only a whole file can be wrong in (a parameter set twice, say) it does not know:
`read_description` does.
"""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from analytics_pipeline.shop.loading import models_of
from analytics_pipeline.shop.spec import Shop

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = "shop.schema.json"
"""Name of the file in a project folder, beside its `shops/`."""
FIRST_LINE = f"# yaml-language-server: $schema=../{FILE}"
"""First line of a description in `shops/`, by which editors find the schema."""
_ENTRY = re.compile(r"^ {4}(\w+): (.*)$")


def description_schema() -> dict[str, Any]:
    """Return the schema as JSON's values."""
    schema = Shop.model_json_schema()
    models = {"Shop": schema, **schema["$defs"]}
    for model in _models(Shop):
        if model.__name__ in models:
            _explain(models[model.__name__], model)
    return {"$schema": DIALECT, **schema, "title": "Description of a shop"}


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(description_schema(), indent=2, sort_keys=False) + "\n"


def attribute_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a model and its bases say of its fields, by field."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel):
            found.update(_attributes(inspect.cleandoc(base.__doc__ or "")))
    return {name: text for name, text in found.items() if name in model.model_fields}


def _explain(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put the docstring's words where editors show them, and take out the titles that pydantic makes of names."""
    schema.pop("title", None)
    schema["description"] = inspect.cleandoc(model.__doc__ or "").partition("\n\nAttributes:")[0]
    explained = attribute_descriptions(model)
    for name, field in model.model_fields.items():
        shown = schema["properties"][field.alias or name]
        shown.pop("title", None)
        if name in explained:
            shown["description"] = explained[name]


def _attributes(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield the entries of a docstring's section `Attributes:`."""
    _, _, section = docstring.partition("\nAttributes:\n")
    name, lines = "", list[str]()
    for line in section.splitlines():
        if (entry := _ENTRY.match(line)) is not None:
            if name:
                yield name, " ".join(lines)
            name, lines = entry[1], [entry[2]]
        elif line.strip():
            lines.append(line.strip())
    if name:
        yield name, " ".join(lines)


def _models(model: type[BaseModel], found: dict[str, type[BaseModel]] | None = None) -> list[type[BaseModel]]:
    """Return a model and all models within it."""
    found = {} if found is None else found
    if model.__name__ not in found:
        found[model.__name__] = model
        for field in model.model_fields.values():
            for part in models_of(field.annotation):
                _models(part, found)
    return list(found.values())
