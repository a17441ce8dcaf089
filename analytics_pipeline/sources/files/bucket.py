"""A bucket of S3, or of a server that speaks its language, as a folder; credentials are found as AWS' own tools do."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, cast

from pyarrow import fs

from analytics_pipeline.errors import FileUnreachableError, FolderRefusedError, FolderUnavailableError, SettingsError
from analytics_pipeline.sources.files.finding import Found, is_unfinished, name_matcher

SCHEME = "s3://"
_BUFFER = 8 << 20
_CONNECT_TIMEOUT, _REQUEST_TIMEOUT = 10, 60
_REASON = re.compile(r"AWS Error ([A-Z_]+)|HTTP status (\d{3})")
_PASSING = re.compile(r"NETWORK|SLOW_DOWN|THROTTL|TIMEOUT|UNAVAILABLE|INTERNAL|^5\d\d$|^429$|REQUEST_LIMIT")


class Bucket:
    """What lies in a bucket below a prefix."""

    is_local = False

    def __init__(self, place: str, environment: Mapping[str, str]) -> None:
        """Makes no request.

        Args:
            place: Such as s3://bucket/prefix.
            environment: Holds AWS_ENDPOINT_URL, of a server that is not AWS' own.

        Raises:
            SettingsError: The place names no bucket.
        """
        self._root = place.removeprefix(SCHEME).strip("/")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]+(/.*)?", self._root):
            raise SettingsError(f"files.folder {place} names no bucket; it has to be like s3://bucket/prefix")
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
        self._files = fs.S3FileSystem(
            endpoint_override=endpoint or None, connect_timeout=_CONNECT_TIMEOUT, request_timeout=_REQUEST_TIMEOUT
        )

    def __str__(self) -> str:
        return f"{SCHEME}{self._root}"

    def list(self, pattern: str) -> list[Found]:
        """See `Folder`; a prefix below which there is nothing is an empty folder."""
        fits = name_matcher(pattern)
        with self._faults():
            try:
                listed = self._files.get_file_info(fs.FileSelector(self._root, recursive=True))
            except FileNotFoundError:  # of a bucket that is missing it is another error
                return []
        found = []
        for info in listed:
            name = info.path.removeprefix(f"{self._root}/")
            if info.type == fs.FileType.File and fits(name) and not is_unfinished(name):
                found.append(Found(name, info.size, info.mtime, _version(info), self))
        return sorted(found, key=lambda one: one.path)

    def open(self, path: str) -> IO[bytes]:
        """See `Folder`; what is read next is fetched ahead."""
        with self._faults(path):
            opened = self._files.open_input_file(f"{self._root}/{path}")
            return cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", opened), _BUFFER))

    def version(self, path: str) -> str:
        """See `Folder`."""
        with self._faults(path):
            info = self._files.get_file_info(f"{self._root}/{path}")
        if info.type != fs.FileType.File:
            raise FileUnreachableError(f"is not there any more ({self})", path=path)
        return _version(info)

    @contextmanager
    def _faults(self, path: str = "") -> Iterator[None]:
        """Turn what the library raises into ours; its text may hold keys, so only AWS' word for the fault is said."""
        try:
            yield
        except FileNotFoundError:
            raise FileUnreachableError(f"is not there any more ({self})", path=path) from None
        except OSError as error:
            found = _REASON.search(str(error))
            reason = (found[1] or found[2]) if found else type(error).__name__
            if found is None or _PASSING.search(reason):
                raise FolderUnavailableError(f"{self}: cannot be reached ({reason})") from None
            remedy = "check files.folder, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and the rights"
            raise FolderRefusedError(f"{self}: refused ({reason}); {remedy}") from None


def _version(info: fs.FileInfo) -> str:
    return f"{info.size}-{info.mtime_ns}"
