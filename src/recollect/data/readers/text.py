"""Text files in blocks of whole lines, with their encoding.

It decides that a file is UTF-8 if all of it reads as UTF-8, else Latin-1 (old public logs are one of the two), and
that it is read in blocks, so that memory does not grow with the file.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recollect.errors import DataError

BLOCK_BYTES = 1 << 24
_LOOK_BYTES = 1 << 16
_MOST_LINES_OF_A_FIELD = 20  # a quoted field may run over this many lines
_OTHER_ENCODINGS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


@dataclass(frozen=True, slots=True)
class Block:
    """Hold some whole lines of a file; `first_line` is the number of the first, from 1."""

    first_line: int
    text: str


def encoding_of(path: Path) -> str:
    """Return "utf-8" or "latin-1".

    Raises
    ------
    DataError
        If the file is empty, is not text, or is in an encoding that we do not read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding = "utf-8"
    with path.open("rb") as file:
        _check_head(path, file.read(_LOOK_BYTES))
        file.seek(0)
        while chunk := file.read(BLOCK_BYTES):
            encoding = encoding if encoding != "utf-8" or _decodes(decoder, chunk) else "latin-1"
    return encoding if encoding != "utf-8" or _decodes(decoder, b"", final=True) else "latin-1"


def first_lines(path: Path, count: int = 50) -> list[str]:
    """Return the first lines that are not blank, for looking at the form; none for a file that is not text."""
    with path.open("rb") as file:
        head = file.read(_LOOK_BYTES)
    if b"\0" in head:
        return []
    text = head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    whole = text if len(head) < _LOOK_BYTES else text[: text.rfind("\n") + 1]
    return [line.rstrip("\r") for line in whole.split("\n") if line.strip()][:count]


def blocks(path: Path, encoding: str, *, quoted: bool = False, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """Read a file block by block; each block ends where a line ends.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        As `encoding_of` found it.
    quoted : bool
        Whether a line end may stand inside quotes, where no block should end.
    size : int
        Bytes to read at once.
    """
    line, rest = 1, b""
    with path.open("rb") as file:
        while chunk := file.read(size):
            data = rest + (chunk.removeprefix(codecs.BOM_UTF8) if line == 1 and not rest else chunk)
            cut = _cut(data, quoted=quoted)
            head, rest = data[:cut], data[cut:]
            if head:
                yield Block(line, head.decode(encoding))
                line += head.count(b"\n")
    if rest:
        yield Block(line, rest.decode(encoding))


def _cut(data: bytes, *, quoted: bool) -> int:
    last = cut = data.rfind(b"\n") + 1
    if not quoted:
        return cut
    odd = data.count(b'"', 0, cut) % 2 == 1
    for _ in range(_MOST_LINES_OF_A_FIELD):
        if not odd or cut == 0:
            return cut
        earlier = data.rfind(b"\n", 0, cut - 1) + 1
        odd ^= data.count(b'"', earlier, cut) % 2 == 1
        cut = earlier
    return last  # a stray quote, not an open field


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _check_head(path: Path, head: bytes) -> None:
    other = next((name for mark, name in _OTHER_ENCODINGS.items() if head.startswith(mark)), None)
    fault = other or ("a zero byte" if b"\0" in head else None if head.strip() else "an empty file")
    if fault:
        raise DataError(
            f"{path.name} cannot be read",
            got=fault,
            expected="text in UTF-8 or Latin-1",
            do="save it as UTF-8 text with rows",
        )
