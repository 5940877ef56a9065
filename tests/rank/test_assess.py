"""Assessment of runs: what is measured, what is left in the folder, and which runs can be compared."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world, small_recipe

from recollect.data.past import Past
from recollect.data.splits import split_by_time, split_until
from recollect.errors import DataError, RunNotFound, UsageError
from recollect.evaluation.metrics import auc
from recollect.evaluation.predictions import Predictions
from recollect.evaluation.result import Evaluation
from recollect.rank.assess import compare, evaluate, split_of
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel
from recollect.tuning.run import tune

BORDER = 2500


class Heard:
    """A progress that writes down what it is told."""

    def __init__(self) -> None:
        self.works: list[tuple[str, int]] = []
        self.done: list[int] = []

    def start(self, label: str, total: int) -> None:
        self.works.append((label, total))

    def advance(self, done: int, **_: float) -> None:
        self.done.append(done)

    def finish(self, note: str = "") -> None:
        pass


@pytest.fixture(scope="module")
def world():
    return planted_world()


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    """Three runs: two seeds of the named split, and one up to a moment."""
    folder = tmp_path_factory.mktemp("runs")
    recipe, split = small_recipe("tuning.epochs=1"), split_by_time(world.log)
    for seed in (0, 1):
        tune(world, out=folder / f"seed{seed}", recipe=recipe, split=split, seed=seed)
    tune(world, out=folder / "until", recipe=recipe, split=split_until(world.log, BORDER))
    return folder


@pytest.fixture(scope="module")
def assessed(world, runs):
    heard = Heard()
    return evaluate(runs / "seed0", world, part="test", progress=heard), heard


def test_predictions_are_of_the_part_and_the_numbers_of_the_predictions(world, assessed):
    predictions, result = assessed[0].predictions, assessed[0].result
    assert np.array_equal(predictions.rows, split_by_time(world.log).test)
    assert np.array_equal(predictions.label, world.log.label[predictions.rows])
    assert result.rows == len(predictions)
    assert result.auc == pytest.approx(auc(predictions.label, predictions.probability))


def test_the_run_stands_beside_the_floors_and_beside_itself_without_events(assessed):
    result = assessed[0].result
    assert set(result.floors) >= {"item mean", "user mean", "logistic regression"}
    assert result.without_events is not None
    assert {entry.rows for _, entry in result.entries()} == {result.rows}
    assert result.without_events.log_loss != result.log_loss


def test_what_is_printed_is_left_in_the_folder(runs, assessed):
    kept = (runs / "seed0" / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(kept) == assessed[0].result.to_json()
    assert Evaluation.from_json(kept) == assessed[0].result
    saved = Predictions.load(runs / "seed0" / "predictions-time-test.parquet")
    assert np.array_equal(saved.probability, assessed[0].predictions.probability)


def test_progress_hears_of_both_replays(assessed):
    result, heard = assessed[0].result, assessed[1]
    assert [total for _, total in heard.works] == [result.rows] * 2
    assert heard.done.count(result.rows) == 2


def test_replayed_answers_are_those_of_the_service(world, runs, assessed):
    predictions = assessed[0].predictions
    recommender = Recommender.load(runs / "seed0", world)
    for place in range(0, len(predictions), 13):
        row = predictions.rows[place]
        user, item = world.users.ids[world.log.user[row]], world.catalog.ids[world.log.item[row]]
        served = recommender.score(user, [item], at=int(world.log.time[row]))
        assert served[0] == pytest.approx(predictions.probability[place], abs=1e-5)
        assert predictions.known[place] == Past(world.log).visible[row]


def test_a_run_is_judged_by_the_split_that_it_was_tuned_on(world, runs):
    until = split_of(TunedModel.load(runs / "until"), world, protocol=None)
    assert np.array_equal(until.test, split_until(world.log, BORDER).test)
    named = split_of(TunedModel.load(runs / "until"), world, protocol="time")
    assert np.array_equal(named.test, split_by_time(world.log).test)


def test_a_part_without_rows_is_refused(world, runs):
    with pytest.raises(DataError, match=r"the valid part has no rows.*evaluate the test part"):
        evaluate(runs / "until", world)


def test_some_rows_are_those_of_whole_users(world, runs, tmp_path):
    whole = split_by_time(world.log).test
    run = shutil.copytree(runs / "until", tmp_path / "run")
    some = evaluate(run, world, protocol="time", part="test", rows=9).predictions.rows
    assert 9 <= len(some) < len(whole)
    assert np.array_equal(some, whole[np.isin(world.log.user[whole], world.log.user[some])])


def test_an_unknown_protocol_is_refused(world, runs):
    with pytest.raises(UsageError, match="nonesuch"):
        evaluate(runs / "seed0", world, protocol="nonesuch")


def test_a_folder_without_a_run_is_refused(world, tmp_path):
    with pytest.raises(RunNotFound):
        evaluate(tmp_path, world)


def test_two_runs_are_compared_on_the_rows_of_both(world, runs, assessed):
    second = evaluate(runs / "seed1", world, part="test").result
    comparison = compare(runs / "seed0", runs / "seed1", world)
    difference = comparison.differences["auc"]
    assert difference.value == pytest.approx(assessed[0].result.auc - second.auc)
    assert difference.low <= difference.value <= difference.high
    assert compare(runs / "seed1", runs / "seed0", world).differences["auc"].value == pytest.approx(-difference.value)


@pytest.mark.usefixtures("assessed")
def test_runs_without_a_common_evaluation_are_not_compared(world, runs):
    with pytest.raises(UsageError, match="nothing; expected one protocol and part that both were evaluated on"):
        compare(runs / "seed0", runs / "until", world)


@pytest.mark.usefixtures("assessed")
def test_predictions_of_another_log_are_not_compared(world, runs):
    changed = replace(world, log=replace(world.log, label=~world.log.label))
    with pytest.raises(DataError, match="predictions of another log"):
        compare(runs / "seed0", runs / "seed0", changed)
