"""Calibration: from scores to probabilities, by one slope and one shift.

It decides that scores keep their order: the slope is above zero, so AUC never moves. *Temperature* fits the slope
alone, *Platt* slope and shift, both by the log loss of rows that tuning did not learn from.
Source: Platt (1999); Guo et al. (2017), section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import numpy as np
from jaxtyping import Bool, Float64
from scipy import optimize
from scipy.special import expit

_FLATTEST = -7.0  # log of the least slope


@dataclass(frozen=True, slots=True)
class Calibration:
    """Turn a score z, a difference of log-probabilities, into a probability: sigmoid(scale * z + shift)."""

    scale: float = 1.0
    shift: float = 0.0

    def probability(self, score: Float64[np.ndarray, " R"]) -> Float64[np.ndarray, " R"]:
        """Return the probability of a like for each score.

        Examples
        --------
        >>> Calibration().probability(np.array([0.0])).tolist()
        [0.5]
        """
        return expit(self.scale * score + self.shift)


AS_SCORED: Final = Calibration()
"""Scores as they are."""


def fit_calibration(
    score: Float64[np.ndarray, " R"], label: Bool[np.ndarray, " R"], *, kind: Literal["none", "temperature", "platt"]
) -> Calibration:
    """Fit slope (and shift) by log loss; without both labels among the rows there is nothing to fit.

    Parameters
    ----------
    score
        Differences of log-probabilities of rows that were not learned from.
    label
        Whether each was a like.
    kind
        What is fitted.
    """
    if kind == "none" or label.all() or not label.any():
        return AS_SCORED
    sign = np.where(label, 1.0, -1.0)

    def loss(values: Float64[np.ndarray, " P"]) -> float:
        shift = values[1] if kind == "platt" else 0.0
        return float(np.logaddexp(0, -sign * (np.exp(values[0]) * score + shift)).mean())

    bounds = [(_FLATTEST, 7.0), (None, None)][: 2 if kind == "platt" else 1]
    search = cast(Callable[..., Any], optimize.minimize)
    found: list[float] = search(loss, np.zeros(len(bounds)), bounds=bounds).x.tolist()
    return Calibration(math.exp(found[0]), found[1] if kind == "platt" else 0.0)
