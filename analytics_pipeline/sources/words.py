"""The shop's own words in an answer that is an error: a few short texts, without secrets or control characters.

What looks like an e-mail address is hidden; everything else of an answer may tell of persons and is never quoted.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

_ERROR_KEYS = ("error", "errors")
_KEYS = (*_ERROR_KEYS, "message", "messages", "error_message", "error_description", "detail", "code")
_MOST_TEXTS = 3
_MOST_CHARACTERS = 80
_ADDRESS = re.compile(r"\S*@\S*")


def error_words(body: bytes, redact: Callable[[str], str]) -> tuple[bool, str]:
    """Whether an answer has an error beside or in place of its list, and what it says.

    Returns:
        Whether `error` or `errors` holds something, and a part of a sentence: empty, or ` The shop says: ...`.
    """
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return False, ""
    texts = [text for key in _KEYS if key in document for text in _texts(document[key])]
    shown = "; ".join(dict.fromkeys(_shown(text, redact) for text in texts[:_MOST_TEXTS]))
    return any(document.get(key) for key in _ERROR_KEYS), f" The shop says: {shown}" if shown else ""


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list) and depth < _MOST_TEXTS:
        for one in value[:_MOST_TEXTS]:
            yield from _texts(one, depth + 1)
    elif isinstance(value, dict) and depth < _MOST_TEXTS:
        for key in _KEYS:
            yield from _texts(value.get(key), depth + 1)


def _shown(text: str, redact: Callable[[str], str]) -> str:
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in redact(text)).split())
    line = _ADDRESS.sub("***", line)
    return line if len(line) <= _MOST_CHARACTERS else line[:_MOST_CHARACTERS] + "..."
