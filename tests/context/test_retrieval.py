"""Nearest events of a past: against brute force, and the traps of the public implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from worlds import planted_world

from recollect.context.evidence import HistoryView
from recollect.context.retrieval import Neighbours
from recollect.context.vectors import TextEncoder
from recollect.errors import UsageError

ITEMS = 7
# whole numbers between -2 and 2 make many ties and exact products
directions = arrays.arrays(np.float32, (ITEMS, 3), elements=st.integers(-2, 2).map(float))
pasts = arrays.arrays(np.int32, st.integers(0, 12), elements=st.integers(0, ITEMS + 1))  # two items have no vector
targets = arrays.arrays(np.int32, st.integers(1, 4), elements=st.integers(0, ITEMS + 1))


def brute(rows: np.ndarray, past: np.ndarray, targets: list[int], *, count: int) -> list[int]:
    """Sort the latest place of each distinct item by (best similarity, place), both falling."""
    rows = np.vstack([rows, np.zeros((2, rows.shape[1]))])
    latest = {item: place for place, item in enumerate(past.tolist())}
    scored = [(max(float(rows[target] @ rows[item]) for target in targets), place) for item, place in latest.items()]
    return [place for _, place in sorted(scored, reverse=True)[:count]]


@given(rows=directions, past=pasts, targets=targets, count=st.integers(0, 14))
def test_nearest_is_what_sorting_everything_gives(rows, past, targets, count):
    found = Neighbours(rows).nearest(past, targets, count=count)
    assert found.shape == (len(targets), min(count, len(set(past.tolist()))))
    for target, places in zip(targets.tolist(), found.tolist(), strict=True):
        assert places == brute(rows, past, [target], count=count)


@given(rows=directions, past=pasts, targets=targets, count=st.integers(0, 14))
def test_nearest_to_any_is_the_best_of_what_each_target_finds(rows, past, targets, count):
    neighbours = Neighbours(rows)
    found = neighbours.nearest_to_any(past, targets, count=count).tolist()
    assert found == brute(rows, past, targets.tolist(), count=count)
    assert set(found) <= set(neighbours.nearest(past, targets, count=count).ravel().tolist())


@given(rows=directions, past=pasts, targets=targets, count=st.integers(0, 14), before=st.integers(0, 14))
def test_items_that_came_again_later_are_left_out(rows, past, targets, count, before):
    neighbours = Neighbours(rows)
    found = neighbours.nearest(past, targets, count=count, before=before).tolist()
    ranked = neighbours.nearest(past, targets, count=14).tolist()
    assert found == [[place for place in row if place < before][:count] for row in ranked]


def test_identical_movies_find_each_other_and_nobody_is_off_by_one():
    """Movies 2, 4 and 8 are equal: for target 2 the past gives 4 and 8, not the rows above or below them."""
    static = np.random.default_rng(5).normal(size=(10, 6)).astype(np.float32)
    static[[4, 8]] = static[2]
    neighbours = Neighbours.of(static, collaborative=0, view=HistoryView())
    past = np.array([3, 4, 5, 1, 8, 9, 7], np.int32)
    assert past[neighbours.nearest(past, np.array([2], np.int32), count=2)[0]].tolist() == [8, 4]
    assert past[neighbours.nearest(past, np.array([7], np.int32), count=1)[0]].tolist() == [7]


def test_an_item_counts_once_as_its_latest_event():
    neighbours = Neighbours(np.eye(3, dtype=np.float32))
    assert neighbours.nearest(np.array([1, 0, 1, 2], np.int32), np.array([1], np.int32), count=9).tolist() == [
        [2, 3, 1]
    ]


def test_a_similarity_does_not_depend_on_its_batch():
    random = np.random.default_rng(0)
    neighbours = Neighbours.of(random.normal(size=(300, 48)).astype(np.float32), collaborative=0, view=HistoryView())
    items = np.arange(300, dtype=np.int32)
    together = neighbours.similarity(items, items)
    assert np.array_equal(together, together.T)
    for target in (0, 17, 299):
        assert np.array_equal(neighbours.similarity(items[3:71], items[[target]])[0], together[target, 3:71])


def cosines(part: np.ndarray) -> np.ndarray:
    centred = part - part.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return centred @ centred.T


@pytest.mark.parametrize(
    ("similarity", "share"), [("semantic", 1.0), ("collaborative", 0.0), ("hybrid", 0.3), ("hybrid", 1.0)]
)
def test_similarity_is_the_weighted_sum_of_centred_cosines(similarity, share):
    static = np.random.default_rng(1).normal(3, 1, (20, 9)).astype(np.float32)
    view = HistoryView(similarity=similarity, semantic_share=share)
    items = np.arange(20, dtype=np.int32)
    found = Neighbours.of(static, collaborative=4, view=view).similarity(items, items)
    wide = static.astype(np.float64)
    assert found == pytest.approx(share * cosines(wide[:, :5]) + (1 - share) * cosines(wide[:, 5:]), abs=1e-6)


def test_items_without_a_vector_are_near_to_nothing():
    static = np.array([[1, 0], [0, 1], [0, 0], [0, 0]], np.float32)
    neighbours = Neighbours.of(static, collaborative=2, view=HistoryView(similarity="collaborative"))
    assert np.linalg.norm(neighbours.directions, axis=1) == pytest.approx([1, 1, 0, 0])
    items = np.array([0, 2, 3, 99], np.int32)
    assert not neighbours.similarity(items, items)[1:].any()


def test_equal_vectors_everywhere_leave_recency_alone():
    neighbours = Neighbours.of(np.full((4, 3), 0.1, np.float32), collaborative=0, view=HistoryView())
    assert not neighbours.directions.any()
    assert neighbours.nearest(np.array([0, 1, 2], np.int32), np.array([3], np.int32), count=2).tolist() == [[2, 1]]


@pytest.mark.parametrize("similarity", ["collaborative", "hybrid"])
def test_a_similarity_without_columns_is_refused(similarity):
    view = HistoryView(similarity=similarity)
    with pytest.raises(UsageError, match=r"widen vectors\.text_width"):
        Neighbours.of(np.ones((3, 2), np.float32), collaborative=0, view=view)


def test_retrieval_shows_fewer_genres_than_recency():
    world = planted_world()
    text = TextEncoder.fit(world.catalog, width=8).encode(world.catalog)
    neighbours = Neighbours.of(text, collaborative=0, view=HistoryView())
    past, items = world.log.item[-60:], np.arange(30, dtype=np.int32)
    for count in (2, 4, 8):
        found = past[neighbours.nearest(past, items, count=count)]
        shown = np.mean([len(set(row % 3)) for row in found])  # genres take turns by three
        assert shown < len(set(past[-count:] % 3))
