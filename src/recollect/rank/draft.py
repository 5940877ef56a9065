"""Questions on their way through the model: posed, with candidates and a trunk; drafted, with scores in no order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int32

from recollect.context.evidence import Timeline
from recollect.prompt.prompter import Question
from recollect.rank.ranking import Trace
from recollect.rank.trunks import Warm


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


@dataclass(frozen=True, eq=False, slots=True)
class Posed:
    """Hold questions about one person at one moment that share a trunk.

    Parameters
    ----------
    user : str or None
        Who asks.
    moment : int
        When, unix seconds.
    known : Timeline
        What is known then.
    chosen : list
        Of each question the codes of its candidates, and in words how they were chosen.
    question : Question
        What the model is asked: the candidates of all of them.
    """

    user: str | None
    moment: int
    known: Timeline
    chosen: list[tuple[Int32[np.ndarray, " _"], str]]
    question: Question

    def drafts(self, scores: Float64[np.ndarray, " C"], *, warm: Warm, forgotten: int) -> list[Draft]:
        """Divide the scores of all candidates among the questions.

        Parameters
        ----------
        scores : Float64[C]
            Probabilities of a like.
        warm : Warm
            The trunk.
        forgotten : int
            How many people have been forgotten by now.
        """
        ends = np.cumsum([len(items) for items, _ in self.chosen])
        trace = Trace(
            user=self.user or "",
            time=self.moment,
            known=len(self.known),
            shown=len(self.question.shown),
            dropped=self.question.dropped.events + self.question.dropped.demonstrations,
            demonstrations=self.question.note,
            candidates=0,
            chosen="",
            tokens_reused=warm.reused,
            tokens_new=warm.cache.length - warm.reused,
            trunk_bytes=warm.cache.nbytes,
            milliseconds=0.0,
        )
        parts = zip(self.chosen, np.split(scores, ends[:-1]), strict=True)
        return [
            Draft(self.known, self.moment, items, score, replace(trace, candidates=len(items), chosen=how), forgotten)
            for (items, how), score in parts
        ]
