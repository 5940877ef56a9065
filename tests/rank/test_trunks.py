"""Warm trunks: what two trunks have in common is not encoded again, and the answers are those of a cold start."""

import numpy as np
import pytest
import torch
from worlds import planted_world, small_recipe, untuned

from recollect.context.evidence import Context
from recollect.data.past import PastRule
from recollect.model.cache import TrunkCache
from recollect.rank.trunks import Trunks
from recollect.run.prompting import make_prompter

EXACT = 1e-5


@pytest.fixture(scope="module")
def shown():
    """A model, and its trunk after the first n events of one person."""
    world = planted_world()
    tuned = untuned(world, small_recipe())
    context = Context(world.log, rule=PastRule(), prior=tuned.prior)
    prompter, line = make_prompter(tuned, world), context.timeline(1)
    items = np.array([2, 5], np.int32)

    def question(count):
        return prompter.question(line.until(count), items, context.statistics.at(items, np.full(2, 10**6)))

    return tuned.language_model, question


def agree(model, cache, question):
    cold = model.append(TrunkCache.empty(), question.trunk)
    torch.testing.assert_close(
        model.score(cache, question.branches), model.score(cold, question.branches), atol=EXACT, rtol=0
    )


def test_a_new_event_costs_its_own_tokens(shown):
    model, question = shown
    trunks = Trunks(model)
    first = trunks.warm(1, question(5).trunk)
    second = trunks.warm(1, question(6).trunk)
    assert first.reused == 0
    assert second.reused == first.cache.length
    agree(model, second.cache, question(6))


def test_an_older_moment_reuses_everything_and_loses_nothing(shown):
    model, question = shown
    trunks = Trunks(model)
    longest = trunks.warm(1, question(8).trunk).cache.length
    earlier = trunks.warm(1, question(4).trunk)
    assert earlier.reused == earlier.cache.length < longest
    agree(model, earlier.cache, question(4))
    assert trunks.warm(1, question(8).trunk).reused == longest


def test_trunks_asked_together_are_those_asked_one_after_the_other(shown):
    model, question = shown
    trunks = Trunks(model)
    trunks.warm(1, question(5).trunk)
    asked = [(2, 4), (1, 6), (1, 7), (None, 6), (None, 6)]  # whose, and how many events it shows
    found = trunks.warm_together([(user, question(count).trunk) for user, count in asked])
    for warm, (_, count) in zip(found, asked, strict=True):
        agree(model, warm.cache, question(count))
    assert [warm.reused > 0 for warm in found] == [False, True, True, False, False]
    assert found[2].reused == found[1].cache.length  # a person's later trunk builds on the earlier one
    assert (1 in trunks, 2 in trunks, len(trunks)) == (True, True, 2)
    assert trunks.warm(1, question(7).trunk).reused == found[2].cache.length


def test_evicted_events_are_encoded_anew(shown):
    model, question = shown
    trunks = Trunks(model)
    trunks.warm(1, question(12).trunk)
    later = trunks.warm(1, question(13).trunk)  # 12 are shown, 4 leave at a time
    assert later.reused < later.cache.length
    agree(model, later.cache, question(13))


def test_the_least_recently_used_goes_first(shown):
    model, question = shown
    trunks = Trunks(model)
    trunks.warm(1, question(2).trunk)
    trunks = Trunks(model, budget=2 * trunks.nbytes)
    for user in (1, 2, 1, 3):
        trunks.warm(user, question(2).trunk)
    assert [user in trunks for user in (1, 2, 3)] == [True, False, True]
    assert trunks.nbytes == trunks.budget


def test_a_budget_too_small_for_a_trunk_keeps_nothing_and_answers_the_same(shown):
    model, question = shown
    trunks = Trunks(model, budget=100)
    agree(model, trunks.warm(1, question(5).trunk).cache, question(5))
    assert (len(trunks), trunks.nbytes) == (0, 0)


def test_a_forgotten_trunk_is_encoded_anew(shown):
    model, question = shown
    trunks = Trunks(model)
    trunks.warm(1, question(5).trunk)
    assert trunks.forget(1)
    assert not trunks.forget(1)
    assert trunks.warm(1, question(5).trunk).reused == 0
