"""Warm trunks: for each person the encoded trunk of the last query, of which the next one reuses all it can.

It decides that a trunk is known by what it shows: the segments that two trunks have in common keep their keys and
values, the rest is encoded. So a new event costs its own tokens, an evicted or late one the tokens behind it, whatever
the layout, and a warm answer equals a cold one by construction. Trunks are kept within a byte budget, spare room
included; the least recently used ones go first, and cost a person's next query the tokens of the trunk.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from recollect.context.budgeted import Budgeted
from recollect.model.cache import TrunkCache
from recollect.model.language_model import LanguageModel
from recollect.prompt.growth import common_segments, last_segments
from recollect.prompt.tree import PromptTree

TRUNK_BYTES: Final = 256 << 20
"""Budget of a recommender that was not told another one."""

_TREE_ARRAYS: Final = ("tokens", "items", "features", "segment", "positions", "sees", "slots", "slot_rows")


class Warm(NamedTuple):
    """An encoded trunk, and how many of its tokens were there before."""

    cache: TrunkCache
    reused: int


@dataclass(frozen=True, eq=False, slots=True)
class _Kept:
    tree: PromptTree
    cache: TrunkCache


class Trunks:
    """Keep encoded trunks by person.

    Parameters
    ----------
    model : LanguageModel
        Encodes what is missing. It may be replaced by one that encodes what is kept in the same way.
    budget : int
        Bytes of all trunks together.
    """

    def __init__(self, model: LanguageModel, *, budget: int = TRUNK_BYTES) -> None:
        self.model = model
        self._kept = Budgeted[Hashable, _Kept](budget=budget)

    def __contains__(self, user: Hashable) -> bool:
        return user in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def budget(self) -> int:
        """Bytes that may be kept."""
        return self._kept.budget or 0

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return self._kept.nbytes

    def limit(self, budget: int) -> None:
        """Keep to another budget of bytes."""
        self._kept.limit(budget)

    def forget(self, user: Hashable) -> bool:
        """Forget a person's trunk; say whether there was one."""
        return self._kept.drop(user)

    def clear(self) -> None:
        """Forget all trunks."""
        self._kept.clear()

    def cold(self, trunk: PromptTree) -> Warm:
        """Encode a trunk, and keep nothing."""
        return Warm(self.model.append(TrunkCache.empty(), trunk), 0)

    def warm(self, user: Hashable, trunk: PromptTree) -> Warm:
        """Encode what is missing of a trunk, and keep it unless it is the beginning of the one kept.

        Parameters
        ----------
        user
            Who it is of.
        trunk
            Shared segments without slots.
        """
        kept = self._kept.get(user)
        if kept is None:
            return self._keep(user, trunk, self.cold(trunk))
        common = common_segments(kept.tree, trunk)
        cache = kept.cache.crop(common)
        if common == trunk.segment_count:
            return Warm(cache, cache.length)
        rest, sees = last_segments(trunk, common)
        return self._keep(user, trunk, Warm(self.model.append(cache, rest, sees=sees), cache.length))

    def _keep(self, user: Hashable, trunk: PromptTree, warm: Warm) -> Warm:
        self._kept.put(user, _Kept(trunk, warm.cache), nbytes=_size(trunk, warm.cache))
        return warm


def _size(tree: PromptTree, cache: TrunkCache) -> int:
    """Count the bytes of a trunk and its keys and values."""
    states = (*cache.store.keys, *cache.store.values)
    arrays = sum(getattr(tree, name).nbytes for name in _TREE_ARRAYS)
    return arrays + sum(part.nbytes for parts in states for part in parts)
