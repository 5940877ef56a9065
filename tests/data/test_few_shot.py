"""Few-shot sets: nested, in log order, drawn by row or by user."""

import numpy as np
import pytest
from worlds import planted_world

from recollect.data.few_shot import few_shot
from recollect.errors import UsageError

LOG = planted_world().log
ROWS = np.arange(400)


@pytest.mark.parametrize("draw", ["rows", "users"])
def test_smaller_sets_lie_inside_larger_ones(draw):
    small, large = (few_shot(LOG, ROWS, count=count, draw=draw, seed=1) for count in (64, 256))
    assert (len(small), len(large)) == (64, 256)
    assert np.isin(small, large).all()
    assert np.isin(large, ROWS).all()
    assert (np.diff(large) > 0).all()


def test_whole_users_are_drawn_but_for_the_last():
    drawn = few_shot(LOG, ROWS, count=100, draw="users", seed=2)
    users = np.unique(LOG.user[drawn])
    left_out = ROWS[np.isin(LOG.user[ROWS], users) & ~np.isin(ROWS, drawn)]
    assert len(np.unique(LOG.user[left_out])) <= 1


def test_the_seed_decides():
    one, other = (few_shot(LOG, ROWS, count=64, draw="rows", seed=seed) for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_nothing_asked_is_everything():
    assert few_shot(LOG, ROWS, count=0, draw="rows", seed=0) is ROWS


def test_more_than_there_is_is_refused():
    with pytest.raises(UsageError, match="at most 400"):
        few_shot(LOG, ROWS, count=401, draw="rows", seed=0)
