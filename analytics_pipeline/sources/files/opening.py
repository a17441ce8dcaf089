"""A file's content: unpacked under caps, its hash and encoding known of the whole before the first row is read.

What lies on this machine and is not packed is read twice; anything else is unpacked once, into a temporary file. Which
formats lie in a packed file is not known here.
"""

import hashlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO

from analytics_pipeline.errors import (
    DamagedFileError,
    EmptyFileError,
    FolderUnavailableError,
    GrowingFileError,
    UnsafeFileError,
)
from analytics_pipeline.shop.reading import Format, Reading
from analytics_pipeline.sources.files.encodings import EncodingJudge, Judged
from analytics_pipeline.sources.files.finding import Found
from analytics_pipeline.sources.files.packing import BROKEN, GZIP, Unpacked, unpack

BLOCK = 1 << 20
LONGEST_LINE = 4 << 20
"""Bytes of a line; what has none for so long is no table."""
_SUFFIXES: dict[str, Format] = {
    "csv": "csv",
    "txt": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "jsonl": "json_lines",
    "ndjson": "json_lines",
    "json": "json_lines",
    "parquet": "parquet",
    "xlsx": "excel",
    "xlsm": "excel",
}
_BINARY: dict[Format, bytes] = {"parquet": b"PAR1", "excel": b"PK\x03\x04"}
_NO_TABLES = {
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an Excel file of the old kind (.xls): save it as .xlsx",
    b"<!doctype": "a page of the web",
    b"<html": "a page of the web",
    b"<?xml": "XML",
    b"7z\xbc\xaf": "a 7z archive",
    b"rar!": "a RAR archive",
    b"bzh91ay": "a bzip2 file: pack it with gzip or zip",
    b"\x28\xb5\x2f\xfd": "a zstd file: pack it with gzip or zip",
    b"\xfd7zxz": "an xz file: pack it with gzip or zip",
}


@dataclass(frozen=True)
class Content:
    """An opened file, of which all is known but its rows.

    Attributes:
        found: The file.
        reading: How it is described.
        format: What it is.
        sha256: Hash of what it unpacks to: a file that is packed otherwise has the same.
        size: Bytes of what it unpacks to.
        encoding: How its text is written; None of Parquet and Excel.
        ends_in_a_line: Whether the last line is ended by a line break, as one is that was not cut.
    """

    found: Found
    reading: Reading
    format: Format
    sha256: str
    size: int
    encoding: Judged | None
    ends_in_a_line: bool
    has_nul: bool
    _file: IO[bytes] = field(repr=False)

    def binary(self) -> IO[bytes]:
        """The content from its beginning; one reader at a time."""
        self._file.seek(0)
        return self._file

    def text(self) -> io.TextIOWrapper:
        """The content as text from its beginning, line breaks as they are; detach it when done."""
        judged = self.encoding or Judged("utf-8", "UTF-8")
        errors = "surrogateescape" if judged.has_damage else "strict"
        return io.TextIOWrapper(self.binary(), encoding=judged.codec, errors=errors, newline="")

    def check_unchanged(self) -> None:
        """Look whether the file is still the one that was opened.

        Raises:
            GrowingFileError: It is not.
        """
        if self.found.folder.version(self.found.outer) != self.found.version:
            raise GrowingFileError(
                f"{self.found.path}: changed while it was read; it is read again when it is complete"
            )


@contextmanager
def opened(found: Found, reading: Reading) -> Iterator[Content]:
    """Open a file and pass over the whole of it, for hash and encoding.

    Raises:
        GrowingFileError: It has changed since it was found.
        EmptyFileError: It has no content.
        DamagedFileError: It is not what it is described as, or ends too early.
        UnsafeFileError: It unpacks into too much, or leads elsewhere.
        FileRefusedError: It is not there any more, or may not be read.
        FolderUnavailableError: Its folder cannot be reached.
    """
    with ExitStack() as stack:
        unpacked = stack.enter_context(unpack(found))
        is_in_place = unpacked.is_plain and found.folder.is_local
        kept = unpacked.stream if is_in_place else stack.enter_context(tempfile.TemporaryFile(prefix="file-"))
        content = _passed_over(found, reading, unpacked, kept, is_in_place=is_in_place)
        content.check_unchanged()
        yield content


