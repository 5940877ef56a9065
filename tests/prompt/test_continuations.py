"""Continuations: answers of several tokens behind their questions, seen by nobody else."""

import numpy as np
import pytest

from recollect.errors import PromptError
from recollect.prompt.answers import Answers
from recollect.prompt.continuations import with_continuations
from recollect.prompt.tree import PromptTree, Segment, join_segments

SINGLE = Answers(("no", "yes"), ((50,), (60,)))
LIKE_OF_THREE = Answers(("no", "yes"), ((50,), (60, 61, 62)))
BOTH = Answers(("no", "yes"), ((50, 51), (60, 61, 62)))


def tokens(*ids: int) -> np.ndarray:
    return np.array(ids, np.int32)


def asked_twice() -> PromptTree:
    """Ask once in the trunk, at token 1, and once in a leaf, at token 4, which does not see the answer."""
    return join_segments(
        shared=[
            Segment(tokens(7, 8), start=0, slots=((1, 70),)),
            Segment(tokens(50), start=2, sees=(0,)),
        ],
        leaves=[Segment(tokens(3, 4), start=2, sees=(0,), slots=((1, 71),))],
    )


def test_answers_of_one_token_change_nothing():
    tree = asked_twice()
    assert with_continuations(tree, SINGLE) is tree


def test_a_tree_without_questions_changes_nothing():
    tree = join_segments([Segment(tokens(1), start=0)])
    assert with_continuations(tree, BOTH) is tree


def test_leaves_follow_their_question():
    tree = with_continuations(asked_twice(), LIKE_OF_THREE)
    assert tree.tokens.tolist() == [7, 8, 50, 3, 4, 60, 61, 60, 61]
    assert tree.positions.tolist() == [0, 1, 2, 2, 3, 2, 3, 4, 5]
    assert tree.segment.tolist() == [0, 0, 1, 2, 2, 3, 3, 4, 4]
    assert tree.slots.tolist() == [1, 5, 6, 4, 7, 8]
    assert tree.slot_rows.tolist() == [70, 70, 70, 71, 71, 71]
    assert tree.mask().astype(int)[5:].tolist() == [
        [1, 1, 0, 0, 0, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 1, 1, 0, 0],
        [1, 1, 0, 1, 1, 0, 0, 1, 0],
        [1, 1, 0, 1, 1, 0, 0, 1, 1],
    ]


def test_the_old_tokens_see_what_they_saw():
    before, after = asked_twice(), with_continuations(asked_twice(), BOTH)
    assert np.array_equal(after.mask()[:5, :5], before.mask())
    assert not after.mask()[:5, 5:].any()


def test_slots_of_a_question_stand_together_the_first_answer_first():
    tree = with_continuations(asked_twice(), BOTH)
    assert tree.tokens[tree.slots].tolist() == [8, 50, 60, 61, 4, 50, 60, 61]
    assert len(tree.slots) == 2 * BOTH.slots


def test_a_question_in_the_middle_of_a_segment_is_refused():
    tree = join_segments([Segment(tokens(1, 2), start=0, slots=((0, 9),))])
    with pytest.raises(PromptError, match="end of its segment"):
        with_continuations(tree, BOTH)
