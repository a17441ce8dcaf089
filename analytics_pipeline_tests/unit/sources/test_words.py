"""What a message quotes of a shop: single words and short plain sentences, nothing that may name anybody."""

import json

import pytest

from analytics_pipeline.sources.words import error_words


def said(text: str) -> str:
    return error_words(json.dumps({"orders": [], "errors": [{"message": text}]}).encode(), lambda one: one)[1]


@pytest.mark.parametrize(
    "text", ["x", "rate_limited", "Shard timed out", "Internal Server Error", "partial result, 3 shards failed"]
)
def test_a_word_and_a_short_plain_sentence_are_quoted(text: str) -> None:
    assert said(text) == f" The shop says: {text}"


@pytest.mark.parametrize(
    "text",
    [
        "no right to see Anna Schmidt",
        "customer anna@example.com is unknown",
        "order 4711882 failed",
        "Main Street 5 is unknown",
        "bad \x1b]0;PWN\x07 title",
        "very " * 40 + "long",
    ],
)
def test_a_sentence_that_may_name_a_person_is_not_quoted(text: str) -> None:
    assert said(text) == ""
