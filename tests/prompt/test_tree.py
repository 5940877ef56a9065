"""A prompt tree is what its segments and its relation say, and refuses contradictions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.errors import PromptError
from recollect.prompt.tree import NO_ITEM, PromptTree, Segment, join_segments


def tokens(*ids: int) -> np.ndarray:
    return np.array(ids, np.int32)


def trunk_with_branches() -> PromptTree:
    return join_segments(
        shared=[Segment(tokens(7, 8), start=0)],
        leaves=[Segment(tokens(4, 5), start=2, sees=(0,), slots=((1, 70 + n),)) for n in range(2)],
    )


def test_mask_of_a_trunk_with_branches():
    assert trunk_with_branches().mask().astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 1, 1],
    ]


def test_mask_of_mutually_invisible_blocks_over_a_prefix():
    tree = join_segments(
        shared=[Segment(tokens(1), start=0), *(Segment(tokens(2), start=1, sees=(0,)) for _ in range(2))],
        leaves=[Segment(tokens(3), start=2, sees=(0, 1, 2))],
    )
    assert tree.mask().astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]]


def test_join_segments_places_slots_positions_and_soft_tokens():
    soft = Segment(
        tokens(3), start=2, sees=(0,), items=tokens(9), features=np.ones((1, 2), np.float32), slots=((0, 41),)
    )
    tree = join_segments(shared=[Segment(tokens(7, 8), start=0)], leaves=[soft])
    assert tree.items.tolist() == [NO_ITEM, NO_ITEM, 9]
    assert tree.features.tolist() == [[0, 0], [0, 0], [1, 1]]
    assert tree.positions.tolist() == [0, 1, 2]
    assert (tree.slots.tolist(), tree.slot_rows.tolist()) == ([2], [41])
    assert (len(tree), tree.segment_count, tree.shared_count) == (3, 2, 1)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    "change",
    [
        {"tokens": tokens(-1, 8, 4, 5, 4, 5)},
        {"items": tokens(-2, -1, -1, -1, -1, -1)},
        {"positions": tokens(0, 1, 2, 3, 2, -3)},
        {"segment": tokens(0, 0, 1, 1, 3, 3)},
        {"segment": tokens(1, 1, 1, 1, 2, 2)},
        {"segment": tokens(0, 0, 2, 2, 1, 1)},
        {"segment": tokens(0, 0, 0, 0, 1, 1)},
        {"sees": np.ones((3, 1), np.bool_)},
        {"sees": np.zeros((3, 4), np.bool_)},
        {"slots": tokens(3, 6)},
        {"slots": tokens(3)},
        {"features": np.full((6, 1), np.nan, np.float32)},
        {"features": np.zeros((5, 1), np.float32)},
        {"features": np.zeros(6, np.float32)},
        {"tokens": np.arange(6)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_contradictions_are_refused(change: dict[str, np.ndarray]):
    with pytest.raises(PromptError, match="expected"):
        replace(trunk_with_branches(), **change)


@pytest.mark.parametrize(
    ("shared", "leaves"),
    [
        ([], []),
        ([Segment(tokens(), start=0)], []),
        ([Segment(tokens(1), start=0, sees=(0,))], []),
        ([Segment(tokens(1), start=0)], [Segment(tokens(1), start=1, sees=(1,))]),
    ],
    ids=["nothing", "empty segment", "sees itself", "sees a leaf"],
)
def test_segments_that_make_no_tree_are_refused(shared: list[Segment], leaves: list[Segment]):
    with pytest.raises(PromptError):
        join_segments(shared, leaves)


@st.composite
def relations(draw: st.DrawFn) -> PromptTree:
    """Draw any valid tree: segments of 1 to 20 tokens, any relation among earlier shared ones."""
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=6))
    shared = draw(st.integers(0, len(lengths)))
    sees = draw(st.lists(st.booleans(), min_size=len(lengths) * shared, max_size=len(lengths) * shared))
    relation = np.array(sees, np.bool_).reshape(len(lengths), shared)
    relation[:shared] &= np.tri(shared, k=-1, dtype=np.bool_)
    count = sum(lengths)
    return PromptTree(
        tokens=np.arange(count, dtype=np.int32),
        items=np.full(count, NO_ITEM, np.int32),
        features=np.zeros((count, 0), np.float32),
        segment=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        positions=np.arange(count, dtype=np.int32),
        sees=relation,
        slots=np.zeros(0, np.int32),
        slot_rows=np.zeros(0, np.int64),
    )


@given(relations())
def test_mask_agrees_with_its_definition(tree: PromptTree):
    mask = tree.mask()
    for query in range(len(tree)):
        for key in range(len(tree)):
            own, other = tree.segment[query], tree.segment[key]
            expected = key <= query if own == other else other < tree.shared_count and tree.sees[own, other]
            assert mask[query, key] == expected
