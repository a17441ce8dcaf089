"""Reading a few values out of JSON text in one pass, keeping the rest as the bytes that came.

An answer that is no JSON only within some of its records is cut into them all the same (`tolerant`).

Readers are built once, and kept, from the dotted paths of a description; msgspec skips what is not asked for. A
value that is absent, null, or lies inside something that is no object reads as None, as with JMESPath.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Union

import msgspec

from analytics_pipeline.decoding.mapping import compile_path, decode, decode_with, is_plain_path, mended
from analytics_pipeline.decoding.tolerant import cut_list

THE_ANSWER_ITSELF = "@"
Reader = Callable[[bytes], Sequence[object]]
KEPT_READERS = 256
"""More than a description has: a list may be asked for once an order, and each reader is made of classes of its own."""

_Plain = Union[str, int, float, bool, None]  # noqa: UP007  # joined with types that are made at run time
_AnyKeepingRecords = Union[list[msgspec.Raw], dict[str, msgspec.Raw], _Plain]  # noqa: UP007  # as above


def envelope_reader(records: str, others: Sequence[str]) -> Reader:
    """A reader of an answer: the value at `records` (a list comes as list of its elements' bytes), then the others.

    Args:
        records: A dotted path, "@" for the answer itself, or a path with one `[]`, such as `data.edges[].node`: then
            what lies behind it in each element is the record; an element without it stands for itself.
        others: Dotted paths of further values.

    The reader raises `msgspec.ValidationError` for an answer that is no object (no list, when records is "@"), any
    other ValueError for text that is no JSON and cannot be cut into records.
    """
    return _envelope_reader(records, tuple(others))


@lru_cache(maxsize=KEPT_READERS)
def _envelope_reader(records: str, others: tuple[str, ...]) -> Reader:
    listed, _, within = records.partition("[].")
    if records == THE_ANSWER_ITSELF:
        decoder = msgspec.json.Decoder(list[msgspec.Raw])
        read: Reader = lambda body: [decode_with(decoder.decode, body)]  # noqa: E731
        path: tuple[str, ...] = ()
    else:
        read = partial(decode_with, _struct_reader([listed, *others], {listed: _AnyKeepingRecords}))
        path = tuple(listed.split("."))
    take = _inner_reader(within) if within else bytes

    def read_all(body: bytes) -> Sequence[object]:
        try:
            found, *values = read(body)
        except msgspec.ValidationError:
            raise
        except (ValueError, ArithmeticError, RecursionError) as error:
            found, values = _cut(body, path, read, error)
        return [[take(record) for record in found] if isinstance(found, list) else found, *values]

    return read_all


def _inner_reader(path: str) -> Callable[[bytes], bytes]:
    """From the bytes of an element to those of what lies in it at a path; the element's own where nothing does."""
    read = _struct_reader([path], {path: msgspec.Raw})

    def take(element: bytes) -> bytes:
        try:
            (found,) = read(element)
        except (ValueError, ArithmeticError, RecursionError):  # an odd record is judged elsewhere
            found = None
        text = bytes(found) if isinstance(found, msgspec.Raw) else b"null"
        return bytes(element) if text == b"null" else text

    return take


def _cut(body: bytes, path: tuple[str, ...], read: Reader, error: Exception) -> tuple[object, list[object]]:
    """The records of an answer that is no JSON, and what stands beside them."""
    fault = ValueError(str(error))
    try:
        parts = cut_list(mended(body), path)
        if parts is None:
            raise fault
        records, rest = parts
        return records, list(read(rest)[1:])
    except (ArithmeticError, RecursionError):
        raise fault from None


def record_reader(paths: Sequence[str]) -> Reader:
    """A reader of one record: the values at the paths, which may be any JMESPath; floats come as Decimal.

    The reader raises ValueError for a record that is no object.
    """
    return _record_reader(tuple(paths))


def reads_strictly(paths: Sequence[str]) -> bool:
    """Whether a reader of these paths refuses any record that is no JSON; else it reads such a one tolerantly."""
    nested = any(path.startswith(f"{other}.") for path in paths for other in paths)
    return all(map(is_plain_path, paths)) and not nested


@lru_cache(maxsize=KEPT_READERS)
def _record_reader(paths: tuple[str, ...]) -> Reader:
    if reads_strictly(paths):
        return _struct_reader(paths)
    searches = [compile_path(path) for path in paths]

    def read(record: bytes) -> Sequence[object]:
        value = decode(record)
        if not isinstance(value, dict):
            raise ValueError(f"Expected `object`, got `{type(value).__name__}`")  # noqa: TRY004  # documented ValueError
        return [search(value) for search in searches]

    return read


def _struct_reader(paths: Sequence[str], types: Mapping[str, Any] = MappingProxyType({})) -> Reader:
    """A reader for plain paths; none may lie inside another. The value at a path may have a type of its own."""
    tree: dict[str, Any] = {}
    for path in paths:
        *parents, last = path.split(".")
        branch = tree
        for name in parents:
            branch = branch.setdefault(name, {})
        branch[last] = types.get(path, Any)
    decoder = msgspec.json.Decoder(_struct_type(tree), float_hook=Decimal)
    lookups = [_lookup(tree, path.split(".")) for path in paths]
    if all("." not in path for path in paths) and len(paths) > 1:
        read_all = attrgetter(*(_attribute(tree, path) for path in paths))
        return lambda text: read_all(decoder.decode(text))

    def read(text: bytes) -> Sequence[object]:
        found = decoder.decode(text)
        return [look_up(found) for look_up in lookups]

    return read


def _struct_type(tree: dict[str, Any]) -> Any:  # noqa: ANN401  # a class made at run time
    fields = [
        (_attribute(tree, name), _type_of(branch), msgspec.field(default=None, name=name))
        for name, branch in tree.items()
    ]
    return msgspec.defstruct("Part", fields)


def _type_of(branch: Any) -> Any:  # noqa: ANN401  # a type, or a branch of the tree
    if not isinstance(branch, dict):
        return branch
    # PHP writes an empty object as []: whatever is no object has nothing inside, and is no fault.
    return Union[_struct_type(branch), list[msgspec.Raw], _Plain]  # noqa: UP007  # made at run time


def _attribute(tree: dict[str, Any], name: str) -> str:
    return f"part{list(tree).index(name)}"


def _lookup(tree: dict[str, Any], names: Sequence[str]) -> Callable[[object], object]:
    attributes = []
    for name in names:
        attributes.append(_attribute(tree, name))
        tree = tree[name]

    def look_up(found: object) -> object:
        for attribute in attributes:
            found = getattr(found, attribute, None)
        return found

    return look_up
