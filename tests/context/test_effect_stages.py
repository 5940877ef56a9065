"""The two stages: one answer however it was come by, guards against collapse, and tastes that change."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_head import OneHead, genre_head, line_of

from recollect.context.effect_selection import Chosen
from recollect.context.effect_stages import Optimiser
from recollect.context.effects import Effects, EffectSettings, Pool, losses
from recollect.context.evidence import Timeline
from recollect.errors import ModelError

GENRES = 6
HEAD = genre_head(items=240, genres=GENRES, far=0.1)
SETTINGS = EffectSettings(anew=8)


def listener(seed: int, *, events: int = 40, change: int | None = None) -> Timeline:
    """Draw a person's likes by genre; from a change on, half of the genres turn round."""
    random = np.random.default_rng(seed)
    likes = random.random(GENRES) < 0.5
    later = np.where(random.permutation(GENRES) < 3, ~likes, likes)
    items = random.permutation(240)[:events]
    changed = np.arange(events) >= (events if change is None else change)
    labels = np.where(changed, later[items % GENRES], likes[items % GENRES])
    return line_of(items.tolist(), labels.tolist(), user=seed)


class Counted(OneHead):
    """Count the passes of a measure; a gradient counts as one, since it predicts on its way."""

    passes = 0

    def predictions(self, pool: Pool, gates: np.ndarray) -> np.ndarray:
        Counted.passes += 1
        return super().predictions(pool, gates)


class Deaf(OneHead):
    """Refuse, as models do whose attention takes no gates."""

    def effects(self, pool: Pool, gates: np.ndarray) -> Effects:  # noqa: ARG002
        raise ModelError("attention takes no gates", got=len(pool), expected="a gate", do="take another model")


def same(one: Chosen, other: Chosen) -> bool:
    """Tell whether two answers are the same to the last bit."""
    arrays = np.array_equal(one.places, other.places) and np.array_equal(one.effects, other.effects)
    rest = [(each.loss, each.loss_without, each.kind, each.note) for each in (one, other)]
    return arrays and rest[0] == rest[1]


@settings(max_examples=5)
@given(seed=st.integers(0, 9), order=st.permutations([0, 1, 5, 8, 12, 17]))
def test_the_answer_is_a_function_of_what_is_known(seed, order):
    line = listener(seed, events=17)
    kept = Optimiser(HEAD, SETTINGS, 4)
    for known in order:
        found = kept.chosen(line, known)
        assert same(found, Optimiser(HEAD, SETTINGS, 4).chosen(line.until(known), known))
        assert (found.places < known).all()
        assert (np.diff(found.places) > 0).all()
        assert len(found.places) <= 4


def test_another_past_of_the_same_person_is_another_answer():
    line = listener(0)
    turned = replace(line, labels=~line.labels)
    kept = Optimiser(HEAD, SETTINGS, 4)
    first = kept.chosen(line, 30)
    assert same(kept.chosen(turned, 30), Optimiser(HEAD, SETTINGS, 4).chosen(turned, 30))
    assert same(kept.chosen(line, 30), first)


def test_a_growing_past_costs_one_step_per_event():
    line = line_of([6 * place for place in range(30)], [True] * 30)
    kept = Optimiser(Counted(HEAD.likeness), SETTINGS, 4)
    costs: list[int] = []
    for known in (24, 25, 26, 27, 27):
        Counted.passes = 0
        kept.chosen(line, known)
        costs.append(Counted.passes)
    most = (
        3 + 2 * SETTINGS.moves
    )  # the set carried over, the most recent, a gradient, and a gradient and batch per move
    assert max(costs[1:4]) <= most
    assert costs[4] == 0


@pytest.mark.parametrize(
    ("head", "known", "expected", "note"),
    [
        (HEAD, 0, [], "too few solved events"),
        (HEAD, 1, [0], "too few solved events"),
        (Deaf(HEAD.likeness), 9, [5, 6, 7, 8], "attention takes no gates"),
    ],
    ids=["nothing known", "one event", "a model that cannot"],
)
def test_where_nothing_can_be_measured_the_most_recent_are_shown(head, known, expected, note):
    found = Optimiser(head, SETTINGS, 4).chosen(listener(0), known)
    assert (found.kind, found.places.tolist()) == ("recent", expected)
    assert note in found.note
    assert found.loss is None


