"""Choosing demonstrations by measured effect, as the parts that a prompt asks: the optimised set, and the reranking.

What it is: two ways to turn measurements into demonstrations (`recollect.context.demonstrations.MeasuredChoice`).
`OptimisedChoice` shows the set that LRGD's two stages keep for a person. `RerankedChoice` adds the effect of each
candidate, on its own scale, to its nearness to the item asked: the safe way where few answers are known. It decides
that a person of whom too little is known, or a model that cannot measure, gets the nearest events, and that the note
says so. Source: spec `lrgd`, sections 5 and 6.

Dimension letters: N candidates, C targets.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from recollect.context.demonstrations import DemonstrationSettings, Picked, choose_demonstrations
from recollect.context.effect_stages import Optimiser
from recollect.context.effects import DemonstrationMeasure, EffectSettings, Pool, Score, make_pool, score
from recollect.context.evidence import Timeline
from recollect.context.retrieval import Neighbours
from recollect.errors import ModelError, UsageError

_KEPT: Final = 256  # moments whose effects are remembered: those of the candidates of one query, and of its neighbours


class OptimisedChoice:
    """Show the set that the two stages keep; satisfies `recollect.context.demonstrations.MeasuredChoice`.

    Parameters
    ----------
    optimiser : Optimiser
        Keeps it.
    """

    def __init__(self, optimiser: Optimiser) -> None:
        self.optimiser = optimiser

    def pick(self, line: Timeline, known: int, targets: Int32[np.ndarray, " C"]) -> Picked:  # noqa: ARG002
        """Return the set of a moment, whatever is asked."""
        chosen = self.optimiser.chosen(line, known)
        return Picked(chosen.places, chosen.note)


class UnmeasuredChoice:
    """Show what measured choices fall back to, and say why; satisfies the same protocol.

    Parameters
    ----------
    settings : DemonstrationSettings
        How many are shown; the nearest where they would be reranked, else the most recent.
    neighbours : Neighbours
        Measures nearness.
    reason : str
        Why nothing is measured.
    """

    def __init__(self, settings: DemonstrationSettings, neighbours: Neighbours, *, reason: str) -> None:
        self.settings = settings
        self.neighbours = neighbours
        self.reason = reason

    def pick(self, line: Timeline, known: int, targets: Int32[np.ndarray, " C"]) -> Picked:
        """Return the most recent or the nearest events."""
        places = choose_demonstrations(line, known, self.settings, neighbours=self.neighbours, targets=targets)
        return Picked(places, f"{'nearest' if self.settings.choice == 'rerank' else 'most recent'}: {self.reason}")


class RerankedChoice:
    """Show what is near to the item asked and has helped; satisfies the same protocol.

    Parameters
    ----------
    measure : DemonstrationMeasure
        Asks the model.
    settings : DemonstrationSettings
        How many are shown.
    effects : EffectSettings
        What is measured, and the weight of the effect.
    neighbours : Neighbours
        Measures nearness.
    """

    def __init__(
        self,
        measure: DemonstrationMeasure,
        settings: DemonstrationSettings,
        effects: EffectSettings,
        neighbours: Neighbours,
    ) -> None:
        self.measure = measure
        self.settings = settings
        self.effects = effects
        self.neighbours = neighbours
        self._measured: OrderedDict[tuple[int, int, bytes], tuple[Pool, Score]] = OrderedDict()

    def pick(self, line: Timeline, known: int, targets: Int32[np.ndarray, " C"]) -> Picked:
        """Return the candidates with the highest sum of standardised nearness and effect, oldest first."""
        try:
            pool, told = self._measure(line, known)
        except (UsageError, ModelError) as error:
            return UnmeasuredChoice(self.settings, self.neighbours, reason=error.what).pick(line, known, targets)
        near = self.neighbours.closeness(line.items[pool.demonstrations], targets)
        effect = _standardised(told.mean, among=told.seen > 0)
        total = _standardised(near, among=np.isfinite(near)) + self.effects.beside_nearness * effect
        total[_earlier_copies(line.items[pool.demonstrations])] = -np.inf
        order = np.argsort(total, kind="stable")[::-1]  # of equal sums the later event comes first
        chosen = self._within_budget(pool, order[np.isfinite(total[order])].tolist())
        note = f"nearness and effect, of {len(pool)}" if chosen else "no demonstrations: the budget holds none"
        return Picked(np.sort(pool.demonstrations[chosen]), note)

    def _within_budget(self, pool: Pool, order: list[int]) -> list[int]:
        """Take candidates in an order, as many as there may be and as far as their tokens reach."""
        left = self.effects.tokens
        if not left:
            return order[: self.settings.count]
        tokens, chosen = self.measure.tokens(pool), list[int]()
        for column in order:
            if tokens[column] <= left and len(chosen) < self.settings.count:
                chosen.append(column)
                left -= int(tokens[column])
        return chosen

    def _measure(self, line: Timeline, known: int) -> tuple[Pool, Score]:
        """Measure a moment once, however many items are asked."""
        key = (line.user, known, line.items[:known].tobytes() + line.labels[:known].tobytes())
        if key not in self._measured:
            pool = make_pool(line, known, self.effects)
            measured = self.measure.effects(pool, np.ones(len(pool)))
            self._measured[key] = pool, score(pool, measured.effect)
            if len(self._measured) > _KEPT:
                self._measured.popitem(last=False)
        return self._measured[key]


def _standardised(values: Float64[np.ndarray, " N"], *, among: Bool[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Bring some values to mean 0 and spread 1, equal ones to 0; the others, of which nothing is known, are 0."""
    known = values[among]
    spread = known.std() if len(known) else 0.0
    result = np.zeros_like(values)
    if spread > 0:
        result[among] = (known - known.mean()) / spread
    return result


def _earlier_copies(items: Int32[np.ndarray, " N"]) -> Int64[np.ndarray, " M"]:
    """Return the places of events whose item comes again later."""
    _, last = np.unique(items[::-1], return_index=True)
    return np.setdiff1d(np.arange(len(items)), len(items) - 1 - last)
