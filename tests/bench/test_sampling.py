"""Sampling: batches are tried as far as there is work, and short jobs are measured whole."""

import pytest

from recollect.bench.sampling import Sampling, choose_sampling


@pytest.mark.parametrize(("count", "tried"), [(1, [1, 1]), (5, [1, 1, 4]), (10, [1, 1, 4, 10])])
def test_each_size_is_tried_once_after_one_that_does_not_count(count, tried):
    runs: list[int] = []
    chosen = choose_sampling(runs.append, count=count, batches=(1, 4, 10), settle=int)
    assert runs == tried
    assert chosen.batch in tried
    assert (chosen.some, chosen.note) == (count, "")


def test_what_is_scaled_is_said():
    assert Sampling(4, 8, 100).note == "plain way scaled from 8"
