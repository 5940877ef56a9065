"""Questions to measure with: a trunk of random tokens, and candidates behind it.

It decides that a trunk is one segment, so that it is the same text to stock `transformers`, and that the first tokens
of a vocabulary, which families keep for marks, occur nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int32

from recollect.prompt.branches import Branches
from recollect.prompt.tree import PromptTree, Segment, join_segments

__all__ = ["ANSWERS", "FIRST_TOKEN", "Question", "make_question", "random_tokens", "run_of"]

FIRST_TOKEN: Final = 8
"""Token ids below this one are left to marks and answers."""

ANSWERS: Final = (5, 7)
"""Token ids that stand for no and yes."""


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """Hold a trunk and its candidates."""

    trunk: PromptTree
    branches: Branches


def make_question(*, candidates: int, trunk: int, branch: int, vocabulary: int, seed: int = 0) -> Question:
    """Draw a trunk of so many tokens and candidates of `branch` tokens each."""
    random = np.random.default_rng(seed)
    before = run_of(random_tokens(random, (trunk,), vocabulary=vocabulary), start=0)
    return Question(
        before, Branches.of(random_tokens(random, (candidates, branch), vocabulary=vocabulary), start=trunk)
    )


def random_tokens(random: np.random.Generator, shape: tuple[int, ...], *, vocabulary: int) -> Int32[np.ndarray, "..."]:
    """Draw token ids that are no marks."""
    return random.integers(FIRST_TOKEN, vocabulary, shape).astype(np.int32)


def run_of(tokens: Int32[np.ndarray, " T"], *, start: int) -> PromptTree:
    """Make a tree of one segment."""
    return join_segments([Segment(tokens, start=start)])
