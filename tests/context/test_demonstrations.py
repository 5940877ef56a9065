"""Demonstrations: the person's own solved events, known ones only."""

import numpy as np
import pytest
from worlds import planted_world

from recollect.context.demonstrations import DemonstrationSettings, choose_demonstrations
from recollect.context.evidence import Context, HistoryView
from recollect.context.retrieval import Neighbours
from recollect.data.past import PastRule
from recollect.errors import UsageError

WORLD = planted_world()
LINE = Context(WORLD.log, rule=PastRule(), prior=0.5).timeline(0)
GENRES = Neighbours.of(np.eye(3, dtype=np.float32)[np.arange(30) % 3], collaborative=0, view=HistoryView())


@pytest.mark.parametrize(
    ("count", "known", "expected"),
    [(4, 10, [6, 7, 8, 9]), (4, 3, [0, 1, 2]), (4, 0, []), (0, 10, [])],
    ids=["full", "fewer than K", "nothing known", "K = 0"],
)
def test_recent_ones_are_the_last_known_whatever_their_label(count, known, expected):
    assert choose_demonstrations(LINE, known, DemonstrationSettings(count=count)).tolist() == expected


@pytest.mark.parametrize("known", [0, 1, 12, len(LINE)])
@pytest.mark.parametrize("count", [0, 2, 5])
def test_similar_ones_share_the_targets_genre_and_stand_in_time_order(known, count):
    settings = DemonstrationSettings(count=count, choice="similar")
    targets = np.array([4], np.int32)
    found = choose_demonstrations(LINE, known, settings, neighbours=GENRES, targets=targets).tolist()
    same = [place for place in range(known) if LINE.items[place] % 3 == 4 % 3]
    others = [place for place in range(known) if place not in same]
    ranked = same[::-1] + others[::-1]
    assert found == sorted(ranked[:count])


def test_similar_ones_need_a_measure():
    with pytest.raises(UsageError, match=r"set demonstrations\.choice to recent"):
        choose_demonstrations(LINE, 5, DemonstrationSettings(count=2, choice="similar"))
