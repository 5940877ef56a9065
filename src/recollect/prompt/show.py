"""One prompt as people read it: the exact text that a model sees when it is asked about one candidate.

Dimension letters: T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from recollect.prompt.prompter import Dropped, Question
from recollect.prompt.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False, slots=True)
class PromptText:
    """Hold one prompt.

    Parameters
    ----------
    text : str
        All tokens as text, special ones by name. The answer comes right behind it.
    tokens : Int32[T]
        Token ids.
    position : int
        Position of the token at which the answer is read, as the model counts.
    dropped : Dropped
        What the budget left out.
    """

    text: str
    tokens: Int32[np.ndarray, " T"]
    position: int
    dropped: Dropped


def describe(question: Question, number: int, *, vocabulary: Vocabulary) -> PromptText:
    """Write out what is shown for one candidate, without the padding of its branch.

    Parameters
    ----------
    question : Question
        What is asked.
    number : int
        Which candidate.
    vocabulary : Vocabulary
        Turns tokens into text.
    """
    branches = question.branches
    slot = int(branches.slots[number])
    tokens = np.concatenate([question.trunk.tokens, branches.tokens[number, : slot + 1]])
    return PromptText(
        text=vocabulary.decode(tokens),
        tokens=tokens,
        position=int(branches.positions[number, slot]),
        dropped=question.dropped,
    )
