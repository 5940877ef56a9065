"""What new segments see of a trunk that is cached, filled in and checked.

Dimension letters: N new segments, G cached segments.
"""

import numpy as np
from jaxtyping import Bool

from recollect.errors import PromptError
from recollect.model.cache import TrunkCache
from recollect.prompt.growth import require_no_leaves
from recollect.prompt.tree import PromptTree

__all__ = ["check_relation", "relation_to_cache", "sees_all_before"]


def relation_to_cache(
    cache: TrunkCache, delta: PromptTree, sees: Bool[np.ndarray, "N G"] | None
) -> Bool[np.ndarray, "N G"]:
    """Fill in and check which cached segments the new ones see.

    Parameters
    ----------
    cache
        The trunk.
    delta
        The new segments, all shared.
    sees
        The relation; None means that all see all.

    Raises
    ------
    PromptError
        If the delta has leaves, or ``sees`` does not fit.
    """
    require_no_leaves(delta)
    shape = (delta.segment_count, cache.segment_count)
    relation = np.ones(shape, np.bool_) if sees is None else sees
    check_relation(relation, shape)
    return relation


def check_relation(relation: Bool[np.ndarray, "..."], shape: tuple[int, ...]) -> None:
    """Check that a relation has a column per cached segment.

    Raises
    ------
    PromptError
        If not.
    """
    if relation.shape != shape or relation.dtype != np.bool_:
        raise PromptError(
            what="'sees' does not fit the cache",
            got=f"{relation.dtype} of shape {relation.shape}",
            expected=f"bool of shape {shape}",
            do="give one column per cached segment",
        )


def sees_all_before(delta: PromptTree, relation: Bool[np.ndarray, "N G"]) -> bool:
    """Tell whether attention needs no mask: every new token sees all cached ones and those before itself.

    Parameters
    ----------
    delta
        The new segments, all shared.
    relation
        Which cached segments they see.
    """
    among_themselves = delta.segment_count * (delta.segment_count - 1) // 2  # pairs: none sees itself or a later one
    return bool(relation.all() and np.count_nonzero(delta.sees) == among_themselves)
