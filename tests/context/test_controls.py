"""Controls break one thing and leave the rest as it is."""

from collections import Counter

import numpy as np
import pytest
from worlds import planted_world

from recollect.context.controls import ControlSettings, shuffled_labels, shuffled_titles
from recollect.context.evidence import Context
from recollect.data.catalog import Catalog
from recollect.data.past import PastRule

WORLD = planted_world()
CONTEXT = Context(WORLD.log, rule=PastRule(), prior=0.5)
LINE = CONTEXT.timeline(0)
LABELS, TITLES = ControlSettings(labels=True), ControlSettings(titles=True)


def test_switched_off_they_change_nothing():
    assert shuffled_labels(LINE, TITLES) is LINE
    assert shuffled_titles(WORLD.catalog, LABELS) is WORLD.catalog


def test_answers_change_places_and_values_go_with_their_labels():
    shuffled = shuffled_labels(LINE, LABELS)
    assert not np.array_equal(shuffled.labels, LINE.labels)
    assert sorted(shuffled.values) == sorted(LINE.values)
    assert np.array_equal(shuffled.labels, shuffled.values >= 4)  # the world's rule
    for kept in ("rows", "items", "times", "visible"):
        assert np.array_equal(getattr(shuffled, kept), getattr(LINE, kept))


def test_features_tell_the_shuffled_answer():
    shuffled = shuffled_labels(LINE, LABELS)
    bare = CONTEXT.statistics.at(LINE.items, LINE.times)
    expected = CONTEXT.statistics.answered(bare, shuffled.labels)
    assert shuffled.features == pytest.approx(expected, abs=1e-6)


def test_answers_to_come_stay_out_of_what_is_known():
    known = shuffled_labels(LINE.until(9), LABELS)
    assert known.labels.sum() == LINE.labels[:9].sum()


def test_the_seed_and_the_person_fix_the_shuffle():
    again, other = shuffled_labels(LINE, LABELS), shuffled_labels(LINE, ControlSettings(labels=True, seed=1))
    assert np.array_equal(again.labels, shuffled_labels(LINE, LABELS).labels)
    assert not np.array_equal(again.labels, other.labels)


@pytest.mark.parametrize("seed", range(5))
def test_every_item_takes_the_texts_of_another(seed):
    catalog = WORLD.catalog
    shuffled = shuffled_titles(catalog, ControlSettings(titles=True, seed=seed))
    texts = list(zip(catalog.titles, catalog.genres, catalog.years.tolist(), strict=True))
    moved = list(zip(shuffled.titles, shuffled.genres, shuffled.years.tolist(), strict=True))
    assert shuffled.ids == catalog.ids
    assert Counter(moved) == Counter(texts)
    assert all(ours != theirs for ours, theirs in zip(texts, moved, strict=True))


def test_a_single_item_keeps_its_title():
    alone = Catalog(("a",), ("Alone",), ((),), np.zeros(1, np.int16))
    assert shuffled_titles(alone, TITLES).titles == ("Alone",)