def format_of(path: str, start: bytes, reading: Reading) -> Format:
    """What a file is: as described, else by its beginning and its name.

    Raises:
        DamagedFileError: It begins like something else.
    """
    lower = start[:16].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, words in _NO_TABLES.items():
        if start.startswith(mark) or lower.startswith(mark):
            raise DamagedFileError(f"is {words}, and no table", path=path)
    bare = path.lower().removesuffix(".gz").removesuffix(".zip")
    binary = next((kind for kind, mark in _BINARY.items() if start.startswith(mark)), None)
    named = _SUFFIXES.get(bare.rsplit(".", 1)[-1])
    guessed: Format = binary or named or ("json_lines" if lower.startswith(b"{") else "csv")
    kind = reading.format or guessed
    if kind == "json_lines" and lower.startswith(b"["):
        raise DamagedFileError("is one list of JSON, and no lines: write one object a line", path=path)
    if (binary or kind in _BINARY) and kind != binary:
        seen = binary or "no such file by its first bytes"
        raise DamagedFileError(f"is described or named as {kind}, and is {seen}; check format", path=path)
    return kind


def _passed_over(found: Found, reading: Reading, unpacked: Unpacked, kept: IO[bytes], *, is_in_place: bool) -> Content:
    """Read all of a file once, keeping it where it cannot be read again."""
    digest, size, run, last = hashlib.sha256(), 0, 0, b""
    judge = EncodingJudge("auto" if reading.format == "json_lines" else reading.csv.encoding, found.path)
    kind: Format | None = None
    for block in _blocks(found, unpacked, reading):
        if kind is None:
            kind = format_of(found.path, block, reading)
        digest.update(block)
        size += len(block)
        if kind not in _BINARY:
            judge.look(block)
            run = _line_length(found, run, block, size)
        if not is_in_place:
            kept.write(block)
        last = block
    if kind is None:
        raise EmptyFileError("is empty", path=found.path)
    return Content(
        found,
        reading,
        kind,
        digest.hexdigest(),
        size,
        None if kind in _BINARY else judge.judge(),
        last.rstrip(b"\x00").endswith((b"\n", b"\r")),
        judge.has_nul,
        kept,
    )


def _blocks(found: Found, unpacked: Unpacked, reading: Reading) -> Iterator[bytes]:
    """The content block by block, within the caps."""
    size = 0
    while True:
        try:
            block = unpacked.stream.read(BLOCK)
        except BROKEN as error:
            kind = type(error).__name__
            if unpacked.is_plain:
                raise FolderUnavailableError(f"{found.path}: cannot be read after byte {size} ({kind})") from None
            fault = f"is packed and damaged after {size} bytes, or ends too early ({kind}); copy it anew"
            raise DamagedFileError(fault, path=found.path) from None
        if not block:
            return
        if not size and not unpacked.is_plain and block.startswith(GZIP):
            raise UnsafeFileError("is packed more than once; unpack it yourself", path=found.path)
        size += len(block)
        unpacked.check_size(size, reading.largest_gb)
        yield block


def _line_length(found: Found, run: int, block: bytes, size: int) -> int:
    """Bytes since the last line break; a line is never longer than a block within one."""
    first, last = block.find(b"\n"), max(block.rfind(b"\n"), block.rfind(b"\r"))
    longest = run + (len(block) if last < 0 else first if first >= 0 else block.find(b"\r"))
    if longest > LONGEST_LINE:
        fault = f"has no line break within {LONGEST_LINE} bytes before byte {size}: no table is like that"
        raise UnsafeFileError(fault, path=found.path)
    return longest if last < 0 else len(block) - last - 1
