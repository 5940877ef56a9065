import json
from dataclasses import replace

import numpy as np
import pytest

from recollect.errors import DataError
from recollect.evaluation.bootstrap import METRICS, draw
from recollect.evaluation.compare import compare


@pytest.fixture(scope="module")
def skilled(random_scored):
    return random_scored(3000, users=100, skill=3.0)


@pytest.fixture(scope="module")
def clumsy(random_scored):
    return random_scored(3000, users=100, skill=0.2)


def test_the_difference_is_first_minus_second(skilled, clumsy):
    found = compare(skilled, clumsy, draws=100)
    for metric in METRICS:
        gap = found.differences[metric]
        assert gap.value == getattr(found.first, metric) - getattr(found.second, metric)
        assert gap.low < gap.value < gap.high or metric == "ece"
    assert found.verdict("auc") == "first"
    assert compare(clumsy, skilled, draws=100).verdict("auc") == "second"


def test_lower_is_better_for_losses(skilled):
    better, worse = (replace(skilled, probability=np.where(skilled.label, p, 1 - p)) for p in (0.9, 0.8))
    assert compare(better, worse, draws=20).verdict("log_loss") == "first"


def test_a_scorer_does_not_differ_from_itself(skilled):
    found = compare(skilled, skilled, draws=20)
    assert all(gap[:] == (0, 0, 0, 1) for gap in found.differences.values())
    assert {found.verdict(metric) for metric in METRICS} == {"undecided"}


def test_pairing_narrows_the_interval(skilled):
    tempered = replace(skilled, probability=0.98 * skilled.probability + 0.01)
    gap = compare(skilled, tempered, draws=100).differences["auc"]
    alone = draw(skilled, seed=0, draws=100).interval("auc")
    assert gap.high - gap.low < (alone.high - alone.low) / 100  # the order of rows hardly changed


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda same: same.take(np.arange(10)), "3,000 and 10 rows, 10 of them in both"),
        (lambda same: replace(same, label=~same.label), "another label"),
        (lambda same: replace(same, user=same.user[::-1].copy()), "another user"),
    ],
)
def test_other_rows_are_refused(skilled, change, complaint):
    with pytest.raises(DataError, match=complaint):
        compare(skilled, change(skilled))


def test_for_people_and_for_programs(skilled, clumsy):
    found = compare(skilled, clumsy, draws=50)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["difference"]["auc"]["better"] == "first"
    name, first, second, gap, interval, _ = found.rows()[0]
    assert name == "AUC"
    assert float(first) - float(second) == pytest.approx(float(gap), abs=1.1e-4)
    assert " to " in interval
