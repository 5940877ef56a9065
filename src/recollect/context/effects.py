"""Demonstration effects: what each solved example does to a person's known answers, as values and a protocol.

Reading demonstrations in a prompt as training examples of a dual model, and asking which of them speed its descent, is
the idea of Xu et al., *Decoding Recommendation Behaviors of In-Context Learning LLMs Through Gradient Descent* (arXiv
2504.04386). Their formula is not followed here: the *demonstration effect* is our own definition (spec `lrgd`, section
3). It is the derivative of a support loss by the logarithm of a gate on the demonstration's attention columns, with its
sign turned, so that a positive effect helps.

It decides what is measured on whom: the support is the person's own latest solved events; an event may be a
demonstration and a support query at once, and hidden from itself. With ``cross_fit = "past"`` a query sees only
demonstrations whose answers were known when it was asked; ``"self"`` hides the query's own event alone and is for
diagnosis. The model that does the measuring is handed in (`DemonstrationMeasure`).

Dimension letters: N demonstrations of the pool, Q support queries, S sets, A answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pydantic import BaseModel, ConfigDict, Field

from recollect.context.evidence import Timeline
from recollect.errors import UsageError


class EffectSettings(BaseModel):
    """Set what effects are measured on, and how demonstrations are chosen by them (spec `lrgd`, sections 5 to 7).

    `pool` is the most candidates and `support` the most support queries, both the latest; the weight of a query halves
    every `half_life` events. `anew` is how many events come between two full selections (a set is shown after three at
    the earliest), between which at most `moves` changes follow each event. `tokens` caps a set (0: as many as
    `demonstrations.count`). A selection looks at gates of `soft_gate`, checks the best `shortlist` exactly, divides
    effects by tokens to the power `cost_exponent`, subtracts `redundancy` times the largest overlap, and accepts what
    lowers the loss by `margin` nats plus `caution` standard errors, while predictions stay within `trust` nats of those
    without demonstrations. Sets have `fewest` or more, where there is room. `beside_nearness` is the weight of effects
    where nearness chooses too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: int = Field(default=24, ge=1)
    support: int = Field(default=12, ge=1)
    half_life: float = Field(default=8.0, gt=0)
    cross_fit: Literal["past", "self"] = "past"
    anew: int = Field(default=16, ge=4)
    moves: int = Field(default=2, ge=0)
    tokens: int = Field(default=0, ge=0)
    soft_gate: float = Field(default=0.2, gt=0, le=1)
    shortlist: int = Field(default=6, ge=1)
    cost_exponent: float = Field(default=0.5, ge=0, le=1)
    redundancy: float = Field(default=0.25, ge=0)
    margin: float = Field(default=0.005, ge=0)
    caution: float = Field(default=0.0, ge=0)
    trust: float = Field(default=2.0, gt=0)
    fewest: int = Field(default=2, ge=1)
    beside_nearness: float = Field(default=0.5, ge=0)


@dataclass(frozen=True, eq=False, slots=True)
class Pool:
    """Hold the candidates of a person at one moment, and the questions that measure them.

    Parameters
    ----------
    line : Timeline
        The person's events; all places below are places in it.
    known : int
        How many of them, the first ones, are known.
    demonstrations : Int64[N]
        Places of the candidates, oldest first.
    support : Int64[Q]
        Places of the support queries, oldest first.
    visible : Bool[Q, N]
        Which candidates each query may see.
    weights : Float64[Q]
        Weight of each query; they sum to 1.
    labels : Int64[Q]
        True answer of each query, as its number among the answers.
    """

    line: Timeline
    known: int
    demonstrations: Int64[np.ndarray, " N"]
    support: Int64[np.ndarray, " Q"]
    visible: Bool[np.ndarray, "Q N"]
    weights: Float64[np.ndarray, " Q"]
    labels: Int64[np.ndarray, " Q"]

    def __len__(self) -> int:
        return len(self.demonstrations)


