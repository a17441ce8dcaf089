"""Fetching a file that the shop names: without any credentials, from wherever it lies, into a local file.

The address is a secret of its own, since whoever has it has the file: people see its host alone.
"""

import ipaddress
from typing import IO, Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

from analytics_pipeline.errors import AnswerError, ShopRefusedError, ShopUnavailableError
from analytics_pipeline.shop.urls import origin, origin_text
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.deadline import Deadline, WatchedAdapter
from analytics_pipeline.sources.faults import RETRY, Failure, connection_failure
from analytics_pipeline.sources.pacing import retry_wait

_CHUNK_BYTES = 1 << 17
_MEGABYTE = 1_000_000
_LEAST_HIDDEN = 12
"""Characters of a part of the address that is hidden in logs."""


def download(client: ShopClient, url: str, file: IO[bytes], *, most_mb: int, seconds: float) -> str:
    """Fetches a file, again after a passing fault; returns the place for messages.

    Args:
        client: The shop's client, of which no credential and no cookie is sent.
        url: The address that the shop gave.
        file: Where the content goes, decompressed.
        most_mb: How large it may be, in MB.
        seconds: How long an attempt may take.

    Raises:
        ShopRefusedError: The address leads where nothing is fetched from, or the file is refused.
        ShopUnavailableError: All attempts failed.
        AnswerError: It is too large.
        SettingsError: As `ShopClient.ask`.
    """
    target = urljoin(client.base_url + "/", url)
    shown = f"GET {origin_text(target)} (the file of a job)"
    if not may_be_fetched(target, client.base_url):
        raise ShopRefusedError(f"{shown}: a file is fetched by https only, without a user in its address")
    parts = urlsplit(target)
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    client.redact.learn(piece for piece in pieces if len(piece) >= _LEAST_HIDDEN)
    cause = ""
    with _Fetch(client, target, shown, most_mb, Deadline(seconds)) as fetch:
        for failures in range(client.shop.limits.retries + 1):
            if failures:
                client.pause(RETRY, retry_wait(failures, None, 0, client.random()))
                client.statistics.retries += 1
            failure = fetch.attempt(file)
            if failure is None:
                return shown
            cause = failure.cause
    raise ShopUnavailableError(f"{shown}: no whole file in {failures + 1} attempts; the last: {cause}")


def may_be_fetched(url: str, base_url: str) -> bool:
    """Whether a file may lie there: behind https, or on this machine where the shop itself is on it."""
    try:
        scheme, host, _ = origin(url)
    except ValueError:
        return False
    if "@" in urlsplit(url).netloc:
        return False
    return scheme == "https" or (_is_loopback(host) and _is_loopback(origin(base_url)[1]))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Fetch:
    """A file that is fetched with a session of its own: no credential of the shop's, and no cookie."""

    def __init__(self, client: ShopClient, url: str, shown: str, most_mb: int, deadline: Deadline) -> None:
        self._client, self._url, self._shown, self._most_mb, self._deadline = client, url, shown, most_mb, deadline
        self._session = requests.Session()
        self._session.trust_env, self._session.verify = False, client.verify
        self._session.headers["User-Agent"] = "analytics-pipeline"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter(deadline))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def attempt(self, file: IO[bytes]) -> Failure | None:
        """Fetches the file once; None where it is whole."""
        file.seek(0)
        file.truncate()
        limits = self._client.shop.limits
        timeout = (limits.connect_timeout, limits.read_timeout)
        self._client.statistics.requests += 1
        failure, fault = None, None
        try:
            with (
                self._deadline.running(),
                self._session.get(self._url, stream=True, timeout=timeout, allow_redirects=False) as response,
            ):
                failure = self._copy(response, file)
        except requests.RequestException as error:
            fault = error
        if self._deadline.has_passed:
            return Failure("no whole file in time (bulk.max_minutes)")
        # Outside the handler: the library's errors show the whole address, and must not hang on ours as their context.
        return failure if fault is None else connection_failure(fault, self._shown, self._client.redact.shown)

    def _copy(self, response: requests.Response, file: IO[bytes]) -> Failure | None:
        status = response.status_code
        if status in {408, 429} or status >= 500:  # noqa: PLR2004  # HTTP's own numbers
            return Failure(f"HTTP {status}")
        if status != 200:  # noqa: PLR2004
            raise ShopRefusedError(f"{self._shown}: HTTP {status}; redirects are not followed", status=status)
        size = 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._most_mb * _MEGABYTE:
                fault = f"the file is larger than {self._most_mb} MB; raise bulk.max_mb, or load fewer days at once"
                raise AnswerError(f"{self._shown}: {fault}")
            file.write(chunk)
        self._client.statistics.bytes += size
        return None
