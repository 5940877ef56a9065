"""Nearness and effect together: which candidates are shown, and what is shown when nothing can be measured."""

import numpy as np
import pytest

from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.effect_choice import RerankedChoice
from recollect.context.effects import Effects, EffectSettings, Pool
from recollect.context.evidence import Timeline
from recollect.context.retrieval import Neighbours

DIRECTIONS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0.6, 0.8], [1, 0]], np.float32)
NEIGHBOURS = Neighbours(DIRECTIONS)


class Told:
    """A measure whose effects are given: the item's number times a factor, the same for every query."""

    def __init__(self, factor: float):
        self.factor = factor
        self.asked = 0

    def tokens(self, pool: Pool):
        return np.full(len(pool), 7, np.int64)

    def predictions(self, pool: Pool, gates):
        return np.full((len(gates), len(pool.support), 2), np.log(0.5))

    def effects(self, pool: Pool, gates) -> Effects:  # noqa: ARG002 - nothing depends on gates here
        self.asked += 1
        effect = self.factor * pool.line.items[pool.demonstrations].astype(float) * pool.visible
        zeros = np.zeros(effect.shape)
        return Effects(np.full(len(effect), 0.7), effect, zeros, np.eye(len(pool)))


def line_of(*items: int) -> Timeline:
    count = len(items)
    return Timeline(
        user=3,
        rows=np.arange(count),
        items=np.array(items, np.int32),
        labels=np.arange(count) % 2 == 0,
        values=np.ones(count, np.float32),
        times=np.arange(count, dtype=np.int64),
        features=np.zeros((count, 4), np.float32),
        visible=np.arange(count, dtype=np.int32),
    )


def chosen(factor: float, *items: int, count: int = 2, target: int = 0) -> list[int]:
    choice = RerankedChoice(
        Told(factor), DemonstrationSettings(count=count, choice="rerank"), EffectSettings(), NEIGHBOURS
    )
    line = line_of(*items)
    return choice.pick(line, len(line), np.array([target], np.int32)).places.tolist()


def test_without_effects_the_nearest_are_shown_the_later_first():
    assert chosen(0.0, 2, 1, 3, 5, 4) == [1, 3]
    assert chosen(0.0, 1, 2, 5, 3, 5, count=1) == [4]  # of one item the latest event


def test_copies_never_fill_the_count():
    assert chosen(0.0, 5, 5, 5, 1, count=4) == [2, 3]


@pytest.mark.parametrize(("tokens", "expected"), [(0, [1, 3]), (14, [1, 3]), (13, [3]), (6, [])])
def test_the_budget_in_tokens_holds(tokens, expected):
    settings = DemonstrationSettings(count=2, choice="rerank")
    choice = RerankedChoice(Told(0.0), settings, EffectSettings(tokens=tokens), NEIGHBOURS)
    picked = choice.pick(line_of(2, 1, 3, 5, 4), 5, np.array([0], np.int32))
    assert picked.places.tolist() == expected
    assert ("the budget holds none" in picked.note) == (not expected)


@pytest.mark.parametrize(("weight", "expected"), [(0.0, [1, 3]), (50.0, [2, 3])])  # nobody was asked after place 4
def test_effects_weigh_as_much_as_the_settings_say(weight, expected):
    settings = EffectSettings(beside_nearness=weight)
    choice = RerankedChoice(Told(1.0), DemonstrationSettings(count=2, choice="rerank"), settings, NEIGHBOURS)
    line = line_of(2, 1, 3, 5, 4)
    assert choice.pick(line, 5, np.array([0], np.int32)).places.tolist() == expected


def test_a_moment_is_measured_once_for_all_its_items():
    measure = Told(1.0)
    choice = RerankedChoice(measure, DemonstrationSettings(count=2, choice="rerank"), EffectSettings(), NEIGHBOURS)
    line = line_of(2, 1, 3, 5, 4)
    for target in range(4):
        choice.pick(line, 5, np.array([target], np.int32))
    choice.pick(line, 4, np.array([0], np.int32))
    assert measure.asked == 2


def test_too_few_events_are_shown_by_nearness_and_the_note_says_why():
    choice = RerankedChoice(Told(1.0), DemonstrationSettings(count=2, choice="rerank"), EffectSettings(), NEIGHBOURS)
    picked = choice.pick(line_of(2), 1, np.array([2], np.int32))
    assert picked.places.tolist() == [0]
    assert picked.note.startswith("nearest: too few solved events")
