"""Which texts a store can keep.

It decides that both kinds of database refuse the same, before anything is written: PostgreSQL keeps no NUL, neither
keeps half a surrogate pair, and an id that is too long fits no index.
"""

from __future__ import annotations

from typing import Final

from recollect.errors import DataError

ID_LENGTH: Final = 256
"""Characters of an id, at most: of an event, a user, an item, a request."""


def check_id(name: str, identity: str) -> None:
    """See that an id can be stored.

    Raises
    ------
    DataError
        If it is empty or too long, or holds what is no text.
    """
    if not 0 < len(identity) <= ID_LENGTH:
        raise DataError(
            f"{name} of a length that is not kept",
            got=f"{len(identity)} characters: {identity[:40]!r}",
            expected=f"1 to {ID_LENGTH} characters",
            do="use a shorter id" if identity else "give an id",
        )
    check_text(name, identity)


def check_text(name: str, text: str) -> None:
    """See that a text can be stored by every database.

    Raises
    ------
    DataError
        If it holds a NUL or half a surrogate pair.
    """
    if "\0" in text or not (text.isascii() or _is_whole(text)):
        raise DataError(
            f"{name} with a character that cannot be stored",
            got=repr(text[:100]),
            expected="Unicode text without NUL",
            do="remove the character",
        )


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
