"""Side by side or one after the other: does what is measured on demonstrations hold for the prompt that is served?

What it is: the effect of the most recent demonstrations on a person's known answers, once as they are measured (blocks
that do not see each other) and once as they are served (an ordinary prompt). It decides that the most recent ones of
each question are compared, whatever the recipe chooses, since both layouts can show them for every question; and that
the two contradict each other if one effect is above and the other below 0 by two standard errors.

Source: spec `lrgd`, sections 3.5 (modes) and 10.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.effect_selection import paired_gain
from recollect.context.effects import DemonstrationMeasure, Pool, losses
from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.run.answering import RowAnswerer
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel

_ERRORS: Final = 2.0


@dataclass(frozen=True, slots=True)
class LayoutComparison:
    """Hold the effect of the most recent demonstrations in two layouts.

    Parameters
    ----------
    count : int
        How many of them.
    blocks, served : float
        Effect in nats where none sees another, and where each sees those before it.
    blocks_error, served_error : float
        Their standard errors; infinite below two queries.
    """

    count: int
    blocks: float
    blocks_error: float
    served: float
    served_error: float

    @property
    def warning(self) -> str:
        """What a reader must know, if the two contradict each other."""
        low, high = sorted([(self.blocks, self.blocks_error), (self.served, self.served_error)])
        if low[0] + _ERRORS * low[1] < 0 < high[0] - _ERRORS * high[1]:
            return "what is measured side by side contradicts the prompt that is served: do not choose by it"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Give the JSON document, in which an error that is not known is null."""
        return {name: value if np.isfinite(value) else None for name, value in asdict(self).items()}


@dataclass(frozen=True, eq=False, slots=True)
class LayoutComparer:
    """Compare layouts for people of one log.

    Parameters
    ----------
    tuned : TunedModel
        Set to the catalog of the dataset.
    dataset : Dataset
        The log, as the pools know it.
    measure : DemonstrationMeasure
        Of the same model.
    """

    tuned: TunedModel
    dataset: Dataset
    measure: DemonstrationMeasure

    def compare(self, pool: Pool, context: Context, *, count: int) -> LayoutComparison:
        """Measure both effects on the support of a pool.

        Parameters
        ----------
        pool : Pool
            Its candidates should hold the `count` most recent events of each query, or as many as there are.
        context : Context
            Of the log.
        count : int
            How many demonstrations each query is shown.

        Raises
        ------
        ModelError
            If the model cannot measure demonstrations.
        """
        blocks = paired_gain(pool, *self._side_by_side(pool, count))
        served = paired_gain(pool, *(self._served(pool, context, shown) for shown in (0, count)))
        return LayoutComparison(count, *blocks, *served)

    def _side_by_side(self, pool: Pool, count: int) -> Float64[np.ndarray, "2 Q"]:
        """Return the loss of each query without demonstrations, and with its own most recent ones."""
        earlier = pool.visible & (pool.demonstrations < pool.line.visible[pool.support, None])
        later = np.cumsum(earlier[:, ::-1], axis=1)[:, ::-1]  # how many come from here on
        recent = replace(pool, visible=earlier & (later <= count))
        gates = np.repeat([[0.0], [1.0]], len(pool), axis=1)
        return losses(recent, self.measure.predictions(recent, gates))

    def _served(self, pool: Pool, context: Context, count: int) -> Float64[np.ndarray, " Q"]:
        """Return the loss of each query in the prompt that a recipe of the most recent demonstrations serves."""
        solved = DemonstrationSettings(count=count, choice="recent")
        tuned = replace(self.tuned, recipe=self.tuned.recipe.model_copy(update={"demonstrations": solved}))
        prompter = make_prompter(tuned, self.dataset, measured=False)
        odds = RowAnswerer(tuned, context, prompter).log_odds(pool.line.rows[pool.support])
        return np.logaddexp(0.0, np.where(pool.labels == 1, -odds, odds))
