"""The token that a shop gives for a log-in: which one is sent, when it ends, and when another may be asked for.

Nothing here makes a request: the client does, as for everything else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from analytics_pipeline.decoding.envelope import record_reader
from analytics_pipeline.errors import ShopRefusedError
from analytics_pipeline.shop.placeholders import PageRequest
from analytics_pipeline.sources.credentials import TokenRequest
from analytics_pipeline.sources.pagination import whole_number

_EARLIER_SHARE, _EARLIER_SECONDS = 0.1, 60.0
"""How long before its end a token is asked for anew: a share of its life, at most so many seconds."""


class Tokens:
    """The token of one client.

    Attributes:
        has_worked: Whether the shop has answered a request with the token that is sent now.
    """

    def __init__(self, described: TokenRequest, base_url: str, clock: Callable[[], float]) -> None:
        """Takes how a token is asked for, where, and monotonic seconds."""
        self._described = replace(described, request=replace(described.request, url=base_url + described.request.url))
        self._clock = clock
        self._token: str | None = None
        self._ends_at: float | None = None
        self.has_worked = False
        paths = [described.token, "expires_in", "refresh_token"] if described.token is not None else []
        self._read = record_reader(list(filter(None, paths))) if paths else None

    @property
    def request(self) -> PageRequest:
        """The request for a token."""
        return self._described.request

    @property
    def is_due(self) -> bool:
        """Whether a token has to be asked for: there is none, or the one there is ends."""
        return self._token is None or (self._ends_at is not None and self._clock() >= self._ends_at)

    @property
    def headers(self) -> dict[str, str]:
        """What a request of the shop carries."""
        return {} if self._token is None else {self._described.header: f"{self._described.prefix}{self._token}"}

    def forget(self) -> None:
        """Drop the token, which the shop takes no longer."""
        self._token, self.has_worked = None, False

    def decode(self, body: bytes) -> Sequence[object]:
        """Read what an answer to `request` says: the token, how long it is good, a new refresh token."""
        return self._read(body) if self._read is not None else ()

    def take(self, found: Sequence[object], headers: Mapping[str, str], asked: str, source: str) -> list[str]:
        """Take the token of an answer; returns the secrets in it.

        Raises:
            ShopRefusedError: There is none, or none that can stand in a header.
        """
        described = self._described
        token, *others = found if described.token is not None else (headers.get(described.token_header or ""),)
        place = f"at `{described.token}`" if described.token is not None else f"in the header {described.token_header}"
        if not isinstance(token, str) or not token.strip() or not token.isascii() or not token.strip().isprintable():
            raise ShopRefusedError(f"{asked}: the shop gave no token {place}; check {source}, and `auth`")
        lifetime = described.seconds if described.seconds is not None else whole_number(others[0] if others else None)
        if lifetime is not None:
            self._ends_at = self._clock() + lifetime - min(_EARLIER_SECONDS, lifetime * _EARLIER_SHARE)
        else:
            self._ends_at = None
        self._token, self.has_worked = token.strip(), False
        refresh_token = others[1] if len(others) > 1 else None
        if not isinstance(refresh_token, str) or not refresh_token:
            return [self._token]
        self._described = described.refreshed(refresh_token)
        return [self._token, refresh_token]
