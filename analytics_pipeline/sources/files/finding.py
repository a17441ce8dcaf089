"""Which files there are, in a folder or in what a URL such as s3://bucket/prefix names; nothing of them is read.

Hidden files and those that programs write until they are done (`.part`, `~`) are no files here.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, Protocol

from analytics_pipeline.errors import (
    FileRefusedError,
    FileUnreachableError,
    FolderRefusedError,
    FolderUnavailableError,
    UnsafeFileError,
)

UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".swp", "~")
"""Ends of the names of files that are being written."""
_WRONG_CLOCK = timedelta(minutes=1)


@dataclass(frozen=True)
class Found:
    """A file as it was when it was found.

    Attributes:
        path: Its name in its folder, such as `2026/sales.csv`; of a file in a zip `sales.zip/january.csv`.
        size: Bytes, as they lie there.
        modified: When it was last written.
        version: What differs between two states of the file, as far as can be told without reading it.
        folder: Where it lies.
        member: The name in the zip, of a file in one.
    """

    path: str
    size: int
    modified: datetime
    version: str
    folder: "Folder" = field(repr=False, compare=False)
    member: str | None = None

    @property
    def outer(self) -> str:
        """The name of the file as it lies in its folder: of a file in a zip, that of the zip."""
        return self.path if self.member is None else self.path.removesuffix(f"/{self.member}")

    def is_settled(self, now: datetime, seconds: float) -> bool:
        """Whether the file was last written so long ago that it is complete; one of a wrong clock is taken for it."""
        age = now - self.modified
        return age >= timedelta(seconds=seconds) or age < -_WRONG_CLOCK


class Folder(Protocol):
    """Where files lie."""

    def list(self, pattern: str) -> list[Found]:
        """The files whose names fit a glob, by name.

        Raises:
            FolderRefusedError: There is no such folder, or it may not be read.
            FolderUnavailableError: It cannot be reached.
        """

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading; where it lies on this machine it can be read from any place.

        Raises:
            FileRefusedError: It is not there any more, or may not be read.
            FolderUnavailableError: The folder cannot be reached.
        """

    def version(self, path: str) -> str:
        """The version that a file has now; see `Found`. Raises as `open`."""

    @property
    def is_local(self) -> bool:
        """Whether files can be read from any place at no cost."""


class LocalFolder:
    """A folder of this machine."""

    is_local = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def list(self, pattern: str) -> list[Found]:
        """See `Folder`; what is no plain file is passed over, and so is one that vanishes meanwhile.

        A link that leads nowhere is listed, so that opening it says so.
        """
        fits = name_matcher(pattern)
        found = []
        for name in self._names(deepest(pattern)):
            if not fits(name) or is_unfinished(name):
                continue
            try:
                found.append(self.at(name))
            except FileRefusedError:
                found += self._dead_links(name)
        return sorted(found, key=lambda one: one.path)

    def _dead_links(self, name: str) -> Iterator[Found]:
        """The link of that name that leads to nothing, if it is one."""
        path = self._root / name
        if path.is_symlink() and not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a link to itself
            with suppress(OSError):
                state = path.lstat()
                yield Found(name, 0, datetime.fromtimestamp(state.st_mtime, UTC), _version(state), self)

    def at(self, name: str) -> Found:
        """The file of that name.

        Raises:
            FileRefusedError: There is none, or it may not be read.
            FolderUnavailableError: The folder cannot be reached.
        """
        with self._faults(name):
            state = (self._root / name).stat()
        if not stat.S_ISREG(state.st_mode):
            raise FileRefusedError("is no file", path=name)
        return Found(name, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC), _version(state), self)

    def _names(self, levels: int | None) -> Iterator[str]:
        """Names of what lies in the folder, down to so many levels below it."""

        def refused(error: OSError) -> None:
            if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
                raise FolderRefusedError(_of_folder(self._root, error)) from None
            raise FolderUnavailableError(_of_folder(self._root, error)) from None

        for folder, folders, names in os.walk(self._root, onerror=refused):
            below = Path(folder).relative_to(self._root)
            if levels is not None and len(below.parts) >= levels:
                folders.clear()
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            yield from ((below / name).as_posix() for name in names)

    def open(self, path: str) -> IO[bytes]:
        """See `Folder`; a link out of the folder is not followed."""
        with self._faults(path):
            file = self._root / path
            if not file.resolve().is_relative_to(self._root.resolve()):
                raise UnsafeFileError("is a link that leads out of its folder; put the file itself there", path=path)
            return file.open("rb")

    def version(self, path: str) -> str:
        """See `Folder`."""
        with self._faults(path):
            return _version((self._root / path).stat())

    def _faults(self, path: str) -> "_Faults":
        return _Faults(self._root, path)


class _Faults:
    """Turns faults of the file system into ours."""

    def __init__(self, root: Path, path: str) -> None:
        self._root, self._path = root, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, RuntimeError) or (isinstance(error, OSError) and error.errno == errno.ELOOP):
            raise FileUnreachableError("is a link that leads to itself", path=self._path) from None
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
            fault = "is not there any more" if isinstance(error, FileNotFoundError) else "may not be read"
            raise FileUnreachableError(f"{fault} ({self._root})", path=self._path) from None
        if isinstance(error, OSError):
            raise FolderUnavailableError(_of_folder(self._root, error)) from None


def _of_folder(root: Path, error: OSError) -> str:
    remedy = "check files.folder" if isinstance(error, FileNotFoundError | NotADirectoryError) else "check its rights"
    return f"the folder {root} cannot be read ({type(error).__name__}: {error.strerror}); {remedy}"


def _version(state: os.stat_result) -> str:
    return f"{state.st_size}-{state.st_mtime_ns}"


def is_unfinished(path: str) -> bool:
    """Whether the name is that of a hidden file, or of one that is still being written."""
    names = path.split("/")
    return any(name.startswith((".", "~$")) for name in names) or path.lower().endswith(UNFINISHED)


def deepest(pattern: str) -> int | None:
    """How many folders deep the files of a glob can lie; None for any number."""
    return None if "**" in pattern else pattern.count("/")


@lru_cache
def name_matcher(pattern: str) -> Callable[[str], bool]:
    """What says whether a name fits a glob: `*` and `?` within a name, `**` over folders, capitals as they stand."""
    steps = [step for step in pattern.split("/") if step not in {"", "."}]
    compiled = re.compile("".join(r"(?:[^/]+/)*" if step == "**" else f"{_of_glob(step)}/" for step in steps))
    return lambda name: compiled.fullmatch(f"{name}/") is not None


def _of_glob(step: str) -> str:
    """The regular expression of one step of a glob; a bracket that is none is a letter."""
    pieces = re.findall(r"\[[!^]?[^\]]+\]|.", step, re.DOTALL)
    plain = {"*": "[^/]*", "?": "[^/]"}
    return "".join(plain.get(piece) or _of_letters(piece) for piece in pieces)


def _of_letters(piece: str) -> str:
    """The regular expression of a letter, or of letters in brackets."""
    if len(piece) == 1:
        return re.escape(piece)
    inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"[^/{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]"
