import json

import numpy as np
import pytest

from recollect.errors import DataError
from recollect.evaluation.bootstrap import METRICS
from recollect.evaluation.result import Evaluation, decimals, table
from recollect.evaluation.summary import Occasion, Timed, summarise

OCCASION = Occasion(run="runs/demo", protocol="time", part="valid")


@pytest.fixture(scope="module")
def evaluation(random_scored):
    run, floor, bare = (Timed(random_scored(800, users=40, skill=skill), 1.5) for skill in (2.0, 1.0, 0.0))
    return summarise(OCCASION, run, floors={"item mean": floor}, without_events=bare, draws=50)


def test_the_document_holds_what_was_promised(evaluation):
    document = evaluation.to_json()
    measured = {"auc", "uauc", "uauc_users", "log_loss", "ece", "rows", "seconds", "intervals"}
    assert measured <= document.keys()
    assert document["floors"]["item mean"].keys() == document["without_events"].keys() == measured
    assert document["intervals"].keys() == set(METRICS)
    assert (document["run"], document["protocol"], document["part"]) == OCCASION
    assert document["paired"]["item mean"]["auc"]["value"] == document["auc"] - document["floors"]["item mean"]["auc"]


def test_slices_cover_all_rows(evaluation):
    for slices in evaluation.slices.values():
        assert sum(entry.rows for entry in slices) == evaluation.rows
    assert len(evaluation.slices["time"]) == 10
    assert set(evaluation.slices["time"][0].others) == {"item mean", "recollect without events"}


def test_round_trip_as_document_and_as_text(evaluation):
    document = evaluation.to_json()
    assert Evaluation.from_json(document) == evaluation
    assert Evaluation.from_json(json.dumps(document, allow_nan=False)) == evaluation


def test_undefined_is_null(scored):
    one_class = Timed(scored([1, 2], [True, True], [0.5, 0.75]), 0.0)
    found = summarise(OCCASION, one_class, floors={"item mean": one_class}, draws=5)
    assert found.auc is None
    assert found.intervals["uauc"] == (None, None)
    assert Evaluation.from_json(json.dumps(found.to_json(), allow_nan=False)) == found


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"auc": "high"}'])
def test_other_text_is_refused(text):
    with pytest.raises(DataError, match="not an evaluation"):
        Evaluation.from_json(text)


def test_the_table_has_floors_first_and_marks_the_best(evaluation):
    rows = table(evaluation)
    assert [row.name for row in rows] == ["item mean", "recollect without events", "recollect"]
    assert [row.is_run for row in rows] == [False, False, True]
    auc = rows[-1].cells[0]
    assert auc.best
    assert auc.value == decimals(evaluation.auc)
    assert auc.interval == " – ".join(decimals(end) for end in evaluation.intervals["auc"])
    assert sum(row.cells[2].best for row in rows) == 1


def test_all_scorers_must_judge_the_same_rows(random_scored):
    run, shorter = random_scored(50, users=5), random_scored(50, users=5).take(np.arange(40))
    with pytest.raises(DataError, match="cannot be compared"):
        summarise(OCCASION, Timed(run, 0.0), floors={"item mean": Timed(shorter, 0.0)}, draws=5)


def test_the_same_seed_gives_the_same_evaluation(random_scored):
    timed = Timed(random_scored(100, users=9), 0.0)
    first, again = (summarise(OCCASION, timed, floors={"item mean": timed}, draws=9, seed=3) for _ in range(2))
    assert first == again
