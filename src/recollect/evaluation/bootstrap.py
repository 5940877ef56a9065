"""User bootstrap: intervals for every metric, and paired differences between two scorers.

Decides: the unit that is drawn is the user, because rows of one user hang together; a draw is a weight per user (how
often the user was picked), and every metric is computed from weights, so that scores are sorted once and not once per
draw. The same seed and the same users give the same draws whatever was predicted: the difference of two draws is
therefore paired. Intervals are percentile intervals; a draw in which a metric is undefined is left out of its
interval. Memory stays at a few arrays of R rows and of U users x B bins, however many draws are made.

Known limit: resampling adds noise, and calibration error grows with noise, so its interval may lie above its value.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13 (clusters, percentiles).

Array letters: R rows, U users, B bins, W draws, L likes, O other rows.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from recollect.errors import DataError
from recollect.evaluation.metrics import BINS, bin_of, row_losses, user_aucs
from recollect.evaluation.predictions import Predictions

METRICS = ("auc", "uauc", "log_loss", "ece")
"""Names of the metrics with intervals, in the order in which tables show them."""

DRAWS = 500
LEVEL = 0.95


class Interval(NamedTuple):
    """Lower and upper end; both NaN where the metric is undefined."""

    low: float
    high: float


class Difference(NamedTuple):
    """How far one scorer lies from another: value, its interval, and a two-sided bootstrap p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False, slots=True)
class Draws:
    """Each metric in every bootstrap draw: `values[metric]` holds W numbers, NaN where undefined."""

    values: dict[str, Float64[np.ndarray, "W"]]

    def interval(self, metric: str, *, level: float = LEVEL) -> Interval:
        """Find the percentile interval that holds `level` of the defined draws.

        Raises
        ------
        KeyError
            When `metric` is none of `METRICS`.
        """
        return _percentiles(self.values[metric], level)

    def intervals(self, *, level: float = LEVEL) -> dict[str, Interval]:
        """Find the interval of every metric."""
        return {metric: self.interval(metric, level=level) for metric in METRICS}


@dataclass(frozen=True, eq=False, slots=True)
class _Weighable:
    """Predictions prepared once so that metrics of any user weights are cheap: L likes and O others, both by score."""

    like_user: Int64[np.ndarray, "L"]
    other_user: Int64[np.ndarray, "O"]
    others_below: Int64[np.ndarray, "L"]
    others_up_to: Int64[np.ndarray, "L"]
    per_user: Float64[np.ndarray, "U 4"]
    excess: Float64[np.ndarray, "U B"]

    @classmethod
    def of(cls, predictions: Predictions) -> "_Weighable":
        label, probability = predictions.label, predictions.probability
        users, user = np.unique(predictions.user, return_inverse=True)
        user_auc = user_aucs(user, label, probability)
        counts = np.bincount(user), np.bincount(user, row_losses(label, probability)), ~np.isnan(user_auc)
        excess = np.bincount(user * BINS + bin_of(probability), probability - label, len(users) * BINS)
        order = np.argsort(probability)
        likes, others = order[label[order]], order[~label[order]]
        return cls(
            like_user=user[likes],
            other_user=user[others],
            others_below=np.searchsorted(probability[others], probability[likes], side="left"),
            others_up_to=np.searchsorted(probability[others], probability[likes], side="right"),
            per_user=np.stack([*counts, np.nan_to_num(user_auc)], axis=1).astype(np.float64),
            excess=excess.reshape(len(users), BINS),
        )

    def measure(self, weight: Float64[np.ndarray, "U"]) -> tuple[float, float, float, float]:
        """Compute the metrics in the order of `METRICS` when each user counts `weight` times."""
        # einsum and sum instead of @: vectors too short to gain from threads, which suffer where cores are busy.
        rows, loss, counted, user_auc = np.einsum("u,uc->c", weight, self.per_user)
        excess = np.abs(np.einsum("u,ub->b", weight, self.excess)).sum()
        uauc = float(user_auc / counted) if counted else float("nan")
        return self._auc(weight), uauc, float(loss / rows), float(excess / rows)

    def _auc(self, weight: Float64[np.ndarray, "U"]) -> float:
        """Weigh, for each like, the others below it; those with an equal score count half."""
        likes = weight[self.like_user]
        others = np.concatenate([[0.0], np.cumsum(weight[self.other_user])])
        pairs = likes.sum() * others[-1]
        beaten = (likes * (others[self.others_below] + others[self.others_up_to])).sum() / 2
        return float(beaten / pairs) if pairs else float("nan")


def draw(predictions: Predictions, *, seed: int, draws: int = DRAWS) -> Draws:
    """Compute every metric in bootstrap samples of the users.

    Parameters
    ----------
    predictions
        At least one row.
    seed
        Of the random numbers; equal seeds and users give equal samples.
    draws
        Number of samples.

    Raises
    ------
    DataError
        When there is no row or a probability is not one.
    """
    weighable = _Weighable.of(predictions)
    users = len(weighable.per_user)
    numbers = np.random.default_rng(seed)
    values = np.empty((draws, len(METRICS)))
    for number in range(draws):
        picked = numbers.integers(users, size=users)
        values[number] = weighable.measure(np.bincount(picked, minlength=users).astype(np.float64))
    return Draws({metric: values[:, column].copy() for column, metric in enumerate(METRICS)})


def difference(first: Draws, second: Draws, *, metric: str, value: float) -> Difference:
    """Pair two sets of draws made with one seed on the same rows.

    Parameters
    ----------
    first, second
        Draws of the two scorers.
    metric
        One of `METRICS`.
    value
        First minus second on the rows themselves.

    Returns
    -------
    Difference
        First minus second: `p` is twice the share of draws on the other side of zero (draws at zero on both), never
        below 1 / (draws + 1); NaN when no draw is defined.

    Raises
    ------
    DataError
        When the numbers of draws differ.
    """
    if len(first.values[metric]) != len(second.values[metric]):
        raise DataError(
            "two bootstraps cannot be paired",
            got=f"{len(first.values[metric]):,} and {len(second.values[metric]):,} draws",
            expected="the same number of draws from the same seed",
            do="draw both with one seed and one number of draws",
        )
    gaps = first.values[metric] - second.values[metric]
    gaps = gaps[~np.isnan(gaps)]
    low, high = _percentiles(gaps, LEVEL)
    if not len(gaps):
        return Difference(value, low, high, float("nan"))
    smaller_side = min(int((gaps <= 0).sum()), int((gaps >= 0).sum()))
    return Difference(value, low, high, min(1.0, 2 * (smaller_side + 0.5) / (len(gaps) + 1)))


def _percentiles(values: Float64[np.ndarray, "W"], level: float) -> Interval:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
