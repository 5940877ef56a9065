"""Serving: the same scores as the replay, the same after events as from scratch, and a list that follows."""

import numpy as np
import pytest
from worlds import planted_world, small_block, small_recipe, untuned

from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.data.past import PastRule
from recollect.errors import UnknownItem, UnknownUser, UsageError
from recollect.prompt.prompter import NO_EVENT
from recollect.rank.recommender import Recommender
from recollect.run.answering import RowAnswerer
from recollect.run.prompting import make_prompter

EXACT = 1e-5


def cut(world: Dataset, time: int) -> Dataset:
    """Return the dataset as it was before a time."""
    return Dataset(world.log.before(time), world.catalog, world.users, world.facts)


@pytest.fixture(scope="module", params=["soft", "text", "both"])
def served(request):
    world = planted_world()
    tuned = untuned(world, small_recipe(channel=request.param))
    return world, tuned


def test_serving_scores_are_those_of_the_replay(served):
    world, tuned = served
    context = Context(world.log, rule=PastRule(), prior=tuned.prior)
    rows = np.arange(0, len(world.log), 7)
    replayed = RowAnswerer(tuned, context, make_prompter(tuned, world)).score(rows)
    recommender = Recommender(tuned, world)
    random = np.random.default_rng(0)
    for place in random.permutation(len(rows)).tolist():  # jumps back and forth in time
        row = rows[place]
        user, item = world.users.ids[world.log.user[row]], world.catalog.ids[world.log.item[row]]
        score = recommender.score(user, [item], at=int(world.log.time[row]))
        assert score[0] == pytest.approx(replayed[place], abs=EXACT)
    assert np.ptp(replayed) > 20 * EXACT


def test_events_added_one_by_one_equal_a_log_that_has_them(served):
    world, tuned = served
    border = int(world.log.time[len(world.log) * 2 // 3])
    live, whole = Recommender(tuned, cut(world, border)), Recommender(tuned, world)
    later = np.flatnonzero(world.log.time >= border)
    for row in later.tolist():
        live.add(
            world.users.ids[world.log.user[row]],
            world.catalog.ids[world.log.item[row]],
            value=float(world.log.value[row]),
            at=int(world.log.time[row]),
        )
    for user in world.users.ids:
        assert live.score(user, world.catalog.ids) == pytest.approx(whole.score(user, world.catalog.ids), abs=EXACT)


def test_an_event_costs_its_own_tokens_only():
    world = planted_world()
    recommender = Recommender(untuned(world, small_recipe("history.shown=64", "history.evict=8")), world)
    first = recommender.recommend("u3")
    assert first.trace.tokens_reused == 0
    assert recommender.recommend("u3").trace.tokens_new == 0
    recommender.add("u3", recommender.recommend("u3").items[0].item, value=5.0)
    after = recommender.recommend("u3").trace
    assert (after.known, after.tokens_new) == (first.trace.known + 1, 0)
    assert after.tokens_reused == first.trace.tokens_new + 2


def test_a_ranking_leaves_known_items_out_and_is_in_order(served):
    world, tuned = served
    ranking = Recommender(tuned, world).recommend("u3", top=50)
    seen = {world.catalog.ids[code] for code in world.log.item[world.log.user == 3]}
    assert not seen & {item.item for item in ranking.items}
    scores = [item.score for item in ranking.items]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == ranking.trace.candidates == len(world.catalog) - len(seen)


def test_a_new_user_works_at_once():
    world = planted_world()
    recommender = Recommender(untuned(world, small_recipe()), world)
    recommender.add("nobody", "i3", value=5.0)
    ranking = recommender.recommend("nobody", top=5, explain=True)
    assert ranking.trace.known == 1
    assert [reason.item for reason in ranking.items[0].reasons] == ["i3"]


def test_a_late_event_is_put_in_its_place():
    world = planted_world()
    tuned = untuned(world, small_recipe())
    recommender = Recommender(tuned, world)
    recommender.recommend("u3")
    moment = int(world.log.time[world.log.user == 3][2])
    unseen = next(i for i in range(30) if i not in world.log.item[world.log.user == 3])
    recommender.add("u3", world.catalog.ids[unseen], value=5.0, at=moment - 5)
    assert recommender.recommend("u3", at=moment).trace.known == 3
    assert recommender.recommend("u3").trace.known == int((world.log.user == 3).sum()) + 1


def test_reasons_are_direct_effects(served):
    world, tuned = served
    ranking = Recommender(tuned, world).recommend("u3", top=2, explain=True)
    assert all(len(item.reasons) == 3 for item in ranking.items)
    weights = [abs(reason.weight) for reason in ranking.items[0].reasons]
    assert weights == sorted(weights, reverse=True)


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        ({"user": "nobody"}, UnknownUser),
        ({"user": "u3", "top": 0}, UsageError),
        ({"user": "u3", "candidates": ["i1", "nothing"]}, UnknownItem),
    ],
)
def test_bad_questions_get_clear_answers(ask, error):
    world = planted_world()
    recommender = Recommender(untuned(world, small_recipe()), world)
    with pytest.raises(error):
        recommender.recommend(**ask)


def test_a_set_of_candidates_is_asked_behind_one_trunk_with_the_events_of_each():
    world = planted_world()
    recommender = Recommender(untuned(world, small_block("rella", "history.shown=2", "history.per=set")), world)
    met = {world.catalog.ids[code] for code in world.log.item[world.log.user == 3]}
    items = [one for one in world.catalog.ids if one not in met][:4]
    together = recommender.question("u3", items)
    shown = set(together.events.tolist()) - {NO_EVENT}
    alone = [set(recommender.question("u3", [item]).events.tolist()) - {NO_EVENT} for item in items]
    assert all(len(events) == 2 for events in alone)
    assert shown == set().union(*alone)
    assert len(shown) > 2
    asked = recommender.recommend("u3", candidates=items).trace
    assert (asked.shown, asked.tokens_new) == (len(shown), len(together.trunk))
    assert recommender.recommend("u3", candidates=items).trace.tokens_new == 0
