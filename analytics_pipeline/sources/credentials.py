"""Credentials of a shop: from the description's references to the headers or the parameter that a request carries.

Secrets live in `Credentials` objects only, which show none of them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.shop.protocol import ApiKeyAuth, Auth, BasicAuth, BearerAuth, NoAuth
from analytics_pipeline.shop.references import resolve


@dataclass(frozen=True)
class Credentials:
    """What proves to the shop who asks.

    Attributes:
        source: The references that the credentials come from, for messages.
        headers: Headers to send.
        param: Name and value of a query parameter to send.
        secrets: Every text that must not be shown.
    """

    source: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    param: tuple[str, str] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def read_credentials(auth: Auth, environment: Mapping[str, str]) -> Credentials:
    """Resolves the secrets of a description; white space around them (a trailing line end) is dropped.

    Raises:
        MissingSecretError: A variable is not set.
        SettingsError: A secret cannot stand in a header.
    """

    def secret(reference: str, key: str) -> str:
        value = resolve(reference, environment, where=f"auth.{key}").strip()
        if not value.isprintable() or not value.isascii() or not value:
            raise SettingsError(
                f"auth.{key}: the value of {reference} is empty or holds characters other than printable ASCII"
            )
        return value

    match auth:
        case NoAuth():
            return Credentials(source="none (auth.type is none)")
        case BearerAuth():
            token = secret(auth.token, "token")
            return Credentials(auth.token, {"Authorization": f"Bearer {token}"}, secrets=(token,))
        case BasicAuth():
            user = resolve(auth.username, environment, where="auth.username").strip()
            password = secret(auth.password, "password")
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            source = f"{auth.username} and {auth.password}"
            return Credentials(source, {"Authorization": f"Basic {pair}"}, secrets=(password, pair))
        case ApiKeyAuth():
            key = secret(auth.key, "key")
            if auth.header is not None:
                return Credentials(auth.key, {auth.header: key}, secrets=(key,))
            return Credentials(auth.key, param=(str(auth.param), key), secrets=(key,))
        case _:
            assert_never(auth)
