"""The scorer: questions that wait share passes, a full queue refuses, and who gave up is skipped."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from worlds import planted_world, small_recipe, untuned

from recollect.rank.ask import Ask
from recollect.rank.recommender import Recommender
from recollect.service.arms import Arm
from recollect.service.light import LightRanker
from recollect.service.scorer import Job, Scorer


@pytest.fixture(scope="module")
def arm():
    world = planted_world(users=6, items=15, events=60)
    recommender = Recommender(untuned(world, small_recipe()), world, way="compact")
    return Arm("one", Path("one"), "digest", "backbone", recommender, LightRanker(recommender))


@pytest.fixture
def held():
    """A scorer that answers nothing before it is let go."""
    begin = threading.Event()
    scorer = Scorer(queue=3, prepare=begin.wait)
    yield scorer, begin
    begin.set()
    scorer.stop()


def job(arm, *, user="u1", seconds=60.0, **more) -> Job:
    return Job(arm, Ask(user=user, **more), time.perf_counter() + seconds)


def test_what_waits_is_answered_in_order_and_alike(arm, held):
    scorer, begin = held
    jobs = [job(arm, top=2), job(arm, user="u2"), job(arm, items=np.array([3], np.int32))]
    assert all(scorer.submit(one) for one in jobs)
    assert (len(scorer), scorer.submit(job(arm))) == (3, False)
    begin.set()
    taken = {one.future.result(timeout=60).ranking.trace.milliseconds for one in jobs}
    assert len(taken) == 1  # they shared their passes
    for one in jobs:
        alone = arm.recommender.answer(one.ask).items
        found = one.future.result(timeout=60).ranking.items
        assert [item.item for item in found] == [item.item for item in alone]
        assert [item.score for item in found] == pytest.approx([item.score for item in alone], abs=1e-5)


def test_who_gave_up_is_skipped(arm, held):
    scorer, begin = held
    assert scorer.ask(job(arm, seconds=0.01)) == (None, "deadline")
    waiting = job(arm)
    assert scorer.submit(waiting)
    begin.set()
    assert waiting.future.result(timeout=60).ranking.items


def test_a_full_queue_and_a_stopped_scorer_say_so(arm, held):
    scorer, begin = held
    for _ in range(3):
        scorer.submit(job(arm))
    assert scorer.ask(job(arm)) == (None, "overload")
    begin.set()
    scorer.stop()
    assert scorer.ask(job(arm)) == (None, "failure")
    assert not scorer.alive


def test_the_mistake_of_a_question_is_told_to_whoever_asked(arm, held):
    scorer, begin = held
    begin.set()
    with pytest.raises(IndexError):
        scorer.ask(job(arm, items=np.array([99], np.int32)))
    assert scorer.ask(job(arm))[1] == ""


def test_nobody_pays_for_the_mistake_of_another(arm, held):
    scorer, begin = held
    wrong, right = job(arm, items=np.array([99], np.int32)), job(arm, user="u2")
    assert scorer.submit(wrong)
    assert scorer.submit(right)
    begin.set()
    assert right.future.result(timeout=60).ranking.items
    with pytest.raises(IndexError):
        wrong.future.result(timeout=60)


def test_a_short_deadline_shares_with_fewer(arm):
    begin = threading.Event()
    scorer = Scorer(queue=9, prepare=begin.wait)
    scorer._seconds = 10.0  # as if answers took that long
    jobs = [job(arm, seconds=25.0 + 60 * number, user=f"u{number}") for number in range(3)]
    assert all(map(scorer.submit, jobs))
    begin.set()
    taken = [one.future.result(timeout=60).ranking.trace.milliseconds for one in jobs]
    scorer.stop()
    assert taken[0] == taken[1] != taken[2]
