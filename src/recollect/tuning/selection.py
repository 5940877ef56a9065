"""Choosing on validation rows: by what number.

It decides that the judge reads scores before calibration, which cannot change their order.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int64

from recollect.evaluation.metrics import auc, log_loss, uauc
from recollect.run.answering import RowAnswerer


class Judge:
    """Measure a model on validation rows, lower is better; None without any."""

    def __init__(self, answerer: RowAnswerer, rows: Int64[np.ndarray, " R"]) -> None:
        self.answerer = answerer
        self.rows = rows
        self.by_ranking = answerer.tuned.recipe.tuning.select == "ranking"

    def judge(self) -> float | None:
        """Return the mean log loss, or one less the mean of AUC and UAUC."""
        if not len(self.rows):
            return None
        log = self.answerer.context.log
        user, label = log.user[self.rows], log.label[self.rows]
        probability = self.answerer.score(self.rows)
        ranking = 1 - (auc(label, probability) + uauc(user, label, probability).value) / 2
        return ranking if self.by_ranking and math.isfinite(ranking) else log_loss(label, probability)
