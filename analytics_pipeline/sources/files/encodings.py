"""How the text of a file is written, judged over the whole of it while it streams by, and never by its first lines.

Valid UTF-8 is UTF-8. A file that is not is UTF-8 with damaged lines where more of its letters are valid UTF-8 than are
not, else Windows-1252; that, and not Latin-1, since it has the same letters and more.
"""

import codecs
from dataclasses import dataclass

from analytics_pipeline.errors import FileRefusedError
from analytics_pipeline.shop.reading import Encoding

_CODECS: dict[Encoding, str] = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "windows-1252": "cp1252",
    "latin-1": "latin-1",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MARKS_OF_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_LOOKED_AT = 4_096
_UNDEFINED_IN_1252 = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))


@dataclass(frozen=True)
class Judged:
    """The encoding of a file.

    Attributes:
        codec: Python's name of it.
        name: Its name for people.
        has_damage: Whether there are bytes that are not of it: the rows that hold them are faults.
        doubt: What is unsure about it, in words.
    """

    codec: str
    name: str
    has_damage: bool = False
    doubt: str | None = None


class EncodingJudge:
    """Judges the encoding of a file by all its blocks.

    Attributes:
        has_nul: Whether there is a NUL byte where the encoding has no use for one.
    """

    def __init__(self, declared: Encoding, path: str) -> None:
        self._declared, self._path = declared, path
        self._codec: str | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._invalid = self._letters = 0
        self._undefined = False
        self.has_nul = False

    def look(self, block: bytes) -> None:
        """Take the next block of the file into account.

        Raises:
            FileRefusedError: It is UTF-32, or no UTF-16.
        """
        if self._codec is None:
            self._codec = self._begin(block)
            self._decoder = codecs.getincrementaldecoder(self._codec)(
                "strict" if self._codec.startswith("utf-16") else "surrogateescape"
            )
        self._count(block, is_last=False)

    def judge(self) -> Judged:
        """Return the encoding, once all blocks were seen.

        Raises:
            FileRefusedError: The text is no UTF-16.
        """
        codec = self._codec or "utf-8"
        self._count(b"", is_last=True)
        if codec.startswith("utf-16"):
            return Judged(codec, "UTF-16")
        if codec in {"cp1252", "latin-1"}:
            name = "Windows-1252" if codec == "cp1252" else "Latin-1"
            return Judged(codec, name, has_damage=self._invalid > 0)
        if not self._invalid:
            return Judged(codec, "UTF-8")
        if self._declared == "utf-8" or codec == "utf-8-sig" or self._letters >= self._invalid:
            doubt = f"{self._invalid} bytes are no UTF-8, beside {self._letters} letters that are"
            return Judged(codec, "UTF-8", has_damage=True, doubt=doubt)
        if self._undefined:
            return Judged("latin-1", "Latin-1", doubt="bytes that neither UTF-8 nor Windows-1252 knows")
        others = f"{self._letters} letters would be UTF-8" if self._letters else None
        return Judged("cp1252", "Windows-1252", doubt=others)

    def _begin(self, block: bytes) -> str:
        """The codec by the file's mark, or its zero bytes, or as declared."""
        if block.startswith(_MARKS_OF_UTF_32):
            raise FileRefusedError("is UTF-32; save it as UTF-8", path=self._path)
        marked = next((codec for mark, codec in _MARKS if block.startswith(mark)), None)
        if self._declared == "auto":
            return marked or _by_zero_bytes(block[:_LOOKED_AT]) or "utf-8"
        codec = _CODECS[self._declared]
        if codec == "utf-16":
            return "utf-16" if marked == "utf-16" else _by_zero_bytes(block[:_LOOKED_AT]) or "utf-16-le"
        return "utf-8-sig" if marked == "utf-8-sig" and codec == "utf-8" else codec

    def _count(self, block: bytes, *, is_last: bool) -> None:
        """Count letters that are of the encoding and bytes that are not."""
        if self._decoder is None:
            return
        try:
            text = self._decoder.decode(block, is_last)
        except UnicodeDecodeError:
            fault = (
                "is no whole UTF-16, though it begins like it; write it anew, or name its encoding under csv.encoding"
            )
            raise FileRefusedError(fault, path=self._path) from None
        if not self.has_nul:
            self.has_nul = "\x00" in text
        if text.isascii():
            return
        valid = text.encode("utf-8", "ignore")
        invalid = len(text) - len(valid.decode("utf-8"))
        self._invalid += invalid
        self._letters += len(text) - len(text.encode("ascii", "ignore")) - invalid
        if invalid and not self._undefined:
            self._undefined = bool(set(_UNDEFINED_IN_1252) & {*block})


def _by_zero_bytes(start: bytes) -> str | None:
    """UTF-16 without a mark: plain letters have a zero byte at every second place."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    half = len(start) // 2
    if not half or even + odd < half // 2:
        return None
    if odd > 4 * even:
        return "utf-16-le"
    return "utf-16-be" if even > 4 * odd else None
