"""A draft: what the model said of a question's candidates, before they are put in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

from recollect.context.evidence import Timeline
from recollect.rank.ranking import Trace


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """Hold the scores of a question's candidates, not in order yet.

    Parameters
    ----------
    known : Timeline
        What was known of whoever asked.
    moment : int
        When, unix seconds.
    items : Int32[C]
        Codes of the candidates.
    probability : Float64[C]
        Of a like, for each.
    trace : Trace
        How they came about.
    forgotten : int
        How many people had been forgotten then.
    """

    known: Timeline
    moment: int
    items: Int32[np.ndarray, " C"]
    probability: Float64[np.ndarray, " C"]
    trace: Trace
    forgotten: int
