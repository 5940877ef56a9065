"""Text methods end to end: saved and loaded they answer the same, and serving says what the replay said."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world, small_block

from recollect.context.evidence import Context
from recollect.rank.recommender import Recommender
from recollect.run.answering import RowAnswerer
from recollect.run.calibration import Calibration
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel
from recollect.tuning.run import tune

EXACT = 1e-5
ROWS = np.arange(450, 600, 5)
METHODS = ("tallrec", "recicl", "rella")


@pytest.fixture(scope="module", params=METHODS)
def run(request, tmp_path_factory):
    world = planted_world()
    folder = tmp_path_factory.mktemp(request.param) / "run"
    return world, tune(world, out=folder, recipe=small_block(request.param)), folder


def replayed(tuned, world):
    context = Context(world.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
    return RowAnswerer(tuned, context, make_prompter(tuned, world)).score(ROWS)


def test_a_loaded_run_gives_the_same_answers(run):
    world, tuned, folder = run
    loaded = TunedModel.load(folder)
    assert loaded.digest() == tuned.digest()
    assert loaded.calibration == tuned.calibration != Calibration()
    assert replayed(loaded, world) == pytest.approx(replayed(tuned, world), abs=EXACT)


def test_serving_says_what_the_replay_says(run):
    world, tuned, _ = run
    recommender = Recommender(tuned, world)
    log = world.log
    served = [
        recommender.score(world.users.ids[log.user[row]], [world.catalog.ids[log.item[row]]], at=int(log.time[row]))[0]
        for row in ROWS
    ]
    assert served == pytest.approx(replayed(tuned, world), abs=EXACT)


def test_a_list_scores_each_item_as_if_it_were_asked_alone(run):
    world, tuned, _ = run
    recommender = Recommender(tuned, world)
    ids = world.catalog.ids[:7]
    alone = [recommender.score("u2", [one])[0] for one in ids]
    assert recommender.score("u2", ids) == pytest.approx(alone, abs=EXACT)


def test_the_same_weights_may_be_shown_something_else(run):
    world, tuned, _ = run
    changed = tuned.recipe.model_copy(
        update={"history": tuned.recipe.history.model_copy(update={"shown": 2, "choice": "recent"})}
    )
    other = replayed(replace(tuned, recipe=changed), world)
    assert np.abs(other - replayed(tuned, world)).max() > 0


def test_a_new_event_is_known_to_the_next_question(run):
    world, tuned, _ = run
    recommender = Recommender(tuned, world)
    item = recommender.recommend("u3").items[0].item
    before = recommender.score("u3", [item])
    recommender.add("u3", item, value=5.0)
    assert recommender.score("u3", [item]) != pytest.approx(before, abs=1e-12)
