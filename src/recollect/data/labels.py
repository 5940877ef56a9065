"""Label rules: what counts as a like, as an expression such as ``rating>=4``.

It decides that a rule is one comparison of the value column with a number. Both sides are compared as 32-bit
floats, the precision in which values are stored, so that ``rating>=0.1`` holds for a stored 0.1.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from recollect.errors import UsageError

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_RULE = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|<=|==|!=|>|<)\s*([+-]?\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Compare the value column with a number: true is a like.

    Parameters
    ----------
    column : str
        Name of the value column, as the source calls it.
    comparison : str
        One of ``>= <= == != > <``.
    threshold : float
        The number on the right.
    """

    column: str
    comparison: str
    threshold: float

    @classmethod
    def parse(cls, text: str) -> LabelRule:
        """Read a rule from text.

        Raises
        ------
        UsageError
            If the text is not ``name comparison number``.

        Examples
        --------
        >>> LabelRule.parse("rating >= 4")
        LabelRule(column='rating', comparison='>=', threshold=4.0)
        """
        found = _RULE.fullmatch(text)
        if found is None:
            raise UsageError(
                "a label rule that cannot be read",
                got=repr(text),
                expected="a column, a comparison (>= <= == != > <) and a number",
                do='write it like "rating>=4", in quotes',
            )
        return cls(found[1], found[2], float(found[3]))

    def __call__(self, values: Float32[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
        """Return which values are likes."""
        return np.asarray(_COMPARISONS[self.comparison](values, np.float32(self.threshold)), dtype=np.bool_)

    def __str__(self) -> str:
        return f"{self.column}{self.comparison}{self.threshold:g}"
