"""Behaviour where preferences are planted: effects rank as leaving out does, sets beat plain ones, stages follow taste.

Source: spec `lrgd`, sections 8 (test 10) and 9, toys A and B, with fewer persons.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from planted import ITEMS, Person, PlantedMeasure, draw_person, load_decoder, measures

from recollect.context.effect_selection import SetTrial, drawn, highest, latest, select
from recollect.context.effect_stages import Optimiser
from recollect.context.effects import EffectSettings, losses, score

PERSONS = 10
CANDIDATES, SUPPORT, LATER = np.arange(24), np.arange(24, 32), np.arange(32, 48)
FOREIGN = 11
SIZE = 5
SETTINGS = EffectSettings(margin=0.0)

MEASURE_OF = measures(load_decoder())


@dataclass(frozen=True, eq=False)
class Case:
    """Hold a person whose pool is in part another's, measured."""

    person: Person
    measure: PlantedMeasure
    trial: SetTrial
    seed: int

    def later_loss(self, columns: tuple[int, ...]) -> float:
        """Return the mean loss of later questions that see a set."""
        pool = self.person.asked(LATER, CANDIDATES)
        gates = np.isin(CANDIDATES, columns).astype(np.float64)
        return float(losses(pool, self.measure.predictions(pool, gates[None])).mean())


def mixed_case(seed: int) -> Case:
    """Draw a person, and put another one's events in place of 11 of the 24 candidates."""
    own, other = (draw_person(number, events=48, foreign=0.0) for number in (seed, 1_000 + seed))
    foreign = np.zeros(48, np.bool_)
    foreign[np.random.default_rng(seed).permutation(24)[:FOREIGN]] = True
    questions = np.where(foreign[:, None], other.questions, own.questions)
    person = replace(own, questions=questions, answers=np.where(foreign, other.answers, own.answers), foreign=foreign)
    measure = MEASURE_OF(person)
    return Case(person, measure, SetTrial(measure, person.asked(SUPPORT, CANDIDATES), SETTINGS, SIZE), seed)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [mixed_case(seed) for seed in range(PERSONS)]


def test_the_decoder_answers_from_demonstrations_alone(cases):
    without = np.mean([case.later_loss(()) for case in cases])
    own = np.mean([case.later_loss(tuple(np.flatnonzero(~case.person.foreign[:24]))) for case in cases])
    assert without == pytest.approx(np.log(ITEMS), abs=0.1)
    assert own < without - 1


def test_effects_rank_as_leaving_out_does(cases):
    found = [_rank_correlation(_effects(case), _left_out(case)) for case in cases]
    assert np.mean(found) >= 0.9


def test_effects_tell_the_other_persons_events(cases):
    effects = np.concatenate([_effects(case) for case in cases])
    foreign = np.concatenate([case.person.foreign[:24] for case in cases])
    above = effects[~foreign][:, None] > effects[foreign]
    assert above.mean() >= 0.75  # the area under the curve


def test_measured_sets_beat_plain_ones_of_a_mixed_pool(cases):
    chosen = np.array([case.later_loss(select(case.trial).columns) for case in cases])
    plain = {
        "random": [drawn(case.trial, np.random.default_rng(case.seed)) for case in cases],
        "recent": [latest(case.trial) for case in cases],
        "nearest": [highest(case.trial, _nearness(case)) for case in cases],
        "highest effects": [highest(case.trial, _effects(case)) for case in cases],
    }
    for name, sets in plain.items():
        lead = np.array([case.later_loss(one) for case, one in zip(cases, sets, strict=True)]) - chosen
        assert lead.mean() > lead.std(ddof=1) / np.sqrt(PERSONS), name


@pytest.fixture(scope="module")
def leads() -> dict[str, list[float]]:
    """By how much each person's own events from a change of taste on are answered better than with other sets."""
    against: dict[str, list[float]] = {"recent": [], "none": []}
    for seed in range(8):
        person = draw_person(seed, events=48, foreign=0.15, change=24)
        measure = MEASURE_OF(person)
        kept = Optimiser(measure, EffectSettings(), 8, gather=person.gather)
        each: list[np.ndarray] = []
        for known in np.flatnonzero(~person.foreign[24:]) + 24:
            pool = person.asked(np.array([known]), np.arange(known))
            sets = (kept.chosen(person.line, int(known)).places, np.arange(known - 8, known), [])
            gates = np.array([np.isin(np.arange(known), one) for one in sets], np.float64)
            each.append(losses(pool, measure.predictions(pool, gates))[:, 0])
        chosen, recent, none = np.mean(each, axis=0)
        against["recent"].append(recent - chosen)
        against["none"].append(none - chosen)
    return against


@pytest.mark.parametrize("other", ["none", "recent"])
def test_stages_are_not_worse_after_a_change_of_taste(leads, other):
    lead = leads[other]
    assert np.mean(lead) >= -np.std(lead, ddof=1) / np.sqrt(len(lead))


def _effects(case: Case) -> np.ndarray:
    pool = case.trial.pool
    return score(pool, case.measure.effects(pool, np.ones(len(pool))).effect).mean


def _left_out(case: Case) -> np.ndarray:
    """Return by how much the support loss rises where each candidate alone is left out."""
    pool = case.trial.pool
    sets = np.concatenate([np.ones((1, len(pool))), 1 - np.eye(len(pool))])
    loss = losses(pool, case.measure.predictions(pool, sets)) @ pool.weights
    return loss[1:] - loss[0]


def _nearness(case: Case) -> np.ndarray:
    """Count the items that each candidate's question shares with those of the support."""
    questions = case.person.questions
    return np.array([np.isin(questions[SUPPORT], questions[place]).sum() for place in CANDIDATES], np.float64)


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    ranks = [values.argsort().argsort() for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
