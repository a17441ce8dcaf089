"""Files that are packed, seen by their first bytes: gzip, and zip with its members, each under caps."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

from analytics_pipeline.errors import UnsafeFileError
from analytics_pipeline.sources.files.finding import Found

_GZIP = b"\x1f\x8b"
_FREE_OF_RATIO = 64 << 20
MOST_RATIO = 250
"""Bytes out of one packed byte, beyond the first 64 MB; tables come to 5 to 50."""


@dataclass(frozen=True)
class Unpacked:
    """The bytes of a file, unpacked as they are read.

    Attributes:
        stream: The bytes.
        packed_size: How many bytes they are as they lie there.
        is_plain: Whether they lie there as they are.
        path: The file.
    """

    stream: IO[bytes]
    packed_size: int
    is_plain: bool
    path: str

    def check_ratio(self, size: int) -> None:
        """Look whether so many bytes can come of an honest file.

        Raises:
            UnsafeFileError: They cannot.
        """
        if not self.is_plain and size > _FREE_OF_RATIO and size > MOST_RATIO * self.packed_size:
            fault = f"unpacks into more than {MOST_RATIO} times its size: no table does that; unpack it yourself"
            raise UnsafeFileError(fault, path=self.path)


@contextmanager
def unpack(found: Found) -> Iterator[Unpacked]:
    """Open a file and what it is packed in.

    Raises:
        UnsafeFileError: It is packed more than once.
        FileRefusedError: It is not there any more, or may not be read.
        FolderUnavailableError: Its folder cannot be reached.
    """
    with found.folder.open(found.path) as raw:
        start = raw.read(4)
        raw.seek(0)
        if not start.startswith(_GZIP):
            yield Unpacked(raw, found.size, is_plain=True, path=found.path)
            return
        with gzip.GzipFile(fileobj=raw) as stream:
            yield Unpacked(cast("IO[bytes]", stream), found.size, is_plain=False, path=found.path)
