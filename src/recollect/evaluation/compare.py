"""Comparison: is A better than B on the same rows?

Decides: two predictions are compared only when they scored exactly the same rows of the same log; the difference is
always first minus second; intervals and p-values come from the paired user bootstrap, so that what is common to both
(easy users, hard days) cancels out.

Source: the design's "paired tests for 'A beats B'"; bootstrap.py holds the method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recollect.errors import DataError
from recollect.evaluation.bootstrap import DRAWS, METRICS, Difference, Draws, difference, draw
from recollect.evaluation.metrics import Metrics, measure
from recollect.evaluation.predictions import Predictions
from recollect.evaluation.result import HIGHER_IS_BETTER, TITLES, decimals, finite


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """Predictions with their metrics and bootstrap draws: what is needed to state and to compare them."""

    predictions: Predictions
    metrics: Metrics
    draws: Draws


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two scorers on the same rows: metrics of each, and first minus second per metric."""

    first: Metrics
    second: Metrics
    differences: Mapping[str, Difference]

    def to_json(self) -> dict[str, Any]:
        """Give the JSON document: the metrics of both, and the difference with interval and p per metric."""
        return {
            "first": _defined(asdict(self.first)),
            "second": _defined(asdict(self.second)),
            "difference": {
                metric: {**_defined(gap._asdict()), "better": self.verdict(metric)}
                for metric, gap in self.differences.items()
            },
        }

    def rows(self) -> list[Sequence[str]]:
        """Give one table line per metric: its name, first, second, first minus second, interval, p."""
        return [
            (
                TITLES[metric],
                decimals(getattr(self.first, metric)),
                decimals(getattr(self.second, metric)),
                decimals(gap.value, sign=True),
                f"{decimals(gap.low, sign=True)} to {decimals(gap.high, sign=True)}",
                "–" if np.isnan(gap.p) else f"{gap.p:.3f}",
            )
            for metric, gap in self.differences.items()
        ]

    def verdict(self, metric: str) -> str:
        """Say which scorer is better: "first", "second", or "undecided" when the interval holds zero.

        Raises
        ------
        KeyError
            When `metric` is unknown.
        """
        gap = self.differences[metric]
        if not (gap.low > 0 or gap.high < 0):
            return "undecided"
        return "first" if (gap.value > 0) == HIGHER_IS_BETTER[metric] else "second"


def _defined(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if isinstance(value, int) else finite(value) for name, value in values.items()}


def judge(predictions: Predictions, *, seed: int = 0, draws: int = DRAWS) -> Judged:
    """Measure predictions and draw their bootstrap once.

    Raises
    ------
    DataError
        When there is no row or a probability is not one.
    """
    return Judged(predictions, measure(predictions), draw(predictions, seed=seed, draws=draws))


def compare(first: Predictions, second: Predictions, *, seed: int = 0, draws: int = DRAWS) -> Comparison:
    """Compare two predictions of the same rows.

    Parameters
    ----------
    first, second
        Predictions whose rows, users, items, times and labels are equal.
    seed, draws
        Of the user bootstrap.

    Raises
    ------
    DataError
        When the rows differ, there is none, or a probability is not one.
    """
    require_same_rows(first, second)
    return pair(judge(first, seed=seed, draws=draws), judge(second, seed=seed, draws=draws))


def pair(first: Judged, second: Judged) -> Comparison:
    """Compare two scorers that were judged with the same seed and number of draws.

    Raises
    ------
    DataError
        When the rows or the numbers of draws differ.
    """
    require_same_rows(first.predictions, second.predictions)
    gaps = {
        metric: difference(
            first.draws,
            second.draws,
            metric=metric,
            value=getattr(first.metrics, metric) - getattr(second.metrics, metric),
        )
        for metric in METRICS
    }
    return Comparison(first.metrics, second.metrics, gaps)


def require_same_rows(first: Predictions, second: Predictions) -> None:
    """Check that two predictions judge the same rows of the same log.

    Raises
    ------
    DataError
        When the rows, users, items, times or labels differ.
    """
    if np.array_equal(first.rows, second.rows):
        differing = [
            name
            for name in ("user", "item", "time", "label")
            if not np.array_equal(getattr(first, name), getattr(second, name))
        ]
        got = f"the same row numbers, but another {' and '.join(differing)}"
    else:
        shared = len(np.intersect1d(first.rows, second.rows, assume_unique=True))
        differing = ["rows"]
        got = f"{len(first):,} and {len(second):,} rows, {shared:,} of them in both"
    if differing:
        raise DataError(
            "these predictions cannot be compared",
            got=got,
            expected="the same rows of the same log with the same labels",
            do="evaluate both runs on one data folder, with one protocol and one part",
        )
