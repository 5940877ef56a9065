"""Put rows in order by whole numbers: a counting sort, linear in the rows, stable.

It decides that everything recollect sorts by at the size of a log (times in seconds, codes of users and items) is a
whole number, so that no step of the data path compares events: one pass where there are no more values than rows, else
one pass for each 16 bits. The counting itself is what `scipy.sparse` does to turn coordinates into rows.
"""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
from jaxtyping import Int
from scipy import sparse

_BITS: Final = 16


def stable_order(*keys: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Return the positions that sort rows by some keys, equal rows in place.

    Parameters
    ----------
    *keys : Int[N]
        One or more; the first counts most.

    Returns
    -------
    Int[N]
        Positions, as 32-bit numbers while these can hold them.

    Examples
    --------
    >>> stable_order(np.array([2, 1, 2, 1]), np.array([0, 7, 0, 3])).tolist()
    [3, 1, 0, 2]
    """
    order = _by_one(keys[-1])
    for key in reversed(keys[:-1]):
        order = order[_by_one(key[order])]
    return order


def _by_one(key: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Sort by one key: by all of it, or by its lower bits and then by its upper ones."""
    if len(key) == 0:
        return np.zeros(0, np.int32)
    least, most = int(key.min()), int(key.max())
    if least >= 0 and most < max(len(key), 1 << _BITS):
        return _counted(key, values=most + 1)
    offset = key.astype(np.int64) - least
    order = _digit_order(offset, 0)
    for shift in range(_BITS, (most - least).bit_length(), _BITS):
        order = order[_digit_order(offset[order], shift)]
    return order


def _digit_order(key: Int[np.ndarray, " N"], shift: int) -> Int[np.ndarray, " N"]:
    return _counted(((key >> shift) & ((1 << _BITS) - 1)).astype(np.int32), values=1 << _BITS)


def _counted(key: Int[np.ndarray, " N"], *, values: int) -> Int[np.ndarray, " N"]:
    """Sort by counting: row v of the matrix lists the positions that hold v, in the order in which they come."""
    count = len(key)
    positions = np.arange(count, dtype=np.int32 if count <= np.iinfo(np.int32).max else np.int64)
    matrix: Any = sparse.coo_array((np.ones(count, np.bool_), (key, positions)), shape=(values, count))
    return cast(np.ndarray, matrix.tocsr().indices)
