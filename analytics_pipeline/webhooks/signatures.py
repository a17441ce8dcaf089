"""Who called: signatures over the raw body, as each platform makes them, compared in constant time. Pure.

What a call says is `dialects`' part.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from analytics_pipeline.errors import MissingSecretError, SettingsError
from analytics_pipeline.shop.references import resolve
from analytics_pipeline.shop.webhooks import Dialect, Webhooks
from analytics_pipeline.webhooks.refusals import Reason, Refused

TOLERANCE = 300
"""Seconds by which a signed stamp may differ from now, as Stripe's and Standard Webhooks' own libraries have it."""
_ENCODED = "whsec_"
_STAMP = re.compile(r"\d{1,12}")


class Headers(Protocol):
    """The headers of a call."""

    def getlist(self, key: str) -> list[str]:
        """Return the values of a header, whatever case its name has."""


Check = Callable[[Headers, bytes, Sequence[bytes], float], None]
"""Refuses a call of these headers and body, given the keys that are good and the time."""


def keys_of(webhooks: Webhooks, environment: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the keys that calls may be signed with, the present one first.

    Raises:
        MissingSecretError: The secret is not set.
        SettingsError: It is not as the dialect's secrets are, or blank: what it signs anybody could sign.
    """
    secrets = [resolve(webhooks.secret, environment, where="webhooks.secret")]
    if webhooks.former_secret is not None:
        with suppress(MissingSecretError):
            secrets.append(resolve(webhooks.former_secret, environment))
    return tuple(_key(secret, webhooks.dialect) for secret in secrets)


def _key(secret: str, dialect: Dialect) -> bytes:
    if not secret.removeprefix(_ENCODED).strip():
        raise SettingsError("webhooks.secret is blank, so that anybody could sign with it; copy the secret anew")
    if dialect != "standard" or not secret.startswith(_ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error:
        raise SettingsError(f"webhooks.secret: what follows {_ENCODED} is no base64; copy the secret anew") from None


def check_of(dialect: Dialect) -> Check:
    """Return what refuses a dialect's calls that are not signed, or not as they should be."""
    return _CHECKS[dialect]


def is_signed(headers: Headers, dialect: Dialect) -> bool:
    """Whether a call has a signature, of whatever worth: without one its body need not be read."""
    return bool(headers.getlist(_SIGNATURES[dialect]))


def _shopify_like(header: str) -> Check:
    def check(headers: Headers, body: bytes, keys: Sequence[bytes], _: float) -> None:
        given = _only(headers, header)
        _refuse_unless_one(_base64s(body, keys), [given])

    return check


def _stripe(headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> None:
    parts = [part.strip().partition("=") for part in _only(headers, _SIGNATURES["stripe"]).split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        raise Refused(Reason.WRONG_SIGNATURE)
    content = f"{stamps[0]}.".encode() + body
    _refuse_unless_one([hmac.new(key, content, hashlib.sha256).hexdigest().encode() for key in keys], given)
    _refuse_late(stamps[0], now)


def _standard(headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> None:
    call_id, stamp = _only(headers, "webhook-id"), _only(headers, "webhook-timestamp")
    versions = [one.partition(",") for one in _only(headers, "webhook-signature").split()]
    given = [signature for version, _, signature in versions if version == "v1"]
    if not _STAMP.fullmatch(stamp):
        raise Refused(Reason.WRONG_SIGNATURE)
    content = f"{call_id}.{stamp}.".encode("latin-1") + body
    _refuse_unless_one(_base64s(content, keys), given)
    _refuse_late(stamp, now)


def _only(headers: Headers, name: str) -> str:
    """Return the value of a header; of several ones it is not known which the shop has sent."""
    values = headers.getlist(name)
    if not values:
        raise Refused(Reason.UNSIGNED)
    if len(values) > 1:
        raise Refused(Reason.WRONG_SIGNATURE)
    return values[0]


def _base64s(content: bytes, keys: Sequence[bytes]) -> list[bytes]:
    return [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()) for key in keys]


def _refuse_unless_one(right: Sequence[bytes], given: Sequence[str]) -> None:
    """Refuse a call none of whose signatures is right; all are compared, so that time tells nothing of which one."""
    # Headers come as Latin-1; their bytes are compared, since texts beyond ASCII cannot be.
    equal = [hmac.compare_digest(one, text.encode("latin-1", "replace")) for one in right for text in given]
    if not any(equal):
        raise Refused(Reason.WRONG_SIGNATURE)


def _refuse_late(stamp: str, now: float) -> None:
    if abs(now - int(stamp)) > TOLERANCE:
        raise Refused(Reason.LATE)


_SIGNATURES: dict[Dialect, str] = {
    "shopify": "x-shopify-hmac-sha256",
    "woocommerce": "x-wc-webhook-signature",
    "stripe": "stripe-signature",
    "bigcommerce": "webhook-signature",
    "standard": "webhook-signature",
}
_CHECKS: dict[Dialect, Check] = {
    "shopify": _shopify_like(_SIGNATURES["shopify"]),
    "woocommerce": _shopify_like(_SIGNATURES["woocommerce"]),
    "stripe": _stripe,
    "bigcommerce": _standard,
    "standard": _standard,
}
