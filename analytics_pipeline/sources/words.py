"""The shop's own words in an answer that is an error: what a message may quote of them, and what goes into its excerpt.

A message quotes single words, such as `rate_limited`, and short sentences in lower case, such as `Shard timed out`,
without secrets or control characters: where other words begin with a capital, or hold digits or signs, a person may be
named. The excerpt has all of it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

_ERROR_KEYS = ("error", "errors")
_SUCCESS_KEYS = ("success", "ok")
_MAY_FAIL = re.compile(rb'"(?:errors?|success|ok)"\s*:')
_KEYS = (*_ERROR_KEYS, "message", "messages", "error_message", "error_description", "detail", "code")
_MOST_TEXTS = 3
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,39}")
_SENTENCE = re.compile(r"[A-Za-z][a-z]*(?:[,:;]? (?:[a-z]+|[0-9]{1,3}|Server|Error|Gateway|Timeout|Request|API))+[.!]?")
_LONGEST_SENTENCE = 80
_PATH = re.compile(r"@|[A-Za-z_]{1,40}(?:\.[A-Za-z_]{1,40})?")
_EXCERPT_BYTES = 2_048


def may_be_failure(body: bytes) -> bool:
    """Whether an answer has one of the keys, at whatever level, by which answers say that they failed."""
    return _MAY_FAIL.search(body) is not None


def error_words(body: bytes, redact: Callable[[str], str]) -> tuple[bool, str]:
    """Whether an answer has an error beside or in place of its list, and what it says.

    Returns:
        Whether `error` or `errors` holds something, or `success` or `ok` is false; and a part of a sentence: empty, or
        ` The shop says: ...`, of the words that a message may quote.
    """
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return False, ""
    texts = [text for key in _KEYS if key in document for text in _texts(document[key])]
    is_failure = any(map(document.get, _ERROR_KEYS)) or any(document.get(key) is False for key in _SUCCESS_KEYS)
    return is_failure, quoted(texts, redact)


def lists_in(body: bytes) -> list[str]:
    """Paths of the first lists of an answer, at most two keys deep; keys that are no plain words are left out."""
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return []
    if isinstance(document, list):
        return ["@"]
    found: list[str] = []
    for key, value in document.items() if isinstance(document, dict) else ():
        inner = value.items() if isinstance(value, dict) else ()
        found += [key] if isinstance(value, list) else [f"{key}.{name}" for name, one in inner if isinstance(one, list)]
    return [path for path in found if _PATH.fullmatch(path)][:_MOST_TEXTS]


def quoted(texts: Iterable[str], redact: Callable[[str], str]) -> str:
    """A part of a sentence: empty, or ` The shop says: ...`, of the texts that a message may quote."""
    words = [redact(text.strip()) for text in texts if _may_be_quoted(text.strip())]
    shown = "; ".join(list(dict.fromkeys(words))[:_MOST_TEXTS])
    return f" The shop says: {shown}" if shown else ""


def _may_be_quoted(text: str) -> bool:
    if _WORD.fullmatch(text):
        return True
    return len(text) <= _LONGEST_SENTENCE and _SENTENCE.fullmatch(text) is not None


def excerpt_of(body: bytes, redact: Callable[[str], str]) -> str | None:
    """Return the beginning of an answer for an error's excerpt, None of an empty one."""
    return redact(body[:_EXCERPT_BYTES].decode("utf-8", "replace")) or None


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list) and depth < _MOST_TEXTS:
        for one in value[:_MOST_TEXTS]:
            yield from _texts(one, depth + 1)
    elif isinstance(value, dict) and depth < _MOST_TEXTS:
        for key in _KEYS:
            yield from _texts(value.get(key), depth + 1)
