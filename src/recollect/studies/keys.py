"""Keys: a short name for everything that decides a result, so that what is known already is not computed again."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Shaped

from recollect.data.dataset import Dataset
from recollect.data.digest import digest_of_dataset

_DIGITS = 16


def key_of(*parts: str | Shaped[np.ndarray, "..."]) -> str:
    """Return 16 hexadecimal digits that differ where a text, or a value or the length of an array, differs.

    Examples
    --------
    >>> key_of("a", np.arange(3)) == key_of("a", np.arange(3)) != key_of("a", np.arange(4))
    True
    """
    sha = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
        sha.update(f"{len(content)}:".encode())
        sha.update(content)
    return sha.hexdigest()[:_DIGITS]


def key_of_data(dataset: Dataset) -> str:
    """Return the key of a log, its catalog and its users."""
    return key_of(digest_of_dataset(dataset))
