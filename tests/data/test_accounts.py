"""Shared accounts: who joins whom, and that rows stay what they are."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world

from recollect.data.accounts import share_accounts
from recollect.data.splits import split_by_time


@pytest.fixture(scope="module")
def world():
    return planted_world()


def test_persons_whose_events_lie_nearest_in_time_share_an_account(world, log_of):
    # (time, user, item, value); median events at 10 (user 3), 12 (user 0) and 50 (user 2); user 1 has none
    events = [(11, 0, 0, 1), (12, 0, 1, 1), (9, 3, 2, 1), (10, 3, 3, 1), (50, 2, 4, 1)]
    log = log_of(events, user_count=len(world.users), item_count=len(world.catalog))
    shared, _ = share_accounts(replace(world, log=log), split_by_time(log))
    assert shared.log.user.tolist() == [3, 3, 3, 3, 2]


def test_a_split_keeps_its_events(world):
    split = split_by_time(world.log)
    shared, same = share_accounts(world, split)
    assert len(np.unique(shared.log.user)) == -(-len(np.unique(world.log.user)) // 2)
    for part in ("train", "valid", "test"):
        before, after = getattr(split, part), getattr(same, part)
        assert [*zip(world.log.time[before], world.log.item[before], strict=True)] != []
        assert sorted(zip(world.log.time[before], world.log.item[before], strict=True)) == sorted(
            zip(shared.log.time[after], shared.log.item[after], strict=True)
        )
    assert same.notes[-1] == "two persons share each account"
