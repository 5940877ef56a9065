"""Calibration of a run: fitted on the rows that epochs are chosen by, and on nothing of the test part."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world, small_block

from recollect.context.evidence import Context
from recollect.data.splits import rows_of_some_users, split_by_time
from recollect.run.answering import RowAnswerer
from recollect.run.calibration import AS_SCORED, Calibration, fit_calibration
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel
from recollect.tuning.run import tune

RECIPE = small_block("recicl", "tuning.rate=5e-3", "tuning.selection_rows=20", "history.shown=3")
WORLD = planted_world(events=400)
SPLIT = split_by_time(WORLD.log)


def flipped(rows: np.ndarray):
    """Return the world with the labels of some rows turned."""
    label = WORLD.log.label.copy()
    label[rows] = ~label[rows]
    return replace(WORLD, log=replace(WORLD.log, label=label))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> TunedModel:
    """The run as it was saved."""
    folder = tmp_path_factory.mktemp("recicl") / "run"
    tune(WORLD, out=folder, recipe=RECIPE, split=SPLIT)
    return TunedModel.load(folder)


def refitted(run: TunedModel, rows: np.ndarray) -> Calibration:
    """Fit slope and shift anew on rows of the log."""
    context = Context(WORLD.log, rule=run.recipe.past.rule(), prior=run.prior)
    score = RowAnswerer(run, context, make_prompter(run, WORLD)).log_odds(rows)
    return fit_calibration(score, WORLD.log.label[rows], kind="platt")


def pair(calibration: Calibration) -> tuple[float, float]:
    return calibration.scale, calibration.shift


def test_it_is_that_of_the_choosing_rows(run):
    choosing = rows_of_some_users(WORLD.log, SPLIT.valid, wanted=20, seed=0)
    assert 20 <= len(choosing) < len(SPLIT.valid)
    assert run.recipe.answers.calibration == "platt"
    assert run.calibration != AS_SCORED
    assert pair(run.calibration) == pytest.approx(pair(refitted(run, choosing)), rel=1e-6)
    for other in (SPLIT.test, SPLIT.valid):
        assert pair(run.calibration) != pytest.approx(pair(refitted(run, other)), abs=1e-2)


def test_labels_of_the_test_part_change_nothing(run, tmp_path):
    other = tune(flipped(SPLIT.test), out=tmp_path / "run", recipe=RECIPE, split=SPLIT)
    assert other.calibration == run.calibration
    assert other.digest() == run.digest()
