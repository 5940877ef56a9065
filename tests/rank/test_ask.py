"""Questions: who may be anybody, what may be left out, and several at once."""

import numpy as np
import pytest
from worlds import planted_world, small_recipe, untuned

from recollect.errors import UsageError
from recollect.rank.ask import Ask, InlineHistory
from recollect.rank.recommender import Recommender


@pytest.fixture(scope="module")
def recommender():
    world = planted_world(users=6, items=15, events=60)
    return Recommender(untuned(world, small_recipe()), world)


def codes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def test_anybody_may_ask(recommender):
    assert recommender.answer(Ask(user="never seen")).trace.known == 0
    assert "never seen" in recommender.trunks
    assert recommender.answer(Ask(user=None)).items == recommender.answer(Ask(user="never seen")).items


def test_a_history_that_comes_with_the_question_counts_and_is_not_kept(recommender):
    kept = len(recommender.trunks)
    history = InlineHistory(codes(1, 4), np.array([5, 2], np.float32))
    ranking = recommender.answer(Ask(user=None, history=history, explain=True, top=3))
    assert ranking.trace.known == 2
    assert {reason.item for reason in ranking.items[0].reasons} == {"i1", "i4"}
    assert len(recommender.trunks) == kept


def test_items_may_be_left_out(recommender):
    allowed = np.arange(15) < 8
    items = recommender.answer(Ask(user="never seen", exclude=codes(1, 2), allowed=allowed, top=20)).items
    assert {item.item for item in items} == {"i0", "i3", "i4", "i5", "i6", "i7"}
    given = recommender.answer(Ask(user="u1", items=codes(0, 1, 9), allowed=allowed)).items
    assert {item.item for item in given} == {"i0", "i1"}


def test_questions_of_one_person_share_a_pass(recommender):
    asks = [Ask(user="u1", items=codes(3, 5)), Ask(user="u1", top=4), Ask(user="u1", items=codes(5))]
    together = recommender.answer_all(asks)
    for ask, ranking in zip(asks, together, strict=True):
        alone = recommender.answer(ask)
        assert [item.item for item in ranking.items] == [item.item for item in alone.items]
        assert [item.score for item in ranking.items] == pytest.approx([item.score for item in alone.items], abs=1e-5)
        assert ranking.trace.candidates == alone.trace.candidates


def test_questions_of_several_people_share_passes(recommender):
    asks = [
        Ask(user="u1", items=codes(3, 5)),
        Ask(user="u2", top=4),
        Ask(user="never seen"),
        Ask(user=None, history=InlineHistory(codes(1, 4), np.array([5, 2], np.float32)), top=3, explain=True),
        Ask(user="u1", items=codes(5)),
        Ask(user="u1", known=1),
    ]
    together = recommender.answer_all(asks)
    assert len({ranking.trace.milliseconds for ranking in together}) == 1
    for ask, ranking in zip(asks, together, strict=True):
        alone = recommender.answer(ask)
        assert [item.item for item in ranking.items] == [item.item for item in alone.items]
        assert [item.score for item in ranking.items] == pytest.approx([item.score for item in alone.items], abs=1e-5)
        assert [item.reasons for item in ranking.items] == [item.reasons for item in alone.items]
        assert (ranking.trace.user, ranking.trace.known) == (alone.trace.user, alone.trace.known)


def test_the_first_events_alone_may_be_seen(recommender):
    whole = recommender.answer(Ask(user="u1")).trace.known
    assert recommender.answer(Ask(user="u1", known=whole - 2)).trace.known == whole - 2


@pytest.mark.parametrize("wrong", [{"top": 0}, {"diversity": 1.5}, {"diversity": -0.1}])
def test_questions_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError):
        Ask(user="u1", **wrong)
