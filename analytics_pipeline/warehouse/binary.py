"""Arrow batches as the bytes of binary `COPY`, without a Python object per value.

A field is its length as four bytes (-1 for null) and its value as the server's own `recv` function of the type reads
it. Each Arrow type has the one Postgres type that `tables.shape` gives it, narrower integers and bytes beside. Sending
them is `copying`'s part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics_pipeline.errors import ContractError
from analytics_pipeline.warehouse.numerics import encoded_decimals

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NULL: Bytes = np.full((1, 4), 0xFF, np.uint8)

LONG_TEXT = 64
"""Bytes from which on copying texts one by one is cheaper than telling each byte its place."""

EPOCH_DAYS = 10_957
EPOCH_MICROSECONDS = EPOCH_DAYS * 86_400_000_000
"""From 1970-01-01, Arrow's beginning of time, to 2000-01-01, Postgres'."""
NUMBERS: dict[pa.DataType, np.dtype[Any]] = {
    pa.int16(): np.dtype(">i2"),
    pa.int32(): np.dtype(">i4"),
    pa.int64(): np.dtype(">i8"),
    pa.float32(): np.dtype(">f4"),
    pa.float64(): np.dtype(">f8"),
}
TEXT_OID, DATE_OID = 25, 1082
NO_DIMENSION, DIMENSION = 12, 20
"""Bytes before an array's elements: dimensions, whether there are nulls, type; of a dimension length and begin."""


@dataclass(frozen=True)
class _Fixed:
    """A column whose values have one width.

    Attributes:
        block: A row of bytes for each row, length included.
        is_valid: Which rows are not null; None for all.
    """

    block: Bytes
    is_valid: Flags | None

    def sizes(self) -> Integers | int:
        width = self.block.shape[1]
        return width if self.is_valid is None else np.where(self.is_valid, width, 4)

    def put(self, out: Bytes, at: Integers) -> None:
        if self.is_valid is None:
            _scatter(out, at, self.block)
        else:
            _scatter(out, at[self.is_valid], self.block[self.is_valid])
            _scatter(out, at[~self.is_valid], NULL)


@dataclass(frozen=True)
class _Varying:
    """A column whose values have lengths of their own.

    Attributes:
        values: The values' bytes, one after the other.
        lengths: How many of them are each row's; none of a null.
        is_valid: Which rows are not null; None for all.
    """

    values: Bytes
    lengths: Integers
    is_valid: Flags | None

    def sizes(self) -> Integers:
        return self.lengths + 4

    def put(self, out: Bytes, at: Integers) -> None:
        message = self.lengths if self.is_valid is None else np.where(self.is_valid, self.lengths, -1)
        _scatter(out, at, _big_endian(message, ">i4"))
        _scatter_texts(out, at + 4, self.values, self.lengths)


_Field = _Fixed | _Varying


def encode(batch: pa.RecordBatch) -> Bytes:
    """Return the rows of a batch as binary `COPY` has them, without its beginning and its end."""
    rows = batch.num_rows
    count = np.broadcast_to(_big_endian(np.array([batch.num_columns]), ">i2"), (rows, 2))
    fields = _joined([_Fixed(count, None), *(_field(name, batch[name]) for name in batch.schema.names)])
    sizes = [field.sizes() for field in fields]
    ends: Integers = np.cumsum(np.zeros(rows, np.int64) + sum(sizes))
    out: Bytes = np.empty(int(ends[-1]) if rows else 0, np.uint8)
    at: Integers = ends - sum(sizes)
    for field, size in zip(fields, sizes, strict=True):
        field.put(out, at)
        at = at + size
    return out


def _joined(fields: Sequence[_Field]) -> list[_Field]:
    """Make one field of neighbours that are the same in width in every row: each is put into place at once."""
    joined: list[_Field] = []
    waiting: list[Bytes] = []
    for field in [*fields, None]:
        if isinstance(field, _Fixed) and field.is_valid is None:
            waiting.append(field.block)
            continue
        if waiting:
            joined.append(_Fixed(np.concatenate(waiting, axis=1), None))
            waiting = []
        if field is not None:
            joined.append(field)
    return joined


