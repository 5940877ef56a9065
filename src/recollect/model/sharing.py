"""How several people's tokens share passes: which trunks grow together, and which branches stand behind which trunk."""

import itertools
from collections.abc import Sequence

import numpy as np

from recollect.model.compact_layer import KeysAndValues

__all__ = ["passes", "within"]


def passes(lengths: Sequence[int], *, most: int) -> list[slice]:
    """Cut what is computed into passes of so many tokens at most, or of one part that has more.

    Parameters
    ----------
    lengths
        Tokens of each part.
    most
        Tokens of a pass.

    Examples
    --------
    >>> passes([3, 4, 9, 1], most=8)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    starts, filled = [0] if lengths else [], 0
    for place, length in enumerate(lengths):
        if filled and filled + length > most:
            starts.append(place)
            filled = 0
        filled += length
    return [slice(start, end) for start, end in itertools.pairwise([*starts, len(lengths)])]


def within(
    counts: Sequence[int], trunks: Sequence[list[KeysAndValues]], *, start: int, count: int
) -> list[tuple[int, list[KeysAndValues]]]:
    """Return which trunks some of the branches stand behind, and how many of them behind each.

    Parameters
    ----------
    counts
        Branches behind each trunk.
    trunks
        Keys and values per layer of each trunk.
    start, count
        The first of the branches, and how many they are.
    """
    ends = np.cumsum(counts)
    shares = np.minimum(ends, start + count) - np.maximum(ends - counts, start)
    return [(int(share), trunk) for share, trunk in zip(shares, trunks, strict=True) if share > 0]
