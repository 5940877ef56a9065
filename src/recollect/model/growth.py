"""By what a trunk is to grow: new segments, and which of the cached ones each of them sees.

Dimension letters: G cached segments, N new segments, P trunk tokens, L new tokens.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Int32

from recollect.model.cache import KeyValueStore, TrunkCache
from recollect.model.visibility import relation_to_cache, sees_all_before
from recollect.prompt.growth import extend
from recollect.prompt.tree import PromptTree

__all__ = ["Growth"]


@dataclass(frozen=True, eq=False, slots=True)
class Growth:
    """Say by what a trunk is to grow. Make one with `Growth.of`.

    Parameters
    ----------
    cache
        The trunk as it is, which stays valid.
    delta
        The new segments, all shared.
    sees
        Which cached segments each new one sees.
    """

    cache: TrunkCache
    delta: PromptTree
    sees: Bool[np.ndarray, "N G"]

    @classmethod
    def of(cls, cache: TrunkCache, delta: PromptTree, *, sees: Bool[np.ndarray, "N G"] | None = None) -> Self:
        """Check what a trunk is to grow by.

        Parameters
        ----------
        cache
            The trunk as it is.
        delta
            The new segments, all shared; ``delta.sees`` says how they see each other.
        sees
            Which cached segments each new one sees; None means all.

        Raises
        ------
        PromptError
            If the delta has leaves, or ``sees`` does not fit.
        """
        return cls(cache, delta, relation_to_cache(cache, delta, sees))

    def mask(self) -> Bool[np.ndarray, "L P"] | None:
        """Say what the new tokens see of those cached and of each other; None if that is all before them."""
        if sees_all_before(self.delta, self.sees):
            return None
        return np.concatenate([self.cache.token_view(self.sees)[self.delta.segment], self.delta.mask()], axis=1)

    def grown(self, store: KeyValueStore) -> TrunkCache:
        """Return the grown trunk, whose keys and values are in a store."""
        return TrunkCache(store, *self._ends_and_reach())

    def joined(self) -> TrunkCache:
        """Return the grown trunk as a prompt tree, for a family whose attention cannot be plugged."""
        tree = extend(self.cache.tree, self.delta, sees=self.sees)
        return TrunkCache(self.cache.store, *self._ends_and_reach(), tree)

    def _ends_and_reach(self) -> tuple[Int32[np.ndarray, " G"], Int32[np.ndarray, " G"]]:
        """Return the ends of all segments, and how far the trunk reaches up to each."""
        lengths = self.delta.segment_lengths()
        ends = np.cumsum(lengths)
        highest = np.maximum.reduceat(self.delta.positions, ends - lengths) + 1
        reach = np.maximum(np.maximum.accumulate(highest), self.cache.next_position)
        return (
            np.concatenate([self.cache.ends, self.cache.length + ends], dtype=np.int32, casting="same_kind"),
            np.concatenate([self.cache.reach, reach], dtype=np.int32, casting="same_kind"),
        )
