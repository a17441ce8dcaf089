"""Text for people: what came from the shop made harmless for whoever shows it, and numbers of things in words.

Control characters steer a terminal, and marks of writing direction make a text look like another one. Pure functions;
what may be shown at all is decided elsewhere.
"""

import re

HIDDEN_ADDRESS = "(e-mail)"
_ADDRESS = re.compile(r"(?<![/@\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
"""An address; the login in a URL is none."""
_ADDRESS_BEGINS = "@"


def plain(text: str) -> str:
    """Return a text on one line; what is neither printable nor a blank becomes U+FFFD."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in text)


def plain_lines(text: str) -> str:
    """Return a text of several lines, each of them as `plain` gives it."""
    return text if text.isprintable() else "\n".join(plain(line) for line in text.split("\n"))


def without_addresses(text: str) -> str:
    """Return the lines of a text as `plain_lines` does, with a word for each e-mail address in it."""
    shown = plain_lines(text)
    return _ADDRESS.sub(HIDDEN_ADDRESS, shown) if _ADDRESS_BEGINS in shown else shown


def counted(count: int, noun: str) -> str:
    """Say how many there are of something whose plural ends in s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
