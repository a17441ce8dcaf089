"""The HTTP client of one shop: time-outs, retries, redirects, the size cap and the request budget.

It knows nothing of paging or records: callers give a request and a decoder for the body. The `.netrc` file
and the proxy variables of the environment are ignored (credentials come from the description only, and go to the
shop only); a private certificate authority is taken from `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE`.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from random import random as random_share
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urlencode

import msgspec
import requests
from requests.structures import CaseInsensitiveDict

from analytics_pipeline.errors import AnswerError, ShopRefusedError, ShopUnavailableError
from analytics_pipeline.shop.placeholders import PageRequest
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.shop.urls import RedactedLog, Redactor, resolve_link
from analytics_pipeline.sources.credentials import read_credentials
from analytics_pipeline.sources.deadline import Deadline, WatchedAdapter
from analytics_pipeline.sources.environment import certificates, resolved_base_url
from analytics_pipeline.sources.faults import (
    RETRY,
    THROTTLED,
    TOO_MANY_REQUESTS,
    Failure,
    ToldErrors,
    advice,
    connection_failure,
    markup,
    no_json,
)
from analytics_pipeline.sources.pacing import Pace, retry_after_seconds, retry_wait
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.sources.tokens import Tokens

Body = TypeVar("Body")

_LOG = logging.getLogger(__name__)
_REDIRECTS = {301, 302, 303, 307, 308}
_SAME_METHOD = {307, 308}
"""Redirects after which the request is made again as it was; others turn a POST into a GET."""
_MAX_REDIRECTS = 5
_NO_CONTENT, _BAD_REQUEST, _UNAUTHORIZED = 204, 400, 401
_CHUNK_BYTES = 1 << 17
_EXCERPT_BYTES = 2048
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Answer(Generic[Body]):
    """A whole answer: the decoded body, its headers, and its URL, also as shown to people.

    The body is None for 204 No Content, and for a status that the caller takes for an end.
    """

    body: Body | None
    headers: Mapping[str, str]
    url: str
    shown: str
    status: int = 200
    method: str = "GET"

    @property
    def asked(self) -> str:
        """Method and URL for messages."""
        return f"{self.method} {self.shown}"


@dataclass(frozen=True)
class _Redirect:
    location: str
    status: int


_RENEWED = _Redirect("", _UNAUTHORIZED)
"""The token ended meanwhile: the same request again, with another one."""


class ShopClient:
    """Makes requests to one shop. A context manager, for one thread.

    Attributes:
        shop: The description.
        base_url: The resolved base URL, without a slash at its end.
        statistics: Running totals.
        redact: Hides the shop's secrets in a text.
        verify: Whose certificates are trusted, as the HTTP library takes it.
        clock: Monotonic seconds.
        random: A random share between 0 and 1.
        elsewhere: What is said of redirects that are not followed.
    """

    elsewhere = "credentials stay with the shop's own origin. Set base_url to the address where the API is"

    def __init__(
        self,
        shop: Shop,
        *,
        environment: Mapping[str, str] = os.environ,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_share,
    ) -> None:
        """Resolves the references of the description; makes no request.

        Args:
            shop: The description.
            environment: Where secrets and the certificate bundle are looked up.
            sleep: Waits for so many seconds.
            clock: Monotonic seconds.
            random: Random share between 0 and 1, for the jitter of waits.

        Raises:
            MissingSecretError: A variable that the description refers to is not set.
            SettingsError: A variable holds something that cannot be used.
        """
        credentials = read_credentials(shop.auth, environment)
        self.shop = shop
        self.base_url = resolved_base_url(shop, environment)
        self.statistics = Statistics()
        self._credentials = credentials
        self._tokens = Tokens(credentials.token, self.base_url, clock) if credentials.token else None
        self.redact = Redactor(credentials.secrets, credentials.hidden_params)
        self._told_errors = ToldErrors(shop.errors, self.redact)
        self.clock, self.random = clock, random
        self._sleep = sleep
        self._pace = Pace(shop.request_budget, shop.limits.max_retry_after, self._sleep, clock)
        self._session = requests.Session()
        self._session.trust_env = False
        self._deadline = Deadline(shop.limits.answer_timeout)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter(self._deadline))
        self.verify = self._session.verify = certificates(environment)
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": "analytics-pipeline", **shop.headers, **credentials.headers}
        )
        # urllib3 logs every URL on level DEBUG, with the key in it when the key is a parameter.
        self._connection_log = RedactedLog(self.redact)
        logging.getLogger("urllib3.connectionpool").addFilter(self._connection_log)

    def __repr__(self) -> str:
        return f"ShopClient({self.shop.name!r}, {self.redact.shown(self.base_url)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()
        logging.getLogger("urllib3.connectionpool").removeFilter(self._connection_log)

    def pause(self, reason: str, seconds: float) -> None:
        """Waits, and notes for what."""
        self._sleep(seconds)
        self.statistics.wait(reason, seconds)

    def url(self, path: str) -> str:
        """The absolute URL of a path of the description."""
        return self.base_url + path

    def shown(self, request: PageRequest) -> str:
        """The URL of a request with its parameters for messages, without secrets; nothing of its body."""
        query = f"{'&' if '?' in request.url else '?'}{urlencode(request.params, doseq=True)}" if request.params else ""
        return self.redact.shown(request.url + query)

    def ask(self, request: PageRequest, decode: Callable[[bytes], Body], ends: Collection[int] = ()) -> Answer[Body]:
        """Asks until there is a whole answer, and decodes it.

        Args:
            request: What is asked, of an absolute URL of the shop's origin.
            decode: From the body to a value. A `msgspec.ValidationError` means that the answer breaks its
                description, any other ValueError that it is no JSON and worth another attempt.
            ends: Statuses that are answers without a body.

        Raises:
            ShopRefusedError: The shop refused, or redirected to another origin.
            ShopUnavailableError: All attempts failed.
            AnswerError: The answer is too large or breaks its description.
            SettingsError: The shop's certificate or address cannot be used.
        """
        limits = self.shop.limits
        asked = f"{request.method} {self.shown(request)}"
        failures = 0
        while True:
            outcome = self._follow(request, decode, ends)
            if isinstance(outcome, Answer):
                if self._tokens is not None and not request.bare:
                    self._tokens.has_worked = True
                return outcome
            failures += 1
            if failures > limits.retries:
                break
            seconds = retry_wait(failures, outcome.retry_after, limits.max_retry_after, self.random())
            _LOG.warning("%s: %s; asking again in %.1f s", asked, outcome.cause, seconds)
            self.pause(outcome.reason, seconds)
            self.statistics.retries += 1
        raise ShopUnavailableError(
            f"{asked} gave no whole answer in {failures} attempts; the last: {outcome.cause}. "
            f"Try again later; if it lasts, see whether base_url is right and the shop is up, or raise limits.retries"
        )

    def _follow(
        self, request: PageRequest, decode: Callable[[bytes], Body], ends: Collection[int]
    ) -> Answer[Body] | Failure:
        """One attempt, along redirects within the shop's origin."""
        start = f"{request.method} {self.shown(request)}"
        for _ in range(_MAX_REDIRECTS + 1):
            if self._tokens is not None and self._tokens.is_due and not request.bare:
                self._get_token(self._tokens)
            outcome = self._send(request, decode, ends)
            if outcome is _RENEWED:
                continue
            if not isinstance(outcome, _Redirect):
                return outcome
            if request.method != "GET" and outcome.status not in _SAME_METHOD:
                fault = f"(HTTP {outcome.status}) would have the request made again by GET, without its body"
                break
            try:
                request = replace(request, url=self._target(request.url, outcome.location), params={})
            except ValueError as error:
                fault = self.redact.shown(str(error))
                break
        else:
            fault = f"goes on after {_MAX_REDIRECTS} steps"
        raise ShopRefusedError(f"{start}: the shop's redirect {fault}; {self.elsewhere}")

    def _target(self, url: str, location: str) -> str:
        """Where a redirect leads; a ValueError says in words why it is not followed."""
        return resolve_link(location, against=url)

    def _get_token(self, tokens: Tokens) -> None:
        """Asks for a token.

        Raises:
            ShopRefusedError, ShopUnavailableError, AnswerError, SettingsError: As `ask`; there is no token.
        """
        answer = self.ask(tokens.request, tokens.decode)
        self.redact.learn(tokens.take(answer.body or (), answer.headers, answer.asked, self._credentials.source))

    def _renews(self, request: PageRequest) -> bool:
        """Whether a request that lacks the right is made again with another token: once for each that has worked."""
        if self._tokens is None or request.bare or not self._tokens.has_worked:
            return False
        self._tokens.forget()
        return True

    def _send(
        self, request: PageRequest, decode: Callable[[bytes], Body], ends: Collection[int]
    ) -> Answer[Body] | Failure | _Redirect:
        """One request."""
        self.statistics.wait(*self._pace.wait())
        self.statistics.requests += 1
        asked = f"{request.method} {self.shown(request)}"
        limits = self.shop.limits
        fault: Exception
        try:
            with (
                self._deadline.running(),
                self._session.send(
                    self._prepared(request),
                    stream=True,
                    timeout=(limits.connect_timeout, limits.read_timeout),
                    allow_redirects=False,
                ) as response,
            ):
                if self._deadline.has_passed:  # the end of the connection is that of the headers, too
                    return self._late()
                self._pace.learn(response.headers)
                if response.status_code == _UNAUTHORIZED and self._renews(request):
                    return _RENEWED
                return self._outcome(request, response, decode, ends)
        except requests.RequestException as error:
            fault = error
        # Outside the handler: the library's errors show the whole URL, and must not hang on ours as their context.
        return self._late() if self._deadline.has_passed else connection_failure(fault, asked, self.redact.shown)

    def _outcome(
        self, request: PageRequest, response: requests.Response, decode: Callable[[bytes], Body], ends: Collection[int]
    ) -> Answer[Body] | Failure | _Redirect:
        status, shown = response.status_code, self.shown(request)
        headers = CaseInsensitiveDict(response.headers)
        if status in _REDIRECTS and "Location" in headers:
            return _Redirect(headers["Location"], status)
        answer = Answer[Any](None, headers, response.url, shown, status, request.method)
        if status == _NO_CONTENT or status in ends:
            return answer
        if status in {408, TOO_MANY_REQUESTS} or status >= 500:  # noqa: PLR2004  # HTTP's own numbers
            reason = THROTTLED if status == TOO_MANY_REQUESTS else RETRY
            return Failure(f"HTTP {status}", retry_after_seconds(headers), reason)
        if not response.ok or status >= 300:  # noqa: PLR2004
            raise self._refusal(request, response, answer.asked)
        body = self._read(response, answer.asked)
        if self._deadline.has_passed:  # without an announced length, the end of the connection is that of the body
            return self._late()
        return self._told(request, answer, body) or self._decoded(answer, body, decode)

    def _told(self, request: PageRequest, answer: Answer[Any], body: bytes) -> Failure | _Redirect | None:
        """What an answer that looks like a good one tells of points and failures.

        Raises:
            ShopRefusedError: It is a failure that does not pass.
        """
        self._pace.learn_points(body)
        told = self._told_errors.in_answer(body)
        if told is None:
            return None
        if told.is_unauthorized and self._renews(request):
            return _RENEWED
        if told.is_passing:
            cause = f"HTTP {answer.status}, throttled.{told.words}"
            return Failure(cause, retry_after_seconds(answer.headers), THROTTLED)
        message = f"{answer.asked}: HTTP {answer.status} with an error: asking again cannot help.{told.words}"
        raise ShopRefusedError(message, excerpt=told.excerpt, status=answer.status)

    def _decoded(self, answer: Answer[Any], body: bytes, decode: Callable[[bytes], Body]) -> Answer[Body] | Failure:
        try:
            return replace(answer, body=decode(body))
        except msgspec.ValidationError as error:
            fault = self.redact.shown(str(error))
        except ValueError as error:
            return no_json(answer.status, body, self.redact.shown(str(error)))
        raise AnswerError(f"{answer.asked}: the answer does not have the described form: {fault}")

    def _read(self, response: requests.Response, asked: str) -> bytes:
        """The body, decompressed; stops as soon as it is too large, whatever its headers say."""
        allowed = self.shop.limits.max_answer_mb * _MEGABYTE
        announced = response.headers.get("Content-Length", "")
        chunks: list[bytes] = []
        size = int(announced) if announced.isascii() and announced.isdigit() else 0
        if size <= allowed:
            size = 0
            for chunk in response.iter_content(_CHUNK_BYTES):
                size += len(chunk)
                if size > allowed:
                    break
                chunks.append(chunk)
        if size > allowed:
            raise AnswerError(
                f"{asked}: the answer is larger than {self.shop.limits.max_answer_mb} MB; "
                f"ask for smaller pages (pagination.size) or raise limits.max_answer_mb"
            )
        self.statistics.bytes += size
        return b"".join(chunks)

    def _refusal(self, request: PageRequest, response: requests.Response, asked: str) -> ShopRefusedError:
        try:
            excerpt = next(response.iter_content(_EXCERPT_BYTES), b"")
        except requests.RequestException:
            excerpt = b""
        words = self.redact.shown(excerpt.decode("utf-8", "replace"))
        kind = markup(excerpt)
        page = f" The answer is {kind} and no JSON: perhaps a page for people." if kind else ""
        # Token endpoints say of wrong credentials that the request is bad.
        is_of_credentials = request.bare and response.status_code == _BAD_REQUEST
        remedy = advice(_UNAUTHORIZED if is_of_credentials else response.status_code, self._credentials.source)
        message = f"{asked}: HTTP {response.status_code}: {remedy}.{page}"
        return ShopRefusedError(message, excerpt=words or None, status=response.status_code)

    def _late(self) -> Failure:
        return Failure(f"no whole answer within {self.shop.limits.answer_timeout:g} s (limits.answer_timeout)")

    def _prepared(self, request: PageRequest) -> requests.PreparedRequest:
        url, params = (request.url, dict(request.params)) if request.bare else self._credentials.on(request)
        has_type = request.body is None or "Content-Type" in self._session.headers
        headers: dict[str, str | None] = {} if has_type else {"Content-Type": "application/json"}
        if request.bare:
            headers |= dict.fromkeys(self._credentials.headers)
        elif self._tokens is not None:
            headers |= self._tokens.headers
        asked = requests.Request(
            request.method,
            url,
            params=params,
            data=request.body,
            headers={**headers, **request.headers},  # None leaves one of the session out
        )
        return self._session.prepare_request(asked)


def refuse_missing_secrets(shop: Shop, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to begin what would ask a shop without its credentials; no request is made.

    Raises:
        MissingSecretError, SettingsError: As `ShopClient`.
    """
    if shop.lists:
        with ShopClient(shop, environment=environment):
            pass
