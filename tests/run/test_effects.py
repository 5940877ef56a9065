"""Demonstrations chosen by a real small model: replay and serving agree, and a model that cannot measure says so."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world, small_block

from recollect.context.effects import losses, make_pool
from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.errors import UsageError
from recollect.prompt.prompter import NO_EVENT
from recollect.rank.recommender import Recommender
from recollect.recipe import load_recipe
from recollect.run.answering import RowAnswerer
from recollect.run.effects_served import ServedMeasure
from recollect.run.prompting import make_measure, make_prompter
from recollect.run.tuned import TunedModel
from recollect.tuning.run import tune

EXACT = 1e-5
ROWS = np.arange(450, 600, 15)
SMALL = ("demonstrations.count=3", "effects.pool=8", "effects.support=4", "effects.anew=8")


@pytest.fixture(scope="module")
def world():
    return planted_world()


@pytest.fixture(scope="module")
def tuned(world, tmp_path_factory) -> TunedModel:
    folder = tmp_path_factory.mktemp("recicl") / "run"
    return tune(world, out=folder, recipe=small_block("recicl", "history.shown=2", *SMALL))


def showing(tuned: TunedModel, *more: str) -> TunedModel:
    """Give the same weights another recipe of showing."""
    return replace(tuned, recipe=small_block("recicl", "history.shown=2", *SMALL, *more))


def replayed(tuned: TunedModel, world: Dataset):
    context = Context(world.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
    return RowAnswerer(tuned, context, make_prompter(tuned, world)).score(ROWS)


@pytest.mark.parametrize("choice", ["effect", "rerank", "random"])
def test_serving_says_what_the_replay_says(world, tuned, choice):
    shown = showing(tuned, f"demonstrations.choice={choice}")
    answers, log = replayed(shown, world), world.log
    recommender = Recommender(shown, world)
    served = [
        recommender.score(world.users.ids[log.user[row]], [world.catalog.ids[log.item[row]]], at=int(log.time[row]))[0]
        for row in ROWS.tolist()[::-1]  # against the order of time: what is chosen depends on the moment alone
    ]
    assert served[::-1] == pytest.approx(answers, abs=EXACT)
    assert np.abs(answers - replayed(tuned, world)).max() > EXACT


def test_the_trace_says_how_demonstrations_were_chosen(world, tuned):
    recommender = Recommender(showing(tuned, "demonstrations.choice=effect"), world)
    ranking = recommender.recommend("u2", top=3)
    assert ranking.trace.demonstrations
    assert Recommender(tuned, world).recommend("u2", top=3).trace.demonstrations == ""
    at_first = int(world.log.time[world.log.user == 2][0])
    assert "too few" in recommender.recommend("u2", at=at_first + 1, top=3).trace.demonstrations


def test_a_measure_writes_what_a_prompt_shows(world, tuned):
    measure = make_measure(tuned, world)
    line = Context(world.log, rule=tuned.recipe.past.rule(), prior=tuned.prior).timeline(2)
    pool = make_pool(line, len(line), tuned.recipe.effects)
    effects = measure.effects(pool, np.ones(len(pool)))
    alone = losses(pool, measure.predictions(pool, np.ones((1, len(pool)))))[0]
    assert effects.loss == pytest.approx(alone, abs=EXACT)
    assert (effects.effect[~pool.visible] == 0).all()
    assert np.ptp(effects.effect[pool.visible]) > 0
    question = make_prompter(tuned, world).question(line, np.array([0], np.int32), np.zeros((1, 4), np.float32))
    *solved, first, second = question.events[question.events != NO_EVENT].tolist()
    history = measure.layout.history_length(line, np.array([first, second]))
    blocks = measure.tokens(pool)[np.isin(pool.demonstrations, solved)]
    assert len(blocks) == 3
    assert len(question.trunk) == len(measure.layout.start(2)) + blocks.sum() + history


def test_remembered_answers_are_those_asked_anew(world, tuned):
    line = Context(world.log, rule=tuned.recipe.past.rule(), prior=tuned.prior).timeline(2)
    kept = make_measure(tuned, world)
    for known in (len(line) - 1, len(line)):
        pool = make_pool(line, known, tuned.recipe.effects)
        for seed in range(3):
            gates = np.random.default_rng(seed).choice([0.0, 0.2, 1.0], (4, len(pool)))
            anew = make_measure(tuned, world).predictions(pool, gates)
            assert kept.predictions(pool, gates) == pytest.approx(anew, abs=EXACT)


def test_what_a_question_may_not_see_makes_no_new_question(world, tuned):
    line = Context(world.log, rule=tuned.recipe.past.rule(), prior=tuned.prior).timeline(2)
    pool = make_pool(line, len(line), tuned.recipe.effects)
    measure = make_measure(tuned, world)
    assert not pool.visible[:, -1].any()
    first, second = np.zeros((2, 1, len(pool)))
    second[:, -1] = 1.0
    said = measure.predictions(pool, first)
    assert (measure.predictions(pool, second) == said).all()
    assert len(measure.asked) == len(pool.support)
    later = make_pool(line, len(line) - 1, tuned.recipe.effects)
    measure.predictions(later, first)
    assert len(measure.asked) == len(pool.support) + 1  # all but the oldest were asked a moment later, too


def test_a_stream_has_no_demonstrations_to_measure(world, tuned):
    with pytest.raises(UsageError, match="block layout"):
        make_measure(replace(tuned, recipe=load_recipe("stream")), world)


@pytest.mark.parametrize("name", ["lrgd", "lrgd-rerank"])
def test_a_recipe_of_measured_demonstrations_is_tuned_as_recicl(name):
    recipe, plain = load_recipe(name), load_recipe("recicl")
    assert recipe.tuning == plain.tuning
    assert recipe.demonstrations.choice in {"effect", "rerank"}
    assert recipe.demonstrations.model_copy(update={"choice": "recent"}) == plain.demonstrations


def test_what_is_served_is_measured_as_the_prompt_shows_it(world, tuned):
    line = Context(world.log, rule=tuned.recipe.past.rule(), prior=tuned.prior).timeline(2)
    pool = make_pool(line, len(line), tuned.recipe.effects)
    measure = make_measure(tuned, world)
    last = len(pool.support) - 1
    seen = np.flatnonzero(pool.visible[last])[-3:]  # the three most recent of the last query: what the recipe shows
    shown = np.isin(np.arange(len(pool)), seen)[None]
    said = ServedMeasure(measure).predictions(pool, np.concatenate([shown, np.zeros_like(shown)]))
    row = line.rows[pool.support[last : last + 1]]
    answerer = RowAnswerer(
        tuned, Context(world.log, rule=tuned.recipe.past.rule(), prior=tuned.prior), make_prompter(tuned, world)
    )
    assert said[0, last, 1] - said[0, last, 0] == pytest.approx(answerer.log_odds(row)[0], abs=EXACT)
    bare = showing(tuned, "demonstrations.count=0")
    asked_alone = RowAnswerer(bare, answerer.context, make_prompter(bare, world)).log_odds(row)
    assert said[1, last, 1] - said[1, last, 0] == pytest.approx(asked_alone[0], abs=EXACT)
    assert abs(said[0, last, 1] - said[1, last, 1]) > EXACT
