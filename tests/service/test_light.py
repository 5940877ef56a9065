"""The light ranker: marked, as fresh as the model, and sensible."""

import numpy as np
import pytest
from worlds import planted_world, small_recipe, untuned

from recollect.rank.ask import Ask, InlineHistory
from recollect.rank.recommender import Recommender
from recollect.service.light import LightRanker


@pytest.fixture
def served():
    world = planted_world(users=12, items=30, events=240)
    recommender = Recommender(untuned(world, small_recipe()), world)
    return recommender, LightRanker(recommender)


def genres(ranking):
    return [item.title.split()[0] for item in ranking.items]


def test_a_list_is_in_order_and_leaves_known_items_out(served):
    recommender, light = served
    ranking = light.answer(Ask(user="u3", top=30), reason="overload")
    seen = {recommender.catalog.ids[code] for code in recommender.dataset.log.item[recommender.dataset.log.user == 3]}
    assert not seen & {item.item for item in ranking.items}
    assert len(ranking.items) == ranking.trace.candidates == 30 - len(seen)
    scores = [item.score for item in ranking.items]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert ranking.trace.chosen == "the light ranker, because of overload"
    assert ranking.trace.tokens_new == 0


def test_it_follows_taste_and_events(served):
    recommender, light = served
    for item in ("i0", "i3", "i6", "i9"):  # dramas
        recommender.add("fan", item, value=5.0)
    for item in ("i1", "i4", "i2", "i5"):
        recommender.add("fan", item, value=2.0)
    ranking = light.answer(Ask(user="fan", top=5), reason="deadline")
    assert ranking.trace.known == 8
    assert genres(ranking).count("Drama") >= 4


def test_it_answers_for_a_slate_and_for_a_history_that_comes_along(served):
    _, light = served
    slate = np.array([3, 7, 8], np.int32)
    history = InlineHistory(np.array([0], np.int32), np.array([5], np.float32))
    ranking = light.answer(Ask(user=None, history=history, items=slate), reason="deadline")
    assert {item.item for item in ranking.items} == {"i3", "i7", "i8"}
    assert ranking.trace.known == 1
