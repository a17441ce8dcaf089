"""Texts of a shop do not steer a terminal, and show no address where many read them."""

import io

import pytest

from analytics_pipeline.cli.screen import Screen
from analytics_pipeline.plain import plain, plain_lines, without_addresses

STEERING = "P\x1b]0;PWN\x07\x1b[2J"


@pytest.mark.parametrize(
    "text", [STEERING, "a\rb", "a\x9b2Jb", "\u202egpj.exe", "a\u2066b", "a\u200fb", "a\x00b", "a\u2028b"]
)
def test_what_steers_a_terminal_or_the_direction_of_writing_is_replaced(text: str) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text)


def test_words_of_all_languages_stay_and_lines_do_where_they_are_wanted() -> None:
    assert plain("Grüße, 東京, Ελλάδα, עברית") == "Grüße, 東京, Ελλάδα, עברית"
    assert plain("one\ntwo") == "one\ufffdtwo"
    assert plain_lines("one\ntwo\x1b") == "one\ntwo\ufffd"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("C1 of ada@example.com, twice", "C1 of (e-mail), twice"),
        ("<ada.l+x@mail.example.co.uk>", "<(e-mail)>"),
        ("jürgen@münchen.de", "(e-mail)"),
        ("postgresql://joe@db.example.com:5432/x", "postgresql://joe@db.example.com:5432/x"),
        ("a @ b, x@y", "a @ b, x@y"),
    ],
)
def test_addresses_are_hidden_and_logins_of_urls_are_none(text: str, shown: str) -> None:
    assert without_addresses(text) == shown


def test_a_screen_passes_nothing_on_that_steers_it() -> None:
    written = io.StringIO()
    screen = Screen(written)
    screen.writelines([f"{STEERING}\n", "whole\n"])
    assert screen.write("two\n") == 4
    assert "\x1b" not in written.getvalue()
    assert written.getvalue().endswith("\nwhole\ntwo\n")
