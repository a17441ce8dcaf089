"""Files that are packed, seen by their first bytes: gzip, and zip with its members, each under caps.

A packed file never unpacks into another packed one; a workbook of Excel, which is a zip too, is a file of its own.
"""

import gzip
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, cast

from analytics_pipeline.errors import DamagedFileError, EmptyFileError, FileRefusedError, UnsafeFileError
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.sources.files.finding import Found, is_unfinished

GZIP, ZIP = b"\x1f\x8b", b"PK"
GIGABYTE = 10**9
MOST_RATIO = 250
"""Bytes out of one packed byte, beyond the first 64 MB; tables come to 5 to 50."""
MOST_MEMBERS = 10_000
_FREE_OF_RATIO = 64 << 20
_MOST_DIRECTORY = 16 << 20
_MOST_TEXTS, _MOST_PART = 256 << 20, 32 << 20
"""Bytes of the texts of a workbook, and of each other part that is no sheet."""
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"
_LONGEST_END = 66_000
_WORKBOOK = "xl/workbook.xml"
_ENCRYPTED = 0x1
_NAMES_OF_PACKED = (".zip", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst")
BROKEN = (EOFError, zlib.error, OSError, zipfile.BadZipFile, NotImplementedError, ValueError)
"""What unpacking raises for a damaged file."""


@dataclass(frozen=True)
class Unpacked:
    """The bytes of a file, unpacked as they are read.

    Attributes:
        stream: The bytes.
        packed_size: How many packed bytes were read so far; None where nothing is packed.
        path: The file.
    """

    stream: IO[bytes]
    packed_size: Callable[[], int] | None
    path: str

    @property
    def is_plain(self) -> bool:
        """Whether the bytes lie there as they are."""
        return self.packed_size is None

    def check_size(self, size: int, largest_gb: float) -> None:
        """Look whether so many bytes can come of an honest file.

        Raises:
            UnsafeFileError: They cannot.
        """
        _check_size(self.path, size, size if self.packed_size is None else self.packed_size(), largest_gb)


def _check_size(path: str, size: int, packed_size: int, largest_gb: float) -> None:
    if size > largest_gb * GIGABYTE:
        raise UnsafeFileError(f"has more than {largest_gb:g} GB (largest_gb)", path=path)
    if size > _FREE_OF_RATIO and size > MOST_RATIO * packed_size:
        fault = f"unpacks into more than {MOST_RATIO} times its size: no table does that; unpack it yourself"
        raise UnsafeFileError(fault, path=path)


def members(found: Found, reading: Reading) -> list[Found]:
    """Return the files in a zip, in its order; of any other file itself.

    Args:
        found: The file.
        reading: How it is described.

    Raises:
        UnsafeFileError: The zip holds too much, other packed files, or names that lead out of it.
        DamagedFileError: It is no whole zip.
        EmptyFileError: It is a zip without a file.
        FileRefusedError: It is encrypted, or not there any more, or may not be read.
        FolderUnavailableError: Its folder cannot be reached.
    """
    with found.folder.open(found.outer) as file:
        if file.read(len(ZIP)) != ZIP:
            return [found]
        with _archive(found.path, file) as archive:
            listed = archive.infolist()
            if any(one.filename == _WORKBOOK for one in listed):
                return [found]
            _check_members(found.path, listed, reading.largest_gb)
            inner = [
                replace(found, path=f"{found.path}/{one.filename}", size=one.file_size, member=one.filename)
                for one in listed
                if not one.is_dir() and not is_unfinished(one.filename) and not one.filename.startswith("__MACOSX/")
            ]
            if not inner:
                raise EmptyFileError("is a zip without a file in it that is read; pack it anew", path=found.path)
            return inner


def _check_members(path: str, listed: list[zipfile.ZipInfo], largest_gb: float) -> None:
    """Look through a zip's directory before anything is unpacked; sizes bind, since no more than them is read."""
    names = [one.filename for one in listed]
    if len(names) > MOST_MEMBERS:
        raise UnsafeFileError(f"holds more than {MOST_MEMBERS} files; split it", path=path)
    if twice := next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else None:
        raise UnsafeFileError(f"holds two files {twice!r}; name one otherwise", path=path)
    for one in listed:
        if re.match(r"/|[A-Za-z]:", one.filename) or "\\" in one.filename or ".." in one.filename.split("/"):
            raise UnsafeFileError(f"holds {one.filename!r}, which leads out of it; pack it anew", path=path)
        if one.flag_bits & _ENCRYPTED:
            raise FileRefusedError("is encrypted; unpack it yourself", path=path)
        if one.filename.lower().endswith(_NAMES_OF_PACKED):
            raise UnsafeFileError(f"holds {one.filename!r}, which is packed itself; unpack it yourself", path=path)
        _check_size(f"{path}/{one.filename}", one.file_size, one.compress_size, largest_gb)
    if sum(one.file_size for one in listed) > largest_gb * GIGABYTE:
        raise UnsafeFileError(f"holds more than {largest_gb:g} GB (largest_gb)", path=path)


def check_workbook(path: str, file: IO[bytes], largest_gb: float) -> None:
    """Look through the directory of a workbook before anything of it is unpacked.

    Raises:
        UnsafeFileError: It holds too much.
        DamagedFileError: It is no whole workbook.
    """
    with _archive(path, file) as archive:
        listed = archive.infolist()
        if not any(one.filename == _WORKBOOK for one in listed):
            raise DamagedFileError("is a zip and no workbook; a zip in another one is not read", path=path)
        for one in listed:
            _check_size(path, one.file_size, one.compress_size, largest_gb)
            most = _MOST_TEXTS if one.filename.endswith("sharedStrings.xml") else _MOST_PART
            if one.filename.endswith((".xml", ".rels")) and "/worksheets/" not in one.filename and one.file_size > most:
                fault = f"has a part {one.filename} of {one.file_size} bytes, which is held in memory; save it as CSV"
                raise UnsafeFileError(fault, path=path)
        if sum(one.file_size for one in listed) > largest_gb * GIGABYTE:
            raise UnsafeFileError(f"holds more than {largest_gb:g} GB (largest_gb)", path=path)


@contextmanager
def unpack(found: Found) -> Iterator[Unpacked]:
    """Open a file and what it is packed in.

    Raises:
        DamagedFileError: It is no whole zip.
        FileRefusedError: It is not there any more, or may not be read.
        FolderUnavailableError: Its folder cannot be reached.
    """
    with found.folder.open(found.outer) as raw:
        if found.member is not None:
            with _archive(found.outer, raw) as archive, _member(found, archive) as stream:
                packed = archive.getinfo(found.member).compress_size
                yield Unpacked(stream, lambda: packed, found.path)
            return
        is_packed = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        if not is_packed:
            yield Unpacked(raw, None, found.path)
            return
        with gzip.GzipFile(fileobj=raw) as stream:
            yield Unpacked(cast("IO[bytes]", stream), raw.tell, found.path)


def _archive(path: str, file: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip, whose directory is held in memory: one that is too large is refused before."""
    try:
        if _directory_size(file) > _MOST_DIRECTORY:
            raise UnsafeFileError("is a zip of too many files; split it", path=path)
        return zipfile.ZipFile(file)
    except BROKEN as error:
        raise DamagedFileError(f"is no whole zip ({type(error).__name__}); copy it anew", path=path) from None


def _directory_size(file: IO[bytes]) -> int:
    """Bytes of the directory, by the record at the end of the zip."""
    end = file.seek(0, 2)
    file.seek(max(end - _LONGEST_END, 0))
    tail = file.read()
    large = tail.rfind(_END_64)
    if large >= 0:
        return int.from_bytes(tail[large + 40 : large + 48], "little")
    place = tail.rfind(_END)
    return int.from_bytes(tail[place + 12 : place + 16], "little") if place >= 0 else 0


def _member(found: Found, archive: zipfile.ZipFile) -> IO[bytes]:
    try:
        return archive.open(found.member or "")
    except (KeyError, RuntimeError, *BROKEN) as error:
        fault = f"cannot be unpacked ({type(error).__name__}); pack it anew"
        raise DamagedFileError(fault, path=found.path) from None
