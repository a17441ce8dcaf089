"""The key of the installation for e-mail hashes: from the environment, else from a file of the state folder.

Only where it lies and how it comes into being. What it is used for stands in `transforms.email`.
"""

import os
import secrets
from pathlib import Path

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.settings import EMAIL_KEY, Settings
from analytics_pipeline.transforms.email import EmailKey

FILE = "email.key"
SHORTEST = 32


def key_file(settings: Settings) -> Path:
    """Return where the key lies when the environment does not hold it."""
    return settings.home / FILE


def place_of_key(settings: Settings) -> str:
    """Return where the key comes from, for people."""
    return EMAIL_KEY if settings.email_key is not None else str(key_file(settings))


def read_key(settings: Settings) -> EmailKey | None:
    """Return the key, None where there is none yet.

    Raises:
        SettingsError: What is there is no key, or cannot be read.
    """
    if settings.email_key is not None:
        return _key(settings.email_key, EMAIL_KEY)
    path = key_file(settings)
    try:
        return _key(path.read_text(encoding="ascii"), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the key of the e-mail hashes in {path} cannot be read ({type(error).__name__})."
        ) from None


def make_key(settings: Settings) -> EmailKey:
    """Make the key's file, or read the one that another process has made meanwhile."""
    path = key_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # The name appears with the whole key behind it, and of several processes one gives it.
        os.link(unfinished, path)
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
    key = read_key(settings)
    if key is None:
        raise SettingsError(f"the key of the e-mail hashes cannot be kept in {path}; set {EMAIL_KEY}.")
    return key


def _key(text: str, place: str) -> EmailKey:
    secret = text.strip()
    if len(secret) < SHORTEST or not secret.isascii():
        raise SettingsError(
            f"{place} holds no key of e-mail hashes: at least {SHORTEST} letters and digits, such as "
            "`openssl rand -hex 32` prints."
        )
    return EmailKey(secret.encode("ascii"))
