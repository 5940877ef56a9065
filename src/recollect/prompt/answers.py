"""Answers: the words that mean like and dislike, as the tokens that a model would write in this place.

It decides that the tokens of an answer are looked up in context: the marker is encoded with the answer behind it, and
the tokens of the marker are taken off. So no token id is ever written down, and a space or a word start that the
tokenizer folds into its tokens is the right one. Sources: specs `rella`, section 5, and `recicl`, section 7, point 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from recollect.errors import ModelError
from recollect.prompt.vocabulary import Vocabulary
from recollect.prompt.wording import answer


class AnswerSettings(BaseModel):
    """Set the answer words of text layouts, and how scores become probabilities (fitted on validation rows)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    like: str = Field(default="yes", min_length=1)
    dislike: str = Field(default="no", min_length=1)
    calibration: Literal["none", "temperature", "platt"] = "none"


@dataclass(frozen=True, slots=True)
class Answers:
    """Hold the two answers, dislike first, so that the index of an answer is its label.

    Parameters
    ----------
    words : tuple of str
        As people read them.
    tokens : tuple of tuples of int
        As a model writes them behind the marker.

    Raises
    ------
    ModelError
        If one answer has no tokens, or begins the other, so that the model cannot tell them apart.

    Examples
    --------
    >>> answers = Answers(words=("no", "yes"), tokens=((5,), (7, 8)))
    >>> answers.single, answers.slots
    (False, 2)
    """

    words: tuple[str, str]
    tokens: tuple[tuple[int, ...], tuple[int, ...]]

    def __post_init__(self) -> None:
        dislike, like = self.tokens
        shorter = min(len(dislike), len(like))
        if shorter == 0 or dislike[:shorter] == like[:shorter]:
            raise ModelError(
                "answers that a model cannot tell apart",
                got=f"{self.words[1]!r} as tokens {list(like)}, {self.words[0]!r} as tokens {list(dislike)}",
                expected="one token or more for each answer, and neither the beginning of the other",
                do="set answers.like and answers.dislike to other words",
            )

    @classmethod
    def in_context(cls, vocabulary: Vocabulary, settings: AnswerSettings, *, marker: str) -> Answers:
        """Find the tokens of the answers behind a marker.

        Parameters
        ----------
        vocabulary : Vocabulary
            Of the model that answers.
        settings : AnswerSettings
            The words.
        marker : str
            The text right before an answer.

        Raises
        ------
        ModelError
            If the tokens of an answer flow into those of the marker, or the answers cannot be told apart.
        """
        words = (settings.dislike, settings.like)
        texts = [marker, *(marker + answer(word) for word in words)]
        before, *whole = [tokens.tolist() for tokens in vocabulary.anchored().encode(texts)]
        for word, tokens in zip(words, whole, strict=True):
            if tokens[: len(before)] != before:
                raise ModelError(
                    "an answer whose tokens flow into those before it",
                    got=f"{marker!r} as {before}, with {word!r} behind it as {tokens}",
                    expected="the same tokens for the marker, and then those of the answer",
                    do="set answers.like and answers.dislike to words that begin with a letter",
                )
        dislike, like = (tuple(tokens[len(before) :]) for tokens in whole)
        return cls(words=words, tokens=(dislike, like))

    @property
    def single(self) -> bool:
        """Whether each answer is one token, so that one slot tells all."""
        return self.slots == 1

    @property
    def slots(self) -> int:
        """Number of answer slots of one question: its own, and one for each later token of an answer."""
        return 1 + sum(len(tokens) - 1 for tokens in self.tokens)
