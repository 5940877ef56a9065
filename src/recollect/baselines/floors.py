"""Floors: predictors so simple that a method which does not beat them has shown nothing.

Decides: a floor is a name and a few columns of `Rates`. One column is its own probability, nothing is fitted; several
are weighed by a logistic regression with intercept and without penalty, fitted on the train part only. Rates enter the
regression as log-odds, residuals as they are. Probabilities stand as they come: no part that is evaluated is used to
calibrate them. A floor answers like any other scorer, for log rows, from what was visible to them.

Source: specification of RecICL, section 6.

Array letters: N log rows, R requested rows, F columns of a floor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from recollect.baselines.rates import Rates
from recollect.data.past import Past

RECENT = 16
"""Events that the recent like rate looks back on; the source's table is flat from 8 to 16."""

_CERTAIN = 1e-6
_STEPS = 200
_FREEDOM = 1e6  # no penalty to four decimals, but one solution for a train part that the columns separate

Column = Callable[[Rates, Int64[np.ndarray, "R"]], Float64[np.ndarray, "R"]]
"""What a floor reads of each row: log-odds of a rate, or a residual."""


@dataclass(frozen=True, eq=False, slots=True)
class Floor:
    """A fitted floor: the log-odds of a like are a weighted sum of its columns.

    Parameters
    ----------
    rates : Rates
        The counted log.
    columns : tuple of Column
        F columns.
    weights : Float64[F]
        One weight per column.
    intercept : float
        Added to the sum.
    """

    rates: Rates
    columns: tuple[Column, ...]
    weights: Float64[np.ndarray, "F"]
    intercept: float

    def score(self, rows: Int64[np.ndarray, "R"]) -> Float64[np.ndarray, "R"]:
        """Give the probability of a like for each log row."""
        return expit(_matrix(self.rates, self.columns, rows) @ self.weights + self.intercept)


def item_mean(rates: Rates, rows: Int64[np.ndarray, "R"]) -> Float64[np.ndarray, "R"]:
    """Column: log-odds of the item's train mean."""
    return _log_odds(rates.item_mean(rows))


def user_mean(rates: Rates, rows: Int64[np.ndarray, "R"]) -> Float64[np.ndarray, "R"]:
    """Column: log-odds of the user's train mean."""
    return _log_odds(rates.user_mean(rows))


def recent_rate(last: int = RECENT) -> Column:
    """Make the column of log-odds of the like rate over the last visible events."""
    return lambda rates, rows: _log_odds(rates.recent_rate(rows, last=last))


def residual(last: int | None = RECENT) -> Column:
    """Make the column of the mean residual over the last visible events, all of them for None."""
    return lambda rates, rows: rates.residual(rows, last=last)


FLOORS: Mapping[str, tuple[Column, ...]] = {
    "item mean": (item_mean,),
    "user mean": (user_mean,),
    "recent like rate": (recent_rate(),),
    "logistic regression": (item_mean, user_mean, recent_rate()),
}
"""The floors that stand beside every result."""


def fit_floors(
    past: Past,
    *,
    train: Int64[np.ndarray, "R"],
    floors: Mapping[str, tuple[Column, ...]] = FLOORS,
) -> dict[str, Floor]:
    """Fit floors on the train part of a log.

    Parameters
    ----------
    past : Past
        What each row may see, and the whole log: events of later parts count only as the visible past of later rows.
    train : Int64[R]
        Log rows to learn from.
    floors : mapping of str to tuple of Column
        Columns of each floor, by its name.

    Returns
    -------
    dict of str to Floor
        Scorers, in the order given.

    Raises
    ------
    DataError
        When the train part is empty.
    """
    rates = Rates.of(past, train=train)
    return {name: _fit(rates, columns, train) for name, columns in floors.items()}


def _fit(rates: Rates, columns: tuple[Column, ...], train: Int64[np.ndarray, "R"]) -> Floor:
    if len(columns) == 1:
        return Floor(rates, columns, weights=np.ones(1), intercept=0.0)
    label = rates.log.label[train]
    if label.all() or not label.any():  # nothing to weigh: everything known is one label
        base = float(_log_odds(np.array([rates.global_mean]))[0])
        return Floor(rates, columns, weights=np.zeros(len(columns)), intercept=base)
    model = LogisticRegression(C=_FREEDOM, solver="newton-cholesky", max_iter=_STEPS, tol=1e-8)
    fitted = cast("Any", model).fit(_matrix(rates, columns, train), label)
    return Floor(rates, columns, weights=fitted.coef_[0], intercept=float(fitted.intercept_[0]))


def _matrix(rates: Rates, columns: tuple[Column, ...], rows: Int64[np.ndarray, "R"]) -> Float64[np.ndarray, "R F"]:
    return np.stack([column(rates, rows) for column in columns], axis=1)


def _log_odds(rate: Float64[np.ndarray, "R"]) -> Float64[np.ndarray, "R"]:
    """Keep a rate of 0 or 1, which only a one-sided train part can give, finite."""
    return logit(np.clip(rate, _CERTAIN, 1.0 - _CERTAIN))
