"""Signatures of calls: those that the platforms' own libraries make are taken, all others are not."""

import base64
import hashlib
import hmac

import pytest
from starlette.datastructures import Headers

from analytics_pipeline.errors import MissingSecretError, SettingsError
from analytics_pipeline.shop.webhooks import Dialect, Webhooks
from analytics_pipeline.webhooks.refusals import Reason, Refused
from analytics_pipeline.webhooks.signatures import TOLERANCE, check_of, keys_of

NOW = 1_766_000_000
STRIPE = "1c51ee2654a8579abeba3aa9521b0a417c5c4750582276308d902b66d15dabcc"
GOOD: dict[Dialect, tuple[str, bytes, dict[str, str]]] = {
    # By `openssl dgst -sha256 -hmac`, as both platforms document it.
    "shopify": ("the secret", b'{"id": 1}', {"x-shopify-hmac-sha256": "n5D2iieRYrVMgaWqfqX+Dxl0Mtjy7Y2BcERJYg5eyOo="}),
    "woocommerce": (
        "the secret",
        b'{"id": 1}',
        {"x-wc-webhook-signature": "n5D2iieRYrVMgaWqfqX+Dxl0Mtjy7Y2BcERJYg5eyOo="},
    ),
    # By the package stripe 16.1.0.
    "stripe": (
        "whsec_test_secret",
        b'{"id": "evt_1", "object": "event", "type": "charge.succeeded"}',
        {"stripe-signature": f"t={NOW},v1={STRIPE},v0=6ffb"},
    ),
    # By the package standardwebhooks 1.1.0.
    "standard": (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        b'{"type": "order.created"}',
        {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(NOW),
            "webhook-signature": "v1,sNfOFklcspHGO0w5syRpIQiBseoLFIbBAckf7Ov3/MQ=",
        },
    ),
    "bigcommerce": (
        "the client secret",
        b'{"scope": "store/order/created"}',
        {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(NOW),
            "webhook-signature": "v1,vPHFFvQm9nCVFpjzeU/Y/TwqiRQbeCd7I2d48NWp6eE=",
        },
    ),
}
DIALECTS = sorted(GOOD)
WITH_STAMPS: list[Dialect] = ["bigcommerce", "standard", "stripe"]
Raw = list[tuple[str, str]]


def keys(dialect: Dialect, secret: str, former: str | None = None) -> tuple[bytes, ...]:
    described = Webhooks(
        dialect=dialect, secret="${SECRET}", former_secret="${FORMER}" if former is not None else None, untested=True
    )
    return keys_of(described, {"SECRET": secret, "FORMER": former or ""})


def refusal(dialect: Dialect, body: bytes, headers: Raw, *good: bytes, now: float = NOW) -> Reason | None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    try:
        check_of(dialect)(Headers(raw=raw), body, good, now)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_call_that_the_platforms_library_has_signed_is_taken_and_one_changed_byte_refuses_it(
    dialect: Dialect,
) -> None:
    secret, body, headers = GOOD[dialect]
    good = keys(dialect, secret)

    assert refusal(dialect, body, [*headers.items()], *good) is None
    assert refusal(dialect, body + b" ", [*headers.items()], *good) is Reason.WRONG_SIGNATURE
    assert refusal(dialect, body, [*headers.items()], b"another key") is Reason.WRONG_SIGNATURE
    for name, value in headers.items():
        changed = "A" + value[1:] if name == "webhook-id" else value[:-3] + ("AA=" if value[-1] == "=" else "123")
        other = [(one, changed if one == name else text) for one, text in headers.items()]
        assert refusal(dialect, body, other, *good) in {Reason.WRONG_SIGNATURE, None if "v0=" in value else Reason.LATE}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_its_header_a_call_is_unsigned_and_with_two_of_them_nobody_knows_which(dialect: Dialect) -> None:
    secret, body, headers = GOOD[dialect]
    good, listed = keys(dialect, secret), [*headers.items()]

    for name in headers:
        without = [one for one in listed if one[0] != name]
        assert refusal(dialect, body, without, *good) is Reason.UNSIGNED
        assert refusal(dialect, body, [*listed, (name, "")], *good) is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize("dialect", WITH_STAMPS)
