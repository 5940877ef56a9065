"""Reasons: many hidden events read in one pass weigh what they weigh one by one."""

import numpy as np
import pytest
import torch
from worlds import planted_world, small_recipe, untuned

from recollect.rank.reasons import direct_effects, log_odds
from recollect.rank.recommender import Recommender


@pytest.mark.parametrize("channel", ["soft", "text"])  # a branch of one token, and a long one
def test_effects_are_what_an_answer_loses(channel):
    world = planted_world(users=6, items=15, events=60)
    recommender = Recommender(untuned(world, small_recipe(channel=channel)), world)
    question, model = recommender.question("u1", ["i0", "i4", "i9"]), recommender.shelf.model
    trunk = recommender.trunks.warm(None, question.trunk).cache
    shown = np.flatnonzero(question.events >= 0)
    effects = direct_effects(model, trunk, question, segments=shown)
    whole = log_odds(model, trunk, question.branches)
    for segment, effect in zip(shown.tolist(), effects, strict=True):
        alone = log_odds(model, trunk, question.branches, hidden=segment)
        torch.testing.assert_close(effect, whole - alone, atol=1e-5, rtol=0)
    assert effects.abs().max() > 1e-4
