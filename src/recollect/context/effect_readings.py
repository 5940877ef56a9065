"""What a report asks of a model: effects of all candidates, their parts of the whole, and losses of exact sets.

What it is: every question that a demonstration report puts to a `DemonstrationMeasure`, answered once and kept as
arrays by query. It decides that the path runs from gates of exp(-9), where next to nothing is seen, to gates of 1, by
Gauss-Legendre points on the logarithm; and that exact single and leave-one-out effects are measured on request, since
they cost a pass for each candidate.

Source: spec `lrgd`, section 3.3. Dimension letters as in `recollect.context.effects`; T strengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from recollect.context.effects import DemonstrationMeasure, Effects, Pool, losses

POINTS: Final = 16
"""Points of the path: within about 1 % of the effect of the set, where 8 are within 6 %."""

STRENGTHS: Final = (0.3, 1.0, 3.0)
"""Gates on all candidates, as so many steps of the dual model's descent would weigh them; served with 1 (section 4)."""

_DEPTH: Final = 9.0
_NONE: Final = 0  # the first set shows nothing, those of the strengths follow
_ALL: Final = 1 + STRENGTHS.index(1.0)


@dataclass(frozen=True, eq=False, slots=True)
class Readings:
    """Hold a model's answers about a pool; effects are in nats by query, 0 where a candidate is hidden.

    Parameters
    ----------
    effects : Effects
        All candidates at gates of 1.
    path : Float64[Q, N]
        Each candidate's part of the effect of all of them; a row sums to the query's loss without less that with them.
    sets : Float64[T + 1, Q, A]
        Log-probabilities of the answers: without candidates, then with all of them at each of `STRENGTHS`.
    single, leave_one_out : Float64[Q, N] or None
        What each brings alone, and what is lost when it alone is left out.
    """

    effects: Effects
    path: Float64[np.ndarray, "Q N"]
    sets: Float64[np.ndarray, "S Q A"]
    single: Float64[np.ndarray, "Q N"] | None = None
    leave_one_out: Float64[np.ndarray, "Q N"] | None = None

    @property
    def without(self) -> Float64[np.ndarray, "Q A"]:
        """Log-probabilities without candidates."""
        return self.sets[_NONE]

    @property
    def with_all(self) -> Float64[np.ndarray, "Q A"]:
        """Log-probabilities with all candidates at gates of 1."""
        return self.sets[_ALL]


def take_readings(measure: DemonstrationMeasure, pool: Pool, *, exact: bool = False, points: int = POINTS) -> Readings:
    """Ask a model everything that a report needs.

    Parameters
    ----------
    measure : DemonstrationMeasure
        The model.
    pool : Pool
        Candidates and support queries.
    exact : bool
        Whether to measure single and leave-one-out effects too.
    points : int
        Points of the path, 1 or more.
    """
    size = len(pool)
    everything = np.ones(size)
    chosen = [np.zeros(size), *(strength * everything for strength in STRENGTHS)]
    sets = measure.predictions(pool, np.stack(chosen))
    single, left_out = _exact(measure, pool, sets) if exact else (None, None)
    path = path_effects(measure, pool, points=points)
    return Readings(measure.effects(pool, everything), path, sets, single, left_out)


def path_effects(measure: DemonstrationMeasure, pool: Pool, *, points: int = POINTS) -> Float64[np.ndarray, "Q N"]:
    """Integrate effects along equal gates on all candidates, from next to nothing to 1.

    Parameters
    ----------
    measure, pool : DemonstrationMeasure, Pool
        As for `take_readings`.
    points : int
        Gauss-Legendre points, 1 or more.
    """
    places, weights = np.polynomial.legendre.leggauss(points)
    logs = (places - 1) * _DEPTH / 2
    parts = [measure.effects(pool, np.full(len(pool), gate)).effect for gate in np.exp(logs).tolist()]
    return np.tensordot(weights * _DEPTH / 2, np.stack(parts), axes=1)


def _exact(
    measure: DemonstrationMeasure, pool: Pool, sets: Float64[np.ndarray, "S Q A"]
) -> tuple[Float64[np.ndarray, "Q N"], Float64[np.ndarray, "Q N"]]:
    """Measure the sets of one candidate, and those of all but one."""
    alone = np.eye(len(pool))
    lost = losses(pool, sets)
    shown = losses(pool, measure.predictions(pool, np.concatenate([alone, 1 - alone])))
    return (lost[_NONE] - shown[: len(pool)]).T, (shown[len(pool) :] - lost[_ALL]).T
