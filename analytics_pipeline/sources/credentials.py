"""Credentials of a shop: from the description's references to what a request carries.

Secrets live in `Credentials` objects only, which show none of them. Tokens that a request of its own gives are in
tokens.py, signatures in signing.py.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.shop.credentials import (
    ApiKeyAuth,
    Auth,
    BasicAuth,
    BearerAuth,
    LoginAuth,
    NoAuth,
    OAuth2Auth,
    SignedAuth,
    references_in,
)
from analytics_pipeline.shop.placeholders import Json, PageRequest, json_bytes
from analytics_pipeline.shop.references import is_secret_reference, resolve
from analytics_pipeline.sources.signing import HIDDEN_PARAMS, Signer

_SHORTEST_HIDDEN = 4
"""Characters of a user's name that is hidden: a shorter one would be hidden within all kinds of words."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class TokenRequest:
    """How a token is asked for.

    Attributes:
        request: The request; its URL is the path alone.
        header: The header in which the token is sent.
        prefix: What stands before it there.
        token: Path of the token in the answer.
        token_header: The header of the answer that has it.
        seconds: How long a token is good; None where only the answer may say so.
    """

    request: PageRequest = field(repr=False)
    header: str
    prefix: str
    token: str | None
    token_header: str | None = None
    seconds: float | None = None

    def refreshed(self, refresh_token: str) -> "TokenRequest":
        """The same with another refresh token."""
        form = dict(parse_qsl((self.request.body or b"").decode(), keep_blank_values=True))
        if "refresh_token" not in form:
            return self
        body = urlencode({**form, "refresh_token": refresh_token}).encode()
        return replace(self, request=replace(self.request, body=body))


@dataclass(frozen=True)
class Credentials:
    """What proves to the shop who asks.

    Attributes:
        source: The references that the credentials come from, for messages.
        headers: Headers to send.
        param: Name and value of a query parameter to send.
        secrets: Every text that must not be shown.
        signer: Signs requests.
        token: How a token is asked for.
    """

    source: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    param: tuple[str, str] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    signer: Signer | None = field(default=None, repr=False)
    token: TokenRequest | None = field(default=None, repr=False)

    @property
    def hidden_params(self) -> tuple[str, ...]:
        """Names of query parameters that carry secrets."""
        return HIDDEN_PARAMS if self.signer else (self.param[0],) if self.param else ()

    def on(self, request: PageRequest) -> tuple[str, dict[str, str | tuple[str, ...]]]:
        """URL and parameters of a request with what the credentials add to them."""
        params = dict(request.params)
        if self.signer is not None:
            return self.signer.signed(request.method, request.url, params)
        # The shop's own link may have the key already.
        if self.param is not None and self.param[0] not in dict(parse_qsl(urlsplit(request.url).query)):
            params[self.param[0]] = self.param[1]
        return request.url, params


def read_credentials(auth: Auth, environment: Mapping[str, str]) -> Credentials:
    """Resolves the secrets of a description; white space around them (a trailing line end) is dropped.

    Raises:
        MissingSecretError: A variable is not set.
        SettingsError: A secret cannot stand in a header.
    """
    match auth:
        case NoAuth():
            return Credentials(source="none (auth.type is none)")
        case BearerAuth() | ApiKeyAuth() | BasicAuth() | SignedAuth():
            return _at_once(auth, environment)
        case LoginAuth():
            return _login(auth, environment)
        case OAuth2Auth():
            return _oauth2(auth, environment)
        case _:
            assert_never(auth)


def _at_once(auth: BearerAuth | ApiKeyAuth | BasicAuth | SignedAuth, environment: Mapping[str, str]) -> Credentials:
    """Credentials that are sent as they are."""
    match auth:
        case BearerAuth():
            token = _secret(auth.token, "token", environment)
            return Credentials(auth.token, {"Authorization": f"Bearer {token}"}, secrets=(token,))
        case BasicAuth():
            return _basic(auth, environment)
        case ApiKeyAuth():
            key = _secret(auth.key, "key", environment)
            if auth.header is not None:
                return Credentials(auth.key, {auth.header: key}, secrets=(key,))
            return Credentials(auth.key, param=(str(auth.param), key), secrets=(key,))
        case SignedAuth():
            key = _secret(auth.consumer_key, "consumer_key", environment)
            word = _secret(auth.consumer_secret, "consumer_secret", environment)
            source = f"{auth.consumer_key} and {auth.consumer_secret}, and this machine's clock"
            return Credentials(source, secrets=(key, word), signer=Signer(key, word))
        case _:
            assert_never(auth)


def _secret(reference: str, key: str, environment: Mapping[str, str]) -> str:
    value = resolve(reference, environment, where=f"auth.{key}").strip()
    if not value.isprintable() or not value.isascii() or not value:
        raise SettingsError(
            f"auth.{key}: the value of {reference} is empty or holds characters other than printable ASCII"
        )
    return value


def _basic(auth: BasicAuth, environment: Mapping[str, str]) -> Credentials:
    password = "" if auth.password is None else _secret(auth.password, "password", environment)
    user = resolve(auth.username, environment, where="auth.username").strip()
    pair = _pair(user, password)
    source = " and ".join(filter(None, (auth.username, auth.password)))
    secrets = (password, pair) if password else (user, pair)
    return Credentials(source, {"Authorization": f"Basic {pair}"}, secrets=secrets)


def _login(auth: LoginAuth, environment: Mapping[str, str]) -> Credentials:
    secrets: dict[str, str] = {}

    def resolved(value: Json) -> Json:
        if isinstance(value, dict):
            return {name: resolved(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(resolved, value))
        if isinstance(value, str) and is_secret_reference(value):
            secrets[value] = resolve(value, environment, where="auth").strip()
            return secrets[value]
        return value

    params, body = resolved(auth.params), resolved(auth.body)
    request = PageRequest(auth.path, params, auth.method, None if body is None else json_bytes(body), bare=True)
    seconds = None if auth.lifetime_minutes is None else auth.lifetime_minutes * 60
    token = TokenRequest(request, auth.header, auth.prefix, auth.token, auth.token_header, seconds)
    source = " and ".join(dict.fromkeys(references_in((auth.params, auth.body))))
    hidden = tuple(text for text in secrets.values() if len(text) >= _SHORTEST_HIDDEN)
    return Credentials(source, secrets=hidden, token=token)


def _oauth2(auth: OAuth2Auth, environment: Mapping[str, str]) -> Credentials:
    client = resolve(auth.client_id, environment, where="auth.client_id").strip()
    word = auth.client_secret and _secret(auth.client_secret, "client_secret", environment)
    refresh_token = auth.refresh_token and _secret(auth.refresh_token, "refresh_token", environment)
    form = {"grant_type": auth.grant, "refresh_token": refresh_token, "scope": auth.scope}
    headers, pair = dict(_FORM), ""
    if auth.send == "basic":
        pair = _pair(quote_plus(client), quote_plus(word or ""))
        headers["Authorization"] = f"Basic {pair}"
    else:
        form |= {"client_id": client, "client_secret": word}
    body = urlencode({name: value for name, value in form.items() if value is not None}).encode()
    request = PageRequest(auth.path, {}, "POST", body, headers=headers, bare=True)
    token = TokenRequest(request, auth.header, auth.prefix, "access_token")
    source = " and ".join(filter(None, (auth.client_id, auth.client_secret, auth.refresh_token)))
    hidden = (client,) if len(client) >= _SHORTEST_HIDDEN else ()
    return Credentials(source, secrets=(*filter(None, (word, refresh_token, pair)), *hidden), token=token)


def _pair(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()
