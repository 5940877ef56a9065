"""The wording of text layouts: every sentence that a model reads, in one place and in our own words.

It decides the form of a block, the same for every choice of events, so that retrieval is never confounded with
phrasing (spec `rella`, section 8, point 3):

    Liked: "A" "B"
    Will this person like "T"? Answer: yes

Quotes alone set titles apart: a comma would cost a token for each. Every piece begins with a space or a new line, so
that it has the tokens that it would have in running text; only a title, encoded once for all places, keeps its closing
quote to itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol, runtime_checkable

import numpy as np

QUESTION: Final = "\nWill this person like"
MARK: Final = "?"
MARKER: Final = " Answer:"
"""The text right before an answer."""

NOTHING: Final = " nothing"
"""Stands where a list has no titles."""

LIKED: Final = "\nLiked:"
DISLIKED: Final = "\nDisliked:"
SEEN: Final = "\nSeen:"
STARS: Final = "\nStars:"


@runtime_checkable
class Form(Protocol):
    """What the wording needs to know of a layout's settings."""

    @property
    def form(self) -> str:
        """One of plain, lists and stars."""
        ...

    @property
    def noun(self) -> str:
        """What an item is called."""
        ...


@runtime_checkable
class Words(Protocol):
    """What the wording needs to know of the answers."""

    @property
    def like(self) -> str:
        """The word for a like."""
        ...

    @property
    def dislike(self) -> str:
        """The word for a dislike."""
        ...


def intro(form: Form, *, words: tuple[str, str]) -> str:
    """Say what the text is about and which words answer, dislike first."""
    dislike, like = words
    hint = " More stars mean more liking." if form.form == "stars" else ""
    return f"One person and one {form.noun} at a time: will they like it? Answer {like} or {dislike}.{hint}"


def profile(attributes: str) -> str:
    """Say who the person is; nothing if nothing is known."""
    return f"\nThe person: {attributes}." if attributes else ""


def number(count: int) -> str:
    """Give a block its number."""
    return f"\nCase {count}"


def quoted(title: str) -> str:
    """Write a title as it stands everywhere: after a space, in quotes, on one line."""
    return f' "{" ".join(title.split())}"'


@lru_cache(maxsize=4096)
def stars(value: float) -> str:
    """Write a value as it stands in the log.

    Examples
    --------
    >>> stars(4.0), stars(7.5)
    (' 4', ' 7.5')
    """
    return " " + np.format_float_positional(np.float32(value), trim="-")


def answer(word: str) -> str:
    """Write an answer as it stands behind the marker."""
    return f" {word}"


def heads(form: Form, *, likes_only: bool) -> tuple[str, ...]:
    """Return what begins each list of a history: one list, or that of the likes and that of the dislikes."""
    if form.form == "stars":
        return (STARS,)
    if form.form == "lists" and not likes_only:
        return (LIKED, DISLIKED)
    return (LIKED,) if likes_only else (SEEN,)


def sentences(form: Form, answers: Words) -> list[str]:
    """List the fixed texts of a layout, for a vocabulary that shall write them shortly.

    Parameters
    ----------
    form : Form
        The layout's settings.
    answers : Words
        The answer words.
    """
    words = (answers.dislike, answers.like)
    lists = {*heads(form, likes_only=True), *heads(form, likes_only=False)}
    asked = [QUESTION + quoted("a") + MARK + MARKER + answer(word) for word in words]
    return [intro(form, words=words), profile("nobody"), number(1), *(head + NOTHING for head in sorted(lists)), *asked]
