"""A file of JSON lines in which lines belong to others: the records that they make together. Makes no request.

Memory is the ids of the lines and where they stand, not the lines.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from analytics_pipeline.decoding.envelope import Reader, record_reader
from analytics_pipeline.decoding.mapping import compile_path, decode
from analytics_pipeline.errors import AnswerError
from analytics_pipeline.shop.bulk import Bulk

_DEEPEST = 10
_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = msgspec.Raw(b"null")
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class JsonLines:
    """The records of a file.

    Attributes:
        lines: Lines of the file that are not empty.
        records: Lines that belong to no other one.
    """

    def __init__(self, file: IO[bytes], described: Bulk, shown: str) -> None:
        """Looks through the file; `shown` is the place for messages."""
        self._file, self._shown = file, shown
        self._read_id = record_reader([described.id])
        self._children = [
            (child.into, compile_path(child.when) if child.when else None) for child in described.children
        ]
        self._roots = array("Q")
        self._below: dict[str, array[int]] = {}
        self._found: set[str] = set()
        self.lines = 0
        read_parent = record_reader([described.parent]) if described.parent is not None else None
        place = 0
        file.seek(0)
        for line in file:
            if line.strip():
                self.lines += 1
                parent = _text(read_parent, line)
                where = self._roots if parent is None else self._below.setdefault(parent, array("Q"))
                where.extend((place, len(line)))
            place += len(line)
        self.records = len(self._roots) // 2

    def __iter__(self) -> Iterator[bytes]:
        """The records in the order of the file, each with the lines that belong to it.

        Raises:
            AnswerError: A line belongs to none or to one of several, or fits no described list.
        """
        for place, length in _pairs(self._roots):
            yield self._whole(place, length, depth=0)
        if self._below:
            left = sum(len(places) // 2 for places in self._below.values())
            fault = f"{left} lines belong to a line that is not in the file; nothing of it is used"
            raise AnswerError(f"{self._shown}: {fault}")

    def _whole(self, place: int, length: int, depth: int) -> bytes:
        self._file.seek(place)
        line = self._file.read(length).strip()
        own = _text(self._read_id, line)
        if own is not None and own in self._found:
            fault = "two lines have one id, and others belong to it: nobody can tell to which; nothing of it is used"
            raise AnswerError(f"{self._shown}: {fault}")
        below = self._below.pop(own, None) if own is not None else None
        if own is None or below is None:
            return line
        self._found.add(own)
        if depth == _DEEPEST:
            raise AnswerError(f"{self._shown}: lines belong to others over more than {_DEEPEST} levels")
        lists: dict[str, list[bytes]] = {}
        for child_place, child_length in _pairs(below):
            child = self._whole(child_place, child_length, depth + 1)
            lists.setdefault(self._list_of(child), []).append(child)
        try:
            return _joined(line, lists)
        except ValueError:
            fault = "a line has something else than a list where others belong"
        raise AnswerError(f"{self._shown}: {fault}")

    def _list_of(self, child: bytes) -> str:
        try:
            value = decode(child)
            for into, fits in self._children:
                if fits is None or fits(value) is True:
                    return into
        except ValueError as error:
            fault = f"bulk.children cannot be told of a line that belongs to another one: {error}"
            raise AnswerError(f"{self._shown}: {fault}") from None
        raise AnswerError(f"{self._shown}: a line belongs to another one and fits none of bulk.children")


def _joined(line: bytes, lists: dict[str, list[bytes]]) -> bytes:
    """A line with lists of others in it."""
    record = _LINE.decode(line)
    for into, children in lists.items():
        _put(record, into.split("."), children)
    return msgspec.json.encode(record)


def _put(record: dict[str, msgspec.Raw], steps: Sequence[str], children: Sequence[bytes]) -> None:
    """Puts children behind what stands at a path already."""
    step, *further = steps
    there = record.get(step, _NULL)
    is_there = bytes(there) != b"null"
    if further:
        inner = _LINE.decode(there) if is_there else {}
        _put(inner, further, children)
        record[step] = msgspec.Raw(msgspec.json.encode(inner))
    else:
        before = map(bytes, _LIST.decode(there)) if is_there else ()
        record[step] = msgspec.Raw(b"[" + b",".join([*before, *children]) + b"]")


def _text(read: Reader | None, line: bytes) -> str | None:
    """What a line says of its id or parent; None where it says nothing, or cannot be read."""
    if read is None:
        return None
    try:
        (value,) = read(line)
    except (ValueError, ArithmeticError, RecursionError):  # an odd record is judged elsewhere
        return None
    return None if value is None or value == "" else str(value)


def _pairs(places: "array[int]") -> Iterator[tuple[int, int]]:
    return zip(places[::2], places[1::2], strict=True)
