"""Searching for a set: budgets, moves, and against the plain ways to choose, on one head in closed form."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_head import OneHead, genre_head, line_of

from recollect.context.effect_selection import (
    SetTrial,
    drawn,
    highest,
    improve,
    latest,
    paired_gain,
    select,
)
from recollect.context.effects import Effects, EffectSettings, Pool, losses, make_pool, score
from recollect.context.evidence import Timeline

GENRES = 6
HEAD = genre_head(items=240, genres=GENRES, far=0.1)
SETTINGS = EffectSettings(cross_fit="self", margin=0.0)


def household(seed: int, *, events: int = 40, foreign: float = 0.4) -> tuple[Timeline, np.ndarray]:
    """Draw two people's answers in one log: likes by genre; the second array says which are the other one's."""
    random = np.random.default_rng(seed)
    own, other = random.random((2, GENRES)) < 0.5
    items = random.permutation(240)[:events]
    alien = random.random(events) < foreign
    labels = np.where(alien, other[items % GENRES], own[items % GENRES])
    return line_of(items.tolist(), labels.tolist()), alien


def trial_of(line: Timeline, *, head: OneHead = HEAD, count: int = 6, **changed: float) -> SetTrial:
    settings = SETTINGS.model_copy(update=changed)
    return SetTrial(head, make_pool(line, len(line), settings), settings, count)


class Counted:
    """Count what a measure is asked."""

    def __init__(self, measure: OneHead) -> None:
        self.measure = measure
        self.predicted: list[int] = []
        self.looked = 0

    def tokens(self, pool: Pool) -> np.ndarray:
        return self.measure.tokens(pool)

    def predictions(self, pool: Pool, gates: np.ndarray) -> np.ndarray:
        self.predicted.append(len(gates))
        return self.measure.predictions(pool, gates)

    def effects(self, pool: Pool, gates: np.ndarray) -> Effects:
        self.looked += 1
        return self.measure.effects(pool, gates)


@pytest.mark.parametrize(("count", "tokens"), [(1, 0), (4, 12)], ids=["count", "tokens"])
def test_where_a_second_member_has_no_room_no_move_makes_a_set_worse(count, tokens):
    for seed in range(12):
        trial = trial_of(household(seed)[0], count=count, tokens=tokens, fewest=2)
        current = improve(trial, trial.weigh([()])[0], shortlist=6)
        assert len(current.columns) == 1
        for _ in range(6):
            moved = improve(trial, current, shortlist=6)
            assert moved is current or moved.loss < current.loss
            current = moved


@settings(max_examples=20)
@given(seed=st.integers(0, 99), count=st.integers(1, 9), tokens=st.integers(0, 60), fewest=st.integers(1, 3))
def test_a_set_keeps_its_budget_and_never_repeats_an_item(seed, count, tokens, fewest):
    line, _ = household(seed)
    line = replace(line, items=line.items % 20)
    head = replace(HEAD, length=np.random.default_rng(seed).integers(1, 30, 240))
    trial = trial_of(line, head=head, count=count, tokens=tokens, fewest=fewest)
    for columns in (select(trial).columns, latest(trial), drawn(trial, np.random.default_rng(seed))):
        assert len(columns) <= count
        assert tokens == 0 or trial.tokens[list(columns)].sum() <= tokens
        assert list(columns) == sorted(set(columns))
        items = line.items[trial.pool.demonstrations]
        assert all(items[column] not in items[column + 1 :] for column in columns)


@settings(max_examples=10)
@given(seed=st.integers(0, 99))
def test_every_move_lowers_the_loss(seed):
    trial = trial_of(household(seed)[0], fewest=1)
    current = trial.weigh([()])[0]
    while (moved := improve(trial, current, shortlist=6)) is not current:
        assert moved.loss < current.loss or not current.columns  # the first member is owed to `fewest`
        current = moved
    assert current.loss <= select(trial).loss + 1e-12


def test_a_move_costs_one_gradient_and_one_batch():
    line, _ = household(3)
    counted = Counted(HEAD)
    trial = SetTrial(counted, make_pool(line, len(line), SETTINGS), SETTINGS, 6)
    found = select(trial)
    assert counted.looked >= len(found.columns)
    assert len(counted.predicted) <= counted.looked + 1
    assert max(counted.predicted) <= SETTINGS.shortlist + 1
    asked = len(counted.predicted)
    trial.weigh([found.columns, ()])
    assert len(counted.predicted) == asked


def test_losses_are_exact_whatever_was_weighed_before():
    trial = trial_of(household(1)[0])
    select(trial)
    fresh = trial_of(household(1)[0])
    for columns in ((), (1, 4), (2, 3, 9)):
        np.testing.assert_array_equal(trial.weigh([columns])[0].losses, fresh.weigh([columns])[0].losses)
    assert fresh.weigh([()])[0].drift == 0
    assert fresh.weigh([(1, 4)])[0].drift > 0


@pytest.mark.parametrize(("item", "label", "size"), [(54, False, 2), (55, True, 3)], ids=["harmful", "idle"])
def test_a_full_set_loses_what_harms_and_exchanges_what_is_idle(item, label, size):
    items = [6 * place for place in range(20)]
    items[9] = item
    labels = [True] * 9 + [label] + [True] * 10
    trial = trial_of(line_of(items, labels), count=3, fewest=2)
    moved = improve(trial, trial.weigh([(8, 9, 10)])[0], shortlist=4)
    assert 9 not in moved.columns
    assert len(moved.columns) == size


def test_nothing_is_accepted_beyond_the_trust_region_or_below_the_margin():
    line, _ = household(5)
    assert select(trial_of(line, trust=1e-6)).columns == ()
    assert len(select(trial_of(line, margin=10.0, fewest=2)).columns) == 2
    assert len(select(trial_of(line, caution=50.0, fewest=1)).columns) == 1


def test_cost_turns_the_choice_to_the_cheaper_of_two_alike():
    line = line_of([0, 6, 12, 18, 24, 30], [True] * 6)
    length = np.full(240, 40)
    length[18] = 4
    head = replace(HEAD, length=length)
    trial = trial_of(line, head=head, count=1, fewest=1, shortlist=1, cost_exponent=1.0)
    assert select(trial).columns == (3,)


@pytest.mark.parametrize(("redundancy", "kinds"), [(0.0, [0, 0]), (9.0, [0, 1])])
def test_redundancy_turns_the_shortlist_to_another_kind(redundancy, kinds):
    line = line_of([0, 6, 12, 18, 24, 30, 1, 7], [True] * 6 + [True, False])
    trial = trial_of(line, redundancy=redundancy, fewest=2)
    columns = improve(trial, trial.weigh([(0,)])[0], shortlist=1).columns
    assert [line.items[column] % GENRES for column in columns] == kinds


def test_one_answer_tells_nothing_of_its_error():
    pool = make_pool(line_of([0, 6], [True, True]), 2, SETTINGS.model_copy(update={"cross_fit": "past"}))
    assert paired_gain(pool, np.array([1.0]), np.array([0.5])) == (0.5, np.inf)


def test_paired_gain_is_the_weighted_mean_of_differences():
    pool = make_pool(line_of([0, 1, 2], [True] * 3), 3, EffectSettings(cross_fit="self", half_life=1.0))
    gain, error = paired_gain(pool, np.array([1.0, 1.0, 1.0]), np.array([0.3, 1.0, 1.0]))
    assert pool.weights.tolist() == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    assert gain == pytest.approx(0.1)
    assert error == pytest.approx(np.sqrt((0.6 / 7) ** 2 + (0.2 / 7) ** 2 + (0.4 / 7) ** 2))


def later_loss(trial: SetTrial, columns: tuple[int, ...], later: Timeline) -> float:
    """Return the mean loss of later events that see the set."""
    pool = trial.pool
    places = np.arange(len(pool.line), len(later))
    visible = np.ones((len(places), len(pool)), np.bool_)
    weights = np.full(len(places), 1 / len(places))
    asked = Pool(
        later, len(later), pool.demonstrations, places, visible, weights, later.labels[places].astype(np.int64)
    )
    gates = np.zeros((1, len(pool)))
    gates[0, list(columns)] = 1.0
    return float(losses(asked, HEAD.predictions(asked, gates)).mean())


def test_measured_sets_beat_plain_ones_where_two_people_share_a_log():
    ways: dict[str, Callable[[SetTrial, int], tuple[int, ...]]] = {
        "effect": lambda trial, _: select(trial).columns,
        "random": lambda trial, seed: drawn(trial, np.random.default_rng(seed)),
        "recent": lambda trial, _: latest(trial),
        "single": lambda trial, _: highest(trial, score(trial.pool, _effects(trial)).mean),
    }
    found = {name: np.zeros(24) for name in ways}
    for seed in range(24):
        line, _ = household(seed, events=60)
        rest = household(seed, events=60)[0]
        own = np.random.default_rng(seed).random((2, GENRES))[0] < 0.5
        rest.labels[40:] = own[rest.items[40:] % GENRES]  # questions are the person's own
        trial = trial_of(line.until(40))
        for name, way in ways.items():
            found[name][seed] = later_loss(trial, way(trial, seed), rest)
    for name in ("random", "recent", "single"):
        difference = found[name] - found["effect"]
        assert difference.mean() > difference.std() / np.sqrt(len(difference)), name


def _effects(trial: SetTrial) -> np.ndarray:
    return HEAD.effects(trial.pool, np.ones(len(trial.pool))).effect
