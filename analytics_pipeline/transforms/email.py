"""Hashes of e-mail addresses, with a key of the installation: a plain hash of an address that one knows is none. Pure.

How the key comes into being and where it lies stands in `email_key`, whose hashes a database holds in
`history.email_hashes`.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

FINGERPRINT_DIGITS = 12
_FINGERPRINTED = "analytics_pipeline fingerprint"
"""No SHA-256 in hex, so that no address has this for its hash."""


@dataclass(frozen=True)
class EmailKey:
    """The key of an installation's hashes; shows nothing of it but the fingerprint."""

    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits by which two keys are told apart."""
        return self.rehash(_FINGERPRINTED)[:FINGERPRINT_DIGITS]

    def hash(self, address: object) -> str | None:
        """Return the hash of an address, trimmed and in lower case, as 64 hex digits; None without an address."""
        normal = address.strip().lower() if isinstance(address, str) else ""
        if not normal:
            return None
        return self.rehash(hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest())

    def rehash(self, plain_hash: str) -> str:
        """Return the hash for a plain SHA-256 in hex: stored ones can be replaced without the addresses."""
        return hmac.digest(self.secret, plain_hash.encode("ascii"), "sha256").hex()
