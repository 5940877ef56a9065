"""Replay: let a scorer answer for rows of the log in the order in which they happened.

Decides: a scorer is anything that gives a probability of a like for log rows, seeing of each row only what was
visible to it; the serving model, its version without events and every floor are judged through this one function.
Rows go in log order (time, user, item), so a scorer may keep state as time moves on. What comes back is checked
before it is believed.

Source: the design's flow, "evaluation replays a log in time order through the same code that serves".

Array letters: R rows.
"""

from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64

from recollect.data.dataset import Dataset
from recollect.data.past import Past
from recollect.errors import DataError
from recollect.evaluation.metrics import require_probabilities
from recollect.evaluation.predictions import Predictions


class Scorer(Protocol):
    """Whoever says how probable a like is."""

    def score(self, rows: Int64[np.ndarray, "R"]) -> Float64[np.ndarray, "R"]:
        """Give the probability of a like for each log row, using only what was visible to that row.

        Parameters
        ----------
        rows
            Row numbers of the log, ascending.

        Returns
        -------
        Float64[R]
            In [0, 1], one per row.
        """
        ...


def replay(dataset: Dataset, rows: Int64[np.ndarray, "R"], scorer: Scorer, *, past: Past) -> Predictions:
    """Score rows of the log in time order.

    Parameters
    ----------
    dataset
        The whole log: earlier events of any part are known when a row is scored.
    rows
        Log rows to score, in any order, each once.
    scorer
        Sees `rows` in log order.
    past
        The rule of what is visible, for the number of known events.

    Raises
    ------
    DataError
        When there is no row, a row repeats or is not in the log, or the scorer does not give one probability per row.
    """
    log = dataset.log
    rows = _in_order(rows, size=len(log))
    probability = np.asarray(scorer.score(rows), dtype=np.float64)
    if probability.shape != rows.shape:
        raise DataError(
            "the scorer did not answer for every row",
            got=f"an array of shape {probability.shape}",
            expected=f"one probability for each of {len(rows):,} rows",
            do="return scores in the order of the rows that came in",
        )
    require_probabilities(probability)
    return Predictions(
        rows=rows,
        user=log.user[rows],
        item=log.item[rows],
        time=log.time[rows],
        label=log.label[rows],
        probability=probability,
        known=past.visible[rows],
    )


def _in_order(rows: Int64[np.ndarray, "R"], *, size: int) -> Int64[np.ndarray, "R"]:
    ordered = np.unique(rows)
    if not len(rows) or len(ordered) < len(rows) or ordered[0] < 0 or ordered[-1] >= size:
        raise DataError(
            "these rows cannot be replayed",
            got=f"{len(rows):,} rows, {len(ordered):,} different"
            + (f", from {ordered[0]:,} to {ordered[-1]:,}" if len(rows) else ""),
            expected=f"at least one row, each once, from 0 to {size - 1:,}",
            do="take the rows from a Split of this data set; a part without rows cannot be evaluated",
        )
    return ordered.astype(np.int64)
