"""Causal statistics against a slow count."""

import numpy as np
import pytest
from worlds import planted_world

from recollect.context.statistics import ItemStatistics
from recollect.data import bundled


@pytest.mark.parametrize("gap", [1, 40])
def test_counts_are_those_of_older_events(gap):
    log = planted_world().log
    statistics = ItemStatistics.of(log, prior=0.5, gap=gap)
    random = np.random.default_rng(0)
    for item, time in zip(random.integers(0, 31, 50), random.integers(900, 4000, 50), strict=True):
        older = (log.item == item) & (log.time <= time - gap)
        count, likes = statistics.counts(np.array([item], np.int32), int(time))
        assert (count[0], likes[0]) == (older.sum(), log.label[older].sum())


def test_features_of_three_likes_in_four():
    statistics = ItemStatistics.of(planted_world().log, prior=0.5)
    features = statistics.describe(np.array([4]), np.array([3]))
    assert features[0, 0] == pytest.approx(np.log((3 + 2.5) / (1 + 2.5)))
    assert features[0, 1] == pytest.approx(np.log(5) / 4)
    answered = statistics.answered(features, np.array([True]))
    assert answered[0, 2:].tolist() == pytest.approx([2 * (1 - 5.5 / 9), 1])


@pytest.mark.parametrize("block", [1000, 100_000, 1_000_000])
def test_events_in_blocks_are_described_as_one_by_one(block):
    log = bundled.movietweetings().log
    statistics = ItemStatistics.of(log, prior=0.5)
    features = statistics.events(log, block=block)
    for row in range(0, len(log), 997):
        one = slice(row, row + 1)
        bare = statistics.at(log.item[one], log.time[one])
        np.testing.assert_array_equal(features[one], statistics.answered(bare, log.label[one]))
