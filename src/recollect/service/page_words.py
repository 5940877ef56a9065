"""Numbers and texts of data, made fit to print on a page.

It decides that a text of data is one line of a bounded length without characters that control anything, so that no
title breaks a line out of its place; and that a number says no more, and no less, than it knows.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

TITLE_LENGTH: Final = 160
"""Characters of a text that are shown."""

_TURNS: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})  # turn the direction of text
_SMALL: Final = 0.0005


def fit(text: str) -> str:
    r"""Make a text of data fit to print.

    Examples
    --------
    >>> fit("one\ntwo\x00")
    'one two�'
    """
    clean = "".join(map(_printable, text[: 4 * TITLE_LENGTH]))
    line = re.sub(r"\s+", " ", clean).strip()
    return line if len(line) <= TITLE_LENGTH else f"{line[: TITLE_LENGTH - 1]}…"


def _printable(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.bidirectional(character) in _TURNS:
        return ""
    return "�" if unicodedata.category(character) in {"Cc", "Cs"} else character


def percent(probability: float) -> str:
    """Write a probability in percent, never as certain where it is not.

    Examples
    --------
    >>> percent(0.874), percent(0.9996), percent(0.002)
    ('87 %', '> 99 %', '< 1 %')
    """
    if 0 < probability < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < probability < 1 else f"{100 * probability:.0f} %"


def signed(weight: float) -> str:
    """Write a weight with its sign.

    Examples
    --------
    >>> signed(0.4211), signed(-0.0123), signed(-1e-9)
    ('+0.42', '−0.012', '≈ 0')
    """
    sign, size = "−" if weight < 0 else "+", abs(weight)
    if size < _SMALL:
        return "≈ 0"
    return f"{sign}{size:.2f}" if size >= 0.1 else f"{sign}{size:.3f}"


def duration(milliseconds: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> duration(4.21), duration(38.4), duration(3147.0)
    ('4.2 ms', '38 ms', '3,147 ms')
    """
    return f"{milliseconds:.1f} ms" if milliseconds < 9.95 else f"{milliseconds:,.0f} ms"


def moment(seconds: int) -> tuple[str, str]:
    """Write unix seconds as a day for people and a moment for machines; nothing if that is no time of ours.

    Examples
    --------
    >>> moment(0)
    ('1 Jan 1970', '1970-01-01T00:00:00+00:00')
    """
    try:
        when = datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return "", ""
    return f"{when.day} {when:%b %Y}", when.isoformat()
