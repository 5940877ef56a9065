"""Answers as tokens: one token each where the tokenizer allows it, several where it does not.

What it is: the token ids of each answer, and the branches in which the later tokens of an answer are read. An answer of
n tokens is read at n places: its first token where the question ends, each later one after the tokens before it.

What it decides: log P(answer) is the sum over its tokens, so answers of different length are compared as texts are.
Answers that begin alike share the first place. The last token of an answer is never shown, since nothing follows it.

Dimension letters: C candidates, L tokens of a branch, A answers, N tokens of one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Int64

from recollect.errors import ModelError
from recollect.prompt.branches import Branches
from recollect.prompt.tree import NO_ITEM

__all__ = ["AnswerTokens"]


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """Hold the token ids of each answer.

    Parameters
    ----------
    tokens
        One tuple per answer, each of at least one token.

    Raises
    ------
    ModelError
        If there is no answer, one has no token, or two are the same.

    Examples
    --------
    >>> answers = AnswerTokens.of([7, (3, 4, 5)])
    >>> answers.tokens, answers.slots_per_question
    (((7,), (3, 4, 5)), 3)
    """

    tokens: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.tokens or not all(self.tokens) or len(set(self.tokens)) < len(self.tokens):
            raise ModelError(
                what="these tokens cannot stand for answers",
                got=self.tokens,
                expected="at least one token for each answer, and no two answers alike",
                do="choose other answer words",
            )

    @classmethod
    def of(cls, answers: Sequence[int | Sequence[int]]) -> Self:
        """Make it from token ids; a bare id is an answer of one token.

        Raises
        ------
        ModelError
            If there is no answer, one has no token, or two are the same.
        """
        return cls(tuple((one,) if isinstance(one, int) else tuple(one) for one in answers))

    @property
    def slots_per_question(self) -> int:
        """Answer slots of one question: where it ends, and one for every later token of every answer."""
        return 1 + sum(len(one) - 1 for one in self.tokens)

    @property
    def later(self) -> tuple[tuple[int, ...], ...]:
        """The tokens of each answer after its first."""
        return tuple(one[1:] for one in self.tokens)

    def continued(self, branches: Branches) -> list[tuple[Branches, Int64[np.ndarray, "C N"]]]:
        """Continue every branch by each answer, as far as that answer must be shown to be read.

        Parameters
        ----------
        branches
            Branches asked at their slots.

        Returns
        -------
        list
            For each answer of several tokens, the longer branches and the tokens where it is read, the question's slot
            first. If all answers have one token: the branches themselves and their slots.
        """
        several = [one for one in self.tokens if len(one) > 1]
        return [_continued(branches, one) for one in several] or [(branches, branches.slots.astype(np.int64)[:, None])]


def _continued(branches: Branches, answer: tuple[int, ...]) -> tuple[Branches, Int64[np.ndarray, "C N"]]:
    """Write all but the last token of an answer behind the slot of each branch; what stood there is padding."""
    slots = branches.slots.astype(np.int64)
    length = int(slots.max(initial=0)) + len(answer)
    column = np.arange(length)[None]
    after = column - slots[:, None]  # 0 at the slot
    source = np.minimum(column, slots[:, None])
    asked = after <= 0
    shown = np.array([*answer[:-1], 0], np.int32)[np.clip(after - 1, 0, len(answer) - 1)]
    rows = np.arange(len(branches))[:, None]
    longer = Branches(
        tokens=np.where(asked, branches.tokens[rows, source], shown),
        items=np.where(asked, branches.items[rows, source], np.int32(NO_ITEM)),
        features=np.where(asked[..., None], branches.features[rows, source], np.float32(0)),
        positions=(branches.positions[rows, source] + np.maximum(after, 0)).astype(np.int32),
        slots=branches.slots,
    )
    return longer, slots[:, None] + np.arange(len(answer))
