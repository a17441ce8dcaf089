"""`${NAME}` references of a shop description: recognising them, and resolving them late from the environment.

Which fields may hold a reference is said in spec.py; nothing here reads a file or the process environment by itself.
"""

import re
from collections.abc import Mapping

from analytics_pipeline.errors import MissingSecretError

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def has_reference(text: str) -> bool:
    """Whether the text holds a `${NAME}` or `${NAME:-default}` reference."""
    return _REFERENCE.search(text) is not None


def is_secret_reference(text: str) -> bool:
    """Whether the text is exactly one `${NAME}` reference without a default, which is how a secret is written."""
    match = _REFERENCE.fullmatch(text)
    return match is not None and match["default"] is None


def with_defaults(text: str) -> str | None:
    """The text with every reference replaced by its default, or None when a reference has none."""
    if any(match["default"] is None for match in _REFERENCE.finditer(text)):
        return None
    return _REFERENCE.sub(lambda match: match["default"], text)


def resolve(text: str, environment: Mapping[str, str], *, where: str = "the shop description") -> str:
    """Replaces every reference by its value in the environment; an empty variable counts as not set.

    Args:
        text: A value of a description, for example `https://${SHOP}.example.com`.
        environment: The variables, usually `os.environ`.
        where: Key path of the value, for the message.

    Raises:
        MissingSecretError: A variable without default is not set or empty.
    """

    def value(match: re.Match[str]) -> str:
        found = environment.get(match["name"]) or match["default"]
        if found is None:
            raise MissingSecretError(
                f"{where} refers to the environment variable {match['name']}, which is not set or empty; "
                f"set it in the environment or in .env"
            )
        return found

    return _REFERENCE.sub(value, text)
