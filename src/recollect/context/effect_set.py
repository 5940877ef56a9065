"""What all candidates of a pool do together: losses with and without them, and how far they move a model.

What it is: the part of a demonstration report that is about the whole set, with its warnings. It decides what a reader
is warned of: few support queries, a set that hurts, parts that miss the whole, and the signs of collapse
(`recollect.context.effect_monitors`). Source: spec `lrgd`, sections 4 and 10. Dimension letters as in
`recollect.context.effects`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from recollect.context.effect_monitors import monitor
from recollect.context.effect_readings import STRENGTHS, Readings
from recollect.context.effect_selection import paired_gain
from recollect.context.effects import Pool, losses

NOISE: Final = 1e-3
"""Effects below this, in nats, are none: the noise of logits in half precision."""

_FEW: Final = 10  # support queries
_MISSED: Final = 0.05  # of the effect of the set
_FLAT: Final = 0.005  # nats: around its optimum the strength hardly matters


@dataclass(frozen=True, slots=True)
class SetLine:
    """Say what all candidates do together; losses and effects in nats, means over the queries by their weights.

    Parameters
    ----------
    demonstrations, queries, tokens : int
        Number of candidates, of support queries, and of tokens that all candidates cost.
    zero_shot, in_context : float
        Loss without and with them.
    effect, relative : float
        What they bring, and as a share of the loss without them.
    error : float or None
        Standard error of the effect, which takes two queries.
    hit_rate, ndcg : tuple of two floats
        Without and with them: how often the true answer is the likeliest, and the NDCG of its rank.
    divergence : float
        How far predictions move: KL(with ‖ without).
    moved : float
        Share of the attention that goes to them: how far the heads move.
    copied : float
        Share of the answers that are those of the demonstration attended to most.
    entropy : float
        Of the predictions with them.
    directions : float
        In how many directions they push the heads: the effective rank of their overlaps.
    copies : int
        How many of them repeat an item.
    strength : float
        Of the gates 0.3, 1 and 3 on all of them, the one of least loss.
    path_gap : float
        By how much the candidates' parts miss the effect, as a share of it.
    """

    demonstrations: int
    queries: int
    tokens: int
    zero_shot: float
    in_context: float
    effect: float
    error: float | None
    relative: float
    hit_rate: tuple[float, float]
    ndcg: tuple[float, float]
    divergence: float
    moved: float
    copied: float
    entropy: float
    directions: float
    copies: int
    strength: float
    path_gap: float


def describe_set(pool: Pool, readings: Readings, *, tokens: int) -> tuple[SetLine, tuple[str, ...]]:
    """Sum readings up over all candidates, and say what a reader must know first.

    Parameters
    ----------
    pool : Pool
        Candidates and support queries.
    readings : Readings
        What the model said.
    tokens : int
        What all candidates cost.
    """
    weights = pool.weights
    both = np.stack([readings.without, readings.with_all])
    before, after = losses(pool, both)
    effect, error = paired_gain(pool, before, after)
    by_strength = losses(pool, readings.sets[1:])
    strongest = int((by_strength @ weights).argmin())
    stronger = paired_gain(pool, after, by_strength[strongest])
    signs = monitor(pool, readings.effects, readings.with_all)
    missed = abs(float((weights @ readings.path).sum()) - effect)
    whole = SetLine(
        demonstrations=len(pool),
        queries=len(weights),
        tokens=tokens,
        zero_shot=float(weights @ before),
        in_context=float(weights @ after),
        effect=effect,
        error=error if np.isfinite(error) else None,
        relative=effect / max(float(weights @ before), NOISE),
        hit_rate=_pair(np.where(_ranks(pool, both) == 1, 1.0, 0.0), weights),
        ndcg=_pair(1 / np.log2(1 + _ranks(pool, both)), weights),
        divergence=float(weights @ (np.exp(both[1]) * (both[1] - both[0])).sum(axis=1)),
        moved=signs.moved,
        copied=signs.copied,
        entropy=signs.entropy,
        directions=signs.rank,
        copies=signs.copies,
        strength=STRENGTHS[strongest],
        path_gap=missed / max(abs(effect), NOISE),
    )
    return whole, (*_warnings(whole, stronger=stronger), *signs.warnings)


def _ranks(pool: Pool, predictions: Float64[np.ndarray, "S Q A"]) -> Float64[np.ndarray, "S Q"]:
    """Return the rank of each true answer, from 1; of equally likely answers in their middle."""
    true = np.take_along_axis(predictions, pool.labels[None, :, None], axis=2)
    return 0.5 + (predictions > true).sum(axis=2) + 0.5 * (predictions == true).sum(axis=2)


def _pair(values: Float64[np.ndarray, "2 Q"], weights: Float64[np.ndarray, " Q"]) -> tuple[float, float]:
    before, after = (values @ weights).tolist()
    return before, after


def _warnings(whole: SetLine, *, stronger: tuple[float, float]) -> list[str]:
    """Say what a reader must know; `stronger` is what the best strength would gain, and its standard error."""
    gain, error = stronger
    told = {
        f"few support queries ({whole.queries}): read the standard errors": whole.queries < _FEW,
        f"together they hurt: the loss is {-whole.effect:.3f} nats higher with them": whole.effect < -NOISE,
        f"their parts miss the effect of the set by {whole.path_gap:.0%}": whole.path_gap > _MISSED,
        f"a strength of {whole.strength:g} would do better than 1, by {gain:.3f} nats": gain > _FLAT + 2 * error,
    }
    return [text for text, holds in told.items() if holds]
