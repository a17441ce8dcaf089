"""The client of a shop's public pages: slow, without credentials, and nowhere that robots.txt forbids.

What is asked, and what an answer means, is the part of its callers.
"""

import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from random import random as random_share
from typing import Any

import requests
from urllib3.util import parse_url

from analytics_pipeline.shop.credentials import NoAuth
from analytics_pipeline.shop.pages import Pages
from analytics_pipeline.shop.placeholders import PageRequest
from analytics_pipeline.shop.protocol import RequestBudget
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.shop.urls import origin_text, resolve_link
from analytics_pipeline.sources.client import Answer, ShopClient
from analytics_pipeline.sources.pages.robots import Robots

PACKAGE = "analytics-pipeline"
MOST_RETRIES, LONGEST_ANSWER = 2, 60.0
"""A shop's pages are for people: whatever the limits of its API, they are asked no more often, and for no longer."""
LONGEST_URL = 2_000
_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5"
_ENDS = frozenset({304, *range(400, 500)} - {408, 429})
"""Statuses that are answers: the callers judge them."""
_CANONICAL = re.compile(r"(?:/(?!\.)[A-Za-z0-9_~.,+-]*)+(?:\?[A-Za-z0-9_~.,+&=-]*)?", re.ASCII)
"""Paths that are sent as they stand: what they mean depends on no escape and no dots."""


class PageClient(ShopClient):
    """Asks for public pages of one host, one after the other.

    The time between two requests counts from the end of the first one's answer; the last one is waited for, too, so
    that the next client cannot come too early.

    Attributes:
        origin: Scheme and host of the pages.
        robots: What its robots.txt says; nothing is forbidden before it is read.
        token: The name that is looked up in robots.txt.
    """

    elsewhere = "only pages of one host that robots.txt allows are read: see pages.url"

    def __init__(
        self,
        shop: Shop,
        pages: Pages,
        *,
        environment: Mapping[str, str] = os.environ,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_share,
    ) -> None:
        """Makes no request; the arguments are those of `ShopClient`, and what is said of the pages.

        Raises:
            MissingSecretError, SettingsError: The address, or a variable that it refers to, cannot be used.
        """
        agent = pages.user_agent or f"{PACKAGE}/{version(PACKAGE)}"
        super().__init__(_public(shop, pages, agent), environment=environment, sleep=sleep, clock=clock, random=random)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no page depends on those before it
        self.origin = origin_text(self.base_url)
        self.token = re.split(r"[/ ]", agent)[0]
        self.robots = Robots("", self.token)

    def __exit__(self, *_: object) -> None:
        if self.statistics.requests:
            self.statistics.wait(*self._pace.wait())
        super().__exit__()

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer[bytes]:
        """Asks for a page; the body is None for a status that is no page (4xx, 304).

        Raises: As `ShopClient.ask`.
        """
        return self.ask(PageRequest(url, {}, headers=headers or {}, bare=True), bytes, _ENDS)

    def obey(self, robots: Robots) -> None:
        """Goes by what robots.txt says from here on, and as slowly as it asks for."""
        self.robots = robots
        self._pace.rest(robots.delay)

    def address(self, link: str) -> str:
        """The URL as it will be asked, of a link on the pages' host.

        Raises:
            ValueError: It leads to another host, or is no URL; in words.
        """
        is_plain = link.startswith(f"{self.origin}/") and _CANONICAL.fullmatch(link, len(self.origin)) is not None
        url = link if is_plain else resolve_link(_canonical(link, self.origin), against=self.origin)
        if len(url) > LONGEST_URL:
            raise ValueError(f"is longer than {LONGEST_URL} characters")
        return url

    def _target(self, url: str, location: str) -> str:
        target = self.address(_canonical(location, url))
        if not self.robots.allows(target):
            raise ValueError("leads to a path that robots.txt forbids")
        return target

    def _send(self, request: PageRequest, decode: Callable[[bytes], Any], ends: Collection[int]) -> Any:  # noqa: ANN401 - as the client's own
        try:
            return super()._send(request, decode, ends)
        finally:
            self._pace.rest()


def _canonical(link: str, against: str) -> str:
    """A link as the HTTP library will send it: `/a/../b` and `/%62` are `/b`, which robots.txt may forbid."""
    try:
        joined = requests.compat.urljoin(against, link.strip())
        prepared = requests.PreparedRequest()
        prepared.prepare_url(joined, None)
        return parse_url(prepared.url or "").url
    except (ValueError, requests.RequestException):
        raise ValueError("is no http(s) URL") from None


def _public(shop: Shop, pages: Pages, agent: str) -> Shop:
    """The shop as a visitor sees it: nothing of its credentials, headers or ways of failing."""
    limits = shop.limits
    return shop.model_copy(
        update={
            "base_url": pages.url or shop.base_url,
            "auth": NoAuth(),
            "headers": {"User-Agent": agent, "Accept": _ACCEPT},
            "errors": None,
            "request_budget": RequestBudget(per_second=pages.per_second),
            "limits": limits.model_copy(
                update={
                    "retries": min(limits.retries, MOST_RETRIES),
                    "answer_timeout": min(limits.answer_timeout, LONGEST_ANSWER),
                }
            ),
        }
    )
