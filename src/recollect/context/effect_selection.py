"""Choosing a set of demonstrations: gradients propose, exact losses decide.

What it is: the trial of one pool (`SetTrial`), which weighs whole sets exactly, many in one batched pass, and looks at
all candidates at once by one gradient; and the search on top of it (`improve`, `select`). The searches to compare with
(most recent, random, best single values) keep the same budget.

It decides what a move is: one demonstration in while there is room, one exchanged for the worst member where there is
none, or the worst member out. Candidates for it are the best by effect at soft gates (members 1, the others
`soft_gate`), divided by tokens to the power `cost_exponent`, brought to unit scale, minus `redundancy` times the
largest overlap with a member. A move counts if it lowers the exact support loss by the margin and keeps predictions
within the trust region. Below `fewest` members the best trusted addition that fits is taken even if it does not help,
and the guards judge the result. Of several events with the same item the latest alone is a candidate. Source: spec
`lrgd`, sections 4 and 6; it departs in that an addition, an exchange and a removal are one search, so that both stages
share it, and in the margin, which has no standard error in it unless `caution` asks for one. Sets are shown in time
order, which is what models are tuned on, not in that of effects.

Dimension letters: N candidates, K members, Q support queries, S sets, A answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recollect.context.effects import DemonstrationMeasure, EffectSettings, Pool, losses, score

Kind = Literal["optimised", "recent", "none"]
Columns = tuple[int, ...]
"""A set, as columns of the pool, ascending."""

_ROUNDS: Final = 4  # moves of a full selection beyond one addition per member


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """Hold the demonstrations of a moment and how they were chosen.

    Parameters
    ----------
    places : Int64[K]
        Where in the timeline they stand, oldest first.
    effects : Float64[K]
        Effect of each on the support in nats, positive where it helps; 0 where nothing was measured.
    loss : float or None
        Loss of the support with the set in nats; None where nothing was measured.
    loss_without : float or None
        The same without any demonstration.
    kind : str
        ``"optimised"``, or what was fallen back to: ``"recent"`` or ``"none"``.
    note : str
        How it came about, for a person.
    """

    places: Int64[np.ndarray, " K"]
    effects: Float64[np.ndarray, " K"]
    loss: float | None
    loss_without: float | None
    kind: Kind
    note: str


@dataclass(frozen=True, eq=False, slots=True)
class WeighedSet:
    """Hold what a set does to the support.

    Parameters
    ----------
    columns : tuple of int
        The set, as columns of the pool.
    losses : Float64[Q]
        Loss of each query in nats.
    loss : float
        Their weighted mean.
    drift : float
        How far predictions move from those without demonstrations: mean Kullback-Leibler divergence in nats.
    """

    columns: Columns
    losses: Float64[np.ndarray, " Q"]
    loss: float
    drift: float


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """Hold the effects of all N candidates beside a set, and how alike they are."""

    effects: Float64[np.ndarray, " N"]
    overlap: Float64[np.ndarray, "N N"]


class SetTrial:
    """Weigh sets of one pool; what was weighed once is remembered.

    Parameters
    ----------
    measure : DemonstrationMeasure
        Asks the model.
    pool : Pool
        Candidates and support.
    settings : EffectSettings
        Budget in tokens, gates, margin and trust.
    count : int
        Most members of a set.

    Attributes
    ----------
    tokens : Int64[N]
        Cost of each candidate.
    candidates : Bool[N]
        Which may be members: alone within the budget, and not followed by another event with the same item.
    copies : int
        How many events are no candidates because their item comes again.
    """

    def __init__(self, measure: DemonstrationMeasure, pool: Pool, settings: EffectSettings, count: int) -> None:
        self.measure = measure
        self.pool = pool
        self.settings = settings
        self.count = count
        self.tokens = measure.tokens(pool)
        copied = _is_earlier_copy(pool)
        self.copies = int(copied.sum())
        self.candidates: Bool[np.ndarray, " N"] = ~copied & (self.tokens <= (settings.tokens or np.inf))
        self._weighed: dict[Columns, WeighedSet] = {}
        self._looks: dict[Columns, Look] = {}
        self._without: Float64[np.ndarray, "Q A"] | None = None

    def fits(self, columns: Columns) -> bool:
        """Tell whether a set keeps count and token budget."""
        cost = int(self.tokens[list(columns)].sum())
        return len(columns) <= self.count and (self.settings.tokens == 0 or cost <= self.settings.tokens)

    def weigh(self, sets: Iterable[Columns]) -> list[WeighedSet]:
        """Return the exact losses of sets, computed in one batched pass."""
        wanted = list(sets)
        fresh = [one for one in dict.fromkeys(wanted) if one not in self._weighed]
        if fresh and self._without is None:
            fresh = [(), *(one for one in fresh if one)]
        if fresh:
            gates = np.zeros((len(fresh), len(self.pool)))
            for row, one in enumerate(fresh):
                gates[row, list(one)] = 1.0
            self._remember(fresh, self.measure.predictions(self.pool, gates))
        return [self._weighed[one] for one in wanted]

    def _remember(self, sets: Sequence[Columns], predictions: Float64[np.ndarray, "S Q A"]) -> None:
        without = self._without if self._without is not None else predictions[0]
        self._without = without
        drift = (np.exp(predictions) * (predictions - without)).sum(axis=2) @ self.pool.weights
        each = losses(self.pool, predictions)
        for row, one in enumerate(sets):
            loss = float(each[row] @ self.pool.weights)
            self._weighed[one] = WeighedSet(one, each[row], loss, float(drift[row]))

    def look(self, columns: Columns) -> Look:
        """Return the effects of all candidates at soft gates: members 1, the others `soft_gate`."""
        if columns not in self._looks:
            gates = np.full(len(self.pool), self.settings.soft_gate)
            gates[list(columns)] = 1.0
            measured = self.measure.effects(self.pool, gates)
            self._looks[columns] = Look(score(self.pool, measured.effect).mean, measured.overlap)
        return self._looks[columns]

    def is_trusted(self, one: WeighedSet) -> bool:
        """Tell whether predictions stay near enough to those without demonstrations."""
        return one.drift <= self.settings.trust

    def is_better(self, new: WeighedSet, old: WeighedSet) -> bool:
        """Tell whether a set lowers the loss by the margin and stays within the trust region."""
        gain, error = paired_gain(self.pool, old.losses, new.losses)
        needed = self.settings.margin + (self.settings.caution * error if self.settings.caution else 0.0)
        return (new.drift <= old.drift or self.is_trusted(new)) and gain > needed


def paired_gain(pool: Pool, old: Float64[np.ndarray, " Q"], new: Float64[np.ndarray, " Q"]) -> tuple[float, float]:
    """Return by how many nats losses fall, as weighted mean over the support, and its standard error.

    The error is infinite below two queries.
    """
    difference = old - new
    gain = float(difference @ pool.weights)
    error = float(np.sqrt((pool.weights**2) @ (difference - gain) ** 2))
    return gain, error if len(difference) > 1 else np.inf


def select(trial: SetTrial) -> WeighedSet:
    """Search for the best set from nothing: stage 1."""
    current = trial.weigh([()])[0]
    for _ in range(trial.count + _ROUNDS):
        moved = improve(trial, current, shortlist=trial.settings.shortlist)
        if moved is current:
            break
        current = moved
    return current


def improve(trial: SetTrial, current: WeighedSet, *, shortlist: int) -> WeighedSet:
    """Take the best move from a set, or return the set itself where no move counts.

    Parameters
    ----------
    trial : SetTrial
        Weighs and looks.
    current : WeighedSet
        The set to improve.
    shortlist : int
        How many candidates are checked exactly.
    """
    additions = _additions(trial, current.columns, shortlist)
    removals = _removals(trial, current.columns)
    if not additions and not removals:
        return current
    weighed = trial.weigh([*additions, *removals])
    if len(current.columns) < trial.settings.fewest:
        grown = [one for one in weighed if len(one.columns) > len(current.columns) and trial.is_trusted(one)]
        if grown:
            return min(grown, key=_loss)
    return min((one for one in weighed if trial.is_better(one, current)), key=_loss, default=current)


def _loss(one: WeighedSet) -> float:
    return one.loss


def _additions(trial: SetTrial, columns: Columns, shortlist: int) -> list[Columns]:
    """List the sets with one of the best candidates added, or exchanged for the worst member where it does not fit."""
    values = _values(trial, columns)
    kept = _without(columns, _worst(trial, columns)) if columns else columns
    found: list[Columns] = []
    for column in np.argsort(-values, kind="stable").tolist():
        if len(found) == shortlist or values[column] == -np.inf:
            break
        added = tuple(sorted((*columns, column)))
        exchanged = tuple(sorted((*kept, column)))
        found += [one for one in (added, exchanged) if trial.fits(one)][:1]
    return found


def _removals(trial: SetTrial, columns: Columns) -> list[Columns]:
    """List the set without its worst member, unless it would be too small."""
    if len(columns) <= trial.settings.fewest:
        return []
    return [_without(columns, _worst(trial, columns))]


def _values(trial: SetTrial, columns: Columns) -> Float64[np.ndarray, " N"]:
    """Rank the candidates that are no members: effect by cost, on a unit scale, less what members already say."""
    look = trial.look(columns)
    eligible = trial.candidates & trial.pool.visible.any(axis=0)
    eligible[list(columns)] = False
    values = look.effects / np.maximum(trial.tokens, 1) ** trial.settings.cost_exponent
    scale = np.abs(values[eligible]).max(initial=0.0)
    values = values / (scale or 1.0)
    if columns:
        values = values - trial.settings.redundancy * np.abs(look.overlap[:, list(columns)]).max(axis=1)
    return np.where(eligible, values, -np.inf)


def _worst(trial: SetTrial, columns: Columns) -> int:
    """Return the member with the lowest effect."""
    effects = trial.look(columns).effects
    return min(columns, key=lambda column: (effects[column], column))


def _without(columns: Columns, column: int) -> Columns:
    return tuple(one for one in columns if one != column)


def latest(trial: SetTrial) -> Columns:
    """Return the most recent candidates within the budget."""
    return _within_budget(trial, np.arange(len(trial.pool))[::-1])


def drawn(trial: SetTrial, random: np.random.Generator) -> Columns:
    """Return random candidates within the budget."""
    return _within_budget(trial, random.permutation(len(trial.pool)))


def highest(trial: SetTrial, values: Float64[np.ndarray, " N"]) -> Columns:
    """Return the candidates with the highest values within the budget, such as single effects or nearness."""
    return _within_budget(trial, np.argsort(-values, kind="stable"))


def _within_budget(trial: SetTrial, order: Int64[np.ndarray, " N"]) -> Columns:
    chosen: Columns = ()
    for column in order[trial.candidates[order]].tolist():
        grown = tuple(sorted((*chosen, column)))
        chosen = grown if trial.fits(grown) else chosen
    return chosen


def _is_earlier_copy(pool: Pool) -> Bool[np.ndarray, " N"]:
    """Tell which candidates are followed by another one with the same item."""
    items = pool.line.items[pool.demonstrations]
    _, last = np.unique(items[::-1], return_index=True)
    copied = np.ones(len(items), np.bool_)
    copied[len(items) - 1 - last] = False
    return copied
