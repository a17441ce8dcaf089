"""Reading a description's YAML into a model, and telling all that is wrong with it: line, key path, fault, remedy.

Works for any pydantic model of protocol.py's kind; what the keys mean is said by the models in spec.py. Values are
shown only where they can be no secret.
"""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from analytics_pipeline.errors import DescriptionError

Described = TypeVar("Described", bound=BaseModel)
KeyPath = tuple[str | int, ...]

_UNIONS, _AT_THE_TOP = {"pagination"}, {"auth", "report", "orders", "customers", "products"}
"""Keys (some at the top alone) below which pydantic adds what was chosen to the location of a fault."""
_MAY_HOLD_SECRETS = {"auth", "base_url", "headers", "params", "body", "webhooks"}
_SHOWN_CHARACTERS = 80
_MOST_LEVELS = 50
_MOST_VALUES = 20_000


class _Loader(yaml.SafeLoader):
    """YAML without dates: 2025-13-45 stays text, so that the model can tell what is wrong with it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_description(path: Path, model: type[Described]) -> Described:
    """Reads a YAML file into the model.

    Raises:
        DescriptionError: The file cannot be read or is wrong; one line for each fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DescriptionError(f"cannot read the shop description {path}: {reason}") from None
    root, data = _parse(path, text)
    faults = list(_repeated_keys(root, ()))
    try:
        described = model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
        faults += [_fault(model, root, details) for details in found]
    else:
        if not faults:
            return described
    listed = "".join(f"\n  {line}" for _, line in sorted(faults))
    raise DescriptionError(f"{path}: the shop description is wrong{listed}")


def _parse(path: Path, text: str) -> tuple[yaml.MappingNode, object]:
    """The same document as nodes, which know their lines, and as plain data."""
    try:
        message = _shape_fault(text)
        if message is not None:
            raise DescriptionError(f"{path}: {message}")
        root = yaml.compose(text, _Loader)
        data = yaml.load(text, _Loader)  # noqa: S506  # derived from SafeLoader
    except yaml.YAMLError as error:
        message = _syntax_fault(error)
    except (ValueError, OverflowError, TypeError) as error:  # a number of 5,000 digits, a tag that does not fit
        message = f"a value cannot be read ({type(error).__name__}): put text and large numbers in quotes"
    else:
        if isinstance(root, yaml.MappingNode):
            return root, data
        message = "a shop description is a mapping of keys such as name, base_url and orders"
    raise DescriptionError(f"{path}: {message}")


def _shape_fault(text: str) -> str | None:
    """What of a document's shape no reader should follow: too deep, too large once its aliases are put in, endless.

    The parser's events come one by one, whatever the depth; what follows them calls itself at each level.
    """
    open_anchors: list[str | None] = []  # of the collections around, outermost first
    sizes: list[int] = [0]
    anchored: dict[str, int] = {}
    for event in yaml.parse(text, _Loader):
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append(event.anchor)
            sizes.append(1)
            if len(open_anchors) > _MOST_LEVELS:
                return f"line {line}: the file has more than {_MOST_LEVELS} levels; a description needs a few"
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_anchors.pop(), sizes.pop()
            sizes[-1] += size
            if anchor is not None:
                anchored[anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in open_anchors:
                return f"line {line}: *{event.anchor} stands within what it repeats; write the value out"
            sizes[-1] += anchored.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[-1] += 1
        if sizes[-1] > _MOST_VALUES:
            return f"line {line}: the file has more than {_MOST_VALUES} values with its aliases; write fewer"
    return None


def _syntax_fault(error: yaml.YAMLError) -> str:
    """The fault without the library's excerpt of the file, which may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    parts = [getattr(error, "context", None), getattr(error, "problem", None) or getattr(error, "reason", None)]
    fault = ", ".join(filter(None, parts)) or "it cannot be parsed"
    hint = '; put a placeholder in quotes: "{{cursor}}"' if "unhashable key" in fault else ""
    return f"{line}this is no YAML: {fault}{hint}"


def _repeated_keys(node: yaml.Node, path: KeyPath) -> Iterator[tuple[int, str]]:
    """YAML readers keep the last of two equal keys without a word; here that is a fault."""
    children: list[tuple[str | int, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                yield line, f"line {line}: {_dotted((*path, key.value))}: is given twice; keep one"
            seen.add(key.value)
            children.append((key.value, value))
    elif isinstance(node, yaml.SequenceNode):
        children.extend(enumerate(node.value))
    for step, child in children:
        yield from _repeated_keys(child, (*path, step))


def _fault(model: type[BaseModel], root: yaml.Node, details: ErrorDetails) -> tuple[int, str]:
    path = _key_path(details["loc"])
    line = _line_of(root, path)
    return line, f"line {line}: {_dotted(path) or 'the description'}: {_describe(model, path, details)}"


def _key_path(location: KeyPath) -> KeyPath:
    chosen = {
        place + 1 for place, step in enumerate(location) if step in _UNIONS or (place == 0 and step in _AT_THE_TOP)
    }
    return tuple(step for place, step in enumerate(location) if place not in chosen)


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _line_of(node: yaml.Node, path: KeyPath) -> int:
    """Line of the key at the path, or of the nearest mapping above it."""
    line = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == step), None)
            if entry is None:
                return line
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def _describe(model: type[BaseModel], path: KeyPath, details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), _allowed_keys(model, details["loc"][:-1]))
    if kind == "missing":
        return "is missing"
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        tags = context.get("expected_tags") or "the type of each is listed in the documentation of shops"
        return f"type is missing or unknown; allowed: {tags}" if kind.endswith("invalid") else "type is missing"
    if kind == "value_error":
        message = str(context["error"])
    elif kind == "literal_error":
        message = f"must be {context['expected']}"
    elif kind == "string_type":
        message = "must be text; put it in quotes if it is"
    elif kind == "string_pattern_mismatch":
        message = f"does not have the form {context['pattern']}"
    else:
        message = details["msg"]
    return message + _given(path, details["input"])


def _given(path: KeyPath, value: object) -> str:
    if _MAY_HOLD_SECRETS.intersection(path) or isinstance(value, dict | list):
        return ""
    return f" (given: {repr(value)[:_SHOWN_CHARACTERS]})"


def _unknown_key(key: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, allowed, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"is no key of a description; {hint}allowed here: {', '.join(allowed)}"


def _allowed_keys(model: type[BaseModel], location: KeyPath) -> list[str]:
    """Keys of the model at a location, following pydantic's steps: field names, list positions and union types."""
    models = [model]
    for step in location:
        if isinstance(step, str) and any(step in found.model_fields for found in models):
            models = [part for found in models for part in models_of(found.model_fields[step].annotation)]
        elif isinstance(step, str):
            models = [found for found in models if step in _choices(found)] or models  # else a name of the shop's own
    return sorted({field.alias or name for found in models for name, field in found.model_fields.items()})


def _choices(model: type[BaseModel]) -> tuple[str, ...]:
    """What pydantic calls a model of a union: its `type`, or its name where it has none."""
    return get_args(model.model_fields["type"].annotation) if "type" in model.model_fields else (model.__name__,)


def models_of(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401  # annotations have no common type
    """Return the models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for argument in get_args(annotation) for part in models_of(argument)]