@pytest.mark.parametrize(("count", "tokens"), [(0, 0), (4, 9)], ids=["count", "tokens"])
def test_a_budget_below_one_demonstration_shows_none_and_says_so(count, tokens):
    settings = SETTINGS.model_copy(update={"tokens": tokens})
    found = Optimiser(HEAD, settings, count).chosen(listener(0), 20)
    assert (found.kind, len(found.places)) == ("none", 0)
    assert "the budget holds none" in found.note


def test_demonstrations_that_mislead_are_not_shown():
    misled = replace(HEAD, trust=-4.0)
    line = line_of([6 * place for place in range(30)], [True] * 30)
    found = Optimiser(misled, SETTINGS, 4).chosen(line, 30)
    assert (found.kind, len(found.places)) == ("none", 0)
    assert found.loss == found.loss_without == pytest.approx(np.log(2))


def test_a_set_that_loses_to_the_most_recent_is_not_shown():
    narrow = SETTINGS.model_copy(update={"trust": 1e-6})  # no set is ever trusted
    found = Optimiser(HEAD, narrow, 4).chosen(listener(0), 30)
    assert (found.kind, found.places.tolist()) == ("recent", [26, 27, 28, 29])


def test_a_set_is_shown_once_it_has_met_events_that_could_not_change_it():
    line = listener(0)
    found = [Optimiser(HEAD, SETTINGS, 4).chosen(line, known) for known in range(16, 24)]
    assert [one.kind for one in found[:3]] == ["recent"] * 3
    assert "set tried on 2 of 3 events" in found[2].note
    assert "optimised" in {one.kind for one in found[3:]}


def test_sets_prove_themselves_in_the_prompt_that_is_served():
    line, sizes = listener(0), set[tuple[int, ...]]()

    def served(pool: Pool, sets: np.ndarray) -> np.ndarray:
        sizes.add((len(sets), len(pool.support)))
        answers = np.full((2, 1, 2), np.log(0.5))
        true = np.log(0.9), np.log(0.1)  # with the most recent events, and with the set
        for one, value in zip(answers, true, strict=True):
            one[0] = np.log1p(-np.exp(value))
            one[0, pool.labels[0]] = value
        return answers

    kept = Optimiser(HEAD, SETTINGS, 4, served=served)
    found = [kept.chosen(line, known) for known in range(16, 24)]
    assert {one.kind for one in found} == {"recent"}
    assert "set -2.197 nats ahead on 7 events" in found[-1].note
    assert sizes == {(2, 1)}


def test_the_pool_holds_as_many_as_are_shown():
    settings = SETTINGS.model_copy(update={"pool": 4, "trust": 1e-6})
    assert Optimiser(HEAD, settings, 8).chosen(listener(0), 30).places.tolist() == list(range(22, 30))


def test_of_an_item_met_again_the_latest_event_is_kept():
    items = np.random.default_rng(0).integers(0, 18, 29)
    line = line_of(items.tolist(), (items % GENRES < 3).tolist())
    found = Optimiser(HEAD, SETTINGS, 6).chosen(line, 29)
    assert found.kind == "optimised"
    assert len(np.unique(line.items[found.places])) == len(found.places)
    assert "earlier events with the same item left out" in found.note


def test_sets_help_before_a_change_of_taste_and_recover_after_it():
    gains: dict[str, list[float]] = {"before": [], "after": []}
    for seed in range(5):
        line = listener(seed, events=48, change=32)
        kept = Optimiser(HEAD, EffectSettings(), 6)
        for known in range(24, 48):
            chosen = kept.chosen(line, known).places
            shown = _loss(line, known, chosen), _loss(line, known, np.arange(known - 6, known))
            gains["before" if known < 32 else "after"].append(shown[1] - shown[0])
    before, after = (np.array(gains[name]) for name in ("before", "after"))
    assert before.mean() > before.std() / np.sqrt(len(before))
    assert after.mean() > -after.std() / np.sqrt(len(after))


def _loss(line: Timeline, known: int, places: np.ndarray) -> float:
    """Return the loss of the next event with some events shown."""
    asked = Pool(
        line, known, np.arange(known), np.array([known]), np.ones((1, known), np.bool_), np.ones(1),
        line.labels[[known]].astype(np.int64),
    )  # fmt: skip
    gates = np.zeros((1, known))
    gates[0, places] = 1.0
    return float(losses(asked, HEAD.predictions(asked, gates))[0, 0])
