"""Hashes of e-mail addresses: one of an address however it is written, none without the key."""

import hashlib
import hmac

from analytics_pipeline.transforms.email import EmailKey

KEY = EmailKey(b"a key of 32 letters and some more")
ADA = "ada@example.com"


def test_an_address_has_one_hash_however_it_is_written() -> None:
    assert KEY.hash(" Ada@Example.COM ") == KEY.hash(ADA)
    assert KEY.hash(ADA) != KEY.hash("eda@example.com")
    nothings: list[object] = [None, "", "  ", 5, []]
    assert [KEY.hash(nothing) for nothing in nothings] == [None] * 5


def test_a_hash_is_a_keyed_one_of_the_plain_one() -> None:
    plain = hashlib.sha256(ADA.encode()).hexdigest()
    assert KEY.hash(ADA) == KEY.rehash(plain) == hmac.new(KEY.secret, plain.encode(), "sha256").hexdigest()
    assert EmailKey(b"another key of 32 letters and more").hash(ADA) != KEY.hash(ADA)


def test_a_key_shows_its_fingerprint_and_nothing_else() -> None:
    assert repr(KEY) == "EmailKey()"
    assert len(KEY.fingerprint) == 12
    assert KEY.fingerprint == EmailKey(KEY.secret).fingerprint != EmailKey(b"another").fingerprint
