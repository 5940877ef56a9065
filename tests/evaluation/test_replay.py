from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from recollect.data.past import Past
from recollect.data.readers import read
from recollect.errors import DataError
from recollect.evaluation.replay import replay

LOG = """user,item,time,rating
0,0,1,5
0,1,2,1
0,2,2,5
0,3,5,1
1,0,3,5
"""


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    return read(tmp_path / "log.csv", like="rating>=4")[0]


@dataclass
class Fixed:
    """Answer with a function of the rows, and keep what was asked."""

    answer: Callable[..., Any]
    asked: list[Any]

    def score(self, rows):
        self.asked.append(rows.tolist())
        return self.answer(rows)


def test_rows_are_scored_in_log_order_whatever_order_they_come_in(dataset):
    scorer = Fixed(lambda rows: rows / 10, [])
    found = replay(dataset, np.array([4, 1, 3]), scorer, past=Past(dataset.log))
    assert scorer.asked == [[1, 3, 4]]
    assert found.probability.tolist() == [0.1, 0.3, 0.4]
    # log order: user 0 at 1, 2, 2; user 1 at 3; user 0 at 5
    assert found.user.tolist() == [0, 1, 0]
    assert found.time.tolist() == [2, 3, 5]
    assert found.label.tolist() == [False, True, False]
    assert found.known.tolist() == [1, 0, 3]


@pytest.mark.parametrize("rows", [[], [0, 0], [-1], [5]])
def test_rows_outside_the_log_or_twice_are_refused(dataset, rows):
    with pytest.raises(DataError, match="cannot be replayed"):
        replay(dataset, np.array(rows, np.int64), Fixed(lambda rows: rows / 10, []), past=Past(dataset.log))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda _: np.array([0.5]), "for every row"),
        (lambda rows: np.full(len(rows), np.nan), "not usable"),
        (lambda rows: np.full(len(rows), 1.5), "not usable"),
    ],
)
def test_a_scorer_is_checked(dataset, answer, complaint):
    with pytest.raises(DataError, match=complaint):
        replay(dataset, np.array([0, 1]), Fixed(answer, []), past=Past(dataset.log))