def _field(name: str, array: pa.Array) -> _Field:
    array = _plain(array)
    kind, is_valid = array.type, _validity(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _lists(name, array, is_valid)
    if _has_offsets(kind):
        values, lengths = _texts(array, is_valid)
        if is_valid is None and len(lengths) and (lengths == lengths[0]).all():
            return _Fixed(_with_length(values.reshape(len(lengths), -1)), None)
        return _Varying(values, lengths, is_valid)
    return _Fixed(_with_length(_fixed(name, array)), is_valid)


def _plain(array: pa.Array) -> pa.Array:
    """Return an array without what Arrow has for saving space, which Postgres does not know."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    return array


def _validity(array: pa.Array) -> Flags | None:
    return array.is_valid().to_numpy(zero_copy_only=False) if array.null_count else None


def _has_offsets(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _fixed(name: str, array: pa.Array) -> Bytes:
    """Return the values of a type of one width, a row of bytes each; those of nulls mean nothing."""
    kind = array.type
    if pa.types.is_decimal128(kind) and kind.scale >= 0:
        return encoded_decimals(array)
    if pa.types.is_date32(kind):
        return _since_2000(name, _numpy(array.view(pa.int32())).astype(np.int64) - EPOCH_DAYS, ">i4")
    if pa.types.is_timestamp(kind):
        stamps = _numpy(array.cast(pa.timestamp("us", tz=kind.tz)).view(pa.int64()))
        if len(stamps) and int(stamps.min()) < np.iinfo(np.int64).min + EPOCH_MICROSECONDS:
            raise _no_time(name)
        return _since_2000(name, stamps - EPOCH_MICROSECONDS, ">i8")
    if pa.types.is_boolean(kind):
        return _numpy(array.cast(pa.uint8())).reshape(-1, 1)
    if kind in NUMBERS:
        return _big_endian(_numpy(array), NUMBERS[kind])
    message = f"the column {name} is {kind}, for which Postgres gets no type"
    raise TypeError(message)


def _numpy(array: pa.Array) -> npt.NDArray[Any]:
    filled = array.fill_null(0) if array.null_count else array
    numbers: npt.NDArray[Any] = filled.to_numpy(zero_copy_only=False)
    return numbers


def _since_2000(name: str, values: Integers, width: str) -> Bytes:
    """Return days or microseconds; the least and the greatest of a width are Postgres' two infinities."""
    known = np.iinfo(np.dtype(width))
    if len(values) and not known.min < int(values.min()) <= int(values.max()) < known.max:
        raise _no_time(name)
    return _big_endian(values, width)


def _no_time(name: str) -> ContractError:
    return ContractError(f"the column {name} holds a day or a stamp that is outside of Postgres' time.")


def _texts(array: pa.Array, is_valid: Flags | None) -> tuple[Bytes, Integers]:
    """Return the bytes of texts one after the other, and the length of each; nulls are empty."""
    if is_valid is not None:  # what lies behind a null may be anything
        array = array.fill_null("" if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) else b"")
    is_large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, offsets, values = array.buffers()
    ends = np.frombuffer(offsets, np.int64 if is_large else np.int32)[array.offset : array.offset + len(array) + 1]
    if not len(array) or values is None:
        return np.empty(0, np.uint8), np.zeros(len(array), np.int64)
    return np.frombuffer(values, np.uint8)[ends[0] : ends[-1]], np.diff(ends).astype(np.int64)


def _lists(name: str, array: pa.Array, is_valid: Flags | None) -> _Varying:
    """Return arrays of one dimension: a header, then the elements as fields; one without elements has no dimension."""
    if array.type.value_type not in {pa.string(), pa.large_string(), pa.date32()}:
        message = f"the column {name} is {array.type}, for which Postgres gets no type"
        raise TypeError(message)
    oid = DATE_OID if pa.types.is_date32(array.type.value_type) else TEXT_OID
    counts = np.asarray(array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    elements = _field(name, array.flatten())  # without those behind a null
    ends: Integers = np.concatenate([[0], np.cumsum(np.zeros(int(counts.sum()), np.int64) + elements.sizes())])
    inner: Bytes = np.empty(int(ends[-1]), np.uint8)
    elements.put(inner, ends[:-1])
    last = np.cumsum(counts)
    lengths = ends[last] - ends[last - counts]
    head = np.stack([counts > 0, np.full_like(counts, elements.is_valid is not None), np.full_like(counts, oid)], 1)
    whole = np.concatenate([head, counts[:, None], np.ones_like(counts)[:, None]], 1)
    heads = np.where(counts > 0, DIMENSION, NO_DIMENSION)
    if is_valid is not None:
        heads = np.where(is_valid, heads, 0)
    starts = np.cumsum(heads + lengths) - heads - lengths
    values: Bytes = np.empty(int((heads + lengths).sum()), np.uint8)
    for width in (NO_DIMENSION, DIMENSION):
        of_width = heads == width
        header = np.ascontiguousarray(whole[of_width].astype(">i4")).view(np.uint8)
        _scatter(values, starts[of_width], header[:, :width])
    _scatter_texts(values, starts + heads, inner, lengths)
    return _Varying(values, heads + lengths, is_valid)


def _big_endian(values: npt.NDArray[Any], width: str | np.dtype[Any]) -> Bytes:
    """Return numbers as the network has them, a row of bytes each."""
    ordered = np.ascontiguousarray(values.astype(width))
    return ordered.view(np.uint8).reshape(len(ordered), ordered.dtype.itemsize)


def _with_length(values: Bytes) -> Bytes:
    """Put the length before values of one width."""
    rows, width = values.shape
    out: Bytes = np.empty((rows, 4 + width), np.uint8)
    out[:, :4] = _big_endian(np.array([width]), ">i4")
    out[:, 4:] = values
    return out


def _scatter(out: Bytes, at: Integers, block: Bytes) -> None:
    """Copy each row of a block to its place; a block of one row goes to all places."""
    width = block.shape[1]
    if not len(at) or not width:
        return
    # One item for each place that a row could begin at: an assignment then copies rows, not bytes.
    kind = np.dtype((np.void, width))
    places: npt.NDArray[Any] = np.ndarray((len(out) - width + 1,), kind, out, strides=(1,))
    places[at] = np.ascontiguousarray(block).view(kind)[:, 0]


def _scatter_texts(out: Bytes, at: Integers, values: Bytes, lengths: Integers) -> None:
    """Copy texts of any lengths, which lie one after the other, each to its place."""
    if not len(values):
        return
    starts = np.cumsum(lengths) - lengths
    if len(values) > LONG_TEXT * len(lengths):
        for place, start, length in zip(at.tolist(), starts.tolist(), lengths.tolist(), strict=True):
            out[place : place + length] = values[start : start + length]
    else:
        out[np.repeat(at - starts, lengths) + np.arange(len(values))] = values
