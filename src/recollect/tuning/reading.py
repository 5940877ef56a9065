"""How much is read: prompts and tokens, with the padding that packing adds.

It decides that a batch is as tight as packing could make it, so what is counted is a little less than what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Reading:
    """Count what is read.

    Parameters
    ----------
    rows
        Rows asked.
    prompts
        Prompts in which they are asked.
    tokens, padded
        Tokens of all prompts, without padding and with it.
    longest
        Tokens of the longest prompt as the model reads it: one question with all that is before it.
    row_tokens
        Tokens of a batch row, the mean over tokens.
    batch_tokens
        Most tokens of a batch.
    """

    rows: int
    prompts: int
    tokens: int
    padded: int
    longest: int
    row_tokens: int
    batch_tokens: int

    @classmethod
    def of(cls, groups: Iterable[list[int]], *, rows: int, longest: int = 0) -> Reading:
        """Count batches, each given as the lengths of its prompts; `longest` is as in the class."""
        lengths = [sorted(group) for group in groups if group]
        sizes = [_batch(group) for group in lengths]
        padded = sum(count * length for count, length in sizes)
        return cls(
            rows=rows,
            prompts=sum(map(len, lengths)),
            tokens=sum(map(sum, lengths)),
            padded=padded,
            longest=longest,
            row_tokens=round(sum(count * length**2 for count, length in sizes) / max(padded, 1)),
            batch_tokens=max((count * length for count, length in sizes), default=0),
        )

    def times(self, share: float) -> Reading:
        """Scale up what was counted for a part."""
        counts = {name: round(getattr(self, name) * share) for name in ("rows", "prompts", "tokens", "padded")}
        return replace(self, **counts)


def _batch(lengths: list[int]) -> tuple[int, int]:
    """Give the rows of a packed batch and their tokens, as tight as packing could make them."""
    length = lengths[-1]
    return -(-sum(lengths) // length), length
