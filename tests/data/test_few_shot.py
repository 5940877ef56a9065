"""Few-shot sets: nested, in log order, drawn by row or by user; kept, and read back for the same log alone."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world

from recollect.data.digest import digest_of_log
from recollect.data.few_shot import FewShot, few_shot, load_few_shot, save_few_shot
from recollect.errors import DataError, UsageError

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


def test_a_set_that_is_kept_is_read_back(tmp_path):
    drawn = FewShot(few_shot(LOG, ROWS, count=64, draw="rows", seed=5), 5, digest_of_log(LOG))
    save_few_shot(drawn, tmp_path)
    found = load_few_shot(tmp_path, log=LOG)
    assert found is not None
    assert (found.rows.dtype, found.rows.tolist()) == (np.int64, drawn.rows.tolist())
    assert (found.seed, found.log) == (5, digest_of_log(LOG))


def test_rows_of_another_log_are_refused(tmp_path):
    save_few_shot(FewShot(ROWS, 0, digest_of_log(LOG)), tmp_path)
    with pytest.raises(DataError, match="another log"):
        load_few_shot(tmp_path, log=replace(LOG, value=LOG.value + np.float32(1)))


@pytest.mark.parametrize("damage", [b"", b"\x00\xff" * 40, None], ids=["empty", "noise", "half"])
def test_a_damaged_set_is_a_data_error(damage, tmp_path):
    save_few_shot(FewShot(ROWS, 0, digest_of_log(LOG)), tmp_path)
    file = tmp_path / "few_shot.npz"
    file.write_bytes(file.read_bytes()[:500] if damage is None else damage)
    with pytest.raises(DataError, match="tune again"):
        load_few_shot(tmp_path, log=LOG)