@dataclass(frozen=True, eq=False, slots=True)
class Effects:
    """Hold one measurement of all candidates at once.

    Parameters
    ----------
    loss : Float64[Q]
        Loss of each query in nats: minus the log-probability of the true answer among the answers.
    effect : Float64[Q, N]
        Effect of each candidate on each query in nats per unit of log gate; 0 where it is hidden.
    share : Float64[Q, N]
        Share of the attention that goes to each candidate, mean over layers, heads and answer rows.
    overlap : Float64[N, N]
        Cosines between what candidates add to the heads (the function-space Gram matrix), ones on the diagonal.
    """

    loss: Float64[np.ndarray, " Q"]
    effect: Float64[np.ndarray, "Q N"]
    share: Float64[np.ndarray, "Q N"]
    overlap: Float64[np.ndarray, "N N"]


@dataclass(frozen=True, eq=False, slots=True)
class Score:
    """Hold effects over the support: the weighted mean, its standard error, and how many queries saw each candidate.

    Parameters
    ----------
    mean : Float64[N]
        Nats; 0 where nobody saw the candidate.
    error : Float64[N]
        Standard error of the mean; infinite below two queries.
    seen : Int64[N]
        Number of queries that saw the candidate.
    """

    mean: Float64[np.ndarray, " N"]
    error: Float64[np.ndarray, " N"]
    seen: Int64[np.ndarray, " N"]


Served = Callable[[Pool, Bool[np.ndarray, "S N"]], Float64[np.ndarray, "S Q A"]]
"""Answers as `DemonstrationMeasure.predictions`, with the demonstrations of each set in the prompt that is served."""


class DemonstrationMeasure(Protocol):
    """Ask a language model about a pool: the seam between what is shown and what computes it."""

    def tokens(self, pool: Pool) -> Int64[np.ndarray, " N"]:
        """Return the tokens that each candidate costs in a prompt."""
        ...

    def predictions(self, pool: Pool, gates: Float64[np.ndarray, "S N"]) -> Float64[np.ndarray, "S Q A"]:
        """Return the log-probability of each answer to each query under each set, normalised over the A answers.

        A gate of 0 hides a candidate from all queries, 1 shows it to those that may see it, t weighs it t times.
        """
        ...

    def effects(self, pool: Pool, gates: Float64[np.ndarray, " N"]) -> Effects:
        """Measure all candidates at once, by one forward and one backward pass at the given gates (above 0)."""
        ...


def make_pool(line: Timeline, known: int, settings: EffectSettings) -> Pool:
    """Gather candidates and support queries from what is known of a person.

    Parameters
    ----------
    line : Timeline
        The person's events.
    known : int
        How many of them, the first ones, are known.
    settings : EffectSettings
        Sizes, weights and cross-fit.

    Raises
    ------
    UsageError
        If no support query would see any candidate.
    """
    demonstrations = np.arange(max(known - settings.pool, 0), known)
    support = np.arange(max(known - settings.support, 0), known)
    if settings.cross_fit == "past":
        visible = demonstrations[None, :] < line.visible[support, None]
    else:
        visible = demonstrations[None, :] != support[:, None]
    asked = visible.any(axis=1)
    if not asked.any():
        raise UsageError(
            "too few solved events to measure demonstrations",
            got=f"{known} known events",
            expected="an event that was asked when another was known",
            do="show recent demonstrations until there are more events",
        )
    support, visible = support[asked], visible[asked]
    weights = 0.5 ** ((known - 1 - support) / settings.half_life)
    labels = line.labels[support].astype(np.int64)
    return Pool(line, known, demonstrations, support, visible, weights / weights.sum(), labels)


def losses(pool: Pool, predictions: Float64[np.ndarray, "S Q A"]) -> Float64[np.ndarray, "S Q"]:
    """Return the loss of each query under each set in nats: minus the log-probability of its true answer."""
    return -np.take_along_axis(predictions, pool.labels[None, :, None], axis=2)[..., 0]


def score(pool: Pool, effect: Float64[np.ndarray, "Q N"]) -> Score:
    """Average effects over the queries that saw each candidate (spec `lrgd`, section 3.4).

    Parameters
    ----------
    pool : Pool
        Weights and visibility.
    effect : Float64[Q, N]
        Effects by query.
    """
    weights = pool.weights[:, None] * pool.visible
    total = weights.sum(axis=0)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    mean = (weights * effect).sum(axis=0)
    seen = pool.visible.sum(axis=0)
    error = np.sqrt((weights**2 * (effect - mean) ** 2).sum(axis=0))
    return Score(mean, np.where(seen > 1, error, np.inf), seen)
