"""Packing moves trees into rows and changes nothing about them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.errors import PromptError
from recollect.prompt.packing import bucket_length, pack, plan_batches
from recollect.prompt.tree import PromptTree, Segment, join_segments

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def tree_of(length: int, *, key: int = 0) -> PromptTree:
    """Make a tree of one token, then a segment of the rest, asked at its last token."""
    numbers = np.arange(1, length + 1, dtype=np.int32)
    if length == 1:
        return join_segments([Segment(numbers, start=3, slots=((0, key),))])
    rest = Segment(numbers[1:], start=4, sees=(0,), slots=((length - 2, key),))
    return join_segments([Segment(numbers[:1], start=3)], leaves=[rest])


@given(LENGTHS)
def test_every_tree_lies_whole_in_its_row_and_sees_only_itself(lengths: list[int]):
    trees = [tree_of(length, key=number) for number, length in enumerate(lengths)]
    packed = pack(trees)
    assert packed.slot_rows.tolist() == list(range(len(trees)))
    seen = np.zeros(packed.tokens.shape, np.int32)
    for tree, (row, last) in zip(trees, packed.slots, strict=True):
        span = slice(last + 1 - len(tree), last + 1)
        np.testing.assert_array_equal(packed.tokens[row, span], tree.tokens)
        np.testing.assert_array_equal(packed.positions[row, span], tree.positions)
        np.testing.assert_array_equal(packed.mask[row, span, span], tree.mask())
        assert packed.mask[row, span].sum() == tree.mask().sum()
        seen[row, span] += 1
    assert seen.sum() == sum(lengths)
    assert seen.max() == 1
    padding = packed.mask[seen == 0]
    assert (padding.sum(axis=1) == 1).all()
    assert packed.mask.diagonal(axis1=1, axis2=2).all()


def test_short_trees_share_rows():
    packed = pack([tree_of(n) for n in (10, 6, 16, 3)], length=16)
    assert packed.tokens.shape == (3, 16)
    assert packed.slots.tolist() == [[1, 9], [1, 15], [0, 15], [2, 2]]


def test_rows_can_be_kept():
    assert pack([tree_of(3)], length=20, rows=4).mask.shape == (4, 20, 20)


@given(st.integers(1, 5000))
def test_buckets_are_few_and_close(length: int):
    bucket = bucket_length(length)
    assert length <= bucket <= max(16, length * 1.13 + 1)
    assert bucket_length(bucket) == bucket


def test_there_are_eight_buckets_per_octave():
    assert len({bucket_length(length) for length in range(257, 513)}) == 8


@given(LENGTHS, st.integers(16, 200))
def test_plan_takes_every_tree_once_and_keeps_to_the_tokens(lengths: list[int], tokens: int):
    groups = list(plan_batches(np.array(lengths, np.int64), tokens=tokens))
    assert sorted(int(n) for group in groups for n in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * bucket_length(max(lengths[n] for n in group)) <= tokens


@given(LENGTHS, st.integers(16, 200))
def test_a_batch_holds_the_next_longer_trees(lengths: list[int], tokens: int):
    groups = plan_batches(np.array(lengths, np.int64), tokens=tokens)
    assert [lengths[n] for group in groups for n in group] == sorted(lengths)


@pytest.mark.parametrize("wrong", ["none", "too long", "features"])
def test_trees_that_cannot_share_a_batch_are_refused(wrong: str):
    featured = join_segments([Segment(np.ones(1, np.int32), start=0, features=np.ones((1, 2), np.float32))])
    trees = {"none": [], "too long": [tree_of(17)], "features": [tree_of(2), featured]}[wrong]
    with pytest.raises(PromptError):
        pack(trees, length=16)
