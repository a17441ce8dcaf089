"""How a shop is shown who asks, as models of its description; what they become is in sources/credentials.py."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from analytics_pipeline.shop.placeholders import names_in
from analytics_pipeline.shop.protocol import DottedPath, Model, Secret, Text, UrlPath, looks_like_credential
from analytics_pipeline.shop.references import has_reference, is_secret_reference
from analytics_pipeline.shop.requests import Method, ParamValue, is_json


def _with_references(value: Any, name: str = "") -> Any:  # noqa: ANN401 - what YAML may say
    """The value itself, where its references stand for whole texts and no credential is written out."""
    if isinstance(value, dict):
        for key, one in value.items():
            _with_references(one, str(key))
    elif isinstance(value, list | tuple):
        for one in value:
            _with_references(one, name)
    elif isinstance(value, str):
        if has_reference(value) and not is_secret_reference(value):
            raise ValueError(f"{name}: a ${{NAME}} reference stands alone, without default and without other text")
        if looks_like_credential(name) and not has_reference(value):
            raise ValueError(f"{name} looks like a credential; write it as a ${{NAME}} reference")
        if list(names_in(value)):
            raise ValueError(f"{name}: a request for credentials has no placeholders")
    elif not is_json(value):
        raise ValueError(f"{name} is nothing that JSON knows")
    return value


def _header_name(text: str) -> str:
    if not all(character.isascii() and (character.isalnum() or character in "!#$%&'*+-.^_`|~") for character in text):
        raise ValueError("must be the name of a header")
    return text


HeaderName = Annotated[str, Field(min_length=1), AfterValidator(_header_name)]
SecretParams = Annotated[dict[str, ParamValue], BeforeValidator(_with_references), Field(strict=False)]
SecretBody = Annotated[Any, BeforeValidator(_with_references)]


class NoAuth(Model):
    """The API asks for no credentials."""

    type: Literal["none"] = "none"


class ApiKeyAuth(Model):
    """A key in a header or in a query parameter.

    Attributes:
        key: The key, as a `${NAME}` reference.
        header: Header that takes it.
        param: Query parameter that takes it.
    """

    type: Literal["api_key"]
    key: Secret
    header: Text | None = None
    param: Text | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "ApiKeyAuth":
        if (self.header is None) == (self.param is None):
            raise ValueError("give either header or param, the place where the API expects the key")
        return self


class BearerAuth(Model):
    """A token in the `Authorization: Bearer` header.

    Attributes:
        token: The token, as a `${NAME}` reference.
    """

    type: Literal["bearer"]
    token: Secret


class BasicAuth(Model):
    """User and password in the `Authorization: Basic` header; a key that is sent as the user has no password.

    Attributes:
        username: The user.
        password: The password, as a `${NAME}` reference; None for an empty one.
    """

    type: Literal["basic"]
    username: Text
    password: Secret | None = None


class TokenHeader(Model):
    """Where a token is sent that a request of its own gives.

    Attributes:
        header: The header.
        prefix: What stands before the token in it.
    """

    header: HeaderName = "Authorization"
    prefix: Annotated[str, Field(pattern=r"^[ -~]*$")] = "Bearer "


class LoginAuth(TokenHeader):
    """A token that a log-in gives, asked for again before it ends.

    Attributes:
        path: Path of the log-in below base_url.
        method: How it is asked for.
        params: Query parameters; secrets are `${NAME}` references.
        body: JSON, likewise.
        token: Path of the token in the answer.
        token_header: The header of the answer that has it.
        lifetime_minutes: How long a token is good; None: until the shop refuses it.
    """

    type: Literal["login"]
    path: UrlPath
    method: Method = "POST"
    params: SecretParams = Field(default_factory=dict)
    body: SecretBody = None
    token: DottedPath | None = None
    token_header: Text | None = None
    lifetime_minutes: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "LoginAuth":
        if (self.token is None) == (self.token_header is None):
            raise ValueError("give either token or token_header, the place of the token in the answer")
        if self.body is not None and self.method != "POST":
            raise ValueError("a body needs method: POST")
        if not list(references_in((self.params, self.body))):
            raise ValueError("a log-in needs at least one ${NAME} reference in params or body")
        return self


class OAuth2Auth(TokenHeader):
    """A token by OAuth 2.0.

    Attributes:
        grant: What the token is given for: the client's own credentials, or a refresh token.
        path: Path of the token endpoint below base_url.
        client_id: The client.
        client_secret: Its secret.
        refresh_token: The refresh token.
        scope: The rights to ask for.
        send: Whether client and secret are sent in the body, or as user and password.
    """

    type: Literal["oauth2"]
    grant: Literal["client_credentials", "refresh_token"]
    path: UrlPath
    client_id: Text
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    scope: Text | None = None
    send: Literal["body", "basic"] = "body"

    @model_validator(mode="after")
    def _has_what_the_grant_needs(self) -> "OAuth2Auth":
        if (self.grant == "refresh_token") != (self.refresh_token is not None):
            raise ValueError("refresh_token belongs to grant: refresh_token, which needs it")
        if self.client_secret is None and (self.grant == "client_credentials" or self.send == "basic"):
            raise ValueError("client_secret is missing")
        return self


class SignedAuth(Model):
    """Requests that are signed with a key and its secret (OAuth 1.0a without a user), for plain http.

    Attributes:
        consumer_key: The key.
        consumer_secret: Its secret, which is never sent.
        method: How is signed.
    """

    type: Literal["signed"]
    consumer_key: Secret
    consumer_secret: Secret
    method: Literal["HMAC-SHA256"] = "HMAC-SHA256"


Auth = Annotated[
    NoAuth | ApiKeyAuth | BearerAuth | BasicAuth | LoginAuth | OAuth2Auth | SignedAuth, Field(discriminator="type")
]


def references_in(value: Any) -> Iterator[str]:  # noqa: ANN401 - what YAML may say
    """All texts of a value that are `${NAME}` references."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from references_in(one)
    elif isinstance(value, str) and is_secret_reference(value):
        yield value
