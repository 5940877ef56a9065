"""The two buttons of the page: which feedback a like and a dislike are, and which event one press is.

It decides that feedback is what people of this log gave: the median of what the label rule calls a like, and of what it
does not; and that an event's id comes from the page that showed the button, so that a press which arrives twice is one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32

from recollect.data.dataset import Dataset
from recollect.data.labels import LabelRule

_MOST: Final = 1_000_000  # events whose values are looked at


@dataclass(frozen=True, slots=True)
class Feedback:
    """The values that stand for a like and a dislike, in the unit of the log."""

    like: float
    dislike: float

    @classmethod
    def of(cls, dataset: Dataset) -> Feedback:
        """Take the values from a log and its label rule."""
        rule = LabelRule.parse(dataset.facts.rule)
        values = dataset.log.value[-_MOST:]
        liked = rule(values)
        return cls(_typical(values[liked], rule, liked=True), _typical(values[~liked], rule, liked=False))


def event_id(token: str, *, user: str, item: str, liked: bool) -> str:
    """Name the event that is a button of a page: the same for the same press."""
    pressed = "\0".join((token, user, item, str(liked)))
    return f"page-{hashlib.sha256(pressed.encode('utf-8', 'backslashreplace')).hexdigest()[:32]}"


def _typical(values: Float32[np.ndarray, " N"], rule: LabelRule, *, liked: bool) -> float:
    """Return the value in the middle, or one near the rule's threshold where the log has none of that kind."""
    if len(values):
        return float(np.sort(values)[len(values) // 2])
    near = np.array(list(_around(rule.threshold)), np.float32)
    return float(near[rule(near) == liked][0])


def _around(threshold: float) -> tuple[float, ...]:
    """Return values of which every rule calls one a like, and another one not."""
    return threshold, threshold + 1, threshold - 1
