"""Postgres' binary `numeric`, to and from Arrow's decimals: arithmetic on arrays instead of texts.

A numeric is a header of four numbers (how many digits, the first one's power, sign, decimals shown) and digits to the
base of 10,000, each of two bytes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics_pipeline.errors import ContractError

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEGATIVE = 0x4000
HEADER = 4
"""Numbers before the digits."""
DIGIT = 4
"""Decimal digits in one of the server's."""
LONGEST_IN_A_WORD = 19
"""Decimal digits that 64 bits have room for."""
POWERS = np.array([10**power for power in range(LONGEST_IN_A_WORD + 1)], np.uint64)


def encoded_decimals(array: pa.Array) -> Bytes:
    """Return decimals as `numeric_recv` reads them, a row of bytes each; those of nulls mean nothing.

    All get as many digits as the largest needs, since the server strips zeros.
    """
    if array.null_count:
        array = array.fill_null(0)
    words = np.frombuffer(array.buffers()[1], "<i8")[2 * array.offset : 2 * (array.offset + len(array))].reshape(-1, 2)
    low, high = words[:, 0], words[:, 1]
    is_negative = high < 0
    limbs = _magnitude(low, high, is_negative)
    scale = array.type.scale
    fractions = -(-scale // DIGIT)
    digits: list[npt.NDArray[np.uint64]] = []
    while len(digits) < fractions or any(limb.any() for limb in limbs):
        # The last digit of a fraction may hold fewer than four decimals, and is filled up with zeros.
        shown = (scale % DIGIT or DIGIT) if not digits else DIGIT
        limbs, rest = _divided(limbs, 10**shown)
        digits.append(rest * np.uint64(10 ** (DIGIT - shown)))
    out = np.empty((len(array), HEADER + len(digits)), ">i2")
    out[:, 0], out[:, 1], out[:, 3] = len(digits), len(digits) - fractions - 1, scale
    out[:, 2] = np.where(is_negative, NEGATIVE, 0)
    for place, digit in enumerate(reversed(digits), HEADER):
        out[:, place] = digit
    return out.view(np.uint8)


def _magnitude(low: Integers, high: Integers, is_negative: Flags) -> list[npt.NDArray[np.uint64]]:
    """Return absolute values as limbs, the highest first: one of 64 bits where that is enough, else four of 32."""
    if (high == low >> 63).all():
        return [np.where(is_negative, -low, low).view(np.uint64)]
    # Two's complement: the other bits, and one, which is carried where the lower half was zero.
    lower = np.where(is_negative, -low, low).view(np.uint64)
    upper = np.where(is_negative, ~high + (low == 0), high).view(np.uint64)
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    return [upper >> half, upper & mask, lower >> half, lower & mask]


def _divided(
    limbs: Sequence[npt.NDArray[np.uint64]], by: int
) -> tuple[list[npt.NDArray[np.uint64]], npt.NDArray[np.uint64]]:
    """Divide as on paper, limb by limb; returns the quotients' limbs and the remainders."""
    divisor, half = np.uint64(by), np.uint64(32)
    quotients: list[npt.NDArray[np.uint64]] = []
    rest = np.zeros_like(limbs[0])
    for limb in limbs:
        dividend = (rest << half) | limb
        quotients.append(dividend // divisor)
        rest = dividend - quotients[-1] * divisor
    return quotients, rest


def asked(column: str, kind: pa.DataType) -> str:
    """Return how a column of a table is selected, so that `typed` can read it."""
    return f"numeric_send({column})" if _fits_in_a_word(kind) else column


def typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return what the driver gives of columns that were `asked` for, as the contract's types.

    Args:
        batch: The driver's: of numbers the server's bytes, where they are long a text in an extension type.
        schema: The columns' names and types; numbers have the decimals that the columns have.

    Raises:
        ContractError: A number is NaN, infinite, or has more digits than the type: the column has been given another
            one by hand, or is not yet computed anew.
    """
    arrays = [_typed(array, field.name, field.type) for array, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _typed(array: pa.Array, column: str, kind: pa.DataType) -> pa.Array:
    if _fits_in_a_word(kind):
        return _decimals(array, column, kind)
    plain = array.storage if isinstance(array, pa.ExtensionArray) else array
    return plain if plain.type == kind else plain.cast(kind)


def _fits_in_a_word(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal128(kind) and 0 <= kind.scale <= kind.precision <= LONGEST_IN_A_WORD)


def _decimals(sent: pa.Array, column: str, kind: pa.DataType) -> pa.Array:
    numbers = np.frombuffer(sent.buffers()[2] or b"", ">i2").astype(np.int16)
    starts = np.frombuffer(sent.buffers()[1], np.int32)[sent.offset : sent.offset + len(sent)] // 2
    is_valid = sent.is_valid().to_numpy(zero_copy_only=False) if sent.null_count else None
    if is_valid is not None:
        starts = starts[is_valid]
    starts = starts.astype(np.intp)
    count, power, sign = (numbers.take(starts + place) for place in range(3))
    is_negative = sign == NEGATIVE
    if (sign[~is_negative] != 0).any():
        raise ContractError(f"the column {column} holds NaN or an infinity, which is no amount.")
    magnitude = np.zeros(len(starts), np.uint64)
    for place in range(int(count.max(initial=0))):
        has = np.flatnonzero(count > place)
        digit = numbers.take(starts.take(has) + (HEADER + place)).astype(np.uint64)
        places = DIGIT * (power.take(has).astype(np.intp) - place) + kind.scale
        if _is_longer(digit, places, kind.precision):
            raise ContractError(f"the column {column} holds a number that has more digits than {kind}.")
        magnitude[has] += _shifted(digit, places)
    words = np.zeros((len(sent), 2), np.uint64)
    rows = slice(None) if is_valid is None else is_valid
    words[rows, 0] = np.where(is_negative, ~magnitude + np.uint64(1), magnitude)
    words[rows, 1] = np.where(is_negative, ~np.uint64(0), np.uint64(0))  # the server has no zero below zero
    validity = None if is_valid is None else pa.array(is_valid).buffers()[1]
    return pa.Array.from_buffers(kind, len(sent), [validity, pa.py_buffer(words)])


def _is_longer(digits: npt.NDArray[np.uint64], places: npt.NDArray[np.intp], precision: int) -> bool:
    """Return whether some digits, shifted by powers of ten, stand beyond a type's first or last decimal digit."""
    if places.max(initial=0) + DIGIT > precision:
        largest = POWERS.take(np.clip(precision - places, 0, precision))
        if (digits >= largest).any():
            return True
    if places.min(initial=0) < 0:
        return bool((digits % POWERS.take(np.clip(-places, 0, LONGEST_IN_A_WORD))).any())
    return False


def _shifted(digits: npt.NDArray[np.uint64], places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint64]:
    """Multiply digits by powers of ten; of a fraction's last digit less than four decimals may be shown."""
    shifted = digits * POWERS.take(np.maximum(places, 0))
    return shifted if places.min(initial=0) >= 0 else shifted // POWERS.take(np.clip(-places, 0, LONGEST_IN_A_WORD))
