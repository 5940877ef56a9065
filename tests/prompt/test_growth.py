"""Growing, hanging and cutting trees are the moves of one structure: what is put on can be taken off."""

import numpy as np
import pytest

from recollect.errors import PromptError
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach, extend, first_segments
from recollect.prompt.tree import Segment, join_segments


def tokens(*ids: int) -> np.ndarray:
    return np.array(ids, np.int32)


TRUNK = join_segments([Segment(tokens(1, 2), start=0), Segment(tokens(3), start=2, sees=(0,), slots=((0, 5),))])
EVENT = join_segments([Segment(tokens(4, 5), start=3, slots=((0, 6),))])
LEAFY = join_segments([Segment(tokens(1), start=0)], leaves=[Segment(tokens(2), start=1, sees=(0,))])


def test_extend_lets_new_segments_see_all_or_what_is_said():
    assert extend(TRUNK, EVENT).sees.astype(int).tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    part = extend(TRUNK, EVENT, sees=np.array([[True, False]]))
    assert part.sees.astype(int).tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert (part.slots.tolist(), part.slot_rows.tolist()) == ([2, 3], [5, 6])


def test_attach_hangs_every_branch_on_the_trunk():
    tree = attach(TRUNK, Branches.of(np.array([[7, 8], [9, 9]], np.int32), start=3))
    assert tree.sees.astype(int).tolist() == [[0, 0], [1, 0], [1, 1], [1, 1]]
    assert tree.positions.tolist() == [0, 1, 2, 3, 4, 3, 4]
    assert (tree.slots.tolist(), tree.slot_rows.tolist()) == ([4, 6], [0, 1])


def test_what_was_appended_can_be_cut_off():
    again = first_segments(extend(TRUNK, EVENT), 2)
    assert again is not None
    for name in ("tokens", "items", "features", "segment", "positions", "sees", "slots", "slot_rows"):
        np.testing.assert_array_equal(getattr(again, name), getattr(TRUNK, name))
    assert first_segments(TRUNK, 0) is None


def test_a_trunk_may_be_empty():
    assert extend(None, EVENT) is EVENT
    assert attach(None, Branches.of(np.array([[7]], np.int32), start=0)).mask().tolist() == [[True]]


def test_leaves_and_other_features_are_refused():
    wide = Branches.of(np.array([[7]], np.int32), start=3, features=np.zeros((1, 1, 4), np.float32))
    for wrong in (
        lambda: extend(LEAFY, EVENT),
        lambda: extend(TRUNK, LEAFY),
        lambda: attach(LEAFY, Branches.of(np.array([[7]], np.int32), start=2)),
        lambda: first_segments(LEAFY, 1),
        lambda: attach(TRUNK, wide),
    ):
        with pytest.raises(PromptError):
            wrong()


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    "change",
    [
        {"items": np.zeros((2, 3), np.int32)},
        {"features": np.zeros((2, 3, 1), np.float32)},
        {"slots": np.array([0], np.int32)},
        {"slots": np.array([0, 2], np.int32)},
        {"slots": np.array([-1, 1], np.int32)},
    ],
)
def test_branches_that_do_not_fit_are_refused(change: dict[str, np.ndarray]):
    with pytest.raises(PromptError):
        Branches.of(np.zeros((2, 2), np.int32), start=0, **change)
