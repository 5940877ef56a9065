"""Effects side by side and as served: both are measured on the same answers, and a contradiction is told."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world, small_block, untuned

from recollect.context.effects import EffectSettings, make_pool
from recollect.context.evidence import Context
from recollect.run.answering import RowAnswerer
from recollect.run.effect_layouts import LayoutComparer, LayoutComparison
from recollect.run.prompting import make_measure, make_prompter

WORLD = planted_world()


@pytest.mark.parametrize(
    ("blocks", "served", "contradicts"),
    [(0.3, -0.3, True), (-0.3, 0.3, True), (0.3, 0.3, False), (0.3, -0.1, False), (0.1, -0.3, False)],
)
def test_a_contradiction_takes_two_standard_errors_on_both_sides(blocks, served, contradicts):
    assert bool(LayoutComparison(4, blocks, 0.1, served, 0.1).warning) == contradicts


def test_what_is_served_is_what_a_replay_of_the_recipe_answers():
    tuned = untuned(WORLD, small_block("recicl", "demonstrations.count=2"))
    bare = replace(tuned, recipe=small_block("recicl", "demonstrations.count=0"))
    context = Context(WORLD.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
    line = context.timeline(1)
    pool = make_pool(line, len(line), EffectSettings(pool=8, support=5))

    def loss(model):
        odds = RowAnswerer(model, context, make_prompter(model, WORLD)).log_odds(line.rows[pool.support])
        return pool.weights @ np.log1p(np.exp(np.where(pool.labels == 1, -odds, odds)))

    comparer = LayoutComparer(tuned, WORLD, make_measure(tuned, WORLD))
    found = comparer.compare(pool, context, count=2)
    assert found.served == pytest.approx(loss(bare) - loss(tuned), abs=1e-6)
    assert abs(found.blocks) > 1e-4  # these demonstrations do something
    nothing = comparer.compare(pool, context, count=0)
    assert (nothing.blocks, nothing.served) == (0, 0)
