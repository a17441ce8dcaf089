"""Standard output and error, through which nothing steers a terminal, whoever writes: a command, a log, a traceback."""

import sys
from typing import TextIO, cast

from analytics_pipeline.plain import plain_lines


class Screen:
    """A text stream that shows what `plain_lines` gives of each text written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        self._stream.write(plain_lines(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)


def guard_screen() -> None:
    """Have everything that this process writes pass through a `Screen`; once, however often it is called."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Screen):
            setattr(sys, name, cast("TextIO", Screen(stream)))