def test_a_signed_call_is_late_once_it_is_older_than_the_tolerance_and_so_is_one_of_the_future(
    dialect: Dialect,
) -> None:
    secret, body, headers = GOOD[dialect]
    good, listed = keys(dialect, secret), [*headers.items()]

    assert refusal(dialect, body, listed, *good, now=NOW + TOLERANCE) is None
    assert refusal(dialect, body, listed, *good, now=NOW - TOLERANCE) is None
    assert refusal(dialect, body, listed, *good, now=NOW + TOLERANCE + 1) is Reason.LATE
    assert refusal(dialect, body, listed, *good, now=NOW - TOLERANCE - 1) is Reason.LATE


@pytest.mark.parametrize("dialect", DIALECTS)
def test_while_a_secret_is_replaced_both_are_good_and_no_third_one(dialect: Dialect) -> None:
    secret, body, headers = GOOD[dialect]
    listed = [*headers.items()]

    assert refusal(dialect, body, listed, *keys(dialect, "whsec_bmV3", former=secret)) is None
    assert refusal(dialect, body, listed, *keys(dialect, secret, former="whsec_bmV3")) is None
    assert refusal(dialect, body, listed, *keys(dialect, "whsec_bmV3", former="b2xk")) is Reason.WRONG_SIGNATURE
    assert keys(dialect, secret, former="") == keys(dialect, secret)


def test_of_several_signatures_one_has_to_be_right_whatever_the_others_are() -> None:
    secret, body, headers = GOOD["stripe"]
    content = f"{NOW}.".encode() + body
    old = hmac.new(b"old", content, hashlib.sha256).hexdigest()
    both = [("stripe-signature", f"t={NOW}, v1={old}, v1={STRIPE}")]
    assert refusal("stripe", body, both, *keys("stripe", secret)) is None
    assert refusal("stripe", body, both, b"old") is None
    assert refusal("stripe", body, both, b"third") is Reason.WRONG_SIGNATURE
    twice = [("stripe-signature", f"t={NOW},t={NOW},v1={STRIPE}")]
    assert refusal("stripe", body, twice, *keys("stripe", secret)) is Reason.WRONG_SIGNATURE

    secret, body, headers = GOOD["standard"]
    right = headers["webhook-signature"]
    several = {**headers, "webhook-signature": f"v1a,{base64.b64encode(b'ed25519').decode()} v1,AAAA {right}"}
    assert refusal("standard", body, [*several.items()], *keys("standard", secret)) is None


@pytest.mark.parametrize("strange", ["", "é" * 20, "v1=", "t=x,v1=y", "," * 500, "v1", "t=9999999999999,v1=" + STRIPE])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_strange_header_is_a_wrong_signature_and_no_error(dialect: Dialect, strange: str) -> None:
    secret, body, headers = GOOD[dialect]
    listed = [(name, strange if "signature" in name or "hmac" in name else text) for name, text in headers.items()]

    assert refusal(dialect, body, listed, *keys(dialect, secret)) is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize(("dialect", "secret"), [("shopify", " \n"), ("standard", "whsec_"), ("stripe", "whsec_")])
def test_a_blank_secret_is_refused_since_anybody_could_sign_with_it(dialect: Dialect, secret: str) -> None:
    with pytest.raises(SettingsError, match="blank"):
        keys(dialect, secret)


def test_a_secret_that_is_not_set_or_no_base64_is_named_and_not_shown() -> None:
    with pytest.raises(MissingSecretError, match=r"webhooks\.secret.*SECRET"):
        keys("shopify", "")
    with pytest.raises(SettingsError, match="no base64") as error:
        keys("standard", "whsec_n0t-base64!")
    assert "n0t" not in str(error.value)


def test_an_untested_dialect_has_to_be_asked_for() -> None:
    with pytest.raises(ValueError, match="not tried on a real store; untested: true"):
        Webhooks(dialect="bigcommerce", secret="${SECRET}")
    assert Webhooks(dialect="bigcommerce", secret="${SECRET}", untested=True).untested
