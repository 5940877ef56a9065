"""Signs of collapse, and effects that hold whichever other demonstrations stand beside.

What it is: `monitor` sums up how a set acts on the support, and names what is suspicious; `dropout_effects` measures
each candidate over random sub-sets. It decides that a set collapses when it takes nearly all attention (then the model
copies, which is the limit of many steps of the dual model's descent), when every answer is that of the demonstration
attended to most, when predictions are all but certain, or when what the members add to the heads has one direction.
Draws come in pairs, a set and its complement, so that every candidate is in half of them. Source: spec `lrgd`, section
4; the thresholds are ours.

Dimension letters: N candidates, Q support queries, A answers, S draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from recollect.context.effects import DemonstrationMeasure, Effects, Pool, losses
from recollect.errors import UsageError

COPYING: Final = 0.95
"""Share of attention, or of copied answers, from which on a model repeats what it is shown."""

_CERTAIN: Final = 0.05  # of the largest entropy
_ONE_DIRECTION: Final = 1.1  # effective rank


@dataclass(frozen=True, slots=True)
class Monitors:
    """Hold how a set of demonstrations acts on the support.

    Parameters
    ----------
    moved : float
        Share of the attention that goes to demonstrations: how far heads move, between 0 and 1.
    copied : float
        Share of queries whose likeliest answer is that of the demonstration attended to most.
    entropy : float
        Mean entropy of the predictions in nats.
    rank : float
        Directions in which demonstrations push the heads: the exponential of the entropy of the Gram matrix's spectrum.
    copies : int
        Demonstrations whose item is that of another.
    warnings : tuple of str
        What is suspicious, for a person.
    """

    moved: float
    copied: float
    entropy: float
    rank: float
    copies: int
    warnings: tuple[str, ...]


def monitor(
    pool: Pool,
    effects: Effects,
    predictions: Float64[np.ndarray, "Q A"],
    *,
    answers: Int64[np.ndarray, " N"] | None = None,
) -> Monitors:
    """Sum up how the demonstrations of a pool act on its support.

    Parameters
    ----------
    pool : Pool
        The demonstrations are those of the set alone.
    effects : Effects
        Measured with all of them shown.
    predictions : Float64[Q, A]
        Log-probabilities with all of them shown.
    answers : Int64[N], optional
        Answer of each demonstration, as its number among the answers; the labels of its timeline if left out.
    """
    given = pool.line.labels[pool.demonstrations].astype(np.int64) if answers is None else answers
    moved = float(effects.share.sum(axis=1) @ pool.weights)
    same = predictions.argmax(axis=1) == given[effects.share.argmax(axis=1)]
    copied = float(same @ pool.weights)
    entropy = float(-(np.exp(predictions) * predictions).sum(axis=1) @ pool.weights)
    copies = len(pool) - len(np.unique(pool.line.items[pool.demonstrations]))
    seen = pool.visible.any(axis=0)
    rank = effective_rank(effects.overlap[np.ix_(seen, seen)])
    mixed = len(np.unique(given)) > 1  # one and the same answer is right to be repeated
    signs = {
        f"demonstrations take {moved:.0%} of the attention: the model copies": moved > COPYING,
        f"{copied:.0%} of the answers are those of the demonstration attended to most": copied > COPYING
        and mixed
        and moved > 0.5,
        f"predictions are all but certain ({entropy:.3f} nats)": entropy < _CERTAIN * np.log(predictions.shape[1]),
        "all demonstrations push in one direction": int(seen.sum()) > 1 and rank < _ONE_DIRECTION,
        f"{copies} demonstrations repeat an item": copies > 0,
    }
    return Monitors(moved, copied, entropy, rank, copies, tuple(sign for sign, holds in signs.items() if holds))


def effective_rank(overlap: Float64[np.ndarray, "N N"]) -> float:
    """Return how many directions a Gram matrix has: the exponential of the entropy of its normalised spectrum.

    Examples
    --------
    >>> round(effective_rank(np.eye(3)), 6), round(effective_rank(np.ones((3, 3))), 6)
    (3.0, 1.0)
    """
    spectrum = np.clip(np.linalg.eigvalsh(overlap), 0.0, None)
    share = spectrum[spectrum > 0] / spectrum.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


@dataclass(frozen=True, eq=False, slots=True)
class DropoutEffects:
    """Hold effects over random sub-sets of the other candidates.

    Parameters
    ----------
    mean : Float64[N]
        How much lower the support loss is with a candidate than without it, in nats.
    error : Float64[N]
        Standard error over the draws.
    """

    mean: Float64[np.ndarray, " N"]
    error: Float64[np.ndarray, " N"]

    def robust(self, z: float) -> Float64[np.ndarray, " N"]:
        """Return what effects are at least: the mean less `z` standard errors."""
        return self.mean - z * self.error


def dropout_effects(
    measure: DemonstrationMeasure, pool: Pool, *, random: np.random.Generator, pairs: int = 16
) -> DropoutEffects:
    """Measure each candidate by random halves of the pool, in one batched pass.

    Parameters
    ----------
    measure : DemonstrationMeasure
        Asks the model.
    pool : Pool
        Candidates and support.
    random : Generator
        Draws the halves.
    pairs : int
        Number of draws; each comes with its complement. 2 or more.

    Raises
    ------
    UsageError
        If there are fewer than two pairs, which have no standard error.
    """
    if pairs < 2:
        raise UsageError(
            "too few draws for a standard error", got=pairs, expected="2 pairs or more", do="draw more pairs"
        )
    half = random.random((pairs, len(pool))) < 0.5
    gates = np.concatenate([half, ~half]).astype(np.float64)
    loss = losses(pool, measure.predictions(pool, gates)) @ pool.weights
    # in a pair each candidate is in one set and out of the other
    falls = (loss[pairs:] - loss[:pairs])[:, None] * np.where(half, 1.0, -1.0)
    return DropoutEffects(falls.mean(axis=0), falls.std(axis=0, ddof=1) / np.sqrt(pairs))
